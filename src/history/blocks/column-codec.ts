import assert from 'node:assert/strict';
import { readPlane, writePlane } from './byte-plane.ts';
import { type ByteReader, corrupt, readByte, readSigned, writeSigned } from './byte-reader.ts';
import {
  estimatePackedBytes,
  PACKED_BYTES_EACH,
  PACKED_BYTES_EXTRA,
  packResiduals,
  RESIDUAL_MAX,
  unpackResiduals,
} from './residual-packing.ts';

/**
 * How a column of numbers is written: each is told by what the ones before it let expect, and what is left
 * over (the residual) is packed as narrow as it is. Every form is exact, bit for bit.
 *
 *   byte 0       bits 0..2  prediction (PREDICTION)
 *                bit  3     residuals of LEADER: the leader's number at the same index is subtracted first;
 *                           of BITS: each number's bits are XORed with those of the one before
 *                bits 4..5  packing (residual-packing.ts); 0 with BITS
 *                bits 6..7  scale (SCALE)
 *   then         decimals   1 byte: the numbers are these integers divided by 10 to this power; only with DECIMALS
 *                unit       signed varint: the numbers are these integers, or what they add to the leader's, times
 *                           this one; only with UNIT
 *                base       signed varint; only with PLAIN, DELTA and LINE
 *                first      signed varint; only with DELTA, LINE and TREND
 *                weights    TREND_STEPS signed varints; only with TREND
 *   then         the packed residuals
 *
 *   PLAIN    residual i = number i - base
 *   DELTA    residual i = number i - number i-1 - base, and of the first 0
 *   LINE     residual i = number i - first - i × base
 *   TREND    residual i = step i - (w1 × step i-1 + w2 × step i-2 + w3 × step i-3) / 256, rounded, where step i is
 *            number i - number i-1, and that of the first is 0; for what fits into 32 bits with room to spare
 *   BITS     no residuals but the 64 bits of each double, for what isn't integers: their lowest bytes, their second
 *            bytes and so on, each a plane (byte-plane.ts)
 *
 * Residuals reach no further than ±2^52, so that all of this can be done with doubles; a column that would need
 * more is written as BITS.
 */
const PREDICTION = { PLAIN: 0, DELTA: 1, LINE: 2, TREND: 3, BITS: 4 } as const;
type Prediction = (typeof PREDICTION)[keyof typeof PREDICTION];
const SCALE = { NONE: 0, DECIMALS: 1, UNIT: 2 } as const;

const PREDICTION_MASK = 0b111;
const LEADER_FLAG = 1 << 3;
const PACKING_SHIFT = 4;
const PACKING_MASK = 0b11;
const SCALE_SHIFT = 6;
const DECIMALS_MAX = 6;

/** Steps that a trend is told by: more foretell a drive's signals no better. */
const TREND_STEPS = 3;
/** Weights are multiples of 1 / 2^8. */
const TREND_SHIFT = 8;
const TREND_ONE = 1 << TREND_SHIFT;
const TREND_WEIGHT_MAX = 4 * TREND_ONE;
/** So that all of it is done with 32-bit integers, which read in a third of the time that doubles take. */
const TREND_NUMBER_MAX = 2 ** 30;
const TREND_STEP_MAX = 2 ** 18;
/** Shorter columns don't tell a trend. */
const TREND_COUNT_MIN = 64;

/** Numbers that a column may have. */
export const COLUMN_COUNT_MAX = 2 ** 20;

const BASE_MAX = 2 ** 51;
const DOUBLE_BYTES = 8;
/** What stands before the packed residuals takes less. */
const COLUMN_HEADER_BYTES = 64;

/** Numbers that the median is taken of, and that show whether all have a divisor in common. */
const MEDIAN_SAMPLES = 63;
/** Of a longer column, so many runs of so many numbers tell which prediction is best. */
const ESTIMATE_RUNS = 8;
const ESTIMATE_RUN_COUNT = 256;
const ESTIMATE_COUNT = ESTIMATE_RUNS * ESTIMATE_RUN_COUNT;

/** Bytes that a column takes at most, for those who give it room. */
export function columnBytesMax(count: number): number {
  return count * PACKED_BYTES_EACH + PACKED_BYTES_EXTRA + COLUMN_HEADER_BYTES;
}

