import type { ApiInstance } from '../instance.ts';
import { HealthSchema, ReadinessSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

/** /healthz: the process answers. /readyz: what it is there for works, too. */
export function healthRoutes(api: ApiInstance, { status }: ApiSources): void {
  api.get('/healthz', { schema: { response: { 200: HealthSchema } } }, () => ({ status: 'ok' }));

  const schema = { response: { 200: ReadinessSchema, 503: ReadinessSchema } };
  api.get('/readyz', { schema }, async (_request, reply) => {
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
