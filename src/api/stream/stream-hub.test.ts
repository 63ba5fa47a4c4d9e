import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { PlainSample } from '../../../test/support/samples.ts';
import { type RigClient, StreamRig } from '../../../test/support/stream-rig.ts';
import { MESSAGE_TYPE } from '../../protocol/kart-codec.ts';
import {
  STREAM_CLIENT_BYTES_MAX,
  STREAM_CLIENTS_MAX,
  STREAM_HEARTBEAT_MS,
  STREAM_MESSAGE_SAMPLES_MAX,
  STREAM_SELECTIONS_MAX,
  STREAM_SILENCE_MAX_MS,
  STREAM_STALLED_MS,
  STREAM_SUBSCRIPTIONS_MAX,
  STREAM_TURN_MS,
  STREAM_WATCH_MS,
} from '../../shared/limits.ts';
import type { HistorySource } from '../sources.ts';

const FIRST_US = 1_764_000_000_000_000;
let lastUs = FIRST_US;

function sample(series: number, rawValue = 0): PlainSample {
  lastUs += 250;
  return { series, rawValue, timestampUs: lastUs };
}

/** A rig whose clients are gone after the test. */
function rigOf(t: TestContext, options: ConstructorParameters<typeof StreamRig>[0] = {}): StreamRig {
  const rig = new StreamRig(options);
  const connect = rig.connect.bind(rig);
  const clients: RigClient[] = [];
  rig.connect = (encoding) => {
    const client = connect(encoding);
    clients.push(client);
    return client;
  };
  t.after(() => {
    for (const { client } of clients) rig.hub.disconnect(client);
  });
  return rig;
}

/** Waits until the hub has looked at its clients. */
const watched = () => new Promise((resolve) => setTimeout(resolve, STREAM_WATCH_MS + 100));

test('a client is greeted, and told what there is when it subscribes', async (t) => {
  const rig = rigOf(t, { firstSeq: 41 });
  const [rpm, brake] = [rig.addSeries(), rig.addSeries({ commandId: 3 })];
  rig.come(sample(rpm, 1200), sample(rpm, 1300));
  const client = rig.connect();
  const [hello] = client.told;
  assert.ok(hello?.type === 'hello');
  assert.match(hello.run, /^[0-9a-f-]{36}$/);
  assert.deepEqual(
    { ...hello, run: '' },
    {
      type: 'hello',
      version: '1.2.3',
      encoding: 'json',
      simulated: false,
      run: '',
      seq: 42,
      heartbeat_s: 5,
    },
  );
  client.subscribe({ id: 'rpm', patterns: ['MOTORS/**'] });
  assert.deepEqual(client.told.slice(1), [
    { type: 'subscribed', id: 'rpm', ordinal: 0, signals: 1, seq: 42 },
  ]);
  await rig.settle();
  const { samples, ...head } = client.messages('rpm')[0]!;
  assert.deepEqual(head, { type: 'samples', id: 'rpm', cause: 'snapshot', seq: 42, missed: 0, thinned: 0 });
  assert.deepEqual(
    samples.map(({ seq, command_id, value, unit, bus }) => [seq, command_id, value, unit, bus]),
    [[42, 'RPM', 1300, 'rpm', 'can0']],
  );
  // A signal that wasn't heard before joins by itself.
  rig.come(sample(brake, 1));
  await rig.settle();
  assert.deepEqual(client.seqs('rpm'), [42, 43]);
  assert.equal(client.messages('rpm')[1]!.samples[0]!.value_name, 'BRAKE_ON');
});

