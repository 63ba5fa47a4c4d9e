import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { WAL_CHECKPOINT_BYTES, WAL_KEPT_BYTES } from '../../shared/limits.ts';
import { durabilityOf, lockDatabase, openForReading, openForWriting, openStored } from './database.ts';
import { PAGE_BYTES } from './schema.ts';

function databasePath(t: TestContext): string {
  return join(temporaryDirectory(t), 'collector.db');
}

function madeDatabase(t: TestContext): string {
  const path = databasePath(t);
  openForWriting(path).close();
  return path;
}

function tablesOf(database: DatabaseSync): unknown[] {
  return database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => name);
}

const TABLES = [
  'block_pages',
  'blocks',
  'chunks',
  'clock_spans',
  'definitions',
  'gaps',
  'protocols',
  'quarantine',
  'quarantined_blocks',
  'rollup_pages',
  'rollup_segments',
  'rollups',
  'segments',
  'series',
  'series_state',
  'totals',
];

describe('opening for writing', () => {
  test('makes the database and the directories above it', (t) => {
    const path = join(temporaryDirectory(t), 'a/b', 'collector.db');
    const database = openForWriting(path);
    assert.deepEqual(tablesOf(database), TABLES);
    assert.deepEqual({ ...database.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'wal' });
    assert.deepEqual({ ...database.prepare('PRAGMA synchronous').get() }, { synchronous: 2 });
    assert.equal(
      Number(database.prepare('PRAGMA wal_autocheckpoint').get()?.wal_autocheckpoint) * PAGE_BYTES,
      WAL_CHECKPOINT_BYTES,
    );
    assert.deepEqual(
      { ...database.prepare('PRAGMA journal_size_limit').get() },
      { journal_size_limit: WAL_KEPT_BYTES },
    );
    database.close();
    assert.deepEqual(readdirSync(join(path, '..')), ['collector.db']);
  });

  for (const [durability, synchronous] of [
    ['full', 2],
    ['relaxed', 1],
  ] as const) {
    test(`syncs as ${durability} durability asks for, old and new databases`, (t) => {
      const path = databasePath(t);
      for (const _ of ['new', 'old']) {
        const database = openForWriting(path, durability);
        assert.deepEqual({ ...database.prepare('PRAGMA synchronous').get() }, { synchronous });
        assert.equal(durabilityOf(database), durability);
        database.close();
      }
    });
  }

  test('finds again what was written before', (t) => {
    const path = madeDatabase(t);
    const first = openForWriting(path);
    first.exec('UPDATE totals SET next_seq = 42');
    first.close();
    const second = openForWriting(path);
    assert.deepEqual({ ...second.prepare('SELECT next_seq FROM totals').get() }, { next_seq: 42 });
    second.close();
  });

  test('takes an empty file for a database that is to be made', (t) => {
    const path = databasePath(t);
    writeFileSync(path, '');
    const database = openForWriting(path);
    assert.deepEqual(tablesOf(database), TABLES);
    database.close();
  });

  test('makes the database anew where a power cut undid its first transaction', (t) => {
    const path = madeDatabase(t);
    // What the cut leaves: the pages written, and a rollback journal that says the file was empty before.
    const journal = Buffer.alloc(512);
    journal.write('d9d505f920a163d7', 'hex');
    journal.writeUInt32BE(512, 20);
    journal.writeUInt32BE(4096, 24);
    const rollbackMode = new DatabaseSync(path);
    rollbackMode.exec('PRAGMA journal_mode = DELETE');
    rollbackMode.close();
    writeFileSync(`${path}-journal`, journal);

    const database = openForWriting(path);
    assert.deepEqual(tablesOf(database), TABLES);
    database.close();
    openForWriting(path).close();
  });

  test('leaves a database that readers can open', (t) => {
    const database = openForReading(madeDatabase(t));
    assert.deepEqual(tablesOf(database), TABLES);
    assert.throws(() => database.exec('DELETE FROM totals'), /readonly/);
    database.close();
  });
});

interface Refused {
  readonly name: string;
  readonly code: string;
  readonly message: RegExp;
  make(path: string): void;
}

const REFUSED: readonly Refused[] = [
  {
    name: 'a text file',
    code: 'HISTORY_NOT_OURS',
    message: /can't be the history: it is not an SQLite database\. It was left untouched; .*--db FILE/,
    make: (path) => writeFileSync(path, 'dear diary\n'.repeat(100)),
  },
  {
    name: 'a short file',
    code: 'HISTORY_NOT_OURS',
    message: /it is not an SQLite database/,
    make: (path) => writeFileSync(path, 'SQLite format 3\0'),
  },
  {
    name: "another program's database",
    code: 'HISTORY_NOT_OURS',
    message: /it is an SQLite database of another program \(application id 0\)/,
    make: (path) => {
      const database = new DatabaseSync(path);
      database.exec("CREATE TABLE telemetry (value); INSERT INTO telemetry VALUES ('precious')");
      database.close();
    },
  },
  {
    name: "another program's database in WAL mode",
    code: 'HISTORY_NOT_OURS',
    message: /another program \(application id 7\)/,
    make: (path) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA application_id = 7; CREATE TABLE telemetry (value)');
      database.close();
    },
  },
  {
    name: 'a database of a newer version',
    code: 'HISTORY_TOO_NEW',
    message: /has version 99; this telemetry-collector knows up to 2\. It was left untouched/,
    make: (path) => {
      const database = openForWriting(path);
      database.exec('PRAGMA user_version = 99');
      database.close();
    },
  },
  {
    name: 'a directory',
    code: 'HISTORY_NOT_OURS',
    message: /it is not a regular file/,
    make: (path) => mkdirSync(path),
  },
];

