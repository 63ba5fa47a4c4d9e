import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { PROBLEMS } from '../src/api/openapi/problems.ts';
import { createServer } from '../src/api/server.ts';
import type { ApiSources } from '../src/api/sources.ts';
import { createCommands } from '../src/commands.ts';
import { HistoryError, QueryError } from '../src/shared/errors.ts';
import { COMMAND_BODY_BYTES_MAX, STREAM_CLIENTS_MAX } from '../src/shared/limits.ts';
import { kartDrive } from './support/kart-drive.ts';
import {
  assertContent,
  type Document,
  examplesOf,
  type Operation,
  operationsOf,
  urlOf,
} from './support/openapi-document.ts';
import { decoded, type RawAnswer, type RawOptions, rawRequest, rawStream } from './support/raw-request.ts';
import { securedServer } from './support/secured-server.ts';
import { logLine, servePipeline } from './support/served-pipeline.ts';
import { CHECKOUT, eventually } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The document against the service: every route, every status code and every example in it is sent to a real server over
 * half a minute of the simulated kart, and what comes back has to be what is said there, no more and no less.
 */

/** Parameters that mean nothing without another. */
const NEEDS: Readonly<Record<string, string>> = {
  component_id: 'component_type',
  command_id: 'component_type',
};

const cleanups: (() => unknown)[] = [];
/** What tests start is used by others, too: it ends after all of them. */
const atEnd = { after: (cleanup: () => unknown) => cleanups.push(cleanup) };
after(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

// As Fastify tells of its instances before anything is added to them, every route is seen.
const routes: RouteOptions[] = [];
const collect = (message: unknown) => {
  (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', (route) => {
    routes.push(route);
  });
};
subscribe('fastify.initialization', collect);
const served = await servePipeline(atEnd, [...kartDrive(20_000)].join(''), [], 'can0');
await served.server.instance.ready();
unsubscribe('fastify.initialization', collect);

/** Where there is a driver, who has a token for commands. */
const driven = securedServer(atEnd, served.sources, {
  tokens: { driver: ['read', 'command'], keeper: ['admin'] },
});
const AS_DRIVER = { authorization: `Bearer ${driven.tokens.driver}` };

/** Where everybody needs a token, and the one that there is may do nothing that a route is about. */
const guarded = securedServer(atEnd, served.sources, {
  config: { anonymous: 'none' },
  tokens: { exporter: ['export'] },
});

/** Where the log is written to a file, with one who may read that. */
const logFile = join(temporaryDirectory(atEnd), 'collector.log');
writeFileSync(
  logFile,
  `${JSON.stringify({ level: 'info', time: '2026-01-01T00:00:00.000Z', msg: 'one' })}\n`,
);
const kept = securedServer(atEnd, { ...served.sources, logFile }, { tokens: { keeper: ['admin'] } });
const AS_KEEPER = { authorization: `Bearer ${kept.tokens.keeper}` };
/** In which circumstance, and as whom, requests are sent that not everybody may. */
const ASKED_BY: Readonly<Record<string, [Circumstance, Record<string, string>]>> = {
  getCommands: ['commands', AS_DRIVER],
  getConfiguration: ['kept', AS_KEEPER],
  getLog: ['kept', AS_KEEPER],
};

const { history } = served.pipeline;
history.gap({
  bus: 'can0',
  cause: 'bus_down',
  fromUs: 1_767_225_630_000_000,
  toUs: 1_767_225_642_500_000,
  count: null,
});
history.gap({
  bus: null,
  cause: 'queue',
  fromUs: 1_767_225_650_000_000,
  toUs: 1_767_225_651_000_000,
  count: 7,
});
await history.flush();

const document = (await (await served.get('/openapi.json')).json()) as Document;
const operations = operationsOf(document);
const byId = new Map(operations.map((operation) => [operation.id, operation]));

/** Where else answers come from: services in other states. */
type Circumstance =
  | 'usual'
  | 'busy'
  | 'broken'
  | 'closing'
  | 'not ready'
  | 'full'
  | 'commands'
  | 'log only'
  | 'driven'
  | 'guarded'
  | 'kept'
  | 'spent'
  | 'exporting'
  | CommandFault;

