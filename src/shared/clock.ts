/**
 * The wall clock in integer microseconds since the epoch; it jumps when the system's clock is set.
 * (performance.timeOrigin + performance.now() would be finer, but is blind to such a step.)
 */
export function wallClockUs(): number {
  return Date.now() * 1000;
}

/** A moment as messages tell it: 2026-11-24 07:01:45 UTC. */
export function timeText(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
