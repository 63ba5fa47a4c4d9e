import { sampleWriter, type WriteSample } from '../../history/reader/sample-writer.ts';
import { LIVE_FEED_SAMPLES } from '../../shared/limits.ts';
import type { FeedSource } from '../sources.ts';

/** What no sample has for a number. */
const NONE = -1;

/**
 * Samples as JSON text, each made once for all who want it: the text stays until that of another sample needs its
 * place. What the samples of a series have in common is made into text once for all of them.
 */
export class SampleTexts {
  readonly #feed: FeedSource;
  readonly #writers: (WriteSample | undefined)[] = [];
  readonly #mask: number;
  readonly #seq: Float64Array;
  readonly #text: string[];
  #correctionCount = 0;

  /** `capacity` is a power of two. */
  constructor(feed: FeedSource, capacity: number = LIVE_FEED_SAMPLES) {
    this.#feed = feed;
    this.#mask = capacity - 1;
    this.#seq = new Float64Array(capacity).fill(NONE);
    this.#text = new Array<string>(capacity).fill('');
  }

  of(series: number, seq: number, timestampUs: number, rawValue: number): string {
    const place = seq & this.#mask;
    if (this.#seq[place] === seq) return this.#text[place]!;
    this.#writers[series] ??= sampleWriter(this.#feed.seriesAt(series));
    const text = this.#writers[series](seq, timestampUs, rawValue);
    // Samples of which an earlier run has kept no number are all 0.
    if (seq > 0) {
      this.#seq[place] = seq;
      this.#text[place] = text;
    }
    return text;
  }

  /** Forgets what is told wrongly, when timestamps were corrected. */
  check(): void {
    if (this.#correctionCount === this.#feed.correctionCount) return;
    this.#correctionCount = this.#feed.correctionCount;
    this.clear();
  }

  clear(): void {
    this.#seq.fill(NONE);
    this.#text.fill('');
  }
}
