import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { randomNumbers } from '../../../test/support/random.ts';
import { type PlainSample, RPM, registry } from '../../../test/support/samples.ts';
import { eventually } from '../../../test/support/service.ts';
import { RigClient, StreamRig } from '../../../test/support/stream-rig.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { type HistoryOptions, PersistentTelemetryStore } from '../../history/persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../../history/retention.ts';
import { MESSAGE_TYPE } from '../../protocol/kart-codec.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import { HistoryError, QueryError } from '../../shared/errors.ts';
import {
  STREAM_CLIENT_BYTES_MAX,
  STREAM_RESUME_SAMPLES_MAX,
  STREAM_RESUMES_AT_ONCE,
} from '../../shared/limits.ts';
import type { SampleReply } from '../schemas.ts';
import type { HistorySource } from '../sources.ts';
import type { SubscriptionRequest } from './stream-client.ts';

const FIRST_US = 1_764_000_000_000_000;

interface Opened {
  readonly rig: StreamRig;
  readonly store: PersistentTelemetryStore;
  /** All numbers that the history has of a command, or of all. */
  seqs(commandId?: number): Promise<number[]>;
  client(encoding?: 'json' | 'binary'): RigClient;
}

/** A stream over a history in a file. */
async function open(
  t: TestContext,
  {
    path = join(temporaryDirectory(t), 'collector.db'),
    over = (store) => store,
    ...options
  }: Partial<HistoryOptions> & { readonly over?: (store: HistorySource) => HistorySource } = {},
): Promise<Opened> {
  const table = new SeriesTable(registry);
  const log = pino({ enabled: false });
  const store = new PersistentTelemetryStore(
    { flushIntervalMs: 50, ...KEEP_EVERYTHING, path, log, ...options },
    table,
  );
  const { series } = await store.open();
  for (const record of series) table.restore(record);
  const rig = new StreamRig({ table, store, history: over(store), feedSamples: 1024 });
  const clients: RigClient[] = [];
  t.after(async () => {
    for (const { client } of clients) rig.hub.disconnect(client);
    await store.close();
  });
  return {
    rig,
    store,
    async seqs(commandId) {
      const seqs: number[] = [];
      const of = commandId === undefined ? {} : { componentType: RPM.componentType, commandId };
      for (let cursor: number | undefined = 0; cursor !== undefined; ) {
        const query = { ...of, order: 'asc', offset: 0, limit: 10_000, format: 'json', cursor } as const;
        const page = await store.query(query);
        const samples: SampleReply[] = JSON.parse(new TextDecoder().decode(page.text));
        for (const { seq } of samples) seqs.push(seq);
        cursor = page.nextCursor ?? undefined;
      }
      return seqs;
    },
    client(encoding = 'json') {
      const client = new RigClient(rig, encoding);
      clients.push(client);
      return client;
    },
  };
}

let lastUs = FIRST_US;

function sampleOf(series: number, rawValue = 0): PlainSample {
  lastUs += 100;
  return { series, rawValue, timestampUs: lastUs };
}

const many = (count: number, series: number): PlainSample[] =>
  Array.from({ length: count }, (_, at) => sampleOf(series, at));

/** Waits until a client has been told what there is. */
const toldUpTo = (client: RigClient, seq: number, id?: string) =>
  eventually(
    async () => client.messages(id).at(-1)?.seq ?? 0,
    (told) => told >= seq,
  );

