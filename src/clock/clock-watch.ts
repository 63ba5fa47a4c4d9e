import {
  type ClockChange,
  type ClockReading,
  type ClockState,
  isCorrection,
  NO_CLOCK,
  readClock,
} from '../shared/clock.ts';
import { bootId, clockOffsetUs, isClockSynchronized } from '../shared/kernel-clock.ts';
import { CLOCK_ASK_INTERVAL_MS, CLOCK_SETTLE_MS, CLOCK_STEP_US, CLOCK_STEPS_KEPT } from '../shared/limits.ts';

/** The system's clocks. */
export interface SystemClock {
  read(): ClockReading;
  offsetUs(): number | null;
  isSynchronized(): boolean | null;
  bootId(): string | null;
}

export const SYSTEM_CLOCK: SystemClock = {
  read: readClock,
  offsetUs: clockOffsetUs,
  isSynchronized: isClockSynchronized,
  bootId,
};

export interface ClockStep {
  /** By the clock as it is since. */
  readonly atUs: number;
  readonly stepUs: number;
  /** Whether what was recorded before is moved along. */
  readonly isCorrection: boolean;
}

/** Date.now() has whole milliseconds: a frame's timestamp may seem to lie so much ahead of it. */
const WALL_CLOCK_RESOLUTION_US = 2000;

/**
 * Watches the system's clock: sees when it is set, and whether it is kept to the right time. A look costs two readings of clocks;
 * only where these have come apart, and once a second, is the kernel asked. Slewing doesn't count as a step, nor sleep.
 */
export class ClockWatch {
  readonly #clock: SystemClock;
  readonly #mayCorrect: boolean;
  readonly #onChange: (change: ClockChange) => void;
  readonly #bootId: string | null;
  /** The wall clock less the monotonic one when it was looked at last: where it differs, more is asked. */
  #apartUs: number;
  /** Null where it can't be asked; then sleep can't be told from a step, and nothing is corrected. */
  #offsetUs: number | null;
  #isSynchronized: boolean | null;
  #askedMs: number;
  readonly #steps: ClockStep[] = [];
  #stepCount = 0;
  /** The last step that corrects, while frames from before may still come. */
  #settling: { readonly stepUs: number; readonly oldUntilUs: number; readonly untilMs: number } | null = null;

  /** `mayCorrect`: whether timestamps are the system's, so that a step may correct them. */
  constructor(onChange: (change: ClockChange) => void, mayCorrect: boolean, clock = SYSTEM_CLOCK) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#offsetUs = clock.offsetUs();
    this.#bootId = this.#offsetUs === null ? null : clock.bootId();
    this.#mayCorrect = mayCorrect && this.#bootId !== null;
    this.#isSynchronized = clock.isSynchronized();
    const reading = clock.read();
    this.#apartUs = apartUs(reading);
    this.#askedMs = reading.monotonicMs;
  }

  /** How samples are stamped now. */
  get state(): ClockState {
    if (!this.#mayCorrect) return NO_CLOCK;
    return { bootId: this.#bootId, offsetUs: this.#offsetUs!, isSynchronized: this.#isSynchronized };
  }

  /** Looks at the clock, and tells of what has changed; gives what was seen. */
  check(): ClockReading {
    const reading = this.#clock.read();
    // Half a step, so that the resolution of the wall clock hides none.
    const isApart = Math.abs(apartUs(reading) - this.#apartUs) >= CLOCK_STEP_US / 2;
    if (isApart) this.#lookCloser(reading);
    else if (reading.monotonicMs - this.#askedMs >= CLOCK_ASK_INTERVAL_MS) this.#ask(reading, 0);
    return reading;
  }

  #lookCloser(reading: ClockReading): void {
    const apart = apartUs(reading);
    const offsetUs = this.#clock.offsetUs();
    const stepUs =
      offsetUs === null || this.#offsetUs === null
        ? Math.round(apart - this.#apartUs)
        : offsetUs - this.#offsetUs;
    this.#apartUs = apart;
    // Otherwise the machine slept, or small steps are adding up.
    if (Math.abs(stepUs) < CLOCK_STEP_US) return;
    this.#offsetUs = offsetUs;
    this.#ask(reading, stepUs);
  }

  #ask({ wallClockUs, monotonicMs }: ClockReading, stepUs: number): void {
    const wasSynchronized = this.#isSynchronized;
    this.#isSynchronized = this.#clock.isSynchronized();
    this.#askedMs = monotonicMs;
    if (stepUs === 0 && this.#isSynchronized === wasSynchronized) return;
    const corrects = this.#mayCorrect && isCorrection(stepUs, wasSynchronized);
    if (stepUs !== 0) {
      this.#stepCount++;
      this.#steps.push({ atUs: wallClockUs, stepUs, isCorrection: corrects });
      if (this.#steps.length > CLOCK_STEPS_KEPT) this.#steps.shift();
      this.#settling = corrects
        ? { stepUs, oldUntilUs: wallClockUs - stepUs, untilMs: monotonicMs + CLOCK_SETTLE_MS }
        : null;
    }
    this.#onChange({ ...this.state, stepUs, correctionUs: corrects ? stepUs : 0 });
  }

  /** Whether there may still be timestamps on the way that are from before a step. */
  get isSettling(): boolean {
    if (this.#settling === null) return false;
    if (this.#clock.read().monotonicMs < this.#settling.untilMs) return true;
    this.#settling = null;
    return false;
  }

  /** A timestamp that comes now, as the clock would say it that is right: moved, if it is from before the step. */
  corrected(timestampUs: number): number {
    if (!this.isSettling) return timestampUs;
    const { stepUs, oldUntilUs } = this.#settling!;
    // The clock that was behind hadn't come further; the one that was ahead stamps what is yet to come.
    const newestUs = stepUs > 0 ? oldUntilUs : this.#clock.read().wallClockUs;
    const isBeyond = timestampUs > newestUs + WALL_CLOCK_RESOLUTION_US;
    return isBeyond === stepUs > 0 ? timestampUs : timestampUs + stepUs;
  }

  status(): { isSynchronized: boolean | null; stepCount: number; steps: readonly ClockStep[] } {
    return { isSynchronized: this.#isSynchronized, stepCount: this.#stepCount, steps: this.#steps };
  }
}

function apartUs({ wallClockUs, monotonicMs }: ClockReading): number {
  return wallClockUs - monotonicMs * 1000;
}
