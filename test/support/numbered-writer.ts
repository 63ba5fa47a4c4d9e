/**
 * A process that writes numbered samples to a history until it is killed, and says what it knows:
 *
 *     node numbered-writer.ts DATABASE MAX_SAMPLES [LIVES [CHECKED_SEQ]]
 *
 *     open SEQ           the number of its first sample
 *     given SEQ TIME     the store has everything up to this sample, at this time (ms since the epoch)
 *     durable SEQ        a commit has made everything up to this sample durable
 *     wrong MESSAGE      something is not as it should be; the process ends
 *
 * MAX_SAMPLES is a number or `unlimited`. With LIVES, JSON of the writers that died before it, it first checks
 * what they left, after CHECKED_SEQ, and says `checked` and what is kept, as JSON. Readers are at work all the time: they page
 * through the history in both directions and ask for the latest samples of a signal as a series.
 */
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { SeriesReply } from '../../src/api/schemas.ts';
import { PersistentTelemetryStore } from '../../src/history/persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../../src/history/retention.ts';
import { SeriesTable } from '../../src/protocol/series-table.ts';
import {
  checkedPage,
  checkHistory,
  type Kept,
  type Life,
  NUMBERED_SERIES,
  numberedSample,
  seqsOfQuantity,
} from './numbered-samples.ts';
import { append, RPM, registry } from './samples.ts';

export const WRITER_FLUSH_INTERVAL_MS = 100;

/** Sixteen times what a bus of 500 kbit/s carries. */
const SAMPLES_PER_MS = 72;
/** What is appended at once at most, after the process had to stand still. */
const SAMPLES_PER_TICK_MAX = 20_000;
const TICK_MS = 4;
const PAGE_SAMPLES = 500;
/** Samples, of all signals, that a series is asked for; and what retention leaves in any test of this. */
const SERIES_SAMPLES = 2_000;
const SERIES_SAMPLES_KEPT = 12_000;
/** When nobody is left to kill it. */
const LIFETIME_MS = 90_000;

/** Opens a history as the pipeline does. */
export async function openNumbered(
  path: string,
  maxSamples: number | null,
): Promise<PersistentTelemetryStore> {
  const table = new SeriesTable(registry);
  const options = { path, flushIntervalMs: WRITER_FLUSH_INTERVAL_MS, ...KEEP_EVERYTHING, maxSamples };
  const store = new PersistentTelemetryStore({ ...options, log: pino({ enabled: false }) }, table);
  const { series } = await store.open();
  for (const known of series) table.restore(known);
  for (const key of NUMBERED_SERIES.slice(table.count)) table.add(key);
  return store;
}

/** What SQLite finds wrong with a database: `ok` for nothing. */
export function integrityOf(path: string): string {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = database.prepare('PRAGMA integrity_check').all();
    return rows.map(({ integrity_check }) => String(integrity_check)).join('\n');
  } finally {
    database.close();
  }
}

/** What a writer's parent has heard of it. */
export class WriterReport {
  /** The number of its first sample; null before it has opened the history. */
  firstSeq: number | null = null;
  durableSeq = 0;
  givenSeq = 0;
  /** What it found when it looked at the history first. */
  checked: Kept | null = null;
  wrong: string | null = null;
  readonly opened: Promise<void>;
  readonly #given: { readonly seq: number; readonly atMs: number }[] = [];
  readonly #open: () => void;
  #rest = '';

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.opened = promise;
    this.#open = resolve;
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + chunk).split('\n');
    // A line that has no end was cut off with its writer.
    this.#rest = lines.pop()!;
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const [word, first, second] = line.split(' ');
    const seq = Number(first);
    switch (word) {
      case 'open':
        this.firstSeq = seq;
        this.givenSeq = seq - 1;
        this.durableSeq = Math.max(this.durableSeq, seq - 1);
        this.#open();
        break;
      case 'given':
        if (seq > this.givenSeq) this.#given.push({ seq, atMs: Number(second) });
        this.givenSeq = seq;
        break;
      case 'durable':
        this.durableSeq = Math.max(this.durableSeq, seq);
        break;
      case 'checked':
        this.checked = JSON.parse(line.slice('checked '.length));
        break;
      default:
        this.wrong ??= line;
    }
  }

  /** Null when it was ended before it had opened the history. */
  get life(): Life | null {
    const { firstSeq, durableSeq, givenSeq } = this;
    return firstSeq === null ? null : { firstSeq, durableSeq, givenSeq };
  }

  /** How long before `endedAtMs` the oldest sample that is missing was given; 0 when none is. */
  missingMs(lastSeq: number, endedAtMs: number): number {
    const missing = this.#given.find(({ seq }) => seq > lastSeq);
    return missing === undefined ? 0 : endedAtMs - missing.atMs;
  }
}

function say(line: string): void {
  // At once: what is in a buffer dies with the process.
  writeSync(1, `${line}\n`);
}