// Scratch columns, shared by all calls: none of them waits for anything.
let scratchCount = 0;
let integers = new Float64Array(0);
let offsets = new Float64Array(0);
let residuals = new Float64Array(0);

function reserveScratch(count: number): void {
  if (count <= scratchCount) return;
  scratchCount = Math.min(COLUMN_COUNT_MAX, Math.max(4096, 2 * count));
  integers = new Float64Array(scratchCount);
  offsets = new Float64Array(scratchCount);
  residuals = new Float64Array(scratchCount);
}

/** How integers are foretold. */
interface Model {
  readonly prediction: Prediction;
  /** 0 with TREND. */
  readonly base: number;
  /** Empty but with TREND. */
  readonly weights: readonly number[];
}

/** How the integers of a column are best foretold, and about how many bytes that leaves. */
interface Plan {
  readonly model: Model;
  readonly bytes: number;
}

/**
 * Writes a column of finite doubles into `target` from `at` on, where columnBytesMax are free, and returns
 * where it ends. A leader is a column of integers, at least as long. `quickly`: so that it is quickly read, at
 * the price of some room.
 */
export function encodeColumn(
  numbers: Float64Array,
  leader: Float64Array | null,
  target: Uint8Array,
  at: number,
  quickly = false,
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
  const { model } = withTrend(planFor(source, count), source, count);
  const largest = computeResiduals(source, 0, count, model, 0);
  if (!(largest <= RESIDUAL_MAX)) {
    return isLed ? encodeColumn(numbers, null, target, at, quickly) : encodeBits(numbers, target, at);
  }
  const scale = unit > 1 ? SCALE.UNIT : decimals > 0 ? SCALE.DECIMALS : SCALE.NONE;
  let start = at + 1;
  if (scale === SCALE.DECIMALS) target[start++] = decimals;
  if (scale === SCALE.UNIT) start = writeSigned(target, start, unit);
  start = writeModel(target, start, model, source[0]!);
  const { packing, end } = packResiduals(residuals, count, largest, target, start, quickly);
  target[at] =
    model.prediction | (isLed ? LEADER_FLAG : 0) | (packing << PACKING_SHIFT) | (scale << SCALE_SHIFT);
  return end;
}

function writeModel(
  target: Uint8Array,
  at: number,
  { prediction, base, weights }: Model,
  first: number,
): number {
  let end = prediction === PREDICTION.TREND ? at : writeSigned(target, at, base);
  if (prediction !== PREDICTION.PLAIN) end = writeSigned(target, end, first);
  for (const weight of weights) end = writeSigned(target, end, weight);
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
  const nothing = { prediction: PREDICTION.PLAIN, base: 0, weights: [] };
  let best: Plan = { model: nothing, bytes: count * DOUBLE_BYTES };
  best = better(best, source, count, { prediction: PREDICTION.DELTA, base: step, weights: [] });
  const median = medianOf(source, count);
  best = better(best, source, count, { prediction: PREDICTION.PLAIN, base: median, weights: [] });
  if (step !== 0 && Math.abs(step) * count <= BASE_MAX) {
    best = better(best, source, count, { prediction: PREDICTION.LINE, base: step, weights: [] });
  }
  return best;
}

/** The plan, or a trend where that is better. */
function withTrend(best: Plan, source: Float64Array, count: number): Plan {
  if (best.bytes === 0 || count < TREND_COUNT_MIN) return best;
  if (!isWithinTrend(source, count)) return best;
  const weights = trendWeights(source, count);
  return weights === null
    ? best
    : better(best, source, count, { prediction: PREDICTION.TREND, base: 0, weights });
}

function isWithinTrend(source: Float64Array, count: number): boolean {
  let previous = source[0]!;
  for (let index = 0; index < count; index++) {
    const number = source[index]!;
    if (Math.abs(number) > TREND_NUMBER_MAX || Math.abs(number - previous) > TREND_STEP_MAX) return false;
    previous = number;
  }
  return true;
}

function better(best: Plan, source: Float64Array, count: number, model: Model): Plan {
  // Nothing is better than nothing.
  if (best.bytes === 0 || Math.abs(model.base) > BASE_MAX) return best;
  const bytes = estimateBytes(source, count, model);
  return bytes < best.bytes ? { model, bytes } : best;
}

