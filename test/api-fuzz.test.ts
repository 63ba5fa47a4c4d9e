import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { assertDiscreet, attacked, HOST, statusCodesOf, UPGRADE } from './support/attacked.ts';

/** Requests that nearly are some, and bytes that are none. */
const PIECES = [
  'GET ',
  'POST ',
  'OPTIONS ',
  '/api/state/current',
  '/api/state/history?limit=1',
  '/api/state/component/MOTORS/0',
  '/api/series?signal=MOTORS/0/RPM&points=3',
  '/api/gaps?from=1',
  '/api/events?signal=MOTORS/**&max_hz=1',
  '/api/command',
  '/api/stream',
  '/metrics',
  '/docs',
  '/%2e%2e/',
  '%00',
  '%ff',
  '&',
  '?',
  '=',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  HOST,
  UPGRADE,
  'Accept: text/csv\r\n',
  'Accept: text/event-stream\r\n',
  'Accept-Encoding: gzip, zstd\r\n',
  'Authorization: Bearer ',
  'Content-Type: application/json\r\n',
  'Content-Length: 7\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Expect: 100-continue\r\n',
  'If-None-Match: *\r\n',
  'Last-Event-ID: 1\r\n',
  'Sec-WebSocket-Protocol: collector.v1, bearer.x\r\n',
  'Connection: close\r\n',
  '\r\n',
  '{"a":1}',
  '7\r\n{"a":1}\r\n0\r\n\r\n',
];

const fuzzedRequest = fc
  .tuple(
    fc.constantFrom('GET ', 'GET ', 'POST ', ''),
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...PIECES) },
        { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
      ),
      { minLength: 1, maxLength: 20 },
    ),
  )
  .map(([method, pieces]) => `${method}${pieces.join('')}\r\n\r\n`);

/** What a WebSocket says: a frame of any kind, as long as it says to be or not. */
const fuzzedFrames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { maxLength: 6 });

test('a service that is sent random bytes neither ends nor fails, and answers no such request with 500', async (t) => {
  const target = await attacked(t, { args: ['--rate-limit', 'unlimited', '--commands', 'on'] });
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}`);
  const exchange = async (write: (socket: Socket) => void): Promise<string> => {
    const socket = target.open();
    let told = '';
    socket.on('data', (chunk: Buffer) => {
      told += chunk.toString('latin1');
    });
    write(socket);
    // Half closed: what is complete is answered, and then the connection ends, unless it became a stream.
    socket.end();
    await Promise.race([once(socket, 'close'), sleep(200)]);
    socket.destroy();
    return told;
  };
  let answers = 0;
  await fc.assert(
    fc.asyncProperty(fuzzedRequest, async (bytes) => {
      const told = await exchange((socket) => socket.write(bytes, 'latin1'));
      const statusCodes = statusCodesOf(told);
      answers += statusCodes.length;
      assert.ok(
        statusCodes.every((code) => code < 500 || code === 503),
        `${statusCodes}`,
      );
      assertDiscreet(target, told.replaceAll(/"message":".*?[^\\]"/g, ''));
    }),
    { seed, numRuns: 400 },
  );
  assert.ok(answers > 200, `${answers} answers`);
  await fc.assert(
    fc.asyncProperty(fuzzedFrames, async (frames) => {
      await exchange((socket) => {
        socket.write(`GET /api/stream HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`);
        for (const frame of frames) socket.write(frame);
      });
    }),
    { seed, numRuns: 40 },
  );
  await target.when(({ stream }) => stream.clients === 0);
  await target.assertUnharmed();
});
