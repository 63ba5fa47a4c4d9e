import { readPlane, writePlane } from './byte-plane.ts';
import { type ByteReader, corrupt, readByte, skip } from './byte-reader.ts';

/**
 * How residuals, integers that are mostly small, are packed. A zigzag residual is 2 r, or -2 r - 1 if r is
 * negative.
 *
 *   NOTHING  every residual is 0
 *   GROUPS   for each GROUP_COUNT of them a width in bits (1 byte), then so many bits of each zigzag residual,
 *            the lowest first: next to no work to read
 *   NARROW   width in bits (1 byte: 1, 2 or 4), then so many bits of each zigzag residual, the lowest first, as
 *            a plane (byte-plane.ts): a code for several at a time spends less than a bit on each
 *   PLANES   number of planes (1 byte), then the lowest bytes of all zigzag residuals, their second bytes and
 *            so on, each a plane
 */
export const PACKING = { NOTHING: 0, GROUPS: 1, NARROW: 2, PLANES: 3 } as const;
export type Packing = (typeof PACKING)[keyof typeof PACKING];

/** Residuals reach no further than this, their sign aside, so that all can be done with doubles. */
export const RESIDUAL_MAX = 2 ** 52;

/** Room for each residual that packResiduals needs in its target, in bytes, and for all together. */
export const PACKED_BYTES_EACH = 8;
export const PACKED_BYTES_EXTRA = 40;

const GROUP_COUNT = 64;
const GROUP_WIDTH_MAX = 24;
const NARROW_WIDTH_MAX = 4;
const INTEGER_PLANES_MAX = 7;
/** What a plane takes besides what it says: its length, and a frame's header and table. */
const FRAME_BYTES = 20;

/** What packing comes to. */
export interface Packed {
  readonly packing: Packing;
  /** Where it ends. */
  readonly end: number;
}

let planes = new Uint8Array(0);

function reservePlanes(bytes: number): void {
  if (planes.length < bytes) planes = new Uint8Array(2 * bytes);
}

/**
 * Packs the first `count` residuals, of which `largest` is the largest, its sign aside. `quickly`: so that they
 * are quickly read, at the price of some room.
 */
export function packResiduals(
  residuals: Float64Array,
  count: number,
  largest: number,
  target: Uint8Array,
  at: number,
  quickly: boolean,
): Packed {
  const width = zigzagWidth(largest);
  if (width === 0) return { packing: PACKING.NOTHING, end: at };
  const inGroups = width <= GROUP_WIDTH_MAX ? groupsBytes(residuals, count) : Number.POSITIVE_INFINITY;
  if (!quickly || inGroups === Number.POSITIVE_INFINITY) {
    const isNarrow = width <= NARROW_WIDTH_MAX;
    const end = isNarrow
      ? writeNarrow(residuals, count, width, target, at)
      : writePlanes(residuals, count, width, target, at);
    if (end - at < inGroups) return { packing: isNarrow ? PACKING.NARROW : PACKING.PLANES, end };
  }
  return { packing: PACKING.GROUPS, end: writeGroups(residuals, count, target, at) };
}

/**
 * About how many bytes `count` residuals take if they are like the first `sampled` ones. It goes by the entropy of
 * each plane: zstd comes close to it, or goes below where runs repeat.
 */
export function estimatePackedBytes(
  residuals: Float64Array,
  sampled: number,
  largest: number,
  count: number,
): number {
  if (largest > RESIDUAL_MAX) return Number.POSITIVE_INFINITY;
  const width = zigzagWidth(largest);
  if (width === 0) return 0;
  const planeCount = splitIntoPlanes(residuals, sampled, width);
  let bytes = 1;
  for (let plane = 0; plane < planeCount; plane++) {
    const bits = entropyBits(planes.subarray(plane * sampled, (plane + 1) * sampled));
    bytes += bits === 0 ? 2 : Math.min(count + 1, (bits / 8) * (count / sampled) + FRAME_BYTES);
  }
  if (width > GROUP_WIDTH_MAX) return bytes;
  return Math.min(bytes, groupsBytes(residuals, sampled) * (count / sampled));
}

