import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMAND_DESCRIPTION } from '../src/api/command/description.ts';
import { COMMAND_OUTCOMES, draftOf } from '../src/commands/command-record.ts';
import { CHECKOUT } from './support/service.ts';

/** What docs/operating.md says of commands, against the code. */

const PAGE = readFileSync(join(CHECKOUT, 'docs/operating.md'), 'utf8');
const SECTION = /^## Commands\n(.*?)^## /ms.exec(PAGE)?.[1] ?? '';

/** What the first cells of a table's rows name, of the table whose head has this cell. */
function namedInTable(head: string): string[] {
  const [, after = ''] = SECTION.split(`| ${head} |`);
  const rows = after.split('\n\n')[0]!.split('\n').slice(2);
  return rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
}

test('each refusal of a command is told what it means, and no other', () => {
  const { 200: _, ...refusals } = COMMAND_DESCRIPTION.response;
  const codes = Object.values(refusals).flatMap(({ content }) =>
    Object.keys(content['application/json'].examples),
  );
  const ofEachRoute = ['TOKEN_MISSING', 'TOKEN_INVALID', 'SCOPE_MISSING', 'ORIGIN_REFUSED', 'HOST_REFUSED'];
  assert.deepEqual(
    namedInTable('sent? | what it means, and what to do').sort(),
    [...codes, ...ofEachRoute].sort(),
  );
});

test('each outcome is told that a line of the audit log may have', () => {
  assert.deepEqual(namedInTable('`outcome`').sort(), [...COMMAND_OUTCOMES].sort());
});

test('the line of the audit log that is shown is one', () => {
  const line = JSON.parse(/^```json\n(.*?)^```/ms.exec(SECTION)![1]!);
  const draft = draftOf(null, { principal: '', address: '' });
  assert.deepEqual(Object.keys(line), Object.keys(draft));
  assert.ok(COMMAND_OUTCOMES.includes(line.outcome));
});
