import { matches } from './search.ts';
import type { Signal } from './signal-store.ts';

export const SORTS = ['name', 'value', 'rate', 'age'] as const;
export type Sort = (typeof SORTS)[number];

export interface ListOptions {
  readonly query: string;
  /** A component type; null for all. */
  readonly type: string | null;
  readonly sort: Sort;
  readonly isDescending: boolean;
  readonly isStaleOnly: boolean;
  readonly nowMs: number;
}

/** The signals that a table shows, in its order. */
export function listSignals(signals: readonly Signal[], options: ListOptions): Signal[] {
  const { query, type, sort, isDescending, isStaleOnly, nowMs } = options;
  const listed = signals.filter(
    (signal) =>
      (type === null || signal.type === type) &&
      (!isStaleOnly || signal.isStale(nowMs)) &&
      matches(query, signal),
  );
  const direction = isDescending ? -1 : 1;
  return listed.sort((left, right) => direction * compare(left, right, sort) || byName(left, right));
}

function compare(left: Signal, right: Signal, sort: Sort): number {
  switch (sort) {
    case 'name':
      return byName(left, right);
    case 'value':
      return numberOrder(left.value, right.value);
    case 'rate':
      return left.rateHz - right.rateHz;
    case 'age':
      // The oldest have the least time of arrival.
      return numberOrder(right.arrivedMs, left.arrivedMs);
  }
}

function byName(left: Signal, right: Signal): number {
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0;
}

function numberOrder(left: number, right: number): number {
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : -1;
  if (Number.isNaN(right)) return 1;
  return left - right || 0;
}
