import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { makeVersion1 } from '../../test/support/version-1.ts';
import type { HistoryConfig } from '../config/schema.ts';
import { lockDatabase, openForWriting } from '../history/database/database.ts';
import { WAL_BYTES_MAX } from '../shared/limits.ts';
import type { Check } from './check.ts';
import { checkDisk } from './disk.ts';
import { checkHistory } from './history.ts';

const MIB = 1024 ** 2;

function historyAt(path: string, maxBytes: number | null = 64 * MIB): HistoryConfig {
  return { path, maxBytes } as HistoryConfig;
}

function databasePath(t: TestContext): string {
  return join(temporaryDirectory(t), 'collector.db');
}

function madeDatabase(t: TestContext): string {
  const path = databasePath(t);
  openForWriting(path).close();
  return path;
}

function named(checks: readonly Check[], name: string): Check {
  const check = checks.find((each) => each.name === name);
  assert.ok(check, name);
  return check;
}

describe('the disk', () => {
  test('with room is ok, and nothing is made on it', (t) => {
    const directory = temporaryDirectory(t);
    const checks = checkDisk(historyAt(join(directory, 'a/b/collector.db')), false);
    assert.equal(named(checks, 'folder').outcome, 'ok');
    assert.match(named(checks, 'folder').found, /can be written to \(\S+a\/b will be made in it\)$/);
    assert.equal(named(checks, 'space').outcome, 'ok');
    assert.deepEqual(readdirSync(directory), []);
  });

  test('without room for max_bytes is a warning that says what fits', (t) => {
    const path = databasePath(t);
    const { blocks, bsize } = statfsSync(join(path, '..'));
    const space = named(checkDisk(historyAt(path, 2 * blocks * bsize), false), 'space');
    assert.equal(space.outcome, 'warning');
    assert.match(space.remedies[0]!, /^--max-bytes \d+MiB would fit\.$/);
  });

  test('without a bound is a warning', (t) => {
    assert.equal(named(checkDisk(historyAt(databasePath(t), null), false), 'space').outcome, 'warning');
  });

  test('with a file where the folder is to be is a problem', (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, 'file'), '');
    const [folder, ...others] = checkDisk(historyAt(join(directory, 'file/below/collector.db')), false);
    assert.equal(folder?.outcome, 'problem');
    assert.match(folder.found, /file is no folder$/);
    assert.deepEqual(others, []);
  });

  const inMemory = existsSync('/dev/shm') && statfsSync('/dev/shm').type === 0x01021994;
  test('that is memory is a warning', { skip: !inMemory }, (t) => {
    const directory = mkdtempSync('/dev/shm/doctor-');
    t.after(() => rmSync(directory, { recursive: true }));
    const check = named(checkDisk(historyAt(join(directory, 'collector.db')), false), 'file system');
    assert.equal(check.outcome, 'warning');
    assert.match(check.found, /in memory \(tmpfs\)/);
  });
});

describe('the database', () => {
  test('that is not there yet is ok', (t) => {
    const path = databasePath(t);
    const checks = checkHistory(path, false);
    assert.ok(checks.every(({ outcome }) => outcome === 'ok'));
    assert.match(named(checks, 'database').found, /none yet/);
    assert.deepEqual(readdirSync(join(path, '..')), []);
  });

  test('of a collector that was stopped is ok, and left as it is', (t) => {
    const path = madeDatabase(t);
    lockDatabase(path).close();
    const before = readdirSync(join(path, '..'));
    const checks = checkHistory(path, false);
    assert.ok(checks.every(({ outcome }) => outcome === 'ok'));
    assert.deepEqual(readdirSync(join(path, '..')), before);
  });

  test('that another collector has is a problem, unless it is the one that answers', (t) => {
    const path = madeDatabase(t);
    const lock = lockDatabase(path);
    t.after(() => lock.close());
    const check = named(checkHistory(path, false), 'lock');
    assert.equal(check.outcome, 'problem');
    assert.match(check.remedies.join('\n'), /sudo fuser -v \S+-lock\n.*--db FILE/);
    assert.equal(named(checkHistory(path, true), 'lock').outcome, 'ok');
  });

  test('of another program is a problem', (t) => {
    const path = databasePath(t);
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE mine (a); PRAGMA application_id = 7');
    database.close();
    const check = named(checkHistory(path, false), 'database');
    assert.equal(check.outcome, 'problem');
    assert.match(check.found, /database of another program \(application id 7\)/);
  });

  test('that is a folder is a problem', (t) => {
    const path = databasePath(t);
    mkdirSync(path);
    assert.equal(named(checkHistory(path, false), 'database').outcome, 'problem');
  });

  test('of an older version is ok: the next start brings it up to date', (t) => {
    const path = madeDatabase(t);
    makeVersion1(path);
    const check = named(checkHistory(path, false), 'database');
    assert.equal(check.outcome, 'ok');
    assert.match(check.found, /brings it up to date/);
  });

  test('that is damaged is a problem', (t) => {
    const path = madeDatabase(t);
    // A log that doesn't begin as one.
    writeFileSync(`${path}-wal`, Buffer.alloc(4096, 7));
    const check = named(checkHistory(path, false), 'database');
    assert.equal(check.outcome, 'problem');
    assert.match(check.found, /damaged: its write-ahead log does not begin as one/);
    assert.match(check.remedies.join(), /sets it aside/);
  });

  test('whose log has grown is a warning', (t) => {
    const path = madeDatabase(t);
    const database = openForWriting(path);
    t.after(() => database.close());
    database.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE much (a)');
    const insert = database.prepare('INSERT INTO much VALUES (zeroblob(?))');
    insert.run(WAL_BYTES_MAX + MIB);
    const check = named(checkHistory(path, true), 'write-ahead log');
    assert.equal(check.outcome, 'warning');
    assert.match(check.remedies[0]!, /sqlite3 prompt/);
  });
});
