import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { WebSocket } from 'ws';
import type { ErrorReply, StatusReply } from '../src/api/schemas.ts';
import { selfSigned, type TestCertificate } from './support/certificate.ts';
import { type CliResult, runCli } from './support/cli.ts';
import { eventually, startService } from './support/service.ts';
import { StreamSocket } from './support/stream-socket.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** Who may use the API of a whole service, as its owner says it by the command line. */

interface Owned {
  readonly folder: string;
  readonly database: string;
  /** `telemetry-collector token ...` for this service. */
  token(...args: readonly string[]): Promise<CliResult>;
  /** Makes a token; gives it. */
  create(name: string, ...args: readonly string[]): Promise<string>;
}

function owned(t: TestContext): Owned {
  const folder = temporaryDirectory(t);
  const database = join(folder, 'collector.db');
  const token = (...args: readonly string[]) => runCli('token', ...args, '--db', database);
  return {
    folder,
    database,
    token,
    async create(name, ...args) {
      const { code, stdout, stderr } = await token('create', '--name', name, ...args);
      assert.equal(code, 0, stderr);
      return stdout.trimEnd();
    },
  };
}

interface OnNetwork {
  /** By the loopback address. */
  readonly url: string;
  output(): string;
  ask(path: string, token?: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Status code and, of a refusal, its code. */
  outcome(...asked: Parameters<OnNetwork['ask']>): Promise<[number, string | null]>;
}

async function startOnNetwork(t: TestContext, { database }: Owned): Promise<OnNetwork> {
  const service = await startService({ args: ['--db', database, '--host', '0.0.0.0', '--port', '0'] });
  t.after(() => service.stop('SIGKILL'));
  const url = `http://127.0.0.1:${new URL(service.url).port}`;
  const ask: OnNetwork['ask'] = (path, token, headers = {}) =>
    fetch(`${url}${path}`, {
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
    });
  return {
    url,
    output: service.output,
    ask,
    async outcome(...asked) {
      const response = await ask(...asked);
      if (response.ok) {
        await response.body?.cancel();
        return [response.status, null];
      }
      return [response.status, ((await response.json()) as ErrorReply).code];
    },
  };
}

const CSV = { accept: 'text/csv' };

describe('who may use the API', { concurrency: 3 }, () => {
  test('has to be said before a network reaches it', async (t) => {
    const { database, create } = owned(t);
    const args = ['--db', database, '--port', '0', '--host', '0.0.0.0'];
    await assert.rejects(startService({ args }), (error: Error) => {
      assert.match(error.message, /ended with 2 /);
      assert.match(error.message, /isn't opened to the network \(0\.0\.0\.0\)/);
      assert.match(error.message, /telemetry-collector token create --name dashboard --scope read/);
      assert.match(error.message, /--anonymous read/);
      assert.doesNotMatch(error.message, /\n\s+at /);
      return true;
    });
    await create('dashboard', '--scope', 'read');
    const service = await startService({ args });
    assert.equal((await service.stop()).code, 0);
  });

  test('is who has a token, for what it was made for, by each way that clients have to show it', async (t) => {
    const owner = owned(t);
    const { create, folder, token } = owner;
    const reader = await create('reader', '--scope', 'read');
    const { outcome, ask, url, output } = await startOnNetwork(t, owner);
    const file = join(folder, 'tokens.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);

    assert.deepEqual(await outcome('/healthz'), [200, null]);
    assert.deepEqual(await outcome('/api/status'), [401, 'TOKEN_MISSING']);
    assert.deepEqual(await outcome('/api/status', `${reader.slice(0, -1)}_`), [401, 'TOKEN_INVALID']);
    assert.deepEqual(await outcome('/api/status', reader), [200, null]);
    assert.deepEqual(await outcome('/api/state/history', reader, CSV), [403, 'SCOPE_MISSING']);
    assert.deepEqual(await outcome('/api/commands', reader), [403, 'SCOPE_MISSING']);
    assert.equal(((await (await ask('/api/status', reader)).json()) as StatusReply).history.path, null);

    // One that is made while the service runs.
    const exporter = await create('exporter', '--scope', 'read', '--scope', 'export', '--expires', '1d');
    await eventually(
      () => outcome('/api/state/history', exporter, CSV),
      ([status]) => status === 200,
    );

    const socket = await StreamSocket.open(url, '', ['collector.v1', `bearer.${reader}`]);
    assert.equal(socket.webSocket.protocol, 'collector.v1');
    socket.subscribe();
    await socket.first('samples');
    const byQuery = await StreamSocket.open(url, `?access_token=${reader}`);
    await byQuery.first('hello');
    const events = { accept: 'text/event-stream' };
    assert.deepEqual(await outcome(`/api/events?access_token=${reader}`, undefined, events), [200, null]);
    assert.deepEqual(await outcome(`/api/status?access_token=${reader}`), [401, 'TOKEN_MISSING']);
    const refused = new WebSocket(`${url.replace('http', 'ws')}/api/stream`);
    refused.on('error', () => {});
    const [, response] = await once(refused, 'unexpected-response');
    assert.equal(response.statusCode, 401);

    const { stdout } = await token('list');
    assert.match(stdout, /^reader\s+read\s+.*never\s+….{4}$/m);
    assert.match(stdout, /^exporter\s+read,export\s/m);
    for (const secret of [reader, exporter]) {
      for (const place of [stdout, output(), readFileSync(file, 'utf8')]) assert.ok(!place.includes(secret));
      assert.ok(!readFileSync(join(folder, 'collector.log'), 'utf8').includes(secret));
    }
  });

  test('ends at once for who had a token that is revoked or has expired, in the midst of a stream, and for nobody else', async (t) => {
    const owner = owned(t);
    const { create, token } = owner;
    const lost = await create('lost', '--scope', 'read', '--scope', 'export');
    const kept = await create('kept', '--scope', 'read');
    const { url, ask, outcome } = await startOnNetwork(t, owner);
    const follow = async (text: string) => {
      const socket = await StreamSocket.open(url, '', ['collector.v1', `bearer.${text}`]);
      socket.subscribe();
      await socket.first('samples');
      return socket;
    };
    const [losing, keeping] = [await follow(lost), await follow(kept)];
    const events = await ask('/api/events', lost);
    const eventsEnd = events.text().then(
      () => 'ended',
      () => 'cut off',
    );
    assert.equal((await token('revoke', 'lost')).code, 0);
    assert.equal(await losing.closed(), 1006);
    assert.equal(await eventsEnd, 'cut off');
    assert.deepEqual(await outcome('/api/state/current', lost), [401, 'TOKEN_INVALID']);

    const shortLived = await create('short', '--scope', 'read', '--expires', '6s');
    await eventually(
      () => outcome('/api/state/current', shortLived),
      ([status]) => status === 200,
    );
    // Without waiting for anything else of it: on a slow machine six seconds are soon over.
    const following = await StreamSocket.open(url, '', ['collector.v1', `bearer.${shortLived}`]);
    assert.equal(await following.closed(), 1006);
    assert.deepEqual(await outcome('/api/state/current', shortLived), [401, 'TOKEN_INVALID']);

    const { api } = (await (await ask('/api/status', kept)).json()) as StatusReply;
    assert.ok(api.sockets.revoked >= 3, String(api.sockets.revoked));
    assert.deepEqual([api.tokens, api.refused.token], [1, api.refused.token]);
    assert.equal(keeping.closeCode, null);
    await keeping.toldUpTo(keeping.messages().at(-1)!.seq + 1);
    assert.deepEqual((await token('revoke', 'lost')).stderr.match(/There is no token lost/)?.length, 1);
  });

  test('is asked over TLS where there is a certificate, and a new one is taken while streams go on', async (t) => {
    const { folder, database } = owned(t);
    const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    const write = ({ cert, key }: TestCertificate) => {
      writeFileSync(paths.cert, cert);
      writeFileSync(paths.key, key);
    };
    const [first, second] = [selfSigned('first'), selfSigned('second')];
    write(first);
    const tls = ['--tls-cert', paths.cert, '--tls-key', paths.key];
    const service = await startService({ args: ['--db', database, '--port', '0', ...tls] });
    t.after(() => service.stop('SIGKILL'));
    assert.match(service.url, /^https:/);
    const { hostname, port } = new URL(service.url);
    const nameOf = async () => {
      const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const name = String(socket.getPeerCertificate().subject.CN);
      socket.destroy();
      return name;
    };
    const get = async (path: string, { cert }: TestCertificate) => {
      const asked = request(`${service.url}${path}`, { ca: cert, agent: false }).end();
      const [response] = await once(asked, 'response');
      return await text(response);
    };
    const stream = new WebSocket(`wss://${hostname}:${port}/api/stream`, { ca: first.cert });
    t.after(() => stream.terminate());
    await once(stream, 'message');
    assert.equal(await nameOf(), 'first');
    write(second);
    await eventually(nameOf, (name) => name === 'second');
    stream.send(JSON.stringify({ type: 'ping', data: 1 }));
    assert.match(String((await once(stream, 'message'))[0]), /pong/);
    const { api } = JSON.parse(await get('/api/status', second)) as StatusReply;
    assert.ok(api.tls!.expires > Date.now() / 1000);
    assert.equal(api.problem, null);
  });
});