/** What a vehicle does to commands that no test can wait for, by its status code. */
const COMMAND_FAULTS = {
  COMMANDS_TOO_MANY: 429,
  COMMAND_REFUSED: 502,
  BUS_UNAVAILABLE: 503,
  BUS_SEND_FAILED: 503,
  BUS_SEND_QUEUE_FULL: 503,
  COMMANDS_WAITING: 503,
  COMMAND_NOT_AUDITED: 503,
  SERVICE_STOPPING: 503,
} as const;
type CommandFault = keyof typeof COMMAND_FAULTS;

interface Provocation extends RawOptions {
  /** Where one request isn't enough, or is none of ours: gives the answer of the service at this URL. */
  readonly by?: (url: string) => Promise<RawAnswer>;
  /** The path with its query; the operation's base example if none is given. */
  readonly path?: string;
  readonly when?: Circumstance;
}

/** A command that names no value type, as the protocol has none for it. */
const PARAMETER = { component_type: 'CONTROLS', component_id: 'SYSTEM', command_id: 'PARAMETER', value: 1 };

/** A light's command, but for these parts, to a service that sends it. */
function ordered(changes: object): Provocation {
  const command = { component_type: 'LIGHTS', component_id: 'FRONT', command_id: 'MODE', value: 'ON' };
  const body = JSON.stringify({ ...command, ...changes });
  return { body, headers: { ...AS_DRIVER, 'content-type': 'application/json' }, when: 'commands' };
}

/**
 * How each status code comes about, by operation, status and, where there are several, code; but for the 200 of GET, which
 * is what example requests are answered with.
 */
