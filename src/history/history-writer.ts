import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SampleBatch } from '../protocol/sample-batch.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import { SAMPLE_BATCH_SAMPLES_MAX, SEGMENT_SAMPLES, SERIES_MAX } from '../shared/limits.ts';
import { encodeChunk } from './chunk-codec.ts';
import { Compactor } from './compactor.ts';
import type { StoredState } from './history-messages.ts';
import type { HistorySize } from './history-query.ts';
import type { OnDamage } from './sample-runs.ts';
import {
  canonicalJson,
  rowOfSeries,
  SELECT_SERIES,
  type SeriesRow,
  seriesOfRow,
  textHash,
} from './series-rows.ts';
import { fileBytes, logPath } from './write-ahead-log.ts';

/**
 * A segment, and a chunk, is at most so much of the samples kept, so that retention, which drops whole ones,
 * is fine.
 */
const RUNS_KEPT_MIN = 16;

/** Segments that one commit drops at most; it takes many commits to make one. */
const SEGMENTS_DROPPED_PER_COMMIT_MAX = 4;

/**
 * Chunks that one commit drops at most, beyond as many as it adds: a slice of work that doesn't delay the
 * commit, and yet the history always shrinks towards its limits.
 */
export const CHUNKS_DROPPED_PER_COMMIT_MAX = 256;

export interface Retention {
  /** Null for no limit. */
  readonly maxAgeMs: number | null;
  /** Null for no limit. */
  readonly maxSamples: number | null;
}

interface TotalsRow {
  next_seq: number;
  samples: number;
  newest_timestamp_us: number | null;
}

interface ChunkRow {
  first_seq: number;
  count: number;
  max_timestamp_us: number;
}

/** What retention has dropped. */
interface Dropped {
  samples: number;
  samplesOfChunks: number;
  chunks: number;
}

interface SegmentRow extends ChunkRow {
  first_block: number;
  last_block: number;
}

/**
 * Writes samples to the database: they gather in one transaction until commit() makes them durable,
 * together with the latest state of their series and the retention that makes room for them.
 */
export class HistoryWriter {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #retention: Retention;
  readonly #chunkSamplesMax: number;
  readonly #insertChunk: StatementSync;
  readonly #insertSeries: StatementSync;
  readonly #insertDefinition: StatementSync;
  readonly #insertProtocol: StatementSync;
  readonly #upsertState: StatementSync;
  readonly #compactor: Compactor;
  readonly #oldestSegments: StatementSync;
  readonly #deleteBlocks: StatementSync;
  readonly #deleteSegment: StatementSync;
  readonly #oldestChunks: StatementSync;
  readonly #deleteChunksUpTo: StatementSync;
  readonly #updateTotals: StatementSync;
  readonly #oldestTimestamp: StatementSync;

  // The latest sample by series, and which of them the open transaction has touched.
  readonly #timestampUs = new Float64Array(SERIES_MAX);
  readonly #rawValue = new Float64Array(SERIES_MAX);
  readonly #count = new Float64Array(SERIES_MAX);
  readonly #isTouched = new Uint8Array(SERIES_MAX);
  readonly #touched: number[] = [];

  /** Series that no commit has made durable yet; a failed transaction's come again in the next. */
  readonly #seriesPending: SeriesRecord[] = [];
  /** The protocol's files, until a commit has made them durable. */
  #protocolPending: string | null = null;
  #samplesKept: number;
  #samplesPending = 0;
  #chunksPending = 0;
  /** What lies in chunks, durably. */
  #chunkSamples: number;
  #chunkCount: number;
  #nextSeq: number;
  #newestUs: number;

