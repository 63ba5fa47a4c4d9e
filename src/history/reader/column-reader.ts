import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BlockColumns } from '../blocks/block-codec.ts';
import type { BlockHeader, BlockReader } from '../blocks/block-reader.ts';
import { viewChunk } from '../blocks/chunk-codec.ts';
import { mergeBySeq, type Run, type SeriesPart } from '../blocks/sample-runs.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import type { ColumnsPage } from '../history-query.ts';

/** Which samples a page of columns begins with. */
export interface ColumnSpan {
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs: number;
  /** Exclusive. */
  readonly toUs: number;
  /** Goes on after the sample with this sequence number. */
  readonly cursor?: number | undefined;
}

interface SegmentRow {
  first_seq: number;
  last_seq: number;
  first_block: number;
  last_block: number;
}

interface BlockRow extends BlockHeader {
  readonly series: number;
  readonly min_timestamp_us: number;
  readonly max_timestamp_us: number;
}

interface ChunkRow {
  first_seq: number;
  count: number;
  base_timestamp_us: number;
  samples: Uint8Array;
}

/** Samples of all series, as they lie in a chunk or in the tail. */
interface Mixture {
  readonly firstSeq: number;
  readonly baseUs: number;
  readonly timeUs: Uint32Array | Float64Array;
  readonly rawValue: Int32Array | Float64Array;
  readonly series: Uint16Array | Uint32Array;
}

type MergedSamples = ReturnType<typeof mergeBySeq>;

/** Of so many blocks the counts say how much room a page needs; if there are more it grows. */
const BLOCKS_COUNTED_MAX = 64;

/**
 * Gives every sample of some series over a span of time as columns. Of the segments it reads the blocks of
 * these series that the span touches, and nothing else. It holds a page and a block; of several series, what
 * one segment has of them.
 */
export class ColumnReader {
  readonly #blocks: BlockReader;
  readonly #segments: StatementSync;
  readonly #blocksOfSeries: StatementSync;
  readonly #blocksCount: StatementSync;
  readonly #chunks: StatementSync;
  readonly #onDamage: OnDamage;
  readonly #pageSamplesMax: number;
  /** The segment that was merged last: pages ask for the same one again. */
  #lastMerged: { readonly firstSeq: number; readonly key: string; readonly samples: MergedSamples } | null =
    null;

