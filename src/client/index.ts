/** telemetry-collector/client: the service's API for programs, in browsers and in Node from 18 on. */
export type { ComponentTypeReply, ProtocolReply } from '../api/protocol-schemas.ts';
export type {
  ErrorReply,
  GapReply,
  SampleReply,
  SeriesReply,
  SignalStateReply,
  StateReply,
  StatusReply,
} from '../api/schemas.ts';
export { CollectorClientError } from './client-error.ts';
export { CollectorClient, type CollectorClientOptions, type HistoryPage } from './collector-client.ts';
export type { CollectorStream, StreamOptions } from './collector-stream.ts';
export type { CommandReply, CommandRequest } from './command.ts';
export type {
  ComponentQuery,
  GapsQuery,
  Name,
  SampleQuery,
  SeriesQuery,
  StateQuery,
  Time,
} from './query.ts';
export {
  type SampleColumns,
  type StreamSeries,
  samplesOf,
  type UpdateCause,
  type UpdateInfo,
  valuesOf,
} from './sample-columns.ts';
export type { Encoding, StateListener, StreamState } from './stream-link.ts';
export type {
  OnColumns,
  OnSamples,
  StreamGap,
  StreamSubscription,
  SubscribeOptions,
  SubscribeRequest,
} from './subscription.ts';
export type { CallOptions } from './transport.ts';
export type { SamplesUpdate } from './updates-queue.ts';
export type { WebSocketConstructor, WebSocketLike } from './web-socket.ts';
