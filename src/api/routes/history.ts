import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Static, Type } from 'typebox';
import type { HistoryPage, HistoryQuery, SampleFormat } from '../../history/history-query.ts';
import { CSV_HEADER } from '../../history/sample-writer.ts';
import { errorCode, QueryError } from '../../shared/errors.ts';
import { HISTORY_PAGE_SAMPLES_MAX, HISTORY_STREAM_PAGE_SAMPLES } from '../../shared/limits.ts';
import type { ApiInstance } from '../instance.ts';
import { commandOf, componentOf, componentTypeOf, messageTypeOf } from '../names.ts';
import { ErrorSchema, SampleSchema } from '../schemas.ts';
import type { ApiSources, HistorySource } from '../sources.ts';
import { parseTimeSpan } from '../time-parameter.ts';

const LIMIT_DEFAULT = 100;

/** How long a stream waits before it asks a busy reader again. */
const STREAM_RETRY_MS = 50;

const HistoryQuerySchema = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: HISTORY_PAGE_SAMPLES_MAX })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    order: Type.Optional(
      Type.Enum(['asc', 'desc'], { description: 'by arrival; desc gives the newest first' }),
    ),
    cursor: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'from the Link header of the page before',
      }),
    ),
    component_type: Type.Optional(Type.String()),
    component_id: Type.Optional(Type.String({ description: 'needs component_type' })),
    command_id: Type.Optional(Type.String({ description: 'needs component_type' })),
    message_type: Type.Optional(Type.String()),
    bus: Type.Optional(Type.String()),
    from: Type.Optional(Type.String({ description: 'epoch seconds or ISO 8601, inclusive' })),
    to: Type.Optional(Type.String({ description: 'epoch seconds or ISO 8601, inclusive' })),
  },
  { additionalProperties: false },
);

type Parameters = Static<typeof HistoryQuerySchema>;

const CONTENT_TYPES: Readonly<Record<SampleFormat, string>> = {
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
};

/** Past samples: a page as a JSON array, or as many as there are, streamed as NDJSON or CSV. */
export function historyRoutes(api: ApiInstance, sources: ApiSources): void {
  const schema = {
    querystring: HistoryQuerySchema,
    response: { 200: Type.Array(SampleSchema), 400: ErrorSchema, 503: ErrorSchema },
  };
  api.get('/api/state/history', { schema }, async (request, reply) => {
    const format = formatOf(request.headers.accept);
    const query = historyQuery(sources, request.query, format);
    reply.type(CONTENT_TYPES[format]).header('vary', 'accept');
    if (format !== 'json') {
      const limit = request.query.limit ?? Number.POSITIVE_INFINITY;
      // Asked for before the reply begins, while a failure can still be told.
      const first = await sources.history.query({ ...query, limit: streamLimit(limit) });
      const pages = request.method === 'HEAD' ? [] : streamPages(sources.history, query, limit, first);
      const stream = Readable.from(pages);
      stream.on('error', (error) => sources.log.error({ err: error }, 'history stream broke off'));
      return reply.send(stream as never);
    }
    const page = await sources.history.query(query);
    if (page.nextCursor !== null) reply.header('link', nextLink(request.url, page.nextCursor));
    // The reader's thread has written the JSON already.
    return reply.send(page.text as never);
  });
}

function formatOf(accept: string | undefined): SampleFormat {
  if (accept?.includes('application/x-ndjson')) return 'ndjson';
  if (accept?.includes('text/csv')) return 'csv';
  return 'json';
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

/**
 * Goes on from the first page, asking for each when the client has taken the one before: memory stays that
 * of one page.
 */
async function* streamPages(
  history: HistorySource,
  query: HistoryQuery,
  limit: number,
  first: HistoryPage,
): AsyncGenerator<Uint8Array | string> {
  if (query.format === 'csv') yield CSV_HEADER;
  let page = first;
  let left = limit;
  for (;;) {
    if (page.count > 0) yield page.text;
    left -= page.count;
    if (page.nextCursor === null || left === 0) return;
    const next = { ...query, limit: streamLimit(left), offset: 0, cursor: page.nextCursor };
    page = await queryInTurn(history, next);
  }
}

/** A stream that has begun can't be refused any more: it waits until the reader has room for its query. */
async function queryInTurn(history: HistorySource, query: HistoryQuery): Promise<HistoryPage> {
  for (;;) {
    try {
      return await history.query(query);
    } catch (error) {
      if (errorCode(error) !== 'HISTORY_BUSY') throw error;
      await sleep(STREAM_RETRY_MS);
    }
  }
}

function streamLimit(left: number): number {
  return Math.min(left, HISTORY_STREAM_PAGE_SAMPLES);
}

function nextLink(url: string, cursor: number): string {
  const next = new URL(url, 'http://collector');
  next.searchParams.delete('offset');
  next.searchParams.set('cursor', String(cursor));
  return `<${next.pathname}${next.search}>; rel="next"`;
}
