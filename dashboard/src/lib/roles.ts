import { CAN_BUS_TYPE } from './names.ts';

/**
 * Which signals play which part in a vehicle, from what they are called and measured in: so the kart gets its plan, and
 * another vehicle that has a speed, a position or batteries gets these, too. What has no part is shown by component.
 */

export interface Candidate {
  readonly key: string;
  readonly type: string;
  readonly component: string;
  readonly command: string;
  readonly unit: string | null;
}

/** Where on a vehicle with four wheels. */
export type Corner = 'front-left' | 'front-right' | 'rear-left' | 'rear-right';

export interface Motor {
  readonly name: string;
  readonly corner: Corner | null;
  readonly rpm: string;
  readonly throttle: string | null;
  readonly torque: string | null;
  readonly temperature: string | null;
  readonly current: string | null;
}

export interface Battery {
  readonly name: string;
  readonly corner: Corner | null;
  readonly voltage: string;
  readonly current: string | null;
  readonly temperature: string | null;
  readonly charge: string | null;
}

export interface Light {
  readonly mode: string | null;
  readonly signal: string | null;
  readonly brake: string | null;
  readonly color: string | null;
}

export interface Roles {
  readonly speed: string | null;
  readonly throttle: string | null;
  readonly brake: string | null;
  readonly steering: string | null;
  readonly latitude: string | null;
  readonly longitude: string | null;
  readonly course: string | null;
  readonly accelForward: string | null;
  readonly accelLeft: string | null;
  /** Those of the plan; none where there is no plan. */
  readonly motors: readonly Motor[];
  readonly batteries: readonly Battery[];
  /** By the component's name: FRONT, REAR ... */
  readonly lights: Readonly<Record<string, Light>>;
  /** Words that say how it drives: direction, mode ... */
  readonly words: readonly string[];
  /** Components that have no part above, by type. */
  readonly rest: readonly Group[];
}

export interface Group {
  readonly type: string;
  readonly components: readonly { readonly component: string; readonly keys: readonly string[] }[];
}

/** Fewer motors at corners make no vehicle with four wheels. */
const PLAN_MOTORS_LEAST = 2;
const SPEED_UNITS = ['km/h', 'mph', 'm/s'];

export function findRoles(candidates: readonly Candidate[]): Roles {
  const byKey = new Map(candidates.map((candidate) => [candidate.key, candidate]));
  const used = new Set<string>();
  const take = (key: string | undefined): string | null => {
    if (key === undefined || !byKey.has(key)) return null;
    const { type, component } = byKey.get(key)!;
    used.add(`${type}/${component}`);
    return key;
  };
  const first = (test: (candidate: Candidate) => boolean) => take(candidates.find(test)?.key);
  const control = (component: string) =>
    first((each) => each.component === component && /^(POSITION|ANGLE)$/.test(each.command));

  const components = groupByComponent(candidates);
  const latitude = first(({ command, unit }) => command === 'LATITUDE' && unit === '°');
  const ofPosition = latitude === null ? null : latitude.slice(0, latitude.lastIndexOf('/'));
  const turning = components.filter(([, own]) => own.some(({ unit }) => unit === 'rpm'));
  const hasPlan = turning.filter(([name]) => cornerOf(name) !== null).length >= PLAN_MOTORS_LEAST;
  const motors = turning.flatMap(([name, own]): Motor[] => {
    const rpm = own.find(({ unit }) => unit === 'rpm')!;
    // What is no part of the plan is shown by component.
    if (!hasPlan || cornerOf(name) === null) return [];
    const key = keyIn(own, take);
    return [
      {
        name,
        corner: cornerOf(name),
        rpm: take(rpm.key)!,
        throttle: key('THROTTLE'),
        torque: key('TORQUE'),
        temperature: key('TEMPERATURE'),
        current: key('CURRENT'),
      },
    ];
  });
  const batteries = components.flatMap(([name, own]): Battery[] => {
    if (!/BATTER|^PACK|ACCUMULATOR/.test(name)) return [];
    const key = keyIn(own, take);
    const voltage = key('VOLTAGE');
    if (voltage === null) return [];
    return [
      {
        name,
        corner: cornerOf(name),
        voltage,
        current: key('CURRENT'),
        temperature: key('TEMPERATURE'),
        charge: key('CHARGE') ?? key('STATE_OF_CHARGE') ?? key('SOC'),
      },
    ];
  });
  const lights: Record<string, Light> = {};
  for (const [name, own] of components) {
    if (!hasPlan || !name.startsWith('LIGHTS/')) continue;
    const key = keyIn(own, take);
    lights[name.slice('LIGHTS/'.length)] = {
      mode: key('MODE'),
      signal: key('SIGNAL'),
      brake: key('BRAKE'),
      color: key('COLOR'),
    };
  }
  const words = ['DIRECTION', 'MODE'].flatMap((command) => {
    const found = candidates.find(
      (each) => each.command === command && each.type === 'MOTORS' && each.component !== 'ALL',
    );
    return found === undefined ? [] : [found.key];
  });
  if (motors.length > 0) used.add('MOTORS/ALL');

  const roles = {
    speed: first(({ command, unit }) => SPEED_UNITS.includes(unit ?? '') && command.includes('SPEED')),
    throttle:
      control('THROTTLE') ?? first(({ command, unit }) => command.includes('THROTTLE') && unit === '%'),
    brake: control('BRAKE') ?? first(({ command, unit }) => command.includes('BRAKE') && unit === '%'),
    steering: control('STEERING'),
    latitude,
    longitude: take(`${ofPosition}/LONGITUDE`),
    course: take(`${ofPosition}/COURSE`),
    accelForward: first(({ command }) => command === 'ACCEL_X'),
    accelLeft: first(({ command }) => command === 'ACCEL_Y'),
    motors,
    batteries,
    lights,
    words,
  };
  return { ...roles, rest: restOf(components, used) };
}

function keyIn(own: readonly Candidate[], take: (key: string | undefined) => string | null) {
  return (command: string) => take(own.find((each) => each.command === command)?.key);
}

function groupByComponent(candidates: readonly Candidate[]): [string, Candidate[]][] {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const name = `${candidate.type}/${candidate.component}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [candidate]);
    else group.push(candidate);
  }
  return [...groups];
}

/** Switches and pedals are shown by what they do; sensors of a part that is shown are found among the signals. */
function restOf(components: readonly [string, Candidate[]][], used: ReadonlySet<string>): Group[] {
  const groups = new Map<string, { component: string; keys: string[] }[]>();
  for (const [name, own] of components) {
    const { type, component } = own[0]!;
    // Buses have a view of their own.
    if (used.has(name) || type === CAN_BUS_TYPE) continue;
    const group = groups.get(type) ?? [];
    group.push({ component, keys: own.map(({ key }) => key) });
    groups.set(type, group);
  }
  return [...groups].map(([type, parts]) => ({ type, components: parts }));
}

export function cornerOf(name: string): Corner | null {
  const words = name.split(/[/_\s]/);
  const end = words.includes('FRONT') ? 'front' : words.includes('REAR') ? 'rear' : null;
  const side = words.includes('LEFT') ? 'left' : words.includes('RIGHT') ? 'right' : null;
  return end === null || side === null ? null : `${end}-${side}`;
}
