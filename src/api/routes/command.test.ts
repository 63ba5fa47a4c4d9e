import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { pino } from 'pino';
import { assertIs, servePipeline } from '../../../test/support/served-pipeline.ts';
import { eventually } from '../../../test/support/service.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { createCommands } from '../../commands.ts';
import { QueryError } from '../../shared/errors.ts';
import { AUDIT_ENTRIES_KEPT, COMMAND_BODY_BYTES_MAX, COMMANDS_PER_SECOND_MAX } from '../../shared/limits.ts';
import { CommandReplySchema, type CommandsReply, CommandsSchema } from '../command/schemas.ts';
import type { ApiInstance } from '../instance.ts';
import { ErrorSchema } from '../schemas.ts';
import type { CommandSender } from '../sources.ts';
import { commandRoutes } from './command.ts';

/** The routes over a simulated kart. Who asks is said by a header here; who may is another's business. */

const silent = pino({ enabled: false });
const served = await servePipeline({ after }, '', ['sim:kart']);
const SIM = served.pipeline.sources[1]!.bus;
await eventually(
  async () => SIM.isOpen,
  (isOpen) => isOpen,
);

const audit = join(temporaryDirectory({ after }), 'commands.log');
const service = createCommands({ enabled: 'on', audit, timeoutMs: 30_000 }, served.pipeline, silent)!;
await service.start();
after(() => service.stop());

function apiOver(commands: CommandSender | null): ApiInstance {
  const ajv = { customOptions: { coerceTypes: 'array' as const, removeAdditional: false as const } };
  const instance = fastify({ ajv }).withTypeProvider<TypeBoxTypeProvider>();
  instance.addHook('onRequest', async (request) => {
    const name = request.headers['x-test-principal'];
    if (name === 'nobody') throw new QueryError(401, 'TOKEN_MISSING', 'This needs a token.');
    if (typeof name === 'string')
      request.principal = { name, scopes: new Set(['command']), isAnonymous: false };
  });
  commandRoutes(instance, { ...served.sources, commands });
  return instance;
}

const api = apiOver(service);
const LIGHT_ON = { component_type: 'LIGHTS', component_id: 'FRONT', command_id: 'MODE', value: 'ON' };

function post(body: unknown, headers: Record<string, string> = {}) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const json = { 'content-type': 'application/json' };
  return api.inject({ method: 'POST', url: '/api/command', payload, headers: { ...json, ...headers } });
}

async function entries(query = ''): Promise<CommandsReply['commands']> {
  const reply = (await api.inject(`/api/commands${query}`)).json();
  assertIs(CommandsSchema, reply);
  return reply.commands;
}

