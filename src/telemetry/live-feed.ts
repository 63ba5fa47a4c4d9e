import type { SampleBatch } from '../protocol/sample-batch.ts';
import type { Series, SeriesTable } from '../protocol/series-table.ts';
import { LIVE_FEED_SAMPLES } from '../shared/limits.ts';

/**
 * The newest samples for those who follow them as they come. While nobody does, a batch costs it a comparison; else
 * its samples are copied into columns that are used again in turn, and the followers are called. They are to return at
 * once and to read later: what they haven't read when its place is needed is gone, and the feed waits for nobody.
 *
 * Samples are numbered without a gap, those that the history loses included, so a sample's place follows from its number.
 */
export class LiveFeed {
  readonly #table: SeriesTable;
  /** A power of two less one. */
  readonly #mask: number;
  readonly #timestampUs: Float64Array<ArrayBuffer>;
  readonly #rawValue: Float64Array<ArrayBuffer>;
  readonly #series: Uint32Array<ArrayBuffer>;
  readonly #followers = new Set<() => void>();
  #seq = 0;
  #heldFromSeq = 1;
  #toldSeq = 0;
  #correctionCount = 0;

  /** `capacity` is a power of two, and no less than what a batch of samples holds. */
  constructor(table: SeriesTable, capacity: number = LIVE_FEED_SAMPLES) {
    this.#table = table;
    this.#mask = capacity - 1;
    // Memory that isn't written to isn't there yet.
    this.#timestampUs = new Float64Array(capacity);
    this.#rawValue = new Float64Array(capacity);
    this.#series = new Uint32Array(capacity);
  }

  /** Says what number the first sample will have. */
  begin(firstSeq: number): void {
    this.#seq = firstSeq - 1;
    this.#toldSeq = this.#seq;
    this.#heldFromSeq = firstSeq;
  }

  /** The number of the newest sample. */
  get seq(): number {
    return this.#seq;
  }

  /** Series known so far; the next index. */
  get seriesCount(): number {
    return this.#table.count;
  }

  seriesAt(index: number): Series {
    return this.#table.at(index);
  }

  /** Takes in the samples of a batch from index `first` on. */
  take(samples: SampleBatch, first: number): void {
    this.#seq = samples.firstSeq + samples.count - 1;
    if (this.#followers.size > 0) this.#keep(samples, first);
  }

  #keep(samples: SampleBatch, first: number): void {
    const { timestampUs, rawValue, series, count, firstSeq } = samples;
    const capacity = this.#mask + 1;
    let from = first;
    while (from < count) {
      const place = (firstSeq + from) & this.#mask;
      const end = Math.min(count, from + capacity - place);
      this.#timestampUs.set(timestampUs.subarray(from, end), place);
      this.#rawValue.set(rawValue.subarray(from, end), place);
      this.#series.set(series.subarray(from, end), place);
      from = end;
    }
    this.#heldFromSeq = Math.max(this.#heldFromSeq, this.#seq - this.#mask);
  }

  /** Calls the followers, if there is something new. */
  publish(): void {
    if (this.#followers.size === 0 || this.#seq === this.#toldSeq) return;
    this.#toldSeq = this.#seq;
    for (const follower of this.#followers) follower();
  }

  /** Moves the timestamps of the samples from a sequence number on, after the clock was set. */
  correct(fromSeq: number, shiftUs: number): void {
    this.#correctionCount++;
    for (let seq = Math.max(fromSeq, this.heldFromSeq); seq <= this.#seq; seq++) {
      this.#timestampUs[seq & this.#mask]! += shiftUs;
    }
  }

  /** Counts up when timestamps of samples that are held were corrected. */
  get correctionCount(): number {
    return this.#correctionCount;
  }

  /** Calls back whenever samples have come, until the function that it returns is called. */
  follow(follower: () => void): () => void {
    if (this.#followers.size === 0) {
      this.#heldFromSeq = this.#seq + 1;
      this.#toldSeq = this.#seq;
    }
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  /** The oldest number whose sample is held, with all after it; the next one's where none is. */
  get heldFromSeq(): number {
    return this.#followers.size === 0 ? this.#seq + 1 : this.#heldFromSeq;
  }

  // Of a sample that is held, by its number.

  seriesOf(seq: number): number {
    return this.#series[seq & this.#mask]!;
  }

  timestampUsOf(seq: number): number {
    return this.#timestampUs[seq & this.#mask]!;
  }

  rawValueOf(seq: number): number {
    return this.#rawValue[seq & this.#mask]!;
  }
}
