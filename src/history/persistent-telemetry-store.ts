import { isDeepStrictEqual } from 'node:util';
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { SampleBatch } from '../protocol/sample-batch.ts';
import { recordOf, type SeriesRecord, type SeriesTable } from '../protocol/series-table.ts';
import {
  type ClockChange,
  type ClockReading,
  type ClockState,
  NO_CLOCK,
  readClock,
  uncertainAfter,
  wallClockUs,
} from '../shared/clock.ts';
import type { DurationCounts } from '../shared/duration-histogram.ts';
import { errorMessage, HistoryError, QueryError } from '../shared/errors.ts';
import {
  HISTORY_QUERIES_WAITING_MAX,
  HISTORY_REOPEN_MS,
  NEWEST_SAMPLES_KEPT,
  SAMPLE_BATCHES_MAX,
} from '../shared/limits.ts';
import type { Durability } from './database/database.ts';
import type { StoredState } from './database/stored-history.ts';
import { addGap, type Gap, type GapQuery, spanOf } from './gap.ts';
import type {
  Answer,
  FromWriter,
  Question,
  StoredError,
  ToWriter,
  WriterThreadData,
} from './history-messages.ts';
import {
  buffersOfColumns,
  type ColumnsPage,
  type ColumnsQuery,
  type HistoryPage,
  type HistoryQuery,
  type SeriesQuery,
} from './history-query.ts';
import { type HistoryFigures, HistoryReport } from './history-report.ts';
import { type QueryCounts, QueryMeter } from './query-meter.ts';
import { HistoryReaderHandle } from './reader/history-reader-handle.ts';
import { NewestSamples } from './reader/newest-samples.ts';
import type { Retention } from './retention.ts';
import { SampleQueue } from './sample-queue.ts';
import { type OpenedHistory, type StartedWriter, startWriter } from './writer/start-writer.ts';

export interface HistoryOptions extends Retention {
  /** The database file. */
  readonly path: string;
  /** How often samples are made durable: what a power cut costs at most where durability is full. */
  readonly flushIntervalMs: number;
  /** Whether any source is live, so that what comes while the service isn't running is missing: a gap. */
  readonly isLive?: boolean;
  /** Full unless told. */
  readonly durability?: Durability;
  /** What samples are stamped by at the start; unless told, a clock of which nothing is known. */
  readonly clock?: ClockState;
  /** Looks at the clock, ahead of each commit; it may call changeClock(). */
  readonly readClock?: typeof readClock;
  /** How often a disk that refuses the database at the start is tried again; HISTORY_REOPEN_MS unless told. */
  readonly reopenMs?: number;
  readonly log: Logger;
}

/** What an earlier run left. */
export interface StoredHistory {
  readonly series: readonly SeriesRecord[];
  readonly states: readonly StoredState[];
}

export interface HistoryStatus extends HistoryFigures {
  readonly state: 'closed' | 'open' | 'failed';
  readonly batchesInUse: number;
  readonly batchesMax: number;
  readonly queriesWaiting: number;
  readonly queriesWaitingMax: number;
}

/** How long the history's threads took, for whoever watches the service. */
export interface HistoryTimings {
  /** Of commits that made samples durable. */
  readonly commits: DurationCounts;
  readonly queries: QueryCounts;
}

/**
 * The history as the main thread sees it: samples go to the writer's thread in batches, queries to the
 * reader's, and neither is ever waited for.
 *
 * The producer fills `samples` and calls handOver() when it is full; what gathers in between is handed
 * over and committed once per flush interval. When the writer is so far behind that no batch is left, the
 * samples of the current one are dropped and counted; a source that can wait asks hasRoom first.
 */
export class PersistentTelemetryStore {
  readonly #options: HistoryOptions;
  readonly #table: SeriesTable;
  #writer: Worker | null = null;
  readonly #reader: HistoryReaderHandle;
  readonly #newest: NewestSamples;
  readonly #queryMeter = new QueryMeter();
  #flushTimer: NodeJS.Timeout | undefined;

  readonly #queue = new SampleQueue();
  readonly #report: HistoryReport;
  #seriesTold = 0;
  /** Gaps that the writer is told of when the next commit is asked for, so that they can't pile up before it. */
  readonly #gapsUntold: Gap[] = [];
  #isUncommitted = false;
  /** Called back, in order, as the writer answers one commit after the other. */
  readonly #commitsAsked: (() => void)[] = [];

