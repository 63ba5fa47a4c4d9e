import assert from 'node:assert/strict';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HistoryError } from '../shared/errors.ts';

/**
 * How a column of numbers is written: each is told by what the ones before it let expect, and what is left
 * over (the residual) is packed as narrow as it is. Every form is exact, bit for bit.
 *
 *   byte 0       bits 0..1  prediction (PREDICTION)
 *                bit  2     residuals of LEADER: the leader's number at the same index is subtracted first;
 *                           of BITS: each number's bits are XORed with those of the one before
 *                bits 3..4  packing (PACKING)
 *                bits 5..7  0 to 6: decimals, the numbers are these integers divided by 10 to this power;
 *                           7: the numbers are these integers, or what they add to the leader's, times a unit
 *   then         unit       signed varint; only with 7
 *                base       signed varint; not with BITS
 *                first      signed varint; only with DELTA and LINE
 *   then         the packed residuals
 *
 *   PLAIN    residual i = number i - base
 *   DELTA    residual i = number i - number i-1 - base, and of the first 0
 *   LINE     residual i = number i - first - i × base
 *   BITS     no residuals but the 64 bits of each double: for what isn't integers
 *
 *   NOTHING  every residual is 0
 *   PACKED   width in bits (1 byte), then so many bits of each zigzag residual, the lowest first
 *   PLANES   number of planes (1 byte), then the lowest bytes of all zigzag residuals, their second bytes
 *            and so on, each of these planes as
 *              0, a byte     all bytes are this one
 *              1, bytes      as they are
 *              n, n bytes    a zstd frame
 *
 * A zigzag residual is 2 r, or -2 r - 1 if r is negative. Varints have 7 bits a byte, the lowest first; the
 * first byte of a signed one has the sign in its lowest bit. Residuals reach no further than ±2^52, so that
 * all of this can be done with doubles; a column that would need more is written as BITS.
 */
const PREDICTION = { PLAIN: 0, DELTA: 1, LINE: 2, BITS: 3 } as const;
const PACKING = { NOTHING: 0, PACKED: 1, PLANES: 2 } as const;
type Prediction = (typeof PREDICTION)[keyof typeof PREDICTION];
type Packing = (typeof PACKING)[keyof typeof PACKING];

const PREDICTION_MASK = 0b11;
const LEADER_FLAG = 1 << 2;
const PACKING_SHIFT = 3;
const PACKING_MASK = 0b11;
const DECIMALS_SHIFT = 5;
const DECIMALS_MAX = 6;
const DECIMALS_UNIT = 7;

/** Numbers that a column may have. */
export const COLUMN_COUNT_MAX = 2 ** 20;

const RESIDUAL_MAX = 2 ** 52;
const BASE_MAX = 2 ** 51;
const DOUBLE_BYTES = 8;
const PACKED_WIDTH_MAX = 24;
const INTEGER_PLANES_MAX = 7;

/** What a plane takes besides what it says: its length, and a frame's header and table. */
const FRAME_BYTES = 20;
/** Planes shorter than this gain nothing from zstd. */
const FRAME_BYTES_MIN = 24;
/** Numbers that the median is taken of, and that show whether all have a divisor in common. */
const MEDIAN_SAMPLES = 63;
/** Of a longer column, so many runs of so many numbers tell which prediction is best. */
const ESTIMATE_RUNS = 8;
const ESTIMATE_RUN_COUNT = 256;
const ESTIMATE_COUNT = ESTIMATE_RUNS * ESTIMATE_RUN_COUNT;

/** Bytes that a column takes at most, for those who give it room. */
export function columnBytesMax(count: number): number {
  return count * DOUBLE_BYTES + 64;
}

// Scratch columns, shared by all calls: none of them waits for anything.
let scratchCount = 0;
let integers = new Float64Array(0);
let offsets = new Float64Array(0);
let residuals = new Float64Array(0);
let planes = new Uint8Array(0);

function reserveScratch(count: number): void {
  if (count <= scratchCount) return;
  scratchCount = Math.min(COLUMN_COUNT_MAX, Math.max(4096, 2 * count));
  integers = new Float64Array(scratchCount);
  offsets = new Float64Array(scratchCount);
  residuals = new Float64Array(scratchCount);
  planes = new Uint8Array(scratchCount * DOUBLE_BYTES);
}

