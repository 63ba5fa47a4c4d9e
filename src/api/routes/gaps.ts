import { type Static, Type } from 'typebox';
import type { GapQuery } from '../../history/gap.ts';
import { GAPS_MAX } from '../../shared/limits.ts';
import { sendTagged } from '../etag.ts';
import type { ApiInstance } from '../instance.ts';
import { GAPS_EXAMPLE } from '../openapi/examples.ts';
import { FromInclusive, ToInclusive } from '../openapi/parameters.ts';
import { ETAG, json, problems, UNCHANGED } from '../openapi/responses.ts';
import { GapsSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';
import { parseTimeSpan } from '../time-parameter.ts';

const GapsQuerySchema = Type.Object(
  {
    from: FromInclusive,
    to: ToInclusive,
    bus: Type.Optional(
      Type.String({
        description: 'only gaps of this bus, and those that all buses have in common',
        examples: ['can0'],
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: GAPS_MAX,
        default: GAPS_MAX,
        description: 'gaps to give at most: the first of the time that is asked for',
        examples: [100],
      }),
    ),
  },
  { additionalProperties: false },
);

/** Where samples are missing, and why. */
export function gapsRoutes(api: ApiInstance, { history }: ApiSources): void {
  const schema = {
    operationId: 'getGaps',
    summary: 'Where samples are missing, and why',
    description:
      'Gaps that touch the time that is asked for, in the order of their beginnings. A gap is found once it is stored, by default within a second. A new one may lie in the past, and one that is known may grow.',
    tags: ['History'],
    querystring: GapsQuerySchema,
    response: {
      200: json('The gaps', GapsSchema, GAPS_EXAMPLE, ETAG),
      304: UNCHANGED,
      ...problems({
        400: ['QUERY_INVALID', 'TIME_INVALID'],
        500: ['HISTORY_READ_FAILED'],
        503: ['HISTORY_BUSY', 'HISTORY_CLOSED'],
      }),
    },
  };
  api.get('/api/gaps', { schema, config: { scope: 'read' } }, async (request, reply) => {
    const text = await history.gaps(gapQuery(request.query));
    // The reader's thread has written the JSON already.
    return sendTagged(request, reply.type('application/json; charset=utf-8'), text);
  });
}

function gapQuery({ from, to, bus, limit = GAPS_MAX }: Static<typeof GapsQuerySchema>): GapQuery {
  const { fromUs, toUs } = parseTimeSpan(from, to);
  return { fromUs, toUs, bus, limit };
}
