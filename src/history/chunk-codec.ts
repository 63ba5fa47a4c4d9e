import { HistoryError } from '../shared/errors.ts';

/**
 * How the samples of a chunk are written: columns, each as narrow as what it holds, little-endian.
 *
 *   bytes 0..7   version (1), timestamp form, value form, 5 zeros
 *   then         timestamps   Float64, or Uint32 offsets from the chunk's first timestamp
 *   then         raw values   Float64, or Int32
 *   then         series       Uint16
 *
 * The wider forms are there for what the narrow ones can't hold: a chunk that spans more than 71 minutes
 * or whose clock stepped back, and values that aren't 32-bit integers. Every form is exact.
 */
const VERSION = 1;
const HEADER_BYTES = 8;
const FORM_FLOAT64 = 0;
const FORM_NARROW = 1;
const UINT32_MAX = 0xffff_ffff;

/** Samples in columns of equal length. */
export interface SampleColumns {
  readonly timestampUs: Float64Array;
  readonly rawValue: Float64Array;
  readonly series: Uint32Array | Uint16Array;
}

/** Writes columns: timestamps are safe integers, values are finite, series are below 65,536. */
export function encodeChunk({ timestampUs, rawValue, series }: SampleColumns): Uint8Array {
  const count = timestampUs.length;
  const firstUs = timestampUs[0] ?? 0;
  const narrowTime = areUint32Offsets(timestampUs, firstUs);
  const narrowValue = areInt32(rawValue);
  const timeBytes = count * (narrowTime ? 4 : 8);
  const valueBytes = count * (narrowValue ? 4 : 8);

  const buffer = new ArrayBuffer(HEADER_BYTES + padded(timeBytes) + padded(valueBytes) + count * 2);
  new Uint8Array(buffer).set([
    VERSION,
    narrowTime ? FORM_NARROW : FORM_FLOAT64,
    narrowValue ? FORM_NARROW : FORM_FLOAT64,
  ]);
  let at = HEADER_BYTES;
  if (narrowTime) {
    const offsets = new Uint32Array(buffer, at, count);
    for (let index = 0; index < count; index++) offsets[index] = timestampUs[index]! - firstUs;
  } else {
    new Float64Array(buffer, at, count).set(timestampUs);
  }
  at += padded(timeBytes);
  if (narrowValue) new Int32Array(buffer, at, count).set(rawValue);
  else new Float64Array(buffer, at, count).set(rawValue);
  at += padded(valueBytes);
  new Uint16Array(buffer, at, count).set(series);
  return new Uint8Array(buffer);
}

/** The columns of a chunk as they are written: a sample's timestamp is `baseUs` and what stands in `timeUs`. */
export interface ChunkView {
  readonly baseUs: number;
  readonly timeUs: Uint32Array | Float64Array;
  readonly rawValue: Int32Array | Float64Array;
  readonly series: Uint16Array;
}

/** Reads what encodeChunk wrote. Throws HistoryError HISTORY_CHUNK_CORRUPT. */
export function decodeChunk(chunk: Uint8Array, count: number, firstUs: number): SampleColumns {
  const { baseUs, timeUs, rawValue, series } = viewChunk(chunk, count, firstUs);
  return {
    timestampUs: timeUs instanceof Uint32Array ? addedTo(baseUs, timeUs) : timeUs,
    rawValue: rawValue instanceof Int32Array ? new Float64Array(rawValue) : rawValue,
    series,
  };
}

/** Looks at what encodeChunk wrote, for those who need few of its samples. Throws as decodeChunk does. */
export function viewChunk(chunk: Uint8Array, count: number, firstUs: number): ChunkView {
  const [version, timeForm, valueForm] = chunk;
  if (version !== VERSION || timeForm! > FORM_NARROW || valueForm! > FORM_NARROW) {
    throw corrupt(`expected version ${VERSION}, found ${version}, ${timeForm}, ${valueForm}`);
  }
  const isNarrowTime = timeForm === FORM_NARROW;
  const isNarrowValue = valueForm === FORM_NARROW;
  const timeBytes = padded(count * (isNarrowTime ? 4 : 8));
  const valueBytes = padded(count * (isNarrowValue ? 4 : 8));
  const expectedBytes = HEADER_BYTES + timeBytes + valueBytes + count * 2;
  if (chunk.byteLength !== expectedBytes) {
    throw corrupt(`expected ${expectedBytes} bytes for ${count} samples, found ${chunk.byteLength}`);
  }
  // SQLite gives a blob at any address; typed arrays want theirs aligned.
  const { buffer, byteOffset } = chunk.byteOffset % 8 === 0 ? chunk : new Uint8Array(chunk);
  const timeAt = byteOffset + HEADER_BYTES;
  const valueAt = timeAt + timeBytes;
  return {
    baseUs: isNarrowTime ? firstUs : 0,
    timeUs: isNarrowTime ? new Uint32Array(buffer, timeAt, count) : new Float64Array(buffer, timeAt, count),
    rawValue: isNarrowValue
      ? new Int32Array(buffer, valueAt, count)
      : new Float64Array(buffer, valueAt, count),
    series: new Uint16Array(buffer, valueAt + valueBytes, count),
  };
}

// Plain loops: `every` and `from` with a callback take ten times as long, and this runs for every sample.

function addedTo(firstUs: number, offsets: Uint32Array): Float64Array {
  const timestampUs = new Float64Array(offsets.length);
  for (let index = 0; index < offsets.length; index++) timestampUs[index] = firstUs + offsets[index]!;
  return timestampUs;
}

function areUint32Offsets(timestampUs: Float64Array, firstUs: number): boolean {
  for (let index = 0; index < timestampUs.length; index++) {
    const offset = timestampUs[index]! - firstUs;
    if (!(offset >= 0 && offset <= UINT32_MAX)) return false;
  }
  return true;
}

/** -0 is none: it would come back as 0. */
function areInt32(rawValue: Float64Array): boolean {
  for (let index = 0; index < rawValue.length; index++) {
    const value = rawValue[index]!;
    if (!Object.is(value | 0, value)) return false;
  }
  return true;
}

/** Columns start at multiples of 8 bytes. */
function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

function corrupt(what: string): HistoryError {
  return new HistoryError('HISTORY_CHUNK_CORRUPT', `A chunk of samples can't be read: ${what}.`);
}
