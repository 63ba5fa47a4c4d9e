import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  CollectorClient,
  type CollectorClientError,
  type CollectorStream,
  type Encoding,
  type SampleReply,
  type StreamGap,
  samplesOf,
  type UpdateInfo,
} from '../src/client/index.ts';
import { UPDATES_SAMPLES_MAX } from '../src/client/limits.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** The client's stream against a service in a process of its own. */

async function start(t: TestContext, cwd: string, port: string, bus = 'sim:kart'): Promise<Service> {
  const service = await startService({
    cwd,
    args: [
      ...['--db', join(cwd, 'collector.db'), '--port', port, '--bus', bus],
      ...['--flush-interval', '200ms', '--max-age', 'unlimited'],
    ],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

function openStream(t: TestContext, service: Service, encoding: Encoding): CollectorStream {
  const stream = new CollectorClient({ url: service.url }).stream({ encoding });
  t.after(() => stream.close());
  return stream;
}

/** All that a subscription was given. */
class Seen {
  readonly samples: SampleReply[] = [];
  readonly updates: UpdateInfo[] = [];
  readonly gaps: StreamGap[] = [];

  readonly add = (samples: readonly SampleReply[], update: UpdateInfo): void => {
    for (const sample of samples) this.samples.push(sample);
    this.updates.push(update);
  };

  get seq(): number {
    return this.updates.at(-1)?.seq ?? 0;
  }
}

/** What the history has from one number to another, by its number. */
async function stored(service: Service, fromSeq: number, toSeq: number): Promise<Map<number, SampleReply>> {
  const found = new Map<number, SampleReply>();
  const client = new CollectorClient({ url: service.url });
  for await (const sample of client.export({ order: 'asc', cursor: fromSeq - 1 })) {
    if (sample.seq > toSeq) break;
    found.set(sample.seq, sample);
  }
  return found;
}

describe('the stream of a service', { concurrency: 2 }, () => {
  for (const encoding of ['json', 'binary'] as const) {
    test(`of ${encoding} gives what the history has: a snapshot, then each sample`, async (t) => {
      const service = await start(t, temporaryDirectory(t), '0');
      await eventually(service.status, ({ state }) => state.signals > 50);
      const stream = openStream(t, service, encoding);
      const seen = new Seen();
      const motors = new Seen();
      const all = stream.subscribe({ signals: ['**'] }, seen.add);
      const pattern = { signals: ['motors/*/RPM', 'NAVIGATION/0/ACCEL_X'], snapshot: false };
      stream.subscribe(pattern, motors.add);
      await eventually(
        async () => seen.samples.length,
        (count) => count > 2000,
      );
      assert.deepEqual(
        [stream.state, stream.hello?.simulated, stream.hello?.encoding],
        ['open', true, encoding],
      );
      assert.ok(all.signals! > 50);
      stream.close();

      const snapshot = seen.updates.filter(({ cause }) => cause === 'snapshot');
      assert.ok(
        snapshot.length > 0 && seen.updates.slice(snapshot.length).every(({ cause }) => cause === 'live'),
      );
      assert.ok(seen.updates.every(({ missed, thinned }) => missed === 0 && thinned === 0));
      const beginSeq = snapshot.at(-1)!.seq;
      const live = seen.samples.filter(({ seq }) => seq > beginSeq);
      const history = await stored(service, beginSeq + 1, seen.seq);
      assert.deepEqual(live, [...history.values()]);

      const matching = live.filter(
        ({ command_id, component_type, component_id }) =>
          (component_type === 'MOTORS' && command_id === 'RPM') ||
          (component_id === 'IMU_PRIMARY' && command_id === 'ACCEL_X'),
      );
      const [first] = motors.samples;
      const last = Math.min(motors.seq, seen.seq);
      const shared = (samples: SampleReply[]) =>
        samples.filter(({ seq }) => seq >= Math.max(first!.seq, beginSeq + 1) && seq <= last);
      assert.ok(motors.updates.every(({ cause }) => cause === 'live') && shared(motors.samples).length > 10);
      assert.deepEqual(shared(motors.samples), shared(matching));
      assert.equal((await service.stop()).code, 0);
    });
  }

  test('goes on after the service was killed and started again, without a hole and without a double', async (t) => {
    const cwd = temporaryDirectory(t);
    const first = await start(t, cwd, '0');
    const subscriptions = (['json', 'binary'] as const).map((encoding) => {
      const stream = openStream(t, first, encoding);
      const seen = new Seen();
      const listeners = { onGap: (gap: StreamGap) => seen.gaps.push(gap) };
      const request = { signals: ['**'], snapshot: false };
      if (encoding === 'json') stream.subscribe(request, seen.add, listeners);
      else {
        stream.subscribeColumns(
          request,
          (columns, update) => seen.add(samplesOf(columns), update),
          listeners,
        );
      }
      return { stream, seen };
    });
    const everyHas = (samples: number) =>
      eventually(
        async () => subscriptions.map(({ seen }) => seen.samples.length),
        (counts) => counts.every((count) => count > samples),
      );
    await everyHas(1000);
    // Somebody else's samples are stored, too, while the connection is away: before and after the kill.
    await first.stop('SIGKILL');
    await eventually(
      async () => subscriptions.map(({ stream }) => stream.state),
      (states) => states.every((state) => state !== 'open'),
    );
    const killedSeqs = subscriptions.map(({ seen }) => seen.seq);
    const second = await start(t, cwd, new URL(first.url).port);
    await everyHas(Math.max(...subscriptions.map(({ seen }) => seen.samples.length)) + 1000);

    for (const [index, { stream, seen }] of subscriptions.entries()) {
      stream.close();
      assert.ok(seen.updates.some(({ cause }) => cause === 'resume'));
      assert.deepEqual(seen.gaps, []);
      const seqs = seen.samples.map(({ seq }) => seq);
      assert.deepEqual(
        seqs,
        [...new Set(seqs)].toSorted((a, b) => a - b),
      );
      // All that is stored was seen; what was seen and isn't stored is what the kill has cost.
      const history = await stored(second, seqs[0]!, seen.seq);
      const bySeq = new Map(seen.samples.map((sample) => [sample.seq, sample]));
      for (const [seq, sample] of history) assert.deepEqual(bySeq.get(seq), sample);
      const gone = seqs.filter((seq) => !history.has(seq));
      assert.ok(gone.every((seq) => seq <= killedSeqs[index]!));
      assert.ok([...history.keys()].some((seq) => seq > killedSeqs[index]!));
    }
    assert.equal((await second.stop()).code, 0);
  });

  test('resumes from a number that was seen long before', async (t) => {
    const service = await start(t, temporaryDirectory(t), '0');
    await eventually(service.status, ({ history }) => history.samples > 1500);
    const seen = new Seen();
    const stream = openStream(t, service, 'json');
    const subscription = stream.subscribe({ signals: ['**'], since: 300 }, seen.add);
    await eventually(
      async () => seen.updates.at(-1)?.cause,
      (cause) => cause === 'live',
    );
    subscription.unsubscribe();
    assert.deepEqual(
      seen.samples.map(({ seq }) => seq),
      Array.from({ length: seen.seq - 300 }, (_, place) => 301 + place),
    );
    assert.equal((await service.stop()).code, 0);
  });

  test('says what it thins out, and refuses what is no pattern', async (t) => {
    const service = await start(t, temporaryDirectory(t), '0');
    await eventually(
      service.state,
      ({ components }) => components.MOTORS?.MOTOR_LEFT_REAR?.RPM !== undefined,
    );
    const stream = openStream(t, service, 'json');
    const seen = new Seen();
    stream.subscribe({ signals: ['MOTORS/MOTOR_LEFT_REAR/RPM'], maxHz: 4 }, seen.add);
    const refusal = await new Promise<CollectorClientError>((onError) => {
      stream.subscribe({ signals: ['MOTORS'] }, () => {}, { onError });
    });
    assert.deepEqual([refusal.name, refusal.code], ['CollectorClientError', 'SIGNAL_INVALID']);
    await eventually(
      async () => seen.updates.length,
      (count) => count >= 3,
    );
    const [snapshot, ...live] = seen.updates;
    assert.equal(snapshot?.cause, 'snapshot');
    assert.ok(live.every(({ cause, missed }) => cause === 'live' && missed === 0));
    assert.ok(live.some(({ thinned }) => thinned > 0));
    await assert.rejects(stream.updates({ signals: ['**'], maxHz: 0 }).next(), {
      name: 'CollectorClientError',
    });
    assert.equal((await service.stop()).code, 0);
  });

  test('waits for a loop that is slow, and leaves nothing out', async (t) => {
    const service = await start(t, temporaryDirectory(t), '0', 'sim:kart?rate=20');
    const stream = openStream(t, service, 'binary');
    const seen = new Seen();
    for await (const update of stream.updates({ signals: ['**'], snapshot: false })) {
      seen.add(update.samples, update);
      // As long as the loop does something else more comes than it is to hold.
      if (seen.updates.length === 1) {
        const heldSeq = update.seq + 2 * UPDATES_SAMPLES_MAX;
        await eventually(service.history, ([newest]) => newest!.seq > heldSeq);
      }
      if (seen.samples.length > 3 * UPDATES_SAMPLES_MAX) break;
    }
    stream.close();
    const firstSeq = seen.samples[0]!.seq;
    assert.ok(seen.samples.every(({ seq }, place) => seq === firstSeq + place));
    assert.ok(seen.updates.some(({ cause }) => cause === 'resume'));
    assert.ok(seen.updates.every(({ missed }) => missed === 0));
    assert.equal((await service.stop()).code, 0);
  });
});
