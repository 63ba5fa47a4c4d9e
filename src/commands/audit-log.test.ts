import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import {
  AUDIT_ENTRIES_KEPT,
  AUDIT_FILES_MAX,
  AUDIT_LINES_WAITING_MAX,
  AUDIT_REFUSALS_BURST,
} from '../shared/limits.ts';
import { AuditLog } from './audit-log.ts';
import { type CommandRecord, draftOf } from './command-record.ts';

const ASKER = { principal: 'driver', address: '127.0.0.1' };
const PIPE_BYTES = 65_536;

function record(parts: Partial<CommandRecord> = {}): CommandRecord {
  return { ...draftOf(null, ASKER), outcome: 'acknowledged', ...parts };
}

function openAudit(t: TestContext, path: string, fileBytesMax?: number): AuditLog {
  const audit = new AuditLog({ path, log: pino({ enabled: false }), ...(fileBytesMax && { fileBytesMax }) });
  t.after(() => audit.stop());
  return audit;
}

function linesOf(path: string): CommandRecord[] {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.endsWith('\n'));
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function idsOf(records: readonly CommandRecord[]): string[] {
  return records.map(({ id }) => id);
}

test('an entry is in the file when its write resolves, which only the owner can read', async (t) => {
  const path = join(temporaryDirectory(t), 'new folder', 'commands.log');
  const audit = openAudit(t, path);
  await audit.start();
  const first = record({ id: 'a', component_type: 'LIGHTS', value: 1 });
  await audit.write(first, true);
  assert.deepEqual(linesOf(path), [first]);
  await audit.write(record({ id: 'b' }), false);
  assert.deepEqual(idsOf(linesOf(path)), ['a', 'b']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(audit.status().failures, 0);
});

test('entries that come at once are written in their order, each once', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  const audit = openAudit(t, path);
  const ids = Array.from({ length: 200 }, (_, index) => String(index));
  await Promise.all(ids.map((id) => audit.write(record({ id }), true)));
  assert.deepEqual(idsOf(linesOf(path)), ids);
});

test('the newest are told first, of each id what was said last, also by an earlier run', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  const before = openAudit(t, path);
  await before.write(record({ id: 'a', outcome: 'sending' }), true);
  await before.write(record({ id: 'b', outcome: 'sending' }), true);
  await before.write(record({ id: 'a', outcome: 'timed_out' }), true);
  // Somebody else's, one that a crash has torn, and one that is none.
  appendFileSync(path, '{"id":7}\nnull\nhello\n{"id":"c","time":"2026-11-2');
  const audit = openAudit(t, path);
  await audit.start();
  const told = (limit: number) => audit.newest(limit).map(({ id, outcome }) => `${id} ${outcome}`);
  assert.deepEqual(told(10), ['b sending', 'a timed_out']);
  assert.deepEqual(told(1), ['b sending']);
  // What comes next isn't glued to the torn line.
  await audit.write(record({ id: 'd' }), true);
  assert.deepEqual(told(1), ['d acknowledged']);
  assert.equal(JSON.parse(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)!).id, 'd');
});

test('so many newest entries are kept, and no more', async (t) => {
  const audit = openAudit(t, join(temporaryDirectory(t), 'commands.log'));
  const ids = Array.from({ length: AUDIT_ENTRIES_KEPT + 10 }, (_, index) => String(index));
  for (const id of ids) audit.write(record({ id }), false).catch(() => {});
  await audit.write(record({ id: 'last' }), false);
  const kept = idsOf(audit.newest(10_000));
  assert.equal(kept.length, AUDIT_ENTRIES_KEPT);
  assert.deepEqual(kept, [...ids, 'last'].reverse().slice(0, AUDIT_ENTRIES_KEPT));
});

test('the file is rotated, and the oldest of the files goes', async (t) => {
  const folder = temporaryDirectory(t);
  const path = join(folder, 'commands.log');
  const lineBytes = JSON.stringify(record({ id: '000' })).length + 1;
  const audit = openAudit(t, path, 3 * lineBytes);
  const ids = Array.from({ length: 3 * AUDIT_FILES_MAX + 4 }, (_, index) => String(index).padStart(3, '0'));
  for (const id of ids) await audit.write(record({ id }), true);
  const names = Array.from({ length: AUDIT_FILES_MAX }, (_, number) =>
    number === 0 ? 'commands.log' : `commands.log.${number}`,
  );
  assert.deepEqual(readdirSync(folder).sort(), names.sort());
  const kept = names.toReversed().flatMap((name) => {
    assert.ok(statSync(join(folder, name)).size <= 3 * lineBytes);
    return idsOf(linesOf(join(folder, name)));
  });
  assert.deepEqual(kept, ids.slice(-kept.length));
  assert.equal(kept.length, 3 * (AUDIT_FILES_MAX - 1) + 1);
  // An earlier run's are found in the file that was rotated last, too.
  const again = openAudit(t, path);
  await again.start();
  assert.deepEqual(idsOf(again.newest(4)), ids.slice(-4).reverse());
});

test('a file that was moved away gets no more lines: a new one does', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  const audit = openAudit(t, path);
  await audit.write(record({ id: 'a' }), true);
  renameSync(path, `${path}.moved`);
  await audit.write(record({ id: 'b' }), true);
  assert.deepEqual([idsOf(linesOf(`${path}.moved`)), idsOf(linesOf(path))], [['a'], ['b']]);
});