for (const encoding of ['json', 'binary'] as const) {
  test(`what came since is told first, from the history and the feed, each once: ${encoding}`, async (t) => {
    const { rig, store, client } = await open(t);
    const [rpm, brake] = [rig.addSeries(), rig.addSeries({ commandId: 3 })];
    for (let round = 0; round < 20; round++) {
      rig.come(...many(100, rpm), sampleOf(brake, 1));
      if (round === 10) await store.flush();
    }
    const first = client(encoding);
    rig.come(...many(100, rpm));
    first.subscribe({ id: 'rpm', patterns: ['MOTORS/*/RPM'], since: 1000 });
    first.subscribe({ id: 'brake', patterns: ['MOTORS/*/BRAKE'], since: 0, maxHz: 10 });
    first.subscribe({ id: 'live', patterns: ['MOTORS/*/RPM'], since: rig.feed.seq });
    rig.come(...many(10, rpm));
    await toldUpTo(first, rig.feed.seq, 'rpm');
    rig.come(...many(5, rpm));
    await rig.settle();
    const numbers = Array.from({ length: rig.feed.seq }, (_, at) => at + 1);
    const isBrake = (seq: number) => seq <= 2020 && seq % 101 === 0;
    assert.deepEqual(
      first.seqs('rpm'),
      numbers.filter((seq) => seq > 1000 && !isBrake(seq)),
    );
    assert.deepEqual(first.seqs('brake'), numbers.filter(isBrake));
    assert.deepEqual(first.seqs('live'), numbers.slice(-15));
    const causes = first.messages('rpm').map(({ cause }) => cause);
    assert.deepEqual([...new Set(causes)], ['resume', 'live']);
    assert.ok(causes.indexOf('live') > causes.lastIndexOf('resume'));
    for (const { seq, samples } of first.messages('rpm')) assert.ok(samples.every((one) => one.seq <= seq));
    assert.ok(rig.hub.stats().samples_resumed > 0);
    assert.equal(
      first.told.some(({ type }) => type === 'gap'),
      false,
    );

    // The text and the columns of the history are those of the feed.
    const [sample] = first.messages('brake')[0]!.samples;
    const [{ seq, timestamp, ...rest }] = [sample!];
    const { value, value_name, command_id, message_type, node_id } = rest;
    assert.deepEqual([seq, timestamp > 1_764_000_000], [101, true]);
    assert.deepEqual(
      [value, value_name, command_id, message_type, node_id],
      [1, 'BRAKE_ON', 'BRAKE', 'STATUS', 2],
    );
  });
}

test('with max_hz what came since is of those series that the state shows', async (t) => {
  const { rig, client } = await open(t);
  const status = rig.addSeries();
  const command = rig.addSeries({ messageType: MESSAGE_TYPE.COMMAND });
  const alone = rig.addSeries({ commandId: 2, messageType: MESSAGE_TYPE.COMMAND });
  rig.come(sampleOf(status), sampleOf(command), sampleOf(alone), sampleOf(command), sampleOf(status));
  const one = client();
  one.subscribe({ since: 0, maxHz: 10 });
  one.subscribe({ id: 'every', since: 0 });
  await toldUpTo(one, 5);
  await toldUpTo(one, 5, 'every');
  assert.deepEqual(one.seqs(), [1, 3, 5]);
  assert.deepEqual(one.seqs('every'), [1, 2, 3, 4, 5]);
});

test('a snapshot may come with it, and does where the number is of another history', async (t) => {
  const { rig, client } = await open(t);
  const series = rig.addSeries();
  rig.come(...many(5, series));
  const one = client();
  one.subscribe({ since: 2, snapshot: true });
  one.subscribe({ id: 'other', since: 1_000_000 });
  one.subscribe({ id: 'none', since: 1_000_000, snapshot: false });
  await toldUpTo(one, 5);
  await toldUpTo(one, 5, 'other');
  assert.deepEqual(
    one.messages().map(({ cause, seq, samples }) => [cause, seq, samples.map((sample) => sample.seq)]),
    [
      ['snapshot', 2, [5]],
      ['resume', 5, [3, 4, 5]],
    ],
  );
  rig.come(sampleOf(series));
  await toldUpTo(one, 6, 'none');
  assert.deepEqual(one.seqs('other'), [5, 6]);
  assert.deepEqual(one.seqs('none'), [6]);
});

test('of too many the newest are told, the others are a gap, and the latest that they came to is told', async (t) => {
  const { rig, store, client } = await open(t);
  const [rpm, brake] = [rig.addSeries(), rig.addSeries({ commandId: 3 })];
  rig.come(...many(10, rpm), sampleOf(brake, 1), sampleOf(brake, 0), ...many(STREAM_RESUME_SAMPLES_MAX, rpm));
  await store.flush();
  const one = client();
  one.subscribe({ since: 5 });
  one.subscribe({ id: 'brake', patterns: ['MOTORS/*/BRAKE'], since: 5 });
  const { seq: lastSeq } = rig.feed;
  await toldUpTo(one, lastSeq);
  await toldUpTo(one, 12, 'brake');
  const gaps = one.told.filter(({ type }) => type === 'gap');
  assert.deepEqual(gaps, [{ type: 'gap', id: 'a', from_seq: 6, to_seq: 12, reason: 'too_many' }]);
  assert.deepEqual(one.seqs(), [
    12,
    ...Array.from({ length: STREAM_RESUME_SAMPLES_MAX }, (_, at) => 13 + at),
  ]);
  assert.deepEqual(one.seqs('brake'), [11, 12]);
  assert.equal(rig.hub.stats().gaps, 1);
});

