import { FRAME_BATCH_LONG_PAYLOADS_MAX } from '../shared/limits.ts';
import { CLASSIC_PAYLOAD_BYTES_MAX, FD_PAYLOAD_BYTES_MAX, FRAME_FLAG } from './can-frame.ts';

/** Bytes of one frame in a batch's buffer, over all columns. */
const BYTES_PER_FRAME = 8 + 4 + CLASSIC_PAYLOAD_BYTES_MAX + 2 + 1 + 1;

/**
 * Frames on their way from a bus worker to the main thread: columns over one buffer of shared memory, which goes to and
 * fro between them.
 *
 *   offset  0        timestampUs  Float64 × capacity   integer microseconds since the epoch
 *   offset  8 × cap  canId        Uint32  × capacity   without flag bits
 *   offset 12 × cap  payload      8 bytes × capacity   frame i at [8 i, 8 i + payloadBytes[i]); payloadWords are the same
 *                                                      bytes, two words a frame, little-endian
 *   offset 20 × cap  longPlace    Uint16  × capacity   of a longer payload: its place among these
 *   offset 22 × cap  payloadBytes Uint8   × capacity   0 to 8, of CAN FD to 64
 *   offset 23 × cap  flags        Uint8   × capacity   FRAME_FLAG bits
 *   offset 24 × cap  longPayload  64 bytes × places    payloads of more than 8 bytes
 *
 * What lies beyond a frame's payloadBytes is undefined, and so is the payload of a remote frame, whose payloadBytes
 * say how many it asks for. There are fewer places for long payloads than frames, so that those of classic CAN cost
 * what they need.
 */
export class FrameBatch {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly timestampUs: Float64Array;
  readonly canId: Uint32Array;
  readonly payload: Uint8Array;
  readonly payloadWords: Int32Array;
  readonly longPlace: Uint16Array;
  readonly payloadBytes: Uint8Array;
  readonly flags: Uint8Array;
  readonly longPayload: Uint8Array;
  /** Long payloads that there is room for. */
  readonly longCapacity: number;
  /** Frames in the batch; [0, capacity]. */
  count = 0;
  /** Places for long payloads that are taken; only while the batch is filled. */
  longCount = 0;

  /** Views a buffer that FrameBatch.allocate made, perhaps on another thread. */
  constructor(buffer: SharedArrayBuffer, count = 0) {
    const capacity = capacityOf(buffer.byteLength);
    this.buffer = buffer;
    this.capacity = capacity;
    this.timestampUs = new Float64Array(buffer, 0, capacity);
    this.canId = new Uint32Array(buffer, 8 * capacity, capacity);
    this.payload = new Uint8Array(buffer, 12 * capacity, CLASSIC_PAYLOAD_BYTES_MAX * capacity);
    this.payloadWords = new Int32Array(buffer, 12 * capacity, 2 * capacity);
    this.longPlace = new Uint16Array(buffer, 20 * capacity, capacity);
    this.payloadBytes = new Uint8Array(buffer, 22 * capacity, capacity);
    this.flags = new Uint8Array(buffer, 23 * capacity, capacity);
    this.longPayload = new Uint8Array(buffer, BYTES_PER_FRAME * capacity);
    this.longCapacity = this.longPayload.length / FD_PAYLOAD_BYTES_MAX;
    this.count = count;
  }

  static allocate(capacity: number): FrameBatch {
    return new FrameBatch(new SharedArrayBuffer(capacity * BYTES_PER_FRAME + longBytes(capacity)));
  }

  /** Whether there may be no room for another frame: for one at all, or for one with a long payload. */
  get isFull(): boolean {
    return this.count === this.capacity || this.longCount === this.longCapacity;
  }

  /** Places for long payloads that are free. */
  get longRoom(): number {
    return this.longCapacity - this.longCount;
  }

  /** Empties the batch. */
  clear(): void {
    this.count = 0;
    this.longCount = 0;
  }

  /** A view of one frame's payload. */
  payloadOf(index: number): Uint8Array {
    if ((this.flags[index]! & FRAME_FLAG.REMOTE) !== 0) return this.payload.subarray(0, 0);
    const bytes = this.payloadBytes[index]!;
    if (bytes <= CLASSIC_PAYLOAD_BYTES_MAX) {
      const start = index * CLASSIC_PAYLOAD_BYTES_MAX;
      return this.payload.subarray(start, start + bytes);
    }
    const start = this.longPlace[index]! * FD_PAYLOAD_BYTES_MAX;
    return this.longPayload.subarray(start, start + bytes);
  }

  /** Takes a place for a long payload of the frame that is appended next, and returns where it begins in longPayload. */
  takeLongPlace(): number {
    const place = this.longCount++;
    this.longPlace[this.count] = place;
    return place * FD_PAYLOAD_BYTES_MAX;
  }

  /** Appends a frame of another batch, with a timestamp of its own. */
  copy(from: FrameBatch, at: number, timestampUs: number): void {
    const bytes = from.payloadBytes[at]!;
    this.push(timestampUs, from.canId[at]!, from.flags[at]!, from.payloadOf(at));
    this.payloadBytes[this.count - 1] = bytes;
  }

  /** Appends one frame. For drivers that aren't at the limit of speed, and for tests. */
  push(timestampUs: number, canId: number, flags: number, payload: ArrayLike<number>): void {
    if (payload.length > CLASSIC_PAYLOAD_BYTES_MAX) this.longPayload.set(payload, this.takeLongPlace());
    else this.payload.set(payload, this.count * CLASSIC_PAYLOAD_BYTES_MAX);
    const index = this.count++;
    this.timestampUs[index] = timestampUs;
    this.canId[index] = canId;
    this.flags[index] = flags;
    this.payloadBytes[index] = payload.length;
  }
}

function longBytes(capacity: number): number {
  return Math.min(capacity, FRAME_BATCH_LONG_PAYLOADS_MAX) * FD_PAYLOAD_BYTES_MAX;
}

function capacityOf(bytes: number): number {
  const capacity = bytes / (BYTES_PER_FRAME + FD_PAYLOAD_BYTES_MAX);
  if (capacity <= FRAME_BATCH_LONG_PAYLOADS_MAX) return capacity;
  return (bytes - longBytes(FRAME_BATCH_LONG_PAYLOADS_MAX)) / BYTES_PER_FRAME;
}
