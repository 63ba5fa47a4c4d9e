import type { ApiInstance } from '../instance.ts';
import { text } from '../openapi/responses.ts';
import type { ApiSources } from '../sources.ts';
import { busMetrics } from './bus-metrics.ts';
import { commandMetrics } from './command-metrics.ts';
import { historyMetrics, recordingMetrics } from './history-metrics.ts';
import { type MetricsSource, metricsText } from './metric-family.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { hostMetrics, serviceMetrics } from './service-metrics.ts';

const METRICS_EXAMPLE = `# HELP collector_bus_frames_total Frames read, of whatever kind.
# TYPE collector_bus_frames_total counter
collector_bus_frames_total{bus="can0"} 4711
`;

/**
 * GET /metrics, for Prometheus: what each stage has counted by itself, gathered when somebody scrapes. `more` are parts of
 * the API that have figures of their own.
 */
export function metricsRoutes(
  api: ApiInstance,
  sources: ApiSources,
  more: readonly MetricsSource[] = [],
): void {
  const processMetrics = new ProcessMetrics();
  processMetrics.start();
  api.addHook('onClose', async () => processMetrics.stop());

  const schema = {
    operationId: 'getMetrics',
    summary: 'Every figure, for Prometheus',
    description:
      'In the text format 0.0.4: what the status tells, and besides how long commits, queries and requests took, the CPU time of each thread, the delay of the event loop. docs/operating.md says what the metrics are called.',
    tags: ['Service'],
    response: { 200: text('The metrics', 'text/plain', METRICS_EXAMPLE) },
  };
  api.get('/metrics', { schema, config: { scope: 'read' } }, async (_request, reply) => {
    const [status, ofProcess] = await Promise.all([sources.status(), processMetrics.metrics()]);
    const metrics = await metricsText([
      ...serviceMetrics(status),
      ...busMetrics(status.buses),
      ...historyMetrics(status.history, sources.history.timings()),
      ...recordingMetrics(status.recording),
      ...commandMetrics(() => status.commands)(),
      ...hostMetrics(status),
      ...ofProcess,
      ...more.flatMap((source) => source()),
    ]);
    return reply.type(metrics.contentType).header('cache-control', 'no-store').send(metrics.text);
  });
}
