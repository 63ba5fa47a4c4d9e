import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DASHBOARD_DIR } from '../scripts/dashboard.mjs';
import { builtDashboard, DESKTOP, PHONE, startBrowser } from './support/browser.ts';
import { changes, exportedRows, hash, plotted, seriousProblems, value } from './support/dashboard-page.ts';
import { logLine } from './support/served-pipeline.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** What a phone has to load, over a bad network: all scripts and styles, compressed. */
const BUNDLE_BYTES_MAX = 200 * 1000;
const RPM = 'MOTORS/MOTOR_LEFT_REAR/RPM';
const CURRENT = 'BATTERIES/MOTOR_LEFT_REAR/CURRENT';
const VIEWS = ['overview', 'signals', `plots?p=${RPM}|${CURRENT}&w=30`, 'bus', 'commands', 'system'];

await builtDashboard();
const directory = temporaryDirectory({ after });
/** A name of the service's network: what comes by it over plain http is trusted by no browser. */
const LAN_NAME = 'kart.local';
const service = await startService({
  args: ['--db', join(directory, 'sim.db'), '--port', '0', '--host-name', LAN_NAME],
});
after(() => service.stop());
const browser = await startBrowser({ after });

test('it can be installed as an app', async () => {
  const get = (path: string) => fetch(new URL(path, `${service.url}/`));
  const manifest = (await (await get('manifest.webmanifest')).json()) as {
    display: string;
    icons: { src: string; sizes: string; type: string; purpose: string }[];
  };
  assert.equal(manifest.display, 'standalone');
  for (const { src, type } of manifest.icons) {
    const response = await get(src);
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, type], src);
  }
  assert.ok(manifest.icons.some(({ purpose, sizes }) => purpose === 'maskable' && sizes === '512x512'));
});

test('the bundle is small', () => {
  const assets = join(DASHBOARD_DIR, 'assets');
  const bytes = readdirSync(assets)
    .filter((name) => name.endsWith('.gz'))
    .reduce((sum, name) => sum + statSync(join(assets, name)).size, 0);
  assert.ok(bytes > 10_000 && bytes < BUNDLE_BYTES_MAX, `${bytes} bytes`);
});

describe('the overview', () => {
  test('shows values that change, and that they are simulated', async () => {
    const page = await browser.open(service.url);
    await changes(value(page, RPM));
    const memory = value(page, 'SYSTEM_MONITOR/ESP32_MAIN/MEMORY_FREE_BYTES');
    assert.match((await memory.textContent()) ?? '', /\d ?KiB/);
    assert.match((await page.locator('header').textContent()) ?? '', /SIMULATED: not a real vehicle.*Live/s);
    await page.close();
  });

  test('shows speeds and temperatures in the units that were chosen, also after a reload', async () => {
    const page = await browser.open(service.url);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'mph' }).click();
    await page.getByRole('button', { name: '°F' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.reload();
    await page.getByRole('img', { name: /Speed .* mph/ }).waitFor();
    await page.getByText('°F').first().waitFor();
    await page.evaluate('localStorage.clear()');
    await page.close();
  });
});

