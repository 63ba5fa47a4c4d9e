import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HISTORY_PART_SAMPLES, HISTORY_PARTS_KEPT } from '../../shared/limits.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import type { BlockColumns } from './block-codec.ts';
import type { BlockHeader, BlockReader } from './block-reader.ts';
import { type ChunkView, decodeChunk, viewChunk } from './chunk-codec.ts';

/** Samples in the order of their arrival. */
export interface RunSamples {
  readonly count: number;
  /** Sequence numbers, increasing; null where they are firstSeq, firstSeq + 1 and so on. */
  readonly seq: Float64Array | null;
  readonly firstSeq: number;
  readonly timestampUs: Float64Array;
  readonly rawValue: Float64Array;
  readonly series: Uint16Array | Uint32Array;
}

/** A span of the history that is read as a whole: a segment or a chunk. */
export interface Run {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly count: number;
  readonly minTimestampUs: number;
  readonly maxTimestampUs: number;
  /** Reads the samples of the wanted series at least. */
  read(wanted: WantedSeries): RunSamples;
  /** How many samples of these series it has, where that costs less than to read them. */
  countOf?(wanted: WantedSeries): number;
  /** The same samples in smaller runs, for who needs few of them: those that were read last are kept. */
  parts?(order: 'asc' | 'desc'): Iterable<Run>;
}

/** Which series a query is about. */
export interface WantedSeries {
  /** 1 for those that are, by index. */
  readonly bySeries: Uint8Array;
  readonly isEverything: boolean;
  /** The same for the same series. */
  readonly key: string;
}

interface SegmentRow {
  first_seq: number;
  last_seq: number;
  count: number;
  min_timestamp_us: number;
  max_timestamp_us: number;
  first_block: number;
  last_block: number;
}

interface BlockRow extends BlockHeader {
  readonly series: number;
}

interface ChunkRow {
  first_seq: number;
  count: number;
  base_timestamp_us: number;
  min_timestamp_us: number;
  max_timestamp_us: number;
}

/** A chunk as it is stored. */
export interface WholeChunkRow extends ChunkRow {
  samples: Uint8Array;
}

const NO_SAMPLES: RunSamples = {
  count: 0,
  seq: null,
  firstSeq: 0,
  timestampUs: new Float64Array(),
  rawValue: new Float64Array(),
  series: new Uint16Array(),
};

/** Gives the runs of the history in the order of their sequence numbers: segments first, then chunks. */
export class SampleRuns {
  readonly #segmentsDescending: StatementSync;
  readonly #segmentsAscending: StatementSync;
  readonly #chunksDescending: StatementSync;
  readonly #chunksAscending: StatementSync;
  readonly #chunksWithin: StatementSync;
  readonly #blocksBetween: StatementSync;
  readonly #blocks: BlockReader;
  readonly #chunk: StatementSync;
  readonly #onDamage: OnDamage;
  readonly #partSamples: number;
  /** The segment that was read last: pages ask for the same one again and again. */
  #lastSegment: { readonly key: string; readonly samples: RunSamples } | null = null;
  /** The parts of segments that were read last. */
  readonly #lastParts = new Map<string, RunSamples>();

