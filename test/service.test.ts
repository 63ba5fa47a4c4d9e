import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import type { StatusReply } from '../src/api/schemas.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** What a stop may take, whatever the service is doing. */
const STOP_PROMISE_MS = 2000;

/** Starts the service in a directory of the test's own; it ends with the test. */
async function start(t: TestContext, cwd: string, ...args: string[]): Promise<Service> {
  const service = await startService({
    cwd,
    args: ['--db', 'collector.db', '--port', '0', '--flush-interval', '200ms', ...args],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

/** What a service says that ends before it serves, and its exit code. */
async function failureOf(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
  try {
    const service = await startService({ cwd, args: ['--db', 'collector.db', ...args] });
    await service.stop('SIGKILL');
  } catch (error) {
    const [, code, output] =
      /^the service ended with (\d+) before it served:\n(.*)$/s.exec(String((error as Error).message)) ?? [];
    assert.notEqual(code, undefined, String(error));
    return { code: Number(code), output: output! };
  }
  throw new Error('the service serves');
}

const whenStored = (service: Service, samples: number): Promise<StatusReply> =>
  eventually(service.status, ({ history }) => history.samples >= samples);

function storedSamples(cwd: string): number {
  const database = new DatabaseSync(join(cwd, 'collector.db'), { readOnly: true });
  const row = database.prepare('SELECT coalesce(sum(count), 0) AS samples FROM chunks').get();
  database.close();
  return Number(row?.samples);
}

describe('the service', { concurrency: 2 }, () => {
  test('drives the simulated kart, keeps what it heard when it is stopped, and knows it at the next start', async (t) => {
    const cwd = temporaryDirectory(t);
    const first = await start(t, cwd);
    assert.match(first.output(), /telemetry-collector \d+\.\d+\.\d+/);
    assert.match(first.output(), /Reading +sim \(sim:kart\) +SIMULATED: not a real vehicle/);
    assert.match(first.output(), /Serving +http:\/\/127\.0\.0\.1:\d+ {2}\(the dashboard: /);
    assert.match(first.output(), /History +\S+collector\.db\n/);

    const state = await eventually(first.state, ({ components }) => components.MOTORS !== undefined);
    assert.equal(state.simulated, true);
    const rpm = await eventually(
      first.state,
      ({ components }) => components.MOTORS?.MOTOR_LEFT_REAR?.RPM !== undefined,
    );
    assert.equal(rpm.components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.stale, false);

    const status = await whenStored(first, 200);
    const { code, tookMs } = await first.stop('SIGTERM');
    assert.equal(code, 0, first.output());
    assert.ok(tookMs < STOP_PROMISE_MS, `${tookMs} ms`);
    const stored = storedSamples(cwd);
    assert.ok(stored >= status.history.samples, `${stored} of ${status.history.samples}`);
    assert.ok(stored >= status.buses[0]!.frames, `${stored} of ${status.buses[0]!.frames} frames`);

    // The same bus, but silent.
    writeFileSync(join(cwd, 'sim.log'), '');
    const second = await start(t, cwd, '--bus', 'candump:sim.log');
    const restored = await second.state();
    assert.equal(restored.simulated, false);
    const signals = Object.values(restored.components).flatMap((type) =>
      Object.values(type).flatMap((component) => Object.values(component)),
    );
    assert.ok(signals.length >= 20, String(signals.length));
    assert.ok(signals.every(({ stale, rate_hz, count }) => stale && rate_hz === 0 && count > 0));
    assert.equal((await second.status()).history.samples, stored);
    // With a log alone nothing was missed.
    assert.deepEqual(await second.gaps(), []);
    const [newest] = await second.history('limit=1');
    assert.equal(newest?.seq, stored);
    assert.equal((await second.stop()).code, 0);
  });

  test('is alone with its database: another one refuses, and it goes on', async (t) => {
    const cwd = temporaryDirectory(t);
    const first = await start(t, cwd);
    const { code, output } = await failureOf(cwd, '--port', '0');
    assert.equal(code, 1);
    assert.match(
      output,
      /Another telemetry-collector is using the database \S+collector\.db\. Stop it, or .* --db FILE/,
    );
    assert.doesNotMatch(output, /\n +at /);
    const { history } = await first.status();
    await whenStored(first, history.samples + 100);
    const { code: firstCode, tookMs } = await first.stop('SIGINT');
    assert.equal(firstCode, 0);
    assert.ok(tookMs < STOP_PROMISE_MS, `${tookMs} ms`);
  });

  test('killed without warning loses nothing that was committed, and starts again', async (t) => {
    const cwd = temporaryDirectory(t);
    const first = await start(t, cwd);
    const { history } = await whenStored(first, 200);
    assert.deepEqual(await first.gaps(), []);
    await first.stop('SIGKILL');
    const deadS = Date.now() / 1000;
    const second = await start(t, cwd);
    assert.ok((await second.status()).history.samples >= history.samples);
    const seqs = (await second.history('limit=10000&order=asc')).map(({ seq }) => seq);
    assert.equal(new Set(seqs).size, seqs.length);

    // The time between is a gap: from a commit of the first to the start of the second.
    const [gap] = await eventually(second.gaps, (gaps) => gaps.length > 0);
    const { started } = await second.status();
    assert.ok(gap!.from >= history.last_timestamp! && gap!.from <= deadS, `${gap!.from} to ${deadS}`);
    assert.ok(gap!.to >= deadS && gap!.to <= started, `${deadS} to ${gap!.to} to ${started}`);
    const { cause, bus, count, ongoing } = gap!;
    assert.deepEqual([cause, bus, count, ongoing], ['service_down', null, null, false]);
    assert.equal((await second.stop()).code, 0);
  });

  test('killed while a bus is down does not forget that it was', async (t) => {
    const cwd = temporaryDirectory(t);
    const first = await start(t, cwd, '--bus', 'socketcan:nosuchcan0', '--bus', 'sim:kart');
    const [lasting] = await eventually(first.gaps, (gaps) => gaps.length > 0);
    assert.equal(lasting!.ongoing, true);
    await whenStored(first, 100);
    await first.stop('SIGKILL');
    const deadS = Date.now() / 1000;
    const second = await start(t, cwd);
    const [down, off] = await eventually(second.gaps, (gaps) => gaps.length === 2);
    assert.deepEqual(down, { ...lasting, to: down!.to, ongoing: false });
    assert.ok(down.to >= down.from && down.to <= deadS, `${down.from} to ${down.to}, killed at ${deadS}`);
    assert.equal(off!.cause, 'service_down');
    assert.ok(off!.from >= down.to && off!.from <= deadS, `${off!.from}`);
    assert.equal((await second.stop()).code, 0);
  });

  test('syncs as it is told to, by default each commit', async (t) => {
    const byDefault = await start(t, temporaryDirectory(t));
    assert.equal((await byDefault.status()).history.durability, 'full');
    const relaxed = await start(t, temporaryDirectory(t), '--durability', 'relaxed');
    assert.equal((await relaxed.status()).history.durability, 'relaxed');
    await whenStored(relaxed, 100);
  });

  test("keeps the time of the simulated kart's nodes, and records their round trips", async (t) => {
    const service = await start(t, temporaryDirectory(t), '--time-sync', '200ms');
    const {
      buses: [bus],
    } = await eventually(
      service.status,
      ({ buses: [bus] }) =>
        bus!.time_sync.nodes.length === 6 && bus!.time_sync.nodes.every(({ pongs }) => pongs >= 3),
    );
    const { enabled, interval_s, nodes, nodes_dated, frames_redated, send_failures } = bus!.time_sync;
    assert.deepEqual([enabled, interval_s, nodes_dated, send_failures], [true, 0.2, 6, 0]);
    assert.equal(frames_redated, 0);
    for (const { pings, pongs, missed, round_trip_ms } of nodes) {
      assert.ok(pongs + missed <= pings && pings <= pongs + missed + 1, `${pings}, ${pongs}, ${missed}`);
      const { min, mean, max, last } = round_trip_ms;
      assert.ok(min > 0 && min <= mean && mean <= max && last >= min && last <= max);
    }

    const { components } = await service.state();
    const current = components.SYSTEM_MONITOR?.TIME_MASTER?.ROUNDTRIPTIME_MS;
    assert.deepEqual([current?.unit, current?.message_type], ['ms', 'STATUS']);
    assert.ok(nodes.some(({ node_id }) => node_id === current?.node_id));
    const told = await service.history(
      'component_type=SYSTEM_MONITOR&component_id=TIME_MASTER&limit=1000&order=asc',
    );
    const samples = (command: string, nodeId?: number) =>
      told.filter(({ command_id, node_id }) => command_id === command && (nodeId ?? node_id) === node_id);
    for (const { node_id, pongs } of nodes) {
      const [roundTrips, answers, times] = ['ROUNDTRIPTIME_MS', 'PONG', 'SET_TIME'].map((command) =>
        samples(command, node_id),
      );
      assert.ok(roundTrips!.length >= pongs && answers!.length === roundTrips!.length);
      assert.deepEqual(
        roundTrips!.map(({ timestamp }) => timestamp),
        answers!.map(({ timestamp }) => timestamp),
      );
      // What we sent is there once, and the node's echo of it.
      assert.ok(times!.some(({ message_type }) => message_type === 'COMMAND'));
      assert.ok(times!.some(({ message_type }) => message_type === 'STATUS'));
    }
    const pings = samples('PING').map(({ value }) => value);
    assert.equal(new Set(pings).size, pings.length);
    assert.ok(pings.length >= 3);
    assert.equal((await service.stop()).code, 0);
  });

  test('sends nothing to the simulated kart where time sync is off', async (t) => {
    const service = await start(t, temporaryDirectory(t), '--time-sync', 'off');
    const { buses } = await whenStored(service, 1500);
    assert.deepEqual([buses[0]!.time_sync.enabled, buses[0]!.time_sync.interval_s], [false, null]);
    assert.equal(buses[0]!.frames_sent, 0);
    assert.deepEqual(await service.history('component_type=SYSTEM_MONITOR&component_id=TIME_MASTER'), []);
  });

  test('serves although its CAN interface is missing, and says so', async (t) => {
    const cwd = temporaryDirectory(t);
    const service = await start(t, cwd, '--bus', 'socketcan:nosuchcan0', '--bus', 'sim:kart');
    const { buses } = await eventually(
      service.status,
      ({ buses }) => buses[0]?.state === 'unavailable' && buses[1]?.state === 'open',
    );
    assert.match(buses[0]?.problem?.message ?? '', /nosuchcan0/);
    assert.equal((await fetch(`${service.url}/readyz`)).status, 503);
    const [down] = await eventually(service.gaps, (gaps) => gaps.length > 0);
    assert.deepEqual([down!.bus, down!.cause, down!.ongoing], [buses[0]!.name, 'bus_down', true]);
    await whenStored(service, 100);
    const { code, tookMs } = await service.stop();
    assert.equal(code, 0);
    assert.ok(tookMs < STOP_PROMISE_MS, `${tookMs} ms`);
  });

  test('stops in time while a client keeps its connection open', async (t) => {
    const cwd = temporaryDirectory(t);
    const service = await start(t, cwd);
    await whenStored(service, 200);
    const { code, tookMs } = await service.stop();
    assert.equal(code, 0);
    assert.ok(tookMs < STOP_PROMISE_MS, `${tookMs} ms`);
  });
});

describe('a start that fails says why and leaves no trace of a stack:', { concurrency: 2 }, () => {
  test('a port that is taken', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, output } = await failureOf(temporaryDirectory(t), '--port', String(port));
    assert.equal(code, 1);
    assert.match(
      output,
      new RegExp(`Port ${port} of 127\\.0\\.0\\.1 is taken by another program\\. .*--port PORT`),
    );
    assert.doesNotMatch(output, /\n +at /);
  });

  test("another program's file as the database, which is left as it was", async (t) => {
    const cwd = temporaryDirectory(t);
    writeFileSync(join(cwd, 'notes.txt'), 'notes');
    const { code, output } = await failureOf(cwd, '--port', '0', '--db', 'notes.txt');
    assert.equal(code, 1);
    assert.match(
      output,
      /notes\.txt can't be the history: it is not an SQLite database\. It was left untouched/,
    );
  });

  const mistakes: readonly [args: string[], output: RegExp][] = [
    [['--nonsense'], /unknown option '--nonsense'/],
    [['--port', 'abc'], /flag --port.*abc/s],
    [['--port', '70000'], /65535/],
    [['--bus', 'carrier-pigeon:grey'], /carrier-pigeon/],
  ];
  for (const [args, expected] of mistakes) {
    test(args.join(' '), async (t) => {
      const { code, output } = await failureOf(temporaryDirectory(t), ...args);
      assert.equal(code, 2, output);
      assert.match(output, expected);
      assert.doesNotMatch(output, /\n +at /);
    });
  }
});