describe('the signals', () => {
  test('are searched, and plotted by one click', async () => {
    const page = await browser.open(`${service.url}/#/signals`);
    await page.getByRole('searchbox').fill('left rear rpm');
    await page.getByRole('row').filter({ hasText: 'RPM' }).first().waitFor();
    assert.equal(await page.locator('[data-signal]').count(), 1);
    await page.locator(`[data-signal="${RPM}"] button`).click();
    await eventually(
      () => plotted(page),
      (signals) => signals.includes(RPM),
    );
    assert.match(await hash(page), /^#\/plots\?p=MOTORS\/MOTOR_LEFT_REAR\/RPM/);
    await page.close();
  });
});

describe('a table of signals', () => {
  test('is sorted by a click, and back by another, and its link says so', async () => {
    const page = await browser.open(`${service.url}/#/signals?q=motors rpm`);
    const rates = page.getByRole('columnheader', { name: 'Value' });
    await rates.getByRole('button').click();
    await page.locator('[aria-sort=descending]').waitFor();
    const numbers = async () =>
      (await page.locator('.window .value').allTextContents()).map((text) => Number(text));
    await eventually(
      numbers,
      (found) => found.length === 4 && found.every((each, at) => at === 0 || each <= found[at - 1]!),
    );
    await rates.getByRole('button').click();
    await eventually(numbers, (found) => found.every((each, at) => at === 0 || each >= found[at - 1]!));
    assert.match(await hash(page), /sort=value/);
    await page.close();
  });
});

describe('the plots', () => {
  test('stand still while paused, zoom, and open again from their link', async () => {
    const page = await browser.open(`${service.url}/#/plots?p=${RPM}|${CURRENT}&w=30`);
    await page.locator('canvas').first().waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    const paused = await eventually(
      () => hash(page),
      (text) => /from=/.test(text),
    );
    const spanOf = (text: string) =>
      ['from', 'to'].map((name) => Number(new RegExp(`${name}=([\\d.]+)`).exec(text)?.[1]));
    const [fromS, toS] = spanOf(paused) as [number, number];
    assert.ok(Math.abs(toS - fromS - 30) < 0.01);
    const picture = () =>
      page
        .locator('[data-pane] canvas')
        .first()
        .evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());
    // The history's answer is drawn first.
    await eventually(
      async () => [await picture(), await picture()],
      ([one, two]) => one === two,
    );

    const box = (await page.locator('[data-pane] .u-over').first().boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.wheel(0, -400);
    const zoomed = await eventually(
      () => hash(page),
      (text) => text !== paused,
    );
    const [zoomedFromS, zoomedToS] = spanOf(zoomed) as [number, number];
    assert.ok(zoomedFromS > fromS && zoomedToS < toS, 'nearer, around where it points to');
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 200, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    const draggedS = (200 / box.width) * (zoomedToS - zoomedFromS);
    const moved = await eventually(
      () => hash(page),
      (text) => Math.abs(spanOf(text)[0]! - (zoomedFromS - draggedS)) < draggedS / 20,
    );

    const other = await browser.open(`${service.url}/${moved}`);
    assert.deepEqual(
      await eventually(
        () => plotted(other),
        ({ length }) => length === 2,
      ),
      [RPM, CURRENT],
    );
    assert.equal(await hash(other), moved);
    await other.close();
    await page.getByRole('button', { name: 'Live' }).click();
    await eventually(
      () => hash(page),
      (text) => /w=/.test(text),
    );
    await page.close();
  });

  test('show the last of a signal where the span has nothing of it, and the whole history', async () => {
    const page = await browser.open(`${service.url}/#/plots?p=${RPM}&from=1700000000&to=1700000030`);
    await page.getByText('Nothing in this span').waitFor();
    await page.getByRole('button', { name: /^Show the last/ }).click();
    await eventually(
      () => exportedRows(page),
      ({ length }) => length > 20,
    );
    assert.equal(await page.getByText('Nothing in this span').count(), 0);
    const { history } = await service.status();
    await page.getByRole('button', { name: 'All', exact: true }).click();
    const [, windowS] = (await eventually(
      async () => /w=([\d.]+)/.exec(await hash(page)),
      (found) => found !== null,
    )) as RegExpExecArray;
    assert.ok(Number(windowS) >= history.last_timestamp! - history.first_timestamp! - 1);
    await page.close();
  });

  test('give their link to the clipboard, also where the browser gives a page none', async (t) => {
    const untrusting = await startBrowser(t, { args: [`--host-resolver-rules=MAP ${LAN_NAME} 127.0.0.1`] });
    const page = await untrusting.open(
      `http://${LAN_NAME}:${new URL(service.url).port}/#/plots?p=${RPM}&w=10`,
    );
    assert.equal(await page.evaluate('isSecureContext'), false);
    await page.locator('canvas').first().waitFor();
    await page.getByRole('button', { name: 'Link' }).click();
    await page.getByText('Copied').waitFor();
    await page.getByRole('searchbox').focus();
    await page.keyboard.press('Control+V');
    assert.match(
      await page.getByRole('searchbox').inputValue(),
      new RegExp(`^http://${LAN_NAME}:\\d+/#/plots\\?p=${RPM}&from=[\\d.]+&to=[\\d.]+$`),
    );
  });

  test('show what is known where a link has a signal that is not', async () => {
    const page = await browser.open(`${service.url}/#/plots?p=${RPM}|ROCKETS/MAIN/THRUST&w=10`);
    await page.getByText('has not been heard').waitFor();
    await eventually(
      () => exportedRows(page),
      ({ length }) => length > 20,
    );
    await page.close();
  });

  test('take a signal that is dragged there', async () => {
    const page = await browser.open(`${service.url}/#/plots?p=${RPM}&w=10`);
    await page.getByRole('searchbox').fill('voltage accessory');
    const picked = page.locator('[data-pick="BATTERIES/ACCESSORY/VOLTAGE"]');
    await picked.dragTo(page.locator('[data-pane] .u-over').first());
    assert.deepEqual(
      await eventually(
        () => plotted(page),
        ({ length }) => length === 2,
      ),
      [RPM, 'BATTERIES/ACCESSORY/VOLTAGE'],
    );
    assert.equal(await page.locator('[data-pane]').count(), 1);
    await page.close();
  });

  test('are exported as they are shown', async () => {
    const page = await browser.open(`${service.url}/#/plots?p=${RPM}&w=10`);
    await page.locator('canvas').first().waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    const rows = await eventually(
      () => exportedRows(page),
      ({ length }) => length > 20,
    );
    assert.match(rows[0]!, /^\d+\.\d{6},[^,]+Z,MOTORS\/MOTOR_LEFT_REAR\/RPM,rpm,\d/);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'PNG' }).click(),
    ]);
    assert.deepEqual([...readFileSync((await download.path())!).subarray(1, 4)], [...Buffer.from('PNG')]);
    await page.close();
  });
});

