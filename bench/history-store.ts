import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import type { SeriesReply } from '../src/api/schemas.ts';
import type { ColumnsPage } from '../src/history/history-query.ts';
import { PersistentTelemetryStore } from '../src/history/persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../src/history/retention.ts';
import type { SeriesTable } from '../src/protocol/series-table.ts';
import { BUS, SIGNAL } from './history-drive.ts';
import { NEWEST_SAMPLES, POINTS } from './history-trial.ts';
import { cpuSeconds, writtenBytes } from './process-figures.ts';

/** The collector's history as the benchmark uses it: all that depends on the store's methods is here. */

/**
 * The drive goes by many times faster than a real one, and so does what the store does by the flush
 * interval. Its own flushes never find anything: a second's samples come in one go and are flushed at once.
 */
const FLUSH_INTERVAL_MS = 25;

const SETTLE_LOOK_MS = 50;
/** In so long a look, a process that has nothing to do uses less than this. */
const IDLE_CPU_S = 0.004;
const SETTLE_LOOKS_QUIET = 3;
const SETTLE_MS_MAX = 120_000;

export async function openStore(path: string, table: SeriesTable): Promise<PersistentTelemetryStore> {
  const log: Logger = pino({ level: 'error' }, pino.destination(2));
  const options = { path, flushIntervalMs: FLUSH_INTERVAL_MS, ...KEEP_EVERYTHING, log };
  const store = new PersistentTelemetryStore(options, table);
  const stored = await store.open();
  for (const series of stored.series) table.restore(series);
  return store;
}

/** Throws when not every sample is durable. */
export function checkStored(store: PersistentTelemetryStore, samples: number): void {
  const { size, samplesLost } = store.status();
  if (size.samples !== samples || samplesLost.queue + samplesLost.write > 0) {
    throw new Error(`of ${samples} samples ${size.samples} are stored: ${JSON.stringify(samplesLost)}`);
  }
}

/**
 * Resolves when the store's threads have become idle, whatever it is that they do: the process uses no
 * processor and writes nothing for a while.
 */
export async function settleStore(): Promise<void> {
  const startedMs = performance.now();
  let looksQuiet = 0;
  while (looksQuiet < SETTLE_LOOKS_QUIET) {
    const cpuBeforeS = cpuSeconds();
    const bytesBefore = writtenBytes();
    await sleep(SETTLE_LOOK_MS);
    const isQuiet = cpuSeconds() - cpuBeforeS < IDLE_CPU_S && writtenBytes() === bytesBefore;
    looksQuiet = isQuiet ? looksQuiet + 1 : 0;
    if (performance.now() - startedMs > SETTLE_MS_MAX) throw new Error('the history never becomes idle');
  }
}

export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Given back with the next question, as a program does that asks again and again. */
let signalPage: ColumnsPage | undefined;

/** Every sample of the signal, as columns; gives how many. `toUs` is inclusive. */
export async function querySignal(store: PersistentTelemetryStore, { fromUs, toUs }: Span): Promise<number> {
  const { messageType, ...signal } = SIGNAL;
  const query = { signal, messageType, bus: BUS, fromUs, toUs: toUs + 1 };
  let count = 0;
  for (;;) {
    signalPage = await store.columns({ ...query, cursor: signalPage?.nextCursor ?? undefined }, signalPage);
    count += signalPage.seq.length;
    if (signalPage.nextCursor === null) return count;
  }
}

/**
 * POINTS spans of time with the signal's min, max, mean and last, as the API gives them, and read; gives
 * how many samples they are of. Null where the store can't be asked for that.
 */
export function signalPoints(store: PersistentTelemetryStore): ((span: Span) => Promise<number>) | null {
  if (!('series' in store)) return null;
  const { messageType, ...signal } = SIGNAL;
  return async ({ fromUs, toUs }) => {
    const text = await store.series({
      signals: [signal],
      messageType,
      bus: BUS,
      fromUs,
      toUs: toUs + 1,
      points: POINTS,
    });
    const { signals } = JSON.parse(Buffer.from(text).toString('utf8')) as SeriesReply;
    return signals[0]!.count.reduce((sum, count) => sum + count, 0);
  };
}

/** The newest samples of everything, as the API gives them. */
export async function queryNewest(store: PersistentTelemetryStore): Promise<number> {
  const page = await store.query({ limit: NEWEST_SAMPLES, offset: 0, order: 'desc', format: 'json' });
  return page.count;
}
