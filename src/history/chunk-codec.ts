import { HistoryError } from '../shared/errors.ts';

/**
 * How the samples of a chunk are written: columns, each as narrow as what it holds, little-endian.
 *
 *   bytes 0..7   version (1), timestamp form, value form, series form, 4 zeros
 *   then         timestamps   Float64, or offsets from the chunk's first timestamp: Uint32 or Uint24
 *   then         raw values   Float64, Int32 or Int24
 *   then         series       Uint16 or Uint8
 *
 * The wider forms are there for what the narrow ones can't hold: a chunk that spans more than 16 seconds (or 71
 * minutes) or whose clock stepped back, values that aren't integers of 24 (or 32) bits, more than 256 series.
 * Every form is exact.
 */
const VERSION = 1;
const HEADER_BYTES = 8;
/** Forms of timestamps and values, and how many bytes each takes. */
const FORM = { DOUBLE: 0, WIDE: 1, NARROW: 2 } as const;
type Form = (typeof FORM)[keyof typeof FORM];
const FORM_BYTES = [8, 4, 3] as const;
/** Forms of series. */
const SERIES_UINT16 = 0;
const SERIES_UINT8 = 1;
const UINT32_MAX = 0xffff_ffff;
const UINT24_MAX = 0xff_ffff;
const INT24_MAX = 0x7f_ffff;

/** Samples in columns of equal length. */
export interface SampleColumns {
  readonly timestampUs: Float64Array;
  readonly rawValue: Float64Array;
  readonly series: Uint32Array | Uint16Array;
}

/** What columns come to, all that is needed to choose how to write them. */
export interface Survey {
  /** The least and the greatest timestamp. */
  readonly minUs: number;
  readonly maxUs: number;
  readonly valueForm: Form;
  /** Not below the greatest series. */
  readonly seriesUnion: number;
}

/**
 * Writes columns: timestamps are safe integers, values are finite, series are below 65,536. A caller that has looked
 * through them already gives what it found.
 */
export function encodeChunk(
  columns: SampleColumns,
  { minUs, maxUs, valueForm, seriesUnion }: Survey = surveyOf(columns),
): Uint8Array {
  const { timestampUs, rawValue, series } = columns;
  const count = timestampUs.length;
  const firstUs = timestampUs[0] ?? 0;
  const timeForm = timeFormOf(minUs, maxUs, firstUs);
  const seriesForm = seriesUnion < 256 ? SERIES_UINT8 : SERIES_UINT16;
  const { timeAt, valueAt, seriesAt, end } = layOut(count, timeForm, valueForm, seriesForm);

  const buffer = new ArrayBuffer(end);
  const bytes = new Uint8Array(buffer);
  bytes.set([VERSION, timeForm, valueForm, seriesForm]);
  if (timeForm === FORM.NARROW) writeNarrow(bytes, timeAt, timestampUs, firstUs);
  else if (timeForm === FORM.WIDE) {
    const offsets = new Uint32Array(buffer, timeAt, count);
    for (let index = 0; index < count; index++) offsets[index] = timestampUs[index]! - firstUs;
  } else new Float64Array(buffer, timeAt, count).set(timestampUs);

  if (valueForm === FORM.NARROW) writeNarrow(bytes, valueAt, rawValue, 0);
  else if (valueForm === FORM.WIDE) new Int32Array(buffer, valueAt, count).set(rawValue);
  else new Float64Array(buffer, valueAt, count).set(rawValue);

  if (seriesForm === SERIES_UINT8) bytes.set(series, seriesAt);
  else new Uint16Array(buffer, seriesAt, count).set(series);
  return bytes;
}

/** Where the columns begin, each at a multiple of 8 bytes, and where the last ends. */
function layOut(count: number, timeForm: Form, valueForm: Form, seriesForm: number) {
  const timeAt = HEADER_BYTES;
  const valueAt = timeAt + padded(count * FORM_BYTES[timeForm]);
  const seriesAt = valueAt + padded(count * FORM_BYTES[valueForm]);
  const end = seriesAt + count * (seriesForm === SERIES_UINT8 ? 1 : 2);
  return { timeAt, valueAt, seriesAt, end };
}

/**
 * The columns of a chunk as they are written: a sample's timestamp is `baseUs` and what stands in `timeUs`. They are
 * good until the next chunk is looked at.
 */
export interface ChunkView {
  readonly baseUs: number;
  readonly timeUs: Uint32Array | Float64Array;
  readonly rawValue: Int32Array | Float64Array;
  readonly series: Uint16Array;
}

// Narrow columns are unpacked into these, shared by all calls: made anew each time they would wait for the collector
// of garbage.
let wideTime = new Uint32Array(0);
let wideValue = new Int32Array(0);
let wideSeries = new Uint16Array(0);

function reserveWide(count: number): void {
  if (count <= wideTime.length) return;
  wideTime = new Uint32Array(2 * count);
  wideValue = new Int32Array(2 * count);
  wideSeries = new Uint16Array(2 * count);
}

/** Reads what encodeChunk wrote. Throws HistoryError HISTORY_CHUNK_CORRUPT. */
export function decodeChunk(chunk: Uint8Array, count: number, firstUs: number): SampleColumns {
  const { baseUs, timeUs, rawValue, series } = viewChunk(chunk, count, firstUs);
  return {
    timestampUs: timeUs instanceof Uint32Array ? addedTo(baseUs, timeUs) : timeUs,
    rawValue: rawValue instanceof Int32Array ? new Float64Array(rawValue) : rawValue,
    series: series.slice(),
  };
}

