import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { type ByteReader, corrupt } from './byte-reader.ts';
import { columnBytesMax, decodeColumn, encodeColumn, estimateColumnBytes } from './column-codec.ts';

/**
 * How the samples of one series over a span of time are written: a block. It is read by those who know how
 * many samples it has and, if it follows a leader, that one's clock.
 *
 *   bytes 0..3   CRC-32 of all that follows and of the count of samples
 *   byte  4      version (1)
 *   byte  5      1 if the block follows a leader, else 0
 *   bytes 6..9   bytes of the clock: sequence numbers and timestamps
 *   then         if it follows a leader: CRC-32 that tells that one by its length and its ends
 *   then         columns: sequence numbers, timestamps, raw values (column-codec.ts)
 *
 * A leader is another block of the same span whose samples were sent in the same bursts: sample by sample
 * the one's clock is the other's and a bit, which takes half the room that timestamps take by themselves.
 * It has as many samples as the block or more. All is little-endian.
 */
const VERSION = 1;
const CRC_BYTES = 4;
const HEADER_BYTES = 10;
const LEADER_BYTES = 4;

/** Samples that a block may have. */
export const BLOCK_SAMPLES_MAX = 2 ** 20;

/** Columns of equal length; seq is increasing. Timestamps and seq are safe integers, values any finite doubles. */
export interface BlockColumns extends BlockClock {
  readonly rawValue: Float64Array;
}

/** When the samples of a series came. */
export interface BlockClock {
  readonly seq: Float64Array;
  readonly timestampUs: Float64Array;
}

/**
 * Writes a block of up to BLOCK_SAMPLES_MAX samples: sequence numbers and timestamps are safe integers,
 * values are finite. With a leader, the block can only be read with it.
 */
export function encodeBlock(columns: BlockColumns, leader?: BlockClock): Uint8Array {
  const { seq, timestampUs, rawValue } = columns;
  const count = seq.length;
  assert(count <= BLOCK_SAMPLES_MAX && timestampUs.length === count && rawValue.length === count);
  assert(leader === undefined || leader.seq.length >= count, 'a leader is as long as those who follow it');
  const target = scratchOf(HEADER_BYTES + LEADER_BYTES + 3 * columnBytesMax(count));
  const header = new DataView(target.buffer);
  header.setUint8(4, VERSION);
  header.setUint8(5, leader === undefined ? 0 : 1);
  let at = HEADER_BYTES;
  if (leader !== undefined) {
    header.setUint32(HEADER_BYTES, signatureOf(leader), true);
    at += LEADER_BYTES;
  }
  const clockAt = at;
  at = encodeColumn(seq, leader?.seq ?? null, target, at);
  at = encodeColumn(timestampUs, leader?.timestampUs ?? null, target, at);
  header.setUint32(6, at - clockAt, true);
  at = encodeColumn(rawValue, null, target, at);
  header.setUint32(0, checksumOf(target.subarray(0, at), count), true);
  return target.slice(0, at);
}

/**
 * About how many bytes encodeBlock would take for the clock, with a leader or without: to choose a leader
 * by, at a fraction of the work.
 */
export function estimateClockBytes({ seq, timestampUs }: BlockClock, leader?: BlockClock): number {
  const bytes =
    estimateColumnBytes(seq, leader?.seq ?? null) +
    estimateColumnBytes(timestampUs, leader?.timestampUs ?? null);
  return leader === undefined ? bytes : bytes + LEADER_BYTES;
}

/**
 * Reads what encodeBlock wrote. `leader` is needed if the block was written with one, and isn't looked at
 * otherwise. The columns are written into `into`, of `count` samples, or are new. Throws HistoryError
 * HISTORY_BLOCK_CORRUPT.
 */
export function decodeBlock(
  block: Uint8Array,
  count: number,
  leader?: BlockClock,
  into?: BlockColumns,
): BlockColumns {
  const { reader, valuesAt, isLed } = openBlock(block, count);
  const clock = readClock(reader, count, isLed, leader, into);
  if (reader.at !== valuesAt) throw corrupt('the clock is of another length than the header says');
  return { ...clock, rawValue: readValues(reader, count, into?.rawValue) };
}

