/** How values are shown: in the unit that people think in, with as many digits as tell something. */

export interface UnitChoice {
  readonly speed: 'km/h' | 'mph';
  readonly temperature: '°C' | '°F';
}

/** shown = value * factor + offset */
export interface ShownUnit {
  readonly unit: string;
  readonly factor: number;
  readonly offset: number;
  /** After the point; null for as many as the value has. */
  readonly digits: number | null;
}

const KMH_PER_MPH = 1.609344;
const AS_IT_IS = { factor: 1, offset: 0 };

const FIXED: Readonly<Record<string, ShownUnit>> = {
  mV: { unit: 'V', factor: 1e-3, offset: 0, digits: 2 },
  mA: { unit: 'A', factor: 1e-3, offset: 0, digits: 2 },
  rpm: { unit: 'rpm', ...AS_IT_IS, digits: 0 },
  '%': { unit: '%', ...AS_IT_IS, digits: 0 },
  N·m: { unit: 'N·m', ...AS_IT_IS, digits: 1 },
  'm/s²': { unit: 'm/s²', ...AS_IT_IS, digits: 2 },
  'rad/s': { unit: 'rad/s', ...AS_IT_IS, digits: 3 },
  '°': { unit: '°', ...AS_IT_IS, digits: 5 },
  m: { unit: 'm', ...AS_IT_IS, digits: 1 },
};

export function shownUnit(unit: string | null, choice: UnitChoice): ShownUnit {
  switch (unit) {
    case null:
      return { unit: '', ...AS_IT_IS, digits: null };
    case '°C':
      return choice.temperature === '°F'
        ? { unit: '°F', factor: 1.8, offset: 32, digits: 0 }
        : { unit: '°C', ...AS_IT_IS, digits: 1 };
    case 'km/h':
      return choice.speed === 'mph'
        ? { unit: 'mph', factor: 1 / KMH_PER_MPH, offset: 0, digits: 1 }
        : { unit: 'km/h', ...AS_IT_IS, digits: 1 };
    default:
      return FIXED[unit] ?? { unit, ...AS_IT_IS, digits: null };
  }
}

/** The value as text, without its unit. */
export function formatValue(value: number, { factor, offset, digits }: ShownUnit): string {
  if (!Number.isFinite(value)) return '–';
  const shown = value * factor + offset;
  if (digits !== null) return withMinus(shown.toFixed(digits));
  if (Number.isInteger(shown)) return withMinus(String(shown));
  return withMinus(String(Number(shown.toPrecision(6))));
}

/** From so many seconds on the greatest two units tell more than the number does. */
export const DURATION_LEAST_S = 120;

/** The value and its unit as people read them: bytes and long times in the units that fit. */
export function formatShown(
  value: number,
  shown: ShownUnit,
): { readonly text: string; readonly unit: string } {
  if (Number.isFinite(value) && shown.unit === 'B') {
    const [text, unit] = formatBytes(value).split(' ') as [string, string];
    return { text: withMinus(text), unit };
  }
  if (shown.unit === 's' && value >= DURATION_LEAST_S && Number.isFinite(value))
    return { text: formatDuration(value), unit: '' };
  return { text: formatValue(value, shown), unit: shown.unit };
}

/** A true minus sign is as wide as a digit, and no zero has one. */
function withMinus(text: string): string {
  if (!text.startsWith('-')) return text;
  return /^-[0.]*$/.test(text) ? text.slice(1) : `−${text.slice(1)}`;
}

const BINARY_PREFIXES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let prefix = 0;
  for (; value >= 1024 && prefix < BINARY_PREFIXES.length - 1; prefix++) value /= 1024;
  return `${value.toFixed(prefix === 0 || value >= 100 ? 0 : 1)} ${BINARY_PREFIXES[prefix]}`;
}

const COUNT_DIGITS = 3;

/** 12,345,678 as 12.3M: for counters. */
export function formatCount(count: number): string {
  if (count < 10_000) return count.toLocaleString('en');
  return new Intl.NumberFormat('en', {
    notation: 'compact',
    minimumSignificantDigits: COUNT_DIGITS,
    maximumSignificantDigits: COUNT_DIGITS,
  }).format(count);
}

/** A length of time by its two greatest units: 2 d 4 h. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const steps: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const rounded = Math.round(seconds);
  const first = steps.findIndex(([length]) => rounded >= length);
  const [length, unit] = steps[first]!;
  const whole = Math.floor(rounded / length);
  const next = steps[first + 1];
  const rest = next === undefined ? 0 : Math.floor((rounded % length) / next[0]);
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${next![1]}`;
}

/** How long ago, in a few letters. */
export function formatAge(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 1) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 100) return `${Math.floor(seconds)} s`;
  return formatDuration(seconds);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
/** Of a second, what a trace tells. */
const TICKS_PER_S = 10_000;

/** A time of the day to a tenth of a millisecond, in the time zone of who looks. */
export function formatClock(timeS: number): string {
  // Rounded once, so that seconds and their fraction are of the same time.
  const ticks = Math.round(timeS * TICKS_PER_S);
  const fraction = String(ticks % TICKS_PER_S).padStart(4, '0');
  return `${CLOCK.format(new Date(Math.floor(ticks / TICKS_PER_S) * 1000))}.${fraction}`;
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** In the time zone of who looks; with the date where it isn't today's. */
export function formatTime(timeS: number, nowS = Date.now() / 1000): string {
  const date = new Date(timeS * 1000);
  const isToday = date.toDateString() === new Date(nowS * 1000).toDateString();
  return (isToday ? TIME : DATE_TIME).format(date);
}
