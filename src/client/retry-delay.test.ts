import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryDelayMs } from './retry-delay.ts';

test('waits double from a quarter of a second to 15 s, and half of each is left to chance', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 7, 2000].map((failures) => retryDelayMs(failures, 1));
  assert.deepEqual(longest, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  assert.deepEqual(
    [0, 0.5, 1].map((random) => retryDelayMs(2, random)),
    [500, 750, 1000],
  );
});
