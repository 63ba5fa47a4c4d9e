import {
  BUS_WATCH_MS,
  SILENCE_BATCHES_MIN,
  SILENCE_MIN_MS,
  SILENCE_PAUSES,
  SILENCE_WINDOW_MS,
  SILENCES_LEARNED,
} from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import type { FrameBatch } from './frame-batch.ts';

/** What was heard in a stretch of time. */
interface Stretch {
  longestPauseMs: number;
  silences: number;
}

/** Not of another node: what the controller says of errors, and what we have sent ourselves. */
const NOT_HEARD = FRAME_FLAG.ERROR | FRAME_FLAG.OWN;

/**
 * Tells when a bus on which others spoke has fallen silent: nothing came for many times its longest pause of the last
 * ten to twenty minutes, and for some seconds at least. A silence is no pause to learn from, but for the third in such
 * a time: then it is the bus's way, as that of one which says something once a minute.
 *
 * Times are of a clock that never jumps, in milliseconds.
 */
export class SilenceWatch {
  #batches = 0;
  /** When something came last, or listening began; null while the bus isn't listened to. */
  #lastMs: number | null = null;
  #checkedMs = 0;
  #isSilent = false;
  #present: Stretch = { longestPauseMs: 0, silences: 0 };
  #before: Stretch = { longestPauseMs: 0, silences: 0 };
  #presentSinceMs = 0;

  /** The longest pause that is usual here. */
  get usualPauseMs(): number {
    return Math.max(this.#present.longestPauseMs, this.#before.longestPauseMs);
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** When something came last, or listening began. */
  get lastMs(): number | null {
    return this.#lastMs;
  }

  /** The bus is read from now on. */
  listen(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#checkedMs = nowMs;
  }

  /** The bus isn't read any more: that nothing comes has another reason. */
  pause(): void {
    this.#lastMs = null;
    this.#isSilent = false;
  }

  /** Takes note of frames. Returns how long the silence was that they end, null where there was none. */
  observe(frames: FrameBatch, nowMs: number): number | null {
    if (this.#lastMs === null || !isHeard(frames)) return null;
    const pauseMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    // Before the first it may have been a night.
    if (this.#batches++ === 0) return null;
    if (nowMs - this.#presentSinceMs >= SILENCE_WINDOW_MS) {
      this.#before = this.#present;
      this.#present = { longestPauseMs: 0, silences: 0 };
      this.#presentSinceMs = nowMs;
    }
    const present = this.#present;
    const wasSilent = this.#isSilent;
    this.#isSilent = false;
    if (wasSilent) present.silences++;
    if (!wasSilent || present.silences + this.#before.silences >= SILENCES_LEARNED) {
      present.longestPauseMs = Math.max(present.longestPauseMs, pauseMs);
    }
    return wasSilent ? pauseMs : null;
  }

  /** To be called every BUS_WATCH_MS. Returns whether the bus has fallen silent since the last time. */
  check(nowMs: number): boolean {
    // Who comes late was held up himself: what has come meanwhile is yet to be seen.
    const isLate = nowMs - this.#checkedMs > 2 * BUS_WATCH_MS;
    this.#checkedMs = nowMs;
    if (isLate || this.#isSilent || this.#lastMs === null || this.#batches < SILENCE_BATCHES_MIN)
      return false;
    this.#isSilent = nowMs - this.#lastMs > Math.max(SILENCE_MIN_MS, SILENCE_PAUSES * this.usualPauseMs);
    return this.#isSilent;
  }
}

function isHeard({ flags, count }: FrameBatch): boolean {
  for (let at = 0; at < count; at++) if ((flags[at]! & NOT_HEARD) === 0) return true;
  return false;
}