test('what retention has taken is a gap, too', async (t) => {
  const { rig, store, client, seqs } = await open(t, { maxSamples: 2000 });
  const [rpm, brake] = [rig.addSeries(), rig.addSeries({ commandId: 3 })];
  rig.come(sampleOf(brake, 1));
  for (let round = 0; round < 10; round++) {
    rig.come(...many(500, rpm));
    await store.flush();
  }
  const kept = await seqs();
  assert.ok(kept[0]! > 1000);
  const one = client();
  one.subscribe({ since: 0 });
  await toldUpTo(one, rig.feed.seq);
  const gaps = one.told.filter(({ type }) => type === 'gap');
  assert.deepEqual(gaps, [{ type: 'gap', id: 'a', from_seq: 1, to_seq: kept[0]! - 1, reason: 'not_stored' }]);
  assert.deepEqual(one.seqs(), [1, ...kept]);
});

test('a history that is busy is asked again; one that fails is a gap, after which the stream goes on', async (t) => {
  const answers: (Error | null)[] = [
    new QueryError(503, 'HISTORY_BUSY', 'busy'),
    null,
    new HistoryError('HISTORY_READ_FAILED', 'broken'),
  ];
  const { rig, client } = await open(t, {
    over: (store) => ({
      firstSeq: null,
      series: store.series.bind(store),
      gaps: store.gaps.bind(store),
      timings: store.timings.bind(store),
      query: (query) => {
        const answer = answers.shift() ?? null;
        return answer === null ? store.query(query) : Promise.reject(answer);
      },
    }),
  });
  const series = rig.addSeries();
  rig.come(...many(1200, series));
  const one = client();
  one.subscribe({ since: 0 });
  await toldUpTo(one, 1200);
  rig.come(sampleOf(series));
  await toldUpTo(one, 1201);
  assert.deepEqual(
    one.told.filter(({ type }) => type === 'gap'),
    [{ type: 'gap', id: 'a', from_seq: 501, to_seq: 1200, reason: 'not_stored' }],
  );
  assert.deepEqual(one.seqs(), [...Array.from({ length: 500 }, (_, at) => at + 1), 1200, 1201]);
});

describe('the history is asked', () => {
  /** A history whose answers wait. */
  async function openHeld(t: TestContext) {
    const waiting: (() => void)[] = [];
    const opened = await open(t, {
      over: (store) => ({
        firstSeq: null,
        series: store.series.bind(store),
        gaps: store.gaps.bind(store),
        timings: store.timings.bind(store),
        async query(query) {
          await new Promise<void>((resolve) => waiting.push(resolve));
          return store.query(query);
        },
      }),
    });
    opened.rig.come(...many(2000, opened.rig.addSeries()));
    return { ...opened, waiting };
  }

  test('for few at once, and for one subscription of a client', async (t) => {
    const { rig, client, waiting } = await openHeld(t);
    const clients = Array.from({ length: 2 * STREAM_RESUMES_AT_ONCE }, () => client());
    for (const one of clients) for (const id of ['a', 'b']) one.subscribe({ id, since: 0 });
    await rig.settle();
    assert.equal(waiting.length, STREAM_RESUMES_AT_ONCE);
    const isDone = () => clients.every((one) => ['a', 'b'].every((id) => one.seqs(id).length === 2000));
    await eventually(
      async () => {
        assert.ok(waiting.length <= STREAM_RESUMES_AT_ONCE);
        for (const answer of waiting.splice(0)) answer();
        return isDone();
      },
      (done) => done,
    );
  });

  test('for nobody who has gone, nor who is stuck, and what was asked for is not kept', async (t) => {
    const { rig, client, waiting } = await openHeld(t);
    const [gone, stuck] = [client(), client()];
    for (const one of [gone, stuck]) one.subscribe({ since: 0 });
    await rig.settle();
    assert.equal(waiting.length, 2);
    rig.hub.disconnect(gone.client);
    stuck.isStuck = true;
    stuck.unsentBytes = STREAM_CLIENT_BYTES_MAX + 1;
    for (const answer of waiting.splice(0)) answer();
    await sleep(50);
    assert.deepEqual([gone.seqs(), stuck.seqs(), waiting.length], [[], [], 0]);
    stuck.client.receive('{"type":"unsubscribe","id":"a"}');
    stuck.subscribe({ id: 'b', since: 1500 });
    stuck.drain();
    await eventually(
      async () => waiting.length,
      (count) => count === 1,
    );
    waiting[0]!();
    await toldUpTo(stuck, 2000, 'b');
    assert.deepEqual([stuck.seqs(), stuck.seqs('b').length], [[], 500]);
  });
});

