import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { WebSocket as PackageWebSocket } from 'ws';
import { encodeBinaryMessage, type FakeConnection, fakeStream } from '../../test/support/fake-stream.ts';
import type { SampleReply } from '../api/schemas.ts';
import { CollectorClient, CollectorClientError, type CollectorStream, type StreamOptions } from './index.ts';
import { UPDATES_SAMPLES_MAX } from './limits.ts';
import type { SamplesMessage, SeriesInfo } from './stream-messages.ts';

const SIGNALS = ['MOTORS/*/RPM'];
const SERIES: SeriesInfo = {
  series: 12,
  bus: 'can0',
  node_id: 2,
  message_type: 'STATUS',
  component_type: 'MOTORS',
  component_id: 'MOTOR_LEFT_REAR',
  command_id: 'RPM',
  value_type: 'UINT16',
  unit: 'rpm',
  scale: 1,
  value_names: null,
};

function sample(seq: number): SampleReply {
  const { series: _, scale: __, value_names: ___, ...common } = SERIES;
  return { ...common, seq, timestamp: 1_764_000_000, value: seq, raw_value: seq, value_name: null };
}

function samples(id: string, ...seqs: number[]): SamplesMessage {
  const seq = seqs.at(-1)!;
  return { type: 'samples', id, cause: 'live', seq, missed: 0, thinned: 0, samples: seqs.map(sample) };
}

const subscribed = (id: string, seq: number) =>
  ({ type: 'subscribed', id, ordinal: Number(id), signals: 4, seq }) as const;

interface Opened {
  readonly fake: Awaited<ReturnType<typeof fakeStream>>;
  readonly stream: CollectorStream;
  readonly states: string[];
  /** Resolves when the stream says that it is in this state. */
  until(state: string): Promise<CollectorClientError | null>;
}

async function openStream(t: TestContext, options: StreamOptions & { token?: string } = {}): Promise<Opened> {
  const fake = await fakeStream(t);
  const stream = new CollectorClient({ url: fake.url, token: options.token }).stream(options);
  t.after(() => stream.close());
  const states: string[] = [stream.state];
  stream.onState((state) => states.push(state));
  return {
    fake,
    stream,
    states,
    until: (wanted) =>
      new Promise((resolve) => {
        const stop = stream.onState((state, problem) => {
          if (state !== wanted) return;
          stop();
          resolve(problem);
        });
      }),
  };
}

/** Takes a subscription that is asked for, and gives the request. */
async function accept(connection: FakeConnection, seq: number) {
  const message = await connection.message();
  assert.equal(message.type, 'subscribe');
  connection.send(subscribed(message.id, seq));
  return message;
}

