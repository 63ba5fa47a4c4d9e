import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { eventually, type Service, startService } from '../support/service.ts';

/** The machine's own health on the kernel's vcan0, as candump sees it. */

const OUR_ID = 0x10;
const HISTORY = 'component_type=SYSTEM_MONITOR&component_id=RASPBERRY_PI&limit=10000&order=asc';

/** STATUS, SYSTEM_MONITOR, RASPBERRY_PI: bytes 0 and 2; byte 1 is 0, as nobody syncs this node. */
const HEALTH = /^6800 01 (..) (.)0 (.{6})$/;

/** The quantities by their number, and the value type that each is sent with. */
const QUANTITIES: Readonly<Record<string, readonly [command: string, valueType: string]>> = {
  '0A': ['COMPONENT_UPTIME_S', '6'],
  '0C': ['CPU_LOAD_PERCENT', '2'],
  '0D': ['MEMORY_FREE_BYTES', '6'],
  '0E': ['DISK_USAGE_PERCENT', '2'],
};

interface SeenFrame {
  readonly canId: string;
  readonly data: string;
}

/** Every frame on the bus, as another socket sees it. */
function watch(t: TestContext): SeenFrame[] {
  const seen: SeenFrame[] = [];
  const candump = spawn('candump', ['-L', 'vcan0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => candump.kill());
  createInterface({ input: candump.stdout }).on('line', (line) => {
    const [, canId, data] = / vcan0 ([0-9A-F]{3})#([0-9A-F]*)/.exec(line) ?? [];
    if (canId !== undefined) seen.push({ canId, data: data! });
  });
  return seen;
}

async function start(t: TestContext, ...args: string[]): Promise<Service> {
  const database = join(mkdtempSync(join(tmpdir(), 'host-health-')), 'collector.db');
  const service = await startService({
    args: ['--bus', 'socketcan:vcan0', '--db', database, '--port', '0', '--node-id', String(OUR_ID), ...args],
  });
  t.after(() => service.stop('SIGKILL'));
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
  return service;
}

test('is sent as STATUS frames where that is asked for, and is a sample but once', async (t) => {
  const seen = watch(t);
  const service = await start(t, '--host-interval', '500ms', '--host-send', 'vcan0');
  // What another node says of itself is a sample of this bus, also under the same name.
  execFileSync('cansend', ['vcan0', '003#6800010C20000063']);
  const frames = await eventually(
    async () => seen.filter(({ canId }) => canId === '010'),
    ({ length }) => length >= 12,
  );
  const values = new Map<string, Set<number>>();
  for (const { data } of frames) {
    const spaced = data.replace(/^(....)(..)(..)(..)(.{6})$/, '$1 $2 $3 $4 $5');
    const [, id, valueType, value] = HEALTH.exec(spaced) ?? [];
    assert.ok(id !== undefined, data);
    const [command, expectedType] = QUANTITIES[id] ?? [`COMMAND_${Number.parseInt(id, 16)}`, valueType];
    assert.equal(valueType, expectedType, command);
    values.set(command, (values.get(command) ?? new Set()).add(Number.parseInt(value!, 16)));
  }
  for (const [command] of Object.values(QUANTITIES)) assert.ok(values.has(command), command);

  const status = await eventually(
    service.status,
    ({ buses, host }) =>
      buses[0]!.outcomes.own_health! >= 12 && buses[0]!.outcomes.own_health === host.health.frames_sent,
  );
  const { outcomes, frames: framesRead, frames_sent } = status.buses[0]!;
  assert.deepEqual([outcomes.decoded, outcomes.own_health, framesRead], [1, frames_sent, 1 + frames_sent]);
  assert.equal(status.host.health.send_failures, 0);

  const told = await service.history(HISTORY);
  const ofOthers = told.filter(({ bus }) => bus === 'vcan0');
  assert.deepEqual(
    ofOthers.map(({ node_id, command_id, value }) => [node_id, command_id, value]),
    [[3, 'CPU_LOAD_PERCENT', 99]],
  );
  // What was on the bus is what was recorded.
  for (const [command, onBus] of values) {
    const recorded = told.filter(({ bus, command_id }) => bus === 'host' && command_id === command);
    for (const value of onBus)
      assert.ok(
        recorded.some(({ raw_value }) => raw_value === value),
        command,
      );
  }
  const { components } = await service.state();
  assert.equal(components.SYSTEM_MONITOR?.RASPBERRY_PI?.CPU_LOAD_PERCENT?.bus, 'host');
  assert.equal((await service.stop()).code, 0);
});

test('is recorded unless told otherwise, and sent nowhere unless asked for', async (t) => {
  const seen = watch(t);
  const service = await start(t, '--host-interval', '100ms');
  const { buses, host } = await eventually(service.status, (status) => status.host.health.samples >= 12);
  assert.deepEqual([buses[0]!.frames, buses[0]!.frames_sent, host.health.frames_sent], [0, 0, 0]);
  assert.deepEqual(seen, []);
  assert.ok((await service.history(HISTORY)).every(({ bus }) => bus === 'host'));
});
