import { type DurationCounts, DurationHistogram } from '../shared/duration-histogram.ts';
import type { Question } from './history-messages.ts';

/** What is asked for; `newest` is a page that the main thread has in memory. */
export type QueryKind = Question['kind'] | 'newest';

export interface QueryCounts {
  /** From the question to the answer, as the main thread sees it: the wait behind others is part of it. */
  readonly durations: Readonly<Record<QueryKind, DurationCounts>>;
  /** Not asked, as too many waited. */
  readonly refused: number;
  /** Asked, and not answered. */
  readonly failed: number;
}

/** Counts the history's queries. */
export class QueryMeter {
  readonly #durations: Readonly<Record<QueryKind, DurationHistogram>> = {
    newest: new DurationHistogram(),
    page: new DurationHistogram(),
    series: new DurationHistogram(),
    columns: new DurationHistogram(),
    gaps: new DurationHistogram(),
  };
  #refused = 0;
  #failed = 0;

  /** `askedMs` by performance.now(). */
  answered(kind: QueryKind, askedMs: number): void {
    this.#durations[kind].observe(performance.now() - askedMs);
  }

  refused(): void {
    this.#refused++;
  }

  failed(): void {
    this.#failed++;
  }

  counts(): QueryCounts {
    const { newest, page, series, columns, gaps } = this.#durations;
    return {
      durations: {
        newest: newest.counts(),
        page: page.counts(),
        series: series.counts(),
        columns: columns.counts(),
        gaps: gaps.counts(),
      },
      refused: this.#refused,
      failed: this.#failed,
    };
  }
}
