import type { Api } from '../api.ts';
import { HISTORY_PAGE_MAX, SERIES_SIGNALS_MAX } from '../limits.ts';
import { type Past, pastOfSamples, pastOfSeries } from './past.ts';

/** Of a span that is asked for: so much more on either side, so that a small move needs no answer. */
const MARGIN_SHARE = 0.25;
/** Up to so many samples of a signal are asked for one by one. */
const SAMPLES_MAX = 3000;
/** Finer than needed by that factor is used; coarser than needed by that factor isn't. */
const COARSER_MAX = 1.6;
/** Its name among the browser's performance entries; bench/dashboard reads it. */
const HISTORY_MEASURE = 'history drawn';
/** A span that is asked for again and again while one moves is asked for once. */
const SETTLE_MS = 40;

/** What the plots know of the past: one answer for all signals, for the span that is shown and a little more. */
export class HistorySource {
  readonly #api: Api;
  readonly #onChange: () => void;
  readonly #pasts = new Map<string, Past>();
  #asked: { keys: string; fromS: number; toS: number; stepS: number } | null = null;
  #answered: object | null = null;
  #timer = 0;
  #abort = new AbortController();

  constructor(api: Api, onChange: () => void) {
    this.#api = api;
    this.#onChange = onChange;
  }

  /** Whether an answer to what was asked last is still to come. */
  get isWaiting(): boolean {
    return this.#asked !== null && this.#asked !== this.#answered;
  }

  get(key: string): Past | null {
    return this.#pasts.get(key) ?? null;
  }

  /** What was known may have changed: it is asked for again. What is shown stays until there is an answer. */
  forget(): void {
    this.#asked = null;
  }

  /** Sees that it knows the signals in the span, at so many points. Asks at most one thing at a time. */
  need(keys: readonly string[], fromS: number, toS: number, points: number): void {
    if (keys.length === 0) return;
    const stepS = (toS - fromS) / points;
    const asked = this.#asked;
    const isKnown =
      asked !== null &&
      asked.keys === keys.join() &&
      asked.fromS <= fromS &&
      asked.toS >= toS &&
      asked.stepS <= stepS * COARSER_MAX &&
      // Much finer than what is shown, and too short for it, can't be at once.
      asked.stepS >= stepS / 50;
    if (isKnown) return;
    const margin = (toS - fromS) * MARGIN_SHARE;
    const wanted = { keys: keys.join(), fromS: fromS - margin, toS: toS + margin, stepS };
    const isFirst = asked === null;
    this.#asked = wanted;
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const run = () =>
      this.#ask(keys, wanted.fromS, wanted.toS, Math.ceil((wanted.toS - wanted.fromS) / stepS), signal).catch(
        () => {
          // Without an answer it is asked for again when somebody looks.
          if (this.#asked === wanted) this.#asked = null;
        },
      );
    this.#timer = window.setTimeout(run, isFirst ? 0 : SETTLE_MS);
  }

  async #ask(
    keys: readonly string[],
    fromS: number,
    toS: number,
    points: number,
    signal: AbortSignal,
  ): Promise<void> {
    const askedMs = performance.now();
    const asked = this.#asked;
    for (let first = 0; first < keys.length; first += SERIES_SIGNALS_MAX) {
      const part = keys.slice(first, first + SERIES_SIGNALS_MAX);
      const query = {
        signals: part,
        from: fromS.toFixed(6),
        to: toS.toFixed(6),
        points: Math.min(points, HISTORY_PAGE_MAX),
      };
      const series = await this.#api.client.series(query, { signal });
      for (const [index, key] of part.entries()) this.#pasts.set(key, pastOfSeries(series, index));
    }
    this.#answered = asked;
    this.#onChange();
    measureDrawn(askedMs);
    await this.#refine(keys, fromS, toS, signal);
    for (const key of this.#pasts.keys()) if (!keys.includes(key)) this.#pasts.delete(key);
  }

  /** Where there are few samples, each of them: a span says when it begins, but not when its samples were. */
  async #refine(keys: readonly string[], fromS: number, toS: number, signal: AbortSignal): Promise<void> {
    for (const key of keys) {
      const { samples, stepS } = this.#pasts.get(key)!;
      if (samples === 0 || samples > SAMPLES_MAX || stepS === 0) continue;
      const [componentType, componentId, commandId] = key.split('/') as [string, string, string];
      const { samples: found } = await this.#api.client.historyPage(
        {
          componentType,
          componentId,
          commandId,
          messageType: 'STATUS',
          from: fromS.toFixed(6),
          to: toS.toFixed(6),
          limit: HISTORY_PAGE_MAX,
        },
        { signal },
      );
      this.#pasts.set(key, pastOfSamples(found, fromS, toS));
      this.#onChange();
    }
  }
}

/** For who looks at the page's performance: from asking the history to having drawn it, the last time alone. */
function measureDrawn(askedMs: number): void {
  // Drawn in the next frame; the one after that comes when it was.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      performance.clearMeasures(HISTORY_MEASURE);
      performance.measure(HISTORY_MEASURE, { start: askedMs });
    }),
  );
}
