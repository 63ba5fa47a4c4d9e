import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SampleBatch } from '../../protocol/sample-batch.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { type ClockChange, type ClockReading, NO_CLOCK } from '../../shared/clock.ts';
import { SAMPLE_BATCH_SAMPLES_MAX, SEGMENT_SAMPLES, SEQ_RESERVED, SERIES_MAX } from '../../shared/limits.ts';
import { encodeChunk, type SampleColumns } from '../blocks/chunk-codec.ts';
import type { OnDamage } from '../database/damage.ts';
import { canonicalJson, rowOfSeries, textHash } from '../database/series-rows.ts';
import { type LoadedHistory, loadHistory } from '../database/stored-history.ts';
import { fileBytes, logPath } from '../database/write-ahead-log.ts';
import { type Gap, spanOf } from '../gap.ts';
import type { CorrectionDone } from '../history-messages.ts';
import type { HistorySize } from '../history-query.ts';
import type { Retention } from '../retention.ts';
import { BlockQuarantine } from './block-quarantine.ts';
import type { CorrectedSpan } from './clock-ledger.ts';
import { ClockSettlement, type Settled } from './clock-settlement.ts';
import { Compactor, type Moved, NOTHING_MOVED } from './compactor.ts';
import { Expiry } from './expiry.ts';
import { GapLedger } from './gap-ledger.ts';

/**
 * A segment, and a chunk, is at most so much of the samples kept, so that retention, which drops whole ones,
 * is fine.
 */
const RUNS_KEPT_MIN = 16;

interface TotalsRow {
  next_seq: number;
  samples: number;
  newest_timestamp_us: number | null;
  reserved_seq: number;
  recorded_until_us: number | null;
}

/**
 * Writes samples to the database: they gather in one transaction until commit() makes them durable,
 * together with the latest state of their series and the retention that makes room for them.
 */
export class HistoryWriter {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #chunkSamplesMax: number;
  readonly #insertChunk: StatementSync;
  readonly #insertSeries: StatementSync;
  readonly #insertDefinition: StatementSync;
  readonly #insertProtocol: StatementSync;
  readonly #upsertState: StatementSync;
  readonly #compactor: Compactor;
  readonly #expiry: Expiry;
  readonly #gaps: GapLedger;
  readonly #quarantine: BlockQuarantine;
  readonly #updateTotals: StatementSync;
  readonly #updateReserved: StatementSync;
  readonly #oldest: StatementSync;
  readonly #clock: ClockSettlement;
  #startGap: number | null = null;

  // The latest sample by series, and which of them the open transaction has touched.
  readonly #timestampUs = new Float64Array(SERIES_MAX);
  readonly #rawValue = new Float64Array(SERIES_MAX);
  readonly #count = new Float64Array(SERIES_MAX);
  readonly #seq = new Float64Array(SERIES_MAX);
  readonly #isTouched = new Uint8Array(SERIES_MAX);
  /** Within the columns that are being looked through; else -1. */
  readonly #latestIndex = new Int16Array(SERIES_MAX).fill(-1);
  readonly #touched: number[] = [];

  /** Series that no commit has made durable yet; a failed transaction's come again in the next. */
  readonly #seriesPending: SeriesRecord[] = [];
  /** The protocol's files, until a commit has made them durable. */
  #protocolPending: string | null = null;
  #samplesKept: number;
  #samplesPending = 0;
  /** The timestamps of the samples pending, in batches that nobody fills anew before they are settled. */
  readonly #timestampsPending: Float64Array[] = [];
  #chunksPending = 0;
  /** What lies in chunks, durably. */
  #chunkSamples: number;
  #chunkCount: number;
  #nextSeq: number;
  #reservedSeq: number;
  #newestUs: number;
  /** The wall clock at the last commit of a run with live buses. */
  #recordedUntilUs: number | null;
  #isLive = false;
  #compactionFailure: unknown = null;

