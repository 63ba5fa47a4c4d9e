import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { append, RPM, registry } from '../../test/support/samples.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { GapReply, SampleReply } from '../api/schemas.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { HistoryError, QueryError } from '../shared/errors.ts';
import {
  CHUNK_SAMPLES_RECENT,
  HISTORY_QUERIES_WAITING_MAX,
  SAMPLE_BATCH_SAMPLES_MAX,
  SAMPLE_BATCHES_FREE_LOW,
  SAMPLE_BATCHES_MAX,
  SAMPLE_BATCHES_PER_COMMIT_MAX,
  SEGMENT_SAMPLES,
  SEQ_RESERVED,
} from '../shared/limits.ts';
import type { Gap } from './gap.ts';
import type { HistoryQuery } from './history-query.ts';
import {
  type HistoryOptions,
  PersistentTelemetryStore,
  type StoredHistory,
} from './persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from './retention.ts';

const NOW_US = 1_764_000_000_000_000;
const log = pino({ enabled: false });
const IS_LINUX = process.platform === 'linux';

/** Longer than any test: what is flushed is flushed by the test. */
const NEVER_MS = 1_000_000;
const EVERYTHING: HistoryQuery = { limit: 10_000, offset: 0, order: 'asc', format: 'json' };

interface Opened {
  readonly path: string;
  readonly store: PersistentTelemetryStore;
  readonly table: SeriesTable;
  readonly stored: StoredHistory;
}

async function openStore(t: TestContext, options: Partial<HistoryOptions> = {}): Promise<Opened> {
  const path = options.path ?? join(temporaryDirectory(t), 'collector.db');
  const table = new SeriesTable(registry);
  const store = new PersistentTelemetryStore(
    { path, flushIntervalMs: NEVER_MS, ...KEEP_EVERYTHING, log, ...options },
    table,
  );
  const stored = await store.open();
  t.after(() => store.close());
  for (const series of stored.series) table.restore(series);
  return { path, store, table, stored };
}

/** Appends samples of series 0 as the pipeline does, handing over each batch that is full. */
function add(store: PersistentTelemetryStore, count: number): void {
  for (let index = 0; index < count; index++) {
    append(store.samples, { timestampUs: NOW_US + index, rawValue: index, series: 0 });
    if (store.samples.isFull) store.handOver();
  }
}

async function samplesOf(store: PersistentTelemetryStore, query = EVERYTHING): Promise<SampleReply[]> {
  const { text } = await store.query(query);
  return JSON.parse(new TextDecoder().decode(text));
}

/** Nice values of this process's threads, by their names. */
function threadPriorities(): Record<string, number> {
  const ids = readdirSync('/proc/self/task');
  const name = (id: string) => readFileSync(`/proc/self/task/${id}/comm`, 'latin1').trim();
  return Object.fromEntries(ids.map((id) => [name(id), os.getPriority(Number(id))]));
}

/** The database as a power cut would leave it now. */
function copyOf(t: TestContext, path: string): string {
  const copy = join(temporaryDirectory(t), 'collector.db');
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix);
  return copy;
}

async function gapsOf(store: PersistentTelemetryStore): Promise<GapReply[]> {
  return JSON.parse(new TextDecoder().decode(await store.gaps({ limit: 100 }))).gaps;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(5);
}

/** Keeps the writer from writing until the returned function is called. */
function blockWriter(t: TestContext, path: string): () => void {
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const release = () => {
    if (other.isOpen) other.close();
  };
  t.after(release);
  return release;
}