const PROVOCATIONS: Readonly<Record<string, Provocation>> = {
  'getCurrentState 400 QUERY_INVALID': { path: '/api/state/current?component=MOTORS' },
  'getCurrentState 400 COMPONENT_TYPE_UNKNOWN': { path: '/api/state/current?component_type=ENGINES' },
  'getCurrentState 400 MESSAGE_TYPE_UNKNOWN': { path: '/api/state/current?message_type=REPLY' },

  'getComponentState 400 QUERY_INVALID': { path: '/api/state/component/MOTORS/0?component_type=MOTORS' },
  'getComponentState 400 MESSAGE_TYPE_UNKNOWN': { path: '/api/state/component/MOTORS/0?message_type=REPLY' },
  'getComponentState 400 URL_INVALID': { path: '/api/state/component/MOTORS/%E0%A4%A' },
  'getComponentState 404 COMPONENT_TYPE_UNKNOWN': { path: '/api/state/component/ENGINES/0' },
  'getComponentState 404 COMPONENT_UNKNOWN': { path: '/api/state/component/MOTORS/FRONT' },
  'getComponentState 404 COMPONENT_NOT_HEARD': { path: '/api/state/component/MOTORS/200' },
  'getComponentState 414 URL_TOO_LONG': { path: `/api/state/component/MOTORS/${'M'.repeat(201)}` },

  'getHistory 400 QUERY_INVALID': { path: '/api/state/history?limit=0' },
  'getHistory 400 TIME_INVALID': { path: '/api/state/history?from=yesterday' },
  'getHistory 400 COMPONENT_TYPE_UNKNOWN': { path: '/api/state/history?component_type=ENGINES' },
  'getHistory 400 COMPONENT_UNKNOWN': { path: '/api/state/history?component_type=MOTORS&component_id=FRONT' },
  'getHistory 400 COMMAND_UNKNOWN': { path: '/api/state/history?component_type=MOTORS&command_id=FLY' },
  'getHistory 400 MESSAGE_TYPE_UNKNOWN': { path: '/api/state/history?message_type=REPLY' },
  'getHistory 500 HISTORY_READ_FAILED': { when: 'broken' },
  'getHistory 503 HISTORY_BUSY': { when: 'busy', headers: { accept: 'text/csv' } },
  'getHistory 503 HISTORY_CLOSED': { when: 'closing' },
  'getHistory 503 EXPORTS_BUSY': { when: 'exporting', headers: { accept: 'text/csv' } },

  'getSeries 400 QUERY_INVALID': { path: '/api/series' },
  'getSeries 400 TIME_INVALID': { path: '/api/series?signal=MOTORS/0/RPM&from=2&to=1' },
  'getSeries 400 SIGNAL_INVALID': { path: '/api/series?signal=RPM' },
  'getSeries 400 COMPONENT_TYPE_UNKNOWN': { path: '/api/series?signal=ENGINES/0/RPM' },
  'getSeries 400 COMPONENT_UNKNOWN': { path: '/api/series?signal=MOTORS/FRONT/RPM' },
  'getSeries 400 COMMAND_UNKNOWN': { path: '/api/series?signal=MOTORS/0/FLY' },
  'getSeries 400 MESSAGE_TYPE_UNKNOWN': { path: '/api/series?signal=MOTORS/0/RPM&message_type=REPLY' },
  'getSeries 500 HISTORY_READ_FAILED': { when: 'broken' },
  'getSeries 503 HISTORY_BUSY': { when: 'busy' },
  'getSeries 503 HISTORY_CLOSED': { when: 'closing' },

  'getGaps 304': { headers: { 'if-none-match': '*' } },
  'getGaps 400 QUERY_INVALID': { path: '/api/gaps?limit=10001' },
  'getGaps 400 TIME_INVALID': { path: '/api/gaps?to=2026-02-30' },
  'getGaps 500 HISTORY_READ_FAILED': { when: 'broken' },
  'getGaps 503 HISTORY_BUSY': { when: 'busy' },
  'getGaps 503 HISTORY_CLOSED': { when: 'closing' },

  'getProtocol 304': { headers: { 'if-none-match': '*' } },
  'getComponentType 304': { headers: { 'if-none-match': '*' } },
  'getComponentType 400 URL_INVALID': { path: '/api/protocol/%E0%A4%A' },
  'getComponentType 404 COMPONENT_TYPE_UNKNOWN': { path: '/api/protocol/ENGINES' },
  'getComponentType 414 URL_TOO_LONG': { path: `/api/protocol/${'M'.repeat(201)}` },

  'openStream 101': { by: upgraded },
  'openStream 400 QUERY_INVALID': { path: '/api/stream?encoding=xml' },
  'openStream 426 UPGRADE_REQUIRED': {},
  'openStream 503 STREAM_FULL': { when: 'full', by: upgraded },
  'getEvents 400 QUERY_INVALID': { path: '/api/events?max_hz=0' },
  'getEvents 400 SIGNAL_INVALID': { path: '/api/events?signal=MOTORS' },
  'getEvents 400 MESSAGE_TYPE_UNKNOWN': { path: '/api/events?message_type=REPLY' },
  'getEvents 503 STREAM_FULL': { when: 'full' },

  'sendCommand 200': ordered({}),
  'sendCommand 400 COMMAND_INVALID': ordered({ colour: 'red' }),
  'sendCommand 400 BODY_INVALID': { ...ordered({}), body: '{' },
  'sendCommand 400 COMPONENT_TYPE_UNKNOWN': ordered({ component_type: 'ENGINES' }),
  'sendCommand 400 COMPONENT_UNKNOWN': ordered({ component_id: 'LEFT' }),
  'sendCommand 400 COMMAND_UNKNOWN': ordered({ command_id: 'FLY' }),
  'sendCommand 400 VALUE_TYPE_NEEDED': ordered({ ...PARAMETER }),
  'sendCommand 400 VALUE_TYPE_UNKNOWN': ordered({ ...PARAMETER, value_type: 'FLOAT' }),
  'sendCommand 400 VALUE_TYPE_WRONG': ordered({ value_type: 'UINT16' }),
  'sendCommand 400 VALUE_UNKNOWN': ordered({ value: 'BRIGHTER' }),
  'sendCommand 400 VALUE_INVALID': ordered({ command_id: 'INTENSITY', value: 'full' }),
  'sendCommand 400 VALUE_OUT_OF_RANGE': ordered({ command_id: 'INTENSITY', value: 1e6 }),
  'sendCommand 400 VALUE_NOT_EXACT': ordered({ command_id: 'INTENSITY', value: 0.5 }),
  'sendCommand 400 BUS_NEEDED': { ...ordered({}), when: 'log only' },
  'sendCommand 400 BUS_UNKNOWN': ordered({ bus: 'can9' }),
  'sendCommand 400 BUS_READ_ONLY': ordered({ bus: 'drive' }),
  'sendCommand 404 COMMANDS_DISABLED': { ...ordered({}), when: 'driven' },
  'sendCommand 413 BODY_TOO_LARGE': ordered({ value: 'N'.repeat(COMMAND_BODY_BYTES_MAX) }),
  'sendCommand 415 BODY_NOT_JSON': {
    ...ordered({}),
    headers: { ...AS_DRIVER, 'content-type': 'text/plain' },
  },
  'sendCommand 429 RATE_LIMITED': { ...ordered({}), when: 'spent' },
  'sendCommand 429 COMMANDS_TOO_MANY': { ...ordered({}), when: 'COMMANDS_TOO_MANY' },
  'sendCommand 502 COMMAND_REFUSED': { ...ordered({}), when: 'COMMAND_REFUSED' },
  'sendCommand 503 BUS_UNAVAILABLE': { ...ordered({}), when: 'BUS_UNAVAILABLE' },
  'sendCommand 503 BUS_SEND_FAILED': { ...ordered({}), when: 'BUS_SEND_FAILED' },
  'sendCommand 503 BUS_SEND_QUEUE_FULL': { ...ordered({}), when: 'BUS_SEND_QUEUE_FULL' },
  'sendCommand 503 COMMANDS_WAITING': { ...ordered({}), when: 'COMMANDS_WAITING' },
  'sendCommand 503 COMMAND_NOT_AUDITED': { ...ordered({}), when: 'COMMAND_NOT_AUDITED' },
  'sendCommand 503 SERVICE_STOPPING': { ...ordered({}), when: 'SERVICE_STOPPING' },
  'sendCommand 504 COMMAND_NOT_ACKNOWLEDGED': ordered({ command_id: 'VOLTAGE', value: 1, timeout_s: 0.1 }),
  'getCommands 400 QUERY_INVALID': { path: '/api/commands?limit=0', headers: AS_DRIVER, when: 'commands' },
  'getCommands 404 COMMANDS_DISABLED': { headers: AS_DRIVER, when: 'driven' },

  'getReadiness 503': { when: 'not ready' },

  'getLog 400 QUERY_INVALID': { path: '/api/log?lines=0', headers: AS_KEEPER, when: 'kept' },
  'getLog 404 LOG_FILE_NONE': {
    headers: { authorization: `Bearer ${driven.tokens.keeper}` },
    when: 'driven',
  },

  'getDashboard 304': { headers: { 'if-none-match': '*' } },
  'getDocs 304': { headers: { 'if-none-match': '*' } },
  'getOpenApi 304': { headers: { 'if-none-match': '*' } },
};

