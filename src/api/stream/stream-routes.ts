import fastifyWebSocket from '@fastify/websocket';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { WebSocket } from 'ws';
import { errorMessage, QueryError } from '../../shared/errors.ts';
import {
  STREAM_CLIENTS_MAX,
  STREAM_CLOSE_MS,
  STREAM_MESSAGE_BYTES_MAX,
  STREAM_PATTERNS_MAX,
} from '../../shared/limits.ts';
import type { ApiInstance } from '../instance.ts';
import { rawReply } from '../security/http-server.ts';
import type { ApiSources } from '../sources.ts';
import { EVENTS_DESCRIPTION, STREAM_DESCRIPTION } from './description.ts';
import { EventStreamOutlet } from './event-stream-outlet.ts';
import { ENCODINGS, PatternSchema, STREAM_PROTOCOL, SubscriptionFields } from './schemas.ts';
import { CLOSE, type SubscriptionRequest } from './stream-client.ts';
import type { StreamHub } from './stream-hub.ts';
import { subscriptionRequest } from './subscription-request.ts';
import { WebSocketOutlet } from './web-socket-outlet.ts';

/** How long a client of events is to wait before it connects again. */
const EVENTS_RETRY_MS = 2000;

/** The name of an event stream's only subscription; nobody sees it. */
const EVENTS_ID = 'events';

/** Browsers can't send a header with either; it is looked at before a route is called. */
const TokenParameter = {
  access_token: Type.Optional(
    Type.String({
      description: 'a token, for browsers, which can send no header with this',
      examples: ['tc_example'],
    }),
  ),
};

const StreamQuerySchema = Type.Object(
  {
    encoding: Type.Optional(
      Type.Enum([...ENCODINGS], { description: 'of samples; json by default', examples: ['binary'] }),
    ),
    ...TokenParameter,
  },
  { additionalProperties: false },
);

const EventsQuerySchema = Type.Object(
  {
    signal: Type.Optional(
      Type.Array(PatternSchema, {
        maxItems: STREAM_PATTERNS_MAX,
        description: 'patterns of signals; everything unless told',
        examples: [['MOTORS/*/RPM']],
      }),
    ),
    ...SubscriptionFields,
    ...TokenParameter,
  },
  { additionalProperties: false },
);

const WEB_SOCKET_OPTIONS: NonNullable<fastifyWebSocket.WebsocketPluginOptions['options']> & {
  readonly closeTimeout: number;
  readonly maxPendingAutoPongs: number;
} = {
  maxPayload: STREAM_MESSAGE_BYTES_MAX,
  closeTimeout: STREAM_CLOSE_MS,
  // Pings count as messages: who sends too many is told why it is closed, and counted.
  maxPendingAutoPongs: 0,
  // Samples of 20 Hz compress well, but each client's by itself: 200 of them would take more than a core.
  perMessageDeflate: false,
  handleProtocols: (offered) => (offered.has(STREAM_PROTOCOL) ? STREAM_PROTOCOL : false),
};

/** Samples as they come: over WebSocket, and as Server-Sent Events. */
export function streamRoutes(api: ApiInstance, sources: ApiSources, hub: StreamHub): void {
  const { log } = sources;
  api.register(fastifyWebSocket, {
    options: WEB_SOCKET_OPTIONS,
    errorHandler(error, webSocket) {
      // What a client did against the protocol: it has been told so, and is being closed.
      if ('code' in error && String(error.code).startsWith('WS_ERR_')) return;
      log.debug({ reason: errorMessage(error) }, 'connection of a client of the live stream broke');
      webSocket.terminate();
    },
    preClose(done) {
      hub.stop();
      this.websocketServer.close();
      done();
    },
  });
  // In a scope of its own, which is made when the plugin is there.
  api.register(async (scope) => {
    const routes = scope as unknown as ApiInstance;
    routes.websocketServer.on('wsClientError', (error, socket) => {
      sources.security.counters.refused.malformed++;
      socket.once('finish', () => socket.destroy());
      socket.end(rawReply(400, 'HTTP_INVALID', `Expected the handshake of a WebSocket: ${error.message}.`));
    });
    webSocketRoute(routes, hub, log);
    eventsRoute(routes, sources, hub);
  });
}