/** What a callback is called with, for one who waits for it. */
function collector<T>() {
  const all: T[] = [];
  let wake = () => {};
  return {
    all,
    add: (value: T) => {
      all.push(value);
      wake();
    },
    async until(count: number): Promise<T[]> {
      while (all.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return all;
    },
  };
}

describe('a stream', () => {
  test('says who asks by subprotocols, subscribes when it is open, and unsubscribes', async (t) => {
    const { fake, stream, states } = await openStream(t, { token: 'secret' });
    const seen = collector<[number[], object]>();
    const subscription = stream.subscribe(
      { signals: SIGNALS, maxHz: 10, snapshot: false, messageType: 'STATUS', bus: 'can0' },
      (all, update) => seen.add([all.map(({ seq }) => seq), update]),
    );
    assert.deepEqual([subscription.seq, subscription.signals, stream.hello], [null, null, null]);

    const connection = await fake.connection();
    const [request] = fake.attempts;
    assert.equal(request?.url, '/api/stream?encoding=json');
    assert.deepEqual(request.headers['sec-websocket-protocol']?.split(/, ?/), [
      'collector.v1',
      'bearer.secret',
    ]);
    connection.hello(1042);
    assert.deepEqual(await accept(connection, 1042), {
      type: 'subscribe',
      id: '1',
      signals: SIGNALS,
      max_hz: 10,
      snapshot: false,
      message_type: 'STATUS',
      bus: 'can0',
    });
    connection.send({ ...samples('1', 1043, 1050), cause: 'snapshot', missed: 2, thinned: 3 });
    assert.deepEqual(await seen.until(1), [
      [[1043, 1050], { cause: 'snapshot', seq: 1050, missed: 2, thinned: 3 }],
    ]);
    assert.deepEqual([subscription.seq, subscription.signals, stream.hello?.seq], [1050, 4, 1042]);

    subscription.unsubscribe();
    assert.deepEqual(await connection.message(), { type: 'unsubscribe', id: '1' });
    // What was on the way comes to nobody.
    const other = stream.subscribe({ signals: ['**'] }, (all) => seen.add([all.map(({ seq }) => seq), {}]));
    assert.equal((await accept(connection, 1052)).id, '2');
    connection.send(samples('1', 1051), samples('2', 1053));
    assert.deepEqual((await seen.until(2))[1], [[1053], {}]);
    other.unsubscribe();
    stream.close();
    assert.deepEqual(states, ['connecting', 'open', 'closed']);
    await connection.closed;
  });

  test('goes on from the last heartbeat, where nothing came before it', async (t) => {
    const { fake, stream } = await openStream(t);
    const seen = collector<number>();
    const heard = stream.subscribe({ signals: ['**'] }, (some) => seen.add(some.at(-1)!.seq));
    const quiet = stream.subscribe({ signals: SIGNALS }, () => {});
    const pending = stream.subscribe({ signals: SIGNALS }, () => {});
    const first = await fake.connection();
    const heartbeat = (seq: number) => first.send({ type: 'heartbeat', timestamp: 1_764_000_000, seq });
    first.hello();
    await accept(first, 80);
    await first.message();
    // Ahead of "subscribed" it isn't about a subscription, and behind what is known it says nothing new.
    heartbeat(90);
    first.send(subscribed('2', 100));
    heartbeat(99);
    first.send(samples('1', 101));
    await seen.until(1);
    assert.deepEqual([heard.seq, quiet.seq, pending.seq], [101, 100, null]);
    heartbeat(150);
    first.send(samples('1', 151));
    await seen.until(2);
    assert.deepEqual([heard.seq, quiet.seq, pending.seq], [151, 150, null]);
    first.cut();
    const second = await fake.connection();
    second.hello();
    const requests = [await second.message(), await second.message()];
    assert.deepEqual(
      requests.map((request) => 'since' in request && request.since),
      [151, 150],
    );
  });

  test('makes a lost connection anew, and goes on where each subscription was', async (t) => {
    const { fake, stream, states, until } = await openStream(t);
    const gaps: object[] = [];
    const seen = collector<number>();
    const all = stream.subscribe({ signals: ['**'] }, (some) => seen.add(some.at(-1)!.seq), {
      onGap: (gap) => gaps.push(gap),
    });
    stream.subscribe({ signals: SIGNALS, since: 7 }, () => {});
    stream.subscribe({ signals: SIGNALS, maxHz: 1, since: 7 }, () => {});
    stream.subscribe({ signals: SIGNALS, maxHz: 1, resume: true }, () => {});

    const requests = async (connection: FakeConnection) => {
      const found = [];
      for (let each = 0; each < 4; each++) found.push(await accept(connection, 100));
      return found.map((message) => ('since' in message ? message.since : null));
    };
    const first = await fake.connection();
    first.hello();
    assert.deepEqual(await requests(first), [null, 7, 7, null]);
    first.send(samples('1', 101));
    await seen.until(1);
    const lost = until('waiting');
    first.cut();
    assert.match((await lost)!.message, /^The stream was closed \(code 1006\)/);
    assert.equal(stream.problem?.code, 'STREAM_CLOSED');
    assert.equal(stream.hello, null);

    const second = await fake.connection();
    second.hello();
    // The one of every sample goes on after its last, or after what it was accepted at, or where it was told to.
    assert.deepEqual(await requests(second), [101, 7, null, 100]);
    second.send({ type: 'gap', id: '1', from_seq: 102, to_seq: 200, reason: 'too_many' }, samples('1', 201));
    await seen.until(2);
    assert.deepEqual(gaps, [{ from_seq: 102, to_seq: 200, reason: 'too_many' }]);
    assert.equal(all.seq, 201);
    second.send({ type: 'gap', id: '1', from_seq: 202, to_seq: 300, reason: 'not_stored' });
    second.close(1013, 'too slow');
    const third = await fake.connection();
    assert.match(stream.problem!.message, /code 1013.*: too slow\.$/);
    third.hello();
    assert.deepEqual(await requests(third), [300, 7, null, 100]);
    assert.deepEqual(states, [
      'connecting',
      'open',
      'waiting',
      'connecting',
      'open',
      'waiting',
      'connecting',
      'open',
    ]);
  });

  test('begins anew where the service has another history, and goes on from there', async (t) => {
    const { fake, stream } = await openStream(t);
    stream.subscribe({ signals: SIGNALS, since: 1000 }, () => {});
    const sinces = [];
    for (const newest of [5, 5000]) {
      const connection = await fake.connection();
      connection.hello(newest);
      const message = await accept(connection, newest);
      sinces.push('since' in message && message.since);
      connection.cut();
    }
    assert.deepEqual(sinces, [1000, 5]);
  });

  test('gives up a connection on which nothing comes for two heartbeats, and keeps one on which they do', async (t) => {
    const { fake, stream, until } = await openStream(t);
    const lost = until('waiting');
    const first = await fake.connection();
    first.hello(0, 0.05);
    assert.equal((await lost)?.code, 'STREAM_SILENT');
    const second = await fake.connection();
    second.hello(0, 0.5);
    for (let beat = 0; beat < 12; beat++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      second.send({ type: 'heartbeat', timestamp: 0, seq: 0 });
    }
    assert.equal(stream.state, 'open');
    assert.equal(fake.attempts.length, 2);
  });

  test('gives up a connection on which no hello comes', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { fake, until } = await openStream(t);
    await fake.connection();
    const lost = until('waiting');
    t.mock.timers.tick(10_000);
    assert.equal((await lost)?.code, 'STREAM_SILENT');
  });

  test('says in the words of the service why it is refused, and tries again at once when the network is back', async (t) => {
    const network = new EventTarget();
    const events = {
      addEventListener: network.addEventListener.bind(network),
      removeEventListener: t.mock.fn(),
    };
    Object.assign(globalThis, events);
    t.after(() => {
      for (const name of Object.keys(events)) Reflect.deleteProperty(globalThis, name);
    });
    const fake = await fakeStream(t);
    fake.refusal = { statusCode: 403, code: 'SCOPE_MISSING' };
    const stream = new CollectorClient({ url: fake.url, token: 'wrong' }).stream();
    t.after(() => stream.close());
    const problem = await new Promise<CollectorClientError | null>((resolve) => {
      stream.onState((_, why) => resolve(why));
    });
    assert.equal(stream.state, 'waiting');
    assert.deepEqual([problem?.statusCode, problem?.code], [403, 'SCOPE_MISSING']);
    assert.equal(problem?.message, 'It is SCOPE_MISSING.');
    assert.equal(fake.attempts.length, 1);

    // Otherwise it would be in 15 s.
    fake.refusal = null;
    network.dispatchEvent(new Event('online'));
    (await fake.connection()).hello();
    stream.close();
    assert.equal(events.removeEventListener.mock.calls[0]?.arguments[0], 'online');
  });

  test('gives up a connection that says what it does not understand', async (t) => {
    const { fake, stream } = await openStream(t, { encoding: 'binary' });
    const bytes = encodeBinaryMessage({ cause: 2, ordinal: 1, seq: 1 }, [
      { timestampUs: 1, rawValue: 1, seq: 1, series: 99 },
    ]);
    for (const nonsense of ['{', 'null', '{"type":"hello"}', bytes, new Uint8Array(3)]) {
      const connection = await fake.connection();
      connection.hello();
      connection.send(nonsense);
      await connection.closed;
      assert.equal(stream.problem?.code, 'REPLY_INVALID');
    }
  });

  test('of binary encoding gives columns, and the same samples as one of JSON', async (t) => {
    const { fake, stream } = await openStream(t, { encoding: 'binary' });
    const columns = collector<[number, number | undefined]>();
    const seen = collector<[SampleReply[], object]>();
    stream.subscribeColumns({ signals: SIGNALS }, ({ count, rawValues }) =>
      columns.add([count, rawValues[1]]),
    );
    stream.subscribe({ signals: SIGNALS }, (all, update) => seen.add([all, update]));
    const connection = await fake.connection();
    assert.equal(fake.attempts[0]?.url, '/api/stream?encoding=binary');
    connection.hello();
    for (const ordinal of [5, 6]) {
      const message = await connection.message();
      assert.equal(message.type, 'subscribe');
      connection.send({ ...subscribed(message.id, 0), ordinal });
    }
    const two = [1042, 1043].map((seq) => ({
      timestampUs: 1_764_000_000_000_000,
      rawValue: seq,
      seq,
      series: 12,
    }));
    connection.send(
      { type: 'series', series: [SERIES] },
      encodeBinaryMessage({ cause: 2, ordinal: 5, seq: 1043 }, two),
      encodeBinaryMessage({ cause: 1, ordinal: 6, missed: 1, thinned: 2, seq: 1043 }, two),
    );
    assert.deepEqual(await columns.until(1), [[2, 1043]]);
    assert.deepEqual(await seen.until(1), [
      [[sample(1042), sample(1043)], { cause: 'resume', seq: 1043, missed: 1, thinned: 2 }],
    ]);
    const { stream: json } = await openStream(t);
    assert.throws(() => json.subscribeColumns({ signals: SIGNALS }, () => {}), /encoding: 'binary'/);
  });

  test('goes on where a listener throws: that is an error of nobody here', async (t) => {
    const uncaught = collector<unknown>();
    t.mock.method(globalThis, 'queueMicrotask', (throwing: () => void) => {
      try {
        throwing();
      } catch (error) {
        uncaught.add(error);
      }
    });
    const { fake, stream } = await openStream(t);
    const fault = new Error('a fault of the listener');
    stream.onState(() => {
      throw fault;
    });
    const seen = collector<number>();
    stream.subscribe({ signals: SIGNALS }, ([first]) => {
      seen.add(first!.seq);
      throw fault;
    });
    const connection = await fake.connection();
    connection.hello();
    await accept(connection, 0);
    connection.send(samples('1', 1), samples('1', 2));
    await seen.until(2);
    assert.equal(stream.state, 'open');
    assert.deepEqual(await uncaught.until(3), [fault, fault, fault]);

    // A refusal that nobody listens for isn't lost either.
    stream.subscribe({ signals: ['?'] }, () => {});
    const { id } = (await connection.message()) as { id: string };
    connection.send({ type: 'error', id, code: 'SIGNAL_INVALID', message: 'No.' });
    const [, , , refusal] = await uncaught.until(4);
    assert.ok(refusal instanceof CollectorClientError && refusal.code === 'SIGNAL_INVALID');
  });

  test('works with the WebSocket of the package ws, and says so where there is none', async (t) => {
    const fake = await fakeStream(t);
    const client = new CollectorClient({ url: fake.url, WebSocket: PackageWebSocket });
    const stream = client.stream({ encoding: 'binary' });
    t.after(() => stream.close());
    const seen = collector<number>();
    stream.subscribe({ signals: SIGNALS }, ([first]) => seen.add(first!.seq));
    const connection = await fake.connection();
    connection.hello();
    const { id } = (await connection.message()) as { id: string };
    connection.send(
      { ...subscribed(id, 0), ordinal: 1 },
      { type: 'series', series: [SERIES] },
      encodeBinaryMessage({ cause: 2, ordinal: 1, seq: 5 }, [
        { timestampUs: 1, rawValue: 1, seq: 5, series: 12 },
      ]),
    );
    assert.deepEqual(await seen.until(1), [5]);
    fake.refusal = { statusCode: 503, code: 'STREAM_CLIENTS' };
    const problem = new Promise<CollectorClientError | null>((resolve) => {
      stream.onState((_, why) => why?.statusCode === 503 && resolve(why));
    });
    connection.cut();
    assert.equal((await problem)?.code, 'STREAM_CLIENTS');

    const { WebSocket } = globalThis;
    t.after(() => Object.assign(globalThis, { WebSocket }));
    Reflect.deleteProperty(globalThis, 'WebSocket');
    assert.throws(() => new CollectorClient({ url: fake.url }).stream(), /package ws/);
  });

  test('is closed by a signal, and a subscription is ended by its own', async (t) => {
    const whole = new AbortController();
    const one = new AbortController();
    const { fake, stream } = await openStream(t, { signal: whole.signal });
    stream.subscribe({ signals: SIGNALS }, () => {}, { signal: one.signal });
    const connection = await fake.connection();
    connection.hello();
    await accept(connection, 0);
    one.abort();
    assert.deepEqual(await connection.message(), { type: 'unsubscribe', id: '1' });
    whole.abort();
    assert.equal(stream.state, 'closed');
    await connection.closed;
    assert.throws(() => stream.subscribe({ signals: SIGNALS }, () => {}), /closed/);
    const { signal } = whole;
    assert.throws(() => new CollectorClient({ url: fake.url }).stream({ signal }), { name: 'AbortError' });
    assert.equal(fake.attempts.length, 1);
  });

  test('that is closed while it waits or connects makes no further attempt', async (t) => {
    const { fake, stream, until } = await openStream(t);
    const lost = until('waiting');
    const connection = await fake.connection();
    connection.hello();
    connection.cut();
    await lost;
    stream.close();
    const other = await openStream(t);
    other.stream.close();
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(fake.attempts.length, 1);
    assert.ok(other.fake.attempts.length <= 1);
    assert.deepEqual(other.states, ['connecting', 'closed']);
  });
});

