import { SAMPLE_BATCH_SAMPLES_MAX } from '../shared/limits.ts';

/** Bytes of one sample in a batch's buffer, over all columns. */
const BYTES_PER_SAMPLE = 8 + 8 + 4;

/** What stands before the columns: two words and a double. */
const HEADER_BYTES = 16;
const WORD_GENERATION = 0;
const WORD_COUNT = 1;

/**
 * Samples on their way from the decoder to the state and the history: columns over one buffer of shared
 * memory, so that what the history's reader is asked for includes what isn't stored yet.
 *
 *   offset  0             generation   Int32               counts up when the batch begins anew
 *   offset  4             count        Int32               samples published
 *   offset  8             firstSeq     Float64
 *   offset 16             timestampUs  Float64 × capacity  integer microseconds since the epoch
 *   offset 16 +  8 × cap  rawValue     Float64 × capacity  what the wire carried
 *   offset 16 + 16 × cap  series       Uint32  × capacity  index into the SeriesTable
 *
 * Sample i has the sequence number `firstSeq + i`. All else about a sample is its series'. The thread that
 * fills a batch counts with `count` and lets others see by publish(); they read with snapshot().
 */
export class SampleBatch {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly timestampUs: Float64Array<SharedArrayBuffer>;
  readonly rawValue: Float64Array<SharedArrayBuffer>;
  readonly series: Uint32Array<SharedArrayBuffer>;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #firstSeq: Float64Array<SharedArrayBuffer>;
  /** Samples in the batch; [0, capacity]. */
  count = 0;

  /** Views a buffer that SampleBatch.allocate made, perhaps on another thread. */
  constructor(buffer: SharedArrayBuffer, count = 0) {
    const capacity = (buffer.byteLength - HEADER_BYTES) / BYTES_PER_SAMPLE;
    this.buffer = buffer;
    this.capacity = capacity;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#firstSeq = new Float64Array(buffer, 8, 1);
    this.timestampUs = new Float64Array(buffer, HEADER_BYTES, capacity);
    this.rawValue = new Float64Array(buffer, HEADER_BYTES + 8 * capacity, capacity);
    this.series = new Uint32Array(buffer, HEADER_BYTES + 16 * capacity, capacity);
    this.count = count;
  }

  static allocate(capacity: number = SAMPLE_BATCH_SAMPLES_MAX): SampleBatch {
    return new SampleBatch(new SharedArrayBuffer(HEADER_BYTES + capacity * BYTES_PER_SAMPLE));
  }

  get isFull(): boolean {
    return this.count === this.capacity;
  }

  get firstSeq(): number {
    return this.#firstSeq[0]!;
  }

  /** Empties the batch for samples from `firstSeq` on. */
  begin(firstSeq: number): void {
    this.count = 0;
    Atomics.store(this.#words, WORD_COUNT, 0);
    Atomics.add(this.#words, WORD_GENERATION, 1);
    this.#firstSeq[0] = firstSeq;
  }

  /** Lets other threads see the samples so far. */
  publish(): void {
    Atomics.store(this.#words, WORD_COUNT, this.count);
  }

  /** Counts up when the batch begins anew. */
  get generation(): number {
    return Atomics.load(this.#words, WORD_GENERATION);
  }

  /**
   * A copy of the samples published, for another thread; null when there are none, or the batch began anew
   * since it had this generation.
   */
  snapshot(generation: number = this.generation): SampleSnapshot | null {
    const count = Atomics.load(this.#words, WORD_COUNT);
    if (count === 0) return null;
    const copy = {
      firstSeq: this.firstSeq,
      count,
      timestampUs: this.timestampUs.slice(0, count),
      rawValue: this.rawValue.slice(0, count),
      series: this.series.slice(0, count),
    };
    return this.generation === generation ? copy : null;
  }
}

/** Samples as they were at one moment. */
export interface SampleSnapshot {
  readonly firstSeq: number;
  readonly count: number;
  readonly timestampUs: Float64Array;
  readonly rawValue: Float64Array;
  readonly series: Uint32Array;
}
