import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { pino } from 'pino';
import type { GapReply, SampleReply } from '../../src/api/schemas.ts';
import { openStored } from '../../src/history/database/database.ts';
import { PersistentTelemetryStore } from '../../src/history/persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../../src/history/retention.ts';
import { SeriesTable } from '../../src/protocol/series-table.ts';
import { append, RPM, registry } from '../support/samples.ts';
import { eventually } from '../support/service.ts';

/** The history's disk is full, or read-only, when the vehicle is switched on. */

const DISK_BYTES = 4 * 1024 ** 2;
const NOW_US = 1_764_000_000_000_000;
const CRASHED = ['collector.db', 'collector.db-wal'];

const disk = mkdtempSync(join(tmpdir(), 'disk-full-start-'));
const path = join(disk, 'collector.db');
const filler = join(disk, 'filler');
execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk]);
after(() => execFileSync('umount', ['-l', disk]));

/** Leaves not a page. */
function fillDisk(): void {
  assert.throws(() => writeFileSync(filler, Buffer.alloc(2 * DISK_BYTES)), { code: 'ENOSPC' });
}

interface Opened {
  readonly store: PersistentTelemetryStore;
  readonly table: SeriesTable;
  /** How often the earlier runs have heard each series. */
  readonly counts: readonly number[];
}

async function open(): Promise<Opened> {
  const table = new SeriesTable(registry);
  const log = pino({ enabled: false });
  const options = { path, flushIntervalMs: 100, reopenMs: 200, isLive: true, ...KEEP_EVERYTHING, log };
  const store = new PersistentTelemetryStore(options, table);
  const { series, states } = await store.open();
  for (const one of series) table.restore(one);
  return { store, table, counts: states.map(({ count }) => count) };
}

function add({ store, table }: Opened, count: number): void {
  if (table.count === 0) table.add(RPM);
  for (let at = 0; at < count; at++) {
    append(store.samples, { timestampUs: NOW_US + store.samples.firstSeq + at, rawValue: at, series: 0 });
  }
}

async function seqs(store: PersistentTelemetryStore): Promise<number[]> {
  const { text } = await store.query({ limit: 1000, offset: 0, order: 'asc', format: 'json' });
  return (JSON.parse(new TextDecoder().decode(text)) as SampleReply[]).map(({ seq }) => seq);
}

/** A start on a disk that refuses the database, and what becomes of it once it does not. Gives what is stored then. */
async function refusedUntil(mend: () => void, heardBefore: number): Promise<number[]> {
  const opened = await open();
  const { store, counts } = opened;
  assert.deepEqual(counts, heardBefore === 0 ? [] : [heardBefore]);
  add(opened, 5);
  const { samplesLost } = await eventually(
    async () => store.status(),
    ({ samplesLost }) => samplesLost.write > 0,
  );
  const { state, problem } = store.status();
  assert.deepEqual([state, problem?.code, samplesLost.write], ['failed', 'HISTORY_UNAVAILABLE', 5]);
  await assert.rejects(seqs(store), { code: 'HISTORY_CLOSED', statusCode: 503 });

  mend();
  add(opened, 1);
  await eventually(
    async () => store.status(),
    ({ state }) => state === 'open',
  );
  add(opened, 2);
  await store.flush();
  assert.equal(store.status().problem, null);
  const stored = await seqs(store);
  assert.equal(stored.at(-1)! - stored.at(-2)!, 1);
  const { gaps } = JSON.parse(new TextDecoder().decode(await store.gaps({ limit: 100 }))) as {
    gaps: GapReply[];
  };
  const lost = gaps.filter(({ cause }) => cause === 'disk').reduce((sum, { count }) => sum + count!, 0);
  assert.equal(lost % 6, 0, 'what came while it was refused is told as lost');
  await store.close();
  const reader = new DatabaseSync(path, { readOnly: true });
  assert.equal(reader.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  reader.close();
  return stored;
}

test('a first start on a full disk goes on without a history until there is room', async () => {
  fillDisk();
  assert.deepEqual(await refusedUntil(() => rmSync(filler), 0), [7, 8]);
});

test('a start after a clean stop goes on with the history that is there', async () => {
  fillDisk();
  assert.deepEqual(await refusedUntil(() => rmSync(filler), 2), [7, 8, 15, 16]);
});

test('so does one after a crash, of which the log is left', async () => {
  const opened = await open();
  add(opened, 1);
  await opened.store.flush();
  const kept = mkdtempSync(join(tmpdir(), 'crashed-'));
  for (const name of CRASHED) copyFileSync(join(disk, name), join(kept, name));
  await opened.store.close();
  for (const name of CRASHED) copyFileSync(join(kept, name), join(disk, name));
  fillDisk();
  const stored = await refusedUntil(() => rmSync(filler), 5);
  assert.deepEqual(stored.slice(0, 5), [7, 8, 15, 16, 17]);
  assert.equal(stored.length, 7);
});

test('so does one on a disk that is read-only, until it is not', async () => {
  execFileSync('mount', ['-o', 'remount,ro', disk]);
  // What is stored there can be exported all the same.
  const reader = openStored(path);
  assert.equal(reader.prepare('SELECT samples FROM totals').get()?.samples, 7);
  reader.close();
  const stored = await refusedUntil(() => execFileSync('mount', ['-o', 'remount,rw', disk]), 7);
  assert.equal(stored.length, 9);
});

test('what is no fault of the disk still refuses the start', async () => {
  rmSync(path, { force: true });
  mkdirSync(path);
  await assert.rejects(open(), { code: 'HISTORY_NOT_OURS' });
});
