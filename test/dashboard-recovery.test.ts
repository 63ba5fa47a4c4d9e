import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { builtDashboard, NO_ANSWER, startBrowser } from './support/browser.ts';
import { startProxy } from './support/cuttable-proxy.ts';
import { changes, exportedTimes, untilConnection, value } from './support/dashboard-page.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const RPM = 'MOTORS/MOTOR_LEFT_REAR/RPM';
/** It comes every 50 ms; a hole of more is one that can be seen. */
const HOLE_S = 0.5;

await builtDashboard();
const directory = temporaryDirectory({ after });
const start = (name: string, port = '0') =>
  startService({ args: ['--db', join(directory, `${name}.db`), '--port', port] });

async function rpmCount(service: Service): Promise<number> {
  const { components } = await service.state();
  return components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.count ?? 0;
}

test('a network that fails for a while leaves no hole in a plot', async (t) => {
  const service = await start('cut');
  t.after(() => service.stop());
  const proxy = await startProxy(t, service.url);
  const browser = await startBrowser(t, { expects: NO_ANSWER });
  const page = await browser.open(`${proxy.url}/#/plots?p=${RPM}&w=30`);
  await untilConnection(page, 'Live');
  const before = await eventually(
    () => exportedTimes(page),
    ({ length }) => length > 20,
  );

  proxy.cut();
  await untilConnection(page, 'Connection lost');
  const count = await rpmCount(service);
  await eventually(
    () => rpmCount(service),
    (now) => now > count + 30,
  );
  const cutEndS = (await service.state()).timestamp;
  proxy.mend();
  await untilConnection(page, 'Live');

  const holes = (times: readonly number[]) =>
    times.filter((timeS, at) => at > 0 && timeS - times[at - 1]! > HOLE_S);
  await eventually(
    () => exportedTimes(page),
    (times) => times.at(-1)! > cutEndS + 1 && times[0]! < before.at(-1)! && holes(times).length === 0,
  );
  assert.deepEqual(browser.faults, []);
});

test('a collector that dies is missed, its page opens without it, and goes on once it is back', async (t) => {
  const first = await start('killed');
  t.after(() => first.stop());
  const browser = await startBrowser(t, { expects: NO_ANSWER });
  const page = await browser.open(first.url);
  await untilConnection(page, 'Live');
  await page.evaluate('navigator.serviceWorker.ready.then(() => true)');
  // Without anything on the disk it can't know afterwards that it was there before.
  await eventually(
    () => first.status(),
    ({ history }) => history.commits > 1,
  );

  await first.stop('SIGKILL');
  await untilConnection(page, 'Connection lost');
  await page.reload();
  await untilConnection(page, 'Connection lost');
  await page.evaluate("location.hash = '#/system'");
  await page.getByText('Nothing is known yet').waitFor();
  await page.evaluate("location.hash = '#/overview'");

  const second = await start('killed', new URL(first.url).port);
  t.after(() => second.stop());
  await untilConnection(page, 'Live');
  await changes(value(page, RPM));
  // While it was dead nobody listened, and it says so.
  await page.getByText(/^Gap of /).waitFor();
  assert.deepEqual(browser.faults, []);
});
