import swagger from '@fastify/swagger';
import type { ApiInstance } from '../instance.ts';
import { type OpenApiDocument, withComponents } from './components.ts';

const DESCRIPTION = `What a vehicle's CAN buses tell: the latest state, a bounded history, and what there is to know of the service.

- Times are seconds since the epoch with microseconds. As a parameter a time may also be ISO 8601, in UTC where it has no
  offset.
- What is named by the protocol is named in any letter case, or by its number.
- Answers of a kilobyte and more are compressed with zstd or gzip for clients that take it. HEAD is answered wherever GET is.
- Every refusal has the form of \`Error\`; \`code\` is stable and meant for programs. Besides those listed, a fault of the
  service is 500 with the code \`INTERNAL\`, and a path that there isn't is 404 with \`ROUTE_NOT_FOUND\`. Ahead of any route are
  refused: what is no HTTP/1.1 (400, \`HTTP_INVALID\`), pages of other sites (403, \`ORIGIN_REFUSED\`), names that the API isn't called by
  (421, \`HOST_REFUSED\`), requests that take too long (408, \`REQUEST_TOO_SLOW\`) or have too large a head (431, \`HEAD_TOO_LARGE\`); and
  after it what there is no room for (503, \`ANSWERS_UNSENT\`).
- Answers may get further properties. Those that are described stay.`;

/** In the order in which they are shown; those that no route has are left out. */
const TAGS = [
  { name: 'State', description: 'The latest value of every signal' },
  { name: 'History', description: 'Past samples, plots, and where something is missing' },
  { name: 'Live', description: 'Changes as they come' },
  { name: 'Commands', description: 'What is sent to the vehicle' },
  { name: 'Protocol', description: 'What the bus can say' },
  { name: 'Service', description: 'How the service is, for people and supervisors' },
];

/**
 * Describes the routes that are added after it, from the very schemas that check their requests and from what they say of
 * their answers (responses.ts). A route says in its schema:
 *
 *     operationId, summary, description, tags     of which tags are those above
 *     querystring, params, body                   each property with a description and, but for flags, `examples`
 *     response                                    every status code that it gives of its own
 *
 * and in its config the scope that it needs, from which 401, 403, 429 and `security` follow. A route that only gives a
 * file says `hide: true`.
 */
export function describeApi(api: ApiInstance, version: string): void {
  api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'telemetry-collector', version, description: DESCRIPTION, license: { name: 'MIT' } },
      servers: [{ url: '/', description: 'the service that gives this document' }],
      tags: TAGS,
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token of the service, with the scopes that it was made for.',
          },
        },
      },
    },
    convertConstToEnum: false,
    transform: ({ schema, url, route }) => ({
      // The schema of a route is its own: what follows is added to a copy.
      schema: { ...schema, 'x-scope': route.config?.scope ?? null },
      url,
    }),
    transformObject: (described) => {
      if (!('openapiObject' in described)) throw new Error('expected a document of OpenAPI 3');
      return withComponents(described.openapiObject as unknown as OpenApiDocument) as object;
    },
  });
}

/** The document, once the API is ready. */
export function documentOf(api: ApiInstance): OpenApiDocument {
  return api.swagger() as unknown as OpenApiDocument;
}

/** What there is, for a client that asks for what there isn't: "GET /api/state/current, /api/state/history; POST ...". */
export function pathsOf(api: ApiInstance): string {
  const byMethod = new Map<string, string[]>();
  for (const [path, operations] of Object.entries(documentOf(api).paths)) {
    for (const method of Object.keys(operations)) {
      byMethod.set(method, [...(byMethod.get(method) ?? []), path]);
    }
  }
  return [...byMethod].map(([method, paths]) => `${method.toUpperCase()} ${paths.join(', ')}`).join('; ');
}
