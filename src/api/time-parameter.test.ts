import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { QueryError } from '../shared/errors.ts';
import { parseTime } from './time-parameter.ts';

const NOON_US = Date.UTC(2025, 10, 24, 12) * 1000;
const MIDNIGHT_US = Date.UTC(2025, 10, 24) * 1000;

const TIMES: readonly [text: string, timestampUs: number][] = [
  ['0', 0],
  ['1764000000', 1_764_000_000_000_000],
  ['1764000000.5', 1_764_000_000_500_000],
  ['1764000000.123456', 1_764_000_000_123_456],
  ['1764000000.1234569', 1_764_000_000_123_456],
  ['1764000000.000001', 1_764_000_000_000_001],
  ['2025-11-24', MIDNIGHT_US],
  ['2025-11-24T12:00', NOON_US],
  ['2025-11-24T12:00:00', NOON_US],
  ['2025-11-24 12:00:00', NOON_US],
  ['2025-11-24t12:00:00z', NOON_US],
  ['2025-11-24T12:00:00Z', NOON_US],
  ['2025-11-24T12:00:00.5Z', NOON_US + 500_000],
  ['2025-11-24T12:00:00,5Z', NOON_US + 500_000],
  ['2025-11-24T12:00:00.123456789Z', NOON_US + 123_456],
  ['2025-11-24T14:00:00+02:00', NOON_US],
  ['2025-11-24T14:00:00+0200', NOON_US],
  ['2025-11-24T14:00:00+02', NOON_US],
  // As a plus arrives that nobody escaped.
  ['2025-11-24T14:00:00 02:00', NOON_US],
  ['2025-11-24T06:30:00-05:30', NOON_US],
  ['2024-02-29', Date.UTC(2024, 1, 29) * 1000],
  ['0025-01-01', Date.parse('0025-01-01T00:00:00Z') * 1000],
  ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59) * 1000],
];

const MISTAKES: readonly string[] = [
  '',
  ' ',
  'yesterday',
  'NaN',
  'Infinity',
  '-1',
  '+1',
  '1e9',
  '0x10',
  '.5',
  '5.',
  ' 1764000000',
  '1764000000 ',
  // Milliseconds.
  '1764000000123',
  '2025-11',
  '2025-1-1',
  '2025-00-10',
  '2025-13-01',
  '2025-11-00',
  '2025-11-31',
  '2025-02-29',
  '2025-11-24T',
  '2025-11-24T12',
  '2025-11-24Z',
  '2025-11-24T24:00:00Z',
  '2025-11-24T12:60:00Z',
  '2025-11-24T12:00:60Z',
  '2025-11-24T12:00:00.Z',
  '2025-11-24T12:00:00+24:00',
  '2025-11-24T12:00:00+01:60',
  '2025-11-24T12:00:00+1',
  '24.11.2025',
  '2025-11-24T12:00:00Z\n',
  '__proto__',
];

describe('reads', () => {
  for (const [text, timestampUs] of TIMES) {
    test(text, () => assert.equal(parseTime('from', text), timestampUs));
  }
});

describe('refuses, with what would be right,', () => {
  for (const text of MISTAKES) {
    test(JSON.stringify(text), () => {
      assert.throws(() => parseTime('to', text), {
        statusCode: 400,
        code: 'TIME_INVALID',
        message: `Expected to as seconds since the epoch (1764000000.5) or ISO 8601 (2025-11-24T16:00:00.5Z), found "${text}".`,
      });
    });
  }
});

test('a long mistake is not repeated at length', () => {
  assert.throws(
    () => parseTime('from', 'x'.repeat(10_000)),
    (error) => error instanceof QueryError && error.message.length < 250,
  );
});

test('any string is a whole number of microseconds or a mistake', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 14 });
  const nearlyATime = fc
    .tuple(fc.constantFrom(...TIMES), fc.nat({ max: 30 }), fc.string({ maxLength: 3 }), fc.nat({ max: 3 }))
    .map(([[text], at, inserted, removed]) => text.slice(0, at) + inserted + text.slice(at + removed));
  const anyText = fc.oneof(
    fc.string(),
    nearlyATime,
    digits,
    fc.tuple(digits, digits).map((parts) => parts.join('.')),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      try {
        assert.ok(Number.isInteger(parseTime('from', text)));
      } catch (error) {
        assert.ok(error instanceof QueryError, String(error));
        assert.equal(error.statusCode, 400);
      }
    }),
    { numRuns: 5000 },
  );
});

test('what a clock says is read back exactly, in either form', () => {
  const anyTimestampUs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(anyTimestampUs, (timestampUs) => {
      const seconds = Math.floor(timestampUs / 1_000_000);
      const microseconds = String(timestampUs % 1_000_000).padStart(6, '0');
      const iso = new Date(seconds * 1000).toISOString().replace('.000Z', `.${microseconds}Z`);
      assert.equal(parseTime('from', `${seconds}.${microseconds}`), timestampUs);
      assert.equal(parseTime('from', iso), timestampUs);
    }),
  );
});
