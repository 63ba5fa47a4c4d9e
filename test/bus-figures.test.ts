import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SampleReply } from '../src/api/schemas.ts';
import { CollectorClient } from '../src/client/index.ts';
import { runCli } from './support/cli.ts';
import { logLine } from './support/served-pipeline.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const LOAD = 'CAN_BUS/sim/LOAD';
const FRAME_RATE = 'CAN_BUS/sim/FRAME_RATE';
const OF_BUSES = 'component_type=CAN_BUS&limit=10000&order=asc';

async function start(t: TestContext, cwd: string, ...args: string[]): Promise<Service> {
  const service = await startService({ cwd, args: ['--db', 'collector.db', '--port', '0', ...args] });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

const of = (samples: readonly SampleReply[], command: string) =>
  samples.filter(({ command_id }) => command_id === command);

test('the load of a live bus is a signal like any other; a log that is replayed has none', async (t) => {
  const cwd = temporaryDirectory(t);
  const lines = Array.from({ length: 20 }, (_, at) =>
    logLine(1_764_000_000_000_000 + at * 100_000, 2, '48 00 00 01 40 00 04 B0'),
  );
  writeFileSync(join(cwd, 'drive.log'), lines.join(''));
  const service = await start(
    t,
    cwd,
    ...['--bus', 'sim:kart', '--bus', 'candump:drive.log', '--host-interval', '200ms'],
  );
  const client = new CollectorClient({ url: service.url });
  const stream = client.stream();
  t.after(() => stream.close());
  const streamed: SampleReply[] = [];
  stream.subscribe({ signals: ['CAN_BUS/*/LOAD'], snapshot: false }, (samples) => streamed.push(...samples));

  const { components } = await eventually(
    service.state,
    (state) => (state.components.CAN_BUS?.sim?.LOAD?.count ?? 0) >= 10,
  );
  assert.deepEqual(Object.keys(components.CAN_BUS!), ['sim']);
  const { LOAD: load, FRAME_RATE: rate, FRAMES_LOST: lost } = components.CAN_BUS!.sim!;
  const facts = [load, rate, lost].map((each) => [each!.unit, each!.bus, each!.message_type, each!.node_id]);
  assert.deepEqual(facts, [
    ['%', 'sim', 'STATUS', 0],
    ['frames/s', 'sim', 'STATUS', 0],
    ['frames', 'sim', 'STATUS', 0],
  ]);
  // So many frames of 8 bytes, stuff bits and all, of 500 kbit/s.
  const samples = await service.history(`${OF_BUSES}&bus=sim`);
  const rates = new Map(of(samples, 'FRAME_RATE').map(({ timestamp, value }) => [timestamp, value]));
  // In an interval in which the machine did something else none may have come.
  const loads = of(samples, 'LOAD').filter(({ value }) => value > 0);
  assert.ok(loads.length > 0);
  for (const { timestamp, value } of loads) {
    const bitsPerFrame = (value / 100) * (500_000 / rates.get(timestamp)!);
    assert.ok(bitsPerFrame > 108 && bitsPerFrame < 135, `${value} %, ${rates.get(timestamp)} frames/s`);
  }
  assert.deepEqual(
    of(samples, 'FRAMES_LOST').map(({ value }) => value),
    [0],
    'what stays is told once',
  );

  const { signals } = await client.series({ signals: [LOAD, FRAME_RATE], points: 10 });
  assert.ok(signals.every(({ count }) => count.reduce((sum, each) => sum + each) >= 10));
  await eventually(
    async () => streamed,
    ({ length }) => length >= 2,
  );
  assert.ok(streamed.every(({ component_id, command_id }) => `${component_id} ${command_id}` === 'sim LOAD'));

  const { buses } = await eventually(service.status, (status) => status.buses[1]!.state === 'ended');
  assert.deepEqual(
    buses.map(({ name, figures_interval_s }) => [name, figures_interval_s]),
    [
      ['sim', 0.2],
      ['drive', null],
    ],
  );
  assert.equal((await service.stop()).code, 0);

  const database = join(cwd, 'collector.db');
  const { stdout } = await runCli('export', '--db', database, '--signal', 'CAN_BUS/sim/*');
  const rows = stdout.trim().split('\n').slice(1);
  assert.ok(rows.filter((row) => row.includes(',CAN_BUS,sim,LOAD,UINT16,')).length >= 10);
  // Until when none were lost, which the last sample had left open.
  assert.equal(rows.filter((row) => row.includes(',CAN_BUS,sim,FRAMES_LOST,UINT24,0,0,,frames')).length, 2);
});

test('where the health of the machine is not recorded, nor are they, nor is the state of before', async (t) => {
  const cwd = temporaryDirectory(t);
  const before = await start(t, cwd, '--host-interval', '100ms');
  await eventually(
    () => before.history(OF_BUSES),
    ({ length }) => length > 0,
  );
  await before.stop();
  const service = await start(t, cwd, '--host-interval', 'off');
  const { buses } = await eventually(service.status, (status) => status.buses[0]!.bus_load_percent! > 0);
  assert.equal(buses[0]!.figures_interval_s, null);
  assert.equal((await service.state()).components.CAN_BUS, undefined);
  const told = await service.history(OF_BUSES);
  assert.ok(told.length > 0 && told.every(({ timestamp }) => timestamp < buses[0]!.since));
});