describe('a command', () => {
  test('is answered with its echo, which the history has by then', async () => {
    const response = await post(LIGHT_ON, { 'x-test-principal': 'driver' });
    const reply = response.json();
    assert.equal(response.statusCode, 200, response.body);
    assertIs(CommandReplySchema, reply);
    const { echo, ...rest } = reply;
    assert.deepEqual(
      [rest.status, rest.bus, rest.echoed_by, rest.audited],
      ['acknowledged', 'sim', [4], true],
    );
    assert.ok(rest.round_trip_ms > 0);
    assert.ok(Math.abs((rest.acknowledged - rest.sent) * 1000 - rest.round_trip_ms) < 0.01);
    assert.deepEqual([echo?.message_type, echo?.value_name, echo?.node_id], ['STATUS', 'ON', 4]);
    assert.equal(echo?.timestamp, rest.acknowledged);
    const page = await served.get(`/api/state/history?order=asc&cursor=${echo!.seq - 1}&limit=1`);
    assert.deepEqual(await page.json(), [echo]);

    const [entry] = await entries('?limit=1');
    assert.deepEqual(
      [entry?.id, entry?.principal, entry?.remote_address, entry?.outcome, entry?.sent],
      [reply.id, 'driver', '127.0.0.1', 'acknowledged', reply.sent],
    );
  });

  test('in numbers, with a time-out of its own, is the same', async () => {
    const numbers = { component_type: 0, component_id: 0, command_id: 0, value: 1, value_type: 2 };
    const response = await post({ ...numbers, bus: 'sim', timeout_s: 30 });
    assert.equal(response.json().echo.value_name, 'ON');
  });

  test('to all motors says which nodes answered until then', async () => {
    const stop = { component_type: 'MOTORS', component_id: 'ALL', command_id: 'EMERGENCY', value: 'STOP' };
    const reply = (await post(stop)).json();
    assert.ok(
      reply.echoed_by.length >= 1 && reply.echoed_by.every((node: number) => node === 2 || node === 3),
    );
    assert.equal(reply.echo.component_id, 'ALL');
  });

  test('that nobody acts on is 504', async () => {
    const response = await post({ ...LIGHT_ON, command_id: 'VOLTAGE', value: 1, timeout_s: 0.05 });
    const reply = response.json();
    assertIs(ErrorSchema, reply);
    assert.deepEqual([response.statusCode, reply.code], [504, 'COMMAND_NOT_ACKNOWLEDGED']);
  });

  test('past the limit is 429 with Retry-After, an emergency stop is not', async () => {
    const attempts = Array.from({ length: COMMANDS_PER_SECOND_MAX + 10 }, () =>
      post({ ...LIGHT_ON, value: 2 }),
    );
    const responses = await Promise.all(attempts);
    // Those that wait at once are limited, too.
    const refused = responses.filter(({ statusCode }) => statusCode !== 200);
    assert.ok(refused.length > 0);
    for (const response of refused) {
      const { code } = response.json();
      assert.ok(['COMMANDS_TOO_MANY', 'COMMANDS_WAITING'].includes(code), response.body);
      if (code === 'COMMANDS_TOO_MANY') assert.equal(response.headers['retry-after'], '1');
    }
    const stop = { component_type: 'MOTORS', component_id: 'ALL', command_id: 'EMERGENCY', value: 'STOP' };
    assert.equal((await post(stop)).statusCode, 200);
  });
});

