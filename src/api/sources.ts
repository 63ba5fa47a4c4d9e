import type { Logger } from 'pino';
import type {
  Asker,
  CommandAnswer,
  CommandRecord,
  CommandRefusal,
  CommandRequest,
} from '../commands/command-record.ts';
import type { EffectiveSetting } from '../config/load-config.ts';
import type { GapQuery } from '../history/gap.ts';
import type { HistoryPage, HistoryQuery, SeriesQuery } from '../history/history-query.ts';
import type { HistoryTimings } from '../history/persistent-telemetry-store.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import type { SignalState, StateFilter } from '../telemetry/telemetry-store.ts';
import type { ServiceStatus } from './schemas.ts';
import type { ApiSecurity } from './security/api-security.ts';

/** All that the API knows of the service: what it may read, and of what it could change commands alone. */
export interface ApiSources {
  /** Of the service. */
  readonly version: string;
  readonly registry: ProtocolRegistry;
  readonly state: StateReader;
  readonly feed: FeedSource;
  readonly history: HistorySource;
  status(): Promise<ServiceStatus>;
  /** Whether any bus is simulated. */
  readonly isSimulated: boolean;
  /** Null where commands are off. */
  readonly commands: CommandSender | null;
  /** Who may ask what. */
  readonly security: ApiSecurity;
  readonly log: Logger;
  /** The configuration in effect, setting by setting. */
  readonly settings: readonly EffectiveSetting[];
  /** Null where the log isn't written to one. */
  readonly logFile: string | null;
}

export interface StateReader {
  /** Another number whenever the state has changed. */
  readonly revision: number;
  current(filter?: StateFilter): Iterable<SignalState>;
  // Of a series, by its index: samples that it had, and the latest.
  countOf(series: number): number;
  seqOf(series: number): number;
  timestampUsOf(series: number): number;
  rawValueOf(series: number): number;
}

/** Samples as they come. */
export interface FeedSource {
  /** The number of the newest. */
  readonly seq: number;
  readonly seriesCount: number;
  seriesAt(index: number): FeedSeries;
  /** The oldest number whose sample is held, with all after it; the next one's where none is. */
  readonly heldFromSeq: number;
  // Of a sample that is held, by its number.
  seriesOf(seq: number): number;
  timestampUsOf(seq: number): number;
  rawValueOf(seq: number): number;
  /** Counts up when timestamps of samples that are held were corrected. */
  readonly correctionCount: number;
  /** Calls back whenever samples have come, until the function that it returns is called. */
  follow(follower: () => void): () => void;
}

export interface FeedSeries extends SeriesRecord {
  /** Whether samples may still come: its signal's definition is the one in force. */
  readonly isCurrent: boolean;
}

export interface HistorySource {
  /** The oldest sample that is stored; null where none is. */
  readonly firstSeq: number | null;
  /**
   * `memory` is for the page's text, such as that of an earlier page which nobody looks at any more; it is taken along
   * (detached) where it is used.
   */
  query(query: HistoryQuery, memory?: ArrayBuffer): Promise<HistoryPage>;
  /** Gives the JSON text of SeriesSchema. */
  series(query: SeriesQuery): Promise<Uint8Array>;
  /** Gives the JSON text of GapsSchema. */
  gaps(query: GapQuery): Promise<Uint8Array>;
  /** How long its commits and queries took. */
  timings(): HistoryTimings;
}

/** What the API can change: it hands on what a client asks for. What is checked, limited and noted down is behind it. */
export interface CommandSender {
  /** Resolves when a node has echoed the command; rejects with QueryError. */
  send(request: CommandRequest, asker: Asker): Promise<CommandAnswer>;
  /** Notes down an attempt that the API refused itself; never rejects. */
  refuse(refusal: CommandRefusal, asker: Asker): Promise<void>;
  /** The newest attempts, the newest first. */
  newest(limit: number): readonly CommandRecord[];
}
