import { SAMPLES_EXAMPLE } from '../openapi/examples.ts';
import { eventStream, problems, SWITCHING_PROTOCOLS, webSocket } from '../openapi/responses.ts';
import {
  HeartbeatSchema,
  HelloSchema,
  PingSchema,
  PongSchema,
  SamplesSchema,
  STREAM_PROTOCOL,
  StreamErrorSchema,
  StreamGapSchema,
  StreamSeriesSchema,
  SubscribedSchema,
  SubscribeSchema,
  UnsubscribedSchema,
  UnsubscribeSchema,
} from './schemas.ts';

/** What the document says of the routes of the live stream; docs/streaming.md says it in words. */

export const STREAM_DESCRIPTION = {
  operationId: 'openStream',
  summary: 'Samples as they come, over WebSocket',
  description:
    'Subscribe to patterns of signals: the latest of each first, then what comes, each sample or at most so many a second. A client that is slow gets the latest of each signal, and is told how many samples it missed. docs/streaming.md has the messages, and their binary form.',
  tags: ['Live'],
  'x-websocket': webSocket([STREAM_PROTOCOL], {
    client: [SubscribeSchema, UnsubscribeSchema, PingSchema],
    server: [
      HelloSchema,
      SubscribedSchema,
      UnsubscribedSchema,
      SamplesSchema,
      StreamGapSchema,
      StreamSeriesSchema,
      PongSchema,
      HeartbeatSchema,
      StreamErrorSchema,
    ],
  }),
  response: {
    101: SWITCHING_PROTOCOLS,
    ...problems({ 400: ['QUERY_INVALID'], 426: ['UPGRADE_REQUIRED'], 503: ['STREAM_FULL'] }),
  },
};

/** Events as text. */
function events(
  ...all: readonly { readonly event: string; readonly id?: number; readonly data: object }[]
): string {
  return all
    .map(({ event, id, data }) => {
      const idLine = id === undefined ? '' : `id: ${id}\n`;
      return `event: ${event}\n${idLine}data: ${JSON.stringify(data)}\n\n`;
    })
    .join('');
}

const EVENTS_EXAMPLE = events(
  {
    event: 'hello',
    data: {
      type: 'hello',
      version: '0.1.0',
      encoding: 'json',
      simulated: false,
      run: '6f9c2d',
      seq: 1041,
      heartbeat_s: 5,
    },
  },
  {
    event: 'samples',
    id: 1042,
    data: {
      type: 'samples',
      cause: 'live',
      seq: 1042,
      missed: 0,
      thinned: 0,
      samples: SAMPLES_EXAMPLE.slice(0, 1),
    },
  },
);

export const EVENTS_DESCRIPTION = {
  operationId: 'getEvents',
  summary: 'Samples as they come, as Server-Sent Events',
  description:
    'The same as one subscription of the WebSocket stream, for `curl -N` and EventSource: `hello`, then `samples` with the `seq` as their id, from which a client that connects again goes on (Last-Event-ID); `gap` where that is too long ago, `heartbeat` while nothing comes.',
  tags: ['Live'],
  response: {
    200: eventStream(
      'Events, for as long as the client listens',
      {
        hello: HelloSchema,
        samples: SamplesSchema,
        gap: StreamGapSchema,
        heartbeat: HeartbeatSchema,
        error: StreamErrorSchema,
      },
      EVENTS_EXAMPLE,
    ),
    ...problems({
      400: ['QUERY_INVALID', 'SIGNAL_INVALID', 'MESSAGE_TYPE_UNKNOWN'],
      503: ['STREAM_FULL'],
    }),
  },
};
