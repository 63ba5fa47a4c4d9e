import assert from 'node:assert/strict';
import { CLASSIC_PAYLOAD_BYTES_MAX, FD_PAYLOAD_BYTES_MAX, FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { RECORDING_QUEUE_BYTES } from '../shared/limits.ts';

/** Everything in the ring begins at a multiple of this. */
const UNIT_BYTES = 8;
const HEADER_UNITS = 2;

/** Where the two threads stand, in units ever written and ever read, modulo 2^32; and what they want of each other. */
const CONTROL = {
  WRITTEN: 0,
  READ: 1,
  /** Counted up by the main thread to wake the recorder. */
  WAKE: 2,
  /** 1 once the main thread wants the recorder to end. */
  STOP: 3,
  /** 1 while a source waits for room. */
  ROOM_WANTED: 4,
  WORDS: 6,
} as const;
const CONTROL_BYTES = 4 * CONTROL.WORDS;

/** In the place of a timestamp: what follows lies at the ring's beginning again. */
const WRAP = -1;

/** What a recorder reads frames with, see FrameRing.read. */
export type TakeFrame = (
  bus: number,
  timestampUs: number,
  canId: number,
  flags: number,
  payload: Uint8Array,
  payloadAt: number,
  payloadBytes: number,
) => void;

/**
 * Frames on their way from the main thread to the recorder: a ring in shared memory, with one writer and one
 * reader, neither of which waits for the other. A frame takes 24 bytes, less without payload:
 *
 *   offset  0  timestampUs   Float64
 *   offset  8  canId         Uint32
 *   offset 12  flags, payloadBytes, bus, 0   Uint8
 *   offset 16  payload, up to the next multiple of 8
 *
 * What it is passed to another thread as is `shared`; both make a FrameRing of it.
 */
export class FrameRing {
  readonly shared: SharedArrayBuffer;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #doubles: Float64Array<SharedArrayBuffer>;
  readonly #words: Uint32Array<SharedArrayBuffer>;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #units: number;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#units = (shared.byteLength - CONTROL_BYTES) / UNIT_BYTES;
    // So that the positions, which count modulo 2^32, and the places in the ring begin anew together.
    assert.ok(Number.isInteger(Math.log2(this.#units)));
    this.#control = new Int32Array(shared, 0, CONTROL.WORDS);
    this.#doubles = new Float64Array(shared, CONTROL_BYTES);
    this.#words = new Uint32Array(shared, CONTROL_BYTES);
    this.#bytes = new Uint8Array(shared, CONTROL_BYTES);
  }

  /** @param bytes a power of two */
  static allocate(bytes = RECORDING_QUEUE_BYTES): FrameRing {
    return new FrameRing(new SharedArrayBuffer(CONTROL_BYTES + bytes));
  }

  get capacityBytes(): number {
    return this.#units * UNIT_BYTES;
  }

  get usedBytes(): number {
    return this.#usedUnits() * UNIT_BYTES;
  }

  #usedUnits(): number {
    return (Atomics.load(this.#control, CONTROL.WRITTEN) - Atomics.load(this.#control, CONTROL.READ)) >>> 0;
  }

  /** Appends the frames of a bus; returns how many found room. By the writer alone. */
  append(batch: FrameBatch, bus: number): number {
    const { timestampUs, canId, flags, payload, longPlace, longPayload, payloadBytes, count } = batch;
    const doubles = this.#doubles;
    const words = this.#words;
    const bytes = this.#bytes;
    const units = this.#units;
    const written = Atomics.load(this.#control, CONTROL.WRITTEN) >>> 0;
    let free = units - this.#usedUnits();
    let at = written % units;
    let total = 0;
    let index = 0;
    for (; index < count; index++) {
      const length = payloadBytes[index]!;
      const needed = HEADER_UNITS + payloadUnits(flags[index]!, length);
      const left = units - at;
      const skipped = needed > left ? left : 0;
      if (needed + skipped > free) break;
      if (skipped > 0) {
        doubles[at] = WRAP;
        at = 0;
      }
      doubles[at] = timestampUs[index]!;
      words[2 * at + 2] = canId[index]!;
      words[2 * at + 3] = flags[index]! | (length << 8) | (bus << 16);
      const to = UNIT_BYTES * (at + HEADER_UNITS);
      const copied = (needed - HEADER_UNITS) * UNIT_BYTES;
      const isLong = copied > CLASSIC_PAYLOAD_BYTES_MAX;
      const source = isLong ? longPayload : payload;
      const from = isLong ? longPlace[index]! * FD_PAYLOAD_BYTES_MAX : index * CLASSIC_PAYLOAD_BYTES_MAX;
      for (let byte = 0; byte < copied; byte++) bytes[to + byte] = source[from + byte]!;
      at += needed;
      if (at === units) at = 0;
      free -= needed + skipped;
      total += needed + skipped;
    }
    Atomics.store(this.#control, CONTROL.WRITTEN, (written + total) | 0);
    return index;
  }

  /**
   * Takes the frames that are there, oldest first, at most `framesMax`; returns how many. Their room is free again
   * when it returns. By the reader alone.
   */
  read(framesMax: number, take: TakeFrame): number {
    const units = this.#units;
    const start = Atomics.load(this.#control, CONTROL.READ) >>> 0;
    const used = this.#usedUnits();
    let at = start % units;
    let done = 0;
    let frames = 0;
    while (done < used && frames < framesMax) {
      if (this.#doubles[at] === WRAP) {
        done += units - at;
        at = 0;
      }
      const facts = this.#words[2 * at + 3]!;
      const length = (facts >>> 8) & 0xff;
      const payloadAt = UNIT_BYTES * (at + HEADER_UNITS);
      const canId = this.#words[2 * at + 2]!;
      take((facts >>> 16) & 0xff, this.#doubles[at]!, canId, facts & 0xff, this.#bytes, payloadAt, length);
      const taken = HEADER_UNITS + payloadUnits(facts & 0xff, length);
      done += taken;
      at += taken;
      if (at === units) at = 0;
      frames++;
    }
    Atomics.store(this.#control, CONTROL.READ, (start + done) | 0);
    return frames;
  }

  /** Ends the reader's wait, or keeps its next one from beginning. */
  wake(): void {
    Atomics.add(this.#control, CONTROL.WAKE, 1);
    Atomics.notify(this.#control, CONTROL.WAKE);
  }

  /** What waitForWake is to be called with, taken before the reader looks at anything else. */
  get wakeCount(): number {
    return Atomics.load(this.#control, CONTROL.WAKE);
  }

  /** Waits until wake() has been called since `wakeCount` was taken. */
  waitForWake(wakeCount: number, timeoutMs: number): void {
    Atomics.wait(this.#control, CONTROL.WAKE, wakeCount, timeoutMs);
  }

  stop(): void {
    Atomics.store(this.#control, CONTROL.STOP, 1);
    this.wake();
  }

  get isStopping(): boolean {
    return Atomics.load(this.#control, CONTROL.STOP) === 1;
  }

  set isRoomWanted(isWanted: boolean) {
    Atomics.store(this.#control, CONTROL.ROOM_WANTED, isWanted ? 1 : 0);
    if (isWanted) this.wake();
  }

  get isRoomWanted(): boolean {
    return Atomics.load(this.#control, CONTROL.ROOM_WANTED) === 1;
  }
}

/** Of a remote frame payloadBytes are the ones that it asks for. */
function payloadUnits(flags: number, payloadBytes: number): number {
  return (flags & FRAME_FLAG.REMOTE) !== 0 ? 0 : (payloadBytes + UNIT_BYTES - 1) >>> 3;
}
