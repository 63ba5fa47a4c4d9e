import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Type } from 'typebox';
import { type Document, operationsOf } from '../../../test/support/openapi-document.ts';
import { openSecurity } from '../../../test/support/secured-server.ts';
import { type ApiInstance, createInstance } from '../instance.ts';
import type { Scope } from '../security/scopes.ts';
import { describeApi, documentOf, pathsOf } from './document.ts';
import { eventStream, json, problems, SWITCHING_PROTOCOLS, text, UNCHANGED, webSocket } from './responses.ts';

const security = openSecurity({ after });

const ThingSchema = Type.Object({ name: Type.String() }, { title: 'Thing' });

/** The document of an API with these routes. */
async function described(
  addRoutes: (api: ApiInstance) => void,
): Promise<{ api: ApiInstance; document: Document }> {
  const api = createInstance(security);
  describeApi(api, '1.2.3');
  api.after(() => addRoutes(api));
  await api.ready();
  // As clients get it.
  return { api, document: JSON.parse(JSON.stringify(documentOf(api))) };
}

const said = (operationId: string) => ({
  operationId,
  summary: 'A thing',
  description: 'One.',
  tags: ['Live'],
});
const answer = () => ({ name: 'x' });

describe('a route with a scope', () => {
  const cases: readonly [scope: Scope, security: unknown[]][] = [
    ['read', [{ bearer: ['read'] }, {}]],
    ['export', [{ bearer: ['export'] }, {}]],
    ['command', [{ bearer: ['command'] }]],
    ['admin', [{ bearer: ['admin'] }]],
  ];
  for (const [scope, security] of cases) {
    test(`tells what it needs, and what it is refused with: ${scope}`, async () => {
      const { document } = await described((api) => {
        const schema = { ...said('getThing'), response: { 200: json('It', ThingSchema, { name: 'x' }) } };
        api.get('/thing', { schema, config: { scope } }, answer);
      });
      const operation = document.paths['/thing']!.get!;
      assert.deepEqual(Object.keys(operation.responses), ['200', '401', '403', '429']);
      assert.deepEqual(operation.responses['401'], { $ref: '#/components/responses/Unauthorized' });
      assert.deepEqual((operation as { security?: unknown }).security, security);
      assert.equal((operation as { 'x-scope'?: unknown })['x-scope'], scope);
      assert.deepEqual(Object.keys(document.components.securitySchemes!), ['bearer']);

      const [withAnswers] = operationsOf(document);
      const unauthorized = withAnswers!.responses['401']!;
      assert.deepEqual(Object.keys(unauthorized.headers!), ['www-authenticate']);
      assert.deepEqual(Object.keys(unauthorized.content!['application/json']!.examples!), [
        'TOKEN_MISSING',
        'TOKEN_INVALID',
      ]);
      assert.deepEqual(withAnswers!.shared, ['401', '403', '429']);
    });
  }

  test('may say itself what it is refused with', async () => {
    const { document } = await described((api) => {
      const response = { 200: json('It', ThingSchema), ...problems({ 403: ['TOKEN_INVALID'] }) };
      api.get('/thing', { schema: { ...said('getThing'), response }, config: { scope: 'admin' } }, answer);
    });
    const { shared, responses } = operationsOf(document)[0]!;
    assert.deepEqual(shared, ['401', '429']);
    assert.match(responses['403']!.description, /TOKEN_INVALID/);
  });
});

test('a route without a scope is for anybody', async () => {
  const { document } = await described((api) => {
    const schema = { ...said('getThing'), response: { 200: json('It', ThingSchema) } };
    api.get('/thing', { schema, config: { scope: null } }, answer);
  });
  const operation = document.paths['/thing']!.get!;
  assert.deepEqual(Object.keys(operation.responses), ['200']);
  assert.deepEqual((operation as { security?: unknown }).security, []);
  assert.equal(document.components.securitySchemes, undefined);
});

test('an answer that may be unchanged is asked for with If-None-Match', async () => {
  const { document } = await described((api) => {
    const schema = { ...said('getThing'), response: { 200: json('It', ThingSchema), 304: UNCHANGED } };
    api.get('/thing', { schema }, answer);
  });
  const { parameters, responses } = document.paths['/thing']!.get!;
  assert.deepEqual(
    parameters?.map(({ name, in: place }) => [name, place]),
    [['If-None-Match', 'header']],
  );
  assert.equal((responses['304'] as { content?: unknown }).content, undefined);
});

