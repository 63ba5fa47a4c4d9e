import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { HistoryConfig } from '../config/schema.ts';
import { lockFolder } from '../shared/folder-lock.ts';
import type { Check } from './check.ts';
import { checkRecording } from './recording.ts';

const MIB = 1024 ** 2;

const NO_HISTORY = { path: '/collector.db', maxBytes: 0 } as HistoryConfig;

function named(checks: readonly Check[], name: string): Check {
  const check = checks.find((each) => each.name === name);
  assert.ok(check, name);
  return check;
}

describe('the folder of a recording', () => {
  test('with room is ok, and nothing is made on it', (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'can');
    const checks = checkRecording({ path, maxBytes: 8 * MIB }, NO_HISTORY, false);
    assert.match(named(checks, 'folder').found, /can be written to \(\S+can will be made in it\)$/);
    assert.match(named(checks, 'space').found, /the recording may grow by 8\.0 MiB$/);
    assert.deepEqual(readdirSync(directory), []);
  });

  test('what is recorded already counts, and what the history may take of the same disk', (t) => {
    const path = temporaryDirectory(t);
    writeFileSync(join(path, '20261124T034647Z-000001.log.zst'), new Uint8Array(2 * MIB));
    writeFileSync(join(path, 'readme.txt'), new Uint8Array(MIB));
    const history = { path: join(path, 'collector.db'), maxBytes: 64 * MIB } as HistoryConfig;
    const space = named(checkRecording({ path, maxBytes: 8 * MIB }, history, false), 'space');
    assert.match(space.found, /may grow by 6\.0 MiB, and the history beside it by 64\.0 MiB$/);
  });

  test('without room for max_bytes is a warning that says what fits', (t) => {
    const path = temporaryDirectory(t);
    const { blocks, bsize } = statfsSync(path);
    const checks = checkRecording({ path, maxBytes: 2 * blocks * bsize }, NO_HISTORY, false);
    const { outcome, remedies } = named(checks, 'space');
    assert.equal(outcome, 'warning');
    assert.match(remedies[0]!, /^--recording-max-bytes \d+MiB would fit\.$/);
  });

  test('without a bound is a warning', (t) => {
    const path = temporaryDirectory(t);
    assert.equal(
      named(checkRecording({ path, maxBytes: null }, NO_HISTORY, false), 'space').outcome,
      'warning',
    );
  });

  test('that is a file is a problem', (t) => {
    const path = join(temporaryDirectory(t), 'file');
    writeFileSync(path, '');
    const [folder, ...others] = checkRecording({ path, maxBytes: 8 * MIB }, NO_HISTORY, false);
    assert.equal(folder?.outcome, 'problem');
    assert.match(folder.found, /file is no folder$/);
    assert.deepEqual(others, []);
  });

  const inMemory = existsSync('/dev/shm') && statfsSync('/dev/shm').type === 0x01021994;
  test('that is memory is a warning', { skip: !inMemory }, (t) => {
    const path = mkdtempSync('/dev/shm/doctor-');
    t.after(() => rmSync(path, { recursive: true }));
    const check = named(checkRecording({ path, maxBytes: 8 * MIB }, NO_HISTORY, false), 'file system');
    assert.match(check.found, /in memory \(tmpfs\): the recording is gone/);
  });

  test('that another collector records to is a problem', {
    skip: process.platform !== 'linux' && 'there are no locks of folders here',
  }, (t) => {
    const path = temporaryDirectory(t);
    const release = lockFolder(path);
    const checks = () => checkRecording({ path, maxBytes: 8 * MIB }, NO_HISTORY, false);
    assert.equal(named(checks(), 'lock').outcome, 'problem');
    release!();
    assert.equal(
      checks().find(({ name }) => name === 'lock'),
      undefined,
    );
  });

  test('that a running collector writes is not tried', (t) => {
    const path = join(temporaryDirectory(t), 'can');
    mkdirSync(path);
    const checks = checkRecording({ path, maxBytes: 8 * MIB }, NO_HISTORY, true);
    assert.match(named(checks, 'folder').found, /written by the running collector$/);
  });
});