/** How what all routes with a scope share comes about, by code, for any of them. */
const SHARED_PROVOCATIONS: Readonly<Record<string, Provocation>> = {
  TOKEN_MISSING: { when: 'guarded' },
  TOKEN_INVALID: { when: 'guarded', headers: { authorization: 'Bearer nobody' } },
  SCOPE_MISSING: { when: 'guarded', headers: { authorization: `Bearer ${guarded.tokens.exporter}` } },
  RATE_LIMITED: { when: 'spent' },
};

/** The URL of a server in these circumstances; each is started once. */
const servers = new Map<Circumstance, Promise<string>>([['usual', Promise.resolve(served.url)]]);

function serverWhen(circumstance: Circumstance): Promise<string> {
  if (circumstance === 'spent') return spentServer();
  const started = servers.get(circumstance) ?? startServer(circumstance);
  servers.set(circumstance, started);
  return started;
}

/** A server of which this client has had all that it may ask for in a second. */
async function spentServer(): Promise<string> {
  const url = await securedServer(atEnd, served.sources, { config: { ratePerS: 1 } }).listen();
  await rawRequest(`${url}/healthz`);
  return url;
}

async function startServer(circumstance: Circumstance): Promise<string> {
  if (circumstance === 'guarded') return guarded.listen();
  if (circumstance === 'kept') return kept.listen();
  if (circumstance === 'driven') return driven.listen();
  if (circumstance === 'exporting')
    return securedServer(atEnd, served.sources, { limits: { exportsMax: 0 } }).listen();
  const server = createServer({ ...(await sourcesWhen(circumstance)), security: driven.security });
  atEnd.after(() => server.close());
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  if (circumstance === 'full') await fillStream(url);
  return url;
}

