import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { type CommandClient, commandClient, commandHeaders } from '../support/commands.ts';
import { eventually, type Service, startService } from '../support/service.ts';

/**
 * Commands on the kernel's vcan0, with can-utils as the nodes: candump sees what the service sends, cansend answers it.
 */

const OUR_ID = '010';
const LIGHT_ON = { component_type: 'LIGHTS', component_id: 'FRONT', command_id: 'MODE', value: 'ON' };
const STOP = { component_type: 'MOTORS', component_id: 'ALL', command_id: 'EMERGENCY', value: 'STOP' };
const MODE = {
  component_type: 'MOTORS',
  component_id: 'MOTOR_LEFT_REAR',
  command_id: 'MODE',
  value: 'SPORT',
};

const folder = mkdtempSync(join(tmpdir(), 'command-'));
const database = join(folder, 'collector.db');
const headers = commandHeaders(database);
let service: Service;
let client: CommandClient;

async function start(bus: string): Promise<void> {
  service = await startService({
    args: ['--bus', bus, '--db', database, '--port', '0', '--node-id', `0x${OUR_ID}`, '--commands', 'on'],
  });
  client = commandClient(service, headers);
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
}

before(() => start('socketcan:vcan0'));
after(() => service.stop('SIGKILL'));

/** Every frame on the bus, as `CANID#DATA`; each that is `asked` is answered with `answers`. */
async function watch(t: TestContext, asked = '', answers: readonly string[] = []): Promise<string[]> {
  const seen: string[] = [];
  const candump = spawn('candump', ['-L', 'vcan0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => candump.kill());
  createInterface({ input: candump.stdout }).on('line', (line) => {
    const frame = line.split(' ')[2]!;
    seen.push(frame);
    if (frame === asked) for (const answer of answers) cansend(answer);
  });
  // It listens once it hears.
  await eventually(
    async () => {
      cansend('7FF#');
      return seen.length;
    },
    (count) => count > 0,
  );
  return seen;
}

function cansend(frame: string): void {
  execFileSync('cansend', ['vcan0', frame]);
}

function commandsIn(seen: readonly string[]): string[] {
  return seen.filter((frame) => frame.startsWith(`${OUR_ID}#`));
}

test('a command is on the bus byte for byte, and answered when a node echoes it', async (t) => {
  const seen = await watch(t, `${OUR_ID}#0000000020000001`, ['004#4000000020000001']);
  const { status, reply } = await client.send({ ...LIGHT_ON, timeout_s: 30 });
  assert.equal(status, 200, JSON.stringify(reply));
  // The worked example of the protocol.
  assert.deepEqual(commandsIn(seen), [`${OUR_ID}#0000000020000001`]);
  assert.deepEqual([reply.bus, reply.echoed_by], ['vcan0', [4]]);
  assert.ok(reply.round_trip_ms > 0 && reply.acknowledged > reply.sent);
  // Both times are those of the frames, as the history has them.
  const [asked, echo] = await service.history('component_type=LIGHTS&order=asc');
  assert.deepEqual([asked?.message_type, asked?.timestamp], ['COMMAND', reply.sent]);
  assert.deepEqual([echo, echo?.timestamp], [reply.echo, reply.acknowledged]);
});

test('a command in a unit is the count that stands for it', async (t) => {
  const seen = await watch(t, `${OUR_ID}#0800010730FFFF85`, ['002#4800010730FFFF85']);
  const torque = { component_type: 'MOTORS', component_id: 1, command_id: 'TORQUE', value: -1.23 };
  const { reply } = await client.send({ ...torque, timeout_s: 30 });
  assert.deepEqual([reply.echo?.value, reply.echo?.raw_value, reply.echo?.unit], [-1.23, -123, 'N·m']);
  assert.deepEqual(commandsIn(seen), [`${OUR_ID}#0800010730FFFF85`]);
});

test('an emergency stop to all motors is answered by one of them', async (t) => {
  const seen = await watch(t, `${OUR_ID}#0800FF0620000001`, ['002#4800000620000001']);
  const { status, reply } = await client.send({ ...STOP, timeout_s: 30 });
  assert.equal(status, 200, JSON.stringify(reply));
  assert.deepEqual([reply.echo?.component_id, reply.echoed_by], ['MOTOR_LEFT_REAR', [2]]);
  assert.deepEqual(commandsIn(seen), [`${OUR_ID}#0800FF0620000001`]);
});

test('a command without an echo is told so, though a node sent an ACK or had that value before', async (t) => {
  cansend('004#4000000020000001');
  const seen = await watch(t, `${OUR_ID}#0000000020000001`, ['004#8000000020000001', '004#4000000020000000']);
  const { status, reply } = await client.send({ ...LIGHT_ON, timeout_s: 2 });
  assert.deepEqual([status, reply.code], [504, 'COMMAND_NOT_ACKNOWLEDGED']);
  assert.match(reply.message, /no node echoed it within 2 s: .* An ACK came from node 4\.$/);
  assert.equal(commandsIn(seen).length, 1);
});

test('a command that a node refuses is told with what it says', async (t) => {
  await watch(t, `${OUR_ID}#0800000420000004`, ['002#C800000420000004']);
  const { status, reply } = await client.send({ ...MODE, timeout_s: 30 });
  assert.deepEqual([status, reply.code], [502, 'COMMAND_REFUSED']);
  assert.match(reply.message, /^Node 2 answered .*SPORT with an ERROR of MOTOR_LEFT_REAR: ERROR_OVERTEMP\.$/);
});

test('on a bus that is down nothing is sent, and it is told why', async () => {
  execFileSync('ip', ['link', 'set', 'vcan0', 'down']);
  try {
    await eventually(service.status, ({ buses }) => buses[0]?.state === 'unavailable');
    const { status, reply } = await client.send(STOP);
    assert.deepEqual([status, reply.code], [503, 'BUS_UNAVAILABLE']);
    assert.match(reply.message, /nothing was sent\. .*ip link set/);
  } finally {
    execFileSync('ip', ['link', 'set', 'vcan0', 'up']);
  }
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
});

test('every attempt is in the audit log, with what came of it', async () => {
  const entries = await client.entries();
  assert.deepEqual(
    entries.map(({ outcome, code }) => code ?? outcome),
    [
      'BUS_UNAVAILABLE',
      'COMMAND_REFUSED',
      'COMMAND_NOT_ACKNOWLEDGED',
      'acknowledged',
      'acknowledged',
      'acknowledged',
    ],
  );
  const { commands } = await service.status();
  const { sent, acknowledged, timed_out, refused_by_node, failed } = commands;
  assert.deepEqual([sent, acknowledged, timed_out, refused_by_node, failed], [5, 3, 1, 1, 1]);
});

test('where a filter keeps our own frames away an echo is known all the same', async (t) => {
  await service.stop();
  await start('socketcan:vcan0?filter=004:7FF');
  await watch(t, `${OUR_ID}#0000000020000001`, ['004#4000000020000001']);
  const { status, reply } = await client.send({ ...LIGHT_ON, timeout_s: 30 });
  assert.equal(status, 200, JSON.stringify(reply));
  assert.deepEqual(reply.echoed_by, [4]);
  assert.equal((await service.stop()).code, 0);
});
