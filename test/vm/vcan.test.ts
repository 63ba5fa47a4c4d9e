import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { rawSocketsOn } from '../support/raw-sockets.ts';

/** Starts candump for one frame; resolves when it listens. `line` becomes what it printed. */
async function listen(interfaceName: string): Promise<{ line: Promise<string> }> {
  const before = rawSocketsOn(interfaceName);
  const child = spawn('candump', ['-L', '-n', '1', '-T', '10000', interfaceName]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const line = once(child, 'close').then(() => output.trim());
  const deadlineMs = performance.now() + 10_000;
  while (rawSocketsOn(interfaceName) <= before) {
    assert(performance.now() < deadlineMs, `candump does not listen on ${interfaceName}`);
    await sleep(10);
  }
  return { line };
}

for (const [what, frame, logged] of [
  ['a classic frame', '123#DEADBEEF', /^123#DEADBEEF$/],
  ['an extended frame', '18FF1234#01', /^18FF1234#01$/],
  ['a remote frame', '123#R', /^123#R$/],
  // Since Linux 6.0 the kernel marks CAN FD frames (flag 4) on their way.
  ['a CAN FD frame', '123##1112233445566778899AABBCC', /^123##[15]112233445566778899AABBCC$/],
] as const) {
  test(`${what} sent to vcan0 is received`, async () => {
    const { line } = await listen('vcan0');
    execFileSync('cansend', ['vcan0', frame]);
    const [timestamp = '', interfaceName, received = ''] = (await line).split(' ');
    assert.equal(interfaceName, 'vcan0');
    assert.match(received, logged);
    const ageMs = Date.now() - Number(timestamp.slice(1, -1)) * 1000;
    assert(ageMs >= 0 && ageMs < 10_000, `the kernel's timestamp ${timestamp} is now`);
  });
}

test('an interface can be deleted and comes back as a new one', async () => {
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  const indexBefore = ip('-o', 'link', 'show', 'vcan0').split(':')[0];
  ip('link', 'del', 'vcan0');
  assert.throws(() => execFileSync('cansend', ['vcan0', '123#'], { stdio: 'pipe' }));
  ip('link', 'add', 'vcan0', 'type', 'vcan');
  ip('link', 'set', 'vcan0', 'up');
  assert.notEqual(ip('-o', 'link', 'show', 'vcan0').split(':')[0], indexBefore);
  const { line } = await listen('vcan0');
  execFileSync('cansend', ['vcan0', '7FF#']);
  assert.match(await line, /vcan0 7FF#$/);
});

test('native code, the loopback network and timers work as on the host', async () => {
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  assert.equal(koffi.load('libc.so.6').func('int getpid()')(), process.pid);

  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  assert.equal(await response.text(), 'hello');
  server.close();

  const startMs = performance.now();
  await sleep(200);
  const sleptMs = performance.now() - startMs;
  assert(sleptMs > 195, `slept ${sleptMs} ms`);
});

test('the file system of the host cannot be written to', () => {
  assert.throws(
    () => execFileSync('touch', [import.meta.filename], { stdio: 'pipe' }),
    /Read-only file system/,
  );
  execFileSync('touch', ['/tmp/file']);
});
