import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  API_BODY_BYTES_MAX,
  API_EXPORTS_MAX,
  API_HEAD_BYTES_MAX,
  API_SOCKETS_MAX,
  API_SOCKETS_PER_CLIENT_MAX,
  STREAM_CLIENT_BYTES_MAX,
} from '../src/shared/limits.ts';
import {
  type Attacked,
  allOf,
  assertDiscreet,
  attacked,
  HOST,
  statusCodesOf,
  UPGRADE,
} from './support/attacked.ts';
import { commandHeaders } from './support/commands.ts';
import { kartDrive } from './support/kart-drive.ts';

/**
 * What somebody on the network may try. Each service records a kart meanwhile, and answers another client; what it does at a
 * limit that takes long to be reached is tested with shorter ones in src/api/security/.
 */

/** Those of the answers that come to requests on connections of their own; each asks for its connection's end. */
async function answersTo(target: Attacked, requests: readonly string[]): Promise<string[]> {
  return await Promise.all(requests.map((bytes) => target.tell(bytes)));
}

/** A service that takes commands, and the header of who may send some. */
async function withDriver(t: TestContext): Promise<Attacked & { readonly authorization: string }> {
  let authorization = '';
  const target = await attacked(t, {
    args: ['--commands', 'on'],
    prepare(_folder, database) {
      authorization = commandHeaders(database).authorization!;
    },
  });
  return { ...target, authorization: `Authorization: ${authorization}\r\n` };
}

/** A frame of text as a client sends it, masked by zeros. */
function clientFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** Of each kind. */
const SLOW_CLIENTS = 40;