function webSocketRoute(api: ApiInstance, hub: StreamHub, log: ApiSources['log']): void {
  api.route({
    method: 'GET',
    url: '/api/stream',
    schema: { ...STREAM_DESCRIPTION, querystring: StreamQuerySchema },
    config: { scope: 'read', takesTokenInQuery: true },
    // A WebSocket isn't told why it was refused: its client may ask plainly, and is told the same.
    preHandler: async (request) => refuseBeyond(hub, request.ws),
    handler: (_request, reply) => {
      reply.header('upgrade', 'websocket');
      throw new QueryError(
        426,
        'UPGRADE_REQUIRED',
        'This is for WebSocket clients: connect with ws:// instead of http://. Plain HTTP has GET /api/events.',
      );
    },
    wsHandler: (webSocket, request) => {
      const { encoding = 'json' } = request.query as Static<typeof StreamQuerySchema>;
      serveWebSocket(hub, webSocket, request, encoding, log);
    },
  });
}

function refuseBeyond(hub: StreamHub, isClient = true): void {
  if (!hub.isFull) return;
  if (isClient) hub.refused();
  throw new QueryError(
    503,
    'STREAM_FULL',
    `${STREAM_CLIENTS_MAX} clients already follow the live stream, which is all there may be: try again later.`,
  );
}

function serveWebSocket(
  hub: StreamHub,
  webSocket: WebSocket,
  request: FastifyRequest,
  encoding: (typeof ENCODINGS)[number],
  log: ApiSources['log'],
): void {
  const { socket } = request.raw;
  const client = hub.connect(new WebSocketOutlet(webSocket, socket, encoding));
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    try {
      client.receive(isBinary ? null : data.toString());
    } catch (error) {
      log.error({ err: error }, 'a message of a client of the live stream failed');
      client.close(CLOSE.INTERNAL, 'the message failed inside the service');
    }
  });
  webSocket.on('ping', () => client.receivePing());
  webSocket.on('pong', () => client.receivePing());
  webSocket.on('close', () => hub.disconnect(client));
  socket.on('drain', () => hub.wake());
}

function eventsRoute(api: ApiInstance, { registry }: ApiSources, hub: StreamHub): void {
  api.route({
    method: 'GET',
    url: '/api/events',
    schema: { ...EVENTS_DESCRIPTION, querystring: EventsQuerySchema },
    config: { scope: 'read', takesTokenInQuery: true },
    handler: (request, reply) => {
      const { signal = ['**'], access_token: _, ...rest } = request.query;
      const asked = subscriptionRequest(registry, { id: EVENTS_ID, signals: signal, ...rest });
      const since = lastEventId(request) ?? asked.since;
      refuseBeyond(hub);
      serveEvents(hub, { ...asked, since }, reply);
    },
  });
}

/** A client that connects again says what it saw last. */
function lastEventId(request: FastifyRequest): number | null {
  const id = request.headers['last-event-id'];
  return typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : null;
}

function serveEvents(hub: StreamHub, asked: SubscriptionRequest, reply: FastifyReply): void {
  const { raw } = reply;
  const outlet = new EventStreamOutlet(raw);
  // Refused, if it is, while that can still be told.
  hub.check(asked);
  reply.hijack();
  // Those that hooks have set are not sent by a reply that is taken over.
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Asks nginx not to gather what it passes on.
    'x-accel-buffering': 'no',
  });
  if (reply.request.method === 'HEAD') {
    raw.end();
    return;
  }
  outlet.retryAfter(EVENTS_RETRY_MS);
  const client = hub.connect(outlet);
  raw.on('close', () => hub.disconnect(client));
  raw.on('drain', () => hub.wake());
  client.subscribe(asked);
}