test('without max_hz every sample comes, of every message type, in its order', async (t) => {
  const rig = rigOf(t);
  const status = rig.addSeries();
  const command = rig.addSeries({ messageType: MESSAGE_TYPE.COMMAND });
  const other = rig.addSeries({ componentType: 0 });
  const client = rig.connect();
  client.subscribe({ patterns: ['motors/*/1'] });
  client.subscribe({ id: 'status', messageType: MESSAGE_TYPE.STATUS });
  client.subscribe({ id: 'can1', bus: 'can1' });
  rig.come(sample(status), sample(other), sample(command), sample(status));
  await rig.settle();
  const late = rig.addSeries({ bus: 'can1' });
  rig.come(sample(late), sample(other), sample(status));
  await rig.settle();
  assert.deepEqual(client.seqs(), [1, 3, 4, 5, 7]);
  assert.deepEqual(client.seqs('status'), [1, 2, 4, 5, 6, 7]);
  assert.deepEqual(client.seqs('can1'), [5]);
  for (const { cause, missed, thinned } of client.messages()) {
    assert.deepEqual([cause, missed, thinned], ['live', 0, 0]);
  }
  assert.deepEqual(
    client.messages().map(({ seq }) => seq),
    [4, 7],
  );
  client.client.receive('{"type":"unsubscribe","id":"a"}');
  assert.deepEqual(client.told.at(-1), { type: 'unsubscribed', id: 'a' });
  rig.come(sample(status));
  await rig.settle();
  assert.deepEqual(client.seqs(), [1, 3, 4, 5, 7]);
  assert.equal(client.seqs('status').at(-1), 8);
});

test('with max_hz the latest of what the state shows comes so often at most, and what is left out is counted', async (t) => {
  const rig = rigOf(t);
  const status = rig.addSeries();
  const command = rig.addSeries({ messageType: MESSAGE_TYPE.COMMAND });
  const asked = rig.addSeries({ commandId: 2, messageType: MESSAGE_TYPE.COMMAND });
  const client = rig.connect();
  client.subscribe({ maxHz: 10, snapshot: false });
  rig.come(sample(status, 1), sample(command, 9), sample(asked, 2), sample(status, 3));
  await rig.settle();
  const values = () =>
    client.messages().map(({ samples, thinned }) => [samples.map(({ raw_value }) => raw_value), thinned]);
  assert.deepEqual(values(), [[[3, 2], 1]]);
  rig.come(sample(status, 4));
  rig.come(sample(status, 5), sample(command, 9));
  await rig.settle();
  await rig.pass(99);
  assert.equal(values().length, 1);
  await rig.pass(1);
  assert.deepEqual(values()[1], [[5], 1]);
  // After a pause the next goes at once.
  await rig.pass(1000);
  rig.come(sample(asked, 6));
  await rig.settle();
  assert.deepEqual(values()[2], [[6], 0]);
  assert.ok(client.messages().every(({ missed, cause }) => missed === 0 && cause === 'live'));
});

test('what is due is told although nothing comes any more', async () => {
  const rig = new StreamRig();
  const series = rig.addSeries();
  const client = rig.connect();
  client.subscribe({ maxHz: 1000, snapshot: false });
  rig.come(sample(series));
  await rig.settle();
  rig.come(sample(series));
  await rig.settle();
  assert.deepEqual(client.seqs(), [1]);
  // Nobody wakes the hub but its own timer.
  rig.nowMs++;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(client.seqs(), [1, 2]);
  rig.hub.disconnect(client.client);
});

test('what many clients get is written once', async (t) => {
  const rig = rigOf(t);
  const series = rig.addSeries();
  const bodies = new Set<Uint8Array>();
  const clients = Array.from({ length: 5 }, (_, at) => {
    const client = rig.connect();
    const samples = client.samples.bind(client);
    client.samples = (name, head, body) => {
      bodies.add(body.json());
      return samples(name, head, body);
    };
    client.subscribe({ id: `own ${at}`, snapshot: false, maxHz: 20 });
    return client;
  });
  rig.come(sample(series));
  await rig.settle();
  assert.deepEqual(
    clients.map((client, at) => client.seqs(`own ${at}`)),
    clients.map(() => [1]),
  );
  assert.equal(bodies.size, 1);
  assert.equal(rig.hub.stats().selections.used, 1);
});

