import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorCode } from '../../shared/errors.ts';
import { API_HEAD_BYTES_MAX, API_KEEP_ALIVE_MS, API_REQUESTS_AHEAD_MAX } from '../../shared/limits.ts';
import { refusal as tellingOf } from '../error-reply.ts';
import type { Certificate } from './certificate.ts';
import type { ClientSockets } from './client-sockets.ts';
import type { ApiCounters, RefusalReason } from './counters.ts';

/** What a server allows its clients; as in shared/limits.ts but in tests. */
export interface ServerLimits {
  readonly socketsMax: number;
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly timeoutCheckMs: number;
  readonly stalledMs: number;
}

export interface ServerParts {
  readonly limits: ServerLimits;
  readonly sockets: ClientSockets;
  readonly counters: ApiCounters;
  /** Null for HTTP. */
  readonly certificate: Certificate | null;
}

/** Makes a server of Node whose clients can't hold what they take for long, nor take more than there is. */
export function createGuardedServer(parts: ServerParts, listener: RequestListener): Server {
  const { limits, sockets, counters, certificate } = parts;
  const options: ServerOptions = {
    maxHeaderSize: API_HEAD_BYTES_MAX,
    headersTimeout: limits.headTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.timeoutCheckMs,
    keepAliveTimeout: API_KEEP_ALIVE_MS,
    // The guard asks for it, as Node's own refusal has no word and isn't counted.
    requireHostHeader: false,
    // Clients that offer HTTP/2 (curl --http2, Java's by default) are answered as if they didn't, bodies included.
    shouldUpgradeCallback: isForWebSocket,
  };
  const server = certificate === null ? createServer(options, answer) : secured(certificate);
  server.maxConnections = limits.socketsMax;
  server.setTimeout(limits.stalledMs);
  sockets.follow(server);
  server.on('timeout', (socket: Socket) => {
    // Nothing was sent or taken for so long. While an answer is made, that is nobody's fault: it is waited for.
    if (sockets.isBusy(socket) && socket.writableLength === 0) {
      socket.setTimeout(limits.stalledMs);
      return;
    }
    if (socket.writableLength > 0) counters.socketsStalled++;
    socket.destroy();
  });
  server.on('clientError', (error, socket) => refuse(errorCode(error), socket));
  // We are no proxy.
  server.on('connect', (_request, socket) => refuse('HPE_INVALID_METHOD', socket));
  // What a client expects beyond 100-continue, which Node knows, nobody does: it is answered as if it hadn't said so.
  server.on('checkExpectation', answer);
  return server;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    // What came together with the one that was too many.
    if (socket.destroyed) return;
    if (sockets.unanswered(socket) < API_REQUESTS_AHEAD_MAX) {
      listener(request as Parameters<RequestListener>[0], response as Parameters<RequestListener>[1]);
      return;
    }
    counters.requests++;
    counters.refused.rate++;
    socket.destroy();
  }

  function secured(certificate: Certificate): Server {
    const https = createHttpsServer(
      { ...options, ...certificate.pair, handshakeTimeout: limits.headTimeoutMs },
      answer,
    );
    certificate.addServer(https);
    https.on('tlsClientError', (error) => {
      if (errorCode(error) !== 'ECONNRESET') counters.refused.malformed++;
    });
    // The type of one isn't that of the other, but all that is used of a Server here both have.
    return https as unknown as Server;
  }

  /** What isn't HTTP, or doesn't come to an end, is answered here: no route hears of it. */
  function refuse(code: string, socket: Duplex): void {
    const refusal = refusalOf(code);
    // Browsers open sockets ahead of need: one over which nothing was ever said is closed without a word.
    if (refusal === null || (socket as Socket).bytesRead === 0) {
      socket.destroy();
      return;
    }
    counters.refused[refusal.reason]++;
    // In the midst of an answer another one would be taken for a part of it.
    const { statusCode, message } = refusal;
    if (socket.writable && !sockets.isBusy(socket as Socket)) {
      socket.write(rawReply(statusCode, refusal.code, message));
    }
    socket.destroy();
  }
}

function isForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

interface RawRefusal {
  readonly statusCode: number;
  readonly code: string;
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Null where the connection broke, which is nobody's fault. */
function refusalOf(code: string): RawRefusal | null {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const message = 'The request took too long to come.';
    return { statusCode: 408, code: 'REQUEST_TOO_SLOW', reason: 'too_slow', message };
  }
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    const message = `Expected a head of at most ${API_HEAD_BYTES_MAX} bytes, URL and headers together.`;
    return { statusCode: 431, code: 'HEAD_TOO_LARGE', reason: 'too_large', message };
  }
  if (code.startsWith('HPE_')) {
    return { statusCode: 400, code: 'HTTP_INVALID', reason: 'malformed', message: 'Expected HTTP/1.1.' };
  }
  return null;
}

/** A whole answer, after which the connection ends, for what isn't answered by a route. */
export function rawReply(statusCode: number, code: string, message: string): string {
  const reply = tellingOf(statusCode, code, message);
  const body = JSON.stringify(reply);
  return [
    `HTTP/1.1 ${statusCode} ${reply.error}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
