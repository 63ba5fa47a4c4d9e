import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, describe, type TestContext, test } from 'node:test';
import { securedServer } from '../../../test/support/secured-server.ts';
import { logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import { CollectorError, QueryError } from '../../shared/errors.ts';
import { createServer } from '../server.ts';
import { withScope } from './guard.ts';
import type { Scope } from './scopes.ts';

const served = await servePipeline({ after }, logLine(1_764_000_000_000_000, 2, '48 00 00 01 40 00 04 B0'));
const { sources } = served;

/** Each route with what it needs, and what it answers to who may ask. */
const ROUTES: [url: string, scope: Scope | null, accept?: string][] = [
  ['/', null],
  ['/healthz', null],
  ['/readyz', null],
  ['/api/state/current', 'read'],
  ['/api/state/component/MOTORS/MOTOR_LEFT_REAR', 'read'],
  ['/api/state/history', 'read'],
  ['/api/state/history', 'export', 'text/csv'],
  ['/api/state/history', 'export', 'application/x-ndjson'],
  ['/api/series?signal=MOTORS/MOTOR_LEFT_REAR/RPM', 'read'],
  ['/api/gaps', 'read'],
  ['/api/status', 'read'],
  ['/api/protocol', 'read'],
  ['/api/protocol/MOTORS', 'read'],
  ['/api/config', 'admin'],
];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('a route', () => {
  test('is answered to a token with its scope, and to no other', async (t) => {
    const { instance, tokens } = securedServer(t, sources, {
      config: { anonymous: 'none', ratePerS: null },
      tokens: { read: ['read'], export: ['export'], command: ['command'], admin: ['admin'] },
    });
    for (const [url, scope, accept = '*/*'] of ROUTES) {
      for (const [name, token] of Object.entries(tokens)) {
        for (const method of ['GET', 'HEAD'] as const) {
          const response = await instance.inject({ method, url, headers: { accept, ...bearer(token) } });
          const expected = scope === null || scope === name ? 200 : 403;
          assert.equal(response.statusCode, expected, `${method} ${url} ${accept} with ${name}`);
          if (method === 'HEAD' || expected === 200) continue;
          assert.equal(response.json().code, 'SCOPE_MISSING');
          assert.match(
            response.json().message,
            new RegExp(`needs the scope ${scope}; the token ${name} has ${name}\\.`),
          );
          assert.equal(
            response.headers['www-authenticate'],
            `Bearer realm="telemetry-collector", error="insufficient_scope", scope="${scope}"`,
          );
        }
      }
    }
  });

  const RIGHTS: [what: string, host: string, anonymous: 'local' | 'read' | 'none', scopes: Scope[]][] = [
    ['on this machine alone', '127.0.0.1', 'local', ['read', 'export']],
    ['on this machine alone, by its name', 'localhost', 'local', ['read', 'export']],
    ['on this machine alone, by IPv6', '::1', 'local', ['read', 'export']],
    ['on this machine alone, where everybody may read', '127.8.9.1', 'read', ['read', 'export']],
    ['on this machine alone, where nobody may', '127.0.0.1', 'none', []],
    ['on a network', '0.0.0.0', 'local', []],
    ['on a network, by an address', '192.168.1.7', 'local', []],
    ['on a network, by a name', 'kart.local', 'local', []],
    ['on a network, where everybody may read', '::', 'read', ['read']],
    ['on a network, where nobody may', '0.0.0.0', 'none', []],
  ];
  for (const [what, host, anonymous, scopes] of RIGHTS) {
    test(`is answered without a token ${what}: ${scopes.join(', ') || 'nothing'}`, async (t) => {
      const { instance } = securedServer(t, sources, { config: { host, anonymous } });
      for (const [url, scope, accept = '*/*'] of ROUTES) {
        const response = await instance.inject({ url, headers: { accept } });
        const isAllowed = scope === null || scopes.includes(scope);
        assert.equal(response.statusCode, isAllowed ? 200 : 401, url);
        if (isAllowed) continue;
        assert.equal(response.json().code, 'TOKEN_MISSING');
        assert.match(response.json().message, new RegExp(`token create --name NAME --scope ${scope}$`));
        assert.equal(response.headers['www-authenticate'], 'Bearer realm="telemetry-collector"');
      }
    });
  }

  test('that does not say its scope keeps the server from starting', async (t) => {
    const { instance } = securedServer(t, sources);
    instance.get('/forgotten', () => 'data');
    instance.post('/also', { config: {} }, () => 'data');
    await assert.rejects(async () => {
      await instance.ready();
    }, /GET \/forgotten, HEAD \/forgotten, POST \/also$/);
  });

  test('of a plugin is given its scope from outside', async (t) => {
    const { instance } = securedServer(t, sources, { config: { anonymous: 'none' } });
    for (const [prefix, scope] of [
      ['/open', null],
      ['/closed', 'admin'],
    ] as const) {
      instance.register(
        async (part) => {
          part.addHook('onRoute', withScope(scope));
          await part.register(async (plugin) => {
            plugin.get('/x', () => 'data');
            plugin.get('/own', { config: { scope: 'read' } }, () => 'data');
          });
        },
        { prefix },
      );
    }
    const codes = await Promise.all(
      ['/open/x', '/open/own', '/closed/x'].map(async (url) => (await instance.inject(url)).statusCode),
    );
    assert.deepEqual(codes, [200, 401, 401]);
  });
});

describe('a token', () => {
  function withTokens(t: TestContext) {
    const server = securedServer(t, sources, {
      config: { anonymous: 'none' },
      tokens: { reader: ['read'], driver: ['command'] },
    });
    const { instance } = server;
    for (const [path, takesTokenInQuery] of [
      ['/stream', true],
      ['/other', false],
    ] as const) {
      instance.get(path, { config: { scope: 'read', takesTokenInQuery } }, ({ principal, query, url }) => ({
        name: principal.name,
        query,
        url,
      }));
    }
    return server;
  }

  test('that is not known is refused, also where none is needed', async (t) => {
    const { instance } = securedServer(t, sources);
    for (const token of ['x', `tc_${'A'.repeat(43)}`, 'a'.repeat(5000)]) {
      const response = await instance.inject({ url: '/api/status', headers: bearer(token) });
      assert.deepEqual([response.statusCode, response.json().code], [401, 'TOKEN_INVALID']);
      assert.match(String(response.headers['www-authenticate']), /error="invalid_token"/);
      assert.doesNotMatch(response.body, new RegExp(token.slice(0, 20).padEnd(20, '_')));
    }
    assert.equal((await instance.inject({ url: '/healthz', headers: bearer('x') })).statusCode, 200);
  });

  test('tells the route who asks', async (t) => {
    const { instance, tokens } = withTokens(t);
    const response = await instance.inject({ url: '/stream', headers: bearer(tokens.reader) });
    assert.equal(response.json().name, 'reader');
  });

  test('may be a subprotocol of a WebSocket', async (t) => {
    const { instance, tokens } = withTokens(t);
    const named = (protocols: string, upgrade?: string) =>
      instance.inject({
        url: '/stream',
        headers: { 'sec-websocket-protocol': protocols, ...(upgrade !== undefined && { upgrade }) },
      });
    assert.equal((await named(`collector.v1, bearer.${tokens.reader}`, 'websocket')).json().name, 'reader');
    assert.equal((await named(`bearer.${tokens.driver}`, 'websocket')).json().code, 'SCOPE_MISSING');
    assert.equal((await named('collector.v1', 'websocket')).json().code, 'TOKEN_MISSING');
    assert.equal((await named('bearer.x', 'websocket')).json().code, 'TOKEN_INVALID');
    assert.equal(
      (await named(`bearer.${tokens.reader}`)).json().code,
      'TOKEN_MISSING',
      'elsewhere it is not',
    );
  });

  test('may stand in the URL where a browser can send it in no other way, and the route does not see it', async (t) => {
    const { instance, tokens } = withTokens(t);
    const asked = (path: string, headers: Record<string, string>, token = tokens.reader) =>
      instance.inject({ url: `${path}?since=1&access_token=${token}`, headers });
    for (const headers of [{ upgrade: 'websocket' }, { accept: 'text/event-stream' }, {}]) {
      const { name, query } = (await asked('/stream', headers)).json();
      assert.deepEqual([name, query], ['reader', { since: '1' }]);
      assert.equal((await asked('/stream', headers, 'x')).json().code, 'TOKEN_INVALID');
      assert.equal((await asked('/other', headers)).json().code, 'TOKEN_MISSING');
    }
    const twice = await instance.inject({
      url: `/stream?access_token=${tokens.reader}&access_token=${tokens.reader}`,
      headers: { upgrade: 'websocket' },
    });
    assert.equal(twice.json().code, 'TOKEN_MISSING');
  });

  test('in the header goes before any other', async (t) => {
    const { instance, tokens } = withTokens(t);
    const response = await instance.inject({
      url: `/stream?access_token=${tokens.reader}`,
      headers: { ...bearer(tokens.driver), upgrade: 'websocket' },
    });
    assert.equal(response.json().code, 'SCOPE_MISSING');
  });

  test('is what Bearer says, in any letter case; other schemes are not ours', async (t) => {
    const { instance, tokens } = withTokens(t);
    const asked = async (authorization: string) =>
      (await instance.inject({ url: '/stream', headers: { authorization } })).statusCode;
    assert.equal(await asked(`bearer ${tokens.reader}`), 200);
    assert.equal(await asked(`BEARER   ${tokens.reader} `), 200);
    for (const wrong of [
      tokens.reader,
      `Basic ${tokens.reader}`,
      `Bearer${tokens.reader}`,
      'Bearer',
      'Bearer a b',
    ]) {
      assert.equal(await asked(wrong), 401, wrong);
    }
  });
});

describe('an answer', () => {
  const EXPECTED = {
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  };

  test('bears what keeps browsers from doing anything with it, whatever it says', async (t) => {
    const { instance } = securedServer(t, sources);
    instance.get('/broken', { config: { scope: null } }, () => {
      throw new Error('/home/pi/secret');
    });
    const asked: [url: string, headers: Record<string, string>, statusCode: number][] = [
      ['/api/status', {}, 200],
      ['/api/state/history', { accept: 'text/csv' }, 200],
      ['/api/state/history?limit=0', {}, 400],
      ['/api/state/component/%/%', {}, 400],
      [`/api/protocol/${'x'.repeat(300)}`, {}, 414],
      ['/api/status', bearer('x'), 401],
      ['/api/status', { host: 'evil.example' }, 421],
      ['/nothing', {}, 404],
      ['/broken', {}, 500],
    ];
    for (const [url, headers, statusCode] of asked) {
      const response = await instance.inject({ url, headers });
      assert.equal(response.statusCode, statusCode, url);
      assert.doesNotMatch(response.body, /secret|node_modules|\.ts:/);
      for (const [name, value] of Object.entries(EXPECTED))
        assert.equal(response.headers[name], value, `${url} ${name}`);
      if (statusCode === 200) continue;
      assert.deepEqual(Object.keys(response.json()), ['statusCode', 'code', 'error', 'message'], url);
      assert.ok(response.json().message.length < 500);
    }
  });

  test('that is a page says itself what it may load', async (t) => {
    const { instance } = securedServer(t, sources);
    const { headers } = await instance.inject('/');
    const policy = String(headers['content-security-policy']);
    assert.match(
      policy,
      /^default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; /,
    );
    assert.match(policy, /script-src 'self'; style-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe/);
  });
});

describe('the status', () => {
  test('has no paths for those who need not know them', async (t) => {
    const { instance, tokens } = securedServer(t, sources, {
      config: { host: '0.0.0.0' },
      tokens: { reader: ['read'], admin: ['read', 'admin'] },
    });
    const of = async (token: string) =>
      (await instance.inject({ url: '/api/status', headers: bearer(token) })).json();
    const whole = await of(tokens.admin);
    assert.equal(
      whole.history.path,
      sources.security.config.tokensPath.replace('tokens.json', 'collector.db'),
    );
    const told = await of(tokens.reader);
    assert.equal(told.history.path, null);
    const [bus] = told.buses;
    assert.equal(bus.driver.path, 'drive.log');
    const folder = whole.history.path.replace('/collector.db', '');
    assert.ok(JSON.stringify(whole).includes(folder) && !JSON.stringify(told).includes(folder));
  });

  test('has them for who is on this machine, unless nobody may ask there without a token', async (t) => {
    const open = securedServer(t, sources, { tokens: { reader: ['read'] } });
    const closed = securedServer(t, sources, { config: { anonymous: 'none' }, tokens: { reader: ['read'] } });
    const path = async ({ instance, tokens }: typeof open, headers = bearer(tokens.reader)) =>
      (await instance.inject({ url: '/api/status', headers })).json().history.path;
    assert.match(await path(open), /collector\.db$/);
    assert.match((await open.instance.inject('/api/status')).json().history.path, /collector\.db$/);
    assert.equal(await path(closed), null);
  });

  test('an error of the service keeps them as well', async (t) => {
    const broken = {
      ...sources,
      history: {
        ...sources.history,
        gaps: async () => {
          throw new CollectorError('HISTORY_UNAVAILABLE', 'The disk of /home/pi/collector.db is full.');
        },
      },
    };
    const asked = async (host: string) =>
      (
        await securedServer(t, broken, { config: { host, anonymous: 'read' } }).instance.inject('/api/gaps')
      ).json().message;
    assert.equal(await asked('0.0.0.0'), 'The disk of collector.db is full.');
    assert.equal(await asked('127.0.0.1'), 'The disk of /home/pi/collector.db is full.');
  });
});

describe('what is refused', () => {
  test('is counted by its reason, with the requests', async (t) => {
    const { instance, security, tokens } = securedServer(t, sources, {
      config: { anonymous: 'none' },
      tokens: { reader: ['read'], driver: ['command'] },
    });
    instance.post('/data', { config: { scope: null } }, () => 'ok');
    const post = (payload: string, headers: Record<string, string> = {}) =>
      instance.inject({
        method: 'POST',
        url: '/data',
        payload,
        headers: { 'content-type': 'application/json', ...headers },
      });
    await instance.inject('/api/status');
    await instance.inject({ url: '/api/status', headers: bearer('x') });
    await instance.inject({ url: '/api/status', headers: bearer(tokens.driver) });
    await instance.inject({ url: '/api/status', headers: { host: 'evil.example' } });
    await post('{}', { origin: 'http://evil.example' });
    await post('{}', { origin: 'null' });
    assert.equal((await post('{}', { origin: 'http://localhost' })).statusCode, 200);
    assert.equal((await post(JSON.stringify('x'.repeat(65 * 1024)))).statusCode, 413);
    await instance.inject('/api/state/component/%/%');
    await instance.inject(`/api/protocol/${'x'.repeat(300)}`);
    const { requests, refused, clients } = security.status();
    assert.equal(requests, 10);
    assert.deepEqual(refused, {
      token: 2,
      scope: 1,
      host: 1,
      origin: 2,
      rate: 0,
      overload: 0,
      too_large: 2,
      too_slow: 0,
      malformed: 1,
    });
    assert.equal(clients.used, 1);
  });

  test('for too many requests says when to come again', async (t) => {
    const { instance, security } = securedServer(t, sources, { config: { ratePerS: 1 } });
    const responses = await Promise.all(Array.from({ length: 20 }, () => instance.inject('/healthz')));
    assert.equal(responses[0]!.statusCode, 200);
    const refused = responses.filter(({ statusCode }) => statusCode === 429);
    assert.ok(refused.length > 0);
    assert.equal(security.status().refused.rate, refused.length);
    assert.equal(refused[0]!.json().code, 'RATE_LIMITED');
    assert.equal(refused[0]!.headers['retry-after'], '1');
    assert.equal((await instance.inject({ url: '/healthz', remoteAddress: '10.0.0.7' })).statusCode, 200);
  });

  test('for too many requests is never what a route with a limit of its own is asked by who may', async (t) => {
    const { instance, security, tokens } = securedServer(t, sources, {
      config: { ratePerS: 1, origins: ['http://dashboard.example'] },
      tokens: { driver: ['command'], reader: ['read'] },
    });
    const config = { scope: 'command', hasOwnLimit: true } as const;
    instance.post('/stop', { config }, () => 'stopped');
    while ((await instance.inject('/healthz')).statusCode !== 429);
    const stop = async (headers: Record<string, string>, url = '/stop') =>
      (await instance.inject({ method: 'POST', url, headers })).statusCode;
    const rateBefore = security.status().refused.rate;
    for (let time = 0; time < 20; time++) assert.equal(await stop(bearer(tokens.driver)), 200);
    assert.equal(security.status().refused.rate, rateBefore);
    assert.equal(await stop(bearer(tokens.driver), '/elsewhere'), 429);
    assert.deepEqual(
      [await stop({}), await stop(bearer('x')), await stop(bearer(tokens.reader))],
      [429, 429, 429],
      'who may not is held to the rate',
    );
    const preflight = await instance.inject({
      method: 'OPTIONS',
      url: '/stop',
      headers: { origin: 'http://dashboard.example', 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.statusCode, 204, 'a page of another origin may ask whether it may');
  });

  test('of a web page uses up nothing of what programs at its address may ask', async (t) => {
    const { instance } = securedServer(t, sources, { config: { ratePerS: 1 } });
    const headers = { host: 'evil.example' };
    for (let time = 0; time < 5; time++) {
      assert.equal((await instance.inject({ url: '/healthz', headers })).statusCode, 421);
    }
    assert.equal((await instance.inject('/healthz')).statusCode, 200);
  });

  test('for its Host is told what was expected, and counted', async (t) => {
    const { security, listen } = securedServer(t, sources);
    const { port } = new URL(await listen());
    const hosts = ['', 'Host: localhost\r\nHost: evil.example\r\n', 'Host: localhost\r\nhOST: localhost\r\n'];
    for (const [index, host] of hosts.entries()) {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`GET /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
      assert.match(await text(socket), /^HTTP\/1\.1 400 .*Expected one header Host, found [02]\./s);
      assert.equal(security.status().refused.malformed, index + 1);
    }
    const old = connect(Number(port), '127.0.0.1');
    old.write('GET /healthz HTTP/1.0\r\n\r\n');
    assert.match(await text(old), /^HTTP\/1\.1 200/, 'HTTP/1.0 has none');
  });

  test('since there is nothing is so before its body has come', async (t) => {
    const { listen } = securedServer(t, sources);
    const { port } = new URL(await listen());
    const socket = connect(Number(port), '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write('POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n');
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 404 .*ROUTE_NOT_FOUND/s);
  });

  test('since the history is busy counts as overload', async (t) => {
    const busy = {
      ...sources,
      history: {
        ...sources.history,
        gaps: () => Promise.reject(new QueryError(503, 'HISTORY_BUSY', 'too many queries: try again')),
      },
    };
    const { instance, security } = securedServer(t, busy);
    const response = await instance.inject('/api/gaps');
    assert.deepEqual([response.statusCode, response.headers['retry-after']], [503, '1']);
    assert.equal(security.status().refused.overload, 1);
  });
});

describe('exports', () => {
  test('are as many at once as there may be: one more is told when to come again', async (t) => {
    const pages: (() => void)[] = [];
    const slow = {
      ...sources,
      history: {
        ...sources.history,
        query: async () => {
          await new Promise<void>((resolve) => pages.push(resolve));
          return { text: Buffer.from('x\n'), count: 1, nextCursor: null };
        },
      },
    };
    const { instance, security } = securedServer(t, slow, { limits: { exportsMax: 2 } });
    const csv = () => instance.inject({ url: '/api/state/history', headers: { accept: 'text/csv' } });
    const running = [csv(), csv()];
    while (pages.length < 2) await new Promise(setImmediate);
    assert.equal(security.status().exports.used, 2);
    const refused = await csv();
    assert.deepEqual(
      [refused.statusCode, refused.json().code, refused.headers['retry-after']],
      [503, 'EXPORTS_BUSY', '5'],
    );
    assert.equal(security.status().refused.overload, 1);
    for (const end of pages) end();
    for (const response of await Promise.all(running)) assert.equal(response.statusCode, 200);
    assert.equal(security.status().exports.used, 0);
  });

  test('that fail make room, too', async (t) => {
    const { instance, security } = securedServer(t, sources, { limits: { exportsMax: 1 } });
    for (let request = 0; request < 3; request++) {
      const url = '/api/state/history?limit=0';
      assert.equal((await instance.inject({ url, headers: { accept: 'text/csv' } })).statusCode, 400);
    }
    assert.equal(security.status().exports.used, 0);
  });
});

test('a server that is to listen on a network says first who may use it', async (t) => {
  const { security } = securedServer(t, sources, { config: { host: '0.0.0.0' } });
  const server = createServer({ ...sources, security });
  await assert.rejects(server.listen({ host: '0.0.0.0', port: 0 }), {
    code: 'API_UNPROTECTED',
    message:
      /token create --name dashboard --scope read\nor let everybody .*--anonymous read.* looked for in \S+tokens\.json\.$/s,
  });
  assert.doesNotThrow(() => security.checkAddress('127.0.0.1'));
  const ways = [
    securedServer(t, sources, { config: { host: '0.0.0.0', anonymous: 'read' } }),
    securedServer(t, sources, { config: { host: '0.0.0.0' }, tokens: { reader: ['read'] } }),
    securedServer(t, sources, {
      config: { host: '0.0.0.0', anonymous: 'none' },
      tokens: { driver: ['command'] },
    }),
  ];
  for (const way of ways) assert.doesNotThrow(() => way.security.checkAddress());
  // What was made for this machine alone would be open to all.
  const local = securedServer(t, sources, { tokens: { reader: ['read'] } });
  assert.throws(() => local.security.checkAddress('0.0.0.0'), { code: 'API_UNPROTECTED' });
});
