import type { FastifyError } from 'fastify';
import type { ApiConfig } from '../config/schema.ts';
import { CollectorError, errorMessage, QueryError } from '../shared/errors.ts';
import { adminRoutes } from './admin/routes.ts';
import { Compression } from './compression.ts';
import { dashboardRoutes } from './dashboard/dashboard.ts';
import { errorReply } from './error-reply.ts';
import { type ApiInstance, createInstance } from './instance.ts';
import { accessMetrics } from './metrics/access-metrics.ts';
import { compressionMetrics } from './metrics/compression-metrics.ts';
import { requestMetrics } from './metrics/request-metrics.ts';
import { metricsRoutes } from './metrics/routes.ts';
import { streamMetrics } from './metrics/stream-metrics.ts';
import { notFound } from './not-found.ts';
import { describeApi } from './openapi/document.ts';
import { documentRoutes } from './openapi/routes.ts';
import { commandRoutes } from './routes/command.ts';
import { gapsRoutes } from './routes/gaps.ts';
import { healthRoutes } from './routes/health.ts';
import { historyRoutes } from './routes/history.ts';
import { protocolRoutes } from './routes/protocol.ts';
import { seriesRoutes } from './routes/series.ts';
import { stateRoutes } from './routes/state.ts';
import { statusRoutes } from './routes/status.ts';
import type { StreamStatus } from './schemas.ts';
import { guardRoutes, refusalTeller } from './security/guard.ts';
import { listenOnOtherLoopback } from './security/other-loopback.ts';
import { withoutFolders } from './security/path-privacy.ts';
import type { ApiSources } from './sources.ts';
import { StreamHub } from './stream/stream-hub.ts';
import { streamRoutes } from './stream/stream-routes.ts';

export interface ApiServer {
  /** Starts to listen; returns the URL. Throws CollectorError API_ADDRESS, ConfigError API_UNPROTECTED. */
  listen(address: Pick<ApiConfig, 'host' | 'port'>): Promise<string>;
  close(): Promise<void>;
  /** What the live stream tells of itself. */
  streamStats(): StreamStatus;
  /** The Fastify instance, for requests without a network. */
  readonly instance: ApiInstance;
}

/** Makes the HTTP server over what the service knows. It answers when listen() is called. */
export function createServer(sources: ApiSources): ApiServer {
  const { security } = sources;
  const instance = createInstance(security);
  const compression = new Compression();
  const stream = new StreamHub(sources);
  answerErrors(instance, sources);
  const ofRequests = requestMetrics(instance);
  guardRoutes(instance, security);
  compression.addTo(instance);
  describeApi(instance, sources.version);
  // Plugins see the routes that come after them.
  instance.after(() => {
    stateRoutes(instance, sources);
    historyRoutes(instance, sources);
    seriesRoutes(instance, sources);
    gapsRoutes(instance, sources);
    streamRoutes(instance, sources, stream);
    protocolRoutes(instance, sources);
    commandRoutes(instance, sources);
    statusRoutes(instance, sources, {
      compression: () => compression.status(),
      stream: () => stream.stats(),
    });
    metricsRoutes(instance, sources, [
      ofRequests,
      accessMetrics(() => security.status()),
      compressionMetrics(() => compression.status()),
      streamMetrics(() => stream.stats()),
    ]);
    healthRoutes(instance, sources);
    adminRoutes(instance, sources);
    dashboardRoutes(instance);
    documentRoutes(instance);
  });
  return {
    instance,
    async listen({ host, port }) {
      security.checkAddress(host);
      await instance.ready();
      try {
        const url = await instance.listen({ host, port });
        if (host === 'localhost') await listenOnOtherLoopback(instance, security);
        return security.certificate === null ? url : url.replace(/^http:/, 'https:');
      } catch (error) {
        throw new CollectorError('API_ADDRESS', explainListen(error, host, port), { cause: error });
      }
    },
    close: () => instance.close(),
    streamStats: () => stream.stats(),
  };
}

/** Every error is JSON that says what was expected; what went wrong inside is logged, not sent. */
function answerErrors(instance: ApiInstance, { log, security }: ApiSources): void {
  const tellRefusal = refusalTeller(security);
  instance.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const answer = errorReply(error);
    const { statusCode, message } = answer;
    if (statusCode >= 500 && !(error instanceof QueryError)) log.error({ err: error }, 'request failed');
    if (statusCode === 503) reply.header('retry-after', '1');
    tellRefusal(error, request, reply);
    const isKept = statusCode < 500 || security.mayKnowPaths(request.principal);
    return reply.code(statusCode).send(isKept ? answer : { ...answer, message: withoutFolders(message) });
  });
  instance.setNotFoundHandler((request) => {
    throw notFound(instance, request);
  });
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