test('what was flushed can be asked for, and comes back at the next start', async (t) => {
  const first = await openStore(t);
  assert.deepEqual(first.stored, { series: [], states: [] });
  const series = first.table.add(RPM)!;
  add(first.store, 3);
  await first.store.flush();
  const samples = await samplesOf(first.store);
  assert.deepEqual(
    samples.map(({ seq, value, component_id }) => [seq, value, component_id]),
    [1, 2, 3].map((seq) => [seq, seq - 1, 'MOTOR_LEFT_REAR']),
  );
  const { samplesStored, samplesLost, commits, problem, state, size } = first.store.status();
  assert.deepEqual([samplesStored, commits, problem, state, size.samples], [3, 1, null, 'open', 3]);
  assert.deepEqual(samplesLost, { queue: 0, write: 0 });
  await first.store.close();

  const second = await openStore(t, { path: first.path });
  const { index, definition } = series;
  assert.deepEqual(second.stored, {
    series: [{ ...RPM, index, definition }],
    states: [{ series: 0, timestampUs: NOW_US + 2, rawValue: 2, count: 3, seq: 3 }],
  });
  assert.equal(second.store.status().size.samples, 3);
  add(second.store, 1);
  await second.store.flush();
  assert.deepEqual((await samplesOf(second.store)).at(-1)?.seq, 4);
});

test('a start passes over the newest samples where they are damaged, and says so', async (t) => {
  const first = await openStore(t);
  first.table.add(RPM);
  for (let commit = 0; commit < 2; commit++) {
    add(first.store, 3);
    await first.store.flush();
  }
  await first.store.close();
  const other = new DatabaseSync(first.path);
  other.exec("UPDATE chunks SET samples = x'01' WHERE first_seq = 4");
  other.close();
  const { store } = await openStore(t, { path: first.path });
  assert.deepEqual([store.status().state, store.status().damages], ['open', 1]);
  assert.deepEqual(
    (await samplesOf(store)).map(({ seq }) => seq),
    [1, 2, 3],
  );
});

test('a cursor of another history begins with the oldest sample, and one of the newest with nothing', async (t) => {
  const { store, table } = await openStore(t);
  table.add(RPM);
  add(store, 2);
  await store.flush();
  // Not handed over yet, and seen all the same.
  add(store, 1);
  const after = async (cursor: number) =>
    (await samplesOf(store, { ...EVERYTHING, cursor })).map(({ seq }) => seq);
  assert.deepEqual(await after(2), [3]);
  assert.deepEqual(await after(3), []);
  assert.deepEqual(await after(4), [1, 2, 3]);
  assert.deepEqual(await after(Number.MAX_SAFE_INTEGER), [1, 2, 3]);
});

test('a series that is new after a restart is stored beside those of before', async (t) => {
  const first = await openStore(t);
  first.table.add(RPM);
  await first.store.flush();
  add(first.store, 1);
  await first.store.close();
  const second = await openStore(t, { path: first.path });
  assert.equal(second.table.add({ ...RPM, nodeId: 3 })?.index, 1);
  append(second.store.samples, { timestampUs: NOW_US, rawValue: 5, series: 1 });
  await second.store.close();
  const third = await openStore(t, { path: first.path });
  assert.deepEqual(
    third.stored.series.map(({ nodeId }) => nodeId),
    [2, 3],
  );
  assert.equal((await samplesOf(third.store)).length, 2);
});

test('samples become durable by themselves, once per flush interval', async (t) => {
  const flushIntervalMs = 100;
  const { store, table } = await openStore(t, { flushIntervalMs });
  table.add(RPM);
  const startedMs = performance.now();
  for (let round = 0; round < 60; round++) {
    add(store, 10);
    await sleep(5);
  }
  await until(() => store.status().samplesStored === 600);
  const intervals = (performance.now() - startedMs) / flushIntervalMs;
  assert.ok(store.status().commits <= Math.ceil(intervals), `${store.status().commits} in ${intervals}`);
  // With nothing new there is nothing to commit.
  const { commits } = store.status();
  await sleep(3 * flushIntervalMs);
  assert.equal(store.status().commits, commits);
});