/** Looks at what encodeChunk wrote, for those who need few of its samples. Throws as decodeChunk does. */
export function viewChunk(chunk: Uint8Array, count: number, firstUs: number): ChunkView {
  const [version, timeForm, valueForm, seriesForm] = chunk;
  if (version !== VERSION || !isForm(timeForm) || !isForm(valueForm) || seriesForm! > SERIES_UINT8) {
    throw corrupt(`expected version ${VERSION}, found ${version}, ${timeForm}, ${valueForm}, ${seriesForm}`);
  }
  const { timeAt, valueAt, seriesAt, end } = layOut(count, timeForm, valueForm, seriesForm!);
  if (chunk.byteLength !== end) {
    throw corrupt(`expected ${end} bytes for ${count} samples, found ${chunk.byteLength}`);
  }
  reserveWide(count);
  // SQLite gives a blob at any address; typed arrays want theirs aligned.
  const bytes = chunk.byteOffset % 8 === 0 ? chunk : new Uint8Array(chunk);
  const { buffer, byteOffset } = bytes;
  const time = (at: number) =>
    timeForm === FORM.WIDE
      ? new Uint32Array(buffer, byteOffset + at, count)
      : new Float64Array(buffer, byteOffset + at, count);
  const value = (at: number) =>
    valueForm === FORM.WIDE
      ? new Int32Array(buffer, byteOffset + at, count)
      : new Float64Array(buffer, byteOffset + at, count);
  return {
    baseUs: timeForm === FORM.DOUBLE ? 0 : firstUs,
    timeUs:
      timeForm === FORM.NARROW ? readNarrow(bytes, timeAt, wideTime.subarray(0, count), 0) : time(timeAt),
    rawValue:
      valueForm === FORM.NARROW
        ? readNarrow(bytes, valueAt, wideValue.subarray(0, count), SIGN_SHIFT)
        : value(valueAt),
    series:
      seriesForm === SERIES_UINT8
        ? widened(bytes.subarray(seriesAt))
        : new Uint16Array(buffer, byteOffset + seriesAt, count),
  };
}

function isForm(form: number | undefined): form is Form {
  return form !== undefined && form <= FORM.NARROW;
}

function widened(series: Uint8Array): Uint16Array {
  wideSeries.set(series);
  return wideSeries.subarray(0, series.length);
}

/** Shifted up and down again by so much, 24 bits get the sign of the highest. */
const SIGN_SHIFT = 8;

function readNarrow<Column extends Uint32Array | Int32Array>(
  bytes: Uint8Array,
  at: number,
  numbers: Column,
  signShift: number,
): Column {
  for (let index = 0; index < numbers.length; index++, at += 3) {
    const unsigned = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    numbers[index] = (unsigned << signShift) >> signShift;
  }
  return numbers;
}

/** Four numbers are three words. */
function writeNarrow(bytes: Uint8Array, at: number, numbers: Float64Array, base: number): void {
  const groups = numbers.length >> 2;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, 3 * groups);
  for (let group = 0; group < groups; group++) {
    const first = 4 * group;
    const second = numbers[first + 1]! - base;
    const third = numbers[first + 2]! - base;
    words[3 * group] = ((numbers[first]! - base) & UINT24_MAX) | (second << 24);
    words[3 * group + 1] = ((second >> 8) & 0xffff) | (third << 16);
    words[3 * group + 2] = ((third >> 16) & 0xff) | ((numbers[first + 3]! - base) << 8);
  }
  at += 12 * groups;
  for (let index = 4 * groups; index < numbers.length; index++, at += 3) {
    const number = numbers[index]! - base;
    bytes[at] = number;
    bytes[at + 1] = number >> 8;
    bytes[at + 2] = number >> 16;
  }
}

// Plain loops: `every` and `from` with a callback take ten times as long, and this runs for every sample.

function addedTo(firstUs: number, offsets: Uint32Array): Float64Array {
  const timestampUs = new Float64Array(offsets.length);
  for (let index = 0; index < offsets.length; index++) timestampUs[index] = firstUs + offsets[index]!;
  return timestampUs;
}

/** Looks through columns, all three in one loop: each loop more costs a nanosecond a sample, and a start the time of its compiler. */
export function surveyOf({ timestampUs, rawValue, series }: SampleColumns): Survey {
  let minUs = Number.POSITIVE_INFINITY;
  let maxUs = Number.NEGATIVE_INFINITY;
  let valueForm: Form = FORM.NARROW;
  let seriesUnion = 0;
  for (let index = 0; index < timestampUs.length; index++) {
    const us = timestampUs[index]!;
    if (us < minUs) minUs = us;
    if (us > maxUs) maxUs = us;
    const value = rawValue[index]!;
    // -0 is no integer: it would come back as 0.
    if (!Object.is(value | 0, value)) valueForm = FORM.DOUBLE;
    else if (valueForm === FORM.NARROW && (value > INT24_MAX || value < -INT24_MAX - 1))
      valueForm = FORM.WIDE;
    seriesUnion |= series[index]!;
  }
  return { minUs, maxUs, valueForm, seriesUnion };
}

function timeFormOf(minUs: number, maxUs: number, firstUs: number): Form {
  if (minUs < firstUs || maxUs - firstUs > UINT32_MAX) return FORM.DOUBLE;
  return maxUs - firstUs > UINT24_MAX ? FORM.WIDE : FORM.NARROW;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function corrupt(what: string): HistoryError {
  return new HistoryError('HISTORY_CHUNK_CORRUPT', `A chunk of samples can't be read: ${what}.`);
}
