import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HistoryError } from '../../shared/errors.ts';
import type { ByteReader } from './byte-reader.ts';
import { columnBytesMax, decodeColumn, encodeColumn } from './column-codec.ts';

const NOW_US = 1_764_000_000_123_456;
const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** Columns of every kind that has a form of its own, and of those where one form ends and the next begins. */
const anyColumn = fc
  .oneof(
    fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 300 }),
    fc.array(fc.integer({ min: -0x80_0000, max: 0xff_ffff }), { maxLength: 100 }),
    fc.array(fc.integer({ min: NOW_US, max: NOW_US + 5000 }), { maxLength: 100 }),
    fc.array(fc.maxSafeInteger(), { maxLength: 60 }),
    fc.array(fc.constantFrom(0, 1, SAFE_MAX, -SAFE_MAX, 2 ** 52, -(2 ** 52), 2 ** 51, 2 ** 30, -(2 ** 30)), {
      maxLength: 60,
    }),
    fc
      .tuple(fc.array(fc.integer({ min: -9999, max: 9999 }), { maxLength: 100 }), fc.nat({ max: 20_000 }))
      .map(([numbers, unit]) => numbers.map((number) => number * unit + 0)),
    fc
      .tuple(fc.array(fc.integer(), { maxLength: 100 }), fc.integer({ min: 1, max: 7 }))
      .map(([numbers, decimals]) => numbers.map((number) => number / 10 ** decimals)),
    fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 60 }),
    fc.array(fc.constantFrom(0, -0, 0.1, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, 1e300), {
      maxLength: 60,
    }),
  )
  .map((numbers) => Float64Array.from(numbers));

/** A column with some more numbers than it needs is a leader. */
const anyLeader = fc.oneof(
  fc.array(fc.maxSafeInteger(), { minLength: 303, maxLength: 303 }),
  fc.array(fc.integer({ min: NOW_US - 1000, max: NOW_US }), { minLength: 303, maxLength: 303 }),
);

function encoded(numbers: Float64Array, leader: Float64Array | null = null, quickly = false): Uint8Array {
  // What is left of earlier columns must not matter.
  const target = new Uint8Array(7 + columnBytesMax(numbers.length)).fill(0xa5);
  return target.slice(7, encodeColumn(numbers, leader, target, 7, quickly));
}

function decoded(bytes: Uint8Array, count: number, leader: Float64Array | null = null): Float64Array {
  const reader: ByteReader = { bytes, at: 0 };
  const numbers = decodeColumn(reader, count, leader);
  assert.equal(reader.at, bytes.length);
  return numbers;
}

function assertSame(found: Float64Array, expected: Float64Array): void {
  assert.deepEqual(new BigUint64Array(found.buffer), new BigUint64Array(expected.slice().buffer));
}

/** The same noise each time: integers from 0 up to but not including `spread`. */
function noise(count: number, spread: number): Float64Array {
  let state = 1;
  return new Float64Array(count).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * spread);
  });
}

test('decoding what was encoded gives every column back, bit for bit', () => {
  fc.assert(
    fc.property(anyColumn, fc.boolean(), (column, quickly) =>
      assertSame(decoded(encoded(column, null, quickly), column.length), column),
    ),
    { numRuns: 3000 },
  );
});

test('a column is given back by its leader, which may be longer', () => {
  fc.assert(
    fc.property(anyColumn, anyLeader, fc.nat({ max: 3 }), fc.boolean(), (column, numbers, more, quickly) => {
      const leader = Float64Array.from(numbers.slice(0, column.length + more));
      assertSame(decoded(encoded(column, leader, quickly), column.length, leader), column);
    }),
    { numRuns: 1000 },
  );
});

test('a column that changes its kind after what the sample of it shows is given back', () => {
  const count = 5000;
  // Steps of years, and as far as integers reach; a double with decimals and one without; -0.
  for (const numbers of [[NOW_US * 2, NOW_US - 1e15], [SAFE_MAX, -SAFE_MAX], [0.1], [Math.PI], [-0]]) {
    for (const at of [0, 300, 2222, count - numbers.length]) {
      const column = noise(count, 1000).map((jitter, index) => NOW_US + index * 20_000 + jitter);
      column.set(numbers, at);
      assertSame(decoded(encoded(column), count), column);
    }
  }
});