test('a flush ends when its own samples are durable, whatever was asked for before', async (t) => {
  const { path, store, table } = await openStore(t);
  table.add(RPM);
  const release = blockWriter(t, path);
  const flushed: Promise<void>[] = [];
  const storedAtEnd: number[] = [];
  for (let round = 1; round <= 5; round++) {
    add(store, 1);
    flushed.push(store.flush().then(() => void storedAtEnd.push(store.status().samplesStored)));
  }
  release();
  await Promise.all(flushed);
  assert.deepEqual(storedAtEnd, [1, 2, 3, 4, 5]);
});

describe('while the writer stands still', () => {
  test('batches fill up to the limit, and what comes then is lost and counted', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    const release = blockWriter(t, path);
    const roomUntil = (SAMPLE_BATCHES_MAX - SAMPLE_BATCHES_FREE_LOW) * SAMPLE_BATCH_SAMPLES_MAX;
    add(store, roomUntil - 1);
    assert.equal(store.hasRoom, true);
    add(store, 1);
    assert.equal(store.hasRoom, false);
    const calls: string[] = [];
    store.whenRoom(() => calls.push('first'));
    store.whenRoom(() => calls.push('second'));

    const capacity = (SAMPLE_BATCHES_MAX - 1) * SAMPLE_BATCH_SAMPLES_MAX;
    add(store, capacity - roomUntil);
    assert.equal(store.status().batchesInUse, SAMPLE_BATCHES_MAX);
    assert.deepEqual(store.status().samplesLost, { queue: 0, write: 0 });
    add(store, 2 * SAMPLE_BATCH_SAMPLES_MAX + 17);
    assert.deepEqual(store.status().samplesLost, { queue: 2 * SAMPLE_BATCH_SAMPLES_MAX, write: 0 });
    assert.deepEqual(calls, []);

    release();
    await until(() => store.hasRoom);
    await until(() => calls.length === 2);
    assert.deepEqual(calls, ['first', 'second']);
    await store.flush();
    assert.equal(store.status().samplesStored, capacity + 17);
    assert.equal(store.status().batchesInUse, 1);
    // It is a gap, of both batches together.
    assert.deepEqual(await gapsOf(store), [
      {
        bus: null,
        cause: 'queue',
        ...{ from: NOW_US / 1e6, to: (NOW_US + 2 * SAMPLE_BATCH_SAMPLES_MAX - 1) / 1e6 },
        count: 2 * SAMPLE_BATCH_SAMPLES_MAX,
        ongoing: false,
      },
    ]);
    // The numbers of those lost are left out.
    const last = { ...EVERYTHING, order: 'desc', limit: 18 } as const;
    const seqs = (await samplesOf(store, last)).map(({ seq }) => seq);
    const firstAfter = capacity + 2 * SAMPLE_BATCH_SAMPLES_MAX + 1;
    assert.deepEqual(seqs.slice(-3), [firstAfter + 1, firstAfter, capacity]);
  });

  test('batches are handed over only when full, so that short intervals lose nothing', async (t) => {
    const { path, store, table } = await openStore(t, { flushIntervalMs: 1 });
    table.add(RPM);
    const release = blockWriter(t, path);
    for (let round = 0; round < 2 * SAMPLE_BATCHES_MAX; round++) {
      add(store, 1);
      await sleep(2);
    }
    assert.ok(store.status().batchesInUse <= 3, String(store.status().batchesInUse));
    release();
    await until(() => store.status().samplesStored === 2 * SAMPLE_BATCHES_MAX);
    assert.deepEqual(store.status().samplesLost, { queue: 0, write: 0 });
  });

  test('a close still loses nothing of a full queue', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    const release = blockWriter(t, path);
    const everything = SAMPLE_BATCHES_MAX * SAMPLE_BATCH_SAMPLES_MAX - 1;
    add(store, everything);
    const closed = store.close();
    release();
    await closed;
    assert.deepEqual(store.status().samplesLost, { queue: 0, write: 0 });
    assert.equal(store.status().samplesStored, everything);
  });
});