  constructor(database: DatabaseSync, blocks: BlockReader, onDamage: OnDamage, pageSamplesMax: number) {
    this.#blocks = blocks;
    this.#onDamage = onDamage;
    this.#pageSamplesMax = pageSamplesMax;
    this.#segments = database.prepare(
      `SELECT first_seq, last_seq, first_block, last_block FROM segments
       WHERE last_seq > ? AND max_timestamp_us >= ? AND min_timestamp_us < ? ORDER BY first_seq`,
    );
    const ofSeries = `FROM blocks WHERE series IN (SELECT value FROM json_each(?)) AND id BETWEEN ? AND ?
      AND max_timestamp_us >= ? AND min_timestamp_us < ?`;
    this.#blocksOfSeries = database.prepare(
      `SELECT id, series, count, leader, min_timestamp_us, max_timestamp_us ${ofSeries} ORDER BY id`,
    );
    this.#blocksCount = database.prepare(
      `SELECT coalesce(sum(count), 0) AS count FROM (SELECT count ${ofSeries} LIMIT ${BLOCKS_COUNTED_MAX})`,
    );
    this.#chunks = database.prepare(
      `SELECT first_seq, count, base_timestamp_us, samples FROM chunks
       WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM chunks WHERE first_seq <= ?)
       AND max_timestamp_us >= ? AND min_timestamp_us < ? ORDER BY first_seq`,
    );
  }

  /**
   * The samples of `series` (indexes, of `seriesCount` in all) after the cursor, as many as a page has. The columns of a
   * page that is given are filled again, if they are long enough.
   */
  page(
    series: readonly number[],
    span: ColumnSpan,
    tail: readonly Run[],
    seriesCount: number,
    reuse?: ColumnsPage,
  ): ColumnsPage {
    const { fromUs, toUs, cursor = 0 } = span;
    const list = JSON.stringify(series);
    const page = new GrowingColumns(span, this.#pageSamplesMax, reuse);
    let isFirst = true;
    for (const row of this.#segments.iterate(cursor, fromUs, toUs)) {
      const segment = row as unknown as SegmentRow;
      if (isFirst) page.reserve(this.#roomFor(segment, list, span));
      isFirst = false;
      if (!this.#addSegment(page, segment, list, span)) return page.finish(true);
      if (page.isFull) return page.finish();
    }
    const bySeries = new Uint8Array(seriesCount);
    for (const index of series) bySeries[index] = 1;
    for (const row of this.#chunks.iterate(cursor, fromUs, toUs)) {
      const { first_seq: firstSeq, count, base_timestamp_us, samples } = row as unknown as ChunkRow;
      const what = `the chunk of samples ${firstSeq} to ${firstSeq + count - 1}`;
      const view = readable(what, this.#onDamage, () => viewChunk(samples, count, base_timestamp_us));
      if (view !== null) page.pick({ firstSeq, ...view }, bySeries);
      if (page.isFull) return page.finish();
    }
    for (const run of tail) {
      const isOutside = run.lastSeq <= cursor || run.maxTimestampUs < fromUs || run.minTimestampUs >= toUs;
      if (isOutside) continue;
      const { firstSeq, timestampUs, ...columns } = run.read({ bySeries, isEverything: false, key: '' });
      page.pick({ firstSeq, baseUs: 0, timeUs: timestampUs, ...columns }, bySeries);
      if (page.isFull) break;
    }
    return page.finish();
  }

  /** How many samples the blocks from a segment on have, up to two pages: a block may go beyond the first. */
  #roomFor({ first_block }: SegmentRow, list: string, { fromUs, toUs }: ColumnSpan): number {
    const row = this.#blocksCount.get(list, first_block, Number.MAX_SAFE_INTEGER, fromUs, toUs);
    return Math.min(Number(row!.count), 2 * this.#pageSamplesMax);
  }

  /** False where it would go beyond a page that has some: the next page begins with it, so it isn't decoded twice. */
  #addSegment(page: GrowingColumns, segment: SegmentRow, list: string, span: ColumnSpan): boolean {
    const { first_seq: firstSeq, first_block, last_block } = segment;
    const { fromUs, toUs, cursor = 0 } = span;
    const isIn = (row: BlockRow) =>
      firstSeq > cursor && row.min_timestamp_us >= fromUs && row.max_timestamp_us < toUs;

    const found = this.#blocksOfSeries.all(list, first_block, last_block, fromUs, toUs);
    const rows = found as unknown as BlockRow[];
    const [row] = rows;
    if (row === undefined) return true;
    if (!page.hasRoomFor(rows.reduce((sum, { count }) => sum + count, 0))) return false;
    if (rows.length === 1) {
      const columns = this.#blocks.read(row, page.room(row.count));
      if (columns !== null) page.took(row.count, row.series, isIn(row));
    } else page.add(this.#merged(segment, rows, JSON.stringify([list, fromUs, toUs, row.min_timestamp_us])));
    return true;
  }

  #merged({ first_seq, last_seq }: SegmentRow, rows: readonly BlockRow[], key: string): MergedSamples {
    const last = this.#lastMerged;
    if (last?.firstSeq === first_seq && last.key === key) return last.samples;
    // The one before may go already.
    this.#lastMerged = null;
    const parts: SeriesPart[] = [];
    for (const row of rows) {
      const columns = this.#blocks.read(row);
      if (columns !== null) parts.push({ series: row.series, columns });
    }
    const samples = mergeBySeq({ firstSeq: first_seq, lastSeq: last_seq }, parts);
    this.#lastMerged = { firstSeq: first_seq, key, samples };
    return samples;
  }
}

const NO_ROOM = new ArrayBuffer(0);

/** Samples of a span, as columns that grow. */
class GrowingColumns {
  readonly #span: ColumnSpan;
  readonly #samplesMax: number;
  #seq: Float64Array<ArrayBuffer>;
  #timestampUs: Float64Array<ArrayBuffer>;
  #rawValue: Float64Array<ArrayBuffer>;
  #series: Uint16Array<ArrayBuffer>;
  count = 0;

  /** `samplesMax` make a page. */
  constructor(span: ColumnSpan, samplesMax: number, reuse?: ColumnsPage) {
    this.#span = span;
    this.#samplesMax = samplesMax;
    this.#seq = new Float64Array(reuse?.seq.buffer ?? NO_ROOM);
    this.#timestampUs = new Float64Array(reuse?.timestampUs.buffer ?? NO_ROOM);
    this.#rawValue = new Float64Array(reuse?.rawValue.buffer ?? NO_ROOM);
    this.#series = new Uint16Array(reuse?.series.buffer ?? NO_ROOM);
  }

  /** Whether there is more than a page, so that it is known that another follows. */
  get isFull(): boolean {
    return this.count > this.#samplesMax;
  }

  /** Whether so many samples more fit into the page; anything fits into an empty one. */
  hasRoomFor(count: number): boolean {
    return this.count === 0 || this.count + count <= this.#samplesMax;
  }

  /** Makes room for so many samples in all. */
  reserve(capacity: number): void {
    const { count } = this;
    if (capacity <= this.#seq.length) return;
    const [seq, timestampUs, rawValue, series] = [this.#seq, this.#timestampUs, this.#rawValue, this.#series];
    this.#seq = new Float64Array(capacity);
    this.#timestampUs = new Float64Array(capacity);
    this.#rawValue = new Float64Array(capacity);
    this.#series = new Uint16Array(capacity);
    if (count === 0) return;
    this.#seq.set(seq.subarray(0, count));
    this.#timestampUs.set(timestampUs.subarray(0, count));
    this.#rawValue.set(rawValue.subarray(0, count));
    this.#series.set(series.subarray(0, count));
  }

  /** Room behind the samples for `count` more. */
  room(count: number): BlockColumns {
    const end = this.count + count;
    if (end > this.#seq.length) this.reserve(Math.max(end, 2 * this.#seq.length));
    return {
      seq: this.#seq.subarray(this.count, end),
      timestampUs: this.#timestampUs.subarray(this.count, end),
      rawValue: this.#rawValue.subarray(this.count, end),
    };
  }

  /** Takes what was written into the room, of one series; unless all of it is in the span, what is. */
  took(count: number, series: number, isIn: boolean): void {
    const start = this.count;
    const end = start + count;
    this.#series.fill(series, start, end);
    if (isIn) this.count = end;
    else
      for (let at = start; at < end; at++)
        this.#append(this.#seq[at]!, this.#timestampUs[at]!, this.#rawValue[at]!, series);
  }

  /** Adds those of the samples that lie in the span. */
  add(samples: BlockColumns & { readonly series: Uint16Array }): void {
    const { seq, timestampUs, rawValue, series } = samples;
    this.room(Math.min(seq.length, this.#samplesMax + 1));
    for (let at = 0; at < seq.length && !this.isFull; at++) {
      this.#append(seq[at]!, timestampUs[at]!, rawValue[at]!, series[at]!);
    }
  }

  /** Adds the samples of the wanted series that lie in the span. */
  pick({ firstSeq, baseUs, timeUs, rawValue, series }: Mixture, bySeries: Uint8Array): void {
    // Counted first: most of a chunk is of other series.
    let wanted = 0;
    for (let at = 0; at < series.length; at++) if (bySeries[series[at]!] === 1) wanted++;
    if (wanted === 0) return;
    this.room(wanted);
    for (let at = 0; at < series.length; at++) {
      if (bySeries[series[at]!] !== 1) continue;
      this.#append(firstSeq + at, baseUs + timeUs[at]!, rawValue[at]!, series[at]!);
    }
  }

  #append(seq: number, timestampUs: number, rawValue: number, series: number): void {
    const { fromUs, toUs, cursor = 0 } = this.#span;
    if (seq <= cursor || timestampUs < fromUs || timestampUs >= toUs) return;
    this.#seq[this.count] = seq;
    this.#timestampUs[this.count] = timestampUs;
    this.#rawValue[this.count] = rawValue;
    this.#series[this.count] = series;
    this.count++;
  }

  /** A page of the first samples. `isFollowed`: another follows, as does one where there are more samples. */
  finish(isFollowed = this.isFull): ColumnsPage {
    const count = Math.min(this.count, this.#samplesMax);
    const seq = this.#seq.subarray(0, count);
    return {
      seq,
      timestampUs: this.#timestampUs.subarray(0, count),
      rawValue: this.#rawValue.subarray(0, count),
      series: this.#series.subarray(0, count),
      nextCursor: isFollowed ? seq[count - 1]! : null,
    };
  }
}
