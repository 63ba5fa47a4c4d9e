import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import {
  CHUNK_SAMPLES_RECENT,
  ROLLUP_SAMPLES_PER_SPAN_MIN,
  SEGMENT_CHUNKS_MAX,
  SEGMENT_SEQ_SPAN_MAX,
  SERIES_MAX,
} from '../../shared/limits.ts';
import { type BlockColumns, encodeBlock, estimateClockBytes } from '../blocks/block-codec.ts';
import { BytePageWriter, type BytePlace, lastPageOf, STORED } from '../blocks/byte-pages.ts';
import { type ChunkView, corruptChunk, viewChunk } from '../blocks/chunk-codec.ts';
import { RollupRows, rollUp, SECOND, type SeriesRollup } from '../blocks/rollup-rows.ts';
import { type OnDamage, readable } from '../database/damage.ts';

/** How long one slice of work may take: a commit that falls due waits no longer. */
const SLICE_MS = 4;
/** Chunks that one slice reads. */
const CHUNKS_PER_SLICE = 16;
/** Blocks, and bytes of them, that one commit writes at most. */
const BLOCKS_PER_COMMIT_MAX = 64;
const BLOCK_BYTES_PER_COMMIT_MAX = 512 * 1024;
/** A leader may have so many samples more than its follower: the span's end may cut a burst in two. */
const LEADER_EXTRA_SAMPLES_MAX = 3;
/** Leaders that are tried for a block. */
const LEADERS_TRIED_MAX = 3;

interface ChunkRow {
  first_seq: number;
  count: number;
  base_timestamp_us: number;
  samples: Uint8Array;
}

/** A block as it goes into the database; its id follows from its place. */
interface Block {
  readonly series: number;
  readonly columns: BlockColumns;
  /** The place of its leader among the segment's blocks. */
  readonly leader: number | null;
  readonly at: BytePlace;
}

/** What a segment replaces. */
interface Span {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly count: number;
  readonly chunkCount: number;
}

/** Samples that are no longer in chunks, and the chunks that held them. */
export interface Moved {
  readonly samples: number;
  readonly chunks: number;
  /** How many of the samples can't be read any more. */
  readonly samplesDamaged: number;
}

export const NOTHING_MOVED: Moved = { samples: 0, chunks: 0, samplesDamaged: 0 };

/** The samples of some chunks, and how many each series has of them. */
interface Gathered extends Span {
  readonly chunks: readonly ChunkRow[];
  readonly countOf: Uint32Array;
}

/**
 * Turns chunks, which hold a second of every series, into a segment of blocks, which hold many minutes of
 * one each. It works in slices between commits: reads chunks, sorts their samples by series, encodes block
 * after block; what is ready goes along with the next commits. Only the last of them, which adds the
 * segment's row and deletes its chunks, makes a difference to readers. A crash before leaves blocks without
 * a segment, which the next start deletes.
 */
export class Compactor {
  readonly #database: DatabaseSync;
  readonly #segmentSamples: number;
  /** Samples that stay in chunks, where SQL can read them. */
  readonly #samplesRecent: number;
  readonly #nodeOf = new Uint32Array(SERIES_MAX);
  readonly #readChunks: StatementSync;
  readonly #countSeries: StatementSync;
  readonly #pages: BytePageWriter;
  readonly #insertBlock: StatementSync;
  readonly #insertSegment: StatementSync;
  readonly #deleteChunks: StatementSync;
  readonly #copyToQuarantine: StatementSync;
  readonly #deleteChunk: StatementSync;
  readonly #onDamage: OnDamage;
  readonly #rollupRows: RollupRows;

  #columns: BlockColumns = columnsOf(0);