describe('sequence numbers', () => {
  const newest = { ...EVERYTHING, order: 'desc', limit: 1 } as const;

  test('that were seen are not given again after a crash, before the first commit or later', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    for (let commit = 0; commit < 3; commit++) {
      add(store, 10);
      const [seen] = await samplesOf(store, newest);
      assert.equal(seen?.seq, 10 * (commit + 1));
      const { store: next } = await openStore(t, { path: copyOf(t, path) });
      assert.ok(next.samples.firstSeq > seen.seq);
      await next.close();
      await store.flush();
    }
  });

  test('go on without a gap after a close, which leaves out those of lost samples only', async (t) => {
    const first = await openStore(t);
    first.table.add(RPM);
    add(first.store, 10);
    await first.store.close();
    const second = await openStore(t, { path: first.path });
    assert.equal(second.store.samples.firstSeq, 11);

    const release = blockWriter(t, first.path);
    add(second.store, SAMPLE_BATCHES_MAX * SAMPLE_BATCH_SAMPLES_MAX);
    const closed = second.store.close();
    release();
    await closed;
    assert.equal(second.store.status().samplesLost.queue, SAMPLE_BATCH_SAMPLES_MAX);
    const third = await openStore(t, { path: first.path });
    assert.equal(third.store.samples.firstSeq, 11 + SAMPLE_BATCHES_MAX * SAMPLE_BATCH_SAMPLES_MAX);
  });

  test('are not seen beyond those reserved, however long nothing can be stored, and are again after it', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    add(store, 1);
    await store.flush();
    const release = blockWriter(t, path);
    add(store, SEQ_RESERVED - 100);
    const [seen] = await samplesOf(store, newest);
    add(store, 200);
    const [stillSeen] = await samplesOf(store, newest);
    const { store: next } = await openStore(t, { path: copyOf(t, path) });
    release();
    assert.equal(seen?.seq, SEQ_RESERVED - 99);
    assert.equal(next.samples.firstSeq, 2 + SEQ_RESERVED);
    assert.ok(stillSeen!.seq < next.samples.firstSeq);

    await store.flush();
    add(store, 1);
    const [seenAgain] = await samplesOf(store, newest);
    assert.equal(seenAgain?.seq, SEQ_RESERVED + 102);
  });

  test('are seen without a gap when what was not seen for so long begins to be stored', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    await store.flush();
    const other = new DatabaseSync(path);
    other.exec("CREATE TRIGGER broken BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'no room'); END");
    while (store.samples.firstSeq <= SEQ_RESERVED) {
      add(store, SAMPLE_BATCHES_PER_COMMIT_MAX * SAMPLE_BATCH_SAMPLES_MAX);
      await store.flush();
    }
    other.exec('DROP TRIGGER broken');
    other.close();
    const release = blockWriter(t, path);
    add(store, (SAMPLE_BATCHES_PER_COMMIT_MAX + 1) * SAMPLE_BATCH_SAMPLES_MAX + 5);
    const unseen = await samplesOf(store);
    release();
    assert.deepEqual(unseen, []);

    // The first of them are stored, one batch more waits for the next commit, and the last for a handover.
    await until(() => store.status().commits === 1);
    const seqs = (await samplesOf(store, { ...EVERYTHING, order: 'desc' })).map(({ seq }) => seq);
    assert.equal(seqs.length, EVERYTHING.limit);
    assert.equal(seqs[0], store.samples.firstSeq + store.samples.count - 1);
    assert.equal(seqs.at(-1), seqs[0]! - EVERYTHING.limit + 1);
  });
});

