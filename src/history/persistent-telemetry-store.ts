import { isDeepStrictEqual } from 'node:util';
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { SampleBatch } from '../protocol/sample-batch.ts';
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
import { type DurationCounts, DurationHistogram } from '../shared/duration-histogram.ts';
import { errorMessage, HistoryError, QueryError } from '../shared/errors.ts';
import {
  CLOCK_STEPS_KEPT,
  HISTORY_QUERIES_WAITING_MAX,
  HISTORY_REOPEN_MS,
  NEWEST_SAMPLES_KEPT,
  SAMPLE_BATCHES_FREE_LOW,
  SAMPLE_BATCHES_MAX,
} from '../shared/limits.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import type { SetAside } from './database/damaged-database.ts';
import type { Durability } from './database/database.ts';
import type { StoredState } from './database/stored-history.ts';
import { addGap, type Gap, type GapQuery, spanOf } from './gap.ts';
import type {
  Answer,
  CorrectionDone,
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
  type HistorySize,
  type SeriesQuery,
} from './history-query.ts';
import { type QueryCounts, QueryMeter } from './query-meter.ts';
import { HistoryReaderHandle } from './reader/history-reader-handle.ts';
import { NewestSamples } from './reader/newest-samples.ts';
import type { Retention } from './retention.ts';
import type { CorrectedSpan } from './writer/clock-ledger.ts';
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

export interface HistoryStatus {
  readonly path: string;
  readonly state: 'closed' | 'open' | 'failed';
  readonly size: HistorySize;
  /** Null until the database was opened. */
  readonly durability: Durability | null;
  /** Made durable since the start. */
  readonly samplesStored: number;
  readonly samplesLost: {
    /** All batches were waiting for the writer. */
    readonly queue: number;
    /** The database refused them. */
    readonly write: number;
  };
  readonly commits: number;
  readonly lastCommitMs: number | null;
  readonly problem: StoredError | null;
  /** The last database of this run that was damaged and set aside. */
  readonly setAside: SetAside | null;
  /** Times that a chunk or block was met that can't be read. */
  readonly damages: number;
  /** Timestamps moved since the start, as the clock was set. */
  readonly samplesCorrected: number;
  /** Spans of samples that are corrected, also by earlier runs; the last ones, the newest first. */
  readonly corrected: readonly CorrectedSpan[];
  /** The last ones since the start. */
  readonly corrections: readonly CorrectionDone[];
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

const NOTHING_STORED: HistorySize = {
  samples: 0,
  firstSeq: null,
  firstTimestampUs: null,
  lastTimestampUs: null,
  gaps: 0,
  bytes: 0,
  walBytes: 0,
};

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

  /** Memory that isn't written to isn't there yet: what is seldom used costs nothing. */
  readonly #batches = Array.from({ length: SAMPLE_BATCHES_MAX }, () => SampleBatch.allocate());
  /** Places of batches; the last given back is the first to be used again. */
  readonly #free = this.#batches.map((_, place) => place).reverse();
  #current = this.#free.pop()!;
  #nextSeq = 1;
  #reservedSeq = 0;
  #seriesTold = 0;
  /** Gaps that the writer is told of when the next commit is asked for, so that they can't pile up before it. */
  readonly #gapsUntold: Gap[] = [];
  #isUncommitted = false;
  /** Called back, in order, as the writer answers one commit after the other. */
  readonly #commitsAsked: (() => void)[] = [];
  readonly #waitingForRoom: (() => void)[] = [];

