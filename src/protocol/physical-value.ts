/**
 * Raw counts and physical values: value = rawValue * scale, without floating-point dust.
 *
 * 0.01 has no exact double and 1234 * 0.01 is 12.340000000000002, but 100 is exact and a division
 * rounds once: 1234 / 100 is 12.34. So a scale that is one over an integer divides by that integer.
 */

/** Beyond the last, JavaScript writes small numbers with an exponent. */
const POWERS_OF_TEN = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

/** Both directions of one scale, chosen once where a signal becomes known, not per sample. */
export interface PhysicalConversion {
  toPhysical(rawValue: number): number;
  /** The nearest raw count; whether the value type can hold it is the encoder's to check. */
  toRaw(value: number): number;
}

export function physicalConversion(scale: number): PhysicalConversion {
  if (scale === 1) return { toPhysical: (rawValue) => rawValue, toRaw: roundToCount };
  const divisor = divisorOf(scale);
  if (divisor === null) {
    return { toPhysical: (rawValue) => rawValue * scale, toRaw: (value) => roundToCount(value / scale) };
  }
  return { toPhysical: (rawValue) => rawValue / divisor, toRaw: (value) => roundToCount(value * divisor) };
}

/** One value in physical units; for many of one scale, keep its physicalConversion. */
export function toPhysical(rawValue: number, scale: number): number {
  return physicalConversion(scale).toPhysical(rawValue);
}

/** The nearest raw count of one physical value; for many of one scale, keep its physicalConversion. */
export function toRaw(value: number, scale: number): number {
  return physicalConversion(scale).toRaw(value);
}

/** How many decimals values of a scale have at most, where that is a tenth, a hundredth and so on; null elsewhere. */
export function decimalsOf(scale: number): number | null {
  const decimals = POWERS_OF_TEN.indexOf(scale === 1 ? 1 : (divisorOf(scale) ?? 0));
  return decimals < 0 ? null : decimals;
}

/** The integer of which `scale` is the reciprocal, or null. */
function divisorOf(scale: number): number | null {
  const divisor = Math.round(1 / scale);
  return Math.abs(divisor) > 1 && 1 / divisor === scale ? divisor : null;
}

/** Adding 0 turns -0, which Math.round gives for -0.4, into 0. */
function roundToCount(count: number): number {
  return Math.round(count) + 0;
}