test('a write that fails is counted and told, and later ones succeed', async (t) => {
  const { path, store, table } = await openStore(t);
  table.add(RPM);
  add(store, 1);
  await store.flush();
  const other = new DatabaseSync(path);
  other.exec("CREATE TRIGGER broken BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'no room'); END");
  add(store, 5);
  await store.flush();
  assert.deepEqual(store.status().samplesLost, { queue: 0, write: 5 });
  assert.match(store.status().problem?.message ?? '', /no room/);
  assert.equal(store.status().commits, 1);
  // The gap could be stored, which says nothing of samples.
  assert.equal(store.status().size.gaps, 1);

  other.exec('DROP TRIGGER broken');
  other.close();
  add(store, 2);
  await store.flush();
  assert.deepEqual(store.status().samplesLost, { queue: 0, write: 5 });
  assert.equal(store.status().problem, null);
  assert.equal(store.status().samplesStored, 3);
  assert.deepEqual(
    (await samplesOf(store)).map(({ seq }) => seq),
    [1, 7, 8],
  );
  const [gap, ...more] = await gapsOf(store);
  assert.deepEqual(more, []);
  assert.deepEqual([gap?.cause, gap?.count, gap?.from], ['disk', 5, NOW_US / 1e6]);
  assert.equal(Math.round((gap!.to - gap!.from) * 1e6), 4);
});

describe('a gap', () => {
  const DOWN: Gap = { bus: 'can0', cause: 'bus_down', fromUs: NOW_US, toUs: null, count: null };

  test('is stored by itself within a flush interval, where no sample comes', async (t) => {
    const { store } = await openStore(t, { flushIntervalMs: 20 });
    store.gap(DOWN);
    await until(() => store.status().size.gaps === 1);
    assert.equal((await gapsOf(store))[0]?.ongoing, true);
    store.gap({ ...DOWN, toUs: NOW_US + 1_000_000 });
    let gaps: GapReply[];
    do gaps = await gapsOf(store);
    while (gaps[0]?.ongoing === true);
    assert.deepEqual(gaps, [
      {
        bus: 'can0',
        cause: 'bus_down',
        from: NOW_US / 1e6,
        to: NOW_US / 1e6 + 1,
        count: null,
        ongoing: false,
      },
    ]);
    assert.deepEqual([store.status().commits, store.status().samplesStored], [0, 0]);
  });

  test('that could not be stored is stored when it can be, where no sample comes', async (t) => {
    const { path, store } = await openStore(t, { flushIntervalMs: 20 });
    const other = new DatabaseSync(path);
    other.exec("CREATE TRIGGER broken BEFORE INSERT ON gaps BEGIN SELECT RAISE(ABORT, 'no room'); END");
    store.gap(DOWN);
    await until(() => store.status().problem !== null);
    assert.match(store.status().problem!.message, /no room/);
    other.exec('DROP TRIGGER broken');
    other.close();
    await until(() => store.status().size.gaps === 1);
  });

  test('told last is stored by a close', async (t) => {
    const first = await openStore(t);
    first.store.gap(DOWN);
    first.store.gap({ ...DOWN, toUs: NOW_US + 5_000_000 });
    await first.store.close();
    const second = await openStore(t, { path: first.path });
    assert.equal(second.store.status().size.gaps, 1);
    assert.equal((await gapsOf(second.store))[0]?.to, NOW_US / 1e6 + 5);
  });

  test('is the time between two runs, where a source is live', async (t) => {
    const first = await openStore(t, { isLive: true });
    first.table.add(RPM);
    const addedUs = Date.now() * 1000;
    append(first.store.samples, { timestampUs: addedUs, rawValue: 1, series: 0 });
    await first.store.close();
    const closedUs = Date.now() * 1000;

    const replay = await openStore(t, { path: first.path });
    await replay.store.flush();
    assert.deepEqual(await gapsOf(replay.store), []);
    await replay.store.close();

    const reopeningUs = Date.now() * 1000;
    const { store } = await openStore(t, { path: first.path, isLive: true });
    await store.flush();
    const [gap, ...more] = await gapsOf(store);
    assert.deepEqual(more, []);
    assert.deepEqual([gap?.bus, gap?.cause, gap?.count], [null, 'service_down', null]);
    assert.ok(gap!.from * 1e6 >= addedUs && gap!.from * 1e6 <= closedUs, String(gap!.from));
    assert.ok(gap!.to * 1e6 >= reopeningUs && gap!.to * 1e6 <= Date.now() * 1000, String(gap!.to));
  });
});

