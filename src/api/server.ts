import { STATUS_CODES } from 'node:http';
import type { FastifyError } from 'fastify';
import type { ApiConfig } from '../config/schema.ts';
import { CollectorError, errorMessage, QueryError } from '../shared/errors.ts';
import { type ApiInstance, createInstance } from './instance.ts';
import { gapsRoutes } from './routes/gaps.ts';
import { healthRoutes } from './routes/health.ts';
import { historyRoutes } from './routes/history.ts';
import { overviewRoutes } from './routes/overview.ts';
import { protocolRoutes } from './routes/protocol.ts';
import { seriesRoutes } from './routes/series.ts';
import { stateRoutes } from './routes/state.ts';
import { statusRoutes } from './routes/status.ts';
import type { ErrorReply, StreamStatus } from './schemas.ts';
import type { ApiSources } from './sources.ts';
import { StreamHub } from './stream/stream-hub.ts';
import { streamRoutes } from './stream/stream-routes.ts';

export interface ApiServer {
  /** Starts to listen; returns the URL. Throws CollectorError API_ADDRESS. */
  listen(config: ApiConfig): Promise<string>;
  close(): Promise<void>;
  /** What the live stream tells of itself. */
  streamStats(): StreamStatus;
  /** The Fastify instance, for requests without a network. */
  readonly instance: ApiInstance;
}

/** Makes the HTTP server over what the service knows. It answers when listen() is called. */
export function createServer(sources: ApiSources): ApiServer {
  const instance = createInstance();
  const stream = new StreamHub(sources);
  answerErrors(instance, sources);
  overviewRoutes(instance);
  healthRoutes(instance, sources);
  stateRoutes(instance, sources);
  historyRoutes(instance, sources);
  seriesRoutes(instance, sources);
  gapsRoutes(instance, sources);
  streamRoutes(instance, sources, stream);
  statusRoutes(instance, sources, stream);
  protocolRoutes(instance, sources);
  return {
    instance,
    async listen({ host, port }) {
      try {
        return await instance.listen({ host, port });
      } catch (error) {
        throw new CollectorError('API_ADDRESS', explainListen(error, host, port), { cause: error });
      }
    },
    close: () => instance.close(),
    streamStats: () => stream.stats(),
  };
}

/** Every error is JSON that says what was expected; what went wrong inside is logged, not sent. */
function answerErrors(instance: ApiInstance, { log }: ApiSources): void {
  instance.setErrorHandler((error: FastifyError | Error, _request, reply) => {
    const statusCode = statusCodeOf(error);
    if (statusCode >= 500 && !(error instanceof QueryError)) log.error({ err: error }, 'request failed');
    if (statusCode === 503) reply.header('retry-after', '1');
    const isOurs = error instanceof CollectorError || statusCode < 500;
    const message = isOurs ? error.message : 'The request failed inside the service; its log says why.';
    return reply.code(statusCode).send(errorReply(statusCode, codeOf(error, statusCode), message));
  });
  instance.setNotFoundHandler((request, reply) => {
    const paths =
      'GET /api/state/current, /api/state/history, /api/state/component/{component_type}/{component_id}, /api/series, /api/gaps, /api/stream, /api/events, /api/status, /api/protocol, /healthz, /readyz';
    const message = `There is nothing at ${request.method} ${request.url.split('?')[0]}. There is: ${paths}.`;
    return reply.code(404).send(errorReply(404, 'ROUTE_NOT_FOUND', message));
  });
}

function statusCodeOf(error: FastifyError | Error): number {
  if (error instanceof QueryError) return error.statusCode;
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
}

function codeOf(error: FastifyError | Error, statusCode: number): string {
  if ('validation' in error) return 'QUERY_INVALID';
  if (error instanceof CollectorError) return error.code;
  return statusCode < 500 && 'code' in error ? error.code : 'INTERNAL';
}

function errorReply(statusCode: number, code: string, message: string): ErrorReply {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message };
}

function explainListen(error: unknown, host: string, port: number): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return `Port ${port} of ${host} is taken by another program. Stop it, or choose another with --port PORT.`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${host} is no address of this machine. Give --host 127.0.0.1 (this machine only) or 0.0.0.0 (all networks).`;
  }
  if (code === 'EACCES')
    return `Listening on port ${port} needs root's rights. Choose one above 1023 with --port PORT.`;
  return `The API can't listen on ${host}, port ${port}: ${errorMessage(error)}.`;
}
