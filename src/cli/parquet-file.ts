import { zstdCompressSync } from 'node:zlib';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import type { ColumnsPage } from '../history/history-query.ts';
import { type PhysicalConversion, physicalConversion } from '../protocol/physical-value.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import { PARQUET_ROW_GROUP_SAMPLES } from '../shared/limits.ts';
import { VERSION } from '../version.ts';

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema'];
type Column = Parameters<ParquetWriter['write']>[0]['columnData'][number];

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } } as const;
const required = { repetition_type: 'REQUIRED' } as const;
const optional = { repetition_type: 'OPTIONAL' } as const;

/** The columns of the API's samples; the timestamp in microseconds, UTC. */
const SCHEMA: Schema = [
  { name: 'samples', num_children: 13 },
  { name: 'seq', type: 'INT64', ...required },
  {
    name: 'timestamp',
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
    ...required,
  },
  { name: 'bus', ...text, ...required },
  { name: 'node_id', type: 'INT32', ...required },
  { name: 'message_type', ...text, ...required },
  { name: 'component_type', ...text, ...required },
  { name: 'component_id', ...text, ...required },
  { name: 'command_id', ...text, ...required },
  { name: 'value_type', ...text, ...required },
  { name: 'value', type: 'DOUBLE', ...required },
  { name: 'raw_value', type: 'DOUBLE', ...required },
  { name: 'value_name', ...text, ...optional },
  { name: 'unit', ...text, ...optional },
];

/** What the samples of a series have in common. */
interface Described {
  readonly record: SeriesRecord;
  readonly conversion: PhysicalConversion;
}

/** Writes samples into a Parquet file, row group by row group; it holds one of them. */
export class ParquetFile {
  readonly #writer: ParquetWriter;
  readonly #series: Described[] = [];

  /** Makes the file, or empties it. */
  constructor(path: string) {
    this.#writer = new ParquetWriter({
      writer: fileWriter(path),
      schema: SCHEMA,
      codec: 'ZSTD',
      compressors: { ZSTD: (bytes) => zstdCompressSync(bytes) },
      createdBy: `telemetry-collector ${VERSION}`,
    });
  }

  write(page: ColumnsPage, seriesAt: (index: number) => SeriesRecord): void {
    for (let start = 0; start < page.seq.length; start += PARQUET_ROW_GROUP_SAMPLES) {
      const end = Math.min(page.seq.length, start + PARQUET_ROW_GROUP_SAMPLES);
      this.#writer.write({
        columnData: this.#columns(page, start, end, seriesAt),
        rowGroupSize: PARQUET_ROW_GROUP_SAMPLES,
      });
    }
  }

  /** Writes what makes the file whole. */
  finish(): void {
    this.#writer.finish();
  }

  #columns(
    page: ColumnsPage,
    start: number,
    end: number,
    seriesAt: (index: number) => SeriesRecord,
  ): Column[] {
    const rawValue = page.rawValue.subarray(start, end);
    const described: Described[] = [];
    for (const index of page.series.subarray(start, end)) {
      this.#series[index] ??= describe(seriesAt(index));
      described.push(this.#series[index]);
    }
    const texts = (name: string, textOf: (record: SeriesRecord) => string | null): Column => ({
      name,
      data: described.map(({ record }) => textOf(record)),
      encoding: 'RLE_DICTIONARY',
    });
    return [
      { name: 'seq', data: bigints(page.seq.subarray(start, end)), encoding: 'DELTA_BINARY_PACKED' },
      {
        name: 'timestamp',
        data: bigints(page.timestampUs.subarray(start, end)),
        encoding: 'DELTA_BINARY_PACKED',
      },
      texts('bus', ({ bus }) => bus),
      { name: 'node_id', data: described.map(({ record }) => record.nodeId), encoding: 'RLE_DICTIONARY' },
      texts('message_type', ({ definition }) => definition.messageType),
      texts('component_type', ({ definition }) => definition.componentType),
      texts('component_id', ({ definition }) => definition.componentId),
      texts('command_id', ({ definition }) => definition.commandId),
      texts('value_type', ({ definition }) => definition.valueType),
      { name: 'value', data: rawValue.map((raw, at) => described[at]!.conversion.toPhysical(raw)) },
      { name: 'raw_value', data: rawValue },
      {
        name: 'value_name',
        data: described.map(({ record }, at) => record.definition.valueNames?.[rawValue[at]!] ?? null),
        encoding: 'RLE_DICTIONARY',
      },
      texts('unit', ({ definition }) => definition.unit),
    ];
  }
}

function describe(record: SeriesRecord): Described {
  return { record, conversion: physicalConversion(record.definition.scale) };
}

function bigints(numbers: Float64Array): BigInt64Array {
  const integers = new BigInt64Array(numbers.length);
  for (let at = 0; at < numbers.length; at++) integers[at] = BigInt(numbers[at]!);
  return integers;
}
