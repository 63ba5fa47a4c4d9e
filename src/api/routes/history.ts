import { Readable } from 'node:stream';
import { type Static, Type } from 'typebox';
import type { HistoryQuery, SampleFormat } from '../../history/history-query.ts';
import { QueryError } from '../../shared/errors.ts';
import { HISTORY_PAGE_SAMPLES_MAX } from '../../shared/limits.ts';
import type { ApiInstance } from '../instance.ts';
import { commandOf, componentOf, componentTypeOf, messageTypeOf } from '../names.ts';
import { SAMPLES_CSV_EXAMPLE, SAMPLES_EXAMPLE, SAMPLES_NDJSON_EXAMPLE } from '../openapi/examples.ts';
import {
  BusFilter,
  COMMAND_ID,
  COMPONENT_ID,
  COMPONENT_TYPE,
  FromInclusive,
  MessageTypeFilter,
  ToInclusive,
} from '../openapi/parameters.ts';
import { json, ndjsonContent, problems, textContent } from '../openapi/responses.ts';
import { sampleFormat } from '../sample-format.ts';
import { SampleStream } from '../sample-stream.ts';
import { SampleSchema } from '../schemas.ts';
import { addVary } from '../security/response-headers.ts';
import type { ApiSources } from '../sources.ts';
import { parseTimeSpan } from '../time-parameter.ts';

const LIMIT_DEFAULT = 100;

const HistoryQuerySchema = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: HISTORY_PAGE_SAMPLES_MAX,
        description: `samples to give at most; ${LIMIT_DEFAULT} by default, and all there are as NDJSON or CSV`,
        examples: [10],
      }),
    ),
    offset: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        default: 0,
        description:
          'samples to skip first; to go on from page to page a cursor is quicker, and misses nothing',
        examples: [10],
      }),
    ),
    order: Type.Optional(
      Type.Enum(['asc', 'desc'], {
        type: 'string',
        default: 'desc',
        description: 'by arrival; desc gives the newest first',
        examples: ['asc'],
      }),
    ),
    cursor: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description:
          'goes on after the sample with this `seq`, in the direction of `order`; the Link header of a page has the next',
        examples: [1042],
      }),
    ),
    component_type: Type.Optional(Type.String(COMPONENT_TYPE)),
    component_id: Type.Optional(
      Type.String({ ...COMPONENT_ID, description: `${COMPONENT_ID.description}; needs component_type` }),
    ),
    command_id: Type.Optional(
      Type.String({ ...COMMAND_ID, description: `${COMMAND_ID.description}; needs component_type` }),
    ),
    message_type: MessageTypeFilter,
    bus: BusFilter,
    from: FromInclusive,
    to: ToInclusive,
  },
  { additionalProperties: false },
);

const DESCRIPTION = `A page of samples as a JSON array; or, with \`Accept: application/x-ndjson\` or \`text/csv\`, a stream of all that were
asked for, which ends at \`limit\` only where one is given. A stream that fails after it has begun breaks off. A sample is found as
soon as it was decoded, before it is stored. What is missing is told by /api/gaps.`;

const JSON_PAGE = json('Samples', Type.Array(SampleSchema), SAMPLES_EXAMPLE, {
  link: 'where a page that is not the last goes on: `<URL>; rel="next"`',
});
const HISTORY_RESPONSE = {
  ...JSON_PAGE,
  content: {
    ...JSON_PAGE.content,
    ...ndjsonContent(SampleSchema, SAMPLES_NDJSON_EXAMPLE, 'a sample as JSON on each line'),
    ...textContent(
      'text/csv',
      SAMPLES_CSV_EXAMPLE,
      'a line of column names, then a sample on each (RFC 4180)',
    ),
  },
};

type Parameters = Static<typeof HistoryQuerySchema>;

const CONTENT_TYPES: Readonly<Record<SampleFormat, string>> = {
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
};

/** Past samples: a page as a JSON array, or as many as there are, streamed as NDJSON or CSV. */
export function historyRoutes(api: ApiInstance, sources: ApiSources): void {
  const schema = {
    operationId: 'getHistory',
    summary: 'Past samples',
    description: DESCRIPTION,
    tags: ['History'],
    querystring: HistoryQuerySchema,
    response: {
      200: HISTORY_RESPONSE,
      ...problems({
        400: [
          'QUERY_INVALID',
          'TIME_INVALID',
          'COMPONENT_TYPE_UNKNOWN',
          'COMPONENT_UNKNOWN',
          'COMMAND_UNKNOWN',
          'MESSAGE_TYPE_UNKNOWN',
        ],
        500: ['HISTORY_READ_FAILED'],
        503: ['HISTORY_BUSY', 'HISTORY_CLOSED', 'EXPORTS_BUSY'],
      }),
    },
  };
  const config = { scope: 'read', streamScope: 'export' } as const;
  api.get('/api/state/history', { schema, config }, async (request, reply) => {
    const format = sampleFormat(request.headers.accept);
    const query = historyQuery(sources, request.query, format);
    reply.type(CONTENT_TYPES[format]);
    addVary(reply, 'accept');
    if (format !== 'json') {
      const limit = request.query.limit ?? Number.POSITIVE_INFINITY;
      const stream = await SampleStream.begin(sources.history, query, limit);
      if (request.method === 'HEAD') return reply.send(Readable.from([]) as never);
      stream.on('error', (error) => sources.log.error({ err: error }, 'history stream broke off'));
      return reply.send(stream as never);
    }
    const page = await sources.history.query(query);
    if (page.nextCursor !== null) reply.header('link', nextLink(request.url, page.nextCursor));
    // The reader's thread has written the JSON already.
    return reply.send(page.text as never);
  });
}

function historyQuery({ registry }: ApiSources, parameters: Parameters, format: SampleFormat): HistoryQuery {
  const { component_type, component_id, command_id, message_type, from, to } = parameters;
  if (component_type === undefined && (component_id !== undefined || command_id !== undefined)) {
    const name = component_id !== undefined ? 'component_id' : 'command_id';
    throw new QueryError(400, 'QUERY_INVALID', `${name} means nothing without component_type: give both.`);
  }
  const componentType =
    component_type === undefined ? undefined : componentTypeOf(registry, component_type, 400);
  const { fromUs, toUs } = parseTimeSpan(from, to);
  return {
    format,
    limit: parameters.limit ?? LIMIT_DEFAULT,
    offset: parameters.offset ?? 0,
    order: parameters.order ?? 'desc',
    cursor: parameters.cursor,
    componentType,
    componentId:
      component_id === undefined ? undefined : componentOf(registry, componentType!, component_id, 400),
    commandId: command_id === undefined ? undefined : commandOf(registry, componentType!, command_id),
    messageType: message_type === undefined ? undefined : messageTypeOf(registry, message_type),
    bus: parameters.bus,
    fromUs,
    toUs,
  };
}

function nextLink(url: string, cursor: number): string {
  const next = new URL(url, 'http://collector');
  next.searchParams.delete('offset');
  next.searchParams.set('cursor', String(cursor));
  return `<${next.pathname}${next.search}>; rel="next"`;
}