  #state: HistoryStatus['state'] = 'closed';
  #size = NOTHING_STORED;
  #durability: Durability | null = null;
  #samplesHandedOver = 0;
  #samplesStored = 0;
  #lostInQueue = 0;
  #lostInWrite = 0;
  #commits = 0;
  #lastCommitMs: number | null = null;
  readonly #commitDurations = new DurationHistogram();
  #problem: StoredError | null = null;
  #setAside: SetAside | null = null;
  #damages = 0;
  #uncertainFromSeq: number | null = null;
  #samplesCorrected = 0;
  readonly #corrections: CorrectionDone[] = [];
  #corrected: readonly CorrectedSpan[] = [];
  readonly #logFault: FaultLog;
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
    this.#logFault = rateLimited(options.log);
    this.#newest = new NewestSamples(NEWEST_SAMPLES_KEPT, table);
    this.#reader = new HistoryReaderHandle({
      path: options.path,
      batches: this.#batches.map(({ buffer }) => buffer),
      table,
      meter: this.#queryMeter,
      log: options.log,
      onDamage: (message, block) => {
        this.#tellDamage(message);
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
    this.#nextSeq = held.nextSeq;
    this.samples.begin(held.nextSeq);
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
      batches: this.#batches.map(({ buffer }) => buffer),
      flushIntervalMs,
      durability,
      isLive,
      clock: this.#clock,
      retention: { maxAgeMs, maxSamples, maxBytes, secondsMaxAgeMs, minutesMaxAgeMs },
      protocolFiles: this.#table.protocolFiles,
      beganUs,
      nextSeq: beganUs === null ? 0 : this.#nextSeq,
    };
    return startWriter(data, (message) => this.#tellDamage(message));
  }

