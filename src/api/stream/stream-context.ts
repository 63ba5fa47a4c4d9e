import type { FaultLog } from '../../shared/log.ts';
import type { FeedSource, HistorySource } from '../sources.ts';
import type { SampleGatherer } from './sample-gatherer.ts';

/** What clients and their subscriptions share. */
export interface StreamContext {
  readonly feed: FeedSource;
  readonly history: HistorySource;
  readonly gatherer: SampleGatherer;
  readonly counters: StreamCounters;
  /** Who has something to do besides what comes: each turn they are asked to get further. */
  readonly backlog: Set<{ step(): boolean }>;
  /** Who was written to in this turn. */
  readonly corked: Set<{ uncork(): void }>;
  readonly logFault: FaultLog;
  /** A clock that never jumps. */
  nowMs(): number;
  /** Has a turn come soon. */
  wake(): void;
}

/** Since the start. */
export interface StreamCounters {
  clientsAccepted: number;
  clientsRefused: number;
  clientsStalled: number;
  clientsSilent: number;
  clientsAbusive: number;
  messagesSent: number;
  bytesSent: number;
  samplesSent: number;
  samplesResumed: number;
  samplesMissed: number;
  gaps: number;
  /** Questions to the history that wait for an answer. */
  resumesAsking: number;
}