test('a client that is behind is written nothing; then it gets the latest, and is told how many it missed', async (t) => {
  const rig = rigOf(t);
  const [one, two, three] = [
    rig.addSeries(),
    rig.addSeries({ commandId: 2 }),
    rig.addSeries({ commandId: 3 }),
  ];
  const [slow, other] = [rig.connect(), rig.connect()];
  for (const client of [slow, other]) {
    client.subscribe({ snapshot: false });
    client.subscribe({ id: 'thin', maxHz: 1000, snapshot: false });
  }
  rig.come(sample(one), sample(two), sample(three));
  await rig.settle();
  for (const id of ['a', 'thin']) assert.deepEqual(slow.seqs(id), [1, 2, 3]);
  slow.isStuck = true;
  slow.unsentBytes = STREAM_CLIENT_BYTES_MAX + 1;
  for (let round = 0; round < 4; round++) {
    rig.come(sample(one, round), sample(two, round));
    await rig.pass(1);
  }
  assert.deepEqual(slow.seqs(), [1, 2, 3]);
  assert.deepEqual(other.seqs(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(rig.hub.stats().clients_behind, 1);
  // What waits must have gone down far enough.
  slow.unsentBytes = STREAM_CLIENT_BYTES_MAX - 1;
  await rig.pass(1);
  assert.deepEqual(slow.seqs(), [1, 2, 3]);
  slow.drain();
  await rig.settle();
  const caughtUp = slow.messages().at(-1)!;
  assert.deepEqual(
    [caughtUp.samples.map(({ seq }) => seq), caughtUp.missed, caughtUp.thinned, caughtUp.seq],
    [[10, 11], 6, 0, 11],
  );
  const thin = slow.messages('thin').at(-1)!;
  assert.deepEqual([thin.samples.map(({ seq }) => seq), thin.missed], [[10, 11], 6]);
  rig.come(sample(three));
  await rig.pass(1);
  assert.deepEqual(slow.seqs().slice(-1), [12]);
  assert.deepEqual(slow.seqs('thin').slice(-1), [12]);
  assert.equal(slow.messages().at(-1)!.missed, 0);
  assert.equal(rig.hub.stats().samples_missed, 12);
  assert.equal(rig.hub.stats().clients_behind, 0);
});

test('a client that takes nothing for too long is closed, with little in memory, and nobody else', async (t) => {
  const rig = rigOf(t);
  const series = Array.from({ length: 50 }, (_, commandId) => rig.addSeries({ commandId }));
  const [stuck, other] = [rig.connect(), rig.connect()];
  for (const client of [stuck, other]) {
    client.subscribe();
    client.subscribe({ id: 'thin', maxHz: 1000 });
  }
  stuck.isStuck = true;
  for (let round = 0; round < 200; round++) {
    rig.come(...series.map((one) => sample(one, round)));
    await rig.pass(1);
  }
  const message = STREAM_MESSAGE_SAMPLES_MAX * 350;
  assert.ok(stuck.unsentBytes > STREAM_CLIENT_BYTES_MAX);
  assert.ok(stuck.unsentBytes < STREAM_CLIENT_BYTES_MAX + message, String(stuck.unsentBytes));
  assert.equal(other.seqs().length, 200 * series.length);
  rig.nowMs += STREAM_STALLED_MS - 300;
  await watched();
  assert.deepEqual([stuck.closed, rig.hub.stats().clients_stalled], [null, 0]);
  rig.nowMs += 300;
  await watched();
  assert.deepEqual([stuck.closed, other.closed], [1013, null]);
  assert.equal(rig.hub.stats().clients_stalled, 1);
});

test('a client is not blamed for the time in which this thread stood still', async (t) => {
  const rig = rigOf(t);
  const series = rig.addSeries();
  const stuck = rig.connect();
  stuck.subscribe();
  stuck.isStuck = true;
  stuck.unsentBytes = STREAM_CLIENT_BYTES_MAX + 1;
  rig.come(sample(series));
  await rig.settle();
  rig.nowMs += STREAM_STALLED_MS + STREAM_WATCH_MS;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4 * STREAM_WATCH_MS);
  await watched();
  assert.equal(stuck.closed, null);
  rig.nowMs += 4 * STREAM_WATCH_MS;
  await watched();
  assert.equal(stuck.closed, 1013);
});

test('a turn ends when its time is over; what is left is told in the next ones, also while samples come', async (t) => {
  const rig = rigOf(t);
  rig.msPerLook = STREAM_TURN_MS;
  const count = 2 * STREAM_MESSAGE_SAMPLES_MAX + 20;
  const series = Array.from({ length: count }, (_, at) =>
    rig.addSeries({ componentType: 6, componentId: at >> 8, commandId: at & 255 }),
  );
  rig.come(...series.map((one) => sample(one)));
  const clients = [rig.connect(), rig.connect('binary')];
  for (const client of clients) {
    client.subscribe();
    client.subscribe({ id: 'last', patterns: ['6/0/0'], snapshot: false });
  }
  const told = () => clients.reduce((sum, client) => sum + client.messages().length, 0);
  let turns = 0;
  for (; turns < 100 && clients.some((client) => client.seqs().length < count); turns++) {
    const before = told();
    rig.come(sample(series[0]!, turns));
    await nextTurn();
    // What one channel tells its two members, and one message besides.
    assert.ok(told() <= before + 3);
  }
  assert.ok(turns >= 6, String(turns));
  rig.msPerLook = 0;
  rig.hub.wake();
  await rig.settle();
  for (const client of clients) {
    assert.deepEqual(
      client.seqs('last'),
      Array.from({ length: turns }, (_, at) => count + 1 + at),
    );
    const seqs = client.seqs();
    assert.equal(new Set(seqs).size, seqs.length);
    assert.ok(seqs.includes(rig.feed.seq));
  }
});

test('a client hears of us while there is nothing else, and is asked for a sign of life', async (t) => {
  const rig = rigOf(t);
  const series = rig.addSeries();
  const [alive, dead] = [rig.connect(), rig.connect()];
  alive.subscribe({ snapshot: false });
  alive.subscribe({ id: 'thin', maxHz: 0.1, snapshot: false });
  rig.come(sample(series));
  await rig.settle();
  rig.come(sample(series));
  await rig.settle();
  alive.forget();
  rig.nowMs += STREAM_HEARTBEAT_MS;
  await watched();
  const [heartbeat, ...more] = alive.told;
  assert.ok(heartbeat?.type === 'heartbeat');
  // The second sample is still to come to one of its subscriptions.
  assert.equal(heartbeat.seq, 1);
  assert.deepEqual(more, []);
  assert.deepEqual([alive.pings, dead.pings], [1, 1]);
  rig.nowMs += STREAM_SILENCE_MAX_MS - STREAM_HEARTBEAT_MS;
  alive.client.isAlive();
  await watched();
  assert.deepEqual([alive.closed, dead.closed], [null, 0]);
  assert.equal(rig.hub.stats().clients_silent, 1);
});

test('signals beyond what one message holds come in several, each once, also when samples come in between', async (t) => {
  const rig = rigOf(t);
  const count = 2 * STREAM_MESSAGE_SAMPLES_MAX + 20;
  const series = Array.from({ length: count }, (_, at) =>
    rig.addSeries({ componentType: 6, componentId: at >> 8, commandId: at & 255 }),
  );
  rig.come(...series.map((one) => sample(one)));
  const client = rig.connect();
  client.subscribe();
  client.subscribe({ id: 'thin', maxHz: 1 });
  await rig.settle();
  for (const id of ['a', 'thin']) {
    assert.deepEqual(
      client.seqs(id),
      series.map((_, at) => at + 1),
    );
    assert.ok(client.messages(id).every(({ samples }) => samples.length <= STREAM_MESSAGE_SAMPLES_MAX));
    assert.ok(client.messages(id).every(({ cause, seq }) => cause === 'snapshot' && seq === count));
  }
  // Stuck after the first message of the snapshot: the rest comes later, and what changed meanwhile after it.
  const slow = rig.connect();
  slow.isStuck = true;
  slow.unsentBytes = STREAM_CLIENT_BYTES_MAX - 1000;
  slow.subscribe();
  await rig.settle();
  assert.equal(slow.messages().length, 1);
  const [changed] = rig.come(sample(series.at(-1)!, 7));
  await rig.settle();
  slow.drain();
  await rig.settle();
  assert.deepEqual(slow.seqs(), [...series.slice(0, -1).map((_, at) => at + 1), changed]);
  assert.equal(slow.messages().at(-1)!.cause, 'live');
  // While the latest is told after it was behind, all that it was told before is what to resume from.
  slow.forget();
  slow.isStuck = true;
  slow.unsentBytes = STREAM_CLIENT_BYTES_MAX + 1;
  rig.come(...series.map((one) => sample(one)));
  await rig.settle();
  slow.drain();
  await rig.settle();
  assert.deepEqual(
    slow.messages().map(({ seq, samples }) => [seq, samples.length]),
    [
      [changed, STREAM_MESSAGE_SAMPLES_MAX],
      [changed, STREAM_MESSAGE_SAMPLES_MAX],
      [changed! + count, 20],
    ],
  );
});

type Happening = readonly number[] | 'stick' | 'drain' | 'turn' | 'settle' | 'series';

/** What happens to a stream, at random. */
const anyHappening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 10, arbitrary: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 20 }) },
  { weight: 2, arbitrary: fc.constant('stick' as const) },
  { weight: 3, arbitrary: fc.constant('drain' as const) },
  { weight: 3, arbitrary: fc.constant('turn' as const) },
  { weight: 2, arbitrary: fc.constant('settle' as const) },
  { weight: 1, arbitrary: fc.constant('series' as const) },
);

