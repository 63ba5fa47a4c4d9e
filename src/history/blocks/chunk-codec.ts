import { crc32 } from 'node:zlib';
import { HistoryError } from '../../shared/errors.ts';

/**
 * How the samples of a chunk are written: columns, each as narrow as what it holds, little-endian.
 *
 *   bytes 0..7   version (1), timestamp form, value form, series form, CRC-32 of these and of what follows (Uint32)
 *   then         timestamps   Float64, or offsets from the chunk's first timestamp: Uint32 or Uint24
 *   then         raw values   Float64, Int32 or Int24
 *   then         series       Uint16 or Uint8
 *
 * The wider forms are there for what the narrow ones can't hold: a chunk that spans more than 16 seconds (or 71
 * minutes) or whose clock stepped back, values that aren't integers of 24 (or 32) bits, more than 256 series.
 * Every form is exact. Chunks of early versions have 0 for a checksum, which none is: they aren't checked.
 */
const VERSION = 1;
const HEADER_BYTES = 8;
const FORMS_BYTES = 4;
const NO_CHECKSUM = 0;
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

/** A chunk, and the least and the greatest timestamp in it. */
export interface EncodedChunk {
  readonly bytes: Uint8Array;
  readonly minUs: number;
  readonly maxUs: number;
}

/** Writes columns of one sample at least: timestamps are safe integers, values are finite, series are below 65,536. */
export function encodeChunk(columns: SampleColumns): EncodedChunk {
  const encoded = encodeNarrow(columns) ?? encodeWide(columns);
  headerOf(encoded.bytes).setUint32(FORMS_BYTES, checksumOf(encoded.bytes), true);
  return encoded;
}

function headerOf({ buffer, byteOffset }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, HEADER_BYTES);
}

/** It takes some 10 µs for a chunk of 8,192 samples. */
function checksumOf(chunk: Uint8Array): number {
  return crc32(chunk.subarray(HEADER_BYTES), crc32(chunk.subarray(0, FORMS_BYTES))) || 1;
}

/** Where timestamps and values are narrow, as nearly all are, one loop looks at them and writes them; else null. */
function encodeNarrow(columns: SampleColumns): EncodedChunk | null {
  const { timestampUs, series } = columns;
  const count = timestampUs.length;
  const { timeAt, valueAt, seriesAt, end } = layOut(count, FORM.NARROW, FORM.NARROW, SERIES_UINT16);
  const buffer = new ArrayBuffer(end);
  const written = writeNarrow(columns, buffer, timeAt, valueAt);
  if (written === null) return null;
  const isUint8 = written.seriesUnion < 256;
  const bytes = new Uint8Array(buffer, 0, isUint8 ? seriesAt + count : end);
  bytes.set([VERSION, FORM.NARROW, FORM.NARROW, isUint8 ? SERIES_UINT8 : SERIES_UINT16]);
  if (isUint8) bytes.set(series, seriesAt);
  else new Uint16Array(buffer, seriesAt, count).set(series);
  // No offset is below 0.
  const minUs = timestampUs[0]!;
  return { bytes, minUs, maxUs: minUs + written.offsetMax };
}

/** Four numbers are three words. */
function writeNarrow(
  { timestampUs, rawValue, series }: SampleColumns,
  buffer: ArrayBuffer,
  timeAt: number,
  valueAt: number,
): { readonly offsetMax: number; readonly seriesUnion: number } | null {
  const count = timestampUs.length;
  const firstUs = timestampUs[0]!;
  const groups = count >> 2;
  const timeWords = new Int32Array(buffer, timeAt, 3 * groups);
  const valueWords = new Int32Array(buffer, valueAt, 3 * groups);
  let offsetMax = 0;
  let seriesUnion = 0;
  for (let group = 0; group < groups; group++) {
    const at = 4 * group;
    const word = 3 * group;
    const us0 = timestampUs[at]! - firstUs;
    const us1 = timestampUs[at + 1]! - firstUs;
    const us2 = timestampUs[at + 2]! - firstUs;
    const us3 = timestampUs[at + 3]! - firstUs;
    const time0 = us0 | 0;
    const time1 = us1 | 0;
    const time2 = us2 | 0;
    const time3 = us3 | 0;
    if (time0 !== us0 || time1 !== us1 || time2 !== us2 || time3 !== us3) return null;
    // Neither below 0 nor above UINT24_MAX.
    if ((time0 | time1 | time2 | time3) >>> 24 !== 0) return null;
    offsetMax = Math.max(offsetMax, time0, time1, time2, time3);
    timeWords[word] = time0 | (time1 << 24);
    timeWords[word + 1] = (time1 >> 8) | (time2 << 16);
    timeWords[word + 2] = (time2 >> 16) | (time3 << 8);

    const value0 = rawValue[at]! | 0;
    const value1 = rawValue[at + 1]! | 0;
    const value2 = rawValue[at + 2]! | 0;
    const value3 = rawValue[at + 3]! | 0;
    const areIntegers =
      Object.is(value0, rawValue[at]) &&
      Object.is(value1, rawValue[at + 1]) &&
      Object.is(value2, rawValue[at + 2]) &&
      Object.is(value3, rawValue[at + 3]);
    if (!areIntegers || !(isInt24(value0) && isInt24(value1) && isInt24(value2) && isInt24(value3)))
      return null;
    valueWords[word] = (value0 & UINT24_MAX) | (value1 << 24);
    valueWords[word + 1] = ((value1 >> 8) & 0xffff) | (value2 << 16);
    valueWords[word + 2] = ((value2 >> 16) & 0xff) | (value3 << 8);
    seriesUnion |= series[at]! | series[at + 1]! | series[at + 2]! | series[at + 3]!;
  }
  const bytes = new Uint8Array(buffer);
  for (let at = 4 * groups; at < count; at++) {
    const offset = timestampUs[at]! - firstUs;
    if (!(offset >= 0 && offset <= UINT24_MAX) || narrowest(rawValue[at]!) !== FORM.NARROW) return null;
    offsetMax = Math.max(offsetMax, offset);
    writeInt24(bytes, timeAt + 3 * at, offset);
    writeInt24(bytes, valueAt + 3 * at, rawValue[at]!);
    seriesUnion |= series[at]!;
  }
  return { offsetMax, seriesUnion };
}

