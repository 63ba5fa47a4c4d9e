import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { securedServer } from '../../../test/support/secured-server.ts';
import { servePipeline } from '../../../test/support/served-pipeline.ts';
import { eventually } from '../../../test/support/service.ts';
import { API_HEAD_BYTES_MAX, API_REQUESTS_AHEAD_MAX } from '../../shared/limits.ts';
import type { ApiLimits } from './api-security.ts';

const served = await servePipeline({ after }, '');

/** Waits that a test has the patience for. */
const QUICK_REQUESTS: Partial<ApiLimits> = { headTimeoutMs: 500, requestTimeoutMs: 1000, timeoutCheckMs: 50 };
const QUICK_ANSWERS: Partial<ApiLimits> = { stalledMs: 300 };

async function serve(t: TestContext, limits: Partial<ApiLimits> = {}) {
  const server = securedServer(t, served.sources, { limits });
  server.instance.post('/echo', { config: { scope: null } }, ({ body }) => ({ body }));
  server.instance.get('/large', { config: { scope: null } }, () => 'x'.repeat(8 * 1024 * 1024));
  server.instance.get('/slow', { config: { scope: null } }, async () => {
    await new Promise((resolve) => setTimeout(resolve, 4 * QUICK_ANSWERS.stalledMs!));
    return 'late';
  });
  const { port } = new URL(await server.listen());
  const open = (): Socket => {
    const socket = connect({ host: '127.0.0.1', port: Number(port) });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    return socket;
  };
  return { ...server, open };
}

/** All that comes until the server closes the socket, however: what was still being sent to it is an error here. */
async function rest(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

/** What the server says to these bytes before it closes the connection. */
async function answerTo(socket: Socket, bytes: string): Promise<string> {
  socket.write(bytes, 'latin1');
  return await rest(socket);
}

describe('a client that does not come to the end of its request', { concurrency: true }, () => {
  test('with its head is told so and cut off', async (t) => {
    const { open, security } = await serve(t, QUICK_REQUESTS);
    const text = await answerTo(open(), 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n');
    assert.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n.*"code":"REQUEST_TOO_SLOW"/s);
    assert.equal(security.status().refused.too_slow, 1);
  });

  test('with its body is cut off', async (t) => {
    const { open, security } = await serve(t, QUICK_REQUESTS);
    const head =
      'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n';
    await answerTo(open(), `${head}{"a"`);
    assert.equal(security.status().refused.too_slow, 1);
  });

  test('and sends a byte now and then is cut off, too', async (t) => {
    const { open } = await serve(t, QUICK_REQUESTS);
    const socket = open();
    socket.write('GET /healthz HTTP/1.1\r\n');
    const timer = setInterval(() => socket.write('X-A: b\r\n'), 50);
    t.after(() => clearInterval(timer));
    assert.match(await rest(socket), /^HTTP\/1\.1 408/);
  });

  test('or says nothing at all is cut off without a word, and is no refusal', async (t) => {
    const { open, security } = await serve(t, QUICK_REQUESTS);
    assert.equal(await rest(open()), '');
    assert.equal(security.status().refused.too_slow, 0);
  });
});

describe('an answer', { concurrency: true }, () => {
  test('that its client does not take is given up', async (t) => {
    const { open, security } = await serve(t, QUICK_ANSWERS);
    const socket = open();
    socket.pause();
    socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await eventually(
      async () => security.status(),
      ({ unsent_bytes }) => unsent_bytes.used > 0,
    );
    await eventually(
      async () => security.status(),
      ({ sockets }) => sockets.stalled === 1,
    );
    // Once the socket has closed.
    await eventually(
      async () => security.status(),
      ({ sockets, unsent_bytes }) => sockets.used === 0 && unsent_bytes.used === 0,
    );
  });

  test('that takes its time is waited for', async (t) => {
    const { open } = await serve(t, QUICK_ANSWERS);
    const text = await answerTo(open(), 'GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n.*late/s);
  });

  test('waits in no more memory than there is for all of them', async (t) => {
    const { open, security } = await serve(t, { unsentBytesMax: 20 * 1024 * 1024 });
    const sockets = Array.from({ length: 5 }, () => {
      const socket = open();
      socket.pause();
      socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return socket;
    });
    const status = await eventually(
      async () => security.status(),
      ({ sockets }) => sockets.stalled === 3,
    );
    assert.ok(status.unsent_bytes.used <= 20 * 1024 * 1024);
    assert.equal(sockets.length, 5);
  });
});

describe('what is no HTTP', () => {
  const HOST = 'Host: localhost\r\n';
  const CASES: [what: string, bytes: string, statusCode: number, code: string][] = [
    ['what is for a proxy', `CONNECT localhost:22 HTTP/1.1\r\n${HOST}\r\n`, 400, 'HTTP_INVALID'],
    ['noise', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400, 'HTTP_INVALID'],
    ['another protocol', 'HELO mail.example\r\n\r\n', 400, 'HTTP_INVALID'],
    [
      'a head that is too large',
      `GET /${'a'.repeat(API_HEAD_BYTES_MAX)} HTTP/1.1\r\n${HOST}\r\n`,
      431,
      'HEAD_TOO_LARGE',
    ],
    [
      'too large a header',
      `GET / HTTP/1.1\r\n${HOST}X: ${'a'.repeat(API_HEAD_BYTES_MAX)}\r\n\r\n`,
      431,
      'HEAD_TOO_LARGE',
    ],
    ['too many headers', `GET / HTTP/1.1\r\n${HOST}${'X: a\r\n'.repeat(5000)}\r\n`, 431, 'HEAD_TOO_LARGE'],
    ['a header with a line of its own', `GET / HTTP/1.1\r\n${HOST}X: a\rY: b\r\n\r\n`, 400, 'HTTP_INVALID'],
    ['a header with a zero', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, 400, 'HTTP_INVALID'],
    ['a space before the colon', `GET / HTTP/1.1\r\n${HOST}X : a\r\n\r\n`, 400, 'HTTP_INVALID'],
    [
      'two lengths',
      `POST /echo HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
      400,
      'HTTP_INVALID',
    ],
    [
      'a length that is none',
      `POST /echo HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\na`,
      400,
      'HTTP_INVALID',
    ],
    [
      'a length and chunks',
      `POST /echo HTTP/1.1\r\n${HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG`,
      400,
      'HTTP_INVALID',
    ],
    [
      'chunks that are not the last encoding',
      `POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      400,
      'HTTP_INVALID',
    ],
    [
      'a chunk whose size is none',
      `POST /echo HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
      400,
      'HTTP_INVALID',
    ],
  ];
  for (const [what, bytes, statusCode, code] of CASES) {
    test(`is refused and the connection closed: ${what}`, async (t) => {
      const { open, security } = await serve(t);
      const text = await answerTo(open(), bytes);
      // Where a request was under way the connection is closed without another word.
      if (!what.startsWith('a chunk whose')) {
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${statusCode} [^]*"code":"${code}"`));
        assert.equal(text.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'one answer');
        const [head = '', body = ''] = text.split('\r\n\r\n');
        assert.equal(Number(/content-length: (\d+)/i.exec(head)?.[1]), body.length);
        assert.deepEqual(Object.keys(JSON.parse(body)), ['statusCode', 'code', 'error', 'message']);
      }
      const { malformed, too_large } = security.status().refused;
      assert.deepEqual([malformed, too_large], statusCode === 431 ? [0, 1] : [1, 0]);
    });
  }
});