describe('the bus', () => {
  test('shows its ids, what they say, and a trace that can be paused', async () => {
    const page = await browser.open(`${service.url}/#/bus`);
    await page.getByRole('row').filter({ hasText: '002' }).filter({ hasText: 'Motors' }).first().waitFor();
    const trace = page.getByRole('region', { name: 'Trace' });
    await trace.getByRole('searchbox').fill('gyro');
    const rows = trace.locator('tbody tr');
    await eventually(
      () => rows.first().textContent(),
      (text) => text?.includes('Gyro') === true,
    );
    await trace.getByRole('button', { name: 'Pause' }).click();
    const texts = () => rows.allTextContents();
    const paused = await eventually(
      async () => [await texts(), await texts()],
      ([one, two]) => one!.join() === two!.join(),
    );
    assert.ok(paused[0]!.every((text) => text.includes('Gyro')));
    await page.close();
  });
});

describe('the load of a bus', () => {
  let loaded: Service;
  before(async () => {
    loaded = await startService({
      args: ['--db', join(directory, 'loads.db'), '--port', '0', '--host-interval', '500ms'],
    });
  });
  after(() => loaded.stop());

  test('is drawn from before the page was opened, goes on live, and is there again after a reload', async () => {
    const history = await eventually(
      () => loaded.history('component_type=CAN_BUS&component_id=sim&command_id=LOAD&order=asc'),
      ({ length }) => length >= 8,
    );
    const firstS = history[0]!.timestamp;
    const openedS = Date.now() / 1000;
    assert.ok(openedS - firstS > 3);
    const page = await browser.open(`${loaded.url}/#/bus`);
    const chart = page.locator('[data-bus=sim] .chart');
    const knownFromS = () =>
      eventually(
        async () => Number(await chart.getAttribute('data-known-from')),
        (timeS) => timeS > 0 && timeS < openedS - 1,
      );
    // The history tells in spans of two seconds.
    assert.ok(Math.abs((await knownFromS()) - firstS) <= 2);
    const picture = () =>
      chart
        .locator('canvas')
        .evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());
    const before = await picture();
    await eventually(picture, (now) => now !== before);
    await page.reload();
    assert.ok(Math.abs((await knownFromS()) - firstS) <= 2);
    // It has a view of its own: among the parts of the vehicle it isn't.
    await page.evaluate("location.hash = '#/overview'");
    await value(page, RPM).waitFor();
    assert.equal(await page.locator('[data-signal^="CAN_BUS/"]').count(), 0);
    await page.close();
  });
});

