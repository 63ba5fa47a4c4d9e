import { STREAM_MESSAGE_SAMPLES_MAX } from '../../shared/limits.ts';
import type { FeedSource, StateReader } from '../sources.ts';
import { GatheredBody, GatheredSamples, type SampleBody } from './sample-body.ts';
import type { SampleTexts } from './sample-texts.ts';
import type { Selection } from './selection.ts';

/** Numbers of samples: those after `afterSeq`, up to `upToSeq`. */
export interface SeqSpan {
  readonly afterSeq: number;
  readonly upToSeq: number;
}

/** Before all numbers: every sample is after it, also one of which an earlier run has kept no number. */
export const BEFORE_ALL = -1;

/**
 * Looks for the samples that clients are to get, in the feed or in the state. What it finds stands until it is asked
 * again: it is to be written at once.
 */
export class SampleGatherer {
  readonly #feed: FeedSource;
  readonly #state: StateReader;
  readonly #texts: SampleTexts;
  readonly #gathered = new GatheredSamples();

  constructor(feed: FeedSource, state: StateReader, texts: SampleTexts) {
    this.#feed = feed;
    this.#state = state;
    this.#texts = texts;
  }

  /** How many were found. */
  get count(): number {
    return this.#gathered.count;
  }

  /** The number of one that was found, by its index. */
  seqAt(index: number): number {
    return this.#gathered.seq[index]!;
  }

  /** What was found from one index to before another. */
  body(start: number, end: number): SampleBody {
    return new GatheredBody(this.#gathered, start, end, this.#texts);
  }

  /**
   * Every sample of a span that the feed holds and whose series is wanted (1, by index), in their order, `limit` at most.
   * Returns the number up to which it has looked.
   */
  every(isWanted: Uint8Array, { afterSeq, upToSeq }: SeqSpan, limit = Number.POSITIVE_INFINITY): number {
    const gathered = this.#gathered;
    const feed = this.#feed;
    gathered.count = 0;
    for (let seq = afterSeq + 1; seq <= upToSeq; seq++) {
      const series = feed.seriesOf(seq);
      if (isWanted[series] !== 1) continue;
      if (gathered.count >= limit) return seq - 1;
      gathered.add(series, seq, feed.timestampUsOf(seq), feed.rawValueOf(seq));
    }
    return upToSeq;
  }

  /**
   * The latest sample of each signal, as far as it is of a span; or of each series. Begins with the signal (or series) at
   * the index `start` of the selection's and stops when there are `limit`. Returns the index of the next one.
   */
  latest(
    selection: Selection,
    of: 'signals' | 'series',
    { afterSeq, upToSeq }: SeqSpan,
    start = 0,
    limit = Number.POSITIVE_INFINITY,
  ): number {
    const gathered = this.#gathered;
    const state = this.#state;
    const all = selection[of];
    gathered.count = 0;
    let at = start;
    for (; at < all.length && gathered.count < limit; at++) {
      const series = of === 'series' ? all[at]! : selection.speakerOf(all[at]!);
      if (series < 0 || state.countOf(series) === 0) continue;
      const seq = state.seqOf(series);
      if (seq <= afterSeq || seq > upToSeq) continue;
      gathered.add(series, seq, state.timestampUsOf(series), state.rawValueOf(series));
    }
    return at;
  }
}

/** The ends of messages of so many samples, in pieces as even as can be. */
export function messageEnds(count: number): number[] {
  const pieces = Math.ceil(count / STREAM_MESSAGE_SAMPLES_MAX);
  return Array.from({ length: pieces }, (_, piece) => Math.round(((piece + 1) * count) / pieces));
}
