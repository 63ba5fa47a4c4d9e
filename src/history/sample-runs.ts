import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HistoryError } from '../shared/errors.ts';
import { type BlockClock, type BlockColumns, decodeBlock, decodeClock } from './block-codec.ts';
import { decodeChunk } from './chunk-codec.ts';

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

interface BlockRow {
  id: number;
  series: number;
  count: number;
  leader: number | null;
  samples: Uint8Array;
}

interface ChunkRow {
  first_seq: number;
  count: number;
  base_timestamp_us: number;
  min_timestamp_us: number;
  max_timestamp_us: number;
}

/** Told what can't be read; it is passed over, and the rest is served. */
export type OnDamage = (message: string) => void;

/** What `decode` gives; null where it finds damage, which is told. */
export function readable<T>(what: string, onDamage: OnDamage, decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof HistoryError)) throw error;
    onDamage(`${what}: ${error.message}`);
    return null;
  }
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
  readonly #blocksBetween: StatementSync;
  readonly #seriesBetween: StatementSync;
  readonly #block: StatementSync;
  readonly #chunk: StatementSync;
  readonly #onDamage: OnDamage;
  /** The segment that was read last: pages ask for the same one again and again. */
  #lastSegment: { readonly firstSeq: number; readonly key: string; readonly samples: RunSamples } | null =
    null;

  constructor(database: DatabaseSync, onDamage: OnDamage) {
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
    this.#seriesBetween = database.prepare('SELECT id, series FROM blocks WHERE id BETWEEN ? AND ?');
    this.#blocksBetween = database.prepare(
      'SELECT id, series, count, leader, samples FROM blocks WHERE id BETWEEN ? AND ?',
    );
    this.#block = database.prepare('SELECT id, series, count, leader, samples FROM blocks WHERE id = ?');
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

  /** All chunks, oldest first. */
  *chunks(): Generator<Run> {
    for (const row of this.#chunksAscending.iterate(0)) yield this.#chunkRun(row as unknown as ChunkRow);
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
        const what = `the chunk of samples ${firstSeq} to ${firstSeq + count - 1}`;
        const columns = readable(what, this.#onDamage, () => decodeChunk(samples, count, base_timestamp_us));
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
      read: (wanted) => {
        const last = this.#lastSegment;
        if (last?.firstSeq === row.first_seq && last.key === wanted.key) return last.samples;
        const samples = this.#readSegment(row, wanted);
        this.#lastSegment = { firstSeq: row.first_seq, key: wanted.key, samples };
        return samples;
      },
    };
  }

  #readSegment(segment: SegmentRow, wanted: WantedSeries): RunSamples {
    const clocks = new Map<number, BlockClock>();
    const parts: { series: number; columns: BlockColumns }[] = [];
    let count = 0;
    for (const row of this.#wantedBlocks(segment, wanted)) {
      const columns = readable(`block ${row.id}`, this.#onDamage, () =>
        decodeBlock(row.samples, row.count, this.#leaderClock(row.leader, clocks)),
      );
      if (columns === null) continue;
      clocks.set(row.id, columns);
      parts.push({ series: row.series, columns });
      count += row.count;
    }
    return mergeBySeq(segment, parts, count);
  }

  #wantedBlocks(segment: SegmentRow, wanted: WantedSeries): Iterable<BlockRow> {
    const { first_block, last_block } = segment;
    if (wanted.isEverything) {
      return this.#blocksBetween.iterate(first_block, last_block) as unknown as Iterable<BlockRow>;
    }
    return (this.#seriesBetween.all(first_block, last_block) as unknown as { id: number; series: number }[])
      .filter(({ series }) => wanted.bySeries[series] === 1)
      .map(({ id }) => this.#block.get(id) as unknown as BlockRow);
  }

  #leaderClock(leader: number | null, clocks: Map<number, BlockClock>): BlockClock | undefined {
    if (leader === null) return undefined;
    let clock = clocks.get(leader);
    if (clock === undefined) {
      const row = this.#block.get(leader) as unknown as BlockRow;
      clock = decodeClock(row.samples, row.count);
      clocks.set(leader, clock);
    }
    return clock;
  }
}

/** Puts the samples of several series into the order of their arrival: each has a place of its own in the span. */
function mergeBySeq(
  segment: SegmentRow,
  parts: readonly { readonly series: number; readonly columns: BlockColumns }[],
  count: number,
): RunSamples {
  const { first_seq: firstSeq, last_seq: lastSeq } = segment;
  const part = new Int32Array(lastSeq - firstSeq + 1).fill(-1);
  for (let index = 0; index < parts.length; index++) {
    const { seq } = parts[index]!.columns;
    for (let at = 0; at < seq.length; at++) part[seq[at]! - firstSeq] = index;
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