/** About how many bytes the residuals would take, from a sample of them. */
function estimateBytes(source: Float64Array, count: number, model: Model): number {
  let largest = 0;
  let sampled = 0;
  forEachRun(count, (start, end) => {
    largest = Math.max(largest, computeResiduals(source, start, end, model, sampled));
    sampled += end - start;
  });
  return estimatePackedBytes(residuals, sampled, largest, count);
}

/** Calls with the start and end of each run of a column that tells what the whole is like. */
function forEachRun(count: number, call: (start: number, end: number) => void): void {
  if (count <= ESTIMATE_COUNT) {
    call(0, count);
    return;
  }
  for (let run = 0; run < ESTIMATE_RUNS; run++) {
    const start = Math.floor((run * (count - ESTIMATE_RUN_COUNT)) / (ESTIMATE_RUNS - 1));
    call(start, start + ESTIMATE_RUN_COUNT);
  }
}

/**
 * The weights of the steps before that foretell a step with the least squares of error, in multiples of
 * 1 / TREND_ONE; null where there are no such.
 */
function trendWeights(source: Float64Array, count: number): number[] | null {
  // Sums of products of a step with those before it: products[i][j] of step -i with step -j.
  const products = Array.from({ length: TREND_STEPS + 1 }, () => new Float64Array(TREND_STEPS + 1));
  const steps = new Float64Array(TREND_STEPS + 1);
  forEachRun(count, (start, end) => {
    for (let index = start + TREND_STEPS + 1; index < end; index++) {
      for (let back = 0; back <= TREND_STEPS; back++) {
        steps[back] = source[index - back]! - source[index - back - 1]!;
      }
      for (let row = 1; row <= TREND_STEPS; row++) {
        for (let column = 0; column <= TREND_STEPS; column++) {
          products[row]![column]! += steps[row]! * steps[column]!;
        }
      }
    }
  });
  return solve(products);
}

