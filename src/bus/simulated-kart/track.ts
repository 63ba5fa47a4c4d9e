/**
 * The closed track the simulated kart drives on: about half a kilometre, anticlockwise, with a chicane.
 * It lies on a salt flat, far from any real track, so that nobody takes it for a recorded drive.
 */

const ORIGIN_LATITUDE_DEG = 40.7625;
const ORIGIN_LONGITUDE_DEG = -113.8955;
const ORIGIN_ALTITUDE_M = 1286;

const MEAN_RADIUS_M = 70;
/** Height between the lowest and the highest point, halved. */
const ALTITUDE_SWING_M = 1.5;

/** What a driver dares: sideways in a bend, when braking for it, and on the straight. */
const LATERAL_ACCEL_MAX_M_PER_S2 = 6;
const BRAKING_MAX_M_PER_S2 = 3.5;
const SPEED_MAX_M_PER_S = 16;

const METRES_PER_DEGREE = 111_320;
const SAMPLES_ON_OUTLINE = 7200;

export interface Track {
  /** Of one lap, in metres. */
  readonly lengthM: number;
  /** East of the origin. */
  eastM(distanceM: number): number;
  /** North of the origin. */
  northM(distanceM: number): number;
  /** Clockwise from north, [0, 360). */
  courseDeg(distanceM: number): number;
  /** In 1/m; positive in a left bend. */
  curvature(distanceM: number): number;
  /** The fastest one can be here and still get round what follows. */
  speedLimitMPerS(distanceM: number): number;
}

export function latitudeDeg(northM: number): number {
  return ORIGIN_LATITUDE_DEG + northM / METRES_PER_DEGREE;
}

export function longitudeDeg(eastM: number): number {
  const metresPerDegree = METRES_PER_DEGREE * Math.cos((ORIGIN_LATITUDE_DEG * Math.PI) / 180);
  return ORIGIN_LONGITUDE_DEG + eastM / metresPerDegree;
}

export function altitudeM(northM: number): number {
  return ORIGIN_ALTITUDE_M + ALTITUDE_SWING_M * Math.sin((2 * northM) / MEAN_RADIUS_M);
}

/** Distance from the middle of the track at an angle: a circle with dents, which are the chicane. */
function radiusM(angle: number): number {
  return (
    MEAN_RADIUS_M * (1 + 0.3 * Math.cos(2 * angle) + 0.12 * Math.sin(3 * angle) + 0.12 * Math.cos(5 * angle))
  );
}

/** Measures the outline once, in steps of about a metre; everything later is a look-up between two steps. */
export function layTrack(): Track {
  const outlineEast = new Float64Array(SAMPLES_ON_OUTLINE + 1);
  const outlineNorth = new Float64Array(SAMPLES_ON_OUTLINE + 1);
  const outlineDistance = new Float64Array(SAMPLES_ON_OUTLINE + 1);
  for (let i = 0; i <= SAMPLES_ON_OUTLINE; i++) {
    const angle = (2 * Math.PI * i) / SAMPLES_ON_OUTLINE;
    outlineEast[i] = radiusM(angle) * Math.cos(angle);
    outlineNorth[i] = radiusM(angle) * Math.sin(angle);
    if (i > 0) {
      const eastStep = outlineEast[i]! - outlineEast[i - 1]!;
      const northStep = outlineNorth[i]! - outlineNorth[i - 1]!;
      outlineDistance[i] = outlineDistance[i - 1]! + Math.hypot(eastStep, northStep);
    }
  }

  const lengthM = outlineDistance[SAMPLES_ON_OUTLINE]!;
  const steps = Math.round(lengthM);
  const stepM = lengthM / steps;
  const east = new Float64Array(steps + 1);
  const north = new Float64Array(steps + 1);
  for (let i = 0, j = 0; i <= steps; i++) {
    while (j < SAMPLES_ON_OUTLINE && outlineDistance[j]! < i * stepM) j++;
    east[i] = outlineEast[j]!;
    north[i] = outlineNorth[j]!;
  }

  // Headings are anticlockwise from east and not wrapped, so that two neighbours can be interpolated.
  const heading = new Float64Array(steps + 1);
  const curvature = new Float64Array(steps + 1);
  const limit = new Float64Array(steps + 1);
  for (let i = 0; i <= steps; i++) {
    const before = i === 0 ? steps - 1 : i - 1;
    const after = i === steps ? 1 : i + 1;
    const raw = Math.atan2(north[after]! - north[before]!, east[after]! - east[before]!);
    const previous = i === 0 ? raw : heading[i - 1]!;
    heading[i] = raw + 2 * Math.PI * Math.round((previous - raw) / (2 * Math.PI));
  }
  // Over three metres to each side: drivers cut a sharp corner, and sampling the outline adds some jitter.
  const turn = heading[steps]! - heading[0]!;
  const headingAround = (i: number) =>
    i < 0 ? heading[i + steps]! - turn : i > steps ? heading[i - steps]! + turn : heading[i]!;
  for (let i = 0; i <= steps; i++) {
    curvature[i] = (headingAround(i + 3) - headingAround(i - 3)) / (6 * stepM);
    limit[i] = Math.min(SPEED_MAX_M_PER_S, Math.sqrt(LATERAL_ACCEL_MAX_M_PER_S2 / Math.abs(curvature[i]!)));
  }
  // Backwards twice round: what is braked for may lie beyond the line.
  for (let i = 2 * steps; i > 0; i--) {
    const here = (i - 1) % steps;
    const next = limit[(here + 1) % steps]!;
    limit[here] = Math.min(limit[here]!, Math.sqrt(next * next + 2 * BRAKING_MAX_M_PER_S2 * stepM));
  }
  limit[steps] = limit[0]!;

  const at = (column: Float64Array, distanceM: number) => {
    const position = (distanceM % lengthM) / stepM;
    const index = Math.floor(position);
    const here = column[index]!;
    return here + (column[Math.min(index + 1, steps)]! - here) * (position - index);
  };
  return {
    lengthM,
    eastM: (distanceM) => at(east, distanceM),
    northM: (distanceM) => at(north, distanceM),
    courseDeg: (distanceM) => {
      const degrees = (90 - (at(heading, distanceM) * 180) / Math.PI) % 360;
      return degrees < 0 ? degrees + 360 : degrees;
    },
    curvature: (distanceM) => at(curvature, distanceM),
    speedLimitMPerS: (distanceM) => at(limit, distanceM),
  };
}
