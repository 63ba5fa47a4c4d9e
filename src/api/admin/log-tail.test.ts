import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { LOG_TAIL_BYTES_MAX } from '../../shared/limits.ts';
import { logTail } from './log-tail.ts';

const file = join(temporaryDirectory({ after }), 'collector.log');
const line = (msg: string) => `${JSON.stringify({ level: 'info', time: '2026-01-01T00:00:00Z', msg })}\n`;

test('the last lines of the log come in their order', async () => {
  writeFileSync(file, ['a', 'b', 'c'].map(line).join(''));
  const messages = async (lines: number) => (await logTail(file, lines)).map(({ msg }) => msg);
  assert.deepEqual(await messages(2), ['b', 'c']);
  assert.deepEqual(await messages(100), ['a', 'b', 'c']);
});

test('what is torn, or no line of ours, is left out', async () => {
  writeFileSync(file, `{"level":"in\nplain\n42\n${line('whole')}{"level":"info","msg":"to`);
  assert.deepEqual(
    (await logTail(file, 10)).map(({ msg }) => msg),
    ['whole'],
  );
});

test('of a long log only the end is read', async () => {
  const text = line('x'.repeat(1000)).repeat(Math.ceil((2 * LOG_TAIL_BYTES_MAX) / 1000));
  writeFileSync(file, text + line('last'));
  const found = await logTail(file, 1000);
  assert.ok(found.length < 300);
  assert.equal(found.at(-1)?.msg, 'last');
});

test('a log that is not there yet has no lines', async () => {
  assert.deepEqual(await logTail(`${file}.none`, 10), []);
});
