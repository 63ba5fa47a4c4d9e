import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  formatDurationMs,
  formatDurationUs,
  formatSizeBytes,
  parseDurationMs,
  parseDurationUs,
  parseSizeBytes,
} from './units.ts';

test('reads durations and sizes with their units', () => {
  const durations: [string, number | undefined][] = [
    ['500ms', 500],
    ['1s', 1_000],
    ['1.1s', 1_100],
    ['5min', 300_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['0.5ms', undefined],
    ['30', undefined],
    ['30 d', 2_592_000_000],
    ['30D', undefined],
    ['-1s', undefined],
    ['1e3s', undefined],
    ['1s ', undefined],
    ['', undefined],
    ['1toString', undefined],
    ['999999999999999d', undefined],
  ];
  for (const [text, expected] of durations) assert.equal(parseDurationMs(text), expected, text);

  const fineDurations: [string, number | undefined][] = [
    ['1us', 1],
    ['0.5ms', 500],
    ['1s', 1_000_000],
    ['0.5us', undefined],
    ['1min', undefined],
    ['1', undefined],
  ];
  for (const [text, expected] of fineDurations) assert.equal(parseDurationUs(text), expected, text);

  const sizes: [string, number | undefined][] = [
    ['10MiB', 10_485_760],
    ['500kB', 500_000],
    ['1GB', 1_000_000_000],
    ['1.5KiB', 1_536],
    ['4096B', 4_096],
    ['4096', undefined],
    ['10mb', undefined],
  ];
  for (const [text, expected] of sizes) assert.equal(parseSizeBytes(text), expected, text);
});

test('what is written is read back as the same', () => {
  const counts = fc.oneof(fc.nat(), fc.maxSafeNat());
  fc.assert(
    fc.property(counts, (count) => {
      assert.equal(parseDurationMs(formatDurationMs(count)), count);
      assert.equal(parseDurationUs(formatDurationUs(count)), count);
      assert.equal(parseSizeBytes(formatSizeBytes(count)), count);
    }),
  );
});

test('writes the unit that people would', () => {
  assert.equal(formatDurationMs(86_400_000), '1d');
  assert.equal(formatDurationMs(90_000), '90s');
  assert.equal(formatDurationMs(0), '0ms');
  assert.equal(formatDurationUs(1_500), '1500us');
  assert.equal(formatDurationUs(2_000), '2ms');
  assert.equal(formatSizeBytes(10_485_760), '10MiB');
  assert.equal(formatSizeBytes(500_000), '500kB');
});
