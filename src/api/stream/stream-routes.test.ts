import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { PlainSample } from '../../../test/support/samples.ts';
import { assertIs, servePipeline } from '../../../test/support/served-pipeline.ts';
import { eventually } from '../../../test/support/service.ts';
import { StreamRig } from '../../../test/support/stream-rig.ts';
import { StreamSocket } from '../../../test/support/stream-socket.ts';
import {
  STREAM_CLIENTS_MAX,
  STREAM_MESSAGE_BYTES_MAX,
  STREAM_MESSAGE_SAMPLES_MAX,
  STREAM_MESSAGE_WRONG_COST,
  STREAM_MESSAGES_AT_ONCE_MAX,
  STREAM_PING_BYTES_MAX,
} from '../../shared/limits.ts';
import { ErrorSchema, StatusSchema } from '../schemas.ts';
import { createServer } from '../server.ts';
import {
  HelloSchema,
  PongSchema,
  type ServerMessage,
  StreamErrorSchema,
  SubscribedSchema,
  UnsubscribedSchema,
} from './schemas.ts';

const FIRST_US = 1_764_000_000_000_000;
let lastUs = FIRST_US;

function sample(series: number, rawValue = 0): PlainSample {
  lastUs += 250;
  return { series, rawValue, timestampUs: lastUs };
}

/** A server on a port of its own, whose samples are those that a rig is told to have. */
async function serve(t: TestContext) {
  const served = await servePipeline(t, '');
  const rig = new StreamRig();
  const { state, feed } = rig;
  const server = createServer({ ...served.sources, state, feed });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  return { rig, server, url, port: Number(new URL(url).port) };
}

/** How a handshake is answered that isn't accepted. */
async function refusal(
  url: string,
  path: string,
): Promise<{ status: number; retryAfter: unknown; body: unknown }> {
  const webSocket = new WebSocket(`${url.replace(/^http/, 'ws')}${path}`);
  webSocket.on('error', () => {});
  const [, response] = await once(webSocket, 'unexpected-response');
  const body = JSON.parse(Buffer.concat(await response.toArray()).toString());
  webSocket.terminate();
  return { status: response.statusCode, retryAfter: response.headers['retry-after'], body };
}

/** What is answered to a request that is sent as it stands, up to the end of the connection. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request.replaceAll('\n', '\r\n'));
  return Buffer.concat(await socket.toArray()).toString();
}

/** A client that asks and never reads what it is told. */
async function deaf(port: number, request: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  socket.write(request.replaceAll('\n', '\r\n'));
  return socket;
}

const UPGRADE =
  'Host: 127.0.0.1\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n';

