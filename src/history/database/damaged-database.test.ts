import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { append, RPM, registry } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import { DATABASES_SET_ASIDE_MAX, SAMPLE_BATCH_SAMPLES_MAX } from '../../shared/limits.ts';
import type { HistoryQuery } from '../history-query.ts';
import { PersistentTelemetryStore } from '../persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { damageOf, damageOfOpening, setAside } from './damaged-database.ts';

const NOW_US = 1_764_000_000_000_000;
const NEVER_MS = 1_000_000;
const MADE_SAMPLES = 5 * SAMPLE_BATCH_SAMPLES_MAX;
const PAGE_BYTES = 4096;
const EVERYTHING: HistoryQuery = { limit: 10_000, offset: 0, order: 'asc', format: 'json' };
const ASIDE = /^collector\.db\.damaged-\d{8}T\d{6}Z(-\d+)?$/;

interface Opened {
  readonly store: PersistentTelemetryStore;
  readonly table: SeriesTable;
  /** What was logged, a line each. */
  readonly logged: string[];
}

async function openStore(path: string, t?: TestContext): Promise<Opened> {
  const table = new SeriesTable(registry);
  const logged: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => void logged.push(line) });
  const options = { path, flushIntervalMs: NEVER_MS, ...KEEP_EVERYTHING, log };
  const store = new PersistentTelemetryStore(options, table);
  const { series } = await store.open();
  t?.after(() => store.close());
  for (const record of series) table.restore(record);
  return { store, table, logged };
}

async function record({ store, table }: Opened, count: number): Promise<void> {
  if (table.count === 0) table.add(RPM);
  for (let index = 0; index < count; index++) {
    append(store.samples, { timestampUs: NOW_US + index, rawValue: Math.random(), series: 0 });
    if (store.samples.isFull) store.handOver();
  }
  await store.flush();
}

async function countOf({ store }: Opened): Promise<number> {
  return (await store.query(EVERYTHING)).count;
}

/** A database of several chunks, as a proper end leaves it and as a power cut does, with its log. */
const made = temporaryDirectory({ after });
before(async () => {
  const path = join(made, 'collector.db');
  const opened = await openStore(path);
  await record(opened, MADE_SAMPLES);
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(made, `cut.db${suffix}`));
  await opened.store.close();
});

function madeDatabase(t: TestContext, isCleanEnd = true): string {
  const path = join(temporaryDirectory(t), 'collector.db');
  if (isCleanEnd) copyFileSync(join(made, 'collector.db'), path);
  else for (const suffix of ['', '-wal']) copyFileSync(join(made, `cut.db${suffix}`), path + suffix);
  return path;
}

/** The page that a table begins with. */
function rootPage(path: string, table: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(table);
  database.close();
  return Number(row?.rootpage);
}

function overwrite(path: string, offset: number, bytes: number, value = 0xa5): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(bytes, value), 0, bytes, offset);
  closeSync(fd);
}

function overwritePage(path: string, page: number, value?: number): void {
  overwrite(path, (page - 1) * PAGE_BYTES, PAGE_BYTES, value);
}

interface Damaged {
  readonly name: string;
  readonly isCleanEnd?: boolean;
  readonly reason: RegExp;
  damage(path: string): void;
}

const MALFORMED = /malformed/;