/** The same where one column at least is wider. */
function encodeWide({ timestampUs, rawValue, series }: SampleColumns): EncodedChunk {
  const count = timestampUs.length;
  const firstUs = timestampUs[0]!;
  const { minUs, maxUs } = timeRangeOf(timestampUs);
  const timeForm = timeFormOf(minUs, maxUs, firstUs);
  const valueForm = valueFormOf(rawValue);
  const seriesForm = areUint8(series) ? SERIES_UINT8 : SERIES_UINT16;
  const { timeAt, valueAt, seriesAt, end } = layOut(count, timeForm, valueForm, seriesForm);

  const buffer = new ArrayBuffer(end);
  const bytes = new Uint8Array(buffer);
  bytes.set([VERSION, timeForm, valueForm, seriesForm]);
  if (timeForm === FORM.DOUBLE) new Float64Array(buffer, timeAt, count).set(timestampUs);
  else {
    const offsets = timestampUs.map((us) => us - firstUs);
    if (timeForm === FORM.WIDE) new Uint32Array(buffer, timeAt, count).set(offsets);
    else for (let at = 0; at < count; at++) writeInt24(bytes, timeAt + 3 * at, offsets[at]!);
  }
  if (valueForm === FORM.DOUBLE) new Float64Array(buffer, valueAt, count).set(rawValue);
  else if (valueForm === FORM.WIDE) new Int32Array(buffer, valueAt, count).set(rawValue);
  else for (let at = 0; at < count; at++) writeInt24(bytes, valueAt + 3 * at, rawValue[at]!);

  if (seriesForm === SERIES_UINT8) bytes.set(series, seriesAt);
  else new Uint16Array(buffer, seriesAt, count).set(series);
  return { bytes, minUs, maxUs };
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
    throw corruptChunk(
      `expected version ${VERSION}, found ${version}, ${timeForm}, ${valueForm}, ${seriesForm}`,
    );
  }
  const { timeAt, valueAt, seriesAt, end } = layOut(count, timeForm, valueForm, seriesForm!);
  if (chunk.byteLength !== end) {
    throw corruptChunk(`expected ${end} bytes for ${count} samples, found ${chunk.byteLength}`);
  }
  const checksum = headerOf(chunk).getUint32(FORMS_BYTES, true);
  if (checksum !== NO_CHECKSUM && checksum !== checksumOf(chunk)) {
    throw corruptChunk(`the checksum isn't that of its ${end} bytes`);
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

function writeInt24(bytes: Uint8Array, at: number, number: number): void {
  bytes[at] = number;
  bytes[at + 1] = number >> 8;
  bytes[at + 2] = number >> 16;
}

// Plain loops: `every` and `from` with a callback take ten times as long, and this runs for every sample.

function addedTo(firstUs: number, offsets: Uint32Array): Float64Array {
  const timestampUs = new Float64Array(offsets.length);
  for (let index = 0; index < offsets.length; index++) timestampUs[index] = firstUs + offsets[index]!;
  return timestampUs;
}

function timeRangeOf(timestampUs: Float64Array): { readonly minUs: number; readonly maxUs: number } {
  let minUs = Number.POSITIVE_INFINITY;
  let maxUs = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < timestampUs.length; index++) {
    const us = timestampUs[index]!;
    if (us < minUs) minUs = us;
    if (us > maxUs) maxUs = us;
  }
  return { minUs, maxUs };
}

function valueFormOf(rawValue: Float64Array): Form {
  let form: Form = FORM.NARROW;
  for (let index = 0; index < rawValue.length; index++) {
    const value = narrowest(rawValue[index]!);
    // The less narrow, the lower.
    if (value < form) form = value;
  }
  return form;
}

function narrowest(value: number): Form {
  // -0 is no integer: it would come back as 0.
  if (!Object.is(value | 0, value)) return FORM.DOUBLE;
  return isInt24(value) ? FORM.NARROW : FORM.WIDE;
}

function isInt24(value: number): boolean {
  return value >= -INT24_MAX - 1 && value <= INT24_MAX;
}

function areUint8(series: Uint32Array | Uint16Array): boolean {
  let union = 0;
  for (let index = 0; index < series.length; index++) union |= series[index]!;
  return union < 256;
}

function timeFormOf(minUs: number, maxUs: number, firstUs: number): Form {
  if (minUs < firstUs || maxUs - firstUs > UINT32_MAX) return FORM.DOUBLE;
  return maxUs - firstUs > UINT24_MAX ? FORM.WIDE : FORM.NARROW;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

export function corruptChunk(what: string): HistoryError {
  return new HistoryError('HISTORY_CHUNK_CORRUPT', `A chunk of samples can't be read: ${what}.`);
}
