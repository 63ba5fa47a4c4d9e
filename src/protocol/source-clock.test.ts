import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  SOURCE_CREDIT_MAX,
  SOURCE_CREDIT_MIN,
  SOURCE_DELAY_MIN_MS,
  SOURCE_SYNC_AGE_MAX_MS,
} from '../shared/limits.ts';
import { SourceClock } from './source-clock.ts';

const SYNCED_US = 1_764_000_000_123_456;
const NODE = 5;

/** What byte 1 says of a frame that was made so long after the sync. */
function byte1At(madeMs: number): number {
  return Math.floor(madeMs) & 0xff;
}

/** A clock whose node has agreed with the timestamps often enough; `sinceMs` is when it last did. */
function trusted(frames = SOURCE_CREDIT_MAX): { clock: SourceClock; sinceMs: number } {
  const clock = new SourceClock();
  clock.sync(NODE, SYNCED_US);
  for (let ms = 1; ms <= frames; ms++) {
    assert.equal(clock.dated(NODE, byte1At(ms), SYNCED_US + ms * 1000), SYNCED_US + ms * 1000);
  }
  return { clock, sinceMs: frames };
}

test('a frame that waited is dated by byte 1, to the midst of its millisecond', () => {
  for (const waitedMs of [SOURCE_DELAY_MIN_MS, 30, 100, 245]) {
    const { clock, sinceMs } = trusted();
    const madeMs = sinceMs + 1000;
    const dated = clock.dated(NODE, byte1At(madeMs), SYNCED_US + (madeMs + waitedMs) * 1000 + 777);
    assert.equal(dated, SYNCED_US + madeMs * 1000 + 500, `${waitedMs} ms`);
    assert.equal(clock.framesRedated, 1);
  }
});

const unchanged: [what: string, madeMs: number, waitedMs: number][] = [
  ['is on time', 1000, 0.4],
  ['is a little late', 1000, SOURCE_DELAY_MIN_MS - 0.5],
  ['comes from a clock that is a little ahead', 1000, -3],
  ['bears the 0 of a node that was never synced', 1024, 40],
  ['waited for so long that byte 1 went round', 1000, 257],
];
for (const [what, madeMs, waitedMs] of unchanged) {
  test(`a frame that ${what} keeps its timestamp`, () => {
    const { clock } = trusted();
    const timestampUs = SYNCED_US + (madeMs + waitedMs) * 1000;
    assert.equal(clock.dated(NODE, byte1At(madeMs), timestampUs), timestampUs);
    assert.equal(clock.framesRedated, 0);
  });
}

test('a frame made before the sync, by the count before, is no frame of after it', () => {
  const { clock } = trusted();
  clock.sync(NODE, SYNCED_US + 1_000_000);
  const timestampUs = SYNCED_US + 1_020_000;
  assert.equal(clock.dated(NODE, 150, timestampUs), timestampUs);
});

test('a node that was never synced, or not for long, or was forgotten keeps its timestamps', () => {
  const { clock } = trusted();
  const lateUs = SYNCED_US + 1_100_000;
  assert.equal(clock.dated(NODE + 1, byte1At(1000), lateUs), lateUs);

  const agedUs = SYNCED_US + (SOURCE_SYNC_AGE_MAX_MS + 1) * 1000;
  assert.equal(clock.nodes, 1);
  assert.equal(clock.dated(NODE, byte1At(SOURCE_SYNC_AGE_MAX_MS - 60), agedUs), agedUs);
  assert.equal(clock.nodes, 0);

  for (const forget of [(c: SourceClock) => c.forget(NODE), (c: SourceClock) => c.forgetAll()]) {
    const other = trusted().clock;
    forget(other);
    forget(other);
    assert.equal(other.nodes, 0);
    assert.equal(other.dated(NODE, byte1At(1000), lateUs), lateUs);
  }
});

test('a clock that was set back forgets', () => {
  const { clock } = trusted();
  assert.equal(clock.dated(NODE, 7, SYNCED_US - 1), SYNCED_US - 1);
  assert.equal(clock.nodes, 0);
});

test('a node is believed once it has agreed often enough, and no longer than it has earned', () => {
  const { clock, sinceMs } = trusted(SOURCE_CREDIT_MIN);
  const lateUs = SYNCED_US + (sinceMs + 100) * 1000;
  assert.equal(clock.dated(NODE, byte1At(sinceMs + 1), lateUs), lateUs);

  const { clock: other, sinceMs: otherMs } = trusted(SOURCE_CREDIT_MAX + 1000);
  let believed = 0;
  for (let ms = 1; ms <= 2 * SOURCE_CREDIT_MAX; ms++) {
    const timestampUs = SYNCED_US + (otherMs + ms + 100) * 1000;
    if (other.dated(NODE, byte1At(otherMs + ms) || 1, timestampUs) < timestampUs) believed++;
  }
  assert.ok(believed <= SOURCE_CREDIT_MAX - SOURCE_CREDIT_MIN + 1, `${believed}`);
  assert.ok(believed >= SOURCE_CREDIT_MAX - SOURCE_CREDIT_MIN - 1, `${believed}`);
});

test('a node that has something else in byte 1 changes nothing', () => {
  const clock = new SourceClock();
  clock.sync(NODE, SYNCED_US);
  for (let ms = 0; ms < SOURCE_SYNC_AGE_MAX_MS; ms += 5) {
    const timestampUs = SYNCED_US + ms * 1000;
    assert.equal(clock.dated(NODE, 77, timestampUs), timestampUs);
  }
});

test('whatever comes, a node never goes backwards, nor beyond the timestamps that its frames had', () => {
  const step = fc.record({
    passedUs: fc.integer({ min: 0, max: 40_000 }),
    byte1: fc.oneof(fc.constant('made' as const), fc.nat(255)),
    waitedMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(300) }),
    syncs: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 100 }), (steps) => {
      const { clock, sinceMs } = trusted();
      let timestampUs = SYNCED_US + sinceMs * 1000;
      let syncedUs = SYNCED_US;
      let lastUs = timestampUs;
      for (const { passedUs, byte1, waitedMs, syncs } of steps) {
        timestampUs += passedUs;
        if (syncs && waitedMs === 0) {
          clock.sync(NODE, timestampUs);
          syncedUs = timestampUs;
        }
        const madeMs = (timestampUs - syncedUs) / 1000 - waitedMs;
        const dated = clock.dated(NODE, byte1 === 'made' ? byte1At(madeMs) : byte1, timestampUs);
        assert.ok(Number.isSafeInteger(dated));
        assert.ok(dated <= timestampUs && dated >= lastUs, `${lastUs} to ${dated} to ${timestampUs}`);
        lastUs = dated;
      }
    }),
  );
});

test('a burst that waited keeps its order, and ends at the present', () => {
  const { clock, sinceMs } = trusted();
  const dated: number[] = [];
  // Made every 10 ms, held up for 200 ms, sent back to back.
  for (let frame = 0; frame < 20; frame++) {
    const madeMs = sinceMs + 100 + 10 * frame;
    const sentUs = SYNCED_US + (sinceMs + 300) * 1000 + 250 * frame;
    dated.push((clock.dated(NODE, byte1At(madeMs) || 1, sentUs) - SYNCED_US) / 1000 - sinceMs - 100);
  }
  for (const [frame, ms] of dated.slice(0, 19).entries())
    assert.ok(Math.abs(ms - 10 * frame) <= 1.5, `${dated}`);
});
