import { type Static, Type } from 'typebox';
import type { RefusalReason } from './counters.ts';

const refusals: Record<RefusalReason, ReturnType<typeof Type.Integer>> = {
  token: Type.Integer({ description: 'no token where one is needed, or none that is known' }),
  scope: Type.Integer({ description: 'a token without the scope' }),
  host: Type.Integer({ description: "called by a name that isn't the API's" }),
  origin: Type.Integer({ description: 'web pages of other origins' }),
  rate: Type.Integer({
    description: 'more requests than a client may make, or may send ahead of their answers',
  }),
  overload: Type.Integer({ description: 'no room for an export, a query or an answer' }),
  too_large: Type.Integer({ description: 'head or body' }),
  too_slow: Type.Integer({ description: "requests that didn't come to their end in time" }),
  malformed: Type.Integer({ description: 'no HTTP' }),
};

const UsedSchema = Type.Object({ used: Type.Integer(), max: Type.Integer() });

const ProblemSchema = Type.Unsafe<{ code: string; message: string } | null>({
  type: ['object', 'null'],
  properties: { code: { type: 'string' }, message: { type: 'string' } },
  required: ['code', 'message'],
});

/** What the guard of the API tells of itself. */
export const AccessStatusSchema = Type.Object(
  {
    clients: Type.Object(
      { used: Type.Integer(), max: Type.Integer() },
      { description: 'that asked within a minute, by their addresses' },
    ),
    requests: Type.Integer({ description: 'since the start, those that were refused included' }),
    refused: Type.Object(refusals, { description: 'by reason' }),
    sockets: Type.Object({
      used: Type.Integer(),
      max: Type.Integer(),
      refused: Type.Integer({
        description: 'closed as they came: there were too many, or too many of this client',
      }),
      displaced: Type.Integer({ description: 'idle ones, closed to make room' }),
      stalled: Type.Integer({ description: 'closed since the client took nothing of its answer' }),
      revoked: Type.Integer({ description: 'closed since their token is not good any more' }),
    }),
    exports: UsedSchema,
    unsent_bytes: UsedSchema,
    anonymous: Type.Array(Type.String(), { description: 'the scopes that nobody needs a token for' }),
    tokens: Type.Integer({ description: "that haven't expired" }),
    tls: Type.Unsafe<{ expires: number } | null>({
      description: 'when the certificate expires; null where the API is served by HTTP',
      type: ['object', 'null'],
      properties: { expires: { type: 'number' } },
      required: ['expires'],
    }),
    problem: { ...ProblemSchema, description: 'why tokens or certificate could not be read again' },
  },
  {},
);

export type AccessStatus = Static<typeof AccessStatusSchema>;