describe('a loop over updates', () => {
  test('takes what comes, until the stream is closed', async (t) => {
    const { fake, stream } = await openStream(t);
    const seqs: number[] = [];
    const loop = (async () => {
      for await (const update of stream.updates({ signals: SIGNALS })) {
        seqs.push(...update.samples.map(({ seq }) => seq));
        if (update.seq === 4) stream.close();
      }
    })();
    const connection = await fake.connection();
    connection.hello();
    await accept(connection, 0);
    connection.send(samples('1', 1, 2), samples('1', 3), samples('1', 4));
    await loop;
    assert.deepEqual(seqs, [1, 2, 3, 4]);
  });

  test('that is left ends the subscription; the reason of a signal is thrown, and so is a refusal', async (t) => {
    const reason = new Error('enough');
    const whole = new AbortController();
    const { fake, stream } = await openStream(t, { signal: whole.signal });
    const connection = await fake.connection();
    connection.hello();
    for (const [id, end, error] of [
      ['1', 'break', null],
      ['2', 'abort', reason],
      ['3', 'refuse', { name: 'CollectorClientError', code: 'SIGNAL_INVALID' }],
      ['4', 'abort all', reason],
    ] as const) {
      const ending = new AbortController();
      const updates = stream.updates({ signals: SIGNALS }, { signal: ending.signal });
      const loop = (async () => {
        for await (const _ of updates) {
          if (end === 'break') break;
        }
      })();
      const message = await connection.message();
      assert.deepEqual([message.type, 'id' in message && message.id], ['subscribe', id]);
      if (end === 'refuse') {
        connection.send({ type: 'error', id, code: 'SIGNAL_INVALID', message: 'No.' });
      } else {
        connection.send(subscribed(id, 0), samples(id, 1));
      }
      if (end === 'abort all') whole.abort(reason);
      if (end === 'abort') ending.abort(reason);
      if (error === null) await loop;
      else await assert.rejects(loop, error);
      if (end !== 'refuse' && end !== 'abort all') {
        assert.deepEqual(await connection.message(), { type: 'unsubscribe', id });
      }
    }
  });

  test('that is slow finds a bounded number waiting, and then what came after them', async (t) => {
    const { fake, stream } = await openStream(t);
    const updates = stream.updates({ signals: SIGNALS });
    const firstUpdate = updates.next();
    const connection = await fake.connection();
    connection.hello();
    await accept(connection, 0);
    connection.send(samples('1', 1));
    assert.equal((await firstUpdate).value?.seq, 1);

    const half = UPDATES_SAMPLES_MAX / 2;
    const run = (from: number) => samples('1', ...Array.from({ length: half }, (_, place) => from + place));
    connection.send(run(2), run(2 + half), run(2 + 2 * half));
    // It is given up for a while: what else is on the way is passed over.
    assert.deepEqual(await connection.message(), { type: 'unsubscribe', id: '1' });
    assert.equal((await updates.next()).value?.seq, 1 + half);
    assert.equal((await updates.next()).value?.seq, 1 + 2 * half);
    const next = updates.next();
    const again = await connection.message();
    assert.deepEqual(again, { type: 'subscribe', id: '1', signals: SIGNALS, since: 1 + 2 * half });
    connection.send(samples('1', 9), subscribed('1', 1 + 3 * half), run(2 + 2 * half));
    const { value } = await next;
    assert.deepEqual([value?.samples[0]?.seq, value?.seq], [2 + 2 * half, 1 + 3 * half]);
  });
});
