import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StateReply } from '../src/api/schemas.ts';
import { logLine } from './support/served-pipeline.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const OUR_ID = 0x21;
const HISTORY = 'component_type=SYSTEM_MONITOR&component_id=RASPBERRY_PI&limit=10000&order=asc';

async function start(t: TestContext, cwd: string, ...args: string[]): Promise<Service> {
  const service = await startService({
    cwd,
    args: ['--db', 'collector.db', '--port', '0', '--node-id', String(OUR_ID), ...args],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

const healthOf = ({ components }: StateReply) => components.SYSTEM_MONITOR?.RASPBERRY_PI ?? {};

test("this machine's health is in the state and the history, of the bus called host", async (t) => {
  const cwd = temporaryDirectory(t);
  const service = await start(t, cwd, '--host-interval', '200ms');
  const state = await eventually(
    service.state,
    (reply) =>
      healthOf(reply).CPU_LOAD_PERCENT?.bus === 'host' && healthOf(reply).CPU_LOAD_PERCENT!.count >= 3,
  );
  const health = Object.fromEntries(Object.entries(healthOf(state)).filter(([, { bus }]) => bus === 'host'));
  const { COMPONENT_UPTIME_S, CPU_LOAD_PERCENT, MEMORY_FREE_BYTES, DISK_USAGE_PERCENT } = health;
  assert.ok(COMPONENT_UPTIME_S!.value > 0 && MEMORY_FREE_BYTES!.value > 0);
  for (const { value, unit } of [CPU_LOAD_PERCENT!, DISK_USAGE_PERCENT!]) {
    assert.ok(value >= 0 && value <= 100 && unit === '%', `${value} ${unit}`);
  }
  for (const [command, { bus, node_id, message_type, timestamp, stale }] of Object.entries(health)) {
    assert.deepEqual([bus, node_id, message_type, stale], ['host', OUR_ID, 'STATUS', false], command);
    assert.ok(Math.abs(timestamp - state.timestamp) < 30, command);
  }

  // What the simulated kart says of its computer is left out: that is this machine.
  const before = await eventually(service.status, ({ buses }) => buses[0]!.outcomes.own_health! >= 8);
  const told = await service.history(HISTORY);
  assert.ok(told.length >= 3 * Object.keys(health).length);
  assert.ok(
    told.every(({ bus, value_type, timestamp }) => bus === 'host' && value_type !== '' && timestamp > 0),
  );
  // All of one reading are of one moment, and each quantity is there once.
  const byMoment = Object.groupBy(told, ({ timestamp }) => String(timestamp));
  for (const samples of Object.values(byMoment)) {
    assert.equal(new Set(samples!.map(({ command_id }) => command_id)).size, samples!.length);
  }
  assert.ok(before.host.health.samples > 0 && before.host.health.interval_s === 0.2);
  // Nothing was sent: it has to be asked for.
  assert.equal(before.host.health.frames_sent, 0);
  assert.equal((await service.stop()).code, 0);

  // The next start knows it, until it is told anew.
  const next = await start(t, cwd, ...['--host-interval', '1h', '--bus', 'socketcan:nosuchcan0']);
  const restored = healthOf(await next.state());
  assert.deepEqual(Object.keys(restored).sort(), Object.keys(health).sort());
  assert.ok(Object.values(restored).every(({ bus, stale, count }) => bus === 'host' && stale && count >= 3));
});

test('where it is sent, what comes back from the bus is no second sample', async (t) => {
  const service = await start(
    t,
    temporaryDirectory(t),
    ...['--host-interval', '100ms', '--host-send', 'sim', '--time-sync', 'off'],
  );
  const { buses, host } = await eventually(
    service.status,
    (status) => status.buses[0]!.outcomes.own_health! >= 20 && status.host.health.frames_sent >= 20,
  );
  const { outcomes, frames, can_ids } = buses[0]!;
  assert.equal(host.health.send_failures, 0);
  assert.equal(
    Object.values(outcomes).reduce((sum, count) => sum + count, 0),
    frames,
    'every frame has an outcome',
  );
  const ours = can_ids.find(({ can_id }) => can_id === OUR_ID)!;
  assert.deepEqual(ours.outcomes, { own_health: ours.frames });
  const told = (await service.history(HISTORY)).filter(({ node_id }) => node_id === OUR_ID);
  assert.ok(told.length >= 20);
  assert.ok(told.every(({ bus }) => bus === 'host'));
  assert.equal((await service.stop()).code, 0);
});

test('beside logs alone there is none: they are of another machine and time', async (t) => {
  const cwd = temporaryDirectory(t);
  const firstUs = 1_764_000_000_000_000;
  const lines = Array.from({ length: 100 }, (_, index) =>
    logLine(firstUs + index * 10_000, 2, '48 00 00 01 40 00 04 B0'),
  );
  writeFileSync(join(cwd, 'drive.log'), lines.join(''));
  const service = await start(t, cwd, '--bus', 'candump:drive.log', '--host-interval', '100ms');
  const { host, history } = await eventually(
    service.status,
    (status) => status.history.samples === lines.length,
  );
  assert.deepEqual([host.health.interval_s, host.health.samples], [null, 0]);
  assert.equal(history.samples, lines.length);
  assert.deepEqual(Object.keys((await service.state()).components), ['MOTORS']);
});