test('a full disk is told and counted, and its entries are still among the newest', async (t) => {
  const audit = openAudit(t, '/dev/full');
  await assert.rejects(audit.write(record({ id: 'a' }), true), {
    code: 'AUDIT_UNWRITTEN',
    message: /^The audit log \/dev\/full can't be written: ENOSPC.*It needs room on its disk/,
  });
  const { failures, linesWaiting, problem } = audit.status();
  assert.deepEqual([failures, linesWaiting, problem?.code], [1, 1, 'ENOSPC']);
  assert.deepEqual(idsOf(audit.newest(1)), ['a']);
});

test('what the disk refused is written once it has room, ahead of what comes next', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  mkdirSync(path);
  const audit = openAudit(t, path);
  for (const id of ['a', 'b']) await assert.rejects(audit.write(record({ id }), true));
  assert.deepEqual([audit.status().failures, audit.status().linesWaiting], [2, 2]);
  rmdirSync(path);
  await audit.write(record({ id: 'c' }), true);
  assert.deepEqual(idsOf(linesOf(path)), ['a', 'b', 'c']);
  assert.deepEqual([audit.status().linesWaiting, audit.status().problem], [0, null]);
});

test('what the disk refused is written at the stop, if it can be by then', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  mkdirSync(path);
  const audit = openAudit(t, path);
  await assert.rejects(audit.write(record({ id: 'a' }), true));
  rmdirSync(path);
  await audit.stop();
  assert.deepEqual(idsOf(linesOf(path)), ['a']);
});

test('so many lines wait for a disk that refuses them; the oldest beyond are lost, and counted', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  mkdirSync(path);
  const audit = openAudit(t, path);
  const ids = Array.from({ length: AUDIT_LINES_WAITING_MAX + 5 }, (_, index) => String(index));
  await Promise.all(ids.map((id) => assert.rejects(audit.write(record({ id }), false))));
  const { linesWaiting, linesLost } = audit.status();
  assert.deepEqual([linesWaiting, linesLost], [AUDIT_LINES_WAITING_MAX, 5]);
  rmdirSync(path);
  await audit.write(record({ id: 'last' }), false);
  // One more, for the last to find room.
  assert.deepEqual(idsOf(linesOf(path)), [...ids.slice(6), 'last']);
});

test('a disk that does not answer is not waited for, and gets the entry all the same', async (t) => {
  const path = join(temporaryDirectory(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, 'r+');
  t.after(() => closeSync(pipe));
  // A pipe without room is what stands still as long as a test likes.
  writeSync(pipe, Buffer.alloc(PIPE_BYTES, ' '));
  const audit = openAudit(t, path);
  await assert.rejects(audit.write(record({ id: 'a' }), false), {
    code: 'AUDIT_UNWRITTEN',
    message: /the disk didn't answer for 1000 ms/,
  });
  assert.equal(audit.status().failures, 1);
  for (let left = PIPE_BYTES; left > 0; ) left -= readSync(pipe, Buffer.alloc(left));
  await audit.write(record({ id: 'b' }), false);
  const text = Buffer.alloc(PIPE_BYTES);
  const lines = text.toString('utf8', 0, readSync(pipe, text)).trimEnd().split('\n');
  assert.deepEqual(idsOf(lines.map((line) => JSON.parse(line))), ['a', 'b']);
});

test('refused attempts beyond a number are counted in the next line, or in one at the stop', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  const audit = openAudit(t, path);
  const refused = record({ outcome: 'refused', code: 'TOKEN_MISSING' });
  const extra = 50;
  for (let attempt = 0; attempt < AUDIT_REFUSALS_BURST + extra; attempt++) {
    await audit.noteRefusal({ ...refused, id: `refused ${attempt}` });
  }
  // Some more may have had a line of their own, if that took seconds.
  const { refusalsLeftOut } = audit.status();
  assert.ok(refusalsLeftOut > 0 && refusalsLeftOut <= extra);
  await audit.write(record({ id: 'a' }), true);
  const told = linesOf(path).map(({ refusals_left_out }) => refusals_left_out);
  assert.equal(told.length - 1 + told.reduce((sum, count) => sum + count), AUDIT_REFUSALS_BURST + extra);
  assert.equal(audit.newest(1)[0]?.refusals_left_out, told.at(-1));

  let before = audit.status().refusalsLeftOut;
  while (audit.status().refusalsLeftOut === before) {
    before = audit.status().refusalsLeftOut;
    await audit.noteRefusal({ ...refused, id: 'one more' });
  }
  await audit.stop();
  const last = linesOf(path).at(-1)!;
  assert.deepEqual([last.outcome, last.code, last.refusals_left_out], ['refused', 'COMMANDS_REFUSED', 1]);
});

test('what another program has written is left as it is', async (t) => {
  const path = join(temporaryDirectory(t), 'commands.log');
  writeFileSync(path, 'a note by hand');
  const audit = openAudit(t, path);
  await audit.start();
  assert.deepEqual(audit.newest(10), []);
  await audit.write(record({ id: 'a' }), true);
  const [note, line] = readFileSync(path, 'utf8').split('\n');
  assert.deepEqual([note, JSON.parse(line!).id], ['a note by hand', 'a']);
});
