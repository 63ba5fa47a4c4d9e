import type { ApiInstance } from '../instance.ts';
import { StatusSchema, type StreamStatus } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

/** What the service tells of itself, and the API of its live stream. */
export function statusRoutes(
  api: ApiInstance,
  { status }: ApiSources,
  stream: { stats(): StreamStatus },
): void {
  const schema = { response: { 200: StatusSchema } };
  api.get('/api/status', { schema }, async () => ({ ...(await status()), stream: stream.stats() }));
}