/** How the integers of a column are best foretold, and about how many bytes that leaves. */
interface Plan {
  readonly prediction: Prediction;
  readonly base: number;
  readonly bytes: number;
}

/**
 * Writes a column of finite doubles into `target` from `at` on, where columnBytesMax are free, and returns
 * where it ends. A leader is a column of integers, at least as long.
 */
export function encodeColumn(
  numbers: Float64Array,
  leader: Float64Array | null,
  target: Uint8Array,
  at: number,
): number {
  const count = numbers.length;
  if (count === 0) return at;
  reserveScratch(count);
  const decimals = decimalsOf(numbers);
  if (decimals < 0) return encodeBits(numbers, target, at);
  let source = decimals === 0 ? numbers : integers;
  const isLed = leader !== null && decimals === 0 && subtractLeader(source, leader);
  if (isLed) source = offsets;
  const unit = decimals === 0 ? divideByUnit(source, count) : 1;
  if (unit > 1) source = integers;
  const { prediction, base, bytes } = planFor(source, count);
  const largest = computeResiduals(source, 0, count, prediction, base, 0);
  if (!(largest <= RESIDUAL_MAX)) {
    return isLed ? encodeColumn(numbers, null, target, at) : encodeBits(numbers, target, at);
  }
  let end = at + 1;
  if (unit > 1) end = writeSigned(target, end, unit);
  end = writeSigned(target, end, base);
  if (prediction !== PREDICTION.PLAIN) end = writeSigned(target, end, source[0]!);
  const width = zigzagWidth(largest);
  const packedSize = width <= PACKED_WIDTH_MAX ? packedBytes(count, width) : Number.POSITIVE_INFINITY;
  const packedAt = end;
  let packing: Packing = PACKING.NOTHING;
  if (width > 0 && bytes < packedSize) {
    packing = PACKING.PLANES;
    end = writePlanes(target, packedAt, splitIntoPlanes(count, width), count);
  }
  if (width > 0 && (packing === PACKING.NOTHING || end - packedAt > packedSize)) {
    packing = PACKING.PACKED;
    end = writePacked(target, packedAt, count, width);
  }
  const scale = unit > 1 ? DECIMALS_UNIT : decimals;
  target[at] =
    prediction | (isLed ? LEADER_FLAG : 0) | (packing << PACKING_SHIFT) | (scale << DECIMALS_SHIFT);
  return end;
}

/** About how many bytes encodeColumn would take for a column of safe integers, at a fraction of its work. */
export function estimateColumnBytes(numbers: Float64Array, leader: Float64Array | null): number {
  const count = numbers.length;
  reserveScratch(count);
  const isLed = leader !== null && subtractLeader(numbers, leader);
  const source = isLed ? offsets : numbers;
  return planFor(divideByUnit(source, count) > 1 ? integers : source, count).bytes;
}

// From here on the scratch columns are read and written.

/**
 * How many decimals the numbers have, with `integers` then holding them without; -1: not these few. Adding 0
 * turns -0 into 0, so that it passes for no integer.
 */
function decimalsOf(numbers: Float64Array): number {
  let decimals = 0;
  let power = 1;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!;
    // Nearly always a small integer that isn't -0, which this tells at once.
    if (power === 1 && Object.is(number | 0, number)) continue;
    let integer = Math.round(number * power);
    while (!Number.isSafeInteger(integer) || !Object.is(integer / power + 0, number)) {
      if (decimals === DECIMALS_MAX) return -1;
      decimals++;
      power = 10 ** decimals;
      integer = Math.round(number * power);
    }
  }
  if (decimals === 0) return 0;
  for (let index = 0; index < numbers.length; index++) {
    const integer = Math.round(numbers[index]! * power);
    if (!Number.isSafeInteger(integer) || integer / power !== numbers[index]) return -1;
    integers[index] = integer;
  }
  return decimals;
}

/** Puts the distances from the leader into `offsets`; false if one is too far to be exact. */
function subtractLeader(numbers: Float64Array, leader: Float64Array): boolean {
  let isExact = true;
  for (let index = 0; index < numbers.length; index++) {
    const offset = numbers[index]! - leader[index]!;
    if (!(Math.abs(offset) <= Number.MAX_SAFE_INTEGER)) isExact = false;
    offsets[index] = offset;
  }
  return isExact;
}