/** Has as many clients listen as may. */
async function fillStream(url: string): Promise<void> {
  for (let client = 0; client < STREAM_CLIENTS_MAX; client++) {
    const response = await rawStream(`${url}/api/events?signal=MOTORS/**`);
    atEnd.after(() => response.destroy());
  }
}

/** The answer to a request for a WebSocket, which is no answer to Node where it is granted. */
async function upgraded(url: string): Promise<RawAnswer> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'collector.v1',
  };
  const asked = request(`${url}/api/stream`, { headers, agent: false }).end();
  return await new Promise((resolve, reject) => {
    asked.on('error', reject);
    asked.on('upgrade', ({ statusCode, headers }, socket) => {
      socket.destroy();
      resolve({ status: statusCode!, headers, body: Buffer.of() });
    });
    asked.on('response', async (response) => {
      resolve({ status: response.statusCode!, headers: response.headers, body: await buffer(response) });
    });
  });
}

/** A service that sends commands, to simulated karts and to none. */
async function commandedSources(otherBuses: readonly string[]): Promise<ApiSources> {
  const { pipeline, sources } = await servePipeline(atEnd, '', otherBuses);
  await eventually(
    async () => pipeline.sources.at(-1)!.bus,
    ({ isOpen }) => isOpen || otherBuses.length === 0,
  );
  const audit = join(temporaryDirectory(atEnd), 'commands.log');
  const commands = createCommands({ enabled: 'on', audit, timeoutMs: 30_000 }, pipeline, sources.log)!;
  await commands.start();
  atEnd.after(() => commands.stop());
  return { ...sources, commands };
}

async function sourcesWhen(circumstance: Circumstance): Promise<ApiSources> {
  const failing = (error: Error): ApiSources => {
    const fail = () => Promise.reject(error);
    const { history } = served.sources;
    const failed = {
      firstSeq: null,
      query: fail,
      series: fail,
      gaps: fail,
      timings: () => history.timings(),
    };
    return { ...served.sources, history: failed };
  };
  switch (circumstance) {
    case 'usual':
    case 'full':
      return served.sources;
    case 'busy':
      return failing(new QueryError(503, 'HISTORY_BUSY', PROBLEMS.HISTORY_BUSY.message));
    case 'broken':
      return failing(new HistoryError('HISTORY_READ_FAILED', PROBLEMS.HISTORY_READ_FAILED.message));
    case 'closing': {
      const closing = await servePipeline(
        { after },
        logLine(1_767_225_600_000_000, 2, '48 00 00 01 40 00 04 B0'),
      );
      await closing.pipeline.history.close();
      return closing.sources;
    }
    case 'not ready':
      return (await servePipeline(atEnd, '', ['candump:nowhere.log'])).sources;
    case 'commands':
      return commandedSources(['sim:kart']);
    case 'log only':
      return commandedSources([]);
    case 'driven':
    case 'guarded':
    case 'kept':
    case 'spent':
    case 'exporting':
      throw new Error('not served so');
    default: {
      const send = () =>
        Promise.reject(
          new QueryError(COMMAND_FAULTS[circumstance], circumstance, PROBLEMS[circumstance].message),
        );
      return { ...served.sources, commands: { send, refuse: async () => {}, newest: () => [] } };
    }
  }
}

/** The operation's example with nothing but what it can't do without. */
function baseValues({ parameters }: Operation): Map<string, unknown> {
  const required = parameters.filter((parameter) => parameter.required);
  return new Map(required.map((parameter) => [parameter.name, examplesOf(parameter)[0]]));
}

/** Every example request of an operation: the least, one for each example of each parameter, and all at once. */
function exampleRequests(operation: Operation): { path: string; headers: Record<string, string> }[] {
  const base = baseValues(operation);
  const first = (name: string) =>
    examplesOf(operation.parameters.find((parameter) => parameter.name === name)!)[0];
  const all = new Map(base);
  const requests = [base, all];
  for (const parameter of operation.parameters) {
    // No token that is shown is good for anything.
    if (parameter.in === 'header' || parameter.name === 'access_token') continue;
    const values = examplesOf(parameter);
    all.set(parameter.name, values[0]);
    const needed = NEEDS[parameter.name];
    const others = needed === undefined ? base : new Map([...base, [needed, first(needed)]]);
    for (const value of values) requests.push(new Map([...others, [parameter.name, value]]));
  }
  const types = Object.keys(operation.responses['200']?.content ?? {});
  return requests.flatMap((values) =>
    types.map((accept) => ({ path: urlOf(operation, values), headers: { accept } })),
  );
}

