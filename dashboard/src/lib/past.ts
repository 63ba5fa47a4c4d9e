import type { Api } from './api.ts';
import { SERIES_SIGNALS_MAX, SPARK_INTERVAL_S, SPARK_VALUES } from './limits.ts';
import type { SignalStore } from './signal-store.ts';

/** Those that are asked for together: rows that come into view do so in groups. */
const GATHER_MS = 60;

const waiting = new Map<string, () => void>();
let timer = 0;

/** Asks for what a sparkline has missed before the page was there; `then` is called when it is known. */
export function askPast(api: Api, store: SignalStore, key: string, then: () => void): void {
  if (store.get(key)?.hasPast !== false) return;
  waiting.set(key, then);
  if (timer !== 0) return;
  timer = window.setTimeout(() => {
    timer = 0;
    const asked = [...waiting].slice(0, SERIES_SIGNALS_MAX);
    for (const [each] of asked) waiting.delete(each);
    ask(api, store, new Map(asked)).catch(() => undefined);
  }, GATHER_MS);
}

async function ask(api: Api, store: SignalStore, asked: ReadonlyMap<string, () => void>): Promise<void> {
  for (const key of asked.keys()) store.get(key)!.hasPast = true;
  const keys = [...asked.keys()];
  const to = store.nowS();
  const { signals } = await api.client.series({
    signals: keys,
    from: (to - SPARK_VALUES * SPARK_INTERVAL_S).toFixed(3),
    to: to.toFixed(3),
    points: SPARK_VALUES,
  });
  for (const [at, key] of keys.entries()) {
    store.get(key)!.takePast(signals[at]!.last);
    asked.get(key)!();
  }
}