/** Puts the numbers divided by their greatest common divisor into `integers`; returns it, or 1 if there is none. */
function divideByUnit(source: Float64Array, count: number): number {
  const sampled = Math.min(count, MEDIAN_SAMPLES);
  let unit = 0;
  for (let index = 0; index < sampled; index++) {
    let rest = Math.abs(source[Math.floor((index * count) / sampled)]!);
    while (rest > 0) [unit, rest] = [rest, unit % rest];
    if (unit === 1) return 1;
  }
  if (unit === 0) return 1;
  for (let index = 0; index < count; index++) {
    const number = source[index]!;
    const integer = Math.round(number / unit);
    if (integer * unit !== number) return 1;
    integers[index] = integer;
  }
  return unit;
}

function planFor(source: Float64Array, count: number): Plan {
  const step = medianStep(source, count);
  let best: Plan = { prediction: PREDICTION.PLAIN, base: 0, bytes: count * DOUBLE_BYTES };
  best = better(best, source, count, PREDICTION.DELTA, step);
  best = better(best, source, count, PREDICTION.PLAIN, medianOf(source, count));
  if (step !== 0 && Math.abs(step) * count <= BASE_MAX) {
    best = better(best, source, count, PREDICTION.LINE, step);
  }
  return best;
}

function better(best: Plan, source: Float64Array, count: number, prediction: Prediction, base: number): Plan {
  // Nothing is better than nothing.
  if (best.bytes === 0 || Math.abs(base) > BASE_MAX) return best;
  const bytes = estimateBytes(source, count, prediction, base);
  return bytes < best.bytes ? { prediction, base, bytes } : best;
}

/** About how many bytes the residuals would take, from a sample of them. */
function estimateBytes(source: Float64Array, count: number, prediction: Prediction, base: number): number {
  if (count <= ESTIMATE_COUNT) {
    const largest = computeResiduals(source, 0, count, prediction, base, 0);
    return estimateResidualBytes(count, count, largest);
  }
  let largest = 0;
  for (let run = 0; run < ESTIMATE_RUNS; run++) {
    const start = Math.floor((run * (count - ESTIMATE_RUN_COUNT)) / (ESTIMATE_RUNS - 1));
    const to = run * ESTIMATE_RUN_COUNT;
    const runEnd = start + ESTIMATE_RUN_COUNT;
    largest = Math.max(largest, computeResiduals(source, start, runEnd, prediction, base, to));
  }
  return estimateResidualBytes(ESTIMATE_COUNT, count, largest);
}

const medianScratch = new Float64Array(MEDIAN_SAMPLES);

function medianOf(source: Float64Array, count: number): number {
  const sampled = Math.min(count, MEDIAN_SAMPLES);
  for (let index = 0; index < sampled; index++) {
    medianScratch[index] = source[Math.floor((index * count) / sampled)]!;
  }
  return medianScratch.subarray(0, sampled).sort()[sampled >> 1] ?? 0;
}

function medianStep(source: Float64Array, count: number): number {
  const sampled = Math.min(count - 1, MEDIAN_SAMPLES);
  for (let index = 0; index < sampled; index++) {
    const from = Math.floor((index * (count - 1)) / sampled);
    medianScratch[index] = source[from + 1]! - source[from]!;
  }
  if (sampled < 1) return 0;
  return medianScratch.subarray(0, sampled).sort()[sampled >> 1]!;
}

/**
 * Puts the residuals from index `start` up to `end` into `residuals` from `to` on. Returns the largest, its
 * sign aside; beyond RESIDUAL_MAX they aren't exact.
 */
function computeResiduals(
  source: Float64Array,
  start: number,
  end: number,
  prediction: Prediction,
  base: number,
  to: number,
): number {
  let largest = 0;
  if (prediction === PREDICTION.DELTA) {
    let previous = start > 0 ? source[start - 1]! : 0;
    for (let index = start; index < end; index++) {
      const number = source[index]!;
      const residual = index === 0 ? 0 : number - previous - base;
      residuals[to++] = residual;
      if (residual > largest) largest = residual;
      else if (-residual > largest) largest = -residual;
      previous = number;
    }
    return largest;
  }
  const first = prediction === PREDICTION.LINE ? source[0]! : base;
  const step = prediction === PREDICTION.LINE ? base : 0;
  for (let index = start; index < end; index++) {
    const residual = source[index]! - first - index * step;
    residuals[to++] = residual;
    if (residual > largest) largest = residual;
    else if (-residual > largest) largest = -residual;
  }
  return largest;
}

