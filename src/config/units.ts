/**
 * Durations and sizes as people write them: a number and its unit, `30d` or `10MiB`. A number alone
 * is no duration, since nobody can tell whether it means seconds or milliseconds.
 */

export const DURATION_UNITS_MS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** For settings that may be finer than a millisecond. */
export const FINE_DURATION_UNITS_US = { us: 1, ms: 1_000, s: 1_000_000 } as const;

export const SIZE_UNITS_BYTES = {
  B: 1,
  kB: 1_000,
  KiB: 1_024,
  MB: 1_000_000,
  MiB: 1_048_576,
  GB: 1_000_000_000,
  GiB: 1_073_741_824,
} as const;

/** Milliseconds, or undefined where `text` is no duration that is a whole number of milliseconds. */
export function parseDurationMs(text: string): number | undefined {
  return parseWithUnit(text, DURATION_UNITS_MS);
}

/** Microseconds, or undefined where `text` is no duration in us, ms or s that is a whole number of them. */
export function parseDurationUs(text: string): number | undefined {
  return parseWithUnit(text, FINE_DURATION_UNITS_US);
}

/** Bytes, or undefined where `text` is no size that is a whole number of bytes. */
export function parseSizeBytes(text: string): number | undefined {
  return parseWithUnit(text, SIZE_UNITS_BYTES);
}

/** In the largest unit that gives a whole number: 90000 is 90s, 86400000 is 1d. */
export function formatDurationMs(durationMs: number): string {
  return formatWithUnit(durationMs, DURATION_UNITS_MS);
}

/** In the largest unit that gives a whole number: 1500 is 1500us, 2000 is 2ms. */
export function formatDurationUs(durationUs: number): string {
  return formatWithUnit(durationUs, FINE_DURATION_UNITS_US);
}

/** In the unit that gives the smallest whole number: 10485760 is 10MiB, 500000 is 500kB. */
export function formatSizeBytes(sizeBytes: number): string {
  return formatWithUnit(sizeBytes, SIZE_UNITS_BYTES);
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,16}(?:\.\d{1,9})?) ?([A-Za-z]{1,3})$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;

  // 1.1 × 1000 isn't 1100 in binary floating point, so a product next to a whole number counts as it.
  const exact = Number(digits) * units[unit]!;
  const value = Math.round(exact);
  return Number.isSafeInteger(value) && Math.abs(exact - value) <= 1e-6 ? value : undefined;
}

function formatWithUnit(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, factor]) => value % factor === 0);
  const [unit, factor] = (value === 0 ? fitting[0] : fitting.at(-1)) ?? ['', 1];
  return `${value / factor}${unit}`;
}
