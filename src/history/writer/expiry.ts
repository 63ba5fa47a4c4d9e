import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HISTORY_BYTES_HEADROOM } from '../../shared/limits.ts';
import { type BlockHeader, BlockReader } from '../blocks/block-reader.ts';
import { PAGE_CONTENT_BYTES } from '../blocks/byte-pages.ts';
import { RollupBuilder } from '../blocks/rollup-builder.ts';
import {
  MINUTE,
  RollupReader,
  RollupRows,
  type RollupSegment,
  rollUp,
  SECOND,
  type SeriesRollup,
  type SpanSeconds,
} from '../blocks/rollup-rows.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import type { Retention } from '../retention.ts';

/** Segments that one commit drops at most; it takes many commits to make one. */
const SEGMENTS_DROPPED_PER_COMMIT_MAX = 4;

/**
 * Chunks that one commit drops at most, beyond as many as it adds: a slice of work that doesn't delay the
 * commit, and yet the history always shrinks towards its limits.
 */
export const CHUNKS_DROPPED_PER_COMMIT_MAX = 256;

/** Segments whose rollups by the second become one run of rollups by the minute. */
const SEGMENTS_PER_MINUTE_RUN = 4;

/** Pages that one commit gives back to the file system at most: 4 MiB. */
const PAGES_VACUUMED_PER_COMMIT_MAX = 1024;

/**
 * Pages that a proper end gives back at most: 16 MiB, where some 4 MiB, which compacted chunks have left, are
 * usual. What lies behind them is moved, so it's no more than a few minutes' worth of writing.
 */
const PAGES_VACUUMED_AT_END_MAX = 4096;

/** The part of max_bytes that rollups may take before they make room for samples. */
const ROLLUPS_SHARE = 1 / 2;

interface BlockRow extends BlockHeader {
  series: number;
}

interface ChunkRow {
  first_seq: number;
  count: number;
  max_timestamp_us: number;
}

interface SegmentRow extends ChunkRow {
  last_seq: number;
  min_timestamp_us: number;
  first_block: number;
  last_block: number;
}

/** What a commit has by now. */
export interface Stock {
  readonly samples: number;
  /** Chunks that this commit adds. */
  readonly chunksPending: number;
  readonly newestUs: number;
  readonly wallClockUs: number;
}

/** What was dropped. */
export interface Dropped {
  samples: number;
  samplesOfChunks: number;
  chunks: number;
}

/**
 * Keeps the history within its limits: drops whole segments, then chunks, oldest first. What a segment's
 * samples came to by the second stays as rollups, and these become rollups by the minute when their own
 * time is over.
 */
export class Expiry {
  readonly #database: DatabaseSync;
  readonly #retention: Retention;
  readonly #onDamage: OnDamage;
  readonly #blocks: BlockReader;
  readonly #rollups: RollupRows;
  readonly #rollupReader: RollupReader;
  readonly #blocksOfSegment: StatementSync;
  readonly #oldestSegments: StatementSync;
  readonly #oldSegments: StatementSync;
  readonly #deleteBlocks: StatementSync;
  readonly #deletePages: StatementSync;
  readonly #releaseBlocks: StatementSync;
  readonly #deleteSegment: StatementSync;
  readonly #oldestChunk: StatementSync;
  readonly #deleteChunk: StatementSync;
  readonly #rollupBytes: StatementSync;
  readonly #rollupSegment: StatementSync;
  readonly #oldestRollups: StatementSync;
  readonly #pageCount: StatementSync;
  readonly #freePages: StatementSync;
  readonly #pageBytes: number;