describe('a schema with a title', () => {
  test('is told once, wherever it is used', async () => {
    const { document } = await described((api) => {
      const one = { ...said('getThing'), response: { 200: json('It', ThingSchema, { name: 'x' }) } };
      const all = { ...said('getThings'), response: { 200: json('All', Type.Array(ThingSchema)) } };
      api.get('/thing', { schema: one }, answer);
      api.get('/things', { schema: all }, () => [answer()]);
    });
    assert.deepEqual(Object.keys(document.components.schemas!), ['Thing']);
    const contentOf = (path: string) => {
      const response = document.paths[path]!.get!.responses['200'] as { content: Record<string, unknown> };
      return response.content['application/json'];
    };
    const reference = { $ref: '#/components/schemas/Thing' };
    assert.deepEqual(contentOf('/thing'), { schema: reference, example: { name: 'x' } });
    assert.deepEqual(contentOf('/things'), { schema: { type: 'array', items: reference } });
  });

  test('that another one has too is refused', async () => {
    const other = Type.Object({ id: Type.Integer() }, { title: 'Thing' });
    await assert.rejects(
      described((api) => {
        api.get('/thing', { schema: { response: { 200: json('It', ThingSchema) } } }, answer);
        api.get('/other', { schema: { response: { 200: json('It', other) } } }, () => ({ id: 1 }));
      }),
      /Two different schemas have the title Thing/,
    );
  });
});

describe('examples of parameters', () => {
  test('are shown, and filled in by pages only where there is no answer without', async () => {
    const { document } = await described((api) => {
      const schema = {
        ...said('getThing'),
        querystring: Type.Object({
          wanted: Type.String({ description: 'needed', examples: ['a', 'b'] }),
          also: Type.Optional(Type.Integer({ description: 'or not', examples: [3] })),
        }),
        response: { 200: json('It', ThingSchema) },
      };
      api.get('/thing', { schema }, answer);
    });
    const [wanted, also] = document.paths['/thing']!.get!.parameters!;
    assert.deepEqual(wanted!.examples, { a: { value: 'a' }, b: { value: 'b' } });
    assert.deepEqual([also!.example, also!.examples], [undefined, undefined]);
    assert.deepEqual(also!.schema, { type: 'integer', examples: [3] });
    assert.equal(also!.description, 'or not; for example `3`');
  });
});

test('what is no JSON is described, too, and the whole is OpenAPI 3.1', async () => {
  const { api, document } = await described((api) => {
    const metrics = {
      ...said('getMetrics'),
      response: { 200: text('Metrics', 'text/plain', '# HELP x\nx 1\n') },
    };
    api.get('/metrics', { schema: metrics, config: { scope: 'read' } }, () => 'x 1\n');

    const events = {
      ...said('getEvents'),
      response: { 200: eventStream('Things as they come', { thing: ThingSchema }, 'event: thing\n\n') },
    };
    api.get('/events', { schema: events, config: { scope: 'read' } }, () => '');

    const stream = {
      ...said('openStream'),
      'x-websocket': webSocket(['things.v1'], { client: [], server: [ThingSchema] }),
      response: { 101: SWITCHING_PROTOCOLS },
    };
    api.get('/stream', { schema: stream, config: { scope: 'read' } }, () => null);

    const command = {
      ...said('postThing'),
      body: ThingSchema,
      response: { 200: json('It', ThingSchema), ...problems({ 400: ['QUERY_INVALID'] }) },
    };
    api.post('/things', { schema: command, config: { scope: 'command' } }, answer);
    api.get('/file', { schema: { hide: true }, config: { scope: null } }, () => '');
  });

  const { valid, errors } = await new Validator().validate(structuredClone({ ...document }));
  assert.deepEqual([valid, errors ?? []], [true, []]);
  assert.equal(pathsOf(api), 'GET /metrics, /events, /stream; POST /things');

  const ofId = new Map(operationsOf(document).map((operation) => [operation.id, operation]));
  assert.deepEqual(ofId.get('getMetrics')!.responses['200']!.content, {
    'text/plain': { schema: { type: 'string' }, example: '# HELP x\nx 1\n' },
  });
  const reference = { $ref: '#/components/schemas/Thing' };
  assert.deepEqual(ofId.get('getEvents')!.responses['200']!.content!['text/event-stream']!.schema, {
    type: 'string',
    'x-event-schemas': { thing: reference },
  });
  assert.deepEqual(ofId.get('openStream')!['x-websocket'], {
    subprotocols: ['things.v1'],
    messages: { client: [], server: [reference] },
  });
  assert.equal(ofId.get('openStream')!.responses['101']!.content, undefined);
  // Tags are told of where routes have them.
  assert.deepEqual(
    document.tags.map(({ name }) => name),
    ['Live'],
  );
});
