import type { Rollup } from '../blocks/rollup-builder.ts';

/** Equal spans of time: `points` of them, from `fromUs` to before `toUs`. */
export interface Spans {
  readonly fromUs: number;
  readonly toUs: number;
  /** At least 1. */
  readonly points: number;
}

/** What a run of one series' samples comes to. Values are raw. */
export interface Summary {
  readonly count: number;
  readonly minTimestampUs: number;
  readonly maxTimestampUs: number;
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly last: number;
}

/**
 * One signal's samples, gathered into equal spans of time: how many, and their least, greatest, sum and
 * last. Samples may come in any order; of those in a span the one with the latest timestamp is its last.
 */
export class SignalBuckets {
  readonly count: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly sum: Float64Array;
  readonly last: Float64Array;
  /** When the last one came, as far as is known; -Infinity where there is none. */
  readonly lastUs: Float64Array;
  readonly #spans: Spans;
  readonly #widthUs: number;

  constructor(spans: Spans) {
    const { points, fromUs, toUs } = spans;
    this.#spans = spans;
    this.#widthUs = (toUs - fromUs) / points;
    this.count = new Float64Array(points);
    this.min = new Float64Array(points).fill(Number.POSITIVE_INFINITY);
    this.max = new Float64Array(points).fill(Number.NEGATIVE_INFINITY);
    this.sum = new Float64Array(points);
    this.last = new Float64Array(points);
    this.lastUs = new Float64Array(points).fill(Number.NEGATIVE_INFINITY);
  }

  add(timestampUs: number, value: number): void {
    const { fromUs, toUs } = this.#spans;
    if (timestampUs < fromUs || timestampUs >= toUs) return;
    const place = this.#placeOf(timestampUs);
    this.count[place]!++;
    this.sum[place]! += value;
    if (value < this.min[place]!) this.min[place] = value;
    if (value > this.max[place]!) this.max[place] = value;
    if (timestampUs >= this.lastUs[place]!) {
      this.lastUs[place] = timestampUs;
      this.last[place] = value;
    }
  }

  /** Adds a whole run if it lies within one span or outside of all; else false, and its samples are needed. */
  addSummary(run: Summary): boolean {
    const { fromUs, toUs } = this.#spans;
    if (run.maxTimestampUs < fromUs || run.minTimestampUs >= toUs) return true;
    if (run.minTimestampUs < fromUs || run.maxTimestampUs >= toUs) return false;
    const place = this.#placeOf(run.minTimestampUs);
    if (place !== this.#placeOf(run.maxTimestampUs)) return false;
    this.count[place]! += run.count;
    this.sum[place]! += run.sum;
    this.min[place] = Math.min(this.min[place]!, run.min);
    this.max[place] = Math.max(this.max[place]!, run.max);
    if (run.maxTimestampUs >= this.lastUs[place]!) {
      this.lastUs[place] = run.maxTimestampUs;
      this.last[place] = run.last;
    }
    return true;
  }

  /** Adds what the samples of shorter spans come to, each to the span that it begins in. */
  addRollup({ span, count, min, max, sum, last }: Rollup, spanUs: number): void {
    for (let index = 0; index < span.length; index++) {
      const startUs = span[index]! * spanUs;
      // A plot that begins amid a span has it at its beginning.
      if (startUs + spanUs <= this.#spans.fromUs || startUs >= this.#spans.toUs) continue;
      const place = this.#placeOf(Math.max(startUs, this.#spans.fromUs));
      this.count[place]! += count[index]!;
      this.sum[place]! += sum[index]!;
      this.min[place] = Math.min(this.min[place]!, min[index]!);
      this.max[place] = Math.max(this.max[place]!, max[index]!);
      // When in the span its last value came isn't known: it passes for later than what was added before.
      if (startUs + spanUs > this.lastUs[place]!) {
        this.lastUs[place] = Math.max(this.lastUs[place]!, startUs);
        this.last[place] = last[index]!;
      }
    }
  }

  /**
   * Divided by the width, a span's first microsecond falls into it where the width is a whole number: with
   * the width's reciprocal it may round into the span before. The last one must not round past the end.
   */
  #placeOf(timestampUs: number): number {
    return Math.min(this.#spans.points - 1, Math.floor((timestampUs - this.#spans.fromUs) / this.#widthUs));
  }
}
