import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HistoryError } from '../../shared/errors.ts';
import { decodeChunk, encodeChunk, type SampleColumns } from './chunk-codec.ts';

const UINT32_MAX = 0xffff_ffff;
const NOW_US = 1_764_000_000_123_456;

const anyTimestampUs = fc.oneof(
  // Close together, as samples are; a little 16 seconds and over an hour apart, where narrower forms end; and anywhere.
  fc.integer({ min: NOW_US, max: NOW_US + 1000 }),
  fc.constantFrom(NOW_US, ...[0xff_ffff, UINT32_MAX].flatMap((most) => [NOW_US + most, NOW_US + most + 1])),
  fc.maxSafeInteger(),
);

const anyRawValue = fc.oneof(
  fc.integer(),
  fc.constantFrom(-0, 0x7fff_ffff, 0x8000_0000, -0x8000_0000, -0x8000_0001),
  fc.constantFrom(0x7f_ffff, 0x80_0000, -0x80_0000, -0x80_0001, -1),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

const anySample = fc.tuple(anyTimestampUs, anyRawValue, fc.integer({ min: 0, max: 0xffff }));
const anySamples = fc.array(anySample, { maxLength: 60 });
/** Samples of which all fit the narrower forms, of 32 bits and of 24. */
const narrowSamples = fc
  .constantFrom(32, 24)
  .chain((bits) =>
    fc.array(
      fc.tuple(
        fc.integer({ min: NOW_US, max: NOW_US + 2 ** bits - 1 }),
        fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }),
        fc.integer({ min: 0, max: bits === 32 ? 256 : 255 }),
      ),
      { maxLength: 60 },
    ),
  );

function columnsOf(samples: readonly (readonly [number, number, number])[]): SampleColumns {
  return {
    timestampUs: Float64Array.from(samples, ([timestampUs]) => timestampUs),
    rawValue: Float64Array.from(samples, ([, rawValue]) => rawValue),
    series: Uint32Array.from(samples, ([, , series]) => series),
  };
}

/** The same bytes at another address. */
function movedBy(offset: number, bytes: Uint8Array): Uint8Array {
  const moved = new Uint8Array(bytes.length + offset).subarray(offset);
  moved.set(bytes);
  return moved;
}

function assertSame(decoded: SampleColumns, columns: SampleColumns): void {
  assert.deepEqual(decoded.timestampUs, columns.timestampUs);
  // deepEqual tells -0 from 0.
  assert.deepEqual(decoded.rawValue, columns.rawValue);
  assert.deepEqual(Array.from(decoded.series), Array.from(columns.series));
}

test('decoding what was encoded gives every column back, wherever the bytes lie', () => {
  fc.assert(
    fc.property(fc.oneof(anySamples, narrowSamples), fc.nat({ max: 9 }), (samples, offset) => {
      const columns = columnsOf(samples);
      const firstUs = columns.timestampUs[0] ?? 0;
      const chunk = movedBy(offset, encodeChunk(columns).bytes);
      assertSame(decodeChunk(chunk, samples.length, firstUs), columns);
      // A Buffer's slice shares its memory, which a Uint8Array's doesn't.
      const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      assertSame(decodeChunk(buffer, samples.length, firstUs), columns);
    }),
    { numRuns: 1000 },
  );
});

test('ordinary samples take 7 bytes each, those of a large or slow vehicle 10, and any others up to 18', () => {
  const ordinary = Array.from({ length: 1000 }, (_, index) => [NOW_US + index * 100, index, index % 120]);
  const size = (samples: readonly number[][]) =>
    encodeChunk(columnsOf(samples as [number, number, number][])).bytes.byteLength;
  assert.equal(size(ordinary), 8 + 7 * 1000);
  assert.equal(size([...ordinary, [NOW_US + 2 ** 24, 2 ** 23, 256]]), 8 + 4 + 4 + 10 * 1001);
  assert.equal(size([...ordinary, [NOW_US - 1, 0.5, 256]]), 8 + 18 * 1001);
});

function assertDecodesOrIsCorrupt(chunk: Uint8Array, count: number): void {
  try {
    assert.equal(decodeChunk(chunk, count, NOW_US).series.length, count);
  } catch (error) {
    assert.ok(error instanceof HistoryError, String(error));
    assert.equal(error.code, 'HISTORY_CHUNK_CORRUPT');
  }
}

test('a chunk cut anywhere is corrupt', () => {
  const columns = columnsOf([
    [NOW_US, 1, 2],
    [NOW_US + 5, -0, 7],
    [NOW_US + 3, 2, 65_535],
  ]);
  const chunk = encodeChunk(columns).bytes;
  for (let bytes = 0; bytes < chunk.length; bytes++) {
    assert.throws(() => decodeChunk(chunk.subarray(0, bytes), 3, NOW_US), { code: 'HISTORY_CHUNK_CORRUPT' });
  }
});

test('any bytes decode or are said to be corrupt', () => {
  const anyHeader = fc.tuple(
    fc.integer({ min: 0, max: 2 }),
    fc.nat({ max: 3 }),
    fc.nat({ max: 3 }),
    fc.nat({ max: 2 }),
  );
  const anyCount = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(-1, 2 ** 28, 2 ** 29, 2 ** 31, 2 ** 53 - 1));
  fc.assert(
    fc.property(anyHeader, fc.uint8Array({ maxLength: 400 }), anyCount, (header, rest, count) => {
      assertDecodesOrIsCorrupt(rest, count);
      assertDecodesOrIsCorrupt(Uint8Array.from([...header, 0, 0, 0, 0, ...rest]), count);
    }),
    { numRuns: 2000 },
  );
});

test('a changed byte is said to be corrupt, and another count decodes or is', () => {
  fc.assert(
    fc.property(
      anySamples,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.nat({ max: 70 }),
      (samples, at, bits, count) => {
        const chunk = encodeChunk(columnsOf(samples)).bytes;
        assertDecodesOrIsCorrupt(chunk, count);
        chunk[at % chunk.length]! ^= bits;
        assert.throws(() => decodeChunk(chunk, samples.length, NOW_US), { code: 'HISTORY_CHUNK_CORRUPT' });
      },
    ),
  );
});

test('a chunk of before there were checksums is read', () => {
  const columns = columnsOf([[NOW_US, 1, 2]]);
  const { bytes } = encodeChunk(columns);
  bytes.fill(0, 4, 8);
  assertSame(decodeChunk(bytes, 1, NOW_US), columns);
});
