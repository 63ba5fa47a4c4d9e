import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import type { GapReply, SampleReply, StatusReply } from '../../src/api/schemas.ts';
import { CHECKOUT, eventually, type Service, startService } from '../support/service.ts';

/**
 * The whole service on a real CAN bus: the kernel's vcan0 with can-utils as the peer. Each test goes on
 * from where the one before left the service, as a drive does.
 */

const database = join(mkdtempSync(join(tmpdir(), 'service-')), 'collector.db');

/** Where a test's frame is among the samples: the sending node's id is the frame's CAN id. */
interface Expected {
  readonly frame: string;
  readonly path: readonly [componentType: string, componentId: string, commandId: string];
  readonly sample: Partial<SampleReply>;
}

const EXAMPLES: readonly Expected[] = [
  {
    frame: '002#48000001400004B0',
    path: ['MOTORS', 'MOTOR_LEFT_REAR', 'RPM'],
    sample: {
      message_type: 'STATUS',
      value_type: 'UINT16',
      value: 1200,
      raw_value: 1200,
      unit: 'rpm',
      node_id: 2,
    },
  },
  {
    frame: '003#5000010130FFFC18',
    path: ['BATTERIES', 'MOTOR_LEFT_REAR', 'CURRENT'],
    sample: {
      message_type: 'STATUS',
      value_type: 'INT16',
      value: -1000,
      raw_value: -1000,
      unit: 'mA',
      node_id: 3,
    },
  },
  {
    frame: '010#0000000020000001',
    path: ['LIGHTS', 'FRONT', 'MODE'],
    sample: {
      message_type: 'COMMAND',
      value_type: 'UINT8',
      value: 1,
      value_name: 'ON',
      unit: null,
      node_id: 16,
    },
  },
  {
    frame: '005#680004056000002A',
    path: ['SYSTEM_MONITOR', 'TIME_MASTER', 'PONG'],
    sample: { message_type: 'STATUS', value_type: 'UINT24', value: 42, node_id: 5 },
  },
  {
    frame: '003#C800010920000004',
    path: ['MOTORS', 'MOTOR_RIGHT_REAR', 'TEMPERATURE'],
    sample: { message_type: 'ERROR', value: 4, value_name: 'ERROR_OVERTEMP', unit: null, node_id: 3 },
  },
  {
    frame: '004#6000010A50400000',
    path: ['NAVIGATION', 'GPS_PRIMARY', 'LATITUDE'],
    sample: { message_type: 'STATUS', value: 90, raw_value: 0x40_0000, node_id: 4 },
  },
];

/** A STATUS of an unassigned component type, an unknown component and command, and an unassigned value type. */
const UNKNOWN: Expected = {
  frame: '7FF#70002A63F0123456',
  path: ['TYPE_6', 'COMPONENT_42', 'COMMAND_99'],
  sample: {
    message_type: 'STATUS',
    value_type: 'VALUE_TYPE_15',
    value: 0x12_3456,
    unit: null,
    node_id: 0x7ff,
  },
};

let service: Service;

async function start(): Promise<void> {
  service = await startService({ args: ['--bus', 'socketcan:vcan0', '--db', database, '--port', '0'] });
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
}

after(() => service?.stop('SIGKILL'));

function cansend(frame: string): void {
  execFileSync('cansend', ['vcan0', frame]);
}

function countOf(gaps: readonly GapReply[], wanted: GapReply['cause']): number {
  return gaps.reduce((total, { cause, count }) => (cause === wanted ? total + (count ?? 0) : total), 0);
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}

function bus({ buses }: StatusReply): StatusReply['buses'][number] {
  return buses[0]!;
}

test('the worked examples, sent by cansend, come back from every endpoint and lie in the database', async () => {
  await start();
  const sentS = Date.now() / 1000;
  const expected = [...EXAMPLES, UNKNOWN];
  for (const { frame } of expected) cansend(frame);

  await eventually(service.status, ({ history }) => history.samples === expected.length);
  const { simulated, components } = await service.state();
  assert.equal(simulated, false);
  const samples = await service.history();
  assert.equal(samples.length, expected.length);

  for (const [index, { path, sample }] of expected.entries()) {
    const [type, id, command] = path;
    const state = components[type]?.[id]?.[command];
    assert.ok(state, path.join('/'));
    const stored = samples.find(({ seq }) => seq === index + 1);
    assert.ok(stored);
    assert.deepEqual([stored.component_type, stored.component_id, stored.command_id], path);
    for (const [name, value] of Object.entries(sample)) {
      assert.equal(state[name as keyof typeof state], value, `${path.join('/')} ${name} now`);
      assert.equal(stored[name as keyof SampleReply], value, `${path.join('/')} ${name} in the history`);
    }
    assert.equal(stored.bus, 'vcan0');
    assert.equal(stored.timestamp, state.timestamp);
    assert.ok(Math.abs(stored.timestamp - sentS) < 30, "the kernel's timestamp is the moment of sending");

    const response = await fetch(
      `${service.url}/api/state/component/${type.toLowerCase()}/${id.toLowerCase()}`,
    );
    const component = (await response.json()) as typeof components & { components: typeof components };
    assert.equal(component.components[type]?.[id]?.[command]?.raw_value, state.raw_value);
  }

  const reader = new DatabaseSync(database, { readOnly: true });
  const { samples: kept } = reader.prepare('SELECT sum(count) AS samples FROM chunks').get()!;
  reader.close();
  assert.equal(kept, expected.length);
});

