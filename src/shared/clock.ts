import { CLOCK_STEP_UNKNOWN_US, CLOCK_STEP_US } from './limits.ts';

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

/** The wall clock and one that never jumps (but may stand still while the machine sleeps), at one moment. */
export interface ClockReading {
  readonly wallClockUs: number;
  readonly monotonicMs: number;
}

export function readClock(): ClockReading {
  return { wallClockUs: wallClockUs(), monotonicMs: performance.now() };
}

/** How samples are stamped from some moment on. */
export interface ClockState {
  /** The run of the machine; null where timestamps aren't those of its clock, or it can't be asked. */
  readonly bootId: string | null;
  /** The wall clock less the time since the machine's start, in microseconds; 0 without one. */
  readonly offsetUs: number;
  /** Whether the kernel says that it is kept to the right time; null where it doesn't say. */
  readonly isSynchronized: boolean | null;
}

/** Of a clock that isn't the system's: nothing is known of it, and nothing corrected. */
export const NO_CLOCK: ClockState = { bootId: null, offsetUs: 0, isSynchronized: null };

/** What happened to the clock. */
export interface ClockChange extends ClockState {
  /** How far it was set; 0 where only isSynchronized has changed. */
  readonly stepUs: number;
  /** What the timestamps before, as far as they aren't known to be right, are to be moved by; 0 where they stay. */
  readonly correctionUs: number;
}

/**
 * Whether a step makes the clock right, so that what was recorded before it is moved along: any step of a clock that
 * wasn't synchronised, none of one that was. Where nobody knows, a large one forward: of a clock that began in the past.
 */
export function isCorrection(stepUs: number, wasSynchronized: boolean | null): boolean {
  if (wasSynchronized === null) return stepUs >= CLOCK_STEP_UNKNOWN_US;
  return !wasSynchronized && Math.abs(stepUs) >= CLOCK_STEP_US;
}

/**
 * The first of the sequence numbers whose timestamps a later step may still move; null where there are none. `seq` is
 * the first after the change.
 */
export function uncertainAfter(
  uncertainFromSeq: number | null,
  { isSynchronized, bootId, stepUs, correctionUs }: ClockChange,
  seq: number,
): number | null {
  if (isSynchronized === true || bootId === null) return null;
  const isSettled = stepUs !== 0 && correctionUs === 0;
  return isSettled ? seq : (uncertainFromSeq ?? seq);
}