async function letHappen(rig: StreamRig, client: RigClient, happenings: readonly Happening[]): Promise<void> {
  const series = [0, 1, 2].map((commandId) => rig.addSeries({ commandId }));
  series.push(rig.addSeries({ messageType: MESSAGE_TYPE.COMMAND }));
  const latest = new Map<number, number>();
  let lastSeq = 0;
  for (const happening of happenings) {
    if (happening === 'stick') {
      client.isStuck = true;
      client.unsentBytes = STREAM_CLIENT_BYTES_MAX + 1;
    } else if (happening === 'drain') {
      client.drain();
    } else if (happening === 'turn') {
      await nextTurn();
    } else if (happening === 'settle') {
      await rig.pass(1);
    } else if (happening === 'series') {
      series.push(rig.addSeries({ commandId: 10 + series.length }));
    } else {
      const picked = happening.map((at) => series[at % series.length]!);
      const seqs = rig.come(...picked.map((one, at) => sample(one, rig.feed.seq + 1 + at)));
      for (const [at, one] of picked.entries()) latest.set(one, seqs[at]!);
      lastSeq = seqs.at(-1)!;
    }
  }
  client.drain();
  await rig.pass(5);

  const seqs = client.seqs();
  const messages = client.messages();
  assert.equal(new Set(seqs).size, seqs.length, 'none twice');
  const missed = messages.reduce((sum, message) => sum + message.missed, 0);
  assert.equal(seqs.length + missed, lastSeq, 'told or missed');
  for (const { samples } of [...messages, ...client.messages('thin')]) {
    assert.ok(
      samples.every(({ seq, raw_value }) => raw_value === seq),
      'told as it came',
    );
  }
  const all = [...latest.values()];
  assert.ok(
    all.every((seq) => seqs.includes(seq)),
    'the latest of each series',
  );
  assert.equal(messages.at(-1)?.seq ?? 0, lastSeq);

  const thinSeqs = client.seqs('thin');
  const shown = [...rig.state.current()].map(({ series }) => latest.get(series.index)!);
  assert.ok(
    shown.every((seq) => thinSeqs.includes(seq)),
    'what the state shows',
  );
  assert.equal(new Set(thinSeqs).size, thinSeqs.length);
  assert.equal(client.corked, 0);
}

