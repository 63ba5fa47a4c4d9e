import type { SeriesMessage, ServerMessage } from '../api/stream/schemas.ts';

/** What goes over the stream: the API's own messages (docs/streaming.md), by the names that are needed here. */

export type {
  ClientMessage,
  HelloMessage,
  SamplesMessage,
  ServerMessage,
  StreamGapMessage as GapMessage,
  SubscribeMessage,
} from '../api/stream/schemas.ts';

export type SubscribedMessage = Extract<ServerMessage, { type: 'subscribed' }>;
export type ErrorMessage = Extract<ServerMessage, { type: 'error' }>;
export type SeriesInfo = SeriesMessage['series'][number];