describe('a log that is replayed', () => {
  const drive = join(directory, 'drive.log');
  const signals = 10_000;
  // Unassigned types, so that noise has as many names as it likes.
  const noise = Array.from({ length: signals }, (_, at) => {
    const bytes = [0x70 | (at >> 15), 0, at & 0xff, (at >> 8) & 0xff, 0x40, 0, at >> 8, at & 0xff];
    return logLine(1_764_000_000_000_000 + at, 3, Buffer.from(bytes).toString('hex'));
  });
  let replay: Service;
  before(async () => {
    writeFileSync(drive, noise.join('') + logLine(1_764_000_001_000_000, 2, '48 00 00 01 40 00 10 E1'));
    replay = await startService({
      args: [
        ...['--db', join(directory, 'replay.db'), '--port', '0'],
        ...['--max-age', 'unlimited', '--bus', `candump:${drive}?speed=max`],
      ],
    });
  });
  after(() => replay.stop());

  test('shows its values, as stale once it has ended', async () => {
    const page = await browser.open(replay.url);
    await eventually(
      () => value(page, RPM).textContent(),
      (text) => text?.includes('4321') === true,
    );
    assert.doesNotMatch((await page.locator('header').textContent()) ?? '', /SIMULATED/);
    await page.getByText(/ of 10,001 signals live/).waitFor();
    await page.getByText('The log has ended').waitFor();
    await page.close();
  });

  test('of ten thousand signals shows some at a glance, and leads to all', async () => {
    const page = await browser.open(replay.url);
    await page.getByText(/^and \d+ more components/).waitFor();
    assert.ok((await page.locator('main [data-signal]').count()) < 1000);
    await page
      .locator('.card')
      .filter({ hasText: 'Component 1' })
      .getByRole('link', { name: /^and \d+ more$/ })
      .first()
      .click();
    await eventually(
      () => page.locator('.count').textContent(),
      (text) => /^\d\d of 10,001$/.test(text ?? ''),
    );
    await page.close();
  });

  test('of ten thousand signals makes rows for those in view alone', async () => {
    const page = await browser.open(`${replay.url}/#/signals`);
    await page.getByText('10,001').waitFor();
    const rows = page.locator('.window [data-signal]');
    await rows.first().waitFor();
    assert.ok((await rows.count()) < 60);
    await page.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 1e9));
    await eventually(
      () => rows.last().getAttribute('aria-rowindex'),
      (index) => Number(index) === signals + 2,
    );
    assert.ok((await rows.count()) < 60);
    await page.close();
  });
});

describe('every view', () => {
  for (const [size, name] of [
    [DESKTOP, 'a desktop'],
    [PHONE, 'a phone'],
  ] as const) {
    test(`fits ${name}, in both themes, and can be used by everybody`, async () => {
      const page = await browser.open(service.url, size);
      await value(page, RPM).waitFor();
      for (const theme of ['dark', 'light'] as const) {
        await page.emulateMedia({ colorScheme: theme });
        for (const view of VIEWS) {
          await page.evaluate(`location.hash = ${JSON.stringify(`#/${view}`)}`);
          await page.locator('main :is(section, p, [role=table])').first().waitFor();
          const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
          assert.ok(overflow <= 0, `${view} is ${overflow} px too wide`);
          assert.deepEqual(await seriousProblems(page), [], `${view}, ${theme}`);
          assert.equal(await page.evaluate('document.querySelector("main").scrollTop'), 0, view);
          await page.evaluate('document.querySelector("main").scrollTo(0, 400)');
        }
      }
      await page.close();
    });
  }

  test('and its dialogs can be used by everybody', async () => {
    const page = await browser.open(service.url);
    await page.getByRole('button', { name: 'Settings' }).click();
    assert.deepEqual(await seriousProblems(page), [], 'settings');
    await page.getByRole('button', { name: 'Enter a token' }).click();
    await page.getByRole('dialog', { name: 'A token is needed' }).waitFor();
    assert.deepEqual(await seriousProblems(page), [], 'token');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.close();
  });

  test('is reached with the keyboard', async () => {
    const page = await browser.open(service.url);
    await value(page, RPM).waitFor();
    await page.keyboard.press('Tab');
    assert.match(await page.evaluate<string>('document.activeElement.textContent'), /Skip to the view/);
    for (let press = 0; press < 3; press++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await eventually(
      () => hash(page),
      (text) => text.startsWith('#/signals'),
    );
    await page.close();
  });

  test('is shown without menus on a kiosk', async () => {
    const page = await browser.open(`${service.url}/?kiosk#/overview`);
    await value(page, RPM).waitFor();
    assert.equal(await page.locator('nav').count(), 0);
    // Where something leads to another view, there is a way back.
    assert.equal(await page.getByRole('link', { name: 'Back' }).count(), 0);
    await page.getByRole('link', { name: 'ESP32 main' }).click();
    await page.getByRole('searchbox').waitFor();
    await page.getByRole('link', { name: 'Back' }).click();
    await value(page, RPM).waitFor();
    await page.close();
  });
});

test('no page has had a fault', () => {
  assert.deepEqual([service.child.exitCode, service.child.signalCode], [null, null], service.output());
  assert.deepEqual(browser.faults, []);
});