for (const encoding of ['json', 'binary'] as const) {
  test(`whatever happens, samples are told once or counted as missed, and the latest always: ${encoding}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyHappening, { maxLength: 40 }), async (happenings) => {
        const rig = new StreamRig({ feedSamples: 32 });
        const client = rig.connect(encoding);
        try {
          client.subscribe({ snapshot: false });
          client.subscribe({ id: 'thin', maxHz: 1000, snapshot: false });
          await letHappen(rig, client, happenings);
        } finally {
          rig.hub.disconnect(client.client);
        }
        const { clients, subscriptions, selections } = rig.hub.stats();
        assert.deepEqual([clients, subscriptions, selections.used], [0, 0, 0]);
      }),
      { numRuns: 150 },
    );
  });
}

test('the history is asked for no more than what the feed has not got any more', async (t) => {
  const asked: (number | undefined)[] = [];
  const history: HistorySource = {
    firstSeq: null,
    query: async ({ cursor }) => {
      asked.push(cursor);
      return new Promise(() => {});
    },
    series: () => Promise.reject(new Error('not asked for here')),
    gaps: () => Promise.reject(new Error('not asked for here')),
    timings: () => assert.fail('not asked for here'),
  };
  const rig = rigOf(t, { history, feedSamples: 32 });
  const series = rig.addSeries();
  rig.come(sample(series));
  const client = rig.connect();
  client.subscribe({ id: 'before', since: 0 });
  for (let round = 0; round < 3; round++) {
    rig.come(...Array.from({ length: 20 }, () => sample(series, round)));
    await rig.settle();
  }
  assert.equal(rig.feed.heldFromSeq, 61 - 31);
  client.subscribe({ id: 'held', since: 61 - 32 });
  const other = rig.connect();
  other.subscribe({ id: 'not held', since: 61 - 33 });
  await rig.settle();
  assert.deepEqual(
    client.seqs('held'),
    Array.from({ length: 32 }, (_, at) => 30 + at),
  );
  assert.deepEqual(asked, [0, 61 - 33]);
});

test('timestamps that were corrected are told as corrected', async (t) => {
  const rig = rigOf(t);
  const series = rig.addSeries();
  const client = rig.connect();
  client.subscribe({ snapshot: false });
  const before = sample(series);
  rig.come(before);
  await rig.settle();
  rig.state.correct(1, 5_000_000);
  rig.feed.correct(1, 5_000_000);
  client.subscribe({ id: 'again' });
  client.subscribe({ id: 'since', since: 0 });
  await rig.settle();
  const timestampOf = (id: string) => client.messages(id)[0]!.samples[0]!.timestamp;
  assert.equal(timestampOf('a'), before.timestampUs / 1e6);
  assert.equal(timestampOf('again'), before.timestampUs / 1e6 + 5);
  assert.equal(timestampOf('since'), before.timestampUs / 1e6 + 5);
});

test('what there may be of is bounded: subscriptions of a client, different sets of signals', async (t) => {
  const rig = rigOf(t);
  const client = rig.connect();
  for (let at = 0; at < STREAM_SUBSCRIPTIONS_MAX; at++) client.subscribe({ id: String(at), snapshot: false });
  assert.throws(() => client.subscribe({ id: 'more' }), { code: 'SUBSCRIPTIONS_MAX', statusCode: 400 });
  // One in the place of another is none more, under a number of its own.
  client.subscribe({ id: '7', snapshot: false });
  assert.equal(rig.hub.stats().subscriptions, STREAM_SUBSCRIPTIONS_MAX);
  const ordinals = client.told.flatMap((message) => (message.type === 'subscribed' ? message.ordinal : []));
  assert.equal(new Set(ordinals).size, ordinals.length);

  const clients: RigClient[] = [];
  for (let at = 1; at < STREAM_SELECTIONS_MAX; at++) {
    if (at % STREAM_SUBSCRIPTIONS_MAX === 1) clients.push(rig.connect());
    clients
      .at(-1)!
      .subscribe({ id: String(at), patterns: [`MOTORS/${at % 256}/${at >> 8}`], snapshot: false });
  }
  assert.deepEqual(rig.hub.stats().selections, { used: STREAM_SELECTIONS_MAX, max: STREAM_SELECTIONS_MAX });
  const next = rig.connect();
  assert.throws(() => next.subscribe({ patterns: ['LIGHTS/**'] }), { code: 'STREAM_FULL', statusCode: 503 });
  assert.throws(() => next.subscribe({ patterns: ['LIGHTS'] }), { code: 'SIGNAL_INVALID' });
  next.subscribe({ snapshot: false });
  assert.equal(rig.hub.isFull, false);
  while (!rig.hub.isFull) clients.push(rig.connect());
  assert.equal(rig.hub.stats().clients, STREAM_CLIENTS_MAX);
});

test('while there is no client nothing is held', async () => {
  const rig = new StreamRig();
  const series = rig.addSeries();
  rig.come(sample(series));
  assert.equal(rig.feed.heldFromSeq, 2);
  const client = rig.connect();
  rig.come(sample(series));
  assert.equal(rig.feed.heldFromSeq, 2);
  rig.hub.disconnect(client.client);
  rig.come(sample(series));
  assert.equal(rig.feed.heldFromSeq, 4);
});