/** Reads the clock alone, as decodeBlock does. */
export function decodeClock(block: Uint8Array, count: number, leader?: BlockClock): BlockClock {
  const { reader, valuesAt, isLed } = openBlock(block, count);
  const clock = readClock(reader, count, isLed, leader);
  if (reader.at !== valuesAt) throw corrupt('the clock is of another length than the header says');
  return clock;
}

/** Reads the raw values alone, which needs no leader. Throws as decodeBlock does. */
export function decodeValues(block: Uint8Array, count: number): Float64Array {
  const { reader, valuesAt } = openBlock(block, count);
  reader.at = valuesAt;
  return readValues(reader, count);
}

interface OpenBlock {
  /** Stands behind the fixed part of the header. */
  readonly reader: ByteReader;
  readonly valuesAt: number;
  readonly isLed: boolean;
}

function openBlock(block: Uint8Array, count: number): OpenBlock {
  if (!(Number.isInteger(count) && count >= 0 && count <= BLOCK_SAMPLES_MAX)) {
    throw corrupt(`expected up to ${BLOCK_SAMPLES_MAX} samples, found ${count}`);
  }
  if (block.length < HEADER_BYTES) throw corrupt(`${block.length} bytes are too few`);
  const header = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const version = header.getUint8(4);
  const form = header.getUint8(5);
  if (version !== VERSION) throw corrupt(`expected version ${VERSION}, found ${version}`);
  if (form > 1) throw corrupt(`unknown form ${form}`);
  if (header.getUint32(0, true) !== checksumOf(block, count)) {
    throw corrupt(`the checksum isn't that of ${block.length} bytes for ${count} samples`);
  }
  const isLed = form === 1;
  const valuesAt = HEADER_BYTES + (isLed ? LEADER_BYTES : 0) + header.getUint32(6, true);
  return { reader: { bytes: block, at: HEADER_BYTES }, valuesAt, isLed };
}

function readClock(
  reader: ByteReader,
  count: number,
  isLed: boolean,
  leader: BlockClock | undefined,
  into?: BlockClock,
): BlockClock {
  if (!isLed) {
    return {
      seq: decodeColumn(reader, count, null, into?.seq),
      timestampUs: decodeColumn(reader, count, null, into?.timestampUs),
    };
  }
  if (leader === undefined) throw corrupt('it follows a leader, and there is none');
  const { buffer, byteOffset, byteLength } = reader.bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  if (
    byteLength < HEADER_BYTES + LEADER_BYTES ||
    view.getUint32(HEADER_BYTES, true) !== signatureOf(leader)
  ) {
    throw corrupt('it follows another leader');
  }
  reader.at += LEADER_BYTES;
  return {
    seq: decodeColumn(reader, count, leader.seq, into?.seq),
    timestampUs: decodeColumn(reader, count, leader.timestampUs, into?.timestampUs),
  };
}

function readValues(reader: ByteReader, count: number, into?: Float64Array): Float64Array {
  if (reader.at > reader.bytes.length) throw corrupt('the values lie beyond its end');
  const rawValue = decodeColumn(reader, count, null, into);
  if (reader.at !== reader.bytes.length) throw corrupt('it goes on after its values');
  return rawValue;
}

const signature = new Float64Array(5);
const signatureBytes = new Uint8Array(signature.buffer);

function signatureOf({ seq, timestampUs }: BlockClock): number {
  const last = seq.length - 1;
  signature[0] = seq.length;
  signature[1] = seq[0] ?? 0;
  signature[2] = seq[last] ?? 0;
  signature[3] = timestampUs[0] ?? 0;
  signature[4] = timestampUs[last] ?? 0;
  return crc32(signatureBytes);
}

function checksumOf(block: Uint8Array, count: number): number {
  return crc32(block.subarray(CRC_BYTES), count);
}

let scratch = new Uint8Array(0);

function scratchOf(bytes: number): Uint8Array {
  if (scratch.length < bytes) scratch = new Uint8Array(2 * bytes);
  return scratch;
}