test('what is no kart message is counted by kind, shown and harmless', async () => {
  const before = bus(await service.status()).outcomes;
  cansend('123#DEADBEEF');
  cansend('123#');
  cansend('123#R');
  // A report of the controller: its error flag and the class "bus error".
  cansend('20000080#0000000000000000');
  cansend('18FF1234#4800000140000001');
  const { outcomes, can_ids } = await eventually(
    async () => bus(await service.status()),
    (status) => status.outcomes.extended_id === 1,
  );
  assert.equal(outcomes.wrong_length, before.wrong_length! + 2);
  assert.equal(outcomes.remote_frame, 1);
  assert.equal(outcomes.error_frame, 1);
  assert.equal(outcomes.decoded, before.decoded);
  const sender = can_ids.find(({ can_id, extended }) => can_id === 0x123 && !extended);
  assert.deepEqual(sender?.outcomes, { wrong_length: 2, remote_frame: 1 });
});

test('a SIGTERM stores everything and exits 0; the next start knows it, as stale', async () => {
  cansend('002#4800000140000539');
  const { code } = await service.stop('SIGTERM');
  assert.equal(code, 0, service.output());

  await start();
  const { components } = await service.state();
  const rpm = components.MOTORS?.MOTOR_LEFT_REAR?.RPM;
  assert.equal(rpm?.value, 0x539);
  assert.equal(rpm.stale, true);
  assert.equal(rpm.count, 2);
  for (const { path } of EXAMPLES) assert.equal(components[path[0]]?.[path[1]]?.[path[2]]?.stale, true);
  assert.equal((await service.history()).length, EXAMPLES.length + 2);

  cansend('002#480000014000053A');
  const { components: live } = await eventually(
    service.state,
    (state) => state.components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.value === 0x53a,
  );
  assert.equal(live.MOTORS?.MOTOR_LEFT_REAR?.RPM?.stale, false);
});

test('20,000 frames back to back arrive, and every one that does not is counted', async () => {
  const sent = 20_000;
  const before = bus(await service.status());
  execFileSync('cangen', [
    'vcan0',
    '-g',
    '0',
    '-n',
    String(sent),
    '-I',
    '2',
    '-L',
    '8',
    '-D',
    '48000001400004B0',
  ]);
  const lostOrFound = (status: typeof before) =>
    status.frames - before.frames + Number(status.driver.kernel_drops) - Number(before.driver.kernel_drops);
  const now = await eventually(
    async () => bus(await service.status()),
    (status) => lostOrFound(status) >= sent,
  );
  assert.equal(lostOrFound(now), sent);
  assert.equal(now.outcomes.decoded! - before.outcomes.decoded!, now.frames - before.frames);
  const { history } = await eventually(
    service.status,
    (status) =>
      status.history.sample_batches.used <= 1 && status.history.samples >= now.frames - before.frames,
  );
  assert.deepEqual(history.samples_lost, { queue: 0, write: 0 });
  const drops = Number(now.driver.kernel_drops);
  await eventually(service.gaps, (gaps) => countOf(gaps, 'kernel') === drops);
  process.stdout.write(
    `# ${now.frames - before.frames} of ${sent} frames arrived, the rest were dropped by the kernel\n`,
  );
});

