import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM_CLIENT_BYTES_MAX } from '../src/shared/limits.ts';
import { randomNumbers } from './support/random.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { StreamSocket } from './support/stream-socket.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

async function start(t: TestContext, cwd: string): Promise<Service> {
  const service = await startService({
    cwd,
    args: ['--db', 'collector.db', '--port', '0', '--flush-interval', '100ms', '--bus', 'sim:kart'],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

/** The numbers of all samples that the history has after one. */
async function seqsAfter(service: Service, after: number): Promise<number[]> {
  const seqs: number[] = [];
  for (let cursor = after; ; ) {
    const page = await service.history(`order=asc&limit=10000&cursor=${cursor}`);
    if (page.length === 0) return seqs;
    for (const { seq } of page) seqs.push(seq);
    cursor = seqs.at(-1)!;
  }
}

/** Somebody who follows everything, whatever becomes of the connection. */
class Follower {
  readonly told: number[] = [];
  readonly #query: string;
  #seq: number;
  #socket: StreamSocket | null = null;

  constructor(since: number, query: string) {
    this.#seq = since;
    this.#query = query;
  }

  async connect({ url }: Service): Promise<void> {
    this.#socket ??= await StreamSocket.open(url, this.#query);
    this.#socket.subscribe({ since: this.#seq });
  }

  /** Cuts the connection, as a network does: without a word. */
  cut(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.webSocket.terminate();
    for (const { seq, samples, missed } of socket.messages()) {
      assert.equal(missed, 0);
      for (const sample of samples) this.told.push(sample.seq);
      this.#seq = seq;
    }
    assert.deepEqual(
      socket.told.filter(({ type }) => type === 'gap' || type === 'error'),
      [],
    );
  }

  async toldUpTo(seq: number): Promise<void> {
    if (this.#seq < seq) await this.#socket?.toldUpTo(seq);
  }
}

/** A client of the stream that subscribes to everything, many times, and never reads. */
async function deafClient({ url }: Service): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(
    'GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await once(socket, 'data');
  socket.pause();
  for (let at = 0; at < 64; at++) {
    const text = JSON.stringify({ type: 'subscribe', id: String(at), signals: ['**'] });
    // Masked by zeros, as a client's frames have to be.
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
  }
  return socket;
}

describe('the live stream of a service', { concurrency: 2 }, () => {
  test('has for who comes and goes each sample of the history once, also over a kill of the service', async (t) => {
    const cwd = temporaryDirectory(t);
    const random = randomNumbers(7);
    let service = await start(t, cwd);
    const { seq: since } = await (await StreamSocket.open(service.url)).first('hello');
    const followers = ['', '?encoding=binary', ''].map((query) => new Follower(since, query));
    async function comeAndGo(): Promise<void> {
      for (let round = 0; round < 25; round++) {
        const follower = followers[random(followers.length)]!;
        follower.cut();
        await sleep(random(120));
        await follower.connect(service);
        await sleep(random(60));
      }
    }
    await comeAndGo();
    await service.stop('SIGKILL');
    for (const follower of followers) follower.cut();
    service = await start(t, cwd);
    await comeAndGo();
    const { seq: until } = await (await StreamSocket.open(service.url)).first('hello');
    for (const follower of followers) {
      follower.cut();
      await follower.connect(service);
      await follower.toldUpTo(until);
      follower.cut();
    }
    const stored = (await seqsAfter(service, since)).filter((seq) => seq <= until);
    assert.ok(stored.length > 200, String(stored.length));
    const isStored = new Set(stored);
    for (const { told } of followers) {
      assert.equal(new Set(told).size, told.length, 'none twice');
      const toldUntil = told.filter((seq) => seq <= until);
      // What was told and then lost by the kill isn't stored; all else is.
      assert.deepEqual(
        toldUntil.filter((seq) => isStored.has(seq)),
        stored,
      );
      const lost = toldUntil.filter((seq) => !isStored.has(seq));
      assert.ok(
        lost.every((seq, at) => seq === lost[0]! + at),
        'lost at one time',
      );
    }
    const { stream } = await service.status();
    assert.ok(stream.samples_resumed > 0);
    assert.deepEqual([stream.gaps, stream.samples_missed], [0, 0]);
  });

  test('closes who never reads, holding little for it, while others and the history get everything', async (t) => {
    const service = await start(t, temporaryDirectory(t));
    const follower = await StreamSocket.open(service.url);
    follower.subscribe({ snapshot: false });
    const deaf = await deafClient(service);
    t.after(() => deaf.destroy());
    const behind = await eventually(service.status, ({ stream }) => stream.clients_behind === 1);
    assert.ok(behind.stream.bytes_waiting > STREAM_CLIENT_BYTES_MAX);
    assert.ok(behind.stream.bytes_waiting < 2 * STREAM_CLIENT_BYTES_MAX, String(behind.stream.bytes_waiting));
    const { stream, history } = await eventually(
      service.status,
      ({ stream }) => stream.clients_stalled === 1,
    );
    assert.deepEqual(history.samples_lost, { queue: 0, write: 0 });
    await eventually(service.status, ({ stream }) => stream.clients === 1);
    assert.ok(stream.bytes_waiting < 2 * STREAM_CLIENT_BYTES_MAX);
    const told = follower.seqs();
    const stored = await seqsAfter(service, told[0]! - 1);
    assert.deepEqual(told, stored.slice(0, told.length));
    assert.ok(follower.messages().every(({ missed }) => missed === 0));
  });

  test('ends with the service, which waits for nobody who never reads', async (t) => {
    const service = await start(t, temporaryDirectory(t));
    const client = await StreamSocket.open(service.url);
    client.subscribe();
    await client.first('samples');
    const deaf = await deafClient(service);
    t.after(() => deaf.destroy());
    const events = await fetch(`${service.url}/api/events?signal=MOTORS/**&max_hz=20`);
    await eventually(service.status, ({ stream }) => stream.clients_behind === 1 && stream.clients === 3);
    const { code } = await service.stop();
    assert.equal(code, 0, service.output());
    assert.equal(await client.closed(), 1001);
    assert.match(await events.text(), /^retry: \d+\n\nevent: hello\ndata: .*\n\nid: \d+\nevent: samples\n/);
  });
});