  constructor(database: DatabaseSync, retention: Retention, onDamage: OnDamage) {
    this.#database = database;
    this.#retention = retention;
    this.#onDamage = onDamage;
    this.#blocks = new BlockReader(database, onDamage);
    this.#blocksOfSegment = database.prepare(
      'SELECT id, series, count, leader FROM blocks WHERE id BETWEEN ? AND ?',
    );
    this.#rollups = new RollupRows(database);
    this.#rollupReader = new RollupReader(database);
    const segment =
      'SELECT first_seq, last_seq, count, min_timestamp_us, max_timestamp_us, first_block, last_block FROM segments';
    this.#oldestSegments = database.prepare(`${segment} ORDER BY first_seq LIMIT ?`);
    this.#oldSegments = database.prepare(`${segment} WHERE max_timestamp_us < ? LIMIT ?`);
    this.#deleteBlocks = database.prepare('DELETE FROM blocks WHERE id BETWEEN ? AND ?');
    this.#releaseBlocks = database.prepare('DELETE FROM quarantined_blocks WHERE id BETWEEN ? AND ?');
    this.#deletePages = database.prepare(
      `DELETE FROM block_pages WHERE id BETWEEN
       (SELECT first_byte / ${PAGE_CONTENT_BYTES} FROM blocks WHERE id = ?) AND
       (SELECT (first_byte + bytes - 1) / ${PAGE_CONTENT_BYTES} FROM blocks WHERE id = ?)`,
    );
    this.#deleteSegment = database.prepare('DELETE FROM segments WHERE first_seq = ?');
    this.#oldestChunk = database.prepare(
      'SELECT first_seq, count, max_timestamp_us FROM chunks ORDER BY first_seq LIMIT 1',
    );
    this.#deleteChunk = database.prepare('DELETE FROM chunks WHERE first_seq = ?');
    this.#rollupBytes = database.prepare('SELECT coalesce(sum(bytes), 0) AS bytes FROM rollup_segments');
    this.#rollupSegment = database.prepare(
      'SELECT 1 FROM rollup_segments WHERE span_s = ? AND first_seq = ?',
    );
    // Rollups of a segment that still has its samples say nothing that would be missed.
    this.#oldestRollups = database.prepare(
      `SELECT * FROM rollup_segments WHERE span_s = ? AND max_timestamp_us < ?
       AND first_seq NOT IN (SELECT first_seq FROM segments) ORDER BY first_seq LIMIT ?`,
    );
    this.#pageCount = database.prepare('PRAGMA page_count');
    this.#freePages = database.prepare('PRAGMA freelist_count');
    this.#pageBytes = (database.prepare('PRAGMA page_size').get() as { page_size: number }).page_size;
  }

  /** Within a commit's transaction: drops what is over the limits, or as much of it as a commit may. */
  drop(stock: Stock): Dropped {
    const dropped: Dropped = { samples: 0, samplesOfChunks: 0, chunks: 0 };
    this.#dropSegments(stock, dropped);
    this.#dropChunks(stock, dropped);
    this.#dropRollups(stock);
    return dropped;
  }

  /** After a commit: a file that is longer than it may be gives some of its free pages back. */
  vacuum(): void {
    const { maxBytes } = this.#retention;
    if (maxBytes === null || this.#pages(this.#pageCount) * this.#pageBytes <= this.#bytesAllowed()) return;
    this.#giveBack(PAGES_VACUUMED_PER_COMMIT_MAX);
  }

  /** At a proper end: no sample comes soon that could use the free pages. */
  shrink(): void {
    this.#giveBack(PAGES_VACUUMED_AT_END_MAX);
  }

  #giveBack(pagesMax: number): void {
    if (this.#pages(this.#freePages) > 0) this.#database.exec(`PRAGMA incremental_vacuum(${pagesMax})`);
  }

  #dropSegments(stock: Stock, dropped: Dropped): void {
    const cutoffUs = this.#cutoffUs(this.#retention.maxAgeMs, stock);
    for (let count = 0; count < SEGMENTS_DROPPED_PER_COMMIT_MAX; count++) {
      const isOver = this.#isOver(stock, dropped) && !this.#rollupsMakeRoom();
      const segment = (isOver ? this.#oldestSegments.get(1) : this.#oldSegments.get(cutoffUs, 1)) as
        | SegmentRow
        | undefined;
      if (segment === undefined) return;
      this.#rollUp(segment);
      this.#deletePages.run(segment.first_block, segment.last_block);
      this.#deleteBlocks.run(segment.first_block, segment.last_block);
      this.#releaseBlocks.run(segment.first_block, segment.last_block);
      this.#deleteSegment.run(segment.first_seq);
      dropped.samples += segment.count;
    }
  }

  /** Makes the rollups that the segment hasn't got yet: the compactor makes those of fast signals. */
  #rollUp(segment: SegmentRow): void {
    const { first_seq, last_seq, min_timestamp_us, max_timestamp_us, first_block, last_block } = segment;
    if (this.#rollupSegment.get(SECOND, first_seq) === undefined) {
      const span = { first_seq, last_seq, min_timestamp_us, max_timestamp_us };
      this.#rollups.insertSegment({ span_s: SECOND, ...span, bytes: 0 });
    }
    const done = this.#rollups.seriesOf(SECOND, first_seq);
    const blocks = this.#blocksOfSegment.all(first_block, last_block) as unknown as BlockRow[];
    const slow = blocks.filter(({ series }) => !done.has(series));
    this.#rollups.insert(SECOND, first_seq, this.#rollupsOf(slow));
    this.#blocks.end();
  }

  *#rollupsOf(blocks: readonly BlockRow[]): Generator<SeriesRollup> {
    for (const block of blocks) {
      const columns = this.#blocks.read(block);
      if (columns === null) continue;
      yield { series: block.series, rollup: rollUp(SECOND, columns.timestampUs, columns.rawValue) };
    }
  }

  #dropChunks(stock: Stock, dropped: Dropped): void {
    const cutoffUs = this.#cutoffUs(this.#retention.maxAgeMs, stock);
    const chunksMax = CHUNKS_DROPPED_PER_COMMIT_MAX + stock.chunksPending;
    while (dropped.chunks < chunksMax) {
      const oldest = this.#oldestChunk.get() as ChunkRow | undefined;
      if (oldest === undefined) return;
      const { first_seq, count, max_timestamp_us } = oldest;
      if (max_timestamp_us >= cutoffUs && !this.#mayDropChunks(stock, dropped)) return;
      this.#deleteChunk.run(first_seq);
      dropped.samples += count;
      dropped.samplesOfChunks += count;
      dropped.chunks++;
    }
  }

  /** While there are segments left, no chunk is the oldest. */
  #mayDropChunks(stock: Stock, dropped: Dropped): boolean {
    return (
      this.#isOver(stock, dropped) && !this.#rollupsMakeRoom() && this.#oldestSegments.get(1) === undefined
    );
  }

  #dropRollups(stock: Stock): void {
    const { secondsMaxAgeMs, minutesMaxAgeMs } = this.#retention;
    const old = this.#oldestRollupsOf(
      SECOND,
      this.#cutoffUs(secondsMaxAgeMs, stock),
      SEGMENTS_PER_MINUTE_RUN,
    );
    if (old.length === SEGMENTS_PER_MINUTE_RUN) this.#rollUpByMinute(old);
    const [oldest] = this.#oldestRollupsOf(MINUTE, this.#cutoffUs(minutesMaxAgeMs, stock), 1);
    if (oldest !== undefined) this.#rollups.delete(MINUTE, oldest.first_seq);
    if (!this.#isOverBytes() || !this.#rollupsMakeRoom()) return;

    const seconds = this.#oldestRollupsOf(SECOND, Number.POSITIVE_INFINITY, SEGMENTS_PER_MINUTE_RUN);
    if (seconds.length > 0) this.#rollUpByMinute(seconds);
    else {
      const [minutes] = this.#oldestRollupsOf(MINUTE, Number.POSITIVE_INFINITY, 1);
      if (minutes !== undefined) this.#rollups.delete(MINUTE, minutes.first_seq);
    }
  }

  #oldestRollupsOf(spanS: SpanSeconds, cutoffUs: number, limit: number): RollupSegment[] {
    if (cutoffUs === Number.NEGATIVE_INFINITY) return [];
    return this.#oldestRollups.all(spanS, cutoffUs, limit) as unknown as RollupSegment[];
  }

  #rollUpByMinute(segments: readonly RollupSegment[]): void {
    const builders = new Map<number, RollupBuilder>();
    for (const { first_seq } of segments) {
      for (const series of this.#rollups.seriesOf(SECOND, first_seq)) {
        const { name, decode } = this.#rollupReader.find(SECOND, first_seq, series)!;
        const rollup = readable(name, this.#onDamage, decode);
        if (rollup === null) continue;
        let builder = builders.get(series);
        if (builder === undefined) {
          builder = new RollupBuilder(MINUTE * 1_000_000);
          builders.set(series, builder);
        }
        builder.addSpans(rollup, SECOND * 1_000_000);
      }
      this.#rollups.delete(SECOND, first_seq);
    }
    const { first_seq } = segments[0]!;
    this.#rollups.insertSegment({
      span_s: MINUTE,
      first_seq,
      last_seq: segments.at(-1)!.last_seq,
      min_timestamp_us: Math.min(...segments.map(({ min_timestamp_us }) => min_timestamp_us)),
      max_timestamp_us: Math.max(...segments.map(({ max_timestamp_us }) => max_timestamp_us)),
      bytes: 0,
    });
    const rollups = builders.entries().map(([series, builder]) => ({ series, rollup: builder.build() }));
    this.#rollups.insert(MINUTE, first_seq, rollups);
  }

  /**
   * Age counts back from now or from the newest sample, whichever is earlier: neither a clock that is wrong
   * by years nor an old log that is replayed may empty the history.
   */
  #cutoffUs(maxAgeMs: number | null, { wallClockUs, newestUs }: Stock): number {
    return maxAgeMs === null ? Number.NEGATIVE_INFINITY : Math.min(wallClockUs, newestUs) - maxAgeMs * 1000;
  }

  /** Whether there are too many samples or bytes. */
  #isOver({ samples }: Stock, dropped: Dropped): boolean {
    const { maxSamples } = this.#retention;
    return (maxSamples !== null && samples - dropped.samples > maxSamples) || this.#isOverBytes();
  }

  #isOverBytes(): boolean {
    if (this.#retention.maxBytes === null) return false;
    const pages = this.#pages(this.#pageCount) - this.#pages(this.#freePages);
    return pages * this.#pageBytes > this.#bytesAllowed();
  }

  /** Bytes of the database, after a commit. */
  #bytesAllowed(): number {
    return this.#retention.maxBytes! - HISTORY_BYTES_HEADROOM;
  }

  /** Whether bytes are to be had from rollups rather than from samples. */
  #rollupsMakeRoom(): boolean {
    const { maxBytes } = this.#retention;
    if (maxBytes === null || !this.#isOverBytes()) return false;
    const { bytes } = this.#rollupBytes.get() as { bytes: number };
    return bytes > maxBytes * ROLLUPS_SHARE;
  }

  #pages(statement: StatementSync): number {
    return Number(Object.values(statement.get()!)[0]);
  }
}