  /**
   * `segmentSamplesMax` is what a segment is made of where retention allows it; `onDamage` is told of chunks
   * that can't be read.
   */
  constructor(
    database: DatabaseSync,
    path: string,
    retention: Retention,
    segmentSamplesMax: number = SEGMENT_SAMPLES,
    onDamage: OnDamage = () => {},
  ) {
    this.#database = database;
    this.#path = path;
    this.#retention = retention;
    const runSamplesMax = Math.max(1, Math.floor((retention.maxSamples ?? Number.MAX_VALUE) / RUNS_KEPT_MIN));
    this.#chunkSamplesMax = Math.min(SAMPLE_BATCH_SAMPLES_MAX, runSamplesMax);
    this.#compactor = new Compactor(database, Math.min(segmentSamplesMax, runSamplesMax), onDamage);
    this.#insertChunk = database.prepare('INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)');
    this.#insertSeries = database.prepare('INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#insertDefinition = database.prepare('INSERT OR IGNORE INTO definitions VALUES (?, ?)');
    this.#insertProtocol = database.prepare('INSERT OR IGNORE INTO protocols VALUES (?, ?, ?)');
    this.#upsertState = database.prepare('INSERT OR REPLACE INTO series_state VALUES (?, ?, ?, ?)');
    this.#oldestSegments = database.prepare(
      'SELECT first_seq, count, max_timestamp_us, first_block, last_block FROM segments ORDER BY first_seq LIMIT ?',
    );
    this.#deleteBlocks = database.prepare('DELETE FROM blocks WHERE id BETWEEN ? AND ?');
    this.#deleteSegment = database.prepare('DELETE FROM segments WHERE first_seq = ?');
    this.#oldestChunks = database.prepare(
      'SELECT first_seq, count, max_timestamp_us FROM chunks ORDER BY first_seq LIMIT ?',
    );
    this.#deleteChunksUpTo = database.prepare('DELETE FROM chunks WHERE first_seq <= ?');
    this.#updateTotals = database.prepare(
      'UPDATE totals SET next_seq = ?, samples = ?, newest_timestamp_us = ?',
    );
    this.#oldestTimestamp = database.prepare(
      `SELECT min_timestamp_us AS oldest_us FROM (
        SELECT first_seq, min_timestamp_us FROM (SELECT * FROM segments ORDER BY first_seq LIMIT 1)
        UNION ALL SELECT first_seq, min_timestamp_us FROM (SELECT * FROM chunks ORDER BY first_seq LIMIT 1)
      ) ORDER BY first_seq LIMIT 1`,
    );
    const inChunks = database
      .prepare('SELECT count(*) AS chunks, coalesce(sum(count), 0) AS samples FROM chunks')
      .get() as { chunks: number; samples: number };
    this.#chunkCount = inChunks.chunks;
    this.#chunkSamples = inChunks.samples;
    const totals = database.prepare('SELECT * FROM totals').get() as unknown as TotalsRow;
    this.#nextSeq = totals.next_seq;
    this.#samplesKept = totals.samples;
    this.#newestUs = totals.newest_timestamp_us ?? Number.NEGATIVE_INFINITY;
  }

  /** What earlier runs left: the series in the order of their indexes, their latest samples, the next number. */
  load(): { series: SeriesRecord[]; states: StoredState[]; nextSeq: number } {
    const series = this.#database
      .prepare(`${SELECT_SERIES} ORDER BY id`)
      .all()
      .map((row) => seriesOfRow(row as unknown as SeriesRow));
    const states = this.#database
      .prepare('SELECT series, timestamp_us AS timestampUs, raw_value AS rawValue, count FROM series_state')
      .all()
      .map((row) => ({ ...row }) as unknown as StoredState);
    this.#compactor.addSeries(series);
    for (const state of states) {
      this.#timestampUs[state.series] = state.timestampUs;
      this.#rawValue[state.series] = state.rawValue;
      this.#count[state.series] = state.count;
    }
    return { series, states, nextSeq: this.#nextSeq };
  }

  /** Stores the protocol's files, a text by each one's name, with the first samples recorded under them. */
  useProtocol(files: Readonly<Record<string, string>>): void {
    this.#protocolPending = canonicalJson(files);
  }

  addSeries(series: readonly SeriesRecord[]): void {
    this.#seriesPending.push(...series);
    this.#compactor.addSeries(series);
  }

  /** Samples written since the last commit; a failure loses them. */
  get samplesPending(): number {
    return this.#samplesPending;
  }

  append(batch: SampleBatch): void {
    if (batch.count === 0) return;
    this.#samplesPending += batch.count;
    this.#nextSeq = batch.firstSeq + batch.count;
    if (!this.#database.isTransaction) this.#database.exec('BEGIN IMMEDIATE');
    for (let start = 0; start < batch.count; start += this.#chunkSamplesMax) {
      this.#appendChunk(batch, start, Math.min(batch.count, start + this.#chunkSamplesMax));
    }
  }

  #appendChunk(batch: SampleBatch, start: number, end: number): void {
    const timestampUs = batch.timestampUs.subarray(start, end);
    const rawValue = batch.rawValue.subarray(start, end);
    const series = batch.series.subarray(start, end);
    let minUs = Number.POSITIVE_INFINITY;
    let maxUs = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < timestampUs.length; index++) {
      const sampleUs = timestampUs[index]!;
      if (sampleUs < minUs) minUs = sampleUs;
      if (sampleUs > maxUs) maxUs = sampleUs;
      const sampleSeries = series[index]!;
      this.#timestampUs[sampleSeries] = sampleUs;
      this.#rawValue[sampleSeries] = rawValue[index]!;
      this.#count[sampleSeries]!++;
      if (this.#isTouched[sampleSeries] === 0) {
        this.#isTouched[sampleSeries] = 1;
        this.#touched.push(sampleSeries);
      }
    }
    if (maxUs > this.#newestUs) this.#newestUs = maxUs;
    const samples = encodeChunk({ timestampUs, rawValue, series });
    this.#chunksPending++;
    this.#insertChunk.run(batch.firstSeq + start, end - start, timestampUs[0]!, minUs, maxUs, samples);
  }

  /** Does a slice of compaction; true when there is more to do at once. */
  compact(): boolean {
    return this.#compactor.step(this.#chunkSamples, this.#chunkCount);
  }

  /** Gives up the segment that is being made; the chunks stay. */
  abandonCompaction(): void {
    this.#compactor.restart();
  }

  /** Whether compaction waits for a commit to write what is ready. */
  get hasCompacted(): boolean {
    return this.#compactor.hasOutput;
  }

  /** Makes everything appended durable; returns how many samples that were. Throws what SQLite throws. */
  commit(wallClockUs: number): number {
    const samples = this.#samplesPending;
    if (samples === 0 && this.#seriesPending.length === 0 && !this.#compactor.hasOutput) return 0;
    if (!this.#database.isTransaction) this.#database.exec('BEGIN IMMEDIATE');
    for (const series of this.#seriesPending) this.#storeSeries(series);
    const protocol = samples > 0 ? this.#protocolPending : null;
    if (protocol !== null) this.#insertProtocol.run(textHash(protocol), wallClockUs, protocol);
    for (const series of this.#touched) {
      this.#upsertState.run(
        series,
        this.#timestampUs[series]!,
        this.#rawValue[series]!,
        this.#count[series]!,
      );
    }
    const moved = this.#compactor.write();
    const dropped = this.#dropOldest(this.#samplesKept + samples, wallClockUs);
    const kept = this.#samplesKept + samples - moved.samplesDamaged - dropped.samples;
    this.#updateTotals.run(this.#nextSeq, kept, Number.isFinite(this.#newestUs) ? this.#newestUs : null);
    this.#database.exec('COMMIT');
    this.#chunkSamples += samples - moved.samples - dropped.samplesOfChunks;
    this.#chunkCount += this.#chunksPending - moved.chunks - dropped.chunks;
    this.#samplesKept = kept;
    this.#seriesPending.length = 0;
    if (protocol !== null) this.#protocolPending = null;
    this.#clearPending();
    this.#compactor.committed();
    // What the compactor has read may be gone.
    if (dropped.chunks > 0) this.#compactor.restart();
    return samples;
  }

  #storeSeries(series: SeriesRecord): void {
    const definition = canonicalJson(series.definition);
    const hash = textHash(definition);
    this.#insertDefinition.run(hash, definition);
    this.#insertSeries.run(...rowOfSeries(series, hash));
  }

  /** Gives up what the open transaction holds, after a failure; returns how many samples that were. */
  rollback(): number {
    const samples = this.#samplesPending;
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#clearPending();
    this.#compactor.rolledBack();
    return samples;
  }

  #clearPending(): void {
    for (const series of this.#touched) this.#isTouched[series] = 0;
    this.#touched.length = 0;
    this.#samplesPending = 0;
    this.#chunksPending = 0;
  }

  /** Drops whole segments, and then chunks, oldest first, until the limits hold or the slice is used up. */
  #dropOldest(samplesKept: number, wallClockUs: number): Dropped {
    const { maxAgeMs, maxSamples } = this.#retention;
    const dropped: Dropped = { samples: 0, samplesOfChunks: 0, chunks: 0 };
    if (maxAgeMs === null && (maxSamples === null || samplesKept <= maxSamples)) return dropped;
    // Age counts back from now or from the newest sample, whichever is earlier: neither a clock that is
    // wrong by years nor an old log that is replayed may empty the history.
    const cutoffUs =
      maxAgeMs === null ? Number.NEGATIVE_INFINITY : Math.min(wallClockUs, this.#newestUs) - maxAgeMs * 1000;
    const excess = maxSamples === null ? 0 : samplesKept - maxSamples;
    const isDue = (run: ChunkRow) => dropped.samples < excess || run.max_timestamp_us < cutoffUs;

    const segments = this.#oldestSegments.all(SEGMENTS_DROPPED_PER_COMMIT_MAX) as unknown as SegmentRow[];
    for (const segment of segments) {
      if (!isDue(segment)) return dropped;
      this.#deleteBlocks.run(segment.first_block, segment.last_block);
      this.#deleteSegment.run(segment.first_seq);
      dropped.samples += segment.count;
    }
    // While there may be segments left, no chunk is the oldest.
    if (segments.length === SEGMENTS_DROPPED_PER_COMMIT_MAX) return dropped;

    let lastDropped: number | null = null;
    for (const row of this.#oldestChunks.iterate(CHUNKS_DROPPED_PER_COMMIT_MAX + this.#chunksPending)) {
      const chunk = row as unknown as ChunkRow;
      if (!isDue(chunk)) break;
      lastDropped = chunk.first_seq;
      dropped.samples += chunk.count;
      dropped.samplesOfChunks += chunk.count;
      dropped.chunks++;
    }
    if (lastDropped !== null) this.#deleteChunksUpTo.run(lastDropped);
    return dropped;
  }

  size(): HistorySize {
    const walBytes = fileBytes(logPath(this.#path));
    const oldest = this.#oldestTimestamp.get() as { oldest_us: number } | undefined;
    return {
      samples: this.#samplesKept,
      // Chunks lie in the order of arrival, so the oldest sample is in the first, but for a clock that
      // was set or a log that was replayed since.
      firstTimestampUs: oldest?.oldest_us ?? null,
      lastTimestampUs: oldest === undefined ? null : this.#newestUs,
      bytes: fileBytes(this.#path) + walBytes,
      walBytes,
    };
  }
}
