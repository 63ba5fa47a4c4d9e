import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { securedServer } from '../../../test/support/secured-server.ts';
import { servePipeline } from '../../../test/support/served-pipeline.ts';

const served = await servePipeline({ after }, '');

/** The platform's dashboard, on another port of the same machine. */
const DASHBOARD = 'http://kart.local:3000';
const EVIL = 'http://evil.example';

/** What browsers send ahead of a request with a token. */
const preflight = (origin: string, method = 'GET', headers = 'authorization'): RequestInit => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': headers,
    'sec-fetch-mode': 'cors',
    'sec-fetch-site': 'cross-site',
  },
});

async function serve(t: TestContext, origins: readonly string[] = [DASHBOARD]) {
  const server = securedServer(t, served.sources, {
    config: { origins, anonymous: 'none' },
    tokens: { dashboard: ['read'] },
  });
  server.instance.post('/command', { config: { scope: null } }, () => ({ done: true }));
  const url = await server.listen();
  const ask = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, init);
  const authorization = `Bearer ${server.tokens.dashboard}`;
  return { ...server, ask, authorization };
}

/** Whether a browser would show the answer to a page of this origin. */
const isReadableBy = (origin: string, response: Response) =>
  response.headers.get('access-control-allow-origin') === origin;

describe('a page of an allowed origin', () => {
  test('reads what the platform’s dashboard polls, and where the next page is', async (t) => {
    const { ask, authorization } = await serve(t);
    for (const path of ['/api/state/current', '/api/state/history?limit=1&offset=0', '/api/status']) {
      const asked = await ask(path, preflight(DASHBOARD));
      assert.equal(asked.status, 204, path);
      assert.ok(isReadableBy(DASHBOARD, asked));
      assert.match(asked.headers.get('access-control-allow-headers') ?? '', /authorization/);
      assert.match(asked.headers.get('access-control-allow-methods') ?? '', /GET/);
      assert.equal(asked.headers.get('access-control-max-age'), '600');
      const answer = await ask(path, {
        headers: { origin: DASHBOARD, authorization, 'sec-fetch-site': 'cross-site' },
      });
      assert.equal(answer.status, 200, path);
      assert.ok(isReadableBy(DASHBOARD, answer));
      assert.match(answer.headers.get('access-control-expose-headers') ?? '', /link/);
      assert.match(answer.headers.get('vary') ?? '', /origin/i);
      assert.equal(answer.headers.get('access-control-allow-credentials'), null);
    }
    const history = await ask('/api/state/history', { headers: { origin: DASHBOARD, authorization } });
    assert.match(history.headers.get('vary') ?? '', /origin.*accept/i);
  });

  test('reads why it was refused', async (t) => {
    const { ask } = await serve(t);
    const refused = await ask('/api/status', { headers: { origin: DASHBOARD } });
    assert.equal(refused.status, 401);
    assert.ok(isReadableBy(DASHBOARD, refused));
    const missing = await ask('/nothing', { headers: { origin: DASHBOARD } });
    assert.equal(missing.status, 404);
    assert.ok(isReadableBy(DASHBOARD, missing));
  });

  test('may change something', async (t) => {
    const { ask } = await serve(t);
    assert.equal((await ask('/command', preflight(DASHBOARD, 'POST', 'content-type'))).status, 204);
    assert.equal((await ask('/command', { method: 'POST', headers: { origin: DASHBOARD } })).status, 200);
  });

  test('is one of several', async (t) => {
    const { ask } = await serve(t, ['https://pit.example', DASHBOARD]);
    for (const origin of ['https://pit.example', DASHBOARD]) {
      assert.ok(isReadableBy(origin, await ask('/healthz', { headers: { origin } })));
    }
  });
});

describe('a page of another origin', () => {
  for (const origins of [[], [DASHBOARD]]) {
    const where = origins.length === 0 ? 'where none is allowed' : 'where others are';
    test(`sees nothing and changes nothing, ${where}`, async (t) => {
      const { ask, authorization, security } = await serve(t, origins);
      for (const origin of [EVIL, 'null', 'http://kart.local', 'https://kart.local:3000']) {
        for (const method of ['GET', 'POST']) {
          const asked = await ask('/api/status', preflight(origin, method));
          assert.equal(asked.status, 403);
          assert.ok(!isReadableBy(origin, asked));
          assert.equal(((await asked.json()) as { code: string }).code, 'ORIGIN_REFUSED');
        }
        const read = await ask('/api/status', { headers: { origin, authorization } });
        assert.equal(read.headers.get('access-control-allow-origin'), null);
        assert.equal(read.headers.get('cross-origin-resource-policy'), 'same-origin');
        // A form needs no preflight, and neither has a header that could be asked for one.
        const form = await ask('/command', {
          method: 'POST',
          headers: { origin, 'content-type': 'text/plain' },
          body: '{}',
        });
        assert.equal(form.status, 403);
        const socket = await ask('/api/status', {
          headers: { origin, upgrade: 'websocket', authorization },
        }).catch(() => null);
        assert.ok(socket === null || socket.status === 403);
      }
      assert.ok(security.status().refused.origin >= 12);
    });
  }

  test('is told to the operator, once a second and without what could forge a line', async (t) => {
    const { instance } = await serve(t);
    const response = await instance.inject({ method: 'POST', url: '/command', headers: { origin: EVIL } });
    assert.equal(
      response.json().message,
      'Pages of "http://evil.example" may not do this. If they are to, add that to origins in the section api (--origin ORIGIN).',
    );
  });
});

test('a page of our own origin changes something', async (t) => {
  const { ask, instance } = await serve(t, []);
  const { port } = instance.server.address() as { port: number };
  for (const name of ['127.0.0.1', 'localhost']) {
    const headers = { origin: `http://${name}:${port}`, host: `${name}:${port}` };
    const response = await instance.inject({ method: 'POST', url: '/command', headers });
    assert.equal(response.statusCode, 200);
  }
  assert.equal(
    (await ask('/command', { method: 'POST' })).status,
    200,
    'nor does a program say where it comes from',
  );
});

test('what is no preflight finds nothing by OPTIONS, whether origins are allowed or not', async (t) => {
  for (const origins of [[], [DASHBOARD]]) {
    const { ask } = await serve(t, origins);
    for (const headers of [{}, { origin: DASHBOARD }, { 'access-control-request-method': 'GET' }]) {
      const response = await ask('/api/status', { method: 'OPTIONS', headers });
      assert.equal(response.status, 404, JSON.stringify(headers));
    }
  }
});