  /** The work on a segment; it yields after each slice. */
  #work: Generator<void, void> | null = null;
  /** Known when the work is done. */
  #span: Span | null = null;
  /** A chunk that the work has met and that can't be read. */
  #damaged: { readonly firstSeq: number; readonly samples: number } | null = null;
  readonly #blocks: Block[] = [];
  /** Of signals that come often; they go along with the segment's row. */
  readonly #rollups: SeriesRollup[] = [];
  #blocksWritten = 0;
  /** Blocks that the open transaction has written. */
  #blocksInTransaction = 0;
  #isSegmentInTransaction = false;
  #nextBlockId: number;
  /** No segment holds samples from before this number and others. */
  #boundarySeq: number | null = null;

  /** `segmentSamples` is the least that makes a segment. */
  constructor(database: DatabaseSync, segmentSamples: number, onDamage: OnDamage) {
    this.#database = database;
    this.#onDamage = onDamage;
    this.#rollupRows = new RollupRows(database);
    this.#copyToQuarantine = database.prepare(
      'INSERT INTO quarantine SELECT * FROM chunks WHERE first_seq = ?',
    );
    this.#deleteChunk = database.prepare('DELETE FROM chunks WHERE first_seq = ?');
    this.#segmentSamples = segmentSamples;
    this.#samplesRecent = Math.min(CHUNK_SAMPLES_RECENT, Math.floor(segmentSamples / 4));
    this.#readChunks = database.prepare(
      'SELECT first_seq, count, base_timestamp_us, samples FROM chunks WHERE first_seq > ? ORDER BY first_seq LIMIT ?',
    );
    this.#countSeries = database.prepare('SELECT coalesce(max(id) + 1, 0) AS series FROM series');
    // Replacing: a transaction that is undone may bring blocks back that belong to no segment.
    this.#insertBlock = database.prepare(
      'INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)',
    );
    this.#insertSegment = database.prepare('INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#deleteChunks = database.prepare('DELETE FROM chunks WHERE first_seq <= ?');
    const last = database
      .prepare(
        'SELECT id, first_byte AS firstByte, bytes FROM blocks WHERE id = (SELECT max(last_block) FROM segments)',
      )
      .get() as (BytePlace & { id: number }) | undefined;
    this.#nextBlockId = (last?.id ?? 0) + 1;
    this.#pages = new BytePageWriter(database, STORED.blocks, last === undefined ? 0 : lastPageOf(last) + 1);
    this.#deleteUnfinished();
  }

  /** Series tell which node sends them; nodes send in bursts, whose clocks are alike. */
  addSeries(series: readonly SeriesRecord[]): void {
    for (const { index, nodeId } of series) this.#nodeOf[index] = nodeId;
  }

  /** Has segments end there: what comes behind may be given other timestamps, which a block can only be as a whole. */
  setBoundary(seq: number | null): void {
    this.#boundarySeq = seq;
  }

  /** Whether something waits to be written by the next commit. */
  get hasOutput(): boolean {
    return this.#span !== null || this.#damaged !== null || this.#blocksWritten < this.#blocks.length;
  }

  /**
   * Does a slice of the work; false when there is nothing to do until more samples come or a commit has
   * written what is ready. `chunkSamples` and `chunkCount` are what lies in chunks.
   */
  step(chunkSamples: number, chunkCount: number): boolean {
    if (this.#span !== null || this.#damaged !== null) return false;
    if (this.#work === null) {
      const isEnough = chunkSamples >= this.#segmentSamples + this.#samplesRecent;
      if (!isEnough && chunkCount < SEGMENT_CHUNKS_MAX) return false;
      this.#work = this.#makeSegment();
    }
    return !this.#work.next().done;
  }

  *#makeSegment(): Generator<void, void> {
    const gathered = yield* this.#gather();
    if (gathered === null) return;
    const { columns, startOf, order } = yield* this.#sortBySeries(gathered);
    let sliceStartedMs = performance.now();
    for (const series of order) {
      const start = startOf[series]!;
      const end = start + gathered.countOf[series]!;
      this.#encode(series, {
        seq: columns.seq.subarray(start, end),
        timestampUs: columns.timestampUs.subarray(start, end),
        rawValue: columns.rawValue.subarray(start, end),
      });
      if (performance.now() - sliceStartedMs < SLICE_MS) continue;
      yield;
      sliceStartedMs = performance.now();
    }
    this.#span = gathered;
  }

  /** Reads the oldest chunks until they make a segment; null where one of them is damaged. */
  *#gather(): Generator<void, Gathered | null> {
    const chunks: ChunkRow[] = [];
    const countOf = new Uint32Array(SERIES_MAX);
    const { series: seriesCount } = this.#countSeries.get() as { series: number };
    let count = 0;
    let readUpTo = 0;
    gather: while (count < this.#segmentSamples && chunks.length < SEGMENT_CHUNKS_MAX) {
      const rows = this.#readChunks.all(readUpTo, CHUNKS_PER_SLICE) as unknown as ChunkRow[];
      for (const row of rows) {
        const { first_seq, count: sampleCount } = row;
        // Lost samples leave gaps in the numbers; a reader has a place for every number of a segment.
        const seqSpan = first_seq + sampleCount - (chunks[0]?.first_seq ?? first_seq);
        if (seqSpan > SEGMENT_SEQ_SPAN_MAX) break gather;
        if (this.#isBoundary(first_seq, chunks[0]?.first_seq ?? first_seq)) break gather;
        readUpTo = first_seq;
        const columns = readable(`chunk ${first_seq}`, this.#onDamage, () => checked(view(row), seriesCount));
        if (columns === null) {
          this.#damaged = { firstSeq: first_seq, samples: sampleCount };
          return null;
        }
        for (let index = 0; index < sampleCount; index++) countOf[columns.series[index]!]!++;
        chunks.push(row);
        count += sampleCount;
        if (count >= this.#segmentSamples) break;
      }
      if (rows.length < CHUNKS_PER_SLICE) break;
      yield;
    }
    const last = chunks.at(-1)!;
    const lastSeq = last.first_seq + last.count - 1;
    return { chunks, chunkCount: chunks.length, countOf, count, firstSeq: chunks[0]!.first_seq, lastSeq };
  }

  /** Whether the boundary lies between a segment's first chunk and another. */
  #isBoundary(seq: number, firstSeq: number): boolean {
    return this.#boundarySeq !== null && firstSeq < this.#boundarySeq && seq >= this.#boundarySeq;
  }

  /** Puts the samples of a series together, in the order of their arrival; of a node, the longest first. */
  *#sortBySeries({ chunks, countOf, count }: Gathered) {
    const order: number[] = [];
    for (let series = 0; series < SERIES_MAX; series++) if (countOf[series]! > 0) order.push(series);
    const nodeOf = this.#nodeOf;
    order.sort(
      (left, right) => nodeOf[left]! - nodeOf[right]! || countOf[right]! - countOf[left]! || left - right,
    );
    const startOf = new Uint32Array(SERIES_MAX);
    const nextOf = new Uint32Array(SERIES_MAX);
    let start = 0;
    for (const series of order) {
      startOf[series] = start;
      nextOf[series] = start;
      start += countOf[series]!;
    }
    const columns = this.#columnsFor(count);
    let sliceStartedMs = performance.now();
    for (const row of chunks) {
      const chunk = view(row);
      for (let index = 0; index < chunk.series.length; index++) {
        const to = nextOf[chunk.series[index]!]!++;
        columns.seq[to] = row.first_seq + index;
        columns.timestampUs[to] = chunk.baseUs + chunk.timeUs[index]!;
        columns.rawValue[to] = chunk.rawValue[index]!;
      }
      if (performance.now() - sliceStartedMs < SLICE_MS) continue;
      yield;
      sliceStartedMs = performance.now();
    }
    return { columns, startOf, order };
  }

  /** Columns for a segment, the same ones for each: what is made anew waits long for the garbage collector. */
  #columnsFor(count: number): BlockColumns {
    if (this.#columns.seq.length < count) this.#columns = columnsOf(count);
    const { seq, timestampUs, rawValue } = this.#columns;
    return {
      seq: seq.subarray(0, count),
      timestampUs: timestampUs.subarray(0, count),
      rawValue: rawValue.subarray(0, count),
    };
  }

  #encode(series: number, columns: BlockColumns): void {
    let leader: number | null = null;
    let leastBytes = estimateClockBytes(columns);
    for (const candidate of this.#leadersFor(series, columns.seq.length)) {
      const bytes = estimateClockBytes(columns, this.#blocks[candidate]!.columns);
      if (bytes >= leastBytes) continue;
      leastBytes = bytes;
      leader = candidate;
    }
    const bytes = encodeBlock(columns, leader === null ? undefined : this.#blocks[leader]!.columns);
    this.#blocks.push({ series, columns, leader, at: this.#pages.append(bytes) });
    this.#rollUp(series, columns);
  }

  /**
   * What a second's samples come to, where they are many: a plot of a long time reads a tenth of them or less.
   * Of slow signals the block itself is as quickly read.
   */
  #rollUp(series: number, { timestampUs, rawValue }: BlockColumns): void {
    const [minUs, maxUs] = range(timestampUs);
    const spans = (maxUs - minUs) / (SECOND * 1_000_000);
    if (timestampUs.length < Math.max(2, spans) * ROLLUP_SAMPLES_PER_SPAN_MIN) return;
    this.#rollups.push({ series, rollup: rollUp(SECOND, timestampUs, rawValue) });
  }

  /** Blocks of the same node and about as many samples that follow nobody themselves. */
  #leadersFor(series: number, count: number): number[] {
    const leaders: number[] = [];
    for (let place = this.#blocks.length - 1; place >= 0; place--) {
      const block = this.#blocks[place]!;
      if (this.#nodeOf[block.series] !== this.#nodeOf[series]) break;
      if (block.columns.seq.length > count + LEADER_EXTRA_SAMPLES_MAX) break;
      if (block.leader !== null) continue;
      leaders.push(place);
      if (leaders.length === LEADERS_TRIED_MAX) break;
    }
    return leaders;
  }

  /** Within the transaction of a commit: writes some of what is ready. Returns what left the chunks by it. */
  write(): Moved {
    if (this.#damaged !== null) return this.#quarantine(this.#damaged);
    this.#writeBlocks();
    const isComplete = this.#blocksWritten + this.#blocksInTransaction === this.#blocks.length;
    if (this.#span === null || !isComplete) return NOTHING_MOVED;

    const { firstSeq, lastSeq, count, chunkCount } = this.#span;
    const [minUs, maxUs] = rangeOverBlocks(this.#blocks);
    const lastBlock = this.#nextBlockId + this.#blocks.length - 1;
    this.#insertSegment.run(firstSeq, lastSeq, count, minUs, maxUs, this.#nextBlockId, lastBlock);
    this.#deleteChunks.run(lastSeq);
    const rollupSegment = {
      first_seq: firstSeq,
      last_seq: lastSeq,
      min_timestamp_us: minUs,
      max_timestamp_us: maxUs,
    };
    this.#rollupRows.insertSegment({ span_s: SECOND, ...rollupSegment, bytes: 0 });
    this.#rollupRows.insert(SECOND, firstSeq, this.#rollups);
    this.#isSegmentInTransaction = true;
    return { samples: count, chunks: chunkCount, samplesDamaged: 0 };
  }

  #writeBlocks(): void {
    let bytes = 0;
    let place = this.#blocksWritten;
    for (; place < this.#blocks.length; place++) {
      if (place - this.#blocksWritten === BLOCKS_PER_COMMIT_MAX || bytes > BLOCK_BYTES_PER_COMMIT_MAX) break;
      this.#insert(this.#blocks[place]!, place);
      bytes += this.#blocks[place]!.at.bytes;
    }
    this.#blocksInTransaction = place - this.#blocksWritten;
    if (this.#blocksInTransaction === 0) return;
    this.#pages.write(this.#blocks[this.#blocksWritten]!.at, this.#blocks[place - 1]!.at);
  }

  #insert({ series, columns, leader, at }: Block, place: number): void {
    const [minUs, maxUs] = range(columns.timestampUs);
    const [minValue, maxValue] = range(columns.rawValue);
    let sum = 0;
    for (let index = 0; index < columns.rawValue.length; index++) sum += columns.rawValue[index]!;
    this.#insertBlock.run(
      this.#nextBlockId + place,
      series,
      columns.seq.length,
      minUs,
      maxUs,
      minValue,
      maxValue,
      sum,
      columns.rawValue.at(-1)!,
      leader === null ? null : this.#nextBlockId + leader,
      at.firstByte,
      at.bytes,
    );
  }

  /** Puts a chunk that can't be read out of the way, as it is. */
  #quarantine({ firstSeq, samples }: { readonly firstSeq: number; readonly samples: number }): Moved {
    this.#copyToQuarantine.run(firstSeq);
    this.#deleteChunk.run(firstSeq);
    return { samples, chunks: 1, samplesDamaged: samples };
  }

  /** The transaction is durable. */
  committed(): void {
    if (this.#damaged !== null) this.#forget();
    this.#blocksWritten += this.#blocksInTransaction;
    this.#blocksInTransaction = 0;
    if (!this.#isSegmentInTransaction) return;
    this.#nextBlockId += this.#blocks.length;
    this.#pages.complete();
    this.#forget();
  }

  /** The transaction is undone: what earlier ones have written of this segment stays. */
  rolledBack(): void {
    this.#blocksInTransaction = 0;
    this.#isSegmentInTransaction = false;
  }

  /** Begins anew, as when retention has dropped chunks that may be among those that were read. */
  restart(): void {
    if (this.#blocksWritten > 0) this.#deleteUnfinished();
    this.#forget();
  }

  /** Blocks beyond those of the last segment belong to none. */
  #deleteUnfinished(): void {
    this.#database.prepare('DELETE FROM blocks WHERE id >= ?').run(this.#nextBlockId);
    this.#pages.deleteUnfinished();
  }

  #forget(): void {
    this.#work = null;
    this.#span = null;
    this.#damaged = null;
    this.#blocks.length = 0;
    this.#pages.forget();
    this.#rollups.length = 0;
    this.#blocksWritten = 0;
    this.#blocksInTransaction = 0;
    this.#isSegmentInTransaction = false;
  }
}

/** A chunk whose samples all make sense: what doesn't would be refused as a block, again and again. Throws HISTORY_CHUNK_CORRUPT. */
function checked(chunk: ChunkView, seriesCount: number): ChunkView {
  const { series, rawValue } = chunk;
  for (let index = 0; index < series.length; index++) {
    if (series[index]! >= seriesCount) throw corruptChunk(`there is no series ${series[index]}`);
  }
  if (rawValue instanceof Float64Array && !rawValue.every(Number.isFinite)) {
    throw corruptChunk('a value is no finite number');
  }
  return chunk;
}

function view({ samples, count, base_timestamp_us }: ChunkRow): ChunkView {
  return viewChunk(samples, count, base_timestamp_us);
}

function columnsOf(count: number): BlockColumns {
  return {
    seq: new Float64Array(count),
    timestampUs: new Float64Array(count),
    rawValue: new Float64Array(count),
  };
}

function rangeOverBlocks(blocks: readonly Block[]): [min: number, max: number] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const { columns } of blocks) {
    const [first, last] = range(columns.timestampUs);
    min = Math.min(min, first);
    max = Math.max(max, last);
  }
  return [min, max];
}

function range(values: Float64Array): [min: number, max: number] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < values.length; index++) {
    if (values[index]! < min) min = values[index]!;
    if (values[index]! > max) max = values[index]!;
  }
  return [min, max];
}