/** Solves the equations of rows 1 to TREND_STEPS, whose right side is in column 0, and rounds. */
function solve(rows: readonly Float64Array[]): number[] | null {
  for (let pivot = 1; pivot <= TREND_STEPS; pivot++) {
    const row = rows[pivot]!;
    // Symmetric and positive, so the diagonal is good enough; a pivot of 0 says that the steps are alike.
    if (!(row[pivot]! > 0)) return null;
    for (let other = 1; other <= TREND_STEPS; other++) {
      if (other === pivot) continue;
      const factor = rows[other]![pivot]! / row[pivot]!;
      for (let column = 0; column <= TREND_STEPS; column++) rows[other]![column]! -= factor * row[column]!;
    }
  }
  const weights: number[] = [];
  for (let index = 1; index <= TREND_STEPS; index++) {
    weights.push(Math.round((TREND_ONE * rows[index]![0]!) / rows[index]![index]!));
  }
  return weights.every((weight) => Math.abs(weight) <= TREND_WEIGHT_MAX) ? weights : null;
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
  model: Model,
  to: number,
): number {
  const { prediction, base } = model;
  if (prediction === PREDICTION.TREND) return computeTrend(source, start, end, model.weights, to);
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

function computeTrend(
  source: Float64Array,
  start: number,
  end: number,
  weights: readonly number[],
  to: number,
): number {
  const [w1, w2, w3] = weights as [number, number, number];
  let largest = 0;
  let previous = source[Math.max(0, start - 1)]!;
  let step1 = stepAt(source, start - 1);
  let step2 = stepAt(source, start - 2);
  let step3 = stepAt(source, start - 3);
  for (let index = start; index < end; index++) {
    const number = source[index]!;
    const step = number - previous;
    const residual = step - trend(w1, step1, w2, step2, w3, step3);
    residuals[to++] = residual;
    if (residual > largest) largest = residual;
    else if (-residual > largest) largest = -residual;
    previous = number;
    step3 = step2;
    step2 = step1;
    step1 = step;
  }
  return largest;
}

/** The step to the number at an index; 0 where there is none before it. */
function stepAt(source: Float64Array, index: number): number {
  return index < 1 ? 0 : source[index]! - source[index - 1]!;
}

function trend(w1: number, step1: number, w2: number, step2: number, w3: number, step3: number): number {
  const before = (Math.imul(w2, step2) + Math.imul(w3, step3)) | 0;
  return (Math.imul(w1, step1) + before + (TREND_ONE >> 1)) >> TREND_SHIFT;
}

function encodeBits(numbers: Float64Array, target: Uint8Array, at: number): number {
  const plainEnd = writeBitPlanes(numbers, false, target, at + 1);
  let end = writeBitPlanes(numbers, true, target, at + 1);
  const isXored = end < plainEnd;
  if (!isXored) end = writeBitPlanes(numbers, false, target, at + 1);
  target[at] = PREDICTION.BITS | (isXored ? LEADER_FLAG : 0);
  return end;
}

function writeBitPlanes(numbers: Float64Array, isXored: boolean, target: Uint8Array, at: number): number {
  const count = numbers.length;
  residuals.set(numbers);
  const bytes = new Uint8Array(residuals.buffer, 0, count * DOUBLE_BYTES);
  const plane = new Uint8Array(count);
  for (let byte = 0; byte < DOUBLE_BYTES; byte++) {
    let previous = 0;
    for (let index = 0; index < count; index++) {
      const bits = bytes[index * DOUBLE_BYTES + byte]!;
      plane[index] = bits ^ previous;
      if (isXored) previous = bits;
    }
    at = writePlane(target, at, plane);
  }
  return at;
}

/**
 * Reads the next column, into `numbers` if they are given. Throws HistoryError HISTORY_BLOCK_CORRUPT, also if
 * the column follows a leader and there is none that is long enough.
 */
export function decodeColumn(
  reader: ByteReader,
  count: number,
  leader: Float64Array | null,
  numbers: Float64Array = new Float64Array(count),
): Float64Array {
  assert(numbers.length === count);
  if (count > 0) readColumn(reader, numbers, leader);
  return numbers;
}

function readColumn(reader: ByteReader, numbers: Float64Array, leader: Float64Array | null): void {
  const header = readByte(reader);
  const prediction = header & PREDICTION_MASK;
  const scale = header >> SCALE_SHIFT;
  const isLed = (header & LEADER_FLAG) !== 0;
  const packing = (header >> PACKING_SHIFT) & PACKING_MASK;
  if (prediction === PREDICTION.BITS && packing === 0 && scale === SCALE.NONE) {
    readBitPlanes(reader, numbers, isLed);
    return;
  }
  if (prediction >= PREDICTION.BITS || scale > SCALE.UNIT)
    throw corrupt(`unknown form ${header} of a column`);
  const decimals = scale === SCALE.DECIMALS ? readByte(reader) : 0;
  if (decimals > DECIMALS_MAX) throw corrupt(`numbers of ${decimals} decimals`);
  const unit = scale === SCALE.UNIT ? readSigned(reader) : 1;
  const isTrend = prediction === PREDICTION.TREND;
  const base = isTrend ? 0 : readSigned(reader);
  const first = prediction === PREDICTION.PLAIN ? 0 : readSigned(reader);
  const weights = isTrend ? [readSigned(reader), readSigned(reader), readSigned(reader)] : [];
  unpackResiduals(reader, packing, numbers);

  if (isTrend) addTrend(numbers, first, weights);
  else addPrediction(numbers, prediction, base, first);
  if (unit !== 1) multiplyBy(numbers, unit);
  if (isLed) addLeader(numbers, leader);
  if (decimals > 0) {
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

function addTrend(numbers: Float64Array, first: number, weights: readonly number[]): void {
  const [w1, w2, w3] = weights as [number, number, number];
  let number = first | 0;
  let step1 = 0;
  let step2 = 0;
  let step3 = 0;
  numbers[0] = first;
  for (let index = 1; index < numbers.length; index++) {
    const step = (trend(w1, step1, w2, step2, w3, step3) + numbers[index]!) | 0;
    number = (number + step) | 0;
    numbers[index] = number;
    step3 = step2;
    step2 = step1;
    step1 = step;
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

function readBitPlanes(reader: ByteReader, numbers: Float64Array, isXored: boolean): void {
  const { length: count } = numbers;
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
