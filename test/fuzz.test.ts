import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzzFrames } from './fuzz/frames.ts';
import { fuzzLines } from './fuzz/lines.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** A little of what `npm run fuzz` does. */
const COUNT = 200_000;

test('random frames are samples or counted, and no sample is lost', (t) => {
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}`);
  const { samples, series } = fuzzFrames(COUNT, seed, join(temporaryDirectory(t), 'fuzz.db'));
  assert.ok(samples > COUNT / 2 && series > 1000, `${samples} samples of ${series} series`);
});

test('random lines of logs are frames, or broken, or say nothing, however they are read', (t) => {
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}`);
  const { lines, frames, broken } = fuzzLines(COUNT, seed);
  assert.ok(frames > lines / 10 && broken > lines / 10, `${frames} frames, ${broken} broken lines`);
});