  #begin(writer: Worker, opened: OpenedHistory, nextSeq: number): void {
    this.#writer = writer;
    this.#state = 'open';
    this.#reservedSeq = opened.reservedSeq;
    this.#newest.add(opened.newest, opened.newest.seq);
    this.#nextSeq = nextSeq;
    this.samples.begin(nextSeq);
    // What is stored already has been told; only the series after it are new to the writer.
    this.#seriesTold = opened.series.length;
    this.#size = opened.size;
    this.#durability = opened.durability;
    this.#uncertainFromSeq = opened.uncertainFromSeq;
    this.#corrected = opened.corrected;
    if (opened.correction !== null) this.#tellCorrection(opened.correction);
    if (opened.setAside !== null) this.#tellSetAside(opened.setAside);
    // The writer may have found a gap, of the time before this run.
    this.#isUncommitted = true;
    writer.on('message', (message: FromWriter) => this.#handleWriter(message));
    writer.on('error', (error) => this.#writerDied(error));
    this.#flushTimer = setInterval(() => this.#flush(), this.#options.flushIntervalMs);
  }

  /** The disk refuses the database: it is tried again. */
  #refused(error: StoredError): void {
    if (this.#state !== 'failed') return;
    if (this.#problem?.message !== error.message) {
      this.#options.log.error(
        { ...error },
        'the disk refuses the history: nothing is stored until it does not',
      );
    }
    this.#problem = error;
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
      this.#problem = null;
      this.#begin(writer, answer, this.#nextSeq);
      this.#options.log.info('the disk takes the history again');
      return;
    }
    writer.postMessage({ kind: 'close', nextSeq: answer.nextSeq } satisfies ToWriter);
    if (this.#state !== 'failed') return;
    this.#problem = {
      code: 'HISTORY_UNAVAILABLE',
      message:
        'The disk takes the database again, but it could not be read at the start: restart the service.',
    };
    this.#options.log.error({ ...this.#problem }, 'history is not written');
  }

  /** Whether a database is the one that was read at the start, or as empty: numbers mean in it what they do here. */
  #isOurs({ series, nextSeq }: OpenedHistory): boolean {
    const known = this.#table.since(0).map(recordOf);
    return (
      nextSeq <= this.#nextSeq &&
      series.length === this.#seriesTold &&
      series.every((one, index) => isDeepStrictEqual(one, known[index]))
    );
  }

  /** The batch to append to. Another one after every handOver(). */
  get samples(): SampleBatch {
    return this.#batches[this.#current]!;
  }

  /**
   * Lets queries see what the current batch holds by now. When nothing could be stored for so long that the
   * numbers reserved are used up, samples stay unseen until they are stored: after a crash their numbers
   * would be given again.
   */
  publish(): void {
    this.#publish(this.samples);
  }

  #publish(batch: SampleBatch): void {
    if (this.#mayBeSeen(batch)) batch.publish();
  }

  #mayBeSeen({ firstSeq, count }: SampleBatch): boolean {
    return firstSeq + count <= this.#reservedSeq;
  }

  /** Batches that wait for the writer unseen are seen ahead of the current one: there is never a gap to see. */
  #renewReservation(reservedSeq: number): void {
    this.#reservedSeq = reservedSeq;
    const inOrder = this.#batches.toSorted((left, right) => left.firstSeq - right.firstSeq);
    for (const batch of inOrder) this.#publish(batch);
  }

  /** Gives the current batch to the writer and begins another. */
  handOver(): void {
    const { count } = this.samples;
    if (count === 0) return;
    this.#nextSeq += count;
    const next = this.#state === 'open' ? this.#free.pop() : undefined;
    if (next === undefined) {
      const isFailed = this.#state === 'failed';
      if (isFailed) {
        this.#samplesHandedOver += count;
        this.#lostInWrite += count;
      } else this.#lostInQueue += count;
      const span = spanOf([this.samples.timestampUs.subarray(0, count)]);
      this.gap({ bus: null, cause: isFailed ? 'disk' : 'queue', ...span, count });
    } else {
      this.#giveToWriter();
      this.#current = next;
    }
    this.samples.begin(this.#nextSeq);
  }

  #giveToWriter(): void {
    if (this.#seriesTold < this.#table.count) {
      const series = this.#table.since(this.#seriesTold).map(recordOf);
      this.#seriesTold = this.#table.count;
      this.#tellWriter({ kind: 'series', series });
    }
    const { count } = this.samples;
    this.publish();
    if (this.#mayBeSeen(this.samples)) this.#newest.add(columnsOf(this.samples), this.samples.firstSeq);
    else this.#newest.forget();
    this.#tellWriter({ kind: 'samples', batch: this.#current, count });
    this.#samplesHandedOver += count;
    this.#isUncommitted = true;
  }

  #giveBack(places: readonly number[]): void {
    for (const place of places) {
      // Emptied at once: what was lost must not be found any more.
      this.#batches[place]!.begin(0);
      this.#free.push(place);
    }
  }

  /** Takes note that samples are missing. It is found once it is stored, with the next commit. */
  gap(gap: Gap): void {
    addGap(this.#gapsUntold, gap);
    this.#isUncommitted = true;
  }

  /** The oldest sample that is stored; null where none is. Retention takes it with the next commit. */
  get firstSeq(): number | null {
    return this.#size.firstSeq;
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
    this.#uncertainFromSeq = uncertainAfter(this.#uncertainFromSeq, change, this.#nextSeq);
    if (this.#state !== 'open') return;
    this.#tellWriter({ kind: 'clock', change, firstSeq: this.#nextSeq, wallClockUs });
  }

  /** Whether there is room for all that a source can have on the way; otherwise it is to wait. */
  get hasRoom(): boolean {
    return this.#free.length >= SAMPLE_BATCHES_FREE_LOW || this.#state !== 'open';
  }

  /** Calls back, once, when hasRoom has become true again. */
  whenRoom(callback: () => void): void {
    this.#waitingForRoom.push(callback);
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
    const isForeign = order === 'asc' && cursor >= this.#nextSeq + this.samples.count;
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
    if (this.#state === 'closed' || !this.#mayBeSeen(this.samples)) return null;
    const { firstSeq, count } = this.samples;
    return this.#newest.page(query, { firstSeq, count, ...columnsOf(this.samples) });
  }

  /** Retention may have taken some of the newest samples: what is stored and on the way is what there is. */
  #forgetDropped(): void {
    const onTheWay = this.#samplesHandedOver - this.#samplesStored - this.#lostInWrite;
    if (this.#newest.count > this.#size.samples + onTheWay) this.#newest.forget();
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
      const message = `The disk refuses the history: ${this.#problem?.message}`;
      return Promise.reject(new QueryError(503, 'HISTORY_CLOSED', message));
    }
    this.publish();
    return this.#reader.ask(question, transfer);
  }

  #tellDamage(message: string): void {
    this.#damages++;
    this.#logFault(
      'error',
      'damage',
      { damage: message },
      'history is damaged: some samples are passed over',
    );
  }

  #tellCorrection(correction: CorrectionDone): void {
    const { fromSeq, toSeq, shiftUs, samples } = correction;
    this.#samplesCorrected += samples;
    this.#corrections.push(correction);
    if (this.#corrections.length > CLOCK_STEPS_KEPT) this.#corrections.shift();
    this.#options.log.warn(
      { samples, moved_by_s: shiftUs / 1_000_000, from_seq: fromSeq, to_seq: toSeq - 1 },
      'the timestamps of samples that were recorded before the clock was set are corrected',
    );
  }

  /** The next questions pass over it without a word. */
  #quarantine(block: number, found: string): void {
    if (this.#state !== 'open') return;
    this.#tellWriter({ kind: 'quarantine', block, found });
    this.#isUncommitted = true;
  }

  #tellSetAside(setAside: SetAside): void {
    this.#setAside = setAside;
    const { path, reason } = setAside;
    this.#options.log.error(
      { database: this.#options.path, set_aside: path, reason, look_at_it: `sqlite3 '${path}' .recover` },
      'the history is damaged: it was set aside, and a new one begun',
    );
  }

  #handleWriter(message: FromWriter): void {
    switch (message.kind) {
      case 'recycle':
        this.#giveBack(message.batches);
        while (this.#waitingForRoom.length > 0 && this.hasRoom) this.#waitingForRoom.shift()!();
        break;
      case 'committed':
        this.#size = message.size;
        // That a gap could be stored doesn't say that samples can.
        this.#samplesStored += message.samples;
        this.#forgetDropped();
        if (message.samples === 0) break;
        this.#commits++;
        this.#renewReservation(message.reservedSeq);
        this.#lastCommitMs = message.durationMs;
        this.#commitDurations.observe(message.durationMs);
        this.#problem = null;
        break;
      case 'failed':
        this.#lostInWrite += message.samplesLost;
        if (message.samplesLost > 0) this.#newest.forget();
        this.#options.log.error(
          { ...message.error, samples_lost: message.samplesLost },
          'history write failed',
        );
        this.#problem = message.error;
        // What was lost is a gap, which is to be stored even where no sample follows.
        this.#isUncommitted = true;
        break;
      case 'set_aside':
        this.#tellSetAside(message.setAside);
        this.#newest.forget();
        // The reader answers what it was asked from the old one; the next query starts another.
        this.#reader.retire();
        break;
      case 'corrected':
        this.#size = message.size;
        this.#corrected = message.corrected;
        this.#tellCorrection(message.correction);
        break;
      case 'damaged':
        this.#tellDamage(message.message);
        break;
      case 'settled':
        this.#commitsAsked.shift()?.();
        break;
    }
  }

  /** The state and the API go on without the history; what it doesn't get is counted as lost. */
  #writerDied(error: unknown): void {
    this.#options.log.fatal({ err: error }, 'history writer died: samples are no longer stored');
    this.#state = 'failed';
    this.#newest.forget();
    this.#problem = { code: 'HISTORY_WRITER_DIED', message: String(error) };
    this.#lostInWrite = this.#samplesHandedOver - this.#samplesStored;
    this.#isUncommitted = false;
    for (const callback of [...this.#waitingForRoom.splice(0), ...this.#commitsAsked.splice(0)]) callback();
  }

  status(): HistoryStatus {
    return {
      path: this.#options.path,
      state: this.#state,
      size: this.#size,
      durability: this.#durability,
      samplesStored: this.#samplesStored,
      samplesLost: { queue: this.#lostInQueue, write: this.#lostInWrite },
      commits: this.#commits,
      lastCommitMs: this.#lastCommitMs,
      problem: this.#problem,
      setAside: this.#setAside,
      damages: this.#damages,
      samplesCorrected: this.#samplesCorrected,
      corrections: this.#corrections,
      corrected: this.#corrected,
      batchesInUse: SAMPLE_BATCHES_MAX - this.#free.length,
      batchesMax: SAMPLE_BATCHES_MAX,
      queriesWaiting: this.#reader.waiting,
      queriesWaitingMax: HISTORY_QUERIES_WAITING_MAX,
    };
  }

  timings(): HistoryTimings {
    return { commits: this.#commitDurations.counts(), queries: this.#queryMeter.counts() };
  }

  /** Makes everything durable and ends both threads. */
  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    clearTimeout(this.#reopenTimer);
    if (this.#state === 'closed') return;
    const writer = this.#state === 'open' ? this.#writer : null;
    const ended = new Promise((resolve) => writer?.once('exit', resolve));
    const nextSeq = this.#nextSeq + this.samples.count;
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
