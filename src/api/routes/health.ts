import type { ApiInstance } from '../instance.ts';
import { NOT_READY_EXAMPLE, READY_EXAMPLE } from '../openapi/examples.ts';
import { json } from '../openapi/responses.ts';
import { HealthSchema, ReadinessSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

/** /healthz: the process answers. /readyz: what it is there for works, too. */
export function healthRoutes(api: ApiInstance, { status }: ApiSources): void {
  const config = { scope: null };
  const healthSchema = {
    operationId: 'getHealth',
    summary: 'Whether the process answers',
    description: '200 as long as it does.',
    tags: ['Service'],
    response: { 200: json('It does', HealthSchema, { status: 'ok' }) },
  };
  api.get('/healthz', { schema: healthSchema, config }, () => ({ status: 'ok' }));

  const schema = {
    operationId: 'getReadiness',
    summary: 'Whether the history and every bus are open',
    description:
      'A bus that is a log which was replayed to its end counts as open. A bus that is lost comes back by itself: no reason to restart the service.',
    tags: ['Service'],
    response: {
      200: json('They are', ReadinessSchema, READY_EXAMPLE),
      503: json('One is not, and this says which', ReadinessSchema, NOT_READY_EXAMPLE),
    },
  };
  api.get('/readyz', { schema, config }, async (_request, reply) => {
    const { buses, history } = await status();
    const ready =
      history.state === 'open' && buses.every(({ state }) => state === 'open' || state === 'ended');
    return reply.code(ready ? 200 : 503).send({
      ready,
      history: history.state,
      buses: Object.fromEntries(buses.map(({ name, state }) => [name, state])),
    });
  });
}