test('a controller that is off the bus is told of, as a gap too', async () => {
  // Frames with CAN_ERR_FLAG, as a controller's driver makes them: error-passive, bus-off, and a restart.
  cansend('20000204#0020000000008700');
  cansend('20000040#0000000000000000');
  const { controller } = await eventually(
    async () => bus(await service.status()),
    (status) => status.controller.state === 'bus_off',
  );
  assert.deepEqual([controller.tx_errors, controller.rx_errors], [135, 0]);
  assert.deepEqual([controller.errors.controller_state, controller.errors.bus_off], [1, 1]);
  assert.deepEqual(
    controller.changes.map(({ state }) => state),
    ['error_passive', 'bus_off'],
  );
  const lasting = await eventually(
    () => service.gaps('bus=vcan0'),
    (gaps) => gaps.at(-1)?.cause === 'bus_off',
  );
  assert.equal(lasting.at(-1)!.ongoing, true);
  assert.equal(lasting.at(-1)!.from, controller.changes[1]!.timestamp);

  cansend('20000100#0000000000000000');
  const ended = await eventually(service.gaps, (gaps) => gaps.at(-1)?.ongoing === false);
  const { state, changes, last_error } = bus(await service.status()).controller;
  assert.equal(state, 'error_active');
  assert.equal(last_error?.message, 'the controller was restarted');
  assert.deepEqual(ended.at(-1), {
    bus: 'vcan0',
    cause: 'bus_off',
    from: changes[1]!.timestamp,
    to: changes[2]!.timestamp,
    count: null,
    ongoing: false,
  });
});

test('its state and counters are signals like others', async () => {
  const told = await service.history('component_type=CAN_BUS&component_id=vcan0&command_id=STATE&order=asc');
  assert.deepEqual(
    told.map(({ value_name }) => value_name),
    ['ERROR_PASSIVE', 'BUS_OFF', 'ERROR_ACTIVE'],
  );
  const { changes } = bus(await service.status()).controller;
  assert.deepEqual(
    told.map(({ timestamp }) => timestamp),
    changes.map(({ timestamp }) => timestamp),
  );
});

test('a bus that is deleted is shown as missing, with what to do, and read again when it is back', async () => {
  const lostS = Date.now() / 1000;
  ip('link', 'del', 'vcan0');
  const { problem } = await eventually(
    async () => bus(await service.status()),
    ({ state }) => state === 'unavailable',
  );
  assert.match(problem!.message, /vcan0/);
  assert.match(problem!.message, /ip link add vcan0 type vcan/);
  assert.equal((await fetch(`${service.url}/readyz`)).status, 503);
  assert.equal((await fetch(`${service.url}/healthz`)).status, 200);

  const whileDown = await eventually(
    () => service.gaps('bus=vcan0'),
    (gaps) => gaps.at(-1)?.cause === 'bus_down',
  );
  const noticedS = bus(await service.status()).since;
  const lasting = whileDown.at(-1)!;
  assert.deepEqual([lasting.bus, lasting.ongoing, lasting.count], ['vcan0', true, null]);
  assert.ok(lasting.from >= lostS && lasting.from <= noticedS, `${lostS} to ${lasting.from} to ${noticedS}`);
  assert.ok(lasting.to >= lasting.from);

  ip('link', 'add', 'vcan0', 'type', 'vcan');
  const down = await eventually(
    async () => bus(await service.status()),
    (status) => /is down/.test(status.problem?.message ?? ''),
  );
  assert.match(down.problem!.message, /sudo ip link set vcan0 up/);
  const mendedS = Date.now() / 1000;
  ip('link', 'set', 'vcan0', 'up');
  const { reopened } = await eventually(
    async () => bus(await service.status()),
    ({ state }) => state === 'open',
  );
  assert.equal(reopened, 1);
  cansend('002#4800000140000777');
  await eventually(service.state, (state) => state.components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.value === 0x777);
  assert.equal((await fetch(`${service.url}/readyz`)).status, 200);
  const whenBack = await eventually(service.gaps, (gaps) => gaps.at(-1)?.ongoing === false);
  const { to, ...ended } = whenBack.at(-1)!;
  assert.deepEqual(ended, {
    bus: 'vcan0',
    cause: 'bus_down',
    from: lasting.from,
    count: null,
    ongoing: false,
  });
  assert.ok(to >= mendedS && to <= Date.now() / 1000, `${mendedS} to ${to}`);
  // It is one of three: the others are the restart of the service and the controller that was off.
  assert.deepEqual(
    whenBack.filter(({ cause }) => cause !== 'kernel').map(({ cause }) => cause),
    ['service_down', 'bus_off', 'bus_down'],
  );
  assert.equal((await service.stop('SIGINT')).code, 0);
});

test('CAN_INTERFACE=vcan0 npm start reads the real bus', async () => {
  service = await startService({
    command: ['npm', 'start', '--silent'],
    cwd: CHECKOUT,
    env: { CAN_INTERFACE: 'vcan0', API_PORT: '0', DB_PATH: join(tmpdir(), 'npm-start.db') },
  });
  const status = await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
  assert.equal(bus(status).url, 'socketcan:vcan0');
  cansend('001#5800010A40000200');
  const { components } = await eventually(service.state, (state) => state.components.CONTROLS !== undefined);
  assert.equal(components.CONTROLS?.THROTTLE?.POSITION?.value, 512);
  assert.equal((await service.stop()).code, 0);
});