describe('what is no command', () => {
  const cases: [what: string, body: unknown, status: number, code: string, message: RegExp][] = [
    ['no object', [LIGHT_ON], 400, 'COMMAND_INVALID', /^Expected the body to be a JSON object, found \[/],
    ['null', 'null', 400, 'COMMAND_INVALID', /JSON object, found null/],
    [
      'without what it needs',
      { component_type: 0, value: 1 },
      400,
      'COMMAND_INVALID',
      /^Expected component_id, command_id, found none\. It has component_type, .* may have value_type, bus, timeout_s\.$/,
    ],
    ['with a key too many', { ...LIGHT_ON, vlaue: 1 }, 400, 'COMMAND_INVALID', /^A command has no "vlaue"\./],
    ['with __proto__', '{"__proto__":{"value":1}}', 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /./],
    ['with null for a value', { ...LIGHT_ON, value: null }, 400, 'COMMAND_INVALID', /value .* found null\.$/],
    ['with a list for a value', { ...LIGHT_ON, value: ['ON'] }, 400, 'COMMAND_INVALID', /found \["ON"\]/],
    [
      'with half a number for a name',
      { ...LIGHT_ON, component_id: 0.5 },
      400,
      'COMMAND_INVALID',
      /^Expected component_id to be a string or integer .*, found 0\.5\.$/,
    ],
    [
      'with a name that is long',
      { ...LIGHT_ON, bus: 'x'.repeat(101) },
      400,
      'COMMAND_INVALID',
      /^Expected bus /,
    ],
    ['with a time-out as text', { ...LIGHT_ON, timeout_s: '1' }, 400, 'COMMAND_INVALID', /found "1"/],
    [
      'with a time-out that is long',
      { ...LIGHT_ON, timeout_s: 31 },
      400,
      'COMMAND_INVALID',
      /^Expected timeout_s to be a number from 0\.01 to 30, found 31\.$/,
    ],
    [
      'with a value that the protocol does not know',
      { ...LIGHT_ON, value: 'WARP' },
      400,
      'VALUE_UNKNOWN',
      /WARP/,
    ],
    ['for a bus that there is not', { ...LIGHT_ON, bus: 'can9' }, 400, 'BUS_UNKNOWN', /on: sim\.$/],
    ['for a log', { ...LIGHT_ON, bus: 'drive' }, 400, 'BUS_READ_ONLY', /a log that is replayed/],
    ['no JSON', '{"component_type"', 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /JSON/],
    ['empty', '', 400, 'FST_ERR_CTP_EMPTY_JSON_BODY', /empty/],
    [
      'too long',
      { ...LIGHT_ON, value: 'x'.repeat(COMMAND_BODY_BYTES_MAX) },
      413,
      'FST_ERR_CTP_BODY_TOO_LARGE',
      /large/,
    ],
  ];
  for (const [what, body, status, code, message] of cases) {
    test(`${what} is refused, not sent, and noted down`, async () => {
      const { sent, refused } = service.status();
      const response = await post(body);
      const reply = response.json();
      assertIs(ErrorSchema, reply);
      assert.deepEqual([response.statusCode, reply.statusCode, reply.code], [status, status, code]);
      assert.match(reply.message, message);
      assert.deepEqual([service.status().sent, service.status().refused], [sent, refused + 1]);
      const [entry] = await entries('?limit=1');
      assert.deepEqual([entry?.outcome, entry?.code], ['refused', code]);
    });
  }

  test('what was sent is noted down, if it was JSON', async () => {
    await post({ ...LIGHT_ON, vlaue: 1 });
    assert.equal((await entries('?limit=1'))[0]?.asked, JSON.stringify({ ...LIGHT_ON, vlaue: 1 }));
  });

  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/jsonx', '']) {
    test(`not even as ${type || 'nothing'}: a body of JSON says that it is`, async () => {
      const response = await post(LIGHT_ON, { 'content-type': type });
      assert.deepEqual([response.statusCode, response.json().code], [415, 'BODY_NOT_JSON']);
      assert.match(response.json().message, /Content-Type: application\/json/);
      assert.equal((await entries('?limit=1'))[0]?.code, 'BODY_NOT_JSON');
    });
  }

  test('who may not ask is refused before the body is looked at, and noted down', async () => {
    const response = await post({ anything: 1 }, { 'x-test-principal': 'nobody' });
    assert.equal(response.statusCode, 401);
    const [entry] = await entries('?limit=1');
    assert.deepEqual(
      [entry?.outcome, entry?.code, entry?.principal, entry?.asked],
      ['refused', 'TOKEN_MISSING', 'anonymous', null],
    );
  });
});

describe('the audit log', () => {
  test('is told the newest first, so many as are asked for', async () => {
    const all = await entries(`?limit=${AUDIT_ENTRIES_KEPT}`);
    assert.ok(all.length > 3);
    assert.deepEqual(await entries('?limit=3'), all.slice(0, 3));
    assert.ok((await entries()).length <= 100);
    const times = all.map(({ timestamp }) => timestamp);
    assert.deepEqual(
      times,
      times.toSorted((left, right) => right - left),
    );
  });

  for (const query of ['limit=0', `limit=${AUDIT_ENTRIES_KEPT + 1}`, 'offset=1']) {
    test(`is not told for ?${query}`, async () => {
      assert.equal((await api.inject(`/api/commands?${query}`)).statusCode, 400);
    });
  }
});

test('where commands are off both say so, and what to do', async () => {
  const off = apiOver(null);
  for (const request of [
    { method: 'POST', url: '/api/command', payload: LIGHT_ON },
    { method: 'POST', url: '/api/command' },
    { method: 'GET', url: '/api/commands' },
  ] as const) {
    const response = await off.inject(request);
    assert.deepEqual([response.statusCode, response.json().code], [404, 'COMMANDS_DISABLED']);
    assert.match(response.json().message, /--commands on, .*enabled: on.* scope command/);
  }
});