  constructor(
    database: DatabaseSync,
    blocks: BlockReader,
    onDamage: OnDamage,
    partSamples = HISTORY_PART_SAMPLES,
  ) {
    this.#partSamples = partSamples;
    this.#blocks = blocks;
    this.#onDamage = onDamage;
    const segment =
      'SELECT first_seq, last_seq, count, min_timestamp_us, max_timestamp_us, first_block, last_block FROM segments';
    this.#segmentsDescending = database.prepare(`${segment} WHERE first_seq < ? ORDER BY first_seq DESC`);
    // A cursor may point into the middle of a segment: that segment is the last that begins before it.
    this.#segmentsAscending = database.prepare(
      `${segment} WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM segments WHERE first_seq <= ?) ORDER BY first_seq`,
    );
    const chunk =
      'SELECT first_seq, count, base_timestamp_us, min_timestamp_us, max_timestamp_us FROM chunks';
    this.#chunksDescending = database.prepare(`${chunk} WHERE first_seq < ? ORDER BY first_seq DESC`);
    this.#chunksAscending = database.prepare(
      `${chunk} WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM chunks WHERE first_seq <= ?) ORDER BY first_seq`,
    );
    this.#chunksWithin = database.prepare(
      `SELECT first_seq, count, base_timestamp_us, samples FROM chunks
       WHERE max_timestamp_us >= ? AND min_timestamp_us < ? ORDER BY first_seq`,
    );
    this.#blocksBetween = database.prepare(
      'SELECT id, series, count, leader FROM blocks WHERE id BETWEEN ? AND ?',
    );
    this.#chunk = database.prepare('SELECT samples FROM chunks WHERE first_seq = ?');
  }

  /** The runs that have samples before `seq`, newest first. */
  *before(seq: number): Generator<Run> {
    for (const row of this.#chunksDescending.iterate(seq)) yield this.#chunkRun(row as unknown as ChunkRow);
    for (const row of this.#segmentsDescending.iterate(seq))
      yield this.#segmentRun(row as unknown as SegmentRow);
  }

  /** The runs that have samples after `seq`, oldest first. */
  *after(seq: number): Generator<Run> {
    for (const row of this.#segmentsAscending.iterate(seq + 1))
      yield this.#segmentRun(row as unknown as SegmentRow);
    for (const row of this.#chunksAscending.iterate(seq + 1))
      yield this.#chunkRun(row as unknown as ChunkRow);
  }

  /** The chunks that may have samples from `fromUs` to before `toUs`, oldest first, without a copy of any. */
  *chunksWithin(fromUs: number, toUs: number): Generator<ChunkView> {
    for (const row of this.#chunksWithin.iterate(fromUs, toUs)) {
      const { first_seq, count, base_timestamp_us, samples } = row as unknown as WholeChunkRow;
      const view = readable(chunkName(first_seq, count), this.#onDamage, () =>
        viewChunk(samples, count, base_timestamp_us),
      );
      if (view !== null) yield view;
    }
  }

  #chunkRun(row: ChunkRow): Run {
    const { first_seq: firstSeq, count, base_timestamp_us } = row;
    return {
      firstSeq,
      lastSeq: firstSeq + count - 1,
      count,
      minTimestampUs: row.min_timestamp_us,
      maxTimestampUs: row.max_timestamp_us,
      read: () => {
        const { samples } = this.#chunk.get(firstSeq) as { samples: Uint8Array };
        const columns = readable(chunkName(firstSeq, count), this.#onDamage, () =>
          decodeChunk(samples, count, base_timestamp_us),
        );
        return columns === null ? NO_SAMPLES : { count, seq: null, firstSeq, ...columns };
      },
    };
  }

  #segmentRun(row: SegmentRow): Run {
    return {
      firstSeq: row.first_seq,
      lastSeq: row.last_seq,
      count: row.count,
      minTimestampUs: row.min_timestamp_us,
      maxTimestampUs: row.max_timestamp_us,
      read: (wanted) => this.#segment(row, wanted),
      parts: (order) => this.#parts(row, order),
      countOf: (wanted) => this.#blocksOf(row, wanted).reduce((sum, { count }) => sum + count, 0),
    };
  }

  #segment(row: SegmentRow, wanted: WantedSeries): RunSamples {
    const key = segmentKey(row, wanted);
    if (this.#lastSegment?.key === key) return this.#lastSegment.samples;
    const samples = this.#readSegment(row, wanted);
    this.#lastSegment = { key, samples };
    return samples;
  }

  *#parts(row: SegmentRow, order: 'asc' | 'desc'): Generator<Run> {
    const { first_seq, last_seq } = row;
    const count = Math.ceil((last_seq - first_seq + 1) / this.#partSamples);
    for (let at = 0; at < count; at++) {
      const firstSeq = first_seq + (order === 'asc' ? at : count - 1 - at) * this.#partSamples;
      const lastSeq = Math.min(last_seq, firstSeq + this.#partSamples - 1);
      yield {
        firstSeq,
        lastSeq,
        count: lastSeq - firstSeq + 1,
        minTimestampUs: row.min_timestamp_us,
        maxTimestampUs: row.max_timestamp_us,
        read: (wanted) => this.#part(row, wanted, firstSeq, lastSeq),
      };
    }
  }

  /**
   * A copy of a part of a segment. As long as it is kept, whoever pages through it doesn't have the segment read anew
   * because somebody else asks for another in between.
   */
  #part(row: SegmentRow, wanted: WantedSeries, firstSeq: number, lastSeq: number): RunSamples {
    const key = `${firstSeq} ${segmentKey(row, wanted)}`;
    const kept = this.#lastParts.get(key);
    const part = kept ?? partOf(this.#segment(row, wanted), firstSeq, lastSeq);
    // The one that was read longest ago is the first.
    this.#lastParts.delete(key);
    this.#lastParts.set(key, part);
    if (this.#lastParts.size > HISTORY_PARTS_KEPT) {
      const [oldest] = this.#lastParts.keys();
      this.#lastParts.delete(oldest!);
    }
    return part;
  }

  #blocksOf({ first_block, last_block }: SegmentRow, { bySeries }: WantedSeries): BlockRow[] {
    const rows = this.#blocksBetween.all(first_block, last_block) as unknown as BlockRow[];
    return rows.filter(({ series }) => bySeries[series] === 1);
  }

  #readSegment(segment: SegmentRow, wanted: WantedSeries): RunSamples {
    const parts: SeriesPart[] = [];
    for (const row of this.#blocksOf(segment, wanted)) {
      const columns = this.#blocks.read(row);
      if (columns !== null) parts.push({ series: row.series, columns });
    }
    // Merging takes as long as the segment, however little there is to be merged.
    if (parts.length === 0) return NO_SAMPLES;
    return mergeBySeq({ firstSeq: segment.first_seq, lastSeq: segment.last_seq }, parts);
  }
}

