import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CommandRecord } from '../src/commands/command-record.ts';
import { COMMANDS_PER_SECOND_MAX } from '../src/shared/limits.ts';
import { type CommandClient, commandClient, commandHeaders } from './support/commands.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** Commands to the simulated kart, as a client of a whole service sends them. */

const LIGHT = { component_type: 'LIGHTS', component_id: 'UNDERGLOW', command_id: 'COLOR' };
const STOP = { component_type: 'MOTORS', component_id: 'ALL', command_id: 'EMERGENCY', value: 'STOP' };
/** A reading, which no node acts on. */
const UNANSWERED = { component_type: 'LIGHTS', component_id: 'FRONT', command_id: 'VOLTAGE', value: 1 };
const LONG_S = 30;

interface Running {
  readonly service: Service;
  readonly client: CommandClient;
}

interface Vehicle {
  readonly folder: string;
  start(...args: readonly string[]): Promise<Running>;
  audited(): CommandRecord[];
}

/** A service that can be started again and again over one database. */
function vehicle(t: TestContext): Vehicle {
  const folder = temporaryDirectory(t);
  const database = join(folder, 'collector.db');
  const headers = commandHeaders(database);
  return {
    folder,
    async start(...args) {
      const service = await startService({ args: ['--db', database, '--port', '0', ...args] });
      t.after(() => service.stop('SIGKILL'));
      await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
      return { service, client: commandClient(service, headers) };
    },
    audited: () =>
      readFileSync(join(folder, 'commands.log'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
  };
}

test('unless they are switched on nothing is sent, and it is told how', async (t) => {
  const { service, client } = await vehicle(t).start('--time-sync', 'off');
  const { status, reply } = await client.send({ ...LIGHT, value: 'PURPLE' });
  assert.deepEqual([status, reply.code], [404, 'COMMANDS_DISABLED']);
  assert.match(reply.message, /--commands on/);
  const { commands, buses } = await service.status();
  assert.deepEqual([commands.enabled, commands.audit.path, buses[0]!.frames_sent], [false, null, 0]);
});

test('a command is acted on, told, counted and noted down, over a restart, too', async (t) => {
  const { start, audited, folder } = vehicle(t);
  const { service, client } = await start('--commands', 'on', '--node-id', '0x20');
  const { status, reply } = await client.send({ ...LIGHT, value: 'PURPLE' });
  assert.equal(status, 200, JSON.stringify(reply));
  assert.deepEqual([reply.echo?.value_name, reply.echoed_by, reply.audited], ['PURPLE', [4], true]);
  const { components } = await service.state();
  assert.equal(components.LIGHTS?.UNDERGLOW?.COLOR?.value_name, 'PURPLE');
  // What we sent is in the history, under our own id.
  const [asked] = await service.history(
    'component_type=LIGHTS&message_type=COMMAND&command_id=COLOR&limit=1',
  );
  assert.deepEqual([asked?.node_id, asked?.value_name, asked?.timestamp], [0x20, 'PURPLE', reply.sent]);

  assert.equal((await client.send({ ...LIGHT, value: 'NO COLOUR' })).reply.code, 'VALUE_UNKNOWN');
  assert.equal((await client.send({ ...UNANSWERED, timeout_s: 0.1 })).status, 504);
  const { commands } = await service.status();
  assert.deepEqual(
    [commands.enabled, commands.sent, commands.acknowledged, commands.timed_out, commands.refused],
    [true, 2, 1, 1, 1],
  );
  assert.deepEqual([commands.waiting, commands.audit.path], [0, join(folder, 'commands.log')]);
  assert.deepEqual(
    audited().map(({ outcome }) => outcome),
    ['sending', 'acknowledged', 'refused', 'sending', 'timed_out'],
  );
  const before = await client.entries();
  assert.deepEqual(
    before.map(({ outcome, value_name }) => [outcome, value_name]),
    [
      ['timed_out', null],
      ['refused', null],
      ['acknowledged', 'PURPLE'],
    ],
  );
  assert.equal((await service.stop()).code, 0);

  const again = await start('--commands', 'on');
  assert.deepEqual(await again.client.entries(), before);
});

test('an emergency stop goes out while commands are refused by the hundred', async (t) => {
  const { service, client } = await vehicle(t).start('--commands', 'on');
  const flood = Array.from({ length: 2 * COMMANDS_PER_SECOND_MAX }, () =>
    client.send({ ...UNANSWERED, timeout_s: 2 }),
  );
  await eventually(service.status, ({ commands }) => commands.refused > 0);
  const { status, reply } = await client.send(STOP);
  assert.equal(status, 200, JSON.stringify(reply));
  assert.equal(reply.echo?.value_name, 'STOP');
  const { components } = await service.state();
  assert.equal(components.MOTORS?.ALL?.EMERGENCY?.value_name, 'STOP');
  // Others may have been refused since.
  const entry = (await client.entries()).find(({ emergency_stop }) => emergency_stop);
  assert.equal(entry?.outcome, 'acknowledged');
  for (const response of await Promise.all(flood)) {
    assert.ok([429, 503, 504].includes(response.status), JSON.stringify(response.reply));
    if (response.status !== 504) assert.equal(response.headers.get('retry-after'), '1');
  }
});

test('an emergency stop goes out while its sender is refused all else for asking too often', async (t) => {
  const { service, client } = await vehicle(t).start('--commands', 'on', '--rate-limit', '20');
  const healthz = async () => (await fetch(`${service.url}/healthz`)).status;
  for (let stops = 0; stops < 5; stops++) {
    while ((await healthz()) !== 429);
    const { status, reply } = await client.send(STOP);
    assert.equal(status, 200, JSON.stringify(reply));
    assert.equal(reply.echo?.value_name, 'STOP');
  }
});

test('a stop of the service while a command waits ends in time, and is told and noted down', async (t) => {
  const { start, audited } = vehicle(t);
  const { service, client } = await start('--commands', 'on');
  const waiting = client.send({ ...UNANSWERED, timeout_s: LONG_S });
  await eventually(service.status, ({ commands }) => commands.sent === 1);
  assert.equal((await service.stop()).code, 0);
  const { status, reply } = await waiting;
  assert.deepEqual([status, reply.code], [503, 'SERVICE_STOPPING']);
  assert.match(reply.message, /was sent on /);
  assert.deepEqual(
    audited().map(({ outcome, code }) => [outcome, code]),
    [
      ['sending', null],
      ['failed', 'SERVICE_STOPPING'],
    ],
  );
});

test('a command that a crash has cut off is known as one that may have been sent', async (t) => {
  const { start } = vehicle(t);
  const { service, client } = await start('--commands', 'on');
  const waiting = client.send({ ...UNANSWERED, timeout_s: LONG_S }).catch((error) => error);
  await eventually(service.status, ({ commands }) => commands.sent === 1);
  await service.stop('SIGKILL');
  await waiting;
  const [entry] = await (await start('--commands', 'on')).client.entries();
  assert.deepEqual([entry?.outcome, entry?.command_id], ['sending', 'VOLTAGE']);
});