/** Checks an answer against what the document says of its status code and content type. */
function assertDocumented(operation: Operation, answer: RawAnswer): void {
  const response = operation.responses[answer.status];
  const body = decoded(answer).toString();
  assert.ok(response !== undefined, `${operation.id} gives ${answer.status}: ${body.slice(0, 500)}`);
  if (response.content === undefined) {
    assert.equal(body, '');
  } else {
    const type = (answer.headers['content-type'] ?? '').split(';')[0]!;
    const media = response.content[type];
    assert.ok(media !== undefined, `${operation.id} ${answer.status} gives ${type}`);
    assertContent(document, type, media, body);
  }
  for (const name of Object.keys(response.headers ?? {})) {
    // A page that is the last has no next one.
    if (name !== 'link') assert.notEqual(answer.headers[name], undefined, `${operation.id} has ${name}`);
  }
}

async function assertProvoked(
  operation: Operation,
  status: string,
  code: string | null,
  provocation: Provocation,
): Promise<void> {
  const { path = urlOf(operation, baseValues(operation)), when = 'usual', ...options } = provocation;
  const server = await serverWhen(when);
  const answer =
    (await provocation.by?.(server)) ??
    (await rawRequest(`${server}${path}`, { method: operation.method, ...options }));
  assert.equal(answer.status, Number(status), answer.body.toString());
  assertDocumented(operation, answer);
  if (code !== null) assert.equal(JSON.parse(answer.body.toString()).code, code);
}

/** Whether an operation's examples are requests that can be sent as they are. */
function answersExamples({ method, responses }: Operation): boolean {
  return method === 'GET' && responses['101'] === undefined;
}

/** What else an operation says it answers: a status, and the codes that tell refusals apart, or null. */
function otherAnswersOf(operation: Operation): { status: string; code: string | null; isShared: boolean }[] {
  return Object.entries(operation.responses).flatMap(([status, response]) => {
    if (status === '200' && answersExamples(operation)) return [];
    const codes = Object.keys(response.content?.['application/json']?.examples ?? {});
    const isShared = operation.shared.includes(status);
    return (codes.length === 0 ? [null] : codes).map((code) => ({ status, code, isShared }));
  });
}

describe('the document', () => {
  test('is OpenAPI 3.1', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone({ ...document }));
    assert.deepEqual(errors ?? [], []);
    assert.ok(valid);
    assert.equal(document.openapi, '3.1.0');
  });

  test('has every route that there is, but for HEAD and files', () => {
    const known = new Set(operations.map(({ method, path }) => `${method} ${path}`));
    assert.ok(routes.length > 20);
    for (const { method, url, schema, config } of routes) {
      if (method === 'HEAD') continue;
      const path = url.replaceAll(/:(\w+)/g, '{$1}');
      if (schema !== undefined && 'hide' in schema) {
        assert.ok(!path.startsWith('/api/'), `${path} is hidden`);
        assert.equal(config?.scope, null, `${path} is for anybody`);
      } else {
        assert.ok(known.has(`${method} ${path}`), `${method} ${path} is described`);
      }
    }
  });

  test('has no route that there is not', () => {
    const there = new Set(routes.map(({ method, url }) => `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`));
    for (const { method, path } of operations) assert.ok(there.has(`${method} ${path}`), `${method} ${path}`);
  });

  test('says of each operation what it is, under a name of its own', () => {
    assert.equal(byId.size, operations.length);
    const tags = new Set(document.tags.map(({ name }) => name));
    for (const { id, operationId, summary, description, tags: own = [] } of operations) {
      assert.match(operationId ?? '', /^[a-z][a-zA-Z]+$/, id);
      for (const text of [summary, description]) assert.ok(text !== undefined && text.length > 3, id);
      assert.ok(own.length > 0 && own.every((tag) => tags.has(tag)), `${id}: ${own}`);
    }
  });

  test('says of each parameter what it means, and shows one', () => {
    for (const { id, parameters } of operations) {
      for (const parameter of parameters) {
        assert.ok(parameter.description !== undefined, `${id}: ${parameter.name} is described`);
        if (parameter.in !== 'header')
          assert.ok(examplesOf(parameter).length > 0, `${id}: ${parameter.name}`);
      }
    }
  });

  test('shows answers that are of the form that it says', () => {
    for (const operation of operations) {
      for (const [status, { description, content = {} }] of Object.entries(operation.responses)) {
        assert.ok(description.length > 3, `${operation.id} ${status}`);
        for (const [type, media] of Object.entries(content)) {
          const { example, examples = {} } = media;
          const shown = [
            ...(example === undefined ? [] : [example]),
            ...Object.values(examples).map(({ value }) => value),
          ];
          const isPage = type === 'text/html' || operation.id === 'getOpenApi';
          assert.ok(isPage || shown.length > 0, `${operation.id} ${status} ${type} has an example`);
          for (const each of shown) {
            const body = type === 'application/json' ? JSON.stringify(each) : String(each);
            assertContent(document, type, media, body);
          }
        }
      }
    }
  });
});

