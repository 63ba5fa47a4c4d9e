import type { SampleReply } from '../api/schemas.ts';
import type { SeriesInfo } from './stream-messages.ts';

/** One signal as one node sends it: what all its samples have in common. */
export interface StreamSeries extends SeriesInfo {
  /** The physical value, in `unit`. */
  toValue(rawValue: number): number;
}

/** Samples of any series, column by column, in the order of their arrival: what costs least to plot or to sum. */
export interface SampleColumns {
  readonly count: number;
  /** Integer microseconds since the epoch. */
  readonly timestampsUs: Float64Array;
  readonly rawValues: Float64Array;
  readonly seqs: Float64Array;
  /** By its number in `seriesByNumber`. Numbers hold as long as the connection does. */
  readonly series: Uint32Array;
  readonly seriesByNumber: ReadonlyMap<number, StreamSeries>;
}

export type UpdateCause = 'snapshot' | 'resume' | 'live';

/** What a message says besides its samples. */
export interface UpdateInfo {
  /** snapshot: the latest of each signal; resume: from the history, after `since`; live: as they come. */
  readonly cause: UpdateCause;
  /** All up to this sequence number has been considered: what to resume from. */
  readonly seq: number;
  /** Samples since the last message that this client was too slow for. */
  readonly missed: number;
  /** Samples since the last message that `maxHz` has left out. */
  readonly thinned: number;
}

export interface BinaryMessage extends UpdateInfo {
  /** Of the subscription, by which "subscribed" has told it. */
  readonly ordinal: number;
  readonly columns: SampleColumns;
}

const VERSION = 1;
const HEADER_BYTES = 24;
/** Timestamp, raw value and sequence number of 8 bytes each, and the series' number of 4. */
const SAMPLE_BYTES = 28;
const CAUSES: readonly UpdateCause[] = ['snapshot', 'resume', 'live'];

/**
 * A binary message, whose columns are views of its bytes:
 *
 *    0  u8   version            24  f64[count]  timestamps, microseconds
 *    1  u8   cause                  f64[count]  raw values
 *    2  u16  subscription           f64[count]  sequence numbers
 *    4  u32  count                  u32[count]  series
 *    8  u32  missed
 *   12  u32  thinned
 *   16  f64  seq
 *
 * All is little-endian, as every machine that browsers and Node run on, but IBM's, is.
 */
export function decodeBinaryMessage(
  bytes: ArrayBuffer,
  seriesByNumber: ReadonlyMap<number, StreamSeries>,
): BinaryMessage {
  if (bytes.byteLength < HEADER_BYTES) throw new Error(`${bytes.byteLength} bytes are no message`);
  const header = new DataView(bytes);
  const version = header.getUint8(0);
  const cause = CAUSES[header.getUint8(1)];
  const count = header.getUint32(4, true);
  if (version !== VERSION) throw new Error(`expected version ${VERSION}, found ${version}`);
  if (cause === undefined) throw new Error(`there is no cause ${header.getUint8(1)}`);
  if (bytes.byteLength !== HEADER_BYTES + count * SAMPLE_BYTES) {
    throw new Error(`${bytes.byteLength} bytes can't be ${count} samples`);
  }
  const doubles = (column: number) => new Float64Array(bytes, HEADER_BYTES + column * count * 8, count);
  const series = new Uint32Array(bytes, HEADER_BYTES + 3 * count * 8, count);
  for (const number of series) {
    if (!seriesByNumber.has(number)) throw new Error(`series ${number} hasn't been told`);
  }
  return {
    cause,
    ordinal: header.getUint16(2, true),
    missed: header.getUint32(8, true),
    thinned: header.getUint32(12, true),
    seq: header.getFloat64(16, true),
    columns: {
      count,
      timestampsUs: doubles(0),
      rawValues: doubles(1),
      seqs: doubles(2),
      series,
      seriesByNumber,
    },
  };
}

/** Physical values, in the unit of each sample's series. */
export function valuesOf({ count, rawValues, series, seriesByNumber }: SampleColumns): Float64Array {
  const values = new Float64Array(count);
  for (let place = 0; place < count; place++) {
    values[place] = seriesByNumber.get(series[place]!)!.toValue(rawValues[place]!);
  }
  return values;
}

/** The same samples as the API gives them elsewhere. */
export function samplesOf(columns: SampleColumns): SampleReply[] {
  const { count, timestampsUs, rawValues, seqs, series, seriesByNumber } = columns;
  return Array.from({ length: count }, (_, place) => {
    const rawValue = rawValues[place]!;
    const each = seriesByNumber.get(series[place]!)!;
    return {
      seq: seqs[place]!,
      timestamp: timestampsUs[place]! / 1_000_000,
      bus: each.bus,
      node_id: each.node_id,
      message_type: each.message_type,
      component_type: each.component_type,
      component_id: each.component_id,
      command_id: each.command_id,
      value_type: each.value_type,
      value: each.toValue(rawValue),
      raw_value: rawValue,
      value_name: each.value_names?.[rawValue] ?? null,
      unit: each.unit,
    };
  });
}

/** Chooses the conversion once, as a sample is no time to do it. */
export function streamSeries(info: SeriesInfo): StreamSeries {
  return { ...info, toValue: conversionOf(info.scale) };
}

/**
 * As the service converts, so that both say the same: a scale that is one over an integer divides by that, as 1234 / 100
 * is 12.34 where 1234 * 0.01 is not.
 */
function conversionOf(scale: number): (rawValue: number) => number {
  if (scale === 1) return (rawValue) => rawValue;
  const divisor = Math.round(1 / scale);
  const isReciprocal = Math.abs(divisor) > 1 && 1 / divisor === scale;
  return isReciprocal ? (rawValue) => rawValue / divisor : (rawValue) => rawValue * scale;
}
