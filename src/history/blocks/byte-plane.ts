import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type ByteReader, corrupt, readByte, readVarint, skip, writeVarint } from './byte-reader.ts';

/**
 * How a plane, a byte each of many numbers, is written:
 *
 *   0, a byte     all bytes are this one
 *   1, bytes      as they are
 *   n, n bytes    a zstd frame (RFC 8878) without its header, which says no more than how long the plane is
 */

/** Bytes that a plane may have: its window in zstd, too. */
const PLANE_BYTES_MAX = 2 ** 20;

/** Planes shorter than this gain nothing from zstd. */
const FRAME_BYTES_MIN = 24;

/** Node's least. */
const CHUNK_BYTES_MIN = 64;
/** No plane has a wider window, so a damaged frame may not ask for one. */
const ZSTD_WINDOW = { [constants.ZSTD_d_windowLogMax]: Math.log2(PLANE_BYTES_MAX) };
/**
 * In noise zstd finds short matches by chance that take more room than they save: without them a drive's
 * blocks are 1.4 % smaller. Level 7 would save as little as 0.5 % more.
 */
const ZSTD_PARAMS = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_minMatch]: 7 };

/** Returns where the plane ends. */
export function writePlane(target: Uint8Array, at: number, plane: Uint8Array): number {
  if (isOneByte(plane)) {
    target[at] = 0;
    target[at + 1] = plane[0]!;
    return at + 2;
  }
  const blocks = plane.length < FRAME_BYTES_MIN ? plane : compress(plane);
  const isSmaller = blocks.length < plane.length;
  const start = writeVarint(target, at, isSmaller ? blocks.length : 1);
  target.set(isSmaller ? blocks : plane, start);
  return start + Math.min(blocks.length, plane.length);
}

function isOneByte(plane: Uint8Array): boolean {
  const byte = plane[0];
  for (let index = 1; index < plane.length; index++) if (plane[index] !== byte) return false;
  return true;
}

/** A plane's frame without its header. */
function compress(plane: Uint8Array): Uint8Array {
  // Knowing the size, zstd sets up no more tables than it needs, and Node no second buffer.
  const { length } = plane;
  const frame = zstdCompressSync(plane, {
    params: ZSTD_PARAMS,
    pledgedSrcSize: length,
    chunkSize: length + (length >> 7) + CHUNK_BYTES_MIN,
  });
  const header = frameHeader(length);
  // Another header would be lost: then the plane is better left as it is.
  return header.every((byte, at) => frame[at] === byte) ? frame.subarray(header.length) : plane;
}

const FRAME_MAGIC = [0x28, 0xb5, 0x2f, 0xfd] as const;
const SINGLE_SEGMENT = 1 << 5;
const SIZE_FLAG_SHIFT = 6;

/** The header of a frame of one segment of so many bytes (RFC 8878, 3.1.1.1), which zstd makes where it knows the size. */
function frameHeader(bytes: number): readonly number[] {
  if (bytes < 256) return [...FRAME_MAGIC, SINGLE_SEGMENT, bytes];
  const [flag, size, sizeBytes] = bytes < 65_536 + 256 ? [1, bytes - 256, 2] : [2, bytes, 4];
  const littleEndian = Array.from({ length: sizeBytes }, (_, byte) => (size >>> (8 * byte)) & 255);
  return [...FRAME_MAGIC, SINGLE_SEGMENT | (flag << SIZE_FLAG_SHIFT), ...littleEndian];
}

/** Reads a plane of so many bytes. Throws HistoryError HISTORY_BLOCK_CORRUPT. */
export function readPlane(reader: ByteReader, count: number): Uint8Array {
  const form = readVarint(reader);
  if (form === 0) return new Uint8Array(count).fill(readByte(reader));
  const length = form === 1 ? count : form;
  const start = skip(reader, length);
  const bytes = reader.bytes.subarray(start, start + length);
  return form === 1 ? bytes : decompress(bytes, count);
}

function decompress(blocks: Uint8Array, count: number): Uint8Array {
  const header = frameHeader(count);
  const frame = new Uint8Array(header.length + blocks.length);
  frame.set(header);
  frame.set(blocks, header.length);
  let plane: Uint8Array;
  try {
    // One byte of room more than is asked for tells a plane that is too long.
    plane = zstdDecompressSync(frame, {
      params: ZSTD_WINDOW,
      maxOutputLength: count + 1,
      chunkSize: Math.max(count + 1, CHUNK_BYTES_MIN),
    });
  } catch (cause) {
    throw corrupt('a plane that zstd refuses', cause);
  }
  if (plane.length !== count) throw corrupt(`a plane of ${plane.length} bytes for ${count} numbers`);
  return plane;
}