describe('requests ahead of their answers', () => {
  const READY = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

  test('are answered in turn, as many as there may be', async (t) => {
    const { open } = await serve(t);
    const last = READY.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const text = await answerTo(open(), READY.repeat(API_REQUESTS_AHEAD_MAX - 1) + last);
    assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, API_REQUESTS_AHEAD_MAX);
  });

  test('beyond that end the connection, whatever they ask, and are looked at no more', async (t) => {
    const { open, security } = await serve(t);
    for (const [before, request] of [READY, READY.replace('localhost', 'other.example')].entries()) {
      await answerTo(open(), request.repeat(1000));
      const { requests, refused } = security.status();
      const looked = (before + 1) * (API_REQUESTS_AHEAD_MAX + 1);
      assert.deepEqual([refused.rate, requests], [before + 1, looked]);
    }
  });
});

describe('sockets', () => {
  test('beyond those that there may be are closed and counted', async (t) => {
    const { open, security } = await serve(t, { socketsMax: 3, socketsBusy: 1000 });
    const first = [open(), open(), open()];
    await Promise.all(first.map((socket) => once(socket, 'connect')));
    await eventually(
      async () => security.status().sockets.used,
      (used) => used === 3,
    );
    await rest(open());
    assert.deepEqual(security.status().sockets, {
      used: 3,
      max: 3,
      refused: 1,
      displaced: 0,
      stalled: 0,
      revoked: 0,
    });
  });

  test('that are idle make room before that', async (t) => {
    const { open, security } = await serve(t, { socketsMax: 10, socketsBusy: 3 });
    const idle = [open(), open(), open()];
    await eventually(
      async () => security.status().sockets.used,
      (used) => used === 3,
    );
    const closed = rest(idle[0]!);
    const text = await answerTo(
      open(),
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    assert.match(text, /^HTTP\/1\.1 200/);
    await closed;
    assert.equal(security.status().sockets.displaced, 1);
  });
});
