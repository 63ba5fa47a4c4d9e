import { CLASSIC_PAYLOAD_BYTES_MAX } from './can-frame.ts';

/** Bytes of one frame in a batch's buffer, over all columns. */
const BYTES_PER_FRAME = 8 + 4 + CLASSIC_PAYLOAD_BYTES_MAX + 1 + 1;

/**
 * Frames on their way from a bus worker to the main thread: columns over one ArrayBuffer, which is
 * transferred and never cloned.
 *
 *   offset  0        timestampUs  Float64 × capacity   integer microseconds since the epoch
 *   offset  8 × cap  canId        Uint32  × capacity   without flag bits
 *   offset 12 × cap  payload      8 bytes × capacity   frame i at [8 i, 8 i + payloadBytes[i])
 *   offset 20 × cap  payloadBytes Uint8   × capacity   0 to 8
 *   offset 21 × cap  flags        Uint8   × capacity   FRAME_FLAG bits
 *
 * What lies beyond a frame's payloadBytes in `payload` is undefined.
 */
export class FrameBatch {
  readonly buffer: ArrayBuffer;
  readonly capacity: number;
  readonly timestampUs: Float64Array;
  readonly canId: Uint32Array;
  readonly payload: Uint8Array;
  readonly payloadBytes: Uint8Array;
  readonly flags: Uint8Array;
  /** Frames in the batch; [0, capacity]. */
  count = 0;

  /** Views a buffer that FrameBatch.allocate made, perhaps on another thread. */
  constructor(buffer: ArrayBuffer, count = 0) {
    const capacity = buffer.byteLength / BYTES_PER_FRAME;
    this.buffer = buffer;
    this.capacity = capacity;
    this.timestampUs = new Float64Array(buffer, 0, capacity);
    this.canId = new Uint32Array(buffer, 8 * capacity, capacity);
    this.payload = new Uint8Array(buffer, 12 * capacity, CLASSIC_PAYLOAD_BYTES_MAX * capacity);
    this.payloadBytes = new Uint8Array(buffer, 20 * capacity, capacity);
    this.flags = new Uint8Array(buffer, 21 * capacity, capacity);
    this.count = count;
  }

  static allocate(capacity: number): FrameBatch {
    return new FrameBatch(new ArrayBuffer(capacity * BYTES_PER_FRAME));
  }

  get isFull(): boolean {
    return this.count === this.capacity;
  }

  /** A view of one frame's payload. */
  payloadOf(index: number): Uint8Array {
    const start = index * CLASSIC_PAYLOAD_BYTES_MAX;
    return this.payload.subarray(start, start + this.payloadBytes[index]!);
  }

  /** Appends one frame. For drivers that aren't at the limit of speed, and for tests. */
  push(timestampUs: number, canId: number, flags: number, payload: ArrayLike<number>): void {
    const index = this.count++;
    this.timestampUs[index] = timestampUs;
    this.canId[index] = canId;
    this.flags[index] = flags;
    this.payloadBytes[index] = payload.length;
    this.payload.set(payload, index * CLASSIC_PAYLOAD_BYTES_MAX);
  }
}