async function write(
  path: string,
  maxSamples: number | null,
  lives: string | undefined,
  checkedSeq: number,
): Promise<void> {
  const store = await openNumbered(path, maxSamples);
  if (lives !== undefined) {
    // After the store, which has undone what a cut left half done; a reader may not.
    const integrity = integrityOf(path);
    if (integrity !== 'ok') throw new Error(integrity);
    const isOldestDropped = maxSamples !== null;
    const kept = await checkHistory(store, JSON.parse(lives), { cursor: checkedSeq, isOldestDropped });
    say(`checked ${JSON.stringify(kept)}`);
  }
  let seq = store.samples.firstSeq;
  const firstSeq = seq;
  say(`open ${firstSeq}`);
  const newestSeq = () => seq - 1;
  for (const read of [readOldestFirst, readNewestFirst, readSeries]) {
    read(store, firstSeq, newestSeq).catch(fail);
  }

  let committed = 0;
  let dueMs = performance.now();
  for (;;) {
    const nowMs = performance.now();
    const count = Math.min(SAMPLES_PER_TICK_MAX, Math.floor((nowMs - dueMs) * SAMPLES_PER_MS));
    dueMs = nowMs;
    for (let index = 0; index < count && store.hasRoom; index++) {
      append(store.samples, numberedSample(seq++));
      if (store.samples.isFull) store.handOver();
    }
    say(`given ${seq - 1} ${Date.now()}`);
    const { samplesStored, samplesLost, problem } = store.status();
    if (problem !== null || samplesLost.queue + samplesLost.write > 0) {
      throw new Error(`${JSON.stringify(samplesLost)} are lost: ${JSON.stringify(problem)}`);
    }
    if (samplesStored > committed) say(`durable ${firstSeq + samplesStored - 1}`);
    committed = samplesStored;
    await sleep(TICK_MS);
  }
}

/** Pages through what is there, over and over: of what this writer has given nothing is left out. */
async function readOldestFirst(store: PersistentTelemetryStore, firstSeq: number): Promise<void> {
  for (;;) {
    let cursor = Math.max(0, firstSeq - PAGE_SAMPLES);
    for (;;) {
      const page = await checkedPage(store, cursor, { limit: PAGE_SAMPLES });
      if (page.length === 0) break;
      for (const [index, { seq }] of page.entries()) {
        const before = index === 0 ? seq - 1 : page[index - 1]!.seq;
        if (seq > firstSeq && seq !== before + 1) throw new Error(`a page has ${seq} after ${before}`);
      }
      cursor = page.at(-1)!.seq;
      await sleep(TICK_MS);
    }
    await sleep(TICK_MS);
  }
}

/** The same from the newest on, as far back as retention leaves it: nothing that was given is left out. */
async function readNewestFirst(
  store: PersistentTelemetryStore,
  firstSeq: number,
  newestSeq: () => number,
): Promise<void> {
  for (;;) {
    let expected = newestSeq();
    let cursor: number | undefined;
    for (;;) {
      const page = await checkedPage(store, cursor, { limit: PAGE_SAMPLES, order: 'desc' });
      if (page.length === 0) break;
      // What was given since the question was asked is there, too.
      if (cursor === undefined) expected = Math.max(expected, page[0]!.seq);
      for (const { seq } of page) {
        if (seq >= firstSeq && seq !== expected)
          throw new Error(`sample ${seq} comes before ${expected + 1}`);
        expected = seq - 1;
      }
      cursor = page.at(-1)!.seq;
      await sleep(TICK_MS);
    }
    await sleep(TICK_MS);
  }
}

/** Asks for the latest samples of a signal, which are all counted, whether they are stored yet or not. */
async function readSeries(
  store: PersistentTelemetryStore,
  firstSeq: number,
  newestSeq: () => number,
): Promise<void> {
  const { componentType, componentId, commandId, messageType } = RPM;
  const signals = [{ componentType, componentId, commandId }];
  for (;;) {
    await sleep(TICK_MS);
    const lastSeq = newestSeq();
    const span = { firstSeq: Math.max(firstSeq, lastSeq + 1 - SERIES_SAMPLES), lastSeq };
    const expected = [...seqsOfQuantity(commandId, [span])].length;
    if (expected === 0) continue;
    const fromUs = numberedSample(span.firstSeq).timestampUs;
    const toUs = numberedSample(lastSeq).timestampUs + 1;
    const text = await store.series({ signals, messageType, fromUs, toUs, points: 7 });
    const reply: SeriesReply = JSON.parse(new TextDecoder().decode(text));
    const found = reply.signals[0]!.count.reduce((sum, count) => sum + count, 0);
    // Before the answer came retention may have reached what was asked for.
    const isKept = newestSeq() - span.firstSeq < SERIES_SAMPLES_KEPT;
    if (found > expected || (isKept && found < expected)) {
      throw new Error(`a series has ${found} of ${expected} samples from ${span.firstSeq} to ${lastSeq}`);
    }
  }
}

function fail(error: unknown): never {
  say(`wrong ${String(error).replaceAll('\n', ' ')}`);
  process.exit(1);
}

if (import.meta.main) {
  const [path, maxSamples, lives, checkedSeq = '0'] = process.argv.slice(2);
  setTimeout(() => process.exit(0), LIFETIME_MS).unref();
  const limit = maxSamples === 'unlimited' ? null : Number(maxSamples);
  await write(path!, limit, lives, Number(checkedSeq)).catch(fail);
}
