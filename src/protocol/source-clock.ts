import { STANDARD_CAN_ID_MAX } from '../bus/can-frame.ts';
import {
  SOURCE_CREDIT_MAX,
  SOURCE_CREDIT_MIN,
  SOURCE_DELAY_MIN_MS,
  SOURCE_SYNC_AGE_MAX_MS,
} from '../shared/limits.ts';

/** What byte 1 counts up to. */
const PERIOD_MS = 256;

const NEVER = -1;

const NODES = STANDARD_CAN_ID_MAX + 1;

/**
 * When the nodes of one bus made their frames, by byte 1: milliseconds since the node's time was set, modulo 256.
 *
 *   SET_TIME on the bus                    the node makes a frame     it is on the bus
 *        │◀────────── byte 1 (+ 256 n) ms ──────────▶│◀──── delay ────▶│
 *        │◀──────────────── the timestamps' difference ───────────────▶│
 *
 * The frame's own timestamp is finer and by our clock, so it stays unless the frame is late: by SOURCE_DELAY_MIN_MS or
 * more, as it is when it waited in the node or for the bus. What may be wrong is left as it is: byte 1 is 0 where a node
 * doesn't know its time (any more); it isn't believed before it has agreed with many timestamps, so that a node that
 * sends something else there changes nothing; and what is late by nearly 256 ms comes from a clock that is ahead.
 *
 * A node's frames never go backwards, nor beyond the timestamps that they had.
 */
export class SourceClock {
  /** By node: when its time was set, in microseconds; NEVER where it wasn't. */
  readonly #syncedUs = new Float64Array(NODES).fill(NEVER);
  /** By node: the timestamp that its last frame was given since. */
  readonly #lastUs = new Float64Array(NODES);
  /** By node: how far byte 1 is to be believed. */
  readonly #credit = new Uint8Array(NODES);
  #nodes = 0;
  #framesRedated = 0;

  /** Nodes whose byte 1 is looked at. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Frames that were given an earlier timestamp. */
  get framesRedated(): number {
    return this.#framesRedated;
  }

  /** A node's time was set by a frame with this timestamp. */
  sync(nodeId: number, timestampUs: number): void {
    if (this.#syncedUs[nodeId] === NEVER) this.#nodes++;
    this.#syncedUs[nodeId] = timestampUs;
    this.#lastUs[nodeId] = Math.max(this.#lastUs[nodeId]!, timestampUs);
  }

  /** Nothing is known of a node's time any more. */
  forget(nodeId: number): void {
    if (this.#syncedUs[nodeId] !== NEVER) this.#nodes--;
    this.#syncedUs[nodeId] = NEVER;
    this.#lastUs[nodeId] = 0;
    this.#credit[nodeId] = 0;
  }

  forgetAll(): void {
    this.#syncedUs.fill(NEVER);
    this.#lastUs.fill(0);
    this.#credit.fill(0);
    this.#nodes = 0;
  }

  /** When a node made the frame with this byte 1 and timestamp, in microseconds; the timestamp where that is as good. */
  dated(nodeId: number, byte1: number, timestampUs: number): number {
    const syncedUs = this.#syncedUs[nodeId]!;
    if (syncedUs === NEVER) return timestampUs;
    const elapsedMs = Math.floor((timestampUs - syncedUs) / 1000);
    if (elapsedMs < 0 || elapsedMs > SOURCE_SYNC_AGE_MAX_MS) {
      this.forget(nodeId);
      return timestampUs;
    }
    const givenUs = this.#isLate(nodeId, byte1, elapsedMs)
      ? // In the midst of the millisecond that byte 1 tells.
        syncedUs + (elapsedMs - delayMs(byte1, elapsedMs)) * 1000 + 500
      : timestampUs;
    const datedUs = Math.min(timestampUs, Math.max(givenUs, this.#lastUs[nodeId]!));
    this.#lastUs[nodeId] = datedUs;
    if (datedUs < timestampUs) this.#framesRedated++;
    return datedUs;
  }

  #isLate(nodeId: number, byte1: number, elapsedMs: number): boolean {
    if (byte1 === 0) return false;
    const lateMs = delayMs(byte1, elapsedMs);
    // Made before the node's time was set, if at all.
    if (lateMs > elapsedMs && lateMs <= PERIOD_MS - SOURCE_DELAY_MIN_MS) return false;
    const credit = this.#credit[nodeId]!;
    if (lateMs < SOURCE_DELAY_MIN_MS || lateMs > PERIOD_MS - SOURCE_DELAY_MIN_MS) {
      this.#credit[nodeId] = Math.min(credit + 1, SOURCE_CREDIT_MAX);
      return false;
    }
    this.#credit[nodeId] = Math.max(credit - 1, 0);
    return credit > SOURCE_CREDIT_MIN;
  }
}

function delayMs(byte1: number, elapsedMs: number): number {
  return (((elapsedMs - byte1) % PERIOD_MS) + PERIOD_MS) % PERIOD_MS;
}