test('a column takes what it says', () => {
  const cases: readonly [name: string, column: Float64Array, bytesMax: number][] = [
    ['no number', new Float64Array(0), 0],
    ['one', Float64Array.of(NOW_US), 12],
    ['one that is no integer', Float64Array.of(Math.PI), 20],
    ['the same again and again', new Float64Array(10_000).fill(NOW_US), 20],
    ['a line', new Float64Array(10_000).map((_, index) => NOW_US + index * 20_000), 20],
    ['a line with a step', new Float64Array(10_000).map((_, index) => index + (index > 5000 ? 9 : 0)), 60],
    ['ten bits of noise on a line', noise(80, 1000).map((n, index) => NOW_US + n + index * 1e6), 125],
    ['ten bits of noise', noise(10_000, 1000), 13_200],
    ['that of another unit', noise(10_000, 1000).map((n) => n * 777), 13_200],
    ['that with decimals', noise(10_000, 1000).map((n) => n / 100), 13_200],
    // 0.81 bits each.
    ['one in four', noise(10_000, 4).map((n) => (n === 0 ? 1 : 0)), 1130],
    // Told by the number before alone it takes 10,400.
    ['a wave', noise(10_000, 3).map((n, index) => n + Math.round(1e4 * Math.sin(index / 20))), 4900],
    ['any 64 bits', noise(1000, 2 ** 32).map((n) => Math.sqrt(n)), 8 * 1000 + 64],
  ];
  for (const [name, column, bytesMax] of cases) {
    const { length } = encoded(column);
    assert.ok(length <= bytesMax, `${name}: ${length} bytes`);
    assertSame(decoded(encoded(column), column.length), column);
  }
});

test('a column that is quickly read takes little more', () => {
  const column = noise(10_000, 1000).map((n, index) => n + (index > 5000 ? 100_000 : 0));
  const quick = encoded(column, null, true);
  assertSame(decoded(quick, column.length), column);
  assert.ok(quick.length < 1.1 * encoded(column).length, String(quick.length));
});

test('a column at a steady distance from its leader takes a few bytes', () => {
  const leader = noise(5003, 1000).map((jitter, index) => NOW_US + index * 20_000 + jitter);
  const column = leader.slice(0, 5000).map((timestampUs) => timestampUs + 230);
  assert.ok(encoded(column, leader).length < 20);
});

function assertDecodesOrIsCorrupt(bytes: Uint8Array, count: number, leader: Float64Array | null): void {
  try {
    assert.equal(decodeColumn({ bytes, at: 0 }, count, leader).length, count);
  } catch (error) {
    assert.ok(error instanceof HistoryError, String(error));
    assert.equal(error.code, 'HISTORY_BLOCK_CORRUPT');
  }
}

test('any bytes decode or are said to be corrupt', () => {
  const anyHeader = fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 9 }));
  fc.assert(
    fc.property(anyHeader, fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 100 }), (header, rest, count) => {
      assertDecodesOrIsCorrupt(Uint8Array.from([...header, ...rest]), count, null);
      assertDecodesOrIsCorrupt(Uint8Array.from([...header, ...rest]), count, new Float64Array(100));
    }),
    { numRuns: 3000 },
  );
});

test('a column with a changed byte, cut short or of another count decodes or is said to be corrupt', () => {
  const columns = [noise(500, 40), noise(500, 5000), noise(50, 1000), noise(500, 100).map(Math.sqrt)];
  for (const column of columns) {
    const bytes = encoded(column);
    for (let at = 0; at < bytes.length; at++) {
      assert.throws(() => decodeColumn({ bytes: bytes.subarray(0, at), at: 0 }, column.length, null), {
        code: 'HISTORY_BLOCK_CORRUPT',
      });
      assertDecodesOrIsCorrupt(bytes.with(at, bytes[at]! ^ 0x11), column.length, null);
    }
    for (const count of [1, 49, 501, 2 ** 20]) assertDecodesOrIsCorrupt(bytes, count, null);
  }
});

test('a column that follows a leader is not read without one, or with one too short', () => {
  const leader = noise(100, 1000);
  const bytes = encoded(
    leader.map((number) => number + 5),
    leader,
  );
  for (const wrong of [null, leader.subarray(1)]) {
    assert.throws(() => decodeColumn({ bytes, at: 0 }, 100, wrong), { code: 'HISTORY_BLOCK_CORRUPT' });
  }
});