describe('queries', () => {
  test('beyond those that may wait are refused with 503, and the others answered', async (t) => {
    const { store, table } = await openStore(t);
    table.add(RPM);
    add(store, 2);
    await store.flush();
    const queries = Array.from({ length: HISTORY_QUERIES_WAITING_MAX }, () => samplesOf(store));
    assert.equal(store.status().queriesWaiting, HISTORY_QUERIES_WAITING_MAX);
    await assert.rejects(store.query(EVERYTHING), (error) => {
      assert.ok(error instanceof QueryError);
      assert.deepEqual([error.statusCode, error.code], [503, 'HISTORY_BUSY']);
      return /64 queries already wait .*: try again/.test(error.message);
    });
    for (const samples of await Promise.all(queries)) assert.equal(samples.length, 2);
    assert.equal(store.status().queriesWaiting, 0);
    assert.equal((await samplesOf(store)).length, 2);
    const { durations, refused, failed } = store.timings().queries;
    const answered = Object.values(durations).reduce((sum, { count }) => sum + count, 0);
    assert.deepEqual([answered, refused, failed], [HISTORY_QUERIES_WAITING_MAX + 1, 1, 0]);
  });

  test('are timed by what is asked, and so are commits', async (t) => {
    const { store, table } = await openStore(t);
    table.add(RPM);
    add(store, 2);
    await store.flush();
    const { componentType, componentId, commandId } = RPM;
    const signal = { componentType, componentId, commandId };
    await store.query(EVERYTHING);
    await store.query({ ...EVERYTHING, limit: 1, order: 'desc' });
    await store.gaps({ limit: 1 });
    await store.series({ signals: [signal], messageType: 1, fromUs: 0, toUs: 1_000_000, points: 1 });
    const { commits, queries } = store.timings();
    assert.equal(commits.count, store.status().commits);
    assert.ok(commits.count > 0 && commits.sumS > 0);
    const counts = Object.entries(queries.durations).map(([kind, { count }]) => [kind, count]);
    const { page, newest, ...others } = Object.fromEntries(counts);
    assert.equal(page + newest, 2);
    assert.ok(newest > 0, 'the newest sample is in memory');
    assert.deepEqual(others, { series: 1, columns: 0, gaps: 1 });
  });

  test('are answered by a thread that lets those go ahead that record', { skip: !IS_LINUX }, async (t) => {
    const { store, table } = await openStore(t);
    table.add(RPM);
    add(store, 1);
    await store.flush();
    assert.equal((await samplesOf(store)).length, 1);
    const own = os.getPriority();
    const { 'history reader': reader, 'history writer': writer } = threadPriorities();
    assert.deepEqual({ reader, writer }, { reader: Math.min(own + 10, 19), writer: own });
  });

  test('survive the death of the reader', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    add(store, 2);
    await store.flush();
    // A reader that finds no database dies.
    renameSync(path, `${path}-elsewhere`);
    const waiting = [store.query(EVERYTHING), store.query(EVERYTHING)];
    for (const result of await Promise.allSettled(waiting)) {
      assert.ok(result.status === 'rejected' && result.reason instanceof HistoryError);
      assert.equal(result.reason.code, 'HISTORY_READ_FAILED');
    }
    renameSync(`${path}-elsewhere`, path);
    assert.equal((await samplesOf(store)).length, 2);
    add(store, 1);
    await store.flush();
    assert.equal((await samplesOf(store)).length, 3);
  });

  test('that meet a damaged chunk pass over it, and the status counts it', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    add(store, 2);
    await store.flush();
    add(store, 2);
    await store.flush();
    const other = new DatabaseSync(path);
    other.exec("UPDATE chunks SET samples = x'01' WHERE first_seq = 1");
    other.close();
    assert.equal((await samplesOf(store)).length, 2);
    assert.equal(store.status().damages, 1);
  });

  test('that meet a damaged block tell of it once, and then pass over it', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    table.add({ ...RPM, commandId: 2 });
    const { componentType, componentId, messageType } = RPM;
    const columns = (commandId: number) =>
      store.columns({
        signal: { componentType, componentId, commandId },
        messageType,
        fromUs: 0,
        toUs: 2 * NOW_US,
      });
    for (let count = 0; count < SEGMENT_SAMPLES + CHUNK_SAMPLES_RECENT; count++) {
      append(store.samples, { timestampUs: NOW_US + count, rawValue: count % 9, series: count & 1 });
      if (!store.samples.isFull) continue;
      store.handOver();
      if (!store.hasRoom) await store.flush();
    }
    await store.flush();
    const other = new DatabaseSync(path);
    t.after(() => other.close());
    const count = (sql: string) => Number(Object.values(other.prepare(sql).get()!)[0]);
    while (count('SELECT count(*) FROM segments') === 0) {
      await store.flush();
      await sleep(20);
    }
    const whole = await columns(2);
    other.exec(`UPDATE block_pages SET bytes = zeroblob(length(bytes))
      WHERE id = (SELECT min(first_byte) / 4057 FROM blocks WHERE series = 1)`);
    const recent = await columns(2);
    assert.ok(whole.seq[0] === 2 && recent.seq[0]! > SEGMENT_SAMPLES);
    assert.equal(store.status().damages, 1);
    while (count('SELECT count(*) FROM quarantined_blocks') === 0) await store.flush();
    assert.deepEqual((await columns(2)).seq, recent.seq);
    assert.equal(store.status().damages, 1);
    // The other signal's block has a page of its own and the first one, perhaps.
    const { found } = other.prepare('SELECT found FROM quarantined_blocks').get() as { found: string };
    assert.match(found, /^block \d+: A block of samples can't be read/);
  });

  test('for columns are answered with those of stored samples and of the others', async (t) => {
    const { store, table } = await openStore(t);
    table.add(RPM);
    table.add({ ...RPM, commandId: 2 });
    add(store, 3);
    await store.flush();
    append(store.samples, { timestampUs: NOW_US + 8, rawValue: 8, series: 1 });
    append(store.samples, { timestampUs: NOW_US + 9, rawValue: -0.5, series: 0 });
    const { componentType, componentId, commandId, messageType } = RPM;
    const signal = { componentType, componentId, commandId };
    const span = { fromUs: NOW_US + 1, toUs: NOW_US + 10 };
    const page = await store.columns({ signal, messageType, ...span });
    assert.deepEqual(page, {
      seq: Float64Array.of(2, 3, 5),
      timestampUs: Float64Array.of(NOW_US + 1, NOW_US + 2, NOW_US + 9),
      rawValue: Float64Array.of(1, 2, -0.5),
      series: Uint16Array.of(0, 0, 0),
      nextCursor: null,
    });

    const { byteLength } = page.seq.buffer;
    const again = await store.columns({ signal, messageType, ...span, toUs: NOW_US + 3 }, page);
    assert.deepEqual([...again.seq], [2, 3]);
    assert.equal(again.seq.buffer.byteLength, byteLength);
    assert.equal(page.seq.buffer.detached, true);
    await assert.rejects(store.columns({ signal, messageType, ...span }, page), { name: 'DataCloneError' });
    assert.equal(store.status().queriesWaiting, 0);
  });

  test('asked before a close are answered, and none after it', async (t) => {
    const { store, table } = await openStore(t);
    table.add(RPM);
    add(store, 2);
    await store.flush();
    await samplesOf(store);
    const before = samplesOf(store);
    const closed = store.close();
    await assert.rejects(store.query(EVERYTHING), { code: 'HISTORY_CLOSED', statusCode: 503 });
    await closed;
    assert.equal((await before).length, 2);
  });
});

