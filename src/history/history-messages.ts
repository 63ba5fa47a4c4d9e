import type { SeriesRecord } from '../protocol/series-table.ts';
import type { ClockChange, ClockReading, ClockState } from '../shared/clock.ts';
import type { SetAside } from './database/damaged-database.ts';
import type { Durability } from './database/database.ts';
import type { LoadedHistory, StoredState } from './database/stored-history.ts';
import type { Gap, GapQuery } from './gap.ts';
import type {
  ColumnsPage,
  ColumnsQuery,
  HistoryPage,
  HistoryQuery,
  HistorySize,
  SeriesQuery,
} from './history-query.ts';
import type { NewestColumns } from './reader/newest-samples.ts';
import type { Retention } from './retention.ts';
import type { CorrectedSpan } from './writer/clock-ledger.ts';
import type { Correction } from './writer/time-correction.ts';

/** What both history threads are started with. */
export interface HistoryThreadData {
  readonly path: string;
  /** The sample batches; messages speak of them by their place here. */
  readonly batches: readonly SharedArrayBuffer[];
}

export interface WriterThreadData extends HistoryThreadData {
  readonly flushIntervalMs: number;
  readonly retention: Retention;
  /** Whether any bus is live, so that the time without a service is a gap. */
  readonly isLive: boolean;
  readonly durability: Durability;
  /** What samples are stamped by. */
  readonly clock: ClockState;
  /** The text of each .proto file in force, by its name. */
  readonly protocolFiles: Readonly<Record<string, string>>;
  /** When the run began, by the wall clock; null where it is beginning. */
  readonly beganUs: number | null;
  /** Numbers below may have been seen in this run, which has none stored yet. */
  readonly nextSeq: number;
}

export interface StoredError {
  readonly code: string;
  readonly message: string;
}

/** Timestamps that were moved, after the clock was set. */
export interface CorrectionDone extends Correction {
  /** How many there were to be moved. */
  readonly samples: number;
  /** The wall clock when it was done. */
  readonly atUs: number;
}

export type ToWriter =
  /** New series; they come before the first sample of theirs. */
  | { readonly kind: 'series'; readonly series: readonly SeriesRecord[] }
  | { readonly kind: 'samples'; readonly batch: number; readonly count: number }
  /** What is missing; stored with the next commit. */
  | { readonly kind: 'gaps'; readonly gaps: readonly Gap[] }
  /** A block that the reader couldn't read is to be passed over; stored with the next commit. */
  | { readonly kind: 'quarantine'; readonly block: number; readonly found: string }
  /** Everything since the last commit becomes durable, if it can; answered with `settled`. */
  | { readonly kind: 'commit'; readonly clock: ClockReading }
  /** Samples from `firstSeq` on are stamped by another clock; those before are corrected, if it says so. */
  | {
      readonly kind: 'clock';
      readonly change: ClockChange;
      readonly firstSeq: number;
      readonly wallClockUs: number;
    }
  /** The last message; a next start goes on with this number. */
  | { readonly kind: 'close'; readonly nextSeq: number };

export type FromWriter =
  | {
      readonly kind: 'opened';
      readonly series: readonly SeriesRecord[];
      readonly states: readonly StoredState[];
      /** The sequence number of the first sample to come. */
      readonly nextSeq: number;
      /** Samples below may be seen before they are stored: their numbers aren't given again after a crash. */
      readonly reservedSeq: number;
      readonly size: HistorySize;
      readonly newest: NewestColumns;
      /** What the database says, not what it was asked for. */
      readonly durability: Durability;
      /** The damaged database in whose place this one was begun. */
      readonly setAside: SetAside | null;
      /** What the start has corrected of earlier runs. */
      readonly correction: CorrectionDone | null;
      /** What is corrected of all that is stored. */
      readonly corrected: readonly CorrectedSpan[];
      /** The first of the samples that a step may correct; null where there are none. */
      readonly uncertainFromSeq: number | null;
    }
  /** Timestamps have been corrected, durably. */
  | {
      readonly kind: 'corrected';
      readonly correction: CorrectionDone;
      readonly corrected: readonly CorrectedSpan[];
      readonly size: HistorySize;
    }
  /** Where the disk alone is to blame, with what it holds: it is to be tried again. */
  | { readonly kind: 'refused'; readonly error: StoredError; readonly held: LoadedHistory | null }
  /** These batches' samples are durable, or lost. */
  | { readonly kind: 'recycle'; readonly batches: readonly number[] }
  | {
      readonly kind: 'committed';
      readonly reservedSeq: number;
      readonly size: HistorySize;
      readonly samples: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'failed'; readonly error: StoredError; readonly samplesLost: number }
  /** The database turned out to be damaged; another one was begun, which has none of what was stored. */
  | { readonly kind: 'set_aside'; readonly setAside: SetAside }
  /** Something stored can't be read; it was put aside. */
  | { readonly kind: 'damaged'; readonly message: string }
  /** What was handed over before the oldest unanswered `commit` is durable or lost, as was told. */
  | { readonly kind: 'settled' };

/** What the reader can be asked. */
export type Question =
  /** `memory`, if there is some, is for the page's text. */
  | { readonly kind: 'page'; readonly query: HistoryQuery; readonly memory: ArrayBuffer | undefined }
  | { readonly kind: 'series'; readonly query: SeriesQuery }
  | { readonly kind: 'columns'; readonly query: ColumnsQuery; readonly reuse: ColumnsPage | undefined }
  | { readonly kind: 'gaps'; readonly query: GapQuery };

/** A page, of text or of columns, or the JSON text of the answer to any other question. */
export type Answer = HistoryPage | ColumnsPage | Uint8Array;

export type ToReader =
  | {
      readonly kind: 'ask';
      readonly id: number;
      readonly question: Question;
      /** Series that the reader hasn't been told of yet. */
      readonly series: readonly SeriesRecord[];
    }
  | { readonly kind: 'close' };

export type FromReader =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  /** Something stored can't be read; the answers pass over it. */
  | { readonly kind: 'damaged'; readonly message: string; readonly block: number | null }
  | { readonly kind: 'failed'; readonly id: number; readonly error: StoredError };
