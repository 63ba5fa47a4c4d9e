import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type DocExample, docExamples, missingOf } from './support/doc-examples.ts';
import { kartDrive } from './support/kart-drive.ts';
import { CHECKOUT, eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** The documents whose ```curl blocks are run. */
const DOCUMENTS = ['docs/http-api.md'];

/** Where they say that the service is. */
const DOCUMENTED_URL = 'http://127.0.0.1:5001';

/** A refusal is an error, here as for a script that somebody makes of the example. */
const PRELUDE = `set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
`;

const run = promisify(execFile);

describe('each command of the documents does what they say:', () => {
  let service: Service;
  const directory = temporaryDirectory({ after });

  before(async () => {
    writeFileSync(join(directory, 'can0.log'), [...kartDrive(20_000)].join(''));
    service = await startService({
      args: ['--bus', 'candump:can0.log?speed=max', '--db', 'collector.db', '--port', '0'],
      cwd: directory,
    });
    await eventually(
      () => service.status(),
      ({ buses, history }) => buses[0]?.state === 'ended' && history.samples > 0,
    );
  });
  after(() => service.stop());

  for (const document of DOCUMENTS) {
    const examples = docExamples(readFileSync(join(CHECKOUT, document), 'utf8'));

    test(`${document} has some`, () => assert.ok(examples.length > 0));

    for (const example of examples) {
      test(`${document}:${example.line}`, async () => {
        const command = example.command.replaceAll(DOCUMENTED_URL, service.url);
        const { stdout } = await run('bash', ['-c', PRELUDE + command], {
          cwd: directory,
          maxBuffer: 64 * 1024 * 1024,
        });
        assertAnswer(example, stdout);
      });
    }
  }

  function assertAnswer({ command, answer }: DocExample, output: string): void {
    const file = /> (\S+)$/.exec(command)?.[1];
    const printed = file === undefined ? output : readFileSync(join(directory, file), 'utf8');
    assert.notEqual(printed.trim(), '');
    if (answer === null) return;
    if (answer.language === 'json') {
      assert.deepEqual(missingOf(JSON.parse(answer.text), JSON.parse(printed)), []);
    } else if (answer.language === 'csv') {
      assert.ok(printed.startsWith(`${answer.text}\n`), printed.slice(0, 200));
    } else {
      // Numbers are of the moment.
      const shape = (text: string) => text.trim().replaceAll(/\d+/g, '0');
      assert.equal(shape(printed), shape(answer.text));
    }
  }
});

describe('the check of the documents', () => {
  test('finds commands and the answers that follow them', () => {
    const markdown = [
      '# A',
      '```',
      'output alone',
      '```',
      '```curl',
      'curl a',
      '```',
      '',
      '```json',
      '{}',
      '```',
      '```curl',
      'curl b',
      '```',
      'Words.',
      '```json',
      '[]',
      '```',
    ].join('\n');
    assert.deepEqual(docExamples(markdown), [
      { line: 5, command: 'curl a', answer: { language: 'json', text: '{}' } },
      { line: 12, command: 'curl b', answer: null },
    ]);
  });

  test('finds what an answer lacks', () => {
    const example = { a: 1, b: [{ c: 'x' }], d: null };
    assert.deepEqual(missingOf(example, { a: 2.5, b: [], d: 'any', e: 1 }), []);
    assert.deepEqual(missingOf(example, { a: '1', b: [{}], d: 1 }), [
      '/a is string, the example has number',
      '/b[]/c is not in the answer',
    ]);
    assert.deepEqual(missingOf(example, []), ['the answer is array, the example has object']);
  });
});
