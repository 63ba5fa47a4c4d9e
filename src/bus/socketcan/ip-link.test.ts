import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FakeIp } from '../../../test/support/fake-ip.ts';
import { canController } from '../../../test/support/ip-output.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { BusError } from '../../shared/errors.ts';
import { IP_COMMAND_TIMEOUT_MS } from '../../shared/limits.ts';
import { readLink, setLink } from './ip-link.ts';

function withPath(t: TestContext, path: string): void {
  const before = process.env.PATH;
  t.after(() => {
    process.env.PATH = before;
  });
  process.env.PATH = path;
}

function fails(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof BusError && error.code === code && message.test(error.message);
}

test('ip is given words, not a line for a shell', (t) => {
  const ip = new FakeIp(temporaryDirectory(t));
  withPath(t, ip.path);
  ip.show(canController());
  assert.equal(readLink('can0').bitTiming?.bitrateBitPerS, 500_000);
  setLink('$(id)', ['up', 'type', 'can', 'bitrate', '250000']);
  assert.deepEqual(ip.asked, ['link set dev $(id) up type can bitrate 250000']);
});

test('what ip complains of is in the error', (t) => {
  const ip = new FakeIp(temporaryDirectory(t));
  withPath(t, ip.path);
  ip.refuse('RTNETLINK answers: Operation not permitted');
  assert.throws(
    () => setLink('can0', ['up', 'type', 'can', 'bitrate', '250000']),
    fails('IP_FAILED', /ip link set dev can0 .* failed: RTNETLINK answers: Operation not permitted$/),
  );
});

test('a machine without ip is told how to get it', (t) => {
  withPath(t, temporaryDirectory(t));
  assert.throws(() => readLink('can0'), fails('IP_MISSING', /sudo apt install iproute2/));
});

test('an ip that hangs is ended', (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ip'), '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(join(directory, 'ip'), 0o755);
  withPath(t, `${directory}:${process.env.PATH}`);
  assert.throws(
    () => readLink('can0'),
    fails('IP_FAILED', new RegExp(`did not end within ${IP_COMMAND_TIMEOUT_MS} ms`)),
  );
});
