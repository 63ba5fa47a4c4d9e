/** What the package gives to other programs. */
export { type CanFrame, FRAME_FLAG } from './bus/can-frame.ts';
export { loadConfig } from './config/load-config.ts';
export type { CollectorConfig } from './config/schema.ts';
export type { Gap, GapCause, GapQuery } from './history/gap.ts';
export type {
  ColumnsPage,
  ColumnsQuery,
  HistoryPage,
  HistoryQuery,
  HistorySize,
} from './history/history-query.ts';
export { type HistoryOptions, PersistentTelemetryStore } from './history/persistent-telemetry-store.ts';
export { type Collector, startCollector } from './main.ts';
export { type Pipeline, startPipeline } from './pipeline/pipeline.ts';
export {
  CanInterface,
  type CanInterfaceOptions,
  type MessageHandler,
  type MessageToSend,
  type ReceivedMessage,
} from './protocol/can-interface.ts';
export { decodeKartPayload, encodeKartPayload, type KartMessage } from './protocol/kart-codec.ts';
export { ProtocolRegistry, type SignalDefinition } from './protocol/protocol-registry.ts';
export { SampleBatch } from './protocol/sample-batch.ts';
export { type Series, SeriesTable } from './protocol/series-table.ts';
export {
  BusError,
  CollectorError,
  ConfigError,
  HistoryError,
  ProtocolError,
  QueryError,
} from './shared/errors.ts';
export { type SignalState, TelemetryStore } from './telemetry/telemetry-store.ts';