function zigzagWidth(largest: number): number {
  if (largest === 0) return 0;
  if (largest < 2 ** 30) return 33 - Math.clz32(largest);
  return 33 + (32 - Math.clz32(largest / 2 ** 32));
}

/**
 * What `count` residuals take when packed, if they are like the `sampled` ones in `residuals`. It goes by
 * the entropy of each plane: zstd comes close to it, or goes below where runs repeat.
 */
function estimateResidualBytes(sampled: number, count: number, largest: number): number {
  if (largest > RESIDUAL_MAX) return Number.POSITIVE_INFINITY;
  const width = zigzagWidth(largest);
  if (width === 0) return 0;
  const planeCount = splitIntoPlanes(sampled, width);
  let bytes = 1;
  for (let plane = 0; plane < planeCount; plane++) {
    const bits = entropyBits(planes.subarray(plane * sampled, (plane + 1) * sampled));
    bytes += bits === 0 ? 2 : Math.min(count + 1, (bits / 8) * (count / sampled) + FRAME_BYTES);
  }
  return width <= PACKED_WIDTH_MAX ? Math.min(bytes, packedBytes(count, width)) : bytes;
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

function packedBytes(count: number, width: number): number {
  return 1 + Math.ceil((count * width) / 8);
}

/** Splits the zigzag residuals, so many bits wide, into `planes`; returns how many there are. */
function splitIntoPlanes(count: number, width: number): number {
  const planeCount = Math.ceil(width / 8);
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

function writePacked(target: Uint8Array, at: number, count: number, width: number): number {
  target[at++] = width;
  let bits = 0;
  let bitCount = 0;
  for (let index = 0; index < count; index++) {
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

function writePlanes(target: Uint8Array, at: number, planeCount: number, count: number): number {
  target[at++] = planeCount;
  for (let plane = 0; plane < planeCount; plane++) {
    at = writePlane(target, at, planes.subarray(plane * count, (plane + 1) * count));
  }
  return at;
}

function writePlane(target: Uint8Array, at: number, plane: Uint8Array): number {
  if (isOneByte(plane)) {
    target[at] = 0;
    target[at + 1] = plane[0]!;
    return at + 2;
  }
  const frame = plane.length < FRAME_BYTES_MIN ? plane : compress(plane);
  const isSmaller = frame.length < plane.length;
  const start = writeVarint(target, at, isSmaller ? frame.length : 1);
  target.set(isSmaller ? frame : plane, start);
  return start + Math.min(frame.length, plane.length);
}

function isOneByte(plane: Uint8Array): boolean {
  const byte = plane[0];
  for (let index = 1; index < plane.length; index++) if (plane[index] !== byte) return false;
  return true;
}

/** Node's least. */
const CHUNK_BYTES_MIN = 64;
/** No plane has a wider window, so a damaged frame may not ask for one. */
const ZSTD_WINDOW = { [constants.ZSTD_d_windowLogMax]: Math.log2(COLUMN_COUNT_MAX) };
/**
 * In noise zstd finds short matches by chance that take more room than they save: without them a drive's
 * blocks are 1.4 % smaller. Level 7 would save as little as 0.5 % more.
 */
const ZSTD_PARAMS = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_minMatch]: 7 };

function compress(plane: Uint8Array): Uint8Array {
  // Knowing the size, zstd sets up no more tables than it needs, and Node no second buffer.
  const { length } = plane;
  return zstdCompressSync(plane, {
    params: ZSTD_PARAMS,
    pledgedSrcSize: length,
    chunkSize: length + (length >> 7) + CHUNK_BYTES_MIN,
  });
}

function encodeBits(numbers: Float64Array, target: Uint8Array, at: number): number {
  const count = numbers.length;
  const header = PREDICTION.BITS | (PACKING.PLANES << PACKING_SHIFT);
  splitBitsIntoPlanes(numbers, false);
  const plainEnd = writePlanes(target, at + 1, DOUBLE_BYTES, count);
  splitBitsIntoPlanes(numbers, true);
  let end = writePlanes(target, at + 1, DOUBLE_BYTES, count);
  const isXored = end < plainEnd;
  if (!isXored) {
    splitBitsIntoPlanes(numbers, false);
    end = writePlanes(target, at + 1, DOUBLE_BYTES, count);
  }
  target[at] = header | (isXored ? LEADER_FLAG : 0);
  return end;
}

function splitBitsIntoPlanes(numbers: Float64Array, isXored: boolean): void {
  const count = numbers.length;
  residuals.set(numbers);
  const bytes = new Uint8Array(residuals.buffer, 0, count * DOUBLE_BYTES);
  for (let byte = 0; byte < DOUBLE_BYTES; byte++) {
    let previous = 0;
    for (let index = 0; index < count; index++) {
      const bits = bytes[index * DOUBLE_BYTES + byte]!;
      planes[byte * count + index] = bits ^ previous;
      if (isXored) previous = bits;
    }
  }
}

function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value > 127) {
    target[at++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  target[at++] = value;
  return at;
}

function writeSigned(target: Uint8Array, at: number, value: number): number {
  const size = Math.abs(value);
  const rest = Math.floor(size / 64);
  target[at++] = (value < 0 ? 1 : 0) | ((size % 64) << 1) | (rest > 0 ? 128 : 0);
  return rest > 0 ? writeVarint(target, at, rest) : at;
}

/** Where in a block's bytes the next column is read; it moves on with each. */
export interface ColumnReader {
  readonly bytes: Uint8Array;
  at: number;
}

/**
 * Reads the next column, into `numbers` if they are given. Throws HistoryError HISTORY_BLOCK_CORRUPT, also if
 * the column follows a leader and there is none that is long enough.
 */
export function decodeColumn(
  reader: ColumnReader,
  count: number,
  leader: Float64Array | null,
  numbers: Float64Array = new Float64Array(count),
): Float64Array {
  assert(numbers.length === count);
  if (count > 0) readColumn(reader, numbers, leader);
  return numbers;
}

function readColumn(reader: ColumnReader, numbers: Float64Array, leader: Float64Array | null): void {
  const header = readByte(reader);
  const prediction = header & PREDICTION_MASK;
  const packing = (header >> PACKING_SHIFT) & PACKING_MASK;
  const decimals = header >> DECIMALS_SHIFT;
  if (prediction === PREDICTION.BITS) {
    if (packing !== PACKING.PLANES || decimals !== 0) throw corrupt(`unknown form ${header} of a column`);
    readBits(reader, numbers, (header & LEADER_FLAG) !== 0);
    return;
  }
  const unit = decimals === DECIMALS_UNIT ? readSigned(reader) : 1;
  const base = readSigned(reader);
  const first = prediction === PREDICTION.PLAIN ? 0 : readSigned(reader);
  if (packing === PACKING.PACKED) readPacked(reader, numbers);
  else if (packing === PACKING.PLANES) readPlanes(reader, numbers);
  else if (packing === PACKING.NOTHING) numbers.fill(0);
  else throw corrupt(`unknown form ${header} of a column`);

  addPrediction(numbers, prediction, base, first);
  if (unit !== 1) multiplyBy(numbers, unit);
  if ((header & LEADER_FLAG) !== 0) addLeader(numbers, leader);
  if (decimals > 0 && decimals <= DECIMALS_MAX) {
    const power = 10 ** decimals;
    for (let index = 0; index < numbers.length; index++) numbers[index] = numbers[index]! / power;
  }
}

function addPrediction(numbers: Float64Array, prediction: number, base: number, first: number): void {
  if (prediction === PREDICTION.PLAIN) {
    for (let index = 0; index < numbers.length; index++) numbers[index] = base + numbers[index]!;
  } else if (prediction === PREDICTION.LINE) {
    for (let index = 0; index < numbers.length; index++) {
      numbers[index] = first + (index * base + numbers[index]!);
    }
  } else {
    let number = first;
    numbers[0] = first;
    for (let index = 1; index < numbers.length; index++) {
      number += base + numbers[index]!;
      numbers[index] = number;
    }
  }
}

function multiplyBy(numbers: Float64Array, unit: number): void {
  for (let index = 0; index < numbers.length; index++) numbers[index] = numbers[index]! * unit;
}

function addLeader(numbers: Float64Array, leader: Float64Array | null): void {
  if (leader === null || leader.length < numbers.length) {
    throw corrupt(`a column follows ${numbers.length} samples of a leader that has ${leader?.length ?? 0}`);
  }
  for (let index = 0; index < numbers.length; index++) numbers[index] = leader[index]! + numbers[index]!;
}

function readPacked(reader: ColumnReader, numbers: Float64Array): void {
  const width = readByte(reader);
  const { length: count } = numbers;
  if (width < 1 || width > PACKED_WIDTH_MAX) throw corrupt(`numbers of ${width} bits`);
  const { bytes } = reader;
  let at = skip(reader, Math.ceil((count * width) / 8));
  const mask = 2 ** width - 1;
  let bits = 0;
  let bitCount = 0;
  for (let index = 0; index < count; index++) {
    while (bitCount < width) {
      bits |= bytes[at++]! << bitCount;
      bitCount += 8;
    }
    const unsigned = bits & mask;
    bits >>>= width;
    bitCount -= width;
    numbers[index] = (unsigned >>> 1) ^ -(unsigned & 1);
  }
}

function readPlanes(reader: ColumnReader, numbers: Float64Array): void {
  const { length: count } = numbers;
  const planeCount = readByte(reader);
  if (planeCount < 1 || planeCount > INTEGER_PLANES_MAX) throw corrupt(`${planeCount} planes of integers`);
  const low = readPlane(reader, count);
  if (planeCount === 1) {
    for (let index = 0; index < count; index++) {
      const unsigned = low[index]!;
      numbers[index] = (unsigned >>> 1) ^ -(unsigned & 1);
    }
    return;
  }
  const second = readPlane(reader, count);
  if (planeCount === 2) {
    for (let index = 0; index < count; index++) {
      const unsigned = low[index]! | (second[index]! << 8);
      numbers[index] = (unsigned >>> 1) ^ -(unsigned & 1);
    }
    return;
  }
  for (let index = 0; index < count; index++) numbers[index] = low[index]! | (second[index]! << 8);
  for (let plane = 2; plane < planeCount; plane++) {
    const bytes = readPlane(reader, count);
    const weight = 256 ** plane;
    for (let index = 0; index < count; index++) numbers[index] = numbers[index]! + bytes[index]! * weight;
  }
  for (let index = 0; index < count; index++) {
    const unsigned = numbers[index]!;
    numbers[index] = unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2;
  }
}

function readBits(reader: ColumnReader, numbers: Float64Array, isXored: boolean): void {
  const { length: count } = numbers;
  if (readByte(reader) !== DOUBLE_BYTES) throw corrupt('doubles of other than 8 planes');
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  for (let byte = 0; byte < DOUBLE_BYTES; byte++) {
    const plane = readPlane(reader, count);
    let previous = 0;
    for (let index = 0; index < count; index++) {
      const bits = plane[index]! ^ previous;
      bytes[index * DOUBLE_BYTES + byte] = bits;
      if (isXored) previous = bits;
    }
  }
}

function readPlane(reader: ColumnReader, count: number): Uint8Array {
  const form = readVarint(reader);
  if (form === 0) return new Uint8Array(count).fill(readByte(reader));
  const length = form === 1 ? count : form;
  const start = skip(reader, length);
  const bytes = reader.bytes.subarray(start, start + length);
  return form === 1 ? bytes : decompress(bytes, count);
}

function decompress(frame: Uint8Array, count: number): Uint8Array {
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

function readByte(reader: ColumnReader): number {
  return reader.bytes[skip(reader, 1)]!;
}

/** Passes over bytes; returns where they start. */
function skip(reader: ColumnReader, bytes: number): number {
  const start = reader.at;
  const left = reader.bytes.length - start;
  if (bytes > left) throw corrupt(`a column goes on for ${bytes} bytes where ${left} are left`);
  reader.at += bytes;
  return start;
}

function readVarint(reader: ColumnReader): number {
  return readVarintFrom(reader, 0, 1);
}

function readSigned(reader: ColumnReader): number {
  const byte = readByte(reader);
  const low = (byte >> 1) & 63;
  const size = (byte & 128) === 0 ? low : readVarintFrom(reader, low, 64);
  return (byte & 1) === 0 ? size : -size;
}

function readVarintFrom(reader: ColumnReader, low: number, lowWeight: number): number {
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
