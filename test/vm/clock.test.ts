import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SampleReply } from '../../src/api/schemas.ts';
import { eventually, type Service, startService } from '../support/service.ts';

/** The clock of a machine that nobody keeps to the right time, set while the service records, and while it doesn't run. */

const DAY_S = 86_400;
const RPM = '48000001400004B0';
const ENV = { CAN_INTERFACE: 'vcan0', DB_PATH: join(mkdtempSync(join(tmpdir(), 'clock-')), 'collector.db') };

let setByS = 0;

/** As `date -s` does, or a daemon that finds the network at last. */
function setClock(byS: number): void {
  execFileSync('date', ['-s', `${byS} seconds`], { stdio: ['ignore', 'ignore', 'inherit'] });
  setByS += byS;
}

after(() => setClock(-setByS));

/** A service that reads its bus. */
async function recording(): Promise<Service> {
  const service = await startService({ env: ENV });
  await eventually(
    () => service.status(),
    ({ buses }) => buses[0]?.state === 'open',
  );
  return service;
}

function sendFrames(count: number): void {
  for (let frame = 0; frame < count; frame++) execFileSync('cansend', ['vcan0', `002#${RPM}`]);
}

function recorded(service: Service, count: number): Promise<SampleReply[]> {
  const query = 'component_type=MOTORS&limit=100&order=asc';
  return eventually(
    () => service.history(query),
    ({ length }) => length >= count,
  );
}

function timesS(samples: readonly SampleReply[]): number[] {
  return samples.map(({ timestamp }) => timestamp);
}

/** That they were sent between then and now, one after the other. */
function assertRecent(timestampsS: readonly number[], sinceS: number): void {
  assert.deepEqual(
    timestampsS,
    timestampsS.toSorted((a, b) => a - b),
  );
  const [firstS = Number.NaN] = timestampsS;
  const lastS = timestampsS.at(-1)!;
  assert.ok(firstS > sinceS && lastS <= Date.now() / 1000 + 1, `${firstS} to ${lastS}, since ${sinceS}`);
}

test('what was recorded before the clock was set right is corrected, while it runs and at the next start', async (t) => {
  const sinceS = Date.now() / 1000 - 2;
  let service = await recording();
  t.after(() => service.stop('SIGKILL'));
  assert.equal((await service.status()).clock.synchronised, false);
  sendFrames(3);
  const before = timesS(await recorded(service, 3));
  assertRecent(before, sinceS);

  for (const byS of [DAY_S, -2 * DAY_S]) {
    const { length: stepsBefore } = (await service.status()).clock.steps;
    setClock(byS);
    sendFrames(1);
    const { clock } = await eventually(
      () => service.status(),
      (status) => status.clock.corrections.length > stepsBefore,
    );
    assert.equal(clock.step_count, stepsBefore + 1);
    assert.ok(Math.abs(clock.steps.at(-1)!.step_s - byS) < 1, JSON.stringify(clock));
    assert.ok(Math.abs(clock.corrections.at(-1)!.moved_by_s - byS) < 1, JSON.stringify(clock));
    const after = timesS(await recorded(service, 4 + stepsBefore));
    assertRecent(after, sinceS + setByS);
    assert.ok(Math.abs(after[0]! - before[0]! - setByS) < 1, 'moved as far as the clock');
    const { components } = await service.state();
    assert.equal(components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.timestamp, after.at(-1), 'the state moves along');
  }
  assert.deepEqual(await service.gaps(), [], 'no time is missing');

  assert.equal((await service.stop()).code, 0);
  setClock(DAY_S);
  service = await recording();
  const { clock } = await service.status();
  assert.equal(clock.corrections.length, 1, JSON.stringify(clock));
  assertRecent(timesS(await recorded(service, 5)), sinceS + setByS);
  assert.match(service.output(), /corrected/);
  assert.equal((await service.stop()).code, 0);
});