/** Reads as many residuals as there is room for. Throws HistoryError HISTORY_BLOCK_CORRUPT. */
export function unpackResiduals(reader: ByteReader, packing: number, residuals: Float64Array): void {
  if (packing === PACKING.PLANES) readPlanes(reader, residuals);
  else if (packing === PACKING.NARROW) readNarrow(reader, residuals);
  else if (packing === PACKING.GROUPS) readGroups(reader, residuals);
  else residuals.fill(0);
}

function zigzagWidth(largest: number): number {
  if (largest === 0) return 0;
  if (largest < 2 ** 30) return 33 - Math.clz32(largest);
  return 33 + (32 - Math.clz32(largest / 2 ** 32));
}

function groupWidth(residuals: Float64Array, start: number, end: number): number {
  let union = 0;
  for (let index = start; index < end; index++) {
    const residual = residuals[index]! | 0;
    union |= (residual << 1) ^ (residual >> 31);
  }
  return 32 - Math.clz32(union);
}

function groupsBytes(residuals: Float64Array, count: number): number {
  let bytes = 0;
  for (let start = 0; start < count; start += GROUP_COUNT) {
    const end = Math.min(count, start + GROUP_COUNT);
    bytes += 1 + bytesOfBits((end - start) * groupWidth(residuals, start, end));
  }
  return bytes;
}

function bytesOfBits(bits: number): number {
  return (bits + 7) >>> 3;
}

function writeGroups(residuals: Float64Array, count: number, target: Uint8Array, at: number): number {
  for (let start = 0; start < count; start += GROUP_COUNT) {
    const end = Math.min(count, start + GROUP_COUNT);
    const width = groupWidth(residuals, start, end);
    target[at] = width;
    at = writeBits(residuals, start, end, width, target, at + 1);
  }
  return at;
}

function readGroups(reader: ByteReader, residuals: Float64Array): void {
  const { length: count } = residuals;
  for (let start = 0; start < count; start += GROUP_COUNT) {
    const end = Math.min(count, start + GROUP_COUNT);
    const width = readByte(reader);
    if (width > GROUP_WIDTH_MAX) throw corrupt(`numbers of ${width} bits`);
    const at = skip(reader, bytesOfBits((end - start) * width));
    readBits(reader.bytes, at, width, residuals, start, end);
  }
}

function writeNarrow(
  residuals: Float64Array,
  count: number,
  width: number,
  target: Uint8Array,
  at: number,
): number {
  const wide = width === 3 ? 4 : width;
  reservePlanes(count);
  const length = writeBits(residuals, 0, count, wide, planes, 0);
  target[at] = wide;
  return writePlane(target, at + 1, planes.subarray(0, length));
}

function readNarrow(reader: ByteReader, residuals: Float64Array): void {
  const { length: count } = residuals;
  const width = readByte(reader);
  if (width !== 1 && width !== 2 && width !== 4) throw corrupt(`narrow numbers of ${width} bits`);
  const plane = readPlane(reader, bytesOfBits(count * width));
  const mask = (1 << width) - 1;
  for (let index = 0, at = 0; index < count; at++) {
    let bits = plane[at]!;
    const end = Math.min(count, index + 8 / width);
    for (; index < end; index++) {
      const unsigned = bits & mask;
      residuals[index] = (unsigned >>> 1) ^ -(unsigned & 1);
      bits >>>= width;
    }
  }
}

function writeBits(
  residuals: Float64Array,
  start: number,
  end: number,
  width: number,
  target: Uint8Array,
  at: number,
): number {
  let bits = 0;
  let bitCount = 0;
  for (let index = start; index < end; index++) {
    const residual = residuals[index]! | 0;
    bits |= ((residual << 1) ^ (residual >> 31)) << bitCount;
    bitCount += width;
    while (bitCount >= 8) {
      target[at++] = bits;
      bits >>>= 8;
      bitCount -= 8;
    }
  }
  if (bitCount > 0) target[at++] = bits;
  return at;
}

