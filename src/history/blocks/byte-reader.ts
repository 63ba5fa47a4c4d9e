import { HistoryError } from '../../shared/errors.ts';

/**
 * Numbers in a block's bytes. A varint has 7 bits a byte, the lowest first; the first byte of a signed one has
 * the sign in its lowest bit.
 */

/** Where in a block's bytes the next column is read; it moves on with each. */
export interface ByteReader {
  readonly bytes: Uint8Array;
  at: number;
}

/** Writes a safe integer that isn't negative; returns where it ends. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value > 127) {
    target[at++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  target[at++] = value;
  return at;
}

/** Writes a safe integer; returns where it ends. */
export function writeSigned(target: Uint8Array, at: number, value: number): number {
  const size = Math.abs(value);
  const rest = Math.floor(size / 64);
  target[at++] = (value < 0 ? 1 : 0) | ((size % 64) << 1) | (rest > 0 ? 128 : 0);
  return rest > 0 ? writeVarint(target, at, rest) : at;
}

export function readByte(reader: ByteReader): number {
  return reader.bytes[skip(reader, 1)]!;
}

/** Passes over bytes; returns where they start. */
export function skip(reader: ByteReader, bytes: number): number {
  const start = reader.at;
  const left = reader.bytes.length - start;
  if (bytes > left) throw corrupt(`a column goes on for ${bytes} bytes where ${left} are left`);
  reader.at += bytes;
  return start;
}

export function readVarint(reader: ByteReader): number {
  return readVarintFrom(reader, 0, 1);
}

export function readSigned(reader: ByteReader): number {
  const byte = readByte(reader);
  const low = (byte >> 1) & 63;
  const size = (byte & 128) === 0 ? low : readVarintFrom(reader, low, 64);
  return (byte & 1) === 0 ? size : -size;
}

function readVarintFrom(reader: ByteReader, low: number, lowWeight: number): number {
  let value = low;
  let weight = lowWeight;
  let byte: number;
  do {
    byte = readByte(reader);
    value += (byte & 127) * weight;
    weight *= 128;
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt('a number beyond 2^53');
  } while (byte > 127);
  return value;
}

/** Something in a block's bytes isn't as encodeBlock writes it. */
export function corrupt(what: string, cause?: unknown): HistoryError {
  const options = cause === undefined ? undefined : { cause };
  return new HistoryError('HISTORY_BLOCK_CORRUPT', `A block of samples can't be read: ${what}.`, options);
}
