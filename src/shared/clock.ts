/**
 * The wall clock in integer microseconds since the epoch; it jumps when the system's clock is set.
 * (performance.timeOrigin + performance.now() would be finer, but is blind to such a step.)
 */
export function wallClockUs(): number {
  return Date.now() * 1000;
}