function readBits(
  bytes: Uint8Array,
  at: number,
  width: number,
  residuals: Float64Array,
  start: number,
  end: number,
): void {
  const mask = 2 ** width - 1;
  let bits = 0;
  let bitCount = 0;
  for (let index = start; index < end; index++) {
    while (bitCount < width) {
      bits |= bytes[at++]! << bitCount;
      bitCount += 8;
    }
    const unsigned = bits & mask;
    bits >>>= width;
    bitCount -= width;
    residuals[index] = (unsigned >>> 1) ^ -(unsigned & 1);
  }
}

const histogram = new Uint32Array(256);

function entropyBits(plane: Uint8Array): number {
  histogram.fill(0);
  for (let index = 0; index < plane.length; index++) histogram[plane[index]!]!++;
  let bits = plane.length * Math.log2(plane.length);
  for (let byte = 0; byte < 256; byte++) {
    const occurrences = histogram[byte]!;
    if (occurrences > 1) bits -= occurrences * Math.log2(occurrences);
  }
  return bits;
}

function writePlanes(
  residuals: Float64Array,
  count: number,
  width: number,
  target: Uint8Array,
  at: number,
): number {
  const planeCount = splitIntoPlanes(residuals, count, width);
  target[at++] = planeCount;
  for (let plane = 0; plane < planeCount; plane++) {
    at = writePlane(target, at, planes.subarray(plane * count, (plane + 1) * count));
  }
  return at;
}

/** Splits the zigzag residuals, so many bits wide, into `planes`; returns how many there are. */
function splitIntoPlanes(residuals: Float64Array, count: number, width: number): number {
  const planeCount = Math.ceil(width / 8);
  reservePlanes(planeCount * count);
  if (planeCount === 1) {
    for (let index = 0; index < count; index++) {
      const residual = residuals[index]! | 0;
      planes[index] = (residual << 1) ^ (residual >> 31);
    }
    return 1;
  }
  if (width <= 31) {
    for (let index = 0; index < count; index++) {
      const residual = residuals[index]! | 0;
      const unsigned = (residual << 1) ^ (residual >> 31);
      planes[index] = unsigned;
      planes[count + index] = unsigned >> 8;
      let rest = unsigned >> 16;
      for (let at = 2 * count + index; at < planeCount * count; at += count) {
        planes[at] = rest;
        rest >>= 8;
      }
    }
    return planeCount;
  }
  for (let index = 0; index < count; index++) {
    let rest = zigzag(residuals[index]!);
    for (let at = index; at < planeCount * count; at += count) {
      planes[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  }
  return planeCount;
}

function zigzag(residual: number): number {
  return residual < 0 ? -2 * residual - 1 : 2 * residual;
}

function readPlanes(reader: ByteReader, residuals: Float64Array): void {
  const { length: count } = residuals;
  const planeCount = readByte(reader);
  if (planeCount < 1 || planeCount > INTEGER_PLANES_MAX) throw corrupt(`${planeCount} planes of integers`);
  const low = readPlane(reader, count);
  if (planeCount === 1) {
    for (let index = 0; index < count; index++) {
      const unsigned = low[index]!;
      residuals[index] = (unsigned >>> 1) ^ -(unsigned & 1);
    }
    return;
  }
  const second = readPlane(reader, count);
  if (planeCount === 2) {
    for (let index = 0; index < count; index++) {
      const unsigned = low[index]! | (second[index]! << 8);
      residuals[index] = (unsigned >>> 1) ^ -(unsigned & 1);
    }
    return;
  }
  for (let index = 0; index < count; index++) residuals[index] = low[index]! | (second[index]! << 8);
  for (let plane = 2; plane < planeCount; plane++) {
    const bytes = readPlane(reader, count);
    const weight = 256 ** plane;
    for (let index = 0; index < count; index++) residuals[index] = residuals[index]! + bytes[index]! * weight;
  }
  for (let index = 0; index < count; index++) {
    const unsigned = residuals[index]!;
    residuals[index] = unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  }
}
