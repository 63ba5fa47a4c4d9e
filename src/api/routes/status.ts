import type { CompressionStatus } from '../compression.ts';
import type { ApiInstance } from '../instance.ts';
import { STATUS_EXAMPLE } from '../openapi/examples.ts';
import { json } from '../openapi/responses.ts';
import { StatusSchema, type StreamStatus } from '../schemas.ts';
import { withoutPaths } from '../security/path-privacy.ts';
import type { ApiSources } from '../sources.ts';

/** What the API counts itself, beside what the service tells. */
interface ApiCounters {
  compression(): CompressionStatus;
  stream(): StreamStatus;
}

export function statusRoutes(
  api: ApiInstance,
  { status, security }: ApiSources,
  counters: ApiCounters,
): void {
  const schema = {
    operationId: 'getStatus',
    summary: 'How the service is',
    description:
      'Buses with their counters, losses and time sync, the history, the recording, queues, threads, process and host. docs/operating.md says what each figure means.',
    tags: ['Service'],
    response: { 200: json('All that the service counts', StatusSchema, STATUS_EXAMPLE) },
  };
  api.get('/api/status', { schema, config: { scope: 'read' } }, async ({ principal }) => {
    const { answers, streams, passedOver } = counters.compression();
    const compression = { answers: { ...answers }, streams: { ...streams }, passed_over: passedOver };
    const told = {
      ...(await status()),
      api: { ...security.status(), compression },
      stream: counters.stream(),
    };
    return security.mayKnowPaths(principal) ? told : withoutPaths(told);
  });
}
