import { QueryError } from '../shared/errors.ts';

const SECONDS = /^(\d{1,11})(?:\.(\d+))?$/;
const ISO_8601 =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+ -])(\d\d)(?::?(\d\d))?)?)?$/;

/**
 * Reads a time as queries give it: seconds since the epoch or ISO 8601, UTC where no offset is given, both
 * with as many decimals as one likes. Returns integer microseconds. Throws QueryError 400 TIME_INVALID.
 */
export function parseTime(name: string, text: string): number {
  const seconds = SECONDS.exec(text);
  if (seconds !== null) return Number(seconds[1]) * 1_000_000 + microseconds(seconds[2]);
  const date = ISO_8601.exec(text);
  const timestampUs = date === null ? Number.NaN : timestampUsOf(date);
  if (Number.isNaN(timestampUs)) {
    throw new QueryError(
      400,
      'TIME_INVALID',
      `Expected ${name} as seconds since the epoch (1764000000.5) or ISO 8601 (2025-11-24T16:00:00.5Z), found "${text.slice(0, 60)}".`,
    );
  }
  return timestampUs;
}

/** The beginning and the end of what is asked for, both inclusive. Throws QueryError 400 TIME_INVALID. */
export function parseTimeSpan(
  from: string | undefined,
  to: string | undefined,
): { readonly fromUs: number | undefined; readonly toUs: number | undefined } {
  const fromUs = from === undefined ? undefined : parseTime('from', from);
  const toUs = to === undefined ? undefined : parseTime('to', to);
  if (fromUs !== undefined && toUs !== undefined && fromUs > toUs) {
    throw new QueryError(
      400,
      'TIME_INVALID',
      `Expected from to be no later than to, found ${from} and ${to}.`,
    );
  }
  return { fromUs, toUs };
}

function timestampUsOf([
  ,
  year,
  month,
  day,
  hour,
  minute,
  second,
  fraction,
  sign,
  offsetHours,
  offsetMinutes,
]: RegExpExecArray): number {
  // Date.UTC would take the year 25 for 1925.
  const midnightMs = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  // It takes February 30th for March 2nd; people who ask for it made a mistake.
  const midnight = new Date(midnightMs);
  const isDate = midnight.getUTCMonth() === Number(month) - 1 && midnight.getUTCDate() === Number(day);
  const areHours = Number(hour ?? 0) < 24 && Number(offsetHours ?? 0) < 24;
  const areMinutes = Number(minute ?? 0) < 60 && Number(offsetMinutes ?? 0) < 60;
  if (!isDate || !areHours || !areMinutes || Number(second ?? 0) >= 60) return Number.NaN;
  // In a query string a plus that wasn't escaped arrives as a space.
  const direction = sign === '-' ? 1 : -1;
  const minutes =
    Number(hour ?? 0) * 60 +
    Number(minute ?? 0) +
    direction * (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0));
  return (midnightMs + minutes * 60_000 + Number(second ?? 0) * 1000) * 1000 + microseconds(fraction);
}

/** The digits behind a decimal point, as microseconds; what is finer is cut off. */
function microseconds(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0'));
}