/**
 * Clients that come and go at random while samples come and go to the disk: what each was told, all in all, is what the
 * history has.
 */
async function stress(t: TestContext, seed: number, encoding: 'json' | 'binary'): Promise<void> {
  const random = randomNumbers(seed);
  const path = join(temporaryDirectory(t), 'collector.db');
  const { rig, store, client, seqs } = await open(t, { path, flushIntervalMs: 20 });
  const series = [0, 1, 2, 3].map((commandId) => rig.addSeries({ commandId }));
  const followers = [undefined, 1, 2].map((commandId) => ({
    commandId,
    request: {
      patterns: [commandId === undefined ? '**' : `MOTORS/*/${commandId}`],
      snapshot: false,
    } satisfies Partial<SubscriptionRequest>,
    told: [] as number[],
    seq: 0,
    connection: null as RigClient | null,
  }));

  function leave(follower: (typeof followers)[number]): void {
    const { connection } = follower;
    if (connection === null) return;
    for (const { seq, samples, missed, cause } of connection.messages()) {
      assert.deepEqual([missed, cause === 'snapshot'], [0, false]);
      for (const { seq, raw_value } of samples) {
        if (raw_value !== seq) assert.equal(raw_value, seq);
        follower.told.push(seq);
      }
      follower.seq = seq;
    }
    assert.equal(
      connection.told.some(({ type }) => type === 'gap'),
      false,
    );
    rig.hub.disconnect(connection.client);
    follower.connection = null;
  }

  for (let round = 0; round < 400; round++) {
    const picked = Array.from({ length: random(60) }, () => series[random(series.length)]!);
    rig.come(...picked.map((one, at) => sampleOf(one, rig.feed.seq + 1 + at)));
    if (random(20) === 0) series.push(rig.addSeries({ commandId: 100 + series.length }));
    const follower = followers[random(followers.length)]!;
    if (follower.connection === null) {
      follower.connection = client(encoding);
      follower.connection.subscribe({ ...follower.request, since: follower.seq });
    } else if (random(4) === 0) {
      leave(follower);
    }
    if (random(3) > 0) await nextTurn();
    if (random(10) === 0) await sleep(random(15));
    if (random(50) === 0) await store.flush();
  }
  for (const follower of followers) {
    if (follower.connection === null) {
      follower.connection = client(encoding);
      follower.connection.subscribe({ ...follower.request, since: follower.seq });
    }
    const expected = await seqs(follower.commandId);
    await eventually(
      async () => follower.told.length + follower.connection!.seqs().length,
      (count) => count >= expected.length,
    );
    leave(follower);
    assert.deepEqual(follower.told, expected);
  }
  assert.ok(rig.hub.stats().samples_resumed > 500);
}

for (const [seed, encoding] of [
  [1, 'json'],
  [2, 'binary'],
  [3, 'json'],
] as const) {
  test(`clients that come and go miss nothing and get nothing twice: ${encoding}, seed ${seed}`, (t) =>
    stress(t, seed, encoding));
}

test('numbers that a crash has left out, and samples that were lost, are no gap', async (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const first = await open(t, { path });
  const series = first.rig.addSeries();
  first.rig.come(...many(10, series));
  await first.store.flush();
  const other = new DatabaseSync(path);
  other.exec("CREATE TRIGGER broken BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'no room'); END");
  first.rig.come(...many(5, series));
  await first.store.flush();
  other.exec('DROP TRIGGER broken');
  other.close();
  first.rig.come(...many(5, series));
  const one = first.client();
  one.subscribe({ since: 5 });
  await toldUpTo(one, 20);
  assert.deepEqual(one.seqs(), [6, 7, 8, 9, 10, 16, 17, 18, 19, 20]);
  assert.deepEqual(
    one.told.map(({ type }) => type),
    ['hello', 'subscribed', 'samples'],
  );
});