describe('/api/stream', () => {
  for (const encoding of ['json', 'binary'] as const) {
    test(`tells what there is and what comes, of all sizes of messages: ${encoding}`, async (t) => {
      const { rig, url } = await serve(t);
      const series = rig.addSeries();
      const scaled = rig.addSeries({ commandId: 7 });
      rig.come(sample(series, 1200), sample(scaled, 1234));
      const client = await StreamSocket.open(url, `?encoding=${encoding}`);
      const hello = await client.first('hello');
      assertIs(HelloSchema, hello);
      assert.deepEqual([hello.encoding, hello.seq, hello.simulated], [encoding, 2, false]);
      client.subscribe();
      assertIs(SubscribedSchema, await client.first('subscribed'));
      await client.toldUpTo(2);
      assert.deepEqual(
        client
          .messages()[0]!
          .samples.map(({ value, raw_value, unit, timestamp }) => [value, raw_value, unit, timestamp]),
        [
          [1200, 1200, 'rpm', (FIRST_US + (lastUs - FIRST_US) - 250) / 1e6],
          [12.34, 1234, 'N·m', lastUs / 1e6],
        ],
      );
      // Frames have lengths of 7, 16 and 64 bits.
      for (const count of [
        1,
        2,
        4,
        5,
        100,
        200,
        STREAM_MESSAGE_SAMPLES_MAX,
        3 * STREAM_MESSAGE_SAMPLES_MAX,
      ]) {
        rig.come(...Array.from({ length: count }, (_, at) => sample(series, at)));
        await client.toldUpTo(rig.feed.seq);
      }
      const seqs = client.seqs();
      assert.deepEqual(
        seqs,
        Array.from({ length: rig.feed.seq }, (_, at) => at + 1),
      );
      assert.ok(client.messages().every(({ samples }) => samples.length <= STREAM_MESSAGE_SAMPLES_MAX));
      client.webSocket.close();
      assert.equal(await client.closed(), 1005);
    });
  }

  test('selects the subprotocol where it is offered, whatever else is', async (t) => {
    const { url } = await serve(t);
    for (const [offered, selected] of [
      [['collector.v1'], 'collector.v1'],
      [['other.v1', 'collector.v1'], 'collector.v1'],
      [[], ''],
    ] as const) {
      const { webSocket } = await StreamSocket.open(url, '', offered);
      assert.equal(webSocket.protocol, selected);
      assert.equal(webSocket.extensions, '');
    }
  });

  test('answers pings of both kinds, and goes on after what is wrong, which it explains', async (t) => {
    const { rig, url } = await serve(t);
    const series = rig.addSeries();
    const client = await StreamSocket.open(url);
    client.send({ type: 'ping', data: { at: [1, 'ü'] } });
    const pong = await client.first('pong');
    assertIs(PongSchema, pong);
    assert.deepEqual(pong, { type: 'pong', data: { at: [1, 'ü'] } });
    client.webSocket.ping();
    await once(client.webSocket, 'pong');

    client.send('{');
    client.send({ type: 'subscribe', id: 'x', signals: ['MOTORS'] });
    client.send({ type: 'subscribe', id: 'y', signals: ['**'], message_type: 'WISH' });
    client.webSocket.send(Buffer.from('{}'));
    const errors = await eventually(
      async () => client.told.filter(({ type }) => type === 'error'),
      ({ length }) => length === 4,
    );
    for (const error of errors) assertIs(StreamErrorSchema, error);
    assert.deepEqual(
      errors.map((error) => error.type === 'error' && [error.id, error.code]),
      [
        [null, 'MESSAGE_INVALID'],
        ['x', 'SIGNAL_INVALID'],
        ['y', 'MESSAGE_TYPE_UNKNOWN'],
        [null, 'MESSAGE_INVALID'],
      ],
    );
    client.subscribe({ max_hz: 10, bus: 'can0', message_type: 'status' });
    await client.first('subscribed');
    rig.come(sample(series));
    await client.toldUpTo(1);
    client.send({ type: 'unsubscribe', id: 'a' });
    assertIs(UnsubscribedSchema, await client.first('unsubscribed'));
  });

  test('closes who says too much, or too much that is wrong, and counts them', async (t) => {
    const { server, url } = await serve(t);
    const chatty = await StreamSocket.open(url);
    for (let at = 0; at < 2 * STREAM_MESSAGES_AT_ONCE_MAX; at++) chatty.send({ type: 'ping' });
    assert.equal(await chatty.closed(), 1008);
    assert.ok(chatty.told.length >= STREAM_MESSAGES_AT_ONCE_MAX);
    const wrong = await StreamSocket.open(url);
    const wrongAllowed = STREAM_MESSAGES_AT_ONCE_MAX / STREAM_MESSAGE_WRONG_COST;
    for (let at = 0; at < 4 * wrongAllowed; at++) wrong.send('nonsense');
    assert.equal(await wrong.closed(), 1008);
    assert.ok(wrong.told.filter(({ type }) => type === 'error').length >= wrongAllowed);
    // Of WebSocket's own kind, which the library answers, or passes over, by itself.
    for (const kind of ['ping', 'pong'] as const) {
      const pinging = await StreamSocket.open(url);
      for (let at = 0; at < 2 * STREAM_MESSAGES_AT_ONCE_MAX; at++) pinging.webSocket[kind]();
      assert.equal(await pinging.closed(), 1008);
    }
    const { clients, clients_abusive } = server.streamStats();
    assert.deepEqual([clients, clients_abusive], [0, 4]);
  });

  test('closes who breaks the protocol of WebSocket, and goes on for others', async (t) => {
    const { rig, server, url, port } = await serve(t);
    const client = await StreamSocket.open(url);
    const large = await StreamSocket.open(url);
    large.send({ type: 'ping', data: 'x'.repeat(STREAM_MESSAGE_BYTES_MAX) });
    assert.equal(await large.closed(), 1009);
    // A frame of a client that isn't masked, and one of a kind that there is not.
    for (const frame of [Buffer.from([0x81, 1, 0x61]), Buffer.from([0x8f, 0x80, 0, 0, 0, 0])]) {
      const socket = connect(port, '127.0.0.1');
      socket.write(`GET /api/stream HTTP/1.1\n${UPGRADE}\n`.replaceAll('\n', '\r\n'));
      await once(socket, 'data');
      socket.write(frame);
      await socket.toArray();
    }
    await eventually(
      async () => server.streamStats().clients,
      (clients) => clients === 1,
    );
    client.subscribe();
    rig.come(sample(rig.addSeries()));
    await client.toldUpTo(1);
  });

  test('ends the connection of a handshake that is refused, whoever refuses it', async (t) => {
    const { port } = await serve(t);
    for (const [path, upgrade, status] of [
      ['/api/stream', UPGRADE.replace('127.0.0.1', 'other.example'), 421],
      ['/api/stream', `${UPGRADE}Authorization: Bearer nobody\n`, 401],
      ['/api/stream?encoding=xml', UPGRADE, 400],
      ['/api/nothing', UPGRADE, 404],
    ] as const) {
      const socket = connect(port, '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\n${upgrade}\n`.replaceAll('\n', '\r\n'));
      const answer = Buffer.concat(await socket.toArray()).toString();
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), path);
    }
  });

  test('refuses a handshake as any other request, as JSON', async (t) => {
    const { url, port } = await serve(t);
    for (const [path, status, code] of [
      ['/api/stream?encoding=xml', 400, 'QUERY_INVALID'],
      ['/api/stream?signal=x', 400, 'QUERY_INVALID'],
      ['/api/nothing', 404, 'ROUTE_NOT_FOUND'],
    ] as const) {
      const { status: found, body } = await refusal(url, path);
      assertIs(ErrorSchema, body);
      assert.deepEqual([found, body.code], [status, code]);
    }
    // Without a handshake.
    const response = await fetch(`${url}/api/stream`);
    const body = (await response.json()) as { code: string; message: string };
    assert.deepEqual(
      [response.status, response.headers.get('upgrade'), body.code],
      [426, 'websocket', 'UPGRADE_REQUIRED'],
    );
    assert.match(body.message, /ws:\/\/.*\/api\/events/);
    // One that isn't whole.
    assert.match(
      await raw(
        port,
        'GET /api/stream HTTP/1.1\nHost: 127.0.0.1\nConnection: Upgrade\nUpgrade: websocket\n\n',
      ),
      /^HTTP\/1\.1 400 .*application\/json.*"code":"HTTP_INVALID".*Missing or invalid Sec-WebSocket-Key/s,
    );
    // Routes that have nothing to do with it answer all the same.
    assert.match(await raw(port, `GET /healthz HTTP/1.1\n${UPGRADE}\n`), /^HTTP\/1\.1 200 /);
  });

  test('leaves alone who offers HTTP/2, also with a body', async (t) => {
    const { port } = await serve(t);
    const offer =
      'Host: 127.0.0.1\nConnection: Upgrade, HTTP2-Settings, close\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n';
    assert.match(await raw(port, `GET /healthz HTTP/1.1\n${offer}\n`), /^HTTP\/1\.1 200 /);
    const body = '{"a":1}';
    const post = `POST /api/x HTTP/1.1\n${offer}Content-Type: application/json\nContent-Length: ${body.length}\n\n${body}`;
    assert.match(await raw(port, post), /^HTTP\/1\.1 404 .*ROUTE_NOT_FOUND/s);
  });

  test('takes as many clients as there may be, whoever comes at once; others are asked to come back', async (t) => {
    const { server, url } = await serve(t);
    const tooMany = 10;
    const asked = await Promise.allSettled(
      Array.from({ length: STREAM_CLIENTS_MAX + tooMany }, () => StreamSocket.open(url)),
    );
    const open = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    assert.equal(open.length, STREAM_CLIENTS_MAX);
    const { status, retryAfter, body } = await refusal(url, '/api/stream');
    assertIs(ErrorSchema, body);
    assert.deepEqual([status, retryAfter, body.code], [503, '1', 'STREAM_FULL']);
    for (const path of ['/api/events', '/api/stream']) {
      const { status, headers } = await fetch(url + path);
      assert.deepEqual([status, headers.get('retry-after')], [503, '1']);
    }
    const stats = server.streamStats();
    assert.deepEqual([stats.clients, stats.clients_refused], [STREAM_CLIENTS_MAX, tooMany + 2]);
    const reply = await (await fetch(`${url}/api/status`)).json();
    assertIs(StatusSchema, reply);
    assert.equal(reply.stream.clients, STREAM_CLIENTS_MAX);
    open[0]!.webSocket.terminate();
    await eventually(
      async () => server.streamStats().clients,
      (clients) => clients < STREAM_CLIENTS_MAX,
    );
    await StreamSocket.open(url);
  });

  test('says that the service is going away, also to who never reads', async (t) => {
    const { rig, server, url, port } = await serve(t);
    const series = rig.addSeries();
    const client = await StreamSocket.open(url);
    client.subscribe();
    const events = await fetch(`${url}/api/events`);
    const request = `GET /api/events HTTP/1.1\nHost: 127.0.0.1\n\n`;
    const sockets = [await deaf(port, request), await deaf(port, `GET /api/stream HTTP/1.1\n${UPGRADE}\n`)];
    await eventually(
      async () => server.streamStats().clients,
      (clients) => clients === 4,
    );
    rig.come(...Array.from({ length: 8000 }, () => sample(series)));
    await client.toldUpTo(8000);
    await server.close();
    assert.equal(await client.closed(), 1001);
    assert.match(await events.text(), /event: samples\n/);
    await eventually(
      async () => server.streamStats().clients,
      (clients) => clients === 0,
    );
    for (const socket of sockets) socket.destroy();
  });
});

