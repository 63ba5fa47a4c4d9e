/** Bytes of one sample in columns. */
export const SAMPLE_COLUMNS_BYTES = 8 + 8 + 8 + 4;

/** Samples one by one, as columns of at least `count` numbers. */
export interface NumberedColumns {
  readonly timestampUs: ArrayLike<number>;
  readonly rawValue: ArrayLike<number>;
  readonly seq: ArrayLike<number>;
  readonly series: ArrayLike<number>;
}

/**
 * Writes samples as the binary form of the API has them, little-endian as all machines are that this runs on:
 *
 *   offset  0          timestampUs  Float64 × count  integer microseconds since the epoch
 *   offset  8 × count  rawValue     Float64 × count
 *   offset 16 × count  seq          Float64 × count
 *   offset 24 × count  series       Uint32  × count  the series' index
 */
export function packColumns(columns: NumberedColumns, start: number, end: number): Uint8Array<ArrayBuffer> {
  const count = end - start;
  const buffer = new ArrayBuffer(count * SAMPLE_COLUMNS_BYTES);
  const timestampUs = new Float64Array(buffer, 0, count);
  const rawValue = new Float64Array(buffer, 8 * count, count);
  const seq = new Float64Array(buffer, 16 * count, count);
  const series = new Uint32Array(buffer, 24 * count, count);
  for (let at = 0; at < count; at++) {
    timestampUs[at] = columns.timestampUs[start + at]!;
    rawValue[at] = columns.rawValue[start + at]!;
    seq[at] = columns.seq[start + at]!;
    series[at] = columns.series[start + at]!;
  }
  return new Uint8Array(buffer);
}

/** The columns of so many samples that packColumns wrote. */
export function viewColumns(bytes: Uint8Array, count: number) {
  const { buffer, byteOffset } = bytes;
  return {
    timestampUs: new Float64Array(buffer, byteOffset, count),
    rawValue: new Float64Array(buffer, byteOffset + 8 * count, count),
    seq: new Float64Array(buffer, byteOffset + 16 * count, count),
    series: new Uint32Array(buffer, byteOffset + 24 * count, count),
  };
}
