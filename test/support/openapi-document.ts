import assert from 'node:assert/strict';
import { Type } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { assertIs, closedObjects } from './served-pipeline.ts';

/** An OpenAPI document as a client of it sees it: no more is known than what it says. */
export interface Document {
  readonly openapi: string;
  readonly info: { readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

interface RawOperation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>;
  readonly 'x-websocket'?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'header';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: { readonly examples?: readonly unknown[]; readonly enum?: unknown };
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface Response {
  readonly description: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, Media>>;
}

export interface Media {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface Operation extends Omit<RawOperation, 'responses' | 'parameters'> {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly responses: Readonly<Record<string, Response>>;
  /** The status codes of answers that all routes with a scope share. */
  readonly shared: readonly string[];
}

/** All operations, with their answers' references looked up. */
export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      id: operation.operationId ?? `${method} ${path}`,
      method: method.toUpperCase(),
      path,
      parameters: operation.parameters ?? [],
      responses: Object.fromEntries(
        Object.entries(operation.responses).map(([status, response]) => [
          status,
          '$ref' in response ? (lookedUp(document, response.$ref) as Response) : response,
        ]),
      ),
      shared: Object.keys(operation.responses).filter((status) => '$ref' in operation.responses[status]!),
    })),
  );
}

/** The values that a parameter is shown with. */
export function examplesOf(parameter: Parameter): readonly unknown[] {
  if (parameter.example !== undefined) return [parameter.example];
  return parameter.schema.examples ?? Object.values(parameter.examples ?? {}).map(({ value }) => value);
}

/** The URL of an operation with these values of its parameters. */
export function urlOf({ path, parameters }: Operation, values: ReadonlyMap<string, unknown>): string {
  let filled = path;
  const query = new URLSearchParams();
  for (const { name, in: place } of parameters) {
    const value = values.get(name);
    if (value === undefined) continue;
    if (place === 'path') filled = filled.replace(`{${name}}`, encodeURIComponent(String(value)));
    if (place === 'query') for (const each of [value].flat()) query.append(name, String(each));
  }
  assert.doesNotMatch(filled, /[{}]/, 'every parameter of the path has an example');
  return query.size === 0 ? filled : `${filled}?${query}`;
}

/** Checks that a body is what an answer's content of this type is said to be, with nothing that isn't described. */
export function assertContent(document: Document, type: string, media: Media, body: string): void {
  const { schema, example } = media;
  assertMatches(document, schema, type === 'application/json' ? JSON.parse(body) : body);
  if (schema['x-line-schema'] !== undefined) {
    assert.ok(body === '' || body.endsWith('\n'));
    const lines = body.split('\n').slice(0, -1);
    for (const line of lines) assertMatches(document, schema['x-line-schema'], JSON.parse(line));
  }
  if (schema['x-event-schemas'] !== undefined) assertEvents(document, schema['x-event-schemas'], body);
  // Columns are told by example.
  if (type === 'text/csv') {
    const [header, ...records] = body.trimEnd().split('\n');
    assert.equal(header, String(example).split('\n')[0]);
    for (const record of records) assert.equal(record.split(',').length, header!.split(',').length);
  }
}

/** Server-sent events that are whole, each with data of its schema. */
function assertEvents(document: Document, schemas: unknown, body: string): void {
  for (const text of body.split('\n\n').slice(0, -1)) {
    const fields = text.split('\n').map((line) => /^([a-z]*): ?(.*)$/.exec(line)?.slice(1) ?? []);
    const field = (name: string) => fields.find(([each]) => each === name)?.[1];
    const event = field('event');
    if (event === undefined) continue;
    const schema = (schemas as Readonly<Record<string, unknown>>)[event];
    assert.notEqual(schema, undefined, `the event ${event} is described`);
    assertMatches(document, schema, JSON.parse(field('data')!));
  }
}

/** Schemas are compiled once: streams have many lines. */
const validators = new WeakMap<object, Validator>();

/** Checks that a value is of a schema of the document, and has nothing that the schema doesn't name. */
export function assertMatches(document: Document, schema: unknown, value: unknown): void {
  const key = schema as object;
  const inPlace = () => Type.Unsafe(inlined(document, schema) as object);
  const validator = validators.get(key) ?? Compile(closedObjects(inPlace()));
  validators.set(key, validator);
  // Which says what is wrong.
  if (!validator.Check(value)) assertIs(inPlace(), value);
}

function inlined(document: Document, node: unknown): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map((item) => inlined(document, item));
  if ('$ref' in node) return inlined(document, lookedUp(document, String(node.$ref)));
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, inlined(document, value)]));
}

function lookedUp(document: Document, reference: string): unknown {
  const [, kind, name] = /^#\/components\/(\w+)\/(\w+)$/.exec(reference) ?? [];
  const found = document.components[kind ?? '']?.[name ?? ''];
  assert.notEqual(found, undefined, `${reference} is there`);
  return found;
}
