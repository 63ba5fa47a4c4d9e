import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { builtDashboard, startBrowser } from './support/browser.ts';
import { changes, exportedRows, hash, untilConnection, value } from './support/dashboard-page.ts';
import { startPrefixProxy } from './support/prefix-proxy.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const RPM = 'MOTORS/MOTOR_LEFT_REAR/RPM';
/** What a console says of it; the client asks by GET why it is refused. */
const NO_UPGRADE = /WebSocket connection to .* failed|status of 426/;
const PREFIX = '/pit/telemetry';

await builtDashboard();
const directory = temporaryDirectory({ after });
const service = await startService({ args: ['--db', join(directory, 'sim.db'), '--port', '0'] });
after(() => service.stop());

test('behind a proxy that gives it a path of its own all views work, and nothing is asked outside it', async (t) => {
  const proxy = await startPrefixProxy(t, service.url, PREFIX, { passesUpgrades: true });
  const browser = await startBrowser(t);
  const page = await browser.open(proxy.url);
  await untilConnection(page, 'Live');
  await changes(value(page, RPM));
  await eventually(
    async () => proxy.upgrades.passed,
    (passed) => passed > 0,
  );
  await page.evaluate(`location.hash = '#/plots?p=${RPM}&w=10'`);
  await eventually(
    () => exportedRows(page),
    ({ length }) => length > 20,
  );
  await page.evaluate("location.hash = '#/bus'");
  await page.getByRole('region', { name: 'Trace' }).locator('tbody tr').nth(5).waitFor();
  await page.evaluate("location.hash = '#/system'");
  await page.getByText('Nothing has been lost').waitFor();
  await page.evaluate("location.hash = '#/signals?q=rpm'");
  await changes(value(page, RPM));

  // The app is of that path, too, and opens there while nothing answers.
  const scope = await page.evaluate('navigator.serviceWorker.ready.then((each) => each.scope)');
  assert.equal(scope, proxy.url);
  await page.reload();
  await untilConnection(page, 'Live');
  assert.equal(await hash(page), '#/signals?q=rpm');
  assert.deepEqual(
    await page.evaluate(
      "fetch(document.querySelector('link[rel=manifest]').href).then((got) => got.json()).then(({ start_url, scope, icons }) => [start_url, scope, ...icons.map(({ src }) => src)].filter((each) => each?.startsWith('/')))",
    ),
    [],
    'nothing in the manifest leads out of the path',
  );
  assert.deepEqual(proxy.strays, []);
  assert.deepEqual(browser.faults, []);
});

test('where a proxy passes no WebSocket on values come all the same', async (t) => {
  const proxy = await startPrefixProxy(t, service.url, PREFIX, { passesUpgrades: false });
  const browser = await startBrowser(t, { expects: NO_UPGRADE });
  const page = await browser.open(proxy.url);
  await untilConnection(page, 'Live');
  await eventually(
    async () => proxy.upgrades.refused,
    (refused) => refused > 0,
  );
  await changes(value(page, RPM));
  await page.evaluate(`location.hash = '#/plots?p=${RPM}&w=10'`);
  await eventually(
    () => exportedRows(page),
    ({ length }) => length > 10,
  );
  await page.evaluate("location.hash = '#/bus'");
  await page.getByText('The trace needs the live stream').waitFor();
  assert.deepEqual(proxy.strays, []);
  assert.deepEqual(browser.faults, []);
});
