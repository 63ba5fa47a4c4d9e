import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { checkApi } from './api.ts';
import { apiUrl, findCollector, type RunningCollector } from './running-collector.ts';

const HOST = '127.0.0.1';

async function listening(t: TestContext, server: Server | HttpServer): Promise<number> {
  server.listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that answers every path with what `answers` has for it, and others with a 404. */
async function serve(t: TestContext, answers: Readonly<Record<string, unknown>>): Promise<number> {
  const server = createHttpServer((request, response) => {
    const answer = answers[request.url ?? ''];
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? {}));
  });
  t.after(() => server.closeAllConnections());
  return await listening(t, server);
}

async function checked(port: number, host = HOST) {
  const api = { host, port };
  return await checkApi(api, await findCollector(api), '/var/lib/collector.db');
}

describe('the address', () => {
  test('that is free is ok', async (t) => {
    const server = createServer();
    const port = await listening(t, server);
    server.close();
    await once(server, 'close');
    const [check] = await checked(port);
    assert.equal(check?.outcome, 'ok');
    assert.match(check.found, new RegExp(`http://127.0.0.1:${port} is free`));
  });

  test('that any port will do for is ok', async () => {
    assert.equal((await checked(0))[0]?.found, '127.0.0.1, any free port');
  });

  const others: [what: string, answers: Record<string, unknown>][] = [
    ['a web server', { '/healthz': '<html>' }],
    ['a server with a health of its own', { '/healthz': { status: 'ok' } }],
    ['a server without one', {}],
  ];
  for (const [what, answers] of others) {
    test(`that ${what} has is a problem`, async (t) => {
      const port = await serve(t, answers);
      const [check, ...rest] = await checked(port);
      assert.deepEqual(rest, []);
      assert.equal(check?.outcome, 'problem');
      assert.match(check.found, new RegExp(`^port ${port} is taken: what answers is no collector$`));
      assert.deepEqual(check.remedies, [
        `See which program it is: sudo ss -ltnp 'sport = :${port}'`,
        `Take another port: --port ${port + 1}`,
      ]);
    });
  }

  test('that something has which speaks no HTTP is a problem', async (t) => {
    const port = await listening(
      t,
      createServer((socket) => socket.end('220 mail\r\n')),
    );
    const [check] = await checked(port);
    assert.equal(check?.outcome, 'problem');
    assert.match(check.found, /no collector answers there/);
  });

  test('that this machine does not have is a problem', async () => {
    // TEST-NET-1 of RFC 5737: nobody's.
    const [check] = await checkApi({ host: '192.0.2.1', port: 5001 }, null, '');
    assert.equal(check?.outcome, 'problem');
    assert.match(check.found, /no address 192\.0\.2\.1/);
  });

  test('is one that can be connected to', () => {
    const url = (host: string) => apiUrl({ host, port: 5001 });
    assert.equal(url('0.0.0.0'), 'http://127.0.0.1:5001');
    assert.equal(url('::'), 'http://[::1]:5001');
    assert.equal(url('kart.local'), 'http://kart.local:5001');
  });
});

describe('a collector that answers', () => {
  const good: RunningCollector = {
    url: 'http://127.0.0.1:5001',
    version: '0.1.0',
    pid: 42,
    historyPath: '/var/lib/collector.db',
    historyState: 'open',
    historyProblem: null,
    samplesLost: 0,
    buses: [{ name: 'can0', state: 'open', problem: null, warning: null, kernelDrops: 0, interfaceDrops: 0 }],
    recording: { path: '/var/lib/can', state: 'recording', problem: null, framesLost: 0 },
  };
  const recording = good.recording!;
  const bus = good.buses[0]!;
  const wrong = async (running: Partial<RunningCollector>) => {
    const api = { host: HOST, port: 5001 };
    const checks = await checkApi(api, { ...good, ...running }, '/var/lib/collector.db', '/var/lib/can');
    return checks
      .filter(({ outcome }) => outcome !== 'ok')
      .map(({ name, outcome, found }) => `${name}: ${outcome}: ${found}`);
  };

  test('is ok, and what it says of itself is told', async () => {
    assert.deepEqual(await wrong({}), []);
    assert.deepEqual(await wrong({ buses: [{ ...bus, state: 'unavailable', problem: 'can0 is down' }] }), [
      'bus can0: problem: can0 is down',
    ]);
    assert.deepEqual(await wrong({ buses: [{ ...bus, warning: 'bitrate is 1' }] }), [
      'bus can0: warning: bitrate is 1',
    ]);
    assert.deepEqual(await wrong({ buses: [{ ...bus, kernelDrops: 3 }] }), [
      'bus can0: warning: the kernel dropped 3 frames since the start',
    ]);
    assert.deepEqual(await wrong({ buses: [{ ...bus, interfaceDrops: 4 }] }), [
      'bus can0: warning: the interface lost 4 frames since the start',
    ]);
    assert.deepEqual(await wrong({ historyState: 'failed', historyProblem: 'the disk is full' }), [
      'history: problem: the disk is full',
    ]);
    assert.deepEqual(await wrong({ samplesLost: 7 }), ['history: warning: 7 samples lost since the start']);
    assert.deepEqual(await wrong({ historyPath: '/tmp/x.db' }), [
      'configuration: warning: it keeps its history in /tmp/x.db',
    ]);
    assert.deepEqual(
      await wrong({ recording: { ...recording, state: 'paused', problem: 'the disk is full' } }),
      ['recording: problem: the disk is full'],
    );
    assert.deepEqual(await wrong({ recording: { ...recording, framesLost: 5 } }), [
      'recording: warning: 5 frames lost since the start',
    ]);
    assert.deepEqual(await wrong({ recording: null }), ['configuration: warning: it records nothing']);
    // The token may be none that is told of paths.
    assert.deepEqual(await wrong({ recording: { ...recording, path: null } }), []);
  });
});
