import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { checkConfig, configCommand } from './config-check.ts';

function checked(yaml: string, env: Record<string, string> = {}) {
  const cwd = mkdtempSync(join(tmpdir(), 'config-check-'));
  try {
    writeFileSync(join(cwd, 'kart.yaml'), yaml);
    return checkConfig('kart.yaml', { cwd, env, home: '/home/driver' });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

test('a good file is ok and its effective settings say where they come from', () => {
  const { exitCode, stdout, stderr } = checked('api:\n  port: 8080\n', { LOG_LEVEL: 'WARNING' });
  assert.equal(exitCode, 0);
  assert.equal(stderr, '');
  assert.match(stdout, /^kart\.yaml: ok\n/);
  assert.match(stdout, /^api\.port +8080 +kart\.yaml:2$/m);
  assert.match(stdout, /^log\.level +warn +env LOG_LEVEL$/m);
  assert.match(stdout, /^history\.max_age +365d +default$/m);
  assert.match(stdout, /^buses sim +sim:kart +default$/m);
});

test('a bad file gives its mistakes on stderr and exit code 1', () => {
  const { exitCode, stdout, stderr } = checked('api:\n  prot: 8080\n');
  assert.equal(exitCode, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /kart\.yaml:2:3: api: unknown key.*did you mean "port"\?/);
});

test('a file that is not there is a mistake', () => {
  const { exitCode, stderr } = checkConfig('none.yaml', { cwd: tmpdir(), env: {}, home: '/home/driver' });
  assert.equal(exitCode, 1);
  assert.match(stderr, /flag --config: expected an existing file; found no "none\.yaml"/);
});

test('the command has a check subcommand', () => {
  assert.deepEqual(
    configCommand().commands.map((command) => command.name()),
    ['check'],
  );
});
