import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createNetServer } from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { servePipeline } from '../../test/support/served-pipeline.ts';
import { CollectorError } from '../shared/errors.ts';
import { ApiSecurity } from './security/api-security.ts';
import { createServer } from './server.ts';
import type { ApiSources } from './sources.ts';

const served = await servePipeline({ after }, '');

/** What serves a network on which everybody may read. */
function openToAll(t: TestContext): ApiSources {
  const { config, log } = served.sources.security;
  const security = new ApiSecurity({ ...config, host: '0.0.0.0', anonymous: 'read' }, log);
  t.after(() => security.close());
  return { ...served.sources, security };
}

const ROUTES = [
  '/api/state/current',
  '/api/state/history',
  '/api/status',
  '/api/protocol',
  '/api/protocol/MOTORS',
  '/healthz',
  '/readyz',
];

describe('what there is not', () => {
  for (const path of [
    '/nothing',
    '/api',
    '/api/state',
    '/api/state/current/x',
    '/API/STATUS',
    '//api/status',
  ]) {
    test(`is 404 with what there is: GET ${path}`, async () => {
      const refusal = await served.refusal(path);
      assert.deepEqual([refusal.statusCode, refusal.code], [404, 'ROUTE_NOT_FOUND']);
      assert.ok(
        refusal.message.startsWith(`There is nothing at GET ${path}. There is: GET /api/state/current`),
      );
    });
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    test(`is any route by ${method}`, async () => {
      for (const path of ROUTES) {
        const response = await fetch(`${served.url}${path}`, { method });
        assert.equal(response.status, 404, path);
        const { message } = (await response.json()) as { message: string };
        assert.ok(message.startsWith(`There is nothing at ${method} ${path}. There is: GET`));
      }
    });
  }

  test('repeats nothing of the query', async () => {
    const { message } = await served.refusal('/nothing?token=secret');
    assert.doesNotMatch(message, /secret/);
  });
});

describe('a request', () => {
  for (const path of ROUTES) {
    test(`HEAD ${path} has the head of GET and no body`, async () => {
      const [get, head] = await Promise.all([
        served.get(path),
        fetch(`${served.url}${path}`, { method: 'HEAD' }),
      ]);
      assert.equal(head.status, get.status);
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'));
      assert.ok(Number(head.headers.get('content-length')) > 0);
      assert.equal(await head.text(), '');
    });

    test(`GET ${path}/ is the same with a slash behind it`, async () => {
      assert.equal((await served.get(`${path}/`)).status, 200);
    });
  }

  test('whose URL is broken is refused as JSON', async () => {
    for (const path of ['/api/state/component/%/%', '/api/protocol/%E0%A4%A']) {
      const response = await served.get(path);
      const reply = (await response.json()) as { statusCode: number; message: string };
      assert.deepEqual([response.status, reply.statusCode], [400, 400]);
      assert.match(reply.message, /^Expected each % in the path /);
    }
  });

  test('with a body that is too large is refused', async () => {
    const { instance } = createServer(served.sources);
    const response = await instance.inject({
      method: 'POST',
      url: '/api/status',
      payload: 'x'.repeat(100_000),
    });
    assert.ok([404, 413, 415].includes(response.statusCode), String(response.statusCode));
  });
});

describe('listening', () => {
  test('on a port that is taken says so, and what to do', async (t) => {
    const other = createNetServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    const server = createServer(served.sources);
    await assert.rejects(server.listen({ host: '127.0.0.1', port }), (error) => {
      assert.ok(error instanceof CollectorError);
      assert.equal(error.code, 'API_ADDRESS');
      assert.equal(
        error.message,
        `Port ${port} of 127.0.0.1 is taken by another program. Stop it, or choose another with --port PORT.`,
      );
      return true;
    });
    await server.close();
  });

  test('on an address of another machine says so', async (t) => {
    const server = createServer(openToAll(t));
    await assert.rejects(server.listen({ host: '192.0.2.1', port: 0 }), {
      code: 'API_ADDRESS',
      message: /^192\.0\.2\.1 is no address of this machine\. Give --host 127\.0\.0\.1/,
    });
  });

  test('on all addresses gives a URL that answers', async (t) => {
    const server = createServer(openToAll(t));
    t.after(() => server.close());
    const url = await server.listen({ host: '0.0.0.0', port: 0 });
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  test('ends although a client keeps its connection open', async () => {
    const server = createServer(served.sources);
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    await (await fetch(`${url}/healthz`)).text();
    await server.close();
    await assert.rejects(fetch(`${url}/healthz`));
  });
});