/** Its timestamps may be corrected between two questions. */
function segmentKey({ first_seq, min_timestamp_us }: SegmentRow, { key }: WantedSeries): string {
  return `${first_seq} ${min_timestamp_us} ${key}`;
}

function partOf(samples: RunSamples, firstSeq: number, lastSeq: number): RunSamples {
  const start = indexOfSeq(samples, firstSeq);
  const end = indexOfSeq(samples, lastSeq + 1);
  return {
    count: end - start,
    seq: samples.seq?.slice(start, end) ?? null,
    firstSeq: samples.firstSeq + (samples.seq === null ? start : 0),
    timestampUs: samples.timestampUs.slice(start, end),
    rawValue: samples.rawValue.slice(start, end),
    series: samples.series.slice(start, end),
  };
}

/** The index of the first sample whose sequence number is `seq` or more; the count where there is none. */
export function indexOfSeq({ seq, firstSeq, count }: RunSamples, wantedSeq: number): number {
  if (seq === null) return Math.min(count, Math.max(0, wantedSeq - firstSeq));
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seq[middle]! < wantedSeq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For a message. */
export function chunkName(firstSeq: number, count: number): string {
  return `the chunk of samples ${firstSeq} to ${firstSeq + count - 1}`;
}

/** Samples of one series in the order of their arrival. */
export interface SeriesPart {
  readonly series: number;
  readonly columns: BlockColumns;
}

/** Puts the samples of several series into the order of their arrival: each has a place of its own in the span. */
export function mergeBySeq(
  { firstSeq, lastSeq }: Pick<Run, 'firstSeq' | 'lastSeq'>,
  parts: readonly SeriesPart[],
) {
  const part = new Int32Array(lastSeq - firstSeq + 1).fill(-1);
  let count = 0;
  for (let index = 0; index < parts.length; index++) {
    const { seq } = parts[index]!.columns;
    for (let at = 0; at < seq.length; at++) part[seq[at]! - firstSeq] = index;
    count += seq.length;
  }
  const next = new Uint32Array(parts.length);
  const samples = {
    count,
    seq: new Float64Array(count),
    firstSeq,
    timestampUs: new Float64Array(count),
    rawValue: new Float64Array(count),
    series: new Uint16Array(count),
  };
  let to = 0;
  for (let place = 0; place < part.length; place++) {
    const index = part[place]!;
    if (index < 0) continue;
    const { series, columns } = parts[index]!;
    const at = next[index]!++;
    samples.seq[to] = columns.seq[at]!;
    samples.timestampUs[to] = columns.timestampUs[at]!;
    samples.rawValue[to] = columns.rawValue[at]!;
    samples.series[to] = series;
    to++;
  }
  return samples;
}
