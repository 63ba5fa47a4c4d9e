import type { Logger } from 'pino';
import type { GapQuery } from '../history/gap.ts';
import type { HistoryPage, HistoryQuery, SeriesQuery } from '../history/history-query.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import type { SignalState, StateFilter } from '../telemetry/telemetry-store.ts';
import type { StatusReply } from './schemas.ts';

/** All that the API knows of the service: what it may read, and nothing that it could change. */
export interface ApiSources {
  readonly registry: ProtocolRegistry;
  readonly state: StateReader;
  readonly history: HistorySource;
  status(): Promise<StatusReply>;
  /** Whether any bus is simulated. */
  readonly isSimulated: boolean;
  readonly log: Logger;
}

export interface StateReader {
  current(filter?: StateFilter): Iterable<SignalState>;
}

export interface HistorySource {
  query(query: HistoryQuery): Promise<HistoryPage>;
  /** Gives the JSON text of SeriesSchema. */
  series(query: SeriesQuery): Promise<Uint8Array>;
  /** Gives the JSON text of GapsSchema. */
  gaps(query: GapQuery): Promise<Uint8Array>;
}
