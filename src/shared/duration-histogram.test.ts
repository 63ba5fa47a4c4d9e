import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DURATION_BOUNDS_S, DurationHistogram } from './duration-histogram.ts';

test('each duration is counted in every bucket whose bound it does not exceed', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 20_000, noNaN: true })), (durationsMs) => {
      const histogram = new DurationHistogram();
      for (const durationMs of durationsMs) histogram.observe(durationMs);
      const { count, sumS, atMost } = histogram.counts();
      assert.equal(count, durationsMs.length);
      const expected = DURATION_BOUNDS_S.map(
        (boundS) => durationsMs.filter((ms) => ms / 1000 <= boundS).length,
      );
      assert.deepEqual(atMost, expected);
      const sumMs = durationsMs.reduce((sum, ms) => sum + ms, 0);
      assert.ok(Math.abs(sumS - sumMs / 1000) < 1e-6);
    }),
  );
});

test('a duration that is a bound is within it', () => {
  const histogram = new DurationHistogram();
  histogram.observe(DURATION_BOUNDS_S[0] * 1000);
  assert.equal(histogram.counts().atMost[0], 1);
});
