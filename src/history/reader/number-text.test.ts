import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeDecimal, writeInteger, writeMicroseconds, writeNumber } from './number-text.ts';

type Write = (bytes: Uint8Array, at: number) => number;

/** What is written, and that nothing beside it is. */
function written(write: Write): string {
  const bytes = new Uint8Array(64).fill(0x23);
  const end = write(bytes, 8);
  const text = Buffer.from(bytes).toString('latin1');
  assert.equal(text.slice(0, 8) + text.slice(end), '#'.repeat(64 - (end - 8)));
  return text.slice(8, end);
}

const BOUNDS = [0, 1, 9, 10, 99, 100, 999_999_999, 1e9, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 1e15, 2 ** 53 - 1];
const anyInteger = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(...BOUNDS));

test('integers are written as JavaScript writes them', () => {
  fc.assert(
    fc.property(anyInteger, (value) => {
      assert.equal(
        written((bytes, at) => writeInteger(bytes, at, value)),
        String(value),
      );
    }),
  );
  for (const bound of BOUNDS) {
    for (const value of [bound, -bound]) {
      assert.equal(
        written((bytes, at) => writeInteger(bytes, at, value)),
        String(value),
      );
    }
  }
});

test('numbers are written as JavaScript writes them', () => {
  fc.assert(
    fc.property(fc.oneof(anyInteger, fc.double()), (value) => {
      assert.equal(
        written((bytes, at) => writeNumber(bytes, at, value)),
        String(value),
      );
    }),
  );
});

test('integers by a power of ten are written as the quotient is', () => {
  const anyDividend = fc.oneof(anyInteger, fc.integer({ min: -2000, max: 2000 }), fc.double());
  fc.assert(
    fc.property(anyDividend, fc.nat(6), (value, decimals) => {
      assert.equal(
        written((bytes, at) => writeDecimal(bytes, at, value, decimals)),
        String(value / 10 ** decimals),
      );
    }),
  );
});

test('microseconds are written as seconds with all six decimals', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(999_999), (seconds, micros) => {
      assert.equal(
        written((bytes, at) => writeMicroseconds(bytes, at, seconds * 1_000_000 + micros)),
        `${seconds}.${String(micros).padStart(6, '0')}`,
      );
    }),
  );
});
