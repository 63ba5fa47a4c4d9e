import { STATUS_CODES } from 'node:http';
import { type Static, type TSchema, Type } from 'typebox';
import { ErrorSchema } from '../schemas.ts';
import { PROBLEMS, type ProblemCode } from './problems.ts';

/**
 * What routes say of their answers, in `schema.response`, by status code:
 *
 *     response: {
 *       200: json('Where samples are missing', GapsSchema, GAPS_EXAMPLE),
 *       304: UNCHANGED,
 *       ...problems({ 400: ['QUERY_INVALID'], 503: ['HISTORY_BUSY'] }),
 *     }
 *
 * A route with a scope gets 401, 403 and 429 by itself.
 */

/** One form of an answer. */
export interface Media<S extends TSchema> {
  schema: S;
  example?: Static<S>;
}

/** Headers of an answer, in lower case, with what they say. */
type Headers = Readonly<Record<string, string>>;

export function json<S extends TSchema>(
  description: string,
  schema: S,
  example?: Static<S>,
  headers?: Headers,
) {
  return { ...described(description, headers), content: { 'application/json': media(schema, example) } };
}

/** Text of any type: `text('...', 'text/csv', 'seq,timestamp\n1,2\n')`. */
export function text<T extends string>(description: string, type: T, example?: string) {
  return { ...described(description), content: textContent(type, example) };
}

/** The `content` of one type of text, for an answer that comes in several. */
export function textContent<T extends string>(type: T, example?: string, description?: string) {
  const schema = Type.String(description === undefined ? {} : { description });
  return { [type]: media(schema, example) } as { [K in T]: Media<typeof schema> };
}

/** Lines of JSON: a text to OpenAPI 3.1, whose lines `x-line-schema` describes. */
export function ndjsonContent<S extends TSchema>(line: S, example: string, description: string) {
  const schema = Type.String({ description, 'x-line-schema': line });
  return { 'application/x-ndjson': media(schema, example) };
}

/** Server-sent events: a text to OpenAPI 3.1, whose events' data `x-event-schemas` describes, by the event's name. */
export function eventStream(
  description: string,
  events: Readonly<Record<string, TSchema>>,
  example?: string,
) {
  const schema = Type.String({ 'x-event-schemas': events });
  return { ...described(description), content: { 'text/event-stream': media(schema, example) } };
}

/**
 * 101: the request becomes a WebSocket. OpenAPI knows of no messages, so what is said then stands in the route's schema as
 * `'x-websocket': webSocket([...])`.
 */
export const SWITCHING_PROTOCOLS = bare('The connection is a WebSocket from here on.', {
  'sec-websocket-protocol': 'the subprotocol that was chosen of those that the client offered',
});

/** What is said over a WebSocket: the messages of both sides, as schemas with titles, and the subprotocols. */
export function webSocket(
  subprotocols: readonly string[],
  messages: { readonly client: readonly TSchema[]; readonly server: readonly TSchema[] },
) {
  return { subprotocols, messages };
}

/** 304, of a route that answers with sendTagged(). The document then tells of If-None-Match, too. */
export const UNCHANGED = bare('The client has it already, as its If-None-Match says.', {
  etag: 'the name of what it has',
});

/** Said of each answer that sendTagged() gives. */
export const ETAG: Headers = { etag: 'names this answer; If-None-Match asks whether it is still the same' };

/** Refusals, by status code: the codes that tell them apart. */
export function problems<Status extends number>(codes: Readonly<Record<Status, readonly ProblemCode[]>>) {
  const responses = Object.entries<readonly ProblemCode[]>(codes).map(([status, codesOfStatus]) => {
    return [status, problem(Number(status), codesOfStatus)];
  });
  return Object.fromEntries(responses) as Record<Status, ReturnType<typeof problem>>;
}

/** One refusal, whose `code` is one of these. */
export function problem(statusCode: number, codes: readonly ProblemCode[]) {
  const description = codes.map((code) => `- \`${code}\`: ${PROBLEMS[code].when}`).join('\n');
  const headers: Headers = {
    ...([429, 503].includes(statusCode) && { 'retry-after': 'after how many seconds to try again' }),
    ...(statusCode === 401 && { 'www-authenticate': '`Bearer`' }),
  };
  const examples = codes.map((code) => [code, { value: problemExample(statusCode, code) }]);
  return {
    ...described(description, headers),
    content: { 'application/json': { schema: ErrorSchema, examples: Object.fromEntries(examples) } },
  };
}

function problemExample(statusCode: number, code: ProblemCode): Static<typeof ErrorSchema> {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message: PROBLEMS[code].message };
}

function media<S extends TSchema>(schema: S, example: Static<S> | undefined): Media<S> {
  return example === undefined ? { schema } : { schema, example };
}

function described(description: string, headers: Headers = {}) {
  if (Object.keys(headers).length === 0) return { description };
  const schemas = Object.entries(headers).map(([name, says]) => [
    name,
    { type: 'string', description: says },
  ]);
  return { description, headers: Object.fromEntries(schemas) as Record<string, TSchema> };
}

/** An answer without a body. The type null is how @fastify/swagger is told so. */
function bare(description: string, headers: Headers = {}) {
  return Type.Null(described(description, headers));
}
