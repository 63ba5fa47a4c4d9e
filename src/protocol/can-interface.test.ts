import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { BusError, ProtocolError } from '../shared/errors.ts';
import { CanInterface, type ReceivedMessage } from './can-interface.ts';
import { ProtocolRegistry } from './protocol-registry.ts';

const registry = ProtocolRegistry.load();
const directory = mkdtempSync(join(tmpdir(), 'can-interface-'));
after(() => rmSync(directory, { recursive: true }));

/** Replays frames, written as `ID#DATA`, and gives what handlers got. */
async function replay(
  frames: readonly string[],
  register: (can: CanInterface, got: (message: ReceivedMessage) => void) => void,
): Promise<ReceivedMessage[]> {
  const path = join(directory, 'frames.log');
  writeFileSync(
    path,
    frames.map((frame, index) => `(1764000000.${String(index).padStart(6, '0')}) can0 ${frame}\n`).join(''),
  );
  const can = new CanInterface({ url: `candump:${path}?speed=max`, registry });
  const messages: ReceivedMessage[] = [];
  register(can, (message) => messages.push(message));
  can.start();
  while (can.status().state !== 'ended') await new Promise(setImmediate);
  await can.stop();
  return messages;
}

const LEFT_REAR_RPM_1200 = '002#48000001400004B0';
const RIGHT_REAR_RPM_800 = '002#4800010140000320';
const ALL_MOTORS_RPM_0 = '002#4800FF0140000000';
const LEFT_REAR_THROTTLE = '002#4800000020000032';
const COMMAND_RPM = '010#08000001400004B0';

test('a handler gets the messages of its type, component and command, and no others', async () => {
  const messages = await replay(
    [RIGHT_REAR_RPM_800, LEFT_REAR_THROTTLE, COMMAND_RPM, '002#4800', LEFT_REAR_RPM_1200],
    (can, got) => can.registerHandler('status', 'Motors', 'MOTOR_LEFT_REAR', 'rpm', got),
  );
  assert.equal(messages.length, 1);
  const { nodeId, timestampUs, value, rawValue, valueName, definition } = messages[0]!;
  assert.deepEqual(
    { nodeId, timestampUs, value, rawValue, valueName, unit: definition.unit },
    {
      nodeId: 2,
      timestampUs: 1_764_000_000_000_004,
      value: 1200,
      rawValue: 1200,
      valueName: null,
      unit: 'rpm',
    },
  );
});

test('component id 255 takes every component; a message to all reaches the handlers of each', async () => {
  const frames = [LEFT_REAR_RPM_1200, RIGHT_REAR_RPM_800, ALL_MOTORS_RPM_0];
  const ofAll = await replay(frames, (can, got) => can.registerHandler(1, 1, 255, 1, got));
  assert.deepEqual(
    ofAll.map(({ rawValue }) => rawValue),
    [1200, 800, 0],
  );
  const ofRight = await replay(frames, (can, got) => can.registerHandler(1, 1, 1, 1, got));
  assert.deepEqual(
    ofRight.map(({ rawValue }) => rawValue),
    [800, 0],
  );
});

test('a handler that throws keeps nothing from the others, and one that was ended gets nothing', async () => {
  const messages = await replay([LEFT_REAR_RPM_1200], (can, got) => {
    can.registerHandler('STATUS', 'MOTORS', 'ALL', 'RPM', () => {
      throw new Error('a handler that fails');
    });
    can.registerHandler('STATUS', 'MOTORS', 'ALL', 'RPM', got)();
    can.registerHandler('STATUS', 'MOTORS', 'ALL', 'RPM', got);
  });
  assert.equal(messages.length, 1);
});

test('a command that is sent to the simulated kart comes back as its status', async () => {
  const can = new CanInterface({ url: 'sim:kart', nodeId: 0x10, registry });
  const echo = new Promise<ReceivedMessage>((resolve) => {
    can.registerHandler('STATUS', 'LIGHTS', 'UNDERGLOW', 'COLOR', (message) => {
      if (message.valueName === 'PURPLE') resolve(message);
    });
  });
  can.start();
  while (can.status().state !== 'open') await new Promise((resolve) => setTimeout(resolve, 5));
  await can.send({
    messageType: 'COMMAND',
    componentType: 'LIGHTS',
    componentId: 'UNDERGLOW',
    commandId: 'COLOR',
    value: 'PURPLE',
  });
  assert.equal((await echo).rawValue, 5);
  assert.equal(can.status().framesSent, 1);
  await can.stop();
});

test('what has no name, no value type or no place in a frame is refused with its reason', async () => {
  const can = new CanInterface({ url: 'sim:kart', registry });
  const command = {
    messageType: 'COMMAND',
    componentType: 'MOTORS',
    componentId: 0,
    commandId: 'RPM',
    value: 1,
  };
  const wrong: [object, RegExp][] = [
    [{ componentType: 'WHEELS' }, /no component type called "WHEELS"/],
    [{ componentId: 'SPARE' }, /no component of MOTORS called "SPARE"/],
    [{ commandId: 'FLY' }, /no command of MOTORS called "FLY"/],
    [{ commandId: 'MODE', value: 'WARP' }, /no value called "WARP"/],
    [{ commandId: 99 }, /no value type/],
    [{ value: 70_000 }, /from 0 to 65535, found 70000/],
  ];
  for (const [change, expected] of wrong) {
    await assert.rejects(
      can.send({ ...command, ...change }),
      (error) => error instanceof ProtocolError && expected.test(error.message),
    );
  }
  await assert.rejects(
    can.send(command),
    (error) => error instanceof BusError && error.code === 'BUS_UNAVAILABLE',
  );
  assert.throws(() => new CanInterface({ url: 'can0' }), BusError);
});
