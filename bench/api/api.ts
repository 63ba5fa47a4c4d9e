import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { SCHEMA_VERSION } from '../../src/history/database/schema.ts';
import { CHECKOUT, eventually, type Service, startService } from '../../test/support/service.ts';
import { cpuSecondsOf, machineCpuSeconds } from '../process-figures.ts';
import type { ExportLoad, ExportLoadResult } from './export-load.ts';
import { makeHistory, writeSignalsLog } from './fixtures.ts';
import type { HttpLoad, HttpLoadResult } from './http-load.ts';
import type { LiveLoad, LiveLoadResult } from './live-load.ts';
import { type LoadProcess, startLoad } from './load-process.ts';
import { type Compared, type HttpRound, type Measured, reportApi, type StreamRound } from './report-api.ts';
import type { StreamLoad, StreamLoadResult } from './stream-load.ts';

/** What a bus of 500 kbit/s carries when it is full. */
const FRAMES_PER_S = 4500;
const SIGNALS = 120;
const LOG_SECONDS = 60;
/** Of the kart: 10.1 million samples. */
const HISTORY_HOURS = 4.25;

/** Of each measurement of requests; those of the stream take twice as long. */
const SECONDS = Number(process.env.SECONDS ?? 1);
const HTTP_ROUNDS = 7;
const STREAM_ROUNDS = 5;
/** As some open pages have. */
const CONNECTIONS = 8;
const CLIENTS = 200;
const CLIENTS_HZ = 20;
const EVERYTHING = ['**'];

const STATE = '/api/state/current';
/** What the same server answers with the same few bytes each time. */
const FIXED = '/healthz';
const EXPORT = '/api/state/history?order=asc';

const CACHE = fileURLToPath(new URL('../../.cache/bench/', import.meta.url));

interface Loads {
  readonly http: LoadProcess<HttpLoad, HttpLoadResult>;
  readonly live: LoadProcess<LiveLoad, LiveLoadResult>;
  readonly stream: LoadProcess<StreamLoad, StreamLoadResult>;
  readonly exporter: LoadProcess<ExportLoad, ExportLoadResult>;
}

/**
 * The whole service as a process of its own, on a full bus and recording to disk, and its clients as processes of their
 * own: what it answers beside a fixed string, and how that changes while a client exports the history.
 */
export async function apiBench(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const log = join(CACHE, `kart-${SIGNALS}-signals-${LOG_SECONDS}s.log`);
  writeSignalsLog(log, FRAMES_PER_S * LOG_SECONDS, FRAMES_PER_S, SIGNALS);
  const history = join(CACHE, `kart-history-${HISTORY_HOURS}h-${SCHEMA_VERSION}.db`);
  makeHistory(history, HISTORY_HOURS);
  const folder = mkdtempSync(join(CACHE, 'api-'));
  try {
    const database = join(folder, 'collector.db');
    copyFileSync(history, database);
    const measured = await measureOn(log, database);
    reportApi(measured, {
      signals: SIGNALS,
      connections: CONNECTIONS,
      framesPerS: FRAMES_PER_S,
      clients: CLIENTS,
      clientsHz: CLIENTS_HZ,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measureOn(log: string, database: string): Promise<Measured> {
  const before = samplesIn(database);
  const service = await startOnBus(log, database);
  const startedMs = performance.now();
  const framesBefore = await framesOf(service);
  const loads: Loads = {
    http: startLoad('http-load'),
    live: startLoad('live-load'),
    stream: startLoad('stream-load'),
    exporter: startLoad('export-load'),
  };
  const pids = [process.pid, service.child.pid!, ...Object.values(loads).map(({ pid }) => pid)];
  const othersBefore = machineCpuSeconds() - cpuSecondsOf(pids);
  const http = await measureHttp(service.url, loads);
  const stream = await measureStream(service.url, loads);
  const othersSeconds = machineCpuSeconds() - cpuSecondsOf(pids) - othersBefore;
  const seconds = (performance.now() - startedMs) / 1000;
  const frames = (await framesOf(service)) - framesBefore;
  const { buses, history } = await service.status();
  await Promise.all(Object.values(loads).map((load) => load.stop()));
  await service.stop();
  const after = samplesIn(database);
  return {
    http,
    stream,
    othersPercent: (100 * othersSeconds) / seconds / availableParallelism(),
    framesPerS: frames / seconds,
    framesLost: buses[0]!.frames_lost.kernel,
    samplesLost: history.samples_lost.queue + history.samples_lost.write,
    // Each sample has a number, stored or not.
    samplesNotStored: after.lastSeq - before.lastSeq - (after.samples - before.samples),
  };
}

async function startOnBus(log: string, database: string): Promise<Service> {
  const bus = `candump:${encodeURIComponent(log)}?loop`;
  const limits = ['--max-age', 'unlimited', '--rate-limit', 'unlimited'];
  const service = await startService({
    // As npm start does, with its limits of memory.
    command: [process.execPath, join(CHECKOUT, 'scripts/bootstrap.mjs'), 'src/cli/main.ts'],
    args: ['--bus', bus, '--db', database, '--port', '0', ...limits],
  });
  await eventually(
    () => service.status(),
    ({ state }) => state.signals >= SIGNALS,
  );
  return service;
}

async function framesOf(service: Service): Promise<number> {
  return (await service.status()).buses[0]!.frames;
}

/** What a few clients see. */
async function measureHttp(url: string, { http, live, exporter }: Loads): Promise<Compared<HttpRound>> {
  const ms = SECONDS * 1000;
  const ask = (path: string) => http.ask({ url, path, connections: CONNECTIONS, ms });
  const round = async () => ({
    fixed: await ask(FIXED),
    state: await ask(STATE),
    live: await live.ask({ url, ms: 2 * ms }),
  });
  // For the compilers.
  await round();
  return await compare(HTTP_ROUNDS, url, exporter, round);
}

/** What each of many followers sees, and one beside them that is told everything. */
async function measureStream(url: string, { live, stream, exporter }: Loads): Promise<Compared<StreamRound>> {
  const ms = 2 * SECONDS * 1000;
  const round = async () => {
    const asked = { url, clients: CLIENTS, signals: EVERYTHING, maxHz: CLIENTS_HZ, ms };
    const [followed, told] = await Promise.all([stream.ask(asked), live.ask({ url, ms })]);
    return { stream: followed, live: told };
  };
  await round();
  return await compare(STREAM_ROUNDS, url, exporter, round);
}

/** Without and with an export of the history, in turn: machines are shared and noisy. */
async function compare<Round>(
  rounds: number,
  url: string,
  exporter: Loads['exporter'],
  measure: () => Promise<Round>,
): Promise<Compared<Round>> {
  const alone: Round[] = [];
  const exporting: Round[] = [];
  const exportMbPerS: number[] = [];
  for (let count = 0; count < rounds; count++) {
    alone.push(await measure());
    await exporter.ask({ url, path: EXPORT });
    exporting.push(await measure());
    exportMbPerS.push((await exporter.ask({ url, path: null })).mbPerS);
  }
  return { alone, exporting, exportMbPerS };
}

/** What is in a database that nobody uses. */
function samplesIn(path: string): { samples: number; lastSeq: number } {
  const database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare('SELECT samples, next_seq FROM totals').get() as {
    samples: number;
    next_seq: number;
  };
  database.close();
  return { samples: row.samples, lastSeq: row.next_seq - 1 };
}
