import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { append, batchOf, type PlainSample, RPM, registry } from '../../test/support/samples.ts';
import { SampleBatch } from '../protocol/sample-batch.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { LiveFeed } from './live-feed.ts';

const CAPACITY = 16;

function feedFrom(firstSeq: number): LiveFeed {
  const table = new SeriesTable(registry);
  table.add(RPM);
  const feed = new LiveFeed(table, CAPACITY);
  feed.begin(firstSeq);
  return feed;
}

/** What a feed holds, by the numbers. */
function held(feed: LiveFeed): (PlainSample & { seq: number })[] {
  return Array.from({ length: feed.seq + 1 - feed.heldFromSeq }, (_, at) => {
    const seq = feed.heldFromSeq + at;
    const [timestampUs, rawValue] = [feed.timestampUsOf(seq), feed.rawValueOf(seq)];
    return { seq, timestampUs, rawValue, series: feed.seriesOf(seq) };
  });
}

const sample = (value: number): PlainSample => ({
  timestampUs: 1000 + value,
  rawValue: value,
  series: value % 7,
});

test('the newest samples are held while somebody follows, and none from before', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.nat({ max: CAPACITY }) },
    { weight: 1, arbitrary: fc.constantFrom('follow' as const, 'leave' as const) },
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.constantFrom(1, 2 ** 31 - 20, 2 ** 40),
      (steps, firstSeq) => {
        const feed = feedFrom(firstSeq);
        let leave: (() => void) | null = null;
        let all: (PlainSample & { seq: number })[] = [];
        let value = 0;
        for (const what of steps) {
          if (what === 'follow') {
            if (leave === null) all = [];
            leave ??= feed.follow(() => {});
          } else if (what === 'leave') {
            leave?.();
            leave = null;
          } else {
            const samples = Array.from({ length: what }, () => sample(value++));
            const seq = feed.seq + 1;
            feed.take(batchOf(samples, seq), 0);
            if (leave !== null) all.push(...samples.map((one, at) => ({ ...one, seq: seq + at })));
          }
          assert.equal(feed.seq, firstSeq - 1 + value);
          assert.deepEqual(held(feed), leave === null ? [] : all.slice(-CAPACITY));
        }
      },
    ),
  );
});

test('a batch is taken in piece by piece, as it fills', () => {
  const feed = feedFrom(5);
  feed.follow(() => {});
  const batch = SampleBatch.allocate(8);
  batch.begin(5);
  for (const count of [2, 0, 3]) {
    const first = batch.count;
    for (let at = 0; at < count; at++) append(batch, sample(batch.count));
    feed.take(batch, first);
  }
  assert.deepEqual(
    held(feed).map(({ seq, rawValue }) => [seq, rawValue]),
    [0, 1, 2, 3, 4].map((value) => [5 + value, value]),
  );
});

test('followers are called once for what came, and not for nothing', () => {
  const feed = feedFrom(1);
  const called = [0, 0];
  feed.take(batchOf([sample(1)], 1), 0);
  const leave = feed.follow(() => called[0]!++);
  feed.publish();
  assert.deepEqual(called, [0, 0]);
  feed.take(batchOf([sample(1)], 2), 0);
  feed.take(batchOf([sample(1)], 3), 0);
  feed.publish();
  feed.publish();
  assert.deepEqual(called, [1, 0]);
  feed.follow(() => called[1]!++);
  leave();
  feed.take(batchOf([sample(1)], 4), 0);
  feed.publish();
  assert.deepEqual(called, [1, 1]);
});

test('a correction moves what is held from a number on, and is counted', () => {
  const feed = feedFrom(1);
  // Of what nobody follows nothing is held, however much it is.
  feed.take(batchOf([sample(0)], 2 ** 40), 0);
  feed.correct(1, 5);
  feed.follow(() => {});
  feed.take(batchOf([0, 1, 2, 3].map(sample), 2 ** 40 + 1), 0);
  feed.correct(2 ** 40 + 3, 500);
  assert.deepEqual(
    held(feed).map(({ timestampUs }) => timestampUs),
    [1000, 1001, 1502, 1503],
  );
  assert.equal(feed.correctionCount, 2);
});
