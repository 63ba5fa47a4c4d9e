import { beginDrawing, speedColor, themeColor } from './canvas.ts';
import type { Trail } from './trail.ts';

const MARGIN_PX = 26;
/** A vehicle that stands is not shown larger than life. */
const SPAN_LEAST_M = 40;
/** Positions come in steps of metres: a mean over some of them is nearer to where it was. */
const SMOOTHED = 2;
const SPEED_STEPS = 12;

/** Draws the trail, slow to fast by colour, north up, with a scale, and an arrow where the vehicle is. */
export function drawTrackMap(
  canvas: HTMLCanvasElement,
  trail: Trail,
  courseDegrees: number,
  isStale: boolean,
): void {
  const drawing = beginDrawing(canvas);
  if (drawing === null || trail.length === 0) return;
  const { context, width, height } = drawing;
  const { west, east, south, north, fastest } = trail.bounds();
  const scale = Math.min(
    (width - 2 * MARGIN_PX) / Math.max(east - west, SPAN_LEAST_M),
    (height - 2 * MARGIN_PX) / Math.max(north - south, SPAN_LEAST_M),
  );
  const x = (eastM: number) => width / 2 + (eastM - (west + east) / 2) * scale;
  const y = (northM: number) => height / 2 - (northM - (south + north) / 2) * scale;

  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.strokeStyle = themeColor('line');
  context.lineWidth = 11;
  strokeTrail(context, trail, x, y);
  context.lineWidth = 5;
  if (isStale) {
    context.strokeStyle = themeColor('faint');
    strokeTrail(context, trail, x, y);
  } else {
    strokeBySpeed(context, trail, x, y, fastest);
  }
  drawVehicle(
    context,
    x(smooth(trail.east, trail.length - 1, trail)),
    y(smooth(trail.north, trail.length - 1, trail)),
    courseDegrees,
    isStale,
  );
  drawScale(context, scale, height);
}

/** The mean of a position and those beside it, of those that belong to one way. */
function smooth(column: Float64Array, at: number, trail: Trail): number {
  let sum = column[at]!;
  let count = 1;
  for (let each = at; each > at - SMOOTHED && trail.isStart[each] === 0; each--, count++)
    sum += column[each - 1]!;
  for (let each = at + 1; each <= at + SMOOTHED && each < trail.length; each++, count++) {
    if (trail.isStart[each] === 1) break;
    sum += column[each]!;
  }
  return sum / count;
}

type Place = (metres: number) => number;

function strokeTrail(context: CanvasRenderingContext2D, trail: Trail, x: Place, y: Place): void {
  context.beginPath();
  for (let at = 0; at < trail.length; at++) {
    const [left, top] = [x(smooth(trail.east, at, trail)), y(smooth(trail.north, at, trail))];
    if (trail.isStart[at] === 1) context.moveTo(left, top);
    else context.lineTo(left, top);
  }
  context.stroke();
}

/** Pieces of one colour in one stroke: steps of speed rather than a colour for each piece. */
function strokeBySpeed(
  context: CanvasRenderingContext2D,
  trail: Trail,
  x: Place,
  y: Place,
  fastest: number,
): void {
  const stepAt = (at: number) => Math.round((SPEED_STEPS * trail.speed[at]!) / (fastest || 1));
  let step = -1;
  for (let at = 1; at < trail.length; at++) {
    if (trail.isStart[at] === 1) continue;
    if (stepAt(at) !== step || trail.isStart[at - 1] === 1) {
      if (step >= 0) context.stroke();
      step = stepAt(at);
      context.strokeStyle = speedColor(step / SPEED_STEPS);
      context.beginPath();
      context.moveTo(x(smooth(trail.east, at - 1, trail)), y(smooth(trail.north, at - 1, trail)));
    }
    context.lineTo(x(smooth(trail.east, at, trail)), y(smooth(trail.north, at, trail)));
  }
  if (step >= 0) context.stroke();
}

function drawVehicle(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  courseDegrees: number,
  isStale: boolean,
): void {
  context.save();
  context.translate(x, y);
  context.rotate((courseDegrees * Math.PI) / 180);
  context.beginPath();
  context.moveTo(0, -13);
  context.lineTo(9, 10);
  context.lineTo(0, 5);
  context.lineTo(-9, 10);
  context.closePath();
  context.fillStyle = themeColor(isStale ? 'faint' : 'text');
  context.strokeStyle = themeColor('panel');
  context.lineWidth = 3;
  context.stroke();
  context.fill();
  context.restore();
}

function drawScale(context: CanvasRenderingContext2D, scale: number, height: number): void {
  const lengths = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
  const metres = lengths.find((each) => each * scale >= 48) ?? lengths.at(-1)!;
  const [left, bottom] = [8, height - 8];
  context.strokeStyle = themeColor('dim');
  context.fillStyle = themeColor('dim');
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(left, bottom - 5);
  context.lineTo(left, bottom);
  context.lineTo(left + metres * scale, bottom);
  context.lineTo(left + metres * scale, bottom - 5);
  context.stroke();
  context.font = '600 11.5px Inter, Roboto, system-ui, sans-serif';
  context.fillText(metres >= 1000 ? `${metres / 1000} km` : `${metres} m`, left + 5, bottom - 6);
}
