import { STREAM_MESSAGES_AT_ONCE_MAX, STREAM_MESSAGES_PER_S_MAX } from '../../shared/limits.ts';

/** How much a client may still say: a bucket that fills up again. */
export class MessageAllowance {
  #left = STREAM_MESSAGES_AT_ONCE_MAX;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** Takes what a message costs; false where too much was said. */
  take(cost: number, nowMs: number): boolean {
    const gained = ((nowMs - this.#atMs) * STREAM_MESSAGES_PER_S_MAX) / 1000;
    this.#atMs = nowMs;
    this.#left = Math.min(STREAM_MESSAGES_AT_ONCE_MAX, this.#left + gained) - cost;
    return this.#left >= 0;
  }
}