describe('a service that is attacked', { concurrency: 3 }, () => {
  test('cuts off who does not come to an end, with head or body, however alive the client looks', async (t) => {
    const target = await withDriver(t);
    const { authorization, open, when } = target;
    const command = `POST /api/command HTTP/1.1\r\n${HOST}${authorization}Content-Type: application/json\r\n`;
    const begun = [
      'GET /api/state/current HTTP/1.1\r\nX-A: ',
      `${command}Content-Length: 1000\r\n\r\n{"component_type": "`,
      `${command}Transfer-Encoding: chunked\r\n\r\n`,
    ];
    const sockets = begun.flatMap((bytes) =>
      Array.from({ length: SLOW_CLIENTS }, () => {
        const socket = open();
        socket.write(bytes);
        return { socket, ended: allOf(socket), drop: bytes.endsWith('chunked\r\n\r\n') ? '1\r\na\r\n' : 'a' };
      }),
    );
    const timer = setInterval(() => {
      for (const { socket, drop } of sockets) socket.write(drop);
    }, 250);
    t.after(() => clearInterval(timer));
    // Who may not ask is told so at once, whether the body comes or not.
    const unasked = open();
    unasked.write(`POST /api/command HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n`);
    assert.match(String((await once(unasked, 'data'))[0]), /^HTTP\/1\.1 401 /);
    await Promise.all(sockets.map(({ ended }) => ended));
    const { api } = await when(({ api }) => api.refused.too_slow >= sockets.length);
    assert.equal(api.refused.too_slow, sockets.length + 1);
    await target.assertUnharmed();
  });

  test('takes a thousand idle connections of one client for what they are', async (t) => {
    const target = await attacked(t);
    const sockets = Array.from({ length: 1000 }, () => target.open());
    let open = 0;
    for (const socket of sockets) {
      socket.once('connect', () => open++);
      socket.once('close', () => open--);
    }
    const { api } = await target.when(({ api }) => {
      const { used, refused, displaced } = api.sockets;
      return used + refused + displaced >= sockets.length;
    });
    assert.ok(api.sockets.used <= API_SOCKETS_PER_CLIENT_MAX + 3, String(api.sockets.used));
    assert.ok(API_SOCKETS_PER_CLIENT_MAX < API_SOCKETS_MAX);
    // The one that comes last is answered, at the cost of the one that was idle longest.
    assert.match(await target.tell(`GET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`), / 200 OK/);
    // Once each has had time to ask for something they are cut off.
    await target.when(({ api }) => api.sockets.used <= 3);
    assert.ok(sockets.every((socket) => socket.destroyed || socket.readableEnded));
    await target.assertUnharmed();
  });

  test('refuses what is too large before it has come', async (t) => {
    const target = await withDriver(t);
    const { authorization } = target;
    const end = `${HOST}Connection: close\r\n\r\n`;
    const post = `POST /api/command HTTP/1.1\r\n${HOST}${authorization}Connection: close\r\nContent-Type: application/json\r\n`;
    const large = 'a'.repeat(API_HEAD_BYTES_MAX);
    const cases: [statusCode: number, code: string, bytes: string][] = [
      [431, 'HEAD_TOO_LARGE', `GET /${large} HTTP/1.1\r\n${end}`],
      [431, 'HEAD_TOO_LARGE', `GET /api/state/history?bus=${large} HTTP/1.1\r\n${end}`],
      [431, 'HEAD_TOO_LARGE', `GET / HTTP/1.1\r\nX: ${large}\r\n${end}`],
      [431, 'HEAD_TOO_LARGE', `GET / HTTP/1.1\r\n${'A: a\r\n'.repeat(5000)}${end}`],
      [431, 'HEAD_TOO_LARGE', `GET / HTTP/1.1\r\nCookie: ${large}`],
      [414, 'URL_TOO_LONG', `GET /api/protocol/${'a'.repeat(2000)} HTTP/1.1\r\n${end}`],
      [413, 'BODY_TOO_LARGE', `${post}Content-Length: ${API_BODY_BYTES_MAX + 1}\r\n\r\n{`],
      [413, 'BODY_TOO_LARGE', `${post}Content-Length: 9007199254740991\r\n\r\n{`],
      [413, 'BODY_TOO_LARGE', `${post}Transfer-Encoding: chunked\r\n\r\nFFFF\r\n${'['.repeat(0xffff)}\r\n`],
    ];
    for (const [statusCode, code, bytes] of cases) {
      const told = await target.tell(bytes);
      assert.match(told, new RegExp(`^HTTP/1\\.1 ${statusCode} [^]*"code":"${code}"`), bytes.slice(0, 100));
      assertDiscreet(target, told);
    }
    const { api } = await target.assertUnharmed();
    assert.equal(api.refused.too_large, cases.length);
  });

  test('answers no request that hides in another, nor what is no HTTP', async (t) => {
    const target = await attacked(t);
    const hidden = `GET /api/hidden HTTP/1.1\r\n${HOST}\r\n`;
    const post = `POST /healthz HTTP/1.1\r\n${HOST}`;
    const cases = [
      `${post}Content-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${hidden}`,
      `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
      `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `${post}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${hidden}`,
      `${post}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
      `${post}Content-Length: 0,${hidden.length}\r\n\r\n${hidden}`,
      `${post}Content-Length: -1\r\n\r\n${hidden}`,
      `${post}Content-Length: 0x0\r\n\r\n${hidden}`,
      `${post}X: a\rContent-Length: 0\r\n\r\n${hidden}`,
      `${post}X: a\n\r\n\r\n${hidden}`,
      `GET /healthz HTTP/1.1\n${HOST}\n${hidden}`,
      `GET /healthz HTTP/1.1\r\n${HOST} folded: a\r\n\r\n${hidden}`,
      `GET /healthz HTTP/9.9\r\n${HOST}\r\n${hidden}`,
      `GET /health z HTTP/1.1\r\n${HOST}\r\n${hidden}`,
      `get /healthz HTTP/1.1\r\n${HOST}\r\n${hidden}`,
      `EVIL /healthz HTTP/1.1\r\n${HOST}\r\n${hidden}`,
      `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${HOST}\r\n${hidden}`,
      `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${hidden}`,
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
      '\xff\xfe\x00\x00'.repeat(100),
      'SSH-2.0-OpenSSH_9.2\r\n',
    ];
    for (const bytes of cases) {
      const told = await target.tell(bytes);
      assert.deepEqual(statusCodesOf(told), [400], bytes.slice(0, 120));
      assert.match(told, /"code":"HTTP_INVALID"/);
      assertDiscreet(target, told);
    }
    const { api } = await target.assertUnharmed();
    assert.equal(api.refused.malformed, cases.length);
    assert.doesNotMatch(target.service.output(), /hidden/);
  });

  test('lets nobody wait for memory who never reads: not an export, not a stream', async (t) => {
    const target = await attacked(t, {
      args: ['--bus', 'candump:drive.log?speed=max'],
      prepare: (folder) => writeFileSync(join(folder, 'drive.log'), [...kartDrive(150_000)].join('')),
    });
    const { when, open } = target;
    const { process: before } = await when(
      ({ buses, history }) => buses.some(({ state }) => state === 'ended') && history.samples > 150_000,
    );
    const ask = (head: string): Socket => {
      const socket = open();
      socket.write(`GET ${head}`);
      socket.pause();
      return socket;
    };
    for (let client = 0; client < API_EXPORTS_MAX + 4; client++) {
      ask(`/api/state/history HTTP/1.1\r\n${HOST}Accept: application/x-ndjson\r\n\r\n`);
    }
    ask(`/api/events?since=0 HTTP/1.1\r\n${HOST}\r\n`);
    const subscribe = { type: 'subscribe', id: 'a', signals: ['**'], since: 0 };
    ask(`/api/stream HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`).write(clientFrame(JSON.stringify(subscribe)));
    const { api } = await when(({ api }) => api.refused.overload >= 4);
    assert.deepEqual([api.exports.used, api.refused.overload], [API_EXPORTS_MAX, 4]);
    const { stream } = await when(({ stream }) => stream.clients_behind === 2);
    assert.ok(stream.bytes_waiting < 4 * STREAM_CLIENT_BYTES_MAX, String(stream.bytes_waiting));
    await when(({ stream }) => stream.clients_stalled === 2);
    const { process: during } = await target.assertUnharmed();
    assert.ok(during.memory_bytes - before.memory_bytes < 150 * 1024 * 1024);
  });

  test('finds nothing for paths that lead elsewhere, and says nothing of this machine', async (t) => {
    const target = await attacked(t);
    const paths = [
      '/../../../../etc/passwd',
      '/docs/../../package.json',
      '/docs/..%2f..%2fpackage.json',
      '/docs/%2e%2e/%2e%2e/package.json',
      '/docs/..%5c..%5cpackage.json',
      '/docs/swagger-ui.css/../../../package.json',
      '/docs//etc/passwd',
      '//evil.example/%2e%2e',
      '/%00',
      '/.git/config',
      '/api/state/component/MOTORS/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '/api/state/component/..%2f/..%2f',
      '/api/state/component/MOTORS/%00',
      '/api/state/component/MOTORS/MOTOR_LEFT_REAR%00',
      '/api/state/component/MOTORS/%c0%ae%c0%ae%c0%af',
      '/api/state/component/MOTORS/%ED%A0%80',
      '/api/state/component/__proto__/constructor',
      '/api/state/component/MOTORS/__proto__',
      '/api/state/component/MOTORS/%F0%9F%8F%8E',
      '/api/state/component/MOTORS/%E2%80%AEFRONT',
      '/api/state/component/MOTORS/1e9',
      `/api/state/component/MOTORS/${'%41'.repeat(200)}`,
      '/api/protocol/toString',
      '/api/protocol/MOTORS%2fTHROTTLE',
      '/api/state/current?component_type=__proto__',
      '/api/state/current?__proto__[x]=1',
      '/api/series?signal=../../x/y',
      "/api/state/history?bus=';DROP%20TABLE%20series;--",
    ];
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    for (const [index, told] of (await answersTo(target, requests)).entries()) {
      const path = paths[index]!;
      const [statusCode] = statusCodesOf(told);
      // Of a bus that isn't there are no samples.
      if (path.includes('?bus=')) assert.match(told, /\r\n\r\n\[\]$/);
      else assert.ok([400, 404, 414].includes(statusCode!), `${path}: ${told}`);
      assertDiscreet(target, told.replaceAll(path, ''));
    }
    await target.assertUnharmed();
  });

  test('repeats no line break in a header', async (t) => {
    const target = await attacked(t, { args: ['--origin', 'http://dashboard.example'] });
    const broken = 'a%0d%0aSet-Cookie:%20x=1%0d%0a%0d%0a<script>';
    const asked = (path: string, headers = '') =>
      `GET ${path} HTTP/1.1\r\n${HOST}${headers}Connection: close\r\n\r\n`;
    const requests = [
      asked(`/${broken}`),
      asked(`/api/protocol/${broken}`),
      asked(`/api/state/history?limit=1&bus=${broken}`),
      asked(`/api/state/history?limit=1&component_type=MOTORS&from=0&to=4e9&offset=0&%0d%0aSet-Cookie:x=1`),
      asked(`/api/state/history?limit=${broken}`),
      asked(`/api/state/history?limit=1#%0d%0aSet-Cookie:x=1`),
      asked('/api/state/current', 'Origin: http://dashboard.example%0d%0aSet-Cookie: x=1\r\n'),
      asked(
        '/api/state/current',
        `If-None-Match: ${broken}\r\nAccept-Encoding: ${broken}\r\nAccept: ${broken}\r\n`,
      ),
      asked('/api/state/current', `Authorization: Bearer ${broken}\r\n`),
      `GET /api/stream?access_token=${broken} HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`,
      `GET /api/stream HTTP/1.1\r\n${HOST}${UPGRADE.replace('websocket\r\n', 'websocket\r\nSec-WebSocket-Protocol: a%0d%0aSet-Cookie: x\r\n')}\r\n`,
    ];
    for (const told of await answersTo(target, requests)) {
      assert.equal(statusCodesOf(told).length, 1);
      const [head = ''] = told.split('\r\n\r\n');
      assert.doesNotMatch(head, /^set-cookie|^<script>/im);
      assert.doesNotMatch(head, /content-type: text\/html/i);
      assertDiscreet(target, told);
    }
    await target.assertUnharmed();
  });

  test('does nothing for a page of another site, whatever name it comes by', async (t) => {
    const target = await withDriver(t);
    const { authorization } = target;
    const body = JSON.stringify({
      component_type: 'LIGHTS',
      component_id: 'FRONT',
      command_id: 'MODE',
      value: 'ON',
    });
    const from = (origin: string) => `Origin: ${origin}\r\n`;
    const post = (origin: string, type = 'application/json', host = HOST) =>
      `POST /api/command HTTP/1.1\r\n${host}${from(origin)}${authorization}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
    const { port } = new URL(target.service.url);
    const evil = `Host: evil.example:${port}\r\n`;
    const cases: [statusCode: number, code: string, bytes: string][] = [
      [403, 'ORIGIN_REFUSED', post('http://evil.example')],
      [403, 'ORIGIN_REFUSED', post('http://evil.example', 'text/plain')],
      [403, 'ORIGIN_REFUSED', post('null')],
      [403, 'ORIGIN_REFUSED', post('http://localhost.evil.example')],
      [403, 'ORIGIN_REFUSED', post(`http://localhost:${Number(port) + 1}`)],
      [421, 'HOST_REFUSED', post(`http://evil.example:${port}`, 'application/json', evil)],
      [
        403,
        'ORIGIN_REFUSED',
        `GET /api/stream HTTP/1.1\r\n${HOST}${from('http://evil.example')}${UPGRADE}\r\n`,
      ],
      [
        421,
        'HOST_REFUSED',
        `GET /api/stream HTTP/1.1\r\n${evil}${from(`http://evil.example:${port}`)}${UPGRADE}\r\n`,
      ],
      [421, 'HOST_REFUSED', `GET /api/state/current HTTP/1.1\r\n${evil}Connection: close\r\n\r\n`],
      [421, 'HOST_REFUSED', `GET / HTTP/1.1\r\n${evil}Connection: close\r\n\r\n`],
      [
        403,
        'ORIGIN_REFUSED',
        `OPTIONS /api/command HTTP/1.1\r\n${HOST}${from('http://evil.example')}Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n`,
      ],
    ];
    for (const [statusCode, code, bytes] of cases) {
      const told = await target.tell(bytes);
      assert.match(told, new RegExp(`^HTTP/1\\.1 ${statusCode} [^]*"code":"${code}"`), bytes.slice(0, 100));
      assert.doesNotMatch(told, /access-control-allow/i);
    }
    // What it may ask for plainly, as by <img> or no-cors, the browser keeps from it.
    const plain = await target.tell(
      `GET /api/state/current HTTP/1.1\r\n${HOST}${from('http://evil.example')}Connection: close\r\n\r\n`,
    );
    assert.match(plain, /^HTTP\/1\.1 200 [\s\S]*cross-origin-resource-policy: same-origin\r\n/);
    assert.doesNotMatch(plain, /access-control-allow/i);
    const { api, commands, buses } = await target.assertUnharmed();
    const counted = (wanted: string) => cases.filter(([, code]) => code === wanted).length;
    assert.deepEqual(
      [api.refused.origin, api.refused.host],
      [counted('ORIGIN_REFUSED'), counted('HOST_REFUSED')],
    );
    assert.deepEqual([commands.sent, buses.length], [0, 1]);
    assert.match(await target.tell(post(`http://localhost`)), /^HTTP\/1\.1 200 /, 'our own page may');
  });
});
