import { type Static, Type } from 'typebox';
import type { GapQuery } from '../../history/gap.ts';
import { GAPS_MAX } from '../../shared/limits.ts';
import type { ApiInstance } from '../instance.ts';
import { ErrorSchema, GapsSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';
import { parseTimeSpan } from '../time-parameter.ts';

const GapsQuerySchema = Type.Object(
  {
    from: Type.Optional(Type.String({ description: 'epoch seconds or ISO 8601, inclusive' })),
    to: Type.Optional(Type.String({ description: 'epoch seconds or ISO 8601, inclusive' })),
    bus: Type.Optional(Type.String({ description: 'its gaps and those of all buses' })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: GAPS_MAX, description: 'by default as many as are kept' }),
    ),
  },
  { additionalProperties: false },
);

/** Where samples are missing, and why. */
export function gapsRoutes(api: ApiInstance, { history }: ApiSources): void {
  const schema = {
    querystring: GapsQuerySchema,
    response: { 200: GapsSchema, 400: ErrorSchema, 503: ErrorSchema },
  };
  api.get('/api/gaps', { schema }, async ({ query }, reply) => {
    const text = await history.gaps(gapQuery(query));
    // The reader's thread has written the JSON already.
    return reply.type('application/json; charset=utf-8').send(text as never);
  });
}

function gapQuery({ from, to, bus, limit = GAPS_MAX }: Static<typeof GapsQuerySchema>): GapQuery {
  const { fromUs, toUs } = parseTimeSpan(from, to);
  return { fromUs, toUs, bus, limit };
}