interface Event {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: ServerMessage;
}

/** Reads events as the standard says, as they come. */
class EventReader {
  readonly events: Event[] = [];
  readonly #abort = new AbortController();

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const reader = new EventReader();
    const response = await fetch(url, { headers, signal: reader.#abort.signal });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    reader.#read(response.body!).catch(() => {});
    return reader;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    let text = '';
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
    );
    const data = fields.get('data');
    if (data !== undefined)
      this.events.push({ id: fields.get('id'), event: fields.get('event'), data: JSON.parse(data) });
  }

  seqs(): number[] {
    return this.events.flatMap(({ data }) =>
      data.type === 'samples' ? data.samples.map(({ seq }) => seq) : [],
    );
  }

  async told(count: number): Promise<void> {
    await eventually(
      async () => this.seqs(),
      ({ length }) => length >= count,
    );
  }

  close(): void {
    this.#abort.abort();
  }
}

describe('/api/events', () => {
  test('answers HEAD with its head alone, and takes in no client', async (t) => {
    const { server, url } = await serve(t);
    const head = await fetch(`${url}/api/events`, { method: 'HEAD' });
    assert.deepEqual(
      [head.status, head.headers.get('content-type'), await head.text()],
      [200, 'text/event-stream; charset=utf-8', ''],
    );
    assert.equal((await fetch(`${url}/api/events?max_hz=0`, { method: 'HEAD' })).status, 400);
    assert.equal(server.streamStats().clients_accepted, 0);
  });

  test('tells the same as events, and goes on after the last one that was seen', async (t) => {
    const { rig, server, url } = await serve(t);
    const [rpm, brake] = [rig.addSeries(), rig.addSeries({ commandId: 3 })];
    const watcher = await EventReader.open(`${url}/api/events`);
    rig.come(sample(rpm, 1200), sample(brake, 1));
    await watcher.told(2);
    const first = await EventReader.open(`${url}/api/events?signal=MOTORS/*/RPM`);
    await first.told(1);
    rig.come(sample(brake), sample(rpm));
    await first.told(2);
    const [hello, ...rest] = first.events;
    assert.ok(hello?.data.type === 'hello' && hello.event === 'hello' && hello.id === undefined);
    assert.deepEqual(
      rest.map(({ id, event, data }) => [
        id,
        event,
        data.type === 'samples' && { ...data, samples: data.samples.length },
      ]),
      [
        ['2', 'samples', { type: 'samples', cause: 'snapshot', seq: 2, missed: 0, thinned: 0, samples: 1 }],
        ['4', 'samples', { type: 'samples', cause: 'live', seq: 4, missed: 0, thinned: 0, samples: 1 }],
      ],
    );
    first.close();
    rig.come(sample(rpm), sample(rpm), sample(brake));
    const again = await EventReader.open(`${url}/api/events?signal=MOTORS/*/RPM&since=0`, {
      'Last-Event-ID': '4',
    });
    await again.told(2);
    assert.deepEqual(again.seqs(), [5, 6]);
    const both = await EventReader.open(
      `${url}/api/events?signal=motors/0/1&signal=MOTORS/*/BRAKE&since=2&max_hz=1000`,
    );
    await both.told(5);
    assert.deepEqual(both.seqs(), [3, 4, 5, 6, 7]);
    for (const reader of [watcher, again, both]) reader.close();
    await eventually(
      async () => server.streamStats().clients,
      (clients) => clients === 0,
    );
  });

  test('refuses what it does not know, as JSON', async (t) => {
    const { server, url } = await serve(t);
    for (const [query, code, message = /^\S/] of [
      ['signal=MOTORS', 'SIGNAL_INVALID'],
      ['signal=', 'QUERY_INVALID', /^Expected signal to be text of 1 to 120 characters, found ""\.$/],
      ['max_hz=0', 'QUERY_INVALID'],
      ['max_hz=1001', 'QUERY_INVALID'],
      ['since=-1', 'QUERY_INVALID'],
      ['since=yesterday', 'QUERY_INVALID'],
      ['message_type=WISH', 'MESSAGE_TYPE_UNKNOWN'],
      ['id=a', 'QUERY_INVALID'],
      ['encoding=binary', 'QUERY_INVALID'],
    ] as const) {
      const response = await fetch(`${url}/api/events?${query}`);
      const reply = await response.json();
      assertIs(ErrorSchema, reply);
      assert.deepEqual([response.status, reply.code], [400, code], query);
      assert.match(reply.message, message);
    }
    assert.equal(server.streamStats().clients_accepted, 0);
    assert.equal(server.streamStats().selections.used, 0);
  });
});

test('data of a ping may be as large as it is said', async (t) => {
  const { url } = await serve(t);
  const client = await StreamSocket.open(url);
  client.send({ type: 'ping', data: 'x'.repeat(STREAM_PING_BYTES_MAX - 2) });
  client.send({ type: 'ping', data: 'x'.repeat(STREAM_PING_BYTES_MAX - 1) });
  await client.first('error');
  await nextTurn();
  assert.deepEqual(
    client.told.map(({ type }) => type),
    ['hello', 'pong', 'error'],
  );
});