describe('what is not ours is refused and left as it was, with nothing beside it:', () => {
  for (const { name, code, message, make } of REFUSED) {
    test(name, (t) => {
      const path = databasePath(t);
      make(path);
      const isFile = statSync(path).isFile();
      const before = isFile ? readFileSync(path) : null;
      const modifiedMs = statSync(path).mtimeMs;

      for (const open of [lockDatabase, openForWriting]) assert.throws(() => open(path), { code, message });

      if (isFile) assert.deepEqual(readFileSync(path), before);
      assert.equal(statSync(path).mtimeMs, modifiedMs);
      assert.deepEqual(readdirSync(join(path, '..')), ['collector.db']);
    });
  }
});

describe('opening what is stored', () => {
  test('reads a database that nobody uses and one that is being written', (t) => {
    const path = madeDatabase(t);
    const versions = () => {
      const database = openStored(path);
      assert.throws(() => database.exec('DELETE FROM totals'), /readonly/);
      const { next_seq } = database.prepare('SELECT next_seq FROM totals').get()!;
      database.close();
      return next_seq;
    };
    assert.equal(versions(), 1);
    const writer = openForWriting(path);
    writer.exec('UPDATE totals SET next_seq = 2');
    assert.equal(versions(), 2);
    writer.exec('BEGIN IMMEDIATE; UPDATE totals SET next_seq = 3');
    assert.equal(versions(), 2);
    writer.close();
  });

  test('refuses what is not there, is older or newer, or is of another', (t) => {
    const path = databasePath(t);
    assert.throws(() => openStored(path), { code: 'HISTORY_NOT_FOUND' });
    openForWriting(path).close();
    const other = new DatabaseSync(path);
    for (const [version, code] of [
      [1, 'HISTORY_TOO_OLD'],
      [99, 'HISTORY_TOO_NEW'],
    ] as const) {
      other.exec(`PRAGMA user_version = ${version}`);
      assert.throws(() => openStored(path), { code });
    }
    other.exec('PRAGMA application_id = 7; PRAGMA wal_checkpoint');
    other.close();
    assert.throws(() => openStored(path), { code: 'HISTORY_NOT_OURS' });
  });

  test('says what to do where the folder may not be written', (t) => {
    const path = madeDatabase(t);
    chmodSync(dirname(path), 0o555);
    const isRoot = process.geteuid!() === 0;
    // Root may write everywhere; nobody may not.
    if (isRoot) process.seteuid!(65_534);
    try {
      assert.throws(() => openStored(path), {
        code: 'HISTORY_UNAVAILABLE',
        message: /can't be read: .*\. SQLite needs to make files beside it, .* as a user who may write .*/,
      });
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(dirname(path), 0o755);
    }
  });
});

describe('a place where no file can be is named as unavailable:', () => {
  test('below a file', (t) => {
    const file = join(temporaryDirectory(t), 'file');
    writeFileSync(file, '');
    const path = join(file, 'collector.db');
    for (const open of [lockDatabase, openForWriting]) {
      assert.throws(() => open(path), { code: 'HISTORY_UNAVAILABLE', message: /collector\.db/ });
    }
  });

  test('in /proc, where a directory can be asked for forever', { skip: process.platform !== 'linux' }, () => {
    for (const open of [lockDatabase, openForWriting]) {
      assert.throws(() => open('/proc/nowhere/collector.db'), { code: 'HISTORY_UNAVAILABLE' });
    }
  });
});

describe('the lock', () => {
  test('is held by one at a time', (t) => {
    const path = madeDatabase(t);
    const lock = lockDatabase(path);
    assert.throws(() => lockDatabase(path), {
      code: 'HISTORY_IN_USE',
      message: /Another telemetry-collector is using the database .*collector\.db\. Stop it, or .*--db FILE/,
    });
    lock.close();
    lockDatabase(path).close();
  });

  test('keeps nobody from writing or reading who has it', (t) => {
    const path = databasePath(t);
    const lock = lockDatabase(path);
    const writer = openForWriting(path);
    const reader = openForReading(path);
    writer.exec('UPDATE totals SET next_seq = 2');
    assert.deepEqual({ ...reader.prepare('SELECT next_seq FROM totals').get() }, { next_seq: 2 });
    for (const database of [reader, writer, lock]) database.close();
  });

  test('of another process is respected, and free when that process was killed', async (t) => {
    const path = madeDatabase(t);
    const module = new URL('./database.ts', import.meta.url).href;
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `const { lockDatabase } = await import(${JSON.stringify(module)});
         globalThis.lock = lockDatabase(${JSON.stringify(path)});
         console.log('locked');
         setInterval(() => {}, 1000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.after(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    assert.throws(() => lockDatabase(path), { code: 'HISTORY_IN_USE' });

    holder.kill('SIGKILL');
    await once(holder, 'exit');
    lockDatabase(path).close();
  });
});
