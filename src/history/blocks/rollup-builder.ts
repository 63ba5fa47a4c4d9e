/** What the samples of one series come to in each span of time: columns, one place a span that has any. */
export interface Rollup {
  /** Numbers of the spans, from the epoch on, increasing: span n begins at n × its length. */
  readonly span: Float64Array;
  readonly count: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly sum: Float64Array;
  /** The value of the latest timestamp; of equal ones, the one that arrived last. */
  readonly last: Float64Array;
}

/** Gathers samples, or shorter spans, into spans of one length. They may come in any order. */
export class RollupBuilder {
  readonly #spanUs: number;
  readonly #placeOf = new Map<number, number>();
  readonly #span: number[] = [];
  readonly #count: number[] = [];
  readonly #min: number[] = [];
  readonly #max: number[] = [];
  readonly #sum: number[] = [];
  readonly #last: number[] = [];
  readonly #lastUs: number[] = [];

  constructor(spanUs: number) {
    this.#spanUs = spanUs;
  }

  addSamples(timestampUs: Float64Array, rawValue: Float64Array): void {
    let place = -1;
    let fromUs = 0;
    let toUs = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < timestampUs.length; index++) {
      const sampleUs = timestampUs[index]!;
      const value = rawValue[index]!;
      if (!(sampleUs >= fromUs && sampleUs < toUs)) {
        const span = Math.floor(sampleUs / this.#spanUs);
        fromUs = span * this.#spanUs;
        toUs = fromUs + this.#spanUs;
        place = this.#place(span);
      }
      this.#count[place]!++;
      this.#sum[place]! += value;
      if (value < this.#min[place]!) this.#min[place] = value;
      if (value > this.#max[place]!) this.#max[place] = value;
      if (sampleUs >= this.#lastUs[place]!) {
        this.#lastUs[place] = sampleUs;
        this.#last[place] = value;
      }
    }
  }

  /** Adds spans of `spanUs`, which fit into those of this builder. */
  addSpans({ span, count, min, max, sum, last }: Rollup, spanUs: number): void {
    for (let index = 0; index < span.length; index++) {
      const fromUs = span[index]! * spanUs;
      const place = this.#place(Math.floor(fromUs / this.#spanUs));
      this.#count[place]! += count[index]!;
      this.#sum[place]! += sum[index]!;
      this.#min[place] = Math.min(this.#min[place]!, min[index]!);
      this.#max[place] = Math.max(this.#max[place]!, max[index]!);
      if (fromUs >= this.#lastUs[place]!) {
        this.#lastUs[place] = fromUs;
        this.#last[place] = last[index]!;
      }
    }
  }

  #place(span: number): number {
    const known = this.#placeOf.get(span);
    if (known !== undefined) return known;
    const place = this.#span.push(span) - 1;
    this.#placeOf.set(span, place);
    this.#count.push(0);
    this.#sum.push(0);
    this.#min.push(Number.POSITIVE_INFINITY);
    this.#max.push(Number.NEGATIVE_INFINITY);
    this.#last.push(0);
    this.#lastUs.push(Number.NEGATIVE_INFINITY);
    return place;
  }

  build(): Rollup {
    const order = this.#span.map((_, place) => place);
    order.sort((left, right) => this.#span[left]! - this.#span[right]!);
    const column = (values: readonly number[]) => Float64Array.from(order, (place) => values[place]!);
    return {
      span: column(this.#span),
      count: column(this.#count),
      min: column(this.#min),
      max: column(this.#max),
      sum: column(this.#sum),
      last: column(this.#last),
    };
  }
}