  #state: HistoryStatus['state'] = 'closed';
  #uncertainFromSeq: number | null = null;
  /** When the run began, by the wall clock. */
  #beganUs = 0;
  /** What samples are stamped by. */
  #clock: ClockState;
  #reopenTimer: NodeJS.Timeout | undefined;
  #reopening: Promise<void> | null = null;

  constructor(options: HistoryOptions, table: SeriesTable) {
    this.#options = options;
    this.#table = table;
    this.#clock = options.clock ?? NO_CLOCK;
    this.#report = new HistoryReport(options.path, options.log);
    this.#newest = new NewestSamples(NEWEST_SAMPLES_KEPT, table);
    this.#reader = new HistoryReaderHandle({
      path: options.path,
      batches: this.#queue.buffers,
      table,
      meter: this.#queryMeter,
      log: options.log,
      onDamage: (message, block) => {
        this.#report.damaged(message);
        if (block !== null) this.#quarantine(block, message);
      },
    });
  }

  /**
   * Opens the database and gives what an earlier run left, which the caller restores into the series table
   * before the first sample. Where the disk refuses it, full or failing, that is told and tried again: until then nothing is
   * stored, and the state is `failed`. Throws HistoryError: HISTORY_IN_USE, HISTORY_NOT_OURS, HISTORY_TOO_NEW,
   * HISTORY_UNAVAILABLE.
   */
  async open(): Promise<StoredHistory> {
    this.#beganUs = wallClockUs();
    const { writer, answer } = await this.#openDatabase(null);
    if (answer.kind === 'opened') {
      this.#begin(writer, answer, answer.nextSeq);
      return { series: answer.series, states: answer.states };
    }
    const { error, held } = answer;
    if (held === null) throw new HistoryError(error.code, error.message);
    this.#state = 'failed';
    this.#queue.begin(held.nextSeq);
    // What the database holds is known to it, should it be the one that is opened.
    this.#seriesTold = held.series.length;
    this.#refused(error);
    return { series: held.series, states: held.states };
  }

  /** `beganUs` is when the run began, where it is tried again. */
  #openDatabase(beganUs: number | null): Promise<StartedWriter> {
    const { path, flushIntervalMs, durability = 'full', isLive = false } = this.#options;
    const { maxAgeMs, maxSamples, maxBytes, secondsMaxAgeMs, minutesMaxAgeMs } = this.#options;
    const data: WriterThreadData = {
      path,
      batches: this.#queue.buffers,
      flushIntervalMs,
      durability,
      isLive,
      clock: this.#clock,
      retention: { maxAgeMs, maxSamples, maxBytes, secondsMaxAgeMs, minutesMaxAgeMs },
      protocolFiles: this.#table.protocolFiles,
      beganUs,
      nextSeq: beganUs === null ? 0 : this.#queue.nextSeq,
    };
    return startWriter(data, (message) => this.#report.damaged(message));
  }

  #begin(writer: Worker, opened: OpenedHistory, nextSeq: number): void {
    this.#writer = writer;
    this.#state = 'open';
    this.#newest.add(opened.newest, opened.newest.seq);
    this.#queue.begin(nextSeq);
    this.#queue.reserve(opened.reservedSeq);
    // What is stored already has been told; only the series after it are new to the writer.
    this.#seriesTold = opened.series.length;
    this.#uncertainFromSeq = opened.uncertainFromSeq;
    this.#report.opened(opened);
    // The writer may have found a gap, of the time before this run.
    this.#isUncommitted = true;
    writer.on('message', (message: FromWriter) => this.#handleWriter(message));
    writer.on('error', (error) => this.#writerDied(error));
    this.#flushTimer = setInterval(() => this.#flush(), this.#options.flushIntervalMs);
  }

  /** The disk refuses the database: it is tried again. */
  #refused(error: StoredError): void {
    if (this.#state !== 'failed') return;
    this.#report.refused(error);
    this.#reopenTimer = setTimeout(() => {
      // So that the loss is shown, however slowly samples come.
      this.handOver();
      this.#reopening = this.#reopen().catch((cause: unknown) =>
        this.#refused({ code: 'HISTORY_UNAVAILABLE', message: errorMessage(cause) }),
      );
    }, this.#options.reopenMs ?? HISTORY_REOPEN_MS);
  }

  async #reopen(): Promise<void> {
    const { writer, answer } = await this.#openDatabase(this.#beganUs);
    if (answer.kind === 'refused') {
      this.#refused(answer.error);
      return;
    }
    if (this.#state === 'failed' && this.#isOurs(answer)) {
      // What has come since is lost as well.
      this.handOver();
      this.#begin(writer, answer, this.#queue.nextSeq);
      this.#options.log.info('the disk takes the history again');
      return;
    }
    writer.postMessage({ kind: 'close', nextSeq: answer.nextSeq } satisfies ToWriter);
    if (this.#state !== 'failed') return;
    const message =
      'The disk takes the database again, but it could not be read at the start: restart the service.';
    this.#report.unknown({ code: 'HISTORY_UNAVAILABLE', message });
  }

  /** Whether a database is the one that was read at the start, or as empty: numbers mean in it what they do here. */
  #isOurs({ series, nextSeq }: OpenedHistory): boolean {
    const known = this.#table.since(0).map(recordOf);
    return (
      nextSeq <= this.#queue.nextSeq &&
      series.length === this.#seriesTold &&
      series.every((one, index) => isDeepStrictEqual(one, known[index]))
    );
  }

  /** The batch to append to. Another one after every handOver(). */
  get samples(): SampleBatch {
    return this.#queue.current;
  }

  /**
   * Lets queries see what the current batch holds by now. When nothing could be stored for so long that the
   * numbers reserved are used up, samples stay unseen until they are stored.
   */
  publish(): void {
    this.#queue.publish();
  }

  /** Gives the current batch to the writer and begins another. */
  handOver(): void {
    if (this.samples.count === 0) return;
    if (this.#state === 'open' && this.#queue.hasAnother) {
      this.#giveToWriter();
      this.#queue.advance();
    } else {
      this.#lose();
      this.#queue.drop();
    }
  }

  #lose(): void {
    const { timestampUs, count } = this.samples;
    const isFailed = this.#state === 'failed';
    if (isFailed) this.#report.lostUnwritten(count);
    else this.#report.lostInQueue(count);
    const span = spanOf([timestampUs.subarray(0, count)]);
    this.gap({ bus: null, cause: isFailed ? 'disk' : 'queue', ...span, count });
  }

  #giveToWriter(): void {
    if (this.#seriesTold < this.#table.count) {
      const series = this.#table.since(this.#seriesTold).map(recordOf);
      this.#seriesTold = this.#table.count;
      this.#tellWriter({ kind: 'series', series });
    }
    const { count } = this.samples;
    this.publish();
    if (this.#queue.mayBeSeen) this.#newest.add(columnsOf(this.samples), this.samples.firstSeq);
    else this.#newest.forget();
    this.#tellWriter({ kind: 'samples', batch: this.#queue.place, count });
    this.#report.handedOver(count);
    this.#isUncommitted = true;
  }

  /** Takes note that samples are missing. It is found once it is stored, with the next commit. */
  gap(gap: Gap): void {
    addGap(this.#gapsUntold, gap);
    this.#isUncommitted = true;
  }

  /** The oldest sample that is stored; null where none is. Retention takes it with the next commit. */
  get firstSeq(): number | null {
    return this.#report.size.firstSeq;
  }

  /** The first of the samples that a step of the clock may correct; null where there are none. */
  get uncertainFromSeq(): number | null {
    return this.#uncertainFromSeq;
  }

  /**
   * What comes from now on is stamped by another clock. Where that corrects what came before, all of it is corrected, in
   * memory at once, on the disk with a commit. To be called between samples.
   */
  changeClock(change: ClockChange, wallClockUs: number): void {
    this.handOver();
    const { correctionUs, bootId, offsetUs, isSynchronized } = change;
    this.#clock = { bootId, offsetUs, isSynchronized };
    if (correctionUs !== 0 && this.#uncertainFromSeq !== null) {
      this.#newest.shift(this.#uncertainFromSeq, correctionUs);
      for (const [at, gap] of this.#gapsUntold.entries()) this.#gapsUntold[at] = movedGap(gap, correctionUs);
    }
    this.#uncertainFromSeq = uncertainAfter(this.#uncertainFromSeq, change, this.#queue.nextSeq);
    if (this.#state !== 'open') return;
    this.#tellWriter({ kind: 'clock', change, firstSeq: this.#queue.nextSeq, wallClockUs });
  }

  /** Whether there is room for all that a source can have on the way; otherwise it is to wait. */
  get hasRoom(): boolean {
    return this.#queue.hasRoom || this.#state !== 'open';
  }

  /** Calls back, once, when hasRoom has become true again. */
  whenRoom(callback: () => void): void {
    this.#queue.whenRoom(callback);
  }

  #flush(): void {
    // While the writer is behind, the batch fills and the next commit takes more at once.
    if (this.#commitsAsked.length > 0) return;
    // Ahead of the samples: these may be of the time before a step.
    const clock = this.#readClock();
    this.handOver();
    if (this.#isUncommitted) this.#askForCommit(() => {}, clock);
  }

  #readClock(): ClockReading {
    return (this.#options.readClock ?? readClock)();
  }

  #askForCommit(settled: () => void, clock = this.#readClock()): void {
    this.#isUncommitted = false;
    this.#commitsAsked.push(settled);
    if (this.#gapsUntold.length > 0) this.#tellWriter({ kind: 'gaps', gaps: this.#gapsUntold.splice(0) });
    this.#tellWriter({ kind: 'commit', clock });
  }

  /** Hands everything over and resolves when it is durable, or when it is known to be lost. */
  flush(): Promise<void> {
    this.handOver();
    if (this.#state !== 'open') return Promise.resolve();
    return new Promise((resolve) => this.#askForCommit(resolve));
  }

  /**
   * Asks the reader. A cursor that no sample has had by now is of another history, of a database that was set aside or
   * deleted: who follows with it is told this one from its beginning, instead of nothing until the numbers have
   * come that far. Rejects with QueryError 503 HISTORY_BUSY past HISTORY_QUERIES_WAITING_MAX waiting
   * queries and HISTORY_CLOSED while there is no history, or HistoryError where reading failed.
   */
  query(asked: HistoryQuery, memory?: ArrayBuffer): Promise<HistoryPage> {
    const askedMs = performance.now();
    const { order, cursor = 0 } = asked;
    const isForeign = order === 'asc' && cursor >= this.#queue.endSeq;
    const query = isForeign ? { ...asked, cursor: undefined } : asked;
    const page = this.#newestPage(query);
    if (page === null) {
      const transfer = memory === undefined ? [] : [memory];
      return this.#ask({ kind: 'page', query, memory }, transfer) as Promise<HistoryPage>;
    }
    this.#queryMeter.answered('newest', askedMs);
    return Promise.resolve(page);
  }

  /** A page that lies within the newest samples, as the reader would give it; null where it doesn't. */
  #newestPage(query: HistoryQuery): HistoryPage | null {
    if (this.#state === 'closed' || !this.#queue.mayBeSeen) return null;
    const { firstSeq, count } = this.samples;
    return this.#newest.page(query, { firstSeq, count, ...columnsOf(this.samples) });
  }

  /** Asks for signals over time; gives the JSON text of SeriesSchema. Rejects as query() does. */
  series(query: SeriesQuery): Promise<Uint8Array> {
    return this.#ask({ kind: 'series', query }) as Promise<Uint8Array>;
  }

  /**
   * Asks for every sample of a signal over a span of time, as columns in the order of arrival; at most
   * COLUMN_PAGE_SAMPLES_MAX at once, from nextCursor on the next. A page that is given to be used again can't be
   * looked at any more: without that, pages wait for the collector of garbage. Rejects as query() does.
   */
  columns(query: ColumnsQuery, reuse?: ColumnsPage): Promise<ColumnsPage> {
    const buffers = reuse === undefined ? [] : buffersOfColumns(reuse);
    return this.#ask({ kind: 'columns', query, reuse }, buffers) as Promise<ColumnsPage>;
  }

  /** Asks where samples are missing; gives the JSON text of GapsSchema. Rejects as query() does. */
  gaps(query: GapQuery): Promise<Uint8Array> {
    return this.#ask({ kind: 'gaps', query }) as Promise<Uint8Array>;
  }

  #ask(question: Question, transfer: readonly ArrayBuffer[] = []): Promise<Answer> {
    if (this.#state === 'closed') {
      return Promise.reject(
        new QueryError(503, 'HISTORY_CLOSED', 'The history is closed: the service is stopping.'),
      );
    }
    if (this.#writer === null) {
      const message = `The disk refuses the history: ${this.#report.problem?.message}`;
      return Promise.reject(new QueryError(503, 'HISTORY_CLOSED', message));
    }
    this.publish();
    return this.#reader.ask(question, transfer);
  }

  /** The next questions pass over it without a word. */
  #quarantine(block: number, found: string): void {
    if (this.#state !== 'open') return;
    this.#tellWriter({ kind: 'quarantine', block, found });
    this.#isUncommitted = true;
  }

  #handleWriter(message: FromWriter): void {
    switch (message.kind) {
      case 'recycle':
        this.#queue.giveBack(message.batches);
        break;
      case 'committed':
        this.#report.committed(message);
        // Retention may have taken some of the newest samples.
        if (this.#newest.count > this.#report.samplesKept) this.#newest.forget();
        if (message.samples > 0) this.#queue.reserve(message.reservedSeq);
        break;
      case 'failed':
        this.#report.failed(message);
        if (message.samplesLost > 0) this.#newest.forget();
        // What was lost is a gap, which is to be stored even where no sample follows.
        this.#isUncommitted = true;
        break;
      case 'set_aside':
        this.#report.setAside(message.setAside);
        this.#newest.forget();
        // The reader answers what it was asked from the old one; the next query starts another.
        this.#reader.retire();
        break;
      case 'corrected':
        this.#report.corrected(message);
        break;
      case 'damaged':
        this.#report.damaged(message.message);
        break;
      case 'settled':
        this.#commitsAsked.shift()?.();
        break;
    }
  }

  /** The state and the API go on without the history; what it doesn't get is counted as lost. */
  #writerDied(error: unknown): void {
    this.#report.writerDied(error);
    this.#state = 'failed';
    this.#newest.forget();
    this.#isUncommitted = false;
    this.#queue.stopWaiting();
    for (const callback of this.#commitsAsked.splice(0)) callback();
  }

  status(): HistoryStatus {
    return {
      ...this.#report.figures(),
      state: this.#state,
      batchesInUse: this.#queue.batchesInUse,
      batchesMax: SAMPLE_BATCHES_MAX,
      queriesWaiting: this.#reader.waiting,
      queriesWaitingMax: HISTORY_QUERIES_WAITING_MAX,
    };
  }

  timings(): HistoryTimings {
    return { commits: this.#report.commitDurations, queries: this.#queryMeter.counts() };
  }

  /** Makes everything durable and ends both threads. */
  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    clearTimeout(this.#reopenTimer);
    if (this.#state === 'closed') return;
    const writer = this.#state === 'open' ? this.#writer : null;
    const ended = new Promise((resolve) => writer?.once('exit', resolve));
    const nextSeq = this.#queue.endSeq;
    if (writer !== null) {
      // Nothing comes after it, so it goes even when no batch is left to begin.
      if (this.samples.count > 0) this.#giveToWriter();
      this.#askForCommit(() => {});
    }
    this.#state = 'closed';
    await this.#reopening;
    // The writer closes last: SQLite then takes its log over into the database file.
    await this.#reader.close();
    if (writer === null) return;
    this.#tellWriter({ kind: 'close', nextSeq });
    await ended;
  }

  #tellWriter(message: ToWriter): void {
    this.#writer!.postMessage(message);
  }
}

function movedGap(gap: Gap, shiftUs: number): Gap {
  return { ...gap, fromUs: gap.fromUs + shiftUs, toUs: gap.toUs === null ? null : gap.toUs + shiftUs };
}

function columnsOf({ timestampUs, rawValue, series, count }: SampleBatch) {
  return {
    timestampUs: timestampUs.subarray(0, count),
    rawValue: rawValue.subarray(0, count),
    series: series.subarray(0, count),
  };
}