describe('a close', () => {
  test('makes everything durable and leaves the database alone in one file', async (t) => {
    const { path, store, table } = await openStore(t);
    table.add(RPM);
    add(store, SAMPLE_BATCH_SAMPLES_MAX + 5);
    await store.flush();
    // The reader still has work when the writer is done: more than it is given time for, on a slow machine.
    const answers = Promise.allSettled(Array.from({ length: 30 }, () => store.query(EVERYTHING)));
    add(store, 5);
    await store.close();
    await store.close();
    for (const answer of await answers) {
      if (answer.status === 'fulfilled') assert.ok(answer.value.count > SAMPLE_BATCH_SAMPLES_MAX);
      else assert.equal(answer.reason.code, 'HISTORY_READ_FAILED');
    }
    assert.equal(store.status().samplesStored, SAMPLE_BATCH_SAMPLES_MAX + 10);
    assert.equal(store.status().state, 'closed');
    assert.deepEqual(readdirSync(dirname(path)).toSorted(), ['collector.db', 'collector.db-lock']);

    const database = new DatabaseSync(path, { readOnly: true });
    const row = database.prepare('SELECT sum(count) AS samples FROM chunks').get();
    assert.equal(row?.samples, SAMPLE_BATCH_SAMPLES_MAX + 10);
    database.close();
  });

  test('of a store that holds a query and samples lets the process end', (t) => {
    const path = join(temporaryDirectory(t), 'collector.db');
    const moduleOf = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
    const script = `
      const { PersistentTelemetryStore } = await import(${moduleOf('./persistent-telemetry-store.ts')});
      const { SeriesTable } = await import(${moduleOf('../protocol/series-table.ts')});
      const { RPM, append, registry } = await import(${moduleOf('../../test/support/samples.ts')});
      const table = new SeriesTable(registry);
      const options = { path: ${JSON.stringify(path)}, flushIntervalMs: 10, ...${JSON.stringify(KEEP_EVERYTHING)} };
      const store = new PersistentTelemetryStore({ ...options, log: console }, table);
      await store.open();
      table.add(RPM);
      append(store.samples, { timestampUs: ${NOW_US}, rawValue: 1, series: 0 });
      await store.flush();
      const { count } = await store.query(${JSON.stringify(EVERYTHING)});
      await store.close();
      console.log(count);`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.deepEqual([status, stdout, stderr], [0, '1\n', '']);
  });
});

