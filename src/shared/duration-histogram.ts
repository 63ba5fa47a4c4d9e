/** Upper bounds of the buckets, in seconds: from what memory answers to what a card takes that is about to fail. */
export const DURATION_BOUNDS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** How often something took how long. */
export interface DurationCounts {
  readonly count: number;
  readonly sumS: number;
  /** For each of DURATION_BOUNDS_S how many took no longer. */
  readonly atMost: readonly number[];
}

/** Counts how long something takes: some twenty comparisons each time, and memory that doesn't grow. */
export class DurationHistogram {
  /** For each bound how many took longer than the one before and no longer than it; the last beyond them all. */
  readonly #counts = new Float64Array(DURATION_BOUNDS_S.length + 1);
  #sumS = 0;

  observe(durationMs: number): void {
    const durationS = durationMs / 1000;
    let bucket = 0;
    while (bucket < DURATION_BOUNDS_S.length && durationS > DURATION_BOUNDS_S[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sumS += durationS;
  }

  counts(): DurationCounts {
    let count = 0;
    const atMost = Array.from(this.#counts, (inBucket) => {
      count += inBucket;
      return count;
    });
    atMost.pop();
    return { count, sumS: this.#sumS, atMost };
  }
}
