import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { type ByteReader, corrupt } from './byte-reader.ts';
import { COLUMN_COUNT_MAX, columnBytesMax, decodeColumn, encodeColumn } from './column-codec.ts';
import type { Rollup } from './rollup-builder.ts';

/**
 * How a rollup is written. It is read by those who know how many spans it has.
 *
 *   bytes 0..3   CRC-32 of all that follows and of the count of spans
 *   byte  4      version (1)
 *   byte  5      1 if the last three columns are told by what they add to a guess, else 0
 *   then         columns: spans, counts, least, greatest, sums, last values (column-codec.ts)
 *
 * The guesses are, each rounded: of the greatest, the least; of the sum, as many as there are in the middle between
 * these; of the last, the mean.
 *
 * All is little-endian.
 */
const VERSION = 1;
const CRC_BYTES = 4;
const HEADER_BYTES = 6;

/** A plot reads hundreds of rollups for each line: zstd would take most of its time, for a tenth of their room. */
const QUICKLY = true;

/** Spans that a rollup may have. */
export const ROLLUP_SPANS_MAX = COLUMN_COUNT_MAX;

/** Writes a rollup of up to ROLLUP_SPANS_MAX spans. */
export function encodeRollup({ span, count, min, max, sum, last }: Rollup): Uint8Array {
  const spans = span.length;
  assert(spans <= ROLLUP_SPANS_MAX);
  const target = new Uint8Array(HEADER_BYTES + 6 * columnBytesMax(spans));
  // Only integers lead.
  const isLed = min.every(Number.isSafeInteger) && sumGuess(count, min, max).every(Number.isSafeInteger);
  target[4] = VERSION;
  target[5] = isLed ? 1 : 0;
  let at = encodeColumn(span, null, target, HEADER_BYTES, QUICKLY);
  at = encodeColumn(count, null, target, at, QUICKLY);
  at = encodeColumn(min, null, target, at, QUICKLY);
  at = encodeColumn(max, isLed ? min : null, target, at, QUICKLY);
  at = encodeColumn(sum, isLed ? sumGuess(count, min, max) : null, target, at, QUICKLY);
  at = encodeColumn(last, isLed ? lastGuess(count, sum) : null, target, at, QUICKLY);
  const bytes = target.slice(0, at);
  new DataView(bytes.buffer).setUint32(0, checksumOf(bytes, spans), true);
  return bytes;
}

/** Reads what encodeRollup wrote. Throws HistoryError HISTORY_BLOCK_CORRUPT. */
export function decodeRollup(bytes: Uint8Array, spans: number): Rollup {
  if (!(Number.isInteger(spans) && spans >= 0 && spans <= ROLLUP_SPANS_MAX)) {
    throw corrupt(`expected up to ${ROLLUP_SPANS_MAX} spans, found ${spans}`);
  }
  if (bytes.length < HEADER_BYTES) throw corrupt(`${bytes.length} bytes are too few`);
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  if (bytes[4] !== VERSION) throw corrupt(`expected version ${VERSION}, found ${bytes[4]}`);
  if (stored !== checksumOf(bytes, spans)) {
    throw corrupt(`the checksum isn't that of ${bytes.length} bytes for ${spans} spans`);
  }
  const reader: ByteReader = { bytes, at: HEADER_BYTES };
  const span = decodeColumn(reader, spans, null);
  const count = decodeColumn(reader, spans, null);
  const min = decodeColumn(reader, spans, null);
  const isLed = bytes[5] === 1;
  const max = decodeColumn(reader, spans, isLed ? min : null);
  const sum = decodeColumn(reader, spans, isLed ? sumGuess(count, min, max) : null);
  const last = decodeColumn(reader, spans, isLed ? lastGuess(count, sum) : null);
  if (reader.at !== bytes.length) throw corrupt('it goes on after its last column');
  return { span, count, min, max, sum, last };
}

function sumGuess(count: Float64Array, min: Float64Array, max: Float64Array): Float64Array {
  const guess = new Float64Array(count.length);
  for (let at = 0; at < guess.length; at++) guess[at] = Math.round((count[at]! * (min[at]! + max[at]!)) / 2);
  return guess;
}

function lastGuess(count: Float64Array, sum: Float64Array): Float64Array {
  const guess = new Float64Array(count.length);
  for (let at = 0; at < guess.length; at++) guess[at] = Math.round(sum[at]! / count[at]!);
  return guess;
}

function checksumOf(bytes: Uint8Array, spans: number): number {
  return crc32(bytes.subarray(CRC_BYTES), spans);
}
