import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { DurationHistogram } from '../../shared/duration-histogram.ts';
import { histogram, type MetricFamily } from './metric-family.ts';

const KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/** How long the main thread stood still to collect garbage; each thread has its own. */
export class GarbageCollection {
  readonly #durations = new Map(Object.values(KINDS).map((kind) => [kind, new DurationHistogram()]));
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail, duration } = entry as PerformanceEntry & {
        readonly detail?: { readonly kind: number };
      };
      const kind = detail && KINDS[detail.kind];
      if (kind !== undefined) this.#durations.get(kind)!.observe(duration);
    }
  });

  start(): void {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  stop(): void {
    this.#observer.disconnect();
  }

  metrics(): MetricFamily[] {
    return [
      histogram(
        'nodejs_gc_duration_seconds',
        'How long the main thread stood still to collect garbage, by kind.',
        [...this.#durations].map(([kind, durations]) => [{ kind }, durations.counts()]),
      ),
    ];
  }
}
