import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { logLine } from './support/served-pipeline.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The platform's own dashboard is a page of another origin that polls three addresses, and relies on nothing but what is
 * checked here: what it reads stays as it is. Its types are its own, so that a change of ours shows.
 */

const ORIGIN = 'http://dashboard.example:3000';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type JsonObject = { readonly [name: string]: Json };

/** Asks as the page's fetch() does; the answer has to be JSON. */
async function poll({ url }: Service, path: string): Promise<Json> {
  const response = await fetch(`${url}${path}`, { headers: { origin: ORIGIN, accept: '*/*' } });
  assert.equal(response.status, 200, path);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/, path);
  return (await response.json()) as Json;
}

function asObject(value: Json | undefined, what: string): JsonObject {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), what);
  return value as JsonObject;
}

function asNumber(value: Json | undefined, what: string): number {
  assert.ok(typeof value === 'number' && Number.isFinite(value), `${what}: ${value}`);
  return value;
}

/** Seconds since the epoch, with a fraction; milliseconds would be of the year 50,000. */
function assertSecondsOfNow(value: Json | undefined, what: string): void {
  assert.ok(Math.abs(asNumber(value, what) - Date.now() / 1000) < 60, `${what}: ${value}`);
}

async function start(t: TestContext, ...args: string[]): Promise<Service> {
  const service = await startService({
    cwd: temporaryDirectory(t),
    args: ['--db', 'collector.db', '--port', '0', ...args],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

test('polling the state gives values by component type, component and command', async (t) => {
  const service = await start(t);
  await eventually(service.status, ({ history }) => history.samples > 500);
  const rpmOf = (state: JsonObject) => {
    const motors = asObject(asObject(state.components, 'components').MOTORS, 'MOTORS');
    return asObject(asObject(motors.MOTOR_LEFT_REAR, 'MOTOR_LEFT_REAR').RPM, 'RPM');
  };
  let before = 0;
  for (let round = 0; round < 3; round++) {
    const state = await eventually(
      async () => asObject(await poll(service, '/api/state/current'), 'the state'),
      (reply) => asNumber(rpmOf(reply).timestamp, 'timestamp of RPM') > before,
    );
    const rpm = rpmOf(state);
    assertSecondsOfNow(state.timestamp, 'timestamp');
    assertSecondsOfNow(rpm.timestamp, 'timestamp of RPM');
    before = asNumber(rpm.timestamp, 'timestamp of RPM');
    asNumber(rpm.value, 'value');
    assert.equal(rpm.unit, 'rpm');
  }

  const status = asObject(await poll(service, '/api/status'), 'the status');
  assertSecondsOfNow(status.timestamp, 'timestamp of the status');
  assert.ok(asNumber(status.uptime_s, 'uptime_s') > 0);
  const [bus] = status.buses as readonly Json[];
  assert.equal(asObject(bus, 'bus').state, 'open');
  assert.ok(asNumber(asObject(bus, 'bus').frames, 'frames') > 0);
  assert.ok(asNumber(asObject(status.history, 'history').samples, 'samples') > 0);
  const { code } = await service.stop();
  assert.equal(code, 0);
});

test('polling the history gives a bare array, the newest first, page by page', async (t) => {
  const firstUs = 1_764_000_000_000_000;
  const count = 250;
  const log = Array.from({ length: count }, (_, index) =>
    logLine(firstUs + index * 1_500_000, 2, `48 00 00 01 40 00 00 ${index.toString(16).padStart(2, '0')}`),
  );
  const path = join(temporaryDirectory(t), 'drive.log');
  writeFileSync(path, log.join(''));
  const service = await start(t, '--bus', `candump:${path}?speed=max`, '--max-age', 'unlimited');
  await eventually(service.status, ({ history }) => history.samples === count);

  const all: Json[] = [];
  for (let offset = 0; ; offset += 100) {
    const page = await poll(service, `/api/state/history?limit=100&offset=${offset}`);
    assert.ok(Array.isArray(page), 'a bare array');
    assert.ok(page.length <= 100);
    if (page.length === 0) break;
    all.push(...page);
  }
  assert.equal(all.length, count);
  for (const [index, entry] of all.entries()) {
    const sample = asObject(entry, 'a sample');
    const second = count - 1 - index;
    assert.equal(sample.timestamp, firstUs / 1e6 + second * 1.5);
    assert.equal(sample.value, second);
    assert.deepEqual(
      [sample.component_type, sample.component_id, sample.command_id, sample.message_type],
      ['MOTORS', 'MOTOR_LEFT_REAR', 'RPM', 'STATUS'],
    );
  }
  assert.deepEqual(await poll(service, `/api/state/history?limit=100&offset=${10 * count}`), []);
});
