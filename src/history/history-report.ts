import type { Logger } from 'pino';
import { type DurationCounts, DurationHistogram } from '../shared/duration-histogram.ts';
import { CLOCK_STEPS_KEPT } from '../shared/limits.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import type { SetAside } from './database/damaged-database.ts';
import type { Durability } from './database/database.ts';
import type { CorrectionDone, FromWriter, StoredError } from './history-messages.ts';
import type { HistorySize } from './history-query.ts';
import type { CorrectedSpan } from './writer/clock-ledger.ts';

/** What has become of the samples of this run, and what was found in the database. */
export interface HistoryFigures {
  readonly path: string;
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
}

type Message<Kind extends FromWriter['kind']> = Extract<FromWriter, { kind: Kind }>;

const NOTHING_STORED: HistorySize = {
  samples: 0,
  firstSeq: null,
  firstTimestampUs: null,
  lastTimestampUs: null,
  gaps: 0,
  bytes: 0,
  walBytes: 0,
};

/** Keeps the account of the history, and tells the log what somebody should know. */
export class HistoryReport {
  readonly #path: string;
  readonly #log: Logger;
  readonly #logFault: FaultLog;
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
  #samplesCorrected = 0;
  readonly #corrections: CorrectionDone[] = [];
  #corrected: readonly CorrectedSpan[] = [];

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#logFault = rateLimited(log);
  }

  get size(): HistorySize {
    return this.#size;
  }

  get problem(): StoredError | null {
    return this.#problem;
  }

  /** Samples that are stored, or on the way there. */
  get samplesKept(): number {
    return this.#size.samples + this.#samplesHandedOver - this.#samplesStored - this.#lostInWrite;
  }

  get commitDurations(): DurationCounts {
    return this.#commitDurations.counts();
  }

  figures(): HistoryFigures {
    return {
      path: this.#path,
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
    };
  }

  opened({ size, durability, corrected, correction, setAside }: Message<'opened'>): void {
    this.#size = size;
    this.#durability = durability;
    this.#corrected = corrected;
    this.#problem = null;
    if (correction !== null) this.#tellCorrection(correction);
    if (setAside !== null) this.setAside(setAside);
  }

  /** The disk refuses the database. */
  refused(error: StoredError): void {
    if (this.#problem?.message !== error.message) {
      this.#log.error({ ...error }, 'the disk refuses the history: nothing is stored until it does not');
    }
    this.#problem = error;
  }

  /** The disk takes a database, but not the one that it held. */
  unknown(error: StoredError): void {
    this.#problem = error;
    this.#log.error({ ...error }, 'history is not written');
  }

  handedOver(samples: number): void {
    this.#samplesHandedOver += samples;
  }

  lostInQueue(samples: number): void {
    this.#lostInQueue += samples;
  }

  /** There is no database to write them to. */
  lostUnwritten(samples: number): void {
    this.#samplesHandedOver += samples;
    this.#lostInWrite += samples;
  }

  committed({ size, samples, durationMs }: Message<'committed'>): void {
    this.#size = size;
    this.#samplesStored += samples;
    // That a gap could be stored doesn't say that samples can.
    if (samples === 0) return;
    this.#commits++;
    this.#lastCommitMs = durationMs;
    this.#commitDurations.observe(durationMs);
    this.#problem = null;
  }

  failed({ error, samplesLost }: Message<'failed'>): void {
    this.#lostInWrite += samplesLost;
    this.#log.error({ ...error, samples_lost: samplesLost }, 'history write failed');
    this.#problem = error;
  }

  /** Nothing that is on the way will be stored. */
  writerDied(error: unknown): void {
    this.#log.fatal({ err: error }, 'history writer died: samples are no longer stored');
    this.#problem = { code: 'HISTORY_WRITER_DIED', message: String(error) };
    this.#lostInWrite = this.#samplesHandedOver - this.#samplesStored;
  }

  corrected({ size, corrected, correction }: Message<'corrected'>): void {
    this.#size = size;
    this.#corrected = corrected;
    this.#tellCorrection(correction);
  }

  #tellCorrection(correction: CorrectionDone): void {
    const { fromSeq, toSeq, shiftUs, samples } = correction;
    this.#samplesCorrected += samples;
    this.#corrections.push(correction);
    if (this.#corrections.length > CLOCK_STEPS_KEPT) this.#corrections.shift();
    this.#log.warn(
      { samples, moved_by_s: shiftUs / 1_000_000, from_seq: fromSeq, to_seq: toSeq - 1 },
      'the timestamps of samples that were recorded before the clock was set are corrected',
    );
  }

  damaged(message: string): void {
    this.#damages++;
    this.#logFault(
      'error',
      'damage',
      { damage: message },
      'history is damaged: some samples are passed over',
    );
  }

  setAside(setAside: SetAside): void {
    this.#setAside = setAside;
    const { path, reason } = setAside;
    this.#log.error(
      { database: this.#path, set_aside: path, reason, look_at_it: `sqlite3 '${path}' .recover` },
      'the history is damaged: it was set aside, and a new one begun',
    );
  }
}
