import type { Scope } from '../security/scopes.ts';
import type { ProblemCode } from './problems.ts';
import { problem } from './responses.ts';

/** As much of an OpenAPI document as is worked with here. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: object;
  readonly tags?: readonly { readonly name: string }[];
  readonly components: Readonly<Record<string, Record<string, unknown>>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Operation {
  readonly operationId?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly 'x-scope'?: Scope | null;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: object;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

/** What any route with a scope may be refused with, by status code. */
const SHARED_PROBLEMS: Readonly<Record<string, { readonly name: string; readonly codes: ProblemCode[] }>> = {
  401: { name: 'Unauthorized', codes: ['TOKEN_MISSING', 'TOKEN_INVALID'] },
  403: { name: 'Forbidden', codes: ['SCOPE_MISSING'] },
  429: { name: 'TooManyRequests', codes: ['RATE_LIMITED'] },
};

/** What a client may have without a token, where the configuration lets anybody. */
const ANONYMOUS_SCOPES: readonly Scope[] = ['read', 'export'];

const IF_NONE_MATCH: Parameter = {
  name: 'If-None-Match',
  in: 'header',
  required: false,
  description: 'the `ETag` of an answer that the client has: 304 if it is still the same',
  schema: { type: 'string' },
};

/**
 * The document with what its parts share said once: schemas that have a title, and refusals of every route with a scope,
 * become components that the rest refers to.
 */
export function withComponents(document: OpenApiDocument): OpenApiDocument {
  const schemas: Record<string, unknown> = {};
  const scopes = operationsOf(document).map((operation) => operation['x-scope'] ?? null);
  const paths = mapOperations(document, (operation) => hoistSchemas(withShared(operation), schemas));
  const isSecured = scopes.some((scope) => scope !== null);
  const tagsUsed = new Set(operationsOf(document).flatMap(({ tags = [] }) => tags));
  const { securitySchemes = {} } = document.components;
  return {
    ...document,
    tags: document.tags?.filter(({ name }) => tagsUsed.has(name)) ?? [],
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      ...(isSecured && { responses: sharedResponses(schemas), securitySchemes }),
    },
  };
}

function operationsOf({ paths }: OpenApiDocument): Operation[] {
  return Object.values(paths).flatMap((operations) => Object.values(operations));
}

function mapOperations(
  { paths }: OpenApiDocument,
  change: (operation: Operation) => Operation,
): OpenApiDocument['paths'] {
  const changed = Object.entries(paths).map(([path, operations]) => {
    const entries = Object.entries(operations).map(([method, operation]) => [method, change(operation)]);
    return [path, Object.fromEntries(entries)];
  });
  return Object.fromEntries(changed);
}

/** With what follows from its scope, and from its 304. */
function withShared(operation: Operation): Operation {
  const { 'x-scope': scope = null, parameters = [], responses, ...rest } = operation;
  const canBeUnchanged = Object.hasOwn(responses, '304');
  const own = parameters.map(withQuietExamples);
  const all = canBeUnchanged ? [...own, IF_NONE_MATCH] : own;
  return {
    ...rest,
    ...(all.length > 0 && { parameters: all }),
    ...securityOf(scope),
    responses: { ...responses, ...(scope !== null && sharedReferences(responses)) },
  };
}

/**
 * Pages fill in what a parameter has as its example, also where it may be left out, and would ask for little with all of
 * them at once. So those of optional ones stand in their schemas, and, as pages don't show these, in words.
 */
function withQuietExamples(parameter: Parameter): Parameter {
  const { example, examples, ...rest } = parameter;
  const values = example === undefined ? Object.values(examples ?? {}).map(({ value }) => value) : [example];
  if (parameter.required || values.length === 0) return parameter;
  const shown = values.map((value) => `\`${value}\``).join(' or ');
  const description = `${parameter.description ?? ''}; for example ${shown}`;
  return { ...rest, description, schema: { ...rest.schema, examples: values } };
}

function securityOf(scope: Scope | null): Pick<Operation, 'security' | 'x-scope'> {
  if (scope === null) return { security: [] };
  const token = { bearer: [scope] };
  return { security: ANONYMOUS_SCOPES.includes(scope) ? [token, {}] : [token], 'x-scope': scope };
}

/** What a route says itself of such a status code goes before. */
function sharedReferences(responses: Operation['responses']): Record<string, unknown> {
  const missing = Object.entries(SHARED_PROBLEMS).filter(([status]) => !Object.hasOwn(responses, status));
  return Object.fromEntries(
    missing.map(([status, { name }]) => [status, { $ref: `#/components/responses/${name}` }]),
  );
}

function sharedResponses(schemas: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(SHARED_PROBLEMS).map(([status, { name, codes }]) => {
    const { headers, ...described } = problem(Number(status), codes);
    return [
      name,
      { ...hoistSchemas(described, schemas), ...(headers && { headers: headerObjects(headers) }) },
    ];
  });
  return Object.fromEntries(entries);
}

/** Headers as OpenAPI has them; those of routes are made so by @fastify/swagger. */
function headerObjects(headers: Readonly<Record<string, { description?: string }>>): Record<string, unknown> {
  const entries = Object.entries(headers).map(([name, { description, ...schema }]) => {
    return [name, { description, schema }];
  });
  return Object.fromEntries(entries);
}

/** Moves what has a title to `schemas` and leaves a reference. Two different schemas of one title are a mistake. */
function hoistSchemas<T>(node: T, schemas: Record<string, unknown>): T {
  return hoisted(node, schemas, '') as T;
}

function hoisted(node: unknown, schemas: Record<string, unknown>, key: string): unknown {
  // Examples are data.
  if (typeof node !== 'object' || node === null || key === 'example' || key === 'examples') return node;
  if (Array.isArray(node)) return node.map((item) => hoisted(item, schemas, ''));
  const entries = Object.entries(node).map(([name, value]) => [name, hoisted(value, schemas, name)]);
  const copy: Record<string, unknown> = Object.fromEntries(entries);
  if (typeof copy.title !== 'string') return copy;
  const { title, ...schema } = copy;
  if (schemas[title] !== undefined && JSON.stringify(schemas[title]) !== JSON.stringify(schema)) {
    throw new Error(`Two different schemas have the title ${title}: give one of them another.`);
  }
  schemas[title] = schema;
  return { $ref: `#/components/schemas/${title}` };
}
