import { type ELDHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { EVENT_LOOP_WINDOW_MS, EVENT_LOOP_WINDOWS_KEPT } from '../../shared/limits.ts';
import { gauge, type MetricFamily, type MetricSample } from './metric-family.ts';

/** How often the delay is looked at; a timer outside of JavaScript. */
const RESOLUTION_MS = 20;

const QUANTILES = [0.5, 0.9, 0.99] as const;

/** Of one window; in seconds. */
interface Delays {
  readonly quantiles: readonly number[];
  readonly max: number;
}

/**
 * How much later than it should the main thread's event loop turns: while it doesn't, no batch of frames is decoded and
 * no request answered. Quantiles are those of the worst window of the last minute, so that whoever scrapes each minute
 * misses none; scraping changes nothing.
 */
export class EventLoopDelay {
  #histogram: ELDHistogram | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #windows: Delays[] = [];
  /** Of windows that are over. */
  #count = 0;
  #sumS = 0;
  /** The greatest sum that was told: a look that comes early takes from the mean, but no sum may go back. */
  #sumToldS = 0;

  start(): void {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#endWindow(), EVENT_LOOP_WINDOW_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#histogram?.disable();
  }

  metrics(): MetricFamily[] {
    const { count, sumS, delays } = this.#window();
    this.#sumToldS = Math.max(this.#sumToldS, this.#sumS + sumS);
    const windows = [...this.#windows, delays];
    const worst = (of: (window: Delays) => number) => Math.max(...windows.map(of));
    const samples: MetricSample[] = QUANTILES.map((quantile, index) => ({
      labels: { quantile },
      value: worst(({ quantiles }) => quantiles[index]!),
    }));
    samples.push({ suffix: '_sum', labels: {}, value: this.#sumToldS });
    samples.push({ suffix: '_count', labels: {}, value: this.#count + count });
    return [
      {
        name: 'nodejs_eventloop_delay_seconds',
        help: "How much later than it should the main thread's event loop turned; quantiles of the worst quarter of the last minute.",
        type: 'summary',
        samples,
      },
      gauge(
        'nodejs_eventloop_delay_max_seconds',
        'The most of it in the last minute.',
        worst(({ max }) => max),
      ),
    ];
  }

  #endWindow(): void {
    const { count, sumS, delays } = this.#window();
    this.#count += count;
    this.#sumS += sumS;
    this.#windows.push(delays);
    if (this.#windows.length > EVENT_LOOP_WINDOWS_KEPT) this.#windows.shift();
    this.#histogram?.reset();
  }

  #window(): { count: number; sumS: number; delays: Delays } {
    const histogram = this.#histogram;
    // An empty one has no mean, and its maximum is 0.
    if (histogram === null || histogram.count === 0) {
      return { count: 0, sumS: 0, delays: { quantiles: QUANTILES.map(() => 0), max: 0 } };
    }
    const { count, mean, max } = histogram;
    return {
      count,
      sumS: delayS(mean) * count,
      delays: {
        quantiles: QUANTILES.map((quantile) => delayS(histogram.percentile(quantile * 100))),
        max: delayS(max),
      },
    };
  }
}

/** What was measured, in nanoseconds, is the time between two looks. */
function delayS(betweenNs: number): number {
  return Math.max(0, betweenNs / 1e9 - RESOLUTION_MS / 1000);
}
