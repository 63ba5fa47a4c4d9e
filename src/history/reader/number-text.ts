/**
 * Numbers as text, written byte by byte where they are to stand: no string is made of those that are usual. Each function
 * writes from an index on and returns that of the next byte; what it writes is what JavaScript would.
 */

/** Integers below are written with the processor's own integers. */
const SMALL_MAX = 2 ** 31 - 1;
/** What a number is cut at that is larger than that. */
const BILLION = 1_000_000_000;

const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_0 = 0x30;

const POWERS_OF_TEN = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000] as const;

/** Any number, as JSON has it. */
export function writeNumber(bytes: Uint8Array, at: number, value: number): number {
  return Number.isSafeInteger(value) ? writeInteger(bytes, at, value) : writeText(bytes, at, String(value));
}

/** A safe integer. */
export function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    bytes[at] = MINUS;
    return writeInteger(bytes, at + 1, -value);
  }
  if (value <= SMALL_MAX) return writeSmall(bytes, at, value | 0);
  const billions = Math.floor(value / BILLION);
  const next = writeInteger(bytes, at, billions);
  return writeDigits(bytes, next, (value - billions * BILLION) | 0, 9);
}

/** An integer by a power of ten, 10^6 at most. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number, decimals: number): number {
  const divisor = POWERS_OF_TEN[decimals]!;
  if (decimals === 0) return writeNumber(bytes, at, value);
  if (!Number.isInteger(value) || value > SMALL_MAX || value < -SMALL_MAX) {
    return writeNumber(bytes, at, value / divisor);
  }
  let next = at;
  if (value < 0) bytes[next++] = MINUS;
  const size = Math.abs(value) | 0;
  const whole = (size / divisor) | 0;
  next = writeSmall(bytes, next, whole);
  let rest = size - whole * divisor;
  if (rest === 0) return next;
  let digits = decimals;
  for (; rest % 10 === 0; digits--) rest = (rest / 10) | 0;
  bytes[next++] = POINT;
  return writeDigits(bytes, next, rest, digits);
}

/** Integer microseconds, as a number of seconds with six decimals: dividing would round the last of them now and then. */
export function writeMicroseconds(bytes: Uint8Array, at: number, us: number): number {
  const seconds = Math.floor(us / 1_000_000);
  const next = writeInteger(bytes, at, seconds);
  bytes[next] = POINT;
  return writeDigits(bytes, next + 1, (us - seconds * 1_000_000) | 0, 6);
}

function writeSmall(bytes: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound && digits < 10; bound *= 10) digits++;
  return writeDigits(bytes, at, value, digits);
}

/** So many digits, of zeros first where the value has fewer. */
function writeDigits(bytes: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    const tenth = (rest / 10) | 0;
    bytes[place] = DIGIT_0 + rest - 10 * tenth;
    rest = tenth;
  }
  return at + digits;
}

/** Of characters that UTF-8 has one byte for. */
function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}