describe('an open is refused', () => {
  test('while another has the database, which goes on', async (t) => {
    const { path, store, table } = await openStore(t);
    await assert.rejects(openStore(t, { path }), { name: 'HistoryError', code: 'HISTORY_IN_USE' });
    table.add(RPM);
    add(store, 1);
    await store.flush();
    assert.equal(store.status().samplesStored, 1);
    await store.close();
    await (await openStore(t, { path })).store.close();
  });

  test('by the name of a link to it, whether it is there yet or not', async (t) => {
    const folder = temporaryDirectory(t);
    const [path, link, early] = ['collector.db', 'link.db', 'early.db'].map((name) => join(folder, name));
    symlinkSync('collector.db', early!);
    const first = await openStore(t, { path: early! });
    symlinkSync(path!, link!);
    for (const name of [path!, link!, early!]) {
      await assert.rejects(openStore(t, { path: name }), { name: 'HistoryError', code: 'HISTORY_IN_USE' });
    }
    first.table.add(RPM);
    add(first.store, 1);
    await first.store.flush();
    assert.ok(first.store.status().size.walBytes > 0);
    assert.ok(!existsSync(`${early}-lock`));
  });

  test("on another program's file", async (t) => {
    const path = join(temporaryDirectory(t), 'notes.txt');
    writeFileSync(path, 'notes');
    await assert.rejects(openStore(t, { path }), { name: 'HistoryError', code: 'HISTORY_NOT_OURS' });
    assert.deepEqual(readdirSync(dirname(path)), ['notes.txt']);
  });
});
