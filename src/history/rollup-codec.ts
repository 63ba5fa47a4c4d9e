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
 *   byte  5      1 if least and greatest are told by what they add to the last value, else 0
 *   then         columns: spans, counts, last values, least, greatest, sums (column-codec.ts)
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
  const isLed = last.every(Number.isSafeInteger);
  target[4] = VERSION;
  target[5] = isLed ? 1 : 0;
  const leader = isLed ? last : null;
  let at = encodeColumn(span, null, target, HEADER_BYTES, QUICKLY);
  at = encodeColumn(count, null, target, at, QUICKLY);
  at = encodeColumn(last, null, target, at, QUICKLY);
  at = encodeColumn(min, leader, target, at, QUICKLY);
  at = encodeColumn(max, leader, target, at, QUICKLY);
  at = encodeColumn(sum, null, target, at, QUICKLY);
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
  const last = decodeColumn(reader, spans, null);
  const leader = bytes[5] === 1 ? last : null;
  const min = decodeColumn(reader, spans, leader);
  const max = decodeColumn(reader, spans, leader);
  const sum = decodeColumn(reader, spans, null);
  if (reader.at !== bytes.length) throw corrupt('it goes on after its sums');
  return { span, count, min, max, sum, last };
}

function checksumOf(bytes: Uint8Array, spans: number): number {
  return crc32(bytes.subarray(CRC_BYTES), spans);
}