test('docs/http-api.md has every code that a refusal may have, and no other', () => {
  const documented = operations.flatMap(otherAnswersOf).flatMap(({ code }) => code ?? []);
  // Those that come of no route, or of any, are in the document's description.
  const ofNoRoute = document.info.description.match(/(?<=`)[A-Z]+_[A-Z_]+(?=`)/g) ?? [];
  const known = new Set([...documented, ...ofNoRoute, 'INTERNAL']);
  const text = readFileSync(join(CHECKOUT, 'docs/http-api.md'), 'utf8');
  const rows = text
    .slice(text.indexOf('\n## Errors'))
    .split('\n')
    .filter((line) => /^\| \d/.test(line));
  const told = rows.flatMap((row) => row.match(/(?<=`)[A-Z_]+(?=`)/g) ?? []);
  assert.deepEqual([...told].toSorted(), [...known].toSorted());
});

describe('each example request is answered as the document says:', () => {
  for (const operation of operations) {
    if (!answersExamples(operation)) continue;
    test(operation.id, async () => {
      const requests = exampleRequests(operation);
      assert.ok(requests.length > 0);
      for (const { path, headers } of requests) {
        const isEndless = headers.accept === 'text/event-stream';
        const until = (body: string) => body.split('\n\n').length > 2;
        const [circumstance, token] = ASKED_BY[operation.id] ?? ['usual', {}];
        const server = await serverWhen(circumstance);
        const all = { ...headers, ...token };
        const answer = await rawRequest(`${server}${path}`, { headers: all, ...(isEndless && { until }) });
        assert.equal(answer.status, 200, `${path}: ${answer.body}`);
        const type = (answer.headers['content-type'] ?? '').split(';')[0];
        assert.equal(type, headers.accept, path);
        assertDocumented(operation, answer);
      }
    });
  }

  test('and has something of the drive in it', async () => {
    for (const id of ['getCurrentState', 'getComponentState', 'getHistory', 'getGaps']) {
      // All parameters at once may leave nothing.
      const [least, , ...ofOne] = exampleRequests(byId.get(id)!).filter(
        ({ headers }) => headers.accept === 'application/json',
      );
      for (const { path } of [least!, ...ofOne]) {
        const body = (await rawRequest(`${served.url}${path}`)).body.toString();
        assert.doesNotMatch(body, /^\[\]$|"components":\{\}|"gaps":\[\]/, path);
      }
    }
  });
});

describe('each other answer that the document knows comes about:', () => {
  const known = new Set<string>();
  for (const operation of operations) {
    for (const { status, code, isShared } of otherAnswersOf(operation)) {
      const key = [operation.id, status, ...(code === null ? [] : [code])].join(' ');
      known.add(key);
      test(key, async () => {
        const provocation = isShared ? SHARED_PROVOCATIONS[code ?? status] : PROVOCATIONS[key];
        assert.ok(provocation !== undefined, `nothing provokes ${key}: add it to the table`);
        await assertProvoked(operation, status, code, provocation);
      });
    }
  }

  test('and none comes about that it does not know', () => {
    assert.deepEqual(
      Object.keys(PROVOCATIONS).filter((key) => !known.has(key)),
      [],
    );
  });
});