const DAMAGED: readonly Damaged[] = [
  {
    name: 'cut in half',
    reason: MALFORMED,
    damage: (path) => truncateSync(path, statSync(path).size / 2),
  },
  {
    name: 'cut after its header',
    reason: MALFORMED,
    damage: (path) => truncateSync(path, 100),
  },
  {
    name: 'whose header tells no page size',
    reason: /not a database/,
    damage: (path) => overwrite(path, 16, 2),
  },
  {
    name: 'whose header tells no version',
    reason: /no version/,
    damage: (path) => overwrite(path, 60, 4, 0),
  },
  {
    name: 'whose schema is garbage',
    reason: MALFORMED,
    damage: (path) => overwrite(path, 104, PAGE_BYTES - 104),
  },
  {
    name: 'whose schema begins with zeros',
    reason: MALFORMED,
    damage: (path) => overwrite(path, 103, PAGE_BYTES - 103, 0),
  },
  {
    name: 'without a table that its version has',
    reason: /no such table/,
    damage: (path) => execute(path, 'DROP TABLE totals'),
  },
  ...['series', 'series_state', 'totals', 'chunks', 'segments', 'blocks', 'definitions'].map((table) => ({
    name: `whose table ${table} begins with garbage`,
    reason: MALFORMED,
    damage: (path: string) => overwritePage(path, rootPage(path, table)),
  })),
  {
    name: 'whose totals are gone',
    reason: /totals has not one row/,
    damage: (path) => execute(path, 'DELETE FROM totals'),
  },
  {
    name: 'whose series have a gap',
    reason: /series are missing/,
    damage: (path) => execute(path, 'UPDATE series SET id = 7; UPDATE series_state SET series = 7'),
  },
  {
    name: 'whose series have no definitions',
    reason: /a series has no definition/,
    damage: (path) => execute(path, 'DELETE FROM definitions'),
  },
  {
    name: 'whose states have no series',
    reason: /a state has no series/,
    damage: (path) => execute(path, 'UPDATE series_state SET series = 7'),
  },
  {
    name: 'with garbage in the midst of its chunks, after an unclean end',
    isCleanEnd: false,
    reason: /table chunks: .*(overflow|page)/is,
    damage: (path) => {
      // In the log, so that it is still one after a proper beginning.
      const reader = new DatabaseSync(path);
      reader.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      const pages = Number(reader.prepare('PRAGMA page_count').get()?.page_count);
      reader.exec('UPDATE totals SET next_seq = next_seq + 1');
      // As if the process ended here: a close would take the log over and delete it.
      for (const suffix of ['', '-wal']) copyFileSync(path + suffix, `${path}${suffix}.copy`);
      reader.close();
      for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}.copy`, path + suffix);
      overwritePage(path, Math.floor(pages / 2));
    },
  },
  {
    name: 'whose write-ahead log is garbage',
    isCleanEnd: false,
    reason: /write-ahead log does not begin as one/,
    damage: (path) => overwrite(`${path}-wal`, 0, statSync(`${path}-wal`).size),
  },
  {
    name: 'whose write-ahead log has a garbled header',
    isCleanEnd: false,
    reason: /write-ahead log does not begin as one/,
    damage: (path) => overwrite(`${path}-wal`, 12, 4),
  },
  {
    name: 'that is empty beside its write-ahead log',
    isCleanEnd: false,
    reason: /it is empty, and its write-ahead log is not/,
    damage: (path) => truncateSync(path),
  },
];

/** As somebody at a prompt does it, who may do everything. */
function execute(path: string, sql: string): void {
  execFileSync(process.execPath, [
    '-e',
    `const { DatabaseSync } = require('node:sqlite');
     const database = new DatabaseSync(${JSON.stringify(path)}, { enableForeignKeyConstraints: false, defensive: false });
     database.exec(${JSON.stringify(sql)});`,
  ]);
}

/** Of the file and its log; one that isn't there has none. */
function bytesOf(path: string): Buffer[] {
  return ['', '-wal'].map((suffix) =>
    existsSync(path + suffix) ? readFileSync(path + suffix) : Buffer.alloc(0),
  );
}

describe('a start sets aside a database', { concurrency: 2 }, () => {
  for (const { name, isCleanEnd, reason, damage } of DAMAGED) {
    test(name, async (t) => {
      const path = madeDatabase(t, isCleanEnd);
      damage(path);
      const before = bytesOf(path);

      const opened = await openStore(path, t);
      const { setAside } = opened.store.status();
      assert.ok(setAside !== null);
      assert.match(setAside.reason, reason);
      assert.match(basename(setAside.path), ASIDE);
      assert.deepEqual(bytesOf(setAside.path), before);
      const [line = '', ...more] = opened.logged;
      assert.deepEqual(more, []);
      const { level, database, set_aside, look_at_it } = JSON.parse(line);
      assert.deepEqual(
        [level, database, set_aside, look_at_it],
        [50, path, setAside.path, `sqlite3 '${setAside.path}' .recover`],
      );

      await record(opened, 3);
      assert.equal(await countOf(opened), 3);
      assert.deepEqual(opened.store.status().samplesLost, { queue: 0, write: 0 });
      await opened.store.close();
      assert.deepEqual(bytesOf(setAside.path), before);
      const next = await openStore(path, t);
      assert.equal(next.store.status().setAside, null);
      assert.equal(await countOf(next), 3);
    });
  }
});

describe('nothing is set aside', () => {
  test('of a database that a power cut left with its log', async (t) => {
    const path = madeDatabase(t, false);
    assert.ok(statSync(`${path}-wal`).size > 0);
    const { store } = await openStore(path, t);
    assert.equal(store.status().setAside, null);
    assert.equal(store.status().size.samples, MADE_SAMPLES);
  });

  test('for a log that was cut off in the middle, as power cuts do', async (t) => {
    const path = madeDatabase(t, false);
    truncateSync(`${path}-wal`, statSync(`${path}-wal`).size / 2);
    const { store } = await openStore(path, t);
    assert.equal(store.status().setAside, null);
  });

  test('of what is not ours', async (t) => {
    const path = join(temporaryDirectory(t), 'collector.db');
    writeFileSync(path, 'SQLite format 3\0, and nothing of a database'.repeat(100));
    const before = readFileSync(path);
    await assert.rejects(openStore(path, t), { code: 'HISTORY_NOT_OURS' });
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(readdirSync(dirname(path)), ['collector.db']);
  });

  test('for a disk that is full or fails, or a file that may not be read', () => {
    for (const errcode of [5, 8, 10, 13, 14]) {
      const error = Object.assign(new Error('no room'), { errcode });
      assert.equal(damageOfOpening(new Error('wrapped', { cause: error })), null);
    }
    const corrupt = Object.assign(new Error('malformed'), { errcode: 11 | (3 << 8) });
    assert.equal(damageOf(new Error('wrapped', { cause: corrupt })), 'malformed');
  });
});

test('no database set aside takes the place of an earlier one', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const nowMs = Date.UTC(2026, 10, 23, 4, 5, 6, 789);
  const paths = ['first', 'second', 'third'].map((text) => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) writeFileSync(path + suffix, text + suffix);
    return setAside(path, nowMs);
  });
  assert.deepEqual(
    paths.map((aside) => basename(aside)),
    ['', '-2', '-3'].map((count) => `collector.db.damaged-20261123T040506Z${count}`),
  );
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    assert.equal(existsSync(path + suffix), false);
    assert.equal(readFileSync(paths[1] + suffix, 'utf8'), `second${suffix}`);
  }
});

/** Lets SQLite find the schema damaged at the next thing that it does. */
function damageSchema(path: string): void {
  execute(
    path,
    `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1000000 WHERE name = 'chunks';
     PRAGMA schema_version = 1000`,
  );
}

describe('damage that shows while running', () => {
  test('costs the commit that meets it, and what comes then goes to a new database', async (t) => {
    const path = join(temporaryDirectory(t), 'collector.db');
    const opened = await openStore(path, t);
    const { store, table, logged } = opened;
    await record(opened, 10);
    table.add({ ...RPM, nodeId: 3 });
    assert.equal(await countOf(opened), 10);
    damageSchema(path);
    await record(opened, 5);
    const { setAside, samplesLost } = store.status();
    assert.match(setAside?.reason ?? '', MALFORMED);
    assert.deepEqual(samplesLost, { queue: 0, write: 5 });
    assert.match(logged.at(-1) ?? '', /set aside, and a new one begun/);

    append(store.samples, { timestampUs: NOW_US, rawValue: 1, series: 1 });
    await record(opened, 2);
    assert.equal(store.status().problem, null);
    assert.equal(store.status().size.samples, 3);
    assert.equal(await countOf(opened), 3);
    await store.close();

    const next = await openStore(path, t);
    assert.deepEqual(
      next.table.since(0).map(({ nodeId }) => nodeId),
      [2, 3],
    );
    assert.equal(await countOf(next), 3);
    assert.equal(next.store.status().setAside, null);
  });

  test('is met with a new database so many times and no more', async (t) => {
    const path = join(temporaryDirectory(t), 'collector.db');
    const opened = await openStore(path, t);
    for (let time = 0; time <= DATABASES_SET_ASIDE_MAX; time++) {
      await record(opened, 1);
      damageSchema(path);
      await record(opened, 1);
    }
    const asides = readdirSync(dirname(path)).filter((name) => ASIDE.test(name));
    assert.equal(asides.length, DATABASES_SET_ASIDE_MAX);
    assert.match(opened.store.status().problem?.message ?? '', /is damaged .* Give another disk/);
    assert.equal(opened.store.status().state, 'open');
  });
});