  /**
   * `segmentSamplesMax` is what a segment is made of where retention allows it; `onDamage` is told of chunks
   * that can't be read; `clock` is what samples are stamped by now.
   */
  constructor(
    database: DatabaseSync,
    path: string,
    retention: Retention,
    segmentSamplesMax: number = SEGMENT_SAMPLES,
    onDamage: OnDamage = () => {},
    clock = NO_CLOCK,
  ) {
    this.#database = database;
    this.#path = path;
    const runSamplesMax = Math.max(1, Math.floor((retention.maxSamples ?? Number.MAX_VALUE) / RUNS_KEPT_MIN));
    this.#chunkSamplesMax = Math.min(SAMPLE_BATCH_SAMPLES_MAX, runSamplesMax);
    this.#compactor = new Compactor(database, Math.min(segmentSamplesMax, runSamplesMax), onDamage);
    this.#insertChunk = database.prepare('INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)');
    this.#insertSeries = database.prepare('INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#insertDefinition = database.prepare('INSERT OR IGNORE INTO definitions VALUES (?, ?)');
    this.#insertProtocol = database.prepare('INSERT OR IGNORE INTO protocols VALUES (?, ?, ?)');
    this.#upsertState = database.prepare('INSERT OR REPLACE INTO series_state VALUES (?, ?, ?, ?, ?)');
    this.#expiry = new Expiry(database, retention, onDamage);
    this.#updateTotals = database.prepare(
      `UPDATE totals SET next_seq = ?, reserved_seq = ?, samples = ?, newest_timestamp_us = ?,
       recorded_until_us = ?`,
    );
    this.#updateReserved = database.prepare('UPDATE totals SET reserved_seq = ?');
    this.#oldest = database.prepare(
      `SELECT first_seq AS oldest_seq, min_timestamp_us AS oldest_us FROM (
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
    // After a crash: numbers up to there may have been seen.
    this.#nextSeq = Math.max(totals.next_seq, totals.reserved_seq);
    this.#reservedSeq = totals.reserved_seq;
    this.#samplesKept = totals.samples;
    this.#newestUs = totals.newest_timestamp_us ?? Number.NEGATIVE_INFINITY;
    this.#recordedUntilUs = totals.recorded_until_us;
    this.#gaps = new GapLedger(database);
    this.#quarantine = new BlockQuarantine(database);
    this.#gaps.endLasting(this.#recordedUntilUs);
    this.#clock = new ClockSettlement({
      database,
      gaps: this.#gaps,
      now: clock,
      recordedAfter: (correctionUs, nowUs) => this.#recordedAfter(correctionUs, nowUs),
      onDamage,
    });
    this.#compactor.setBoundary(this.#clock.uncertainFromSeq);
  }

  /**
   * Says that live buses are recorded from now on. Where an earlier run did so and has left samples, the time
   * between is a gap. It begins where that run was last known to record, but not before a sample that is
   * stored: the clock of a run may have been wrong, and a replay has brought samples of a time between. It ends where this run
   * began, which is earlier than now where the disk has refused the database.
   */
  beginLive(wallClockUs: number, beganUs = wallClockUs): void {
    this.#isLive = true;
    const row = this.#database
      .prepare(
        `SELECT max(max_timestamp_us) AS newest_us FROM (
          SELECT max_timestamp_us FROM segments UNION ALL SELECT max_timestamp_us FROM chunks
        ) WHERE max_timestamp_us <= ?`,
      )
      .get(beganUs) as { newest_us: number | null };
    const hasSamples = Number.isFinite(this.#newestUs);
    const untilUs =
      this.#recordedUntilUs === null || !hasSamples
        ? null
        : Math.max(this.#recordedUntilUs, row.newest_us ?? this.#recordedUntilUs);
    const beganMs = performance.now() - (wallClockUs - beganUs) / 1000;
    this.#startGap = this.#gaps.beginRun(untilUs, beganUs, beganMs);
  }

  /**
   * Before anything is loaded: where an earlier run of this machine's start has left samples of a clock that wasn't known
   * to be right, and it was set since, corrects them; null where there is nothing to correct.
   */
  catchUpWithClock(wallClockUs: number): CorrectionDone | null {
    const settled = this.#clock.catchUp(this.#nextSeq, wallClockUs);
    if (settled !== null) this.#takeCorrection(settled);
    return settled?.done ?? null;
  }

  /** After beginLive(): what comes is stamped by the clock that it is now. Goes along with reserve(). */
  beginClock(wallClockUs: number): void {
    this.#clock.begin(wallClockUs, this.#startGap);
  }

  /** Takes note of what has happened to the clock ahead of the sample `firstSeq`; settleClock() is to follow. */
  changeClock(change: ClockChange, firstSeq: number, wallClockUs: number): void {
    this.#clock.change(change, firstSeq, wallClockUs);
  }

  /** The last spans of samples whose timestamps were corrected, in this run or before it; the newest first. */
  corrected(): CorrectedSpan[] {
    return this.#clock.corrected();
  }

  /** Whether something has happened to the clock that isn't stored yet. */
  get hasClockEvents(): boolean {
    return this.#clock.hasEvents;
  }

  /**
   * Stores what has happened to the clock, and corrects timestamps, after a commit. Throws what SQLite throws; then it
   * is to be tried again.
   */
  *settleClock(wallClockUs: number): Generator<CorrectionDone> {
    for (const settled of this.#clock.settle(wallClockUs)) {
      this.#compactor.setBoundary(this.#clock.uncertainFromSeq);
      if (settled === null) continue;
      this.#takeCorrection(settled);
      yield settled.done;
    }
  }

  /** What is in memory is corrected, too. */
  #takeCorrection({ done, newestUs, recordedUntilUs }: Settled): void {
    const { fromSeq, toSeq, shiftUs } = done;
    this.#newestUs = newestUs ?? Number.NEGATIVE_INFINITY;
    this.#recordedUntilUs = recordedUntilUs;
    for (let series = 0; series < SERIES_MAX; series++) {
      const seq = this.#seq[series]!;
      if (seq >= fromSeq && seq < toSeq) this.#timestampUs[series]! += shiftUs;
    }
    // What it has read bears the times of before.
    this.#compactor.restart();
  }

  /** Until when there was a recording, by the clock as it is now; nothing is recorded in the future. */
  #recordedAfter(correctionUs: number, wallClockUs: number): number | null {
    if (this.#isLive) return wallClockUs;
    if (this.#recordedUntilUs === null) return null;
    const movedUs = this.#recordedUntilUs + correctionUs;
    return movedUs > wallClockUs ? this.#recordedUntilUs : movedUs;
  }

  /** Looks whether time has passed without the service, as while the machine slept. */
  observeClock({ wallClockUs, monotonicMs }: ClockReading): void {
    if (this.#isLive) this.#gaps.observeClock(wallClockUs, monotonicMs);
  }

  addGap(gap: Gap): void {
    this.#gaps.add(gap);
  }

  /** Has a block passed over from the next commit on, if it can't be read. */
  quarantine(block: number, found: string): void {
    this.#quarantine.add(block, found);
  }

  /** Whether gaps wait for a commit. */
  get hasGapsPending(): boolean {
    return this.#gaps.hasChanges;
  }

  /** The first of the samples that a step of the clock may correct; null where there are none. */
  get uncertainFromSeq(): number | null {
    return this.#clock.uncertainFromSeq;
  }

  /** What earlier runs left: the series in the order of their indexes, their latest samples, the next number. */
  load(): LoadedHistory {
    const { series, states } = loadHistory(this.#database);
    this.#compactor.addSeries(series);
    for (const state of states) {
      this.#timestampUs[state.series] = state.timestampUs;
      this.#rawValue[state.series] = state.rawValue;
      this.#count[state.series] = state.count;
      this.#seq[state.series] = state.seq;
    }
    return { series, states, nextSeq: this.#nextSeq };
  }

  /** Up to there, exclusively, no number is given again after a crash: these may be seen before they are stored. */
  get reservedSeq(): number {
    return this.#reservedSeq;
  }

  /**
   * Reserves numbers, durably, for what is to come before the first commit, which renews that as each does. A
   * database that takes another's place in mid-run goes on with the numbers of that one.
   */
  reserve(nextSeq = 0): void {
    this.#nextSeq = Math.max(this.#nextSeq, nextSeq);
    this.#database.exec('BEGIN IMMEDIATE');
    this.#clock.writeFirst(this.#nextSeq);
    this.#setReserved(this.#nextSeq + SEQ_RESERVED);
    this.#database.exec('COMMIT');
    this.#clock.firstCommitted();
    this.#compactor.setBoundary(this.#clock.uncertainFromSeq);
  }

  /** A proper end, after the last commit: the next start goes on with `nextSeq`. */
  release(nextSeq: number): void {
    this.#setReserved(nextSeq);
  }

  /** After the last commit: gives what is free of the file back to the file system. */
  shrink(): void {
    this.#expiry.shrink();
  }

  #setReserved(reservedSeq: number): void {
    this.#updateReserved.run(reservedSeq);
    this.#reservedSeq = reservedSeq;
  }

  /** Stores the protocol's files, a text by each one's name, with the first samples recorded under them. */
  useProtocol(files: Readonly<Record<string, string>>): void {
    this.#protocolPending = canonicalJson(files);
  }

  addSeries(series: readonly SeriesRecord[]): void {
    this.#seriesPending.push(...series);
    this.#compactor.addSeries(series);
  }

  /** What is stored, and hasn't been dropped. */
  get samplesKept(): number {
    return this.#samplesKept;
  }

  /** Samples written since the last commit; a failure loses them. */
  get samplesPending(): number {
    return this.#samplesPending;
  }

  append(batch: SampleBatch): void {
    if (batch.count === 0) return;
    this.#samplesPending += batch.count;
    this.#timestampsPending.push(batch.timestampUs.subarray(0, batch.count));
    this.#nextSeq = batch.firstSeq + batch.count;
    if (!this.#database.isTransaction) this.#database.exec('BEGIN IMMEDIATE');
    for (let start = 0; start < batch.count; start += this.#chunkSamplesMax) {
      this.#appendChunk(batch, start, Math.min(batch.count, start + this.#chunkSamplesMax));
    }
  }

  #appendChunk(batch: SampleBatch, start: number, end: number): void {
    const firstSeq = batch.firstSeq + start;
    const timestampUs = batch.timestampUs.subarray(start, end);
    const rawValue = batch.rawValue.subarray(start, end);
    const series = batch.series.subarray(start, end);
    const columns = { timestampUs, rawValue, series };
    this.#keepLatest(columns, firstSeq);
    const { bytes, minUs, maxUs } = encodeChunk(columns);
    if (maxUs > this.#newestUs) this.#newestUs = maxUs;
    this.#chunksPending++;
    this.#insertChunk.run(firstSeq, end - start, timestampUs[0]!, minUs, maxUs, bytes);
  }

  #keepLatest({ timestampUs, rawValue, series }: SampleColumns, firstSeq: number): void {
    this.#findLatest(series);
    for (const of of this.#touched) {
      const index = this.#latestIndex[of]!;
      if (index < 0) continue;
      this.#latestIndex[of] = -1;
      this.#timestampUs[of] = timestampUs[index]!;
      this.#rawValue[of] = rawValue[index]!;
      this.#seq[of] = firstSeq + index;
    }
  }

  /** Where each series' latest sample is. A loop by itself, as it is compiled early then. */
  #findLatest(series: SampleColumns['series']): void {
    const latestIndex = this.#latestIndex;
    const count = this.#count;
    const isTouched = this.#isTouched;
    for (let index = 0; index < series.length; index++) {
      const of = series[index]!;
      latestIndex[of] = index;
      count[of]!++;
      if (isTouched[of] === 0) {
        isTouched[of] = 1;
        this.#touched.push(of);
      }
    }
  }

  /** Does a slice of compaction; true when there is more to do at once. */
  compact(): boolean {
    return !this.hasClockEvents && this.#compactor.step(this.#chunkSamples, this.#chunkCount);
  }

  /** Gives up the segment that is being made; the chunks stay. */
  abandonCompaction(): void {
    this.#compactor.restart();
  }

  /** Whether compaction waits for a commit to write what is ready. */
  get hasCompacted(): boolean {
    return this.#compactor.hasOutput;
  }

  /**
   * Makes everything appended durable, and with it the gaps; returns how many samples that were. The last
   * commit of a run says, even where nothing else is new, that the run has ended now. Throws what SQLite throws.
   */
  commit(wallClockUs: number, isLast = false): number {
    const samples = this.#samplesPending;
    const hasMore =
      this.#seriesPending.length > 0 ||
      this.#compactor.hasOutput ||
      this.#gaps.hasChanges ||
      this.#quarantine.hasChanges;
    if (samples === 0 && !hasMore && !(isLast && this.#isLive)) return 0;
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
        this.#seq[series]!,
      );
    }
    const moved = this.#compactor.hasOutput ? this.#writeCompacted() : NOTHING_MOVED;
    const dropped = this.#expiry.drop({
      samples: this.#samplesKept + samples - moved.samplesDamaged,
      chunksPending: this.#chunksPending,
      newestUs: this.#newestUs,
      wallClockUs,
    });
    const kept = this.#samplesKept + samples - moved.samplesDamaged - dropped.samples;
    const reservedSeq = this.#nextSeq + SEQ_RESERVED;
    this.#gaps.write();
    this.#quarantine.write();
    const newestUs = Number.isFinite(this.#newestUs) ? this.#newestUs : null;
    const recordedUntilUs = this.#isLive ? wallClockUs : this.#recordedUntilUs;
    this.#updateTotals.run(this.#nextSeq, reservedSeq, kept, newestUs, recordedUntilUs);
    this.#database.exec('COMMIT');
    this.#reservedSeq = reservedSeq;
    this.#chunkSamples += samples - moved.samples - dropped.samplesOfChunks;
    this.#chunkCount += this.#chunksPending - moved.chunks - dropped.chunks;
    this.#samplesKept = kept;
    this.#seriesPending.length = 0;
    if (protocol !== null) this.#protocolPending = null;
    this.#clearPending();
    this.#compactor.committed();
    this.#gaps.committed();
    this.#quarantine.committed();
    // What the compactor has read may be gone.
    if (dropped.chunks > 0) this.#compactor.restart();
    this.#expiry.vacuum();
    return samples;
  }

  /** What compaction has ready. Where the database refuses that, the samples of the commit have no part in it. */
  #writeCompacted(): Moved {
    this.#database.exec('SAVEPOINT compaction');
    try {
      const moved = this.#compactor.write();
      this.#database.exec('RELEASE compaction');
      return moved;
    } catch (error) {
      // A failure of the disk may have undone the whole transaction.
      if (!this.#database.isTransaction) throw error;
      this.#database.exec('ROLLBACK TO compaction; RELEASE compaction');
      this.#compactor.rolledBack();
      this.#compactionFailure = error;
      return NOTHING_MOVED;
    }
  }

  /** Why the last commit has left out what compaction had ready, once; null where nothing was. */
  takeCompactionFailure(): unknown {
    const failure = this.#compactionFailure;
    this.#compactionFailure = null;
    return failure;
  }

  #storeSeries(series: SeriesRecord): void {
    const definition = canonicalJson(series.definition);
    const hash = textHash(definition);
    this.#insertDefinition.run(hash, definition);
    this.#insertSeries.run(...rowOfSeries(series, hash));
  }

  /**
   * Gives up what the open transaction holds, after a failure; returns how many samples that were. They are a
   * gap, which goes with the next commit.
   */
  rollback(): number {
    const samples = this.#samplesPending;
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    if (samples > 0) {
      this.#gaps.add({ bus: null, cause: 'disk', ...spanOf(this.#timestampsPending), count: samples });
    }
    this.#clearPending();
    this.#compactor.rolledBack();
    return samples;
  }

  #clearPending(): void {
    for (const series of this.#touched) this.#isTouched[series] = 0;
    this.#touched.length = 0;
    this.#samplesPending = 0;
    this.#timestampsPending.length = 0;
    this.#chunksPending = 0;
  }

  size(): HistorySize {
    const walBytes = fileBytes(logPath(this.#path));
    const oldest = this.#oldest.get() as { oldest_seq: number; oldest_us: number } | undefined;
    return {
      samples: this.#samplesKept,
      firstSeq: oldest?.oldest_seq ?? null,
      // Chunks lie in the order of arrival, so the oldest sample is in the first, but for a clock that
      // was set or a log that was replayed since.
      firstTimestampUs: oldest?.oldest_us ?? null,
      lastTimestampUs: oldest === undefined ? null : this.#newestUs,
      gaps: this.#gaps.count,
      bytes: fileBytes(this.#path) + walBytes,
      walBytes,
    };
  }
}
