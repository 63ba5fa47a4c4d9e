import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CDPSession, Page } from 'playwright-core';
import { type Browser, builtDashboard, startBrowser } from '../../test/support/browser.ts';
import { CHECKOUT, eventually, type Service, startService } from '../../test/support/service.ts';
import { makeHistory } from '../api/fixtures.ts';
import { median, report } from '../report.ts';
import { liveSignal, writeLiveLog } from './live-log.ts';

const SIGNALS = 120;
const HZ = 20;
const PANES = 6;
const WINDOW_S = 600;
const LOG_SECONDS = 60;
/** Of the kart: 57 million samples. */
const HISTORY_HOURS = 24;
const DRIVE_START_S = 1_767_225_600;

const SECONDS = Number(process.env.SECONDS ?? 20);
const ROUNDS = 5;
const CACHE = fileURLToPath(new URL('../../.cache/bench/', import.meta.url));
const BLANK = '<!doctype html><title>blank</title><p>nothing';

/** A browser's share of the work: the whole service is another process, on the same machine. */
export async function dashboardBench(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  await builtDashboard();
  const history = join(CACHE, `kart-history-${HISTORY_HOURS}h.db`);
  makeHistory(history, HISTORY_HOURS);
  const folder = mkdtempSync(join(CACHE, 'dashboard-'));
  const cleanups: (() => unknown)[] = [];
  const atEnd = { after: (cleanup: () => unknown) => cleanups.push(cleanup) };
  try {
    const database = join(folder, 'collector.db');
    copyFileSync(history, database);
    await recordPast(folder, database);
    const service = await startLive(folder, database);
    atEnd.after(() => service.stop());
    const browser = await startBrowser(atEnd);
    const paint = await measurePaint(browser, service);
    const plots = await measurePlots(browser, service);
    const dayMs = await measureDay(browser, service);
    tell({ paint, plots, dayMs });
    if (browser.faults.length > 0) throw new Error(browser.faults.join('\n'));
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup();
    rmSync(folder, { recursive: true });
  }
}

/** The ten minutes before now, which the plots show from the start. */
async function recordPast(folder: string, database: string): Promise<void> {
  const path = join(folder, 'past.log');
  const fromUs = (Math.floor(Date.now() / 1000) - WINDOW_S) * 1_000_000;
  writeLiveLog(path, { signals: SIGNALS, hz: HZ, fromUs, seconds: WINDOW_S });
  const service = await startOn(`candump:${encodeURIComponent(path)}?speed=max`, database);
  try {
    await eventually(
      () => service.status(),
      ({ buses }) => buses[0]!.state === 'ended',
    );
  } finally {
    // What was read is stored then.
    await service.stop();
  }
}

async function startLive(folder: string, database: string): Promise<Service> {
  const path = join(folder, 'live.log');
  writeLiveLog(path, { signals: SIGNALS, hz: HZ, fromUs: DRIVE_START_S * 1e6, seconds: LOG_SECONDS });
  const service = await startOn(`candump:${encodeURIComponent(path)}?loop`, database);
  await eventually(
    () => service.status(),
    ({ buses }) => buses[0]!.frames > SIGNALS,
  );
  return service;
}

function startOn(bus: string, database: string): Promise<Service> {
  return startService({
    command: [process.execPath, '--max-semi-space-size=2', join(CHECKOUT, 'src/cli/main.ts')],
    args: ['--bus', bus, '--db', database, '--port', '0', '--max-age', 'unlimited'],
  });
}

/** From asking for the page, with nothing kept, to a value on the screen; and the same for a page of a few words. */
async function measurePaint(browser: Browser, service: Service): Promise<{ ours: number; blank: number }> {
  const times = { ours: [] as number[], blank: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, url, selector] of [
      ['blank', `${service.url}/healthz`, 'body'],
      ['ours', service.url, '[data-signal]'],
    ] as const) {
      const page = await browser.context.newPage();
      const devtools = await browser.context.newCDPSession(page);
      await devtools.send('Network.clearBrowserCache');
      await devtools.send('Storage.clearDataForOrigin', {
        origin: service.url,
        storageTypes: 'service_workers,cache_storage',
      });
      await page.goto(url);
      const drawnMs = await page.evaluate<number>(
        `new Promise((done) => {
          const look = () => {
            const found = document.querySelector(${JSON.stringify(selector)});
            if (/\\d|ok/.test(found?.textContent ?? '')) requestAnimationFrame(() => done(performance.now()));
            else requestAnimationFrame(look);
          };
          look();
        })`,
      );
      times[name].push(drawnMs);
      await page.close();
    }
  }
  return { ours: median(times.ours), blank: median(times.blank) };
}

interface PlotsMeasured {
  readonly fps: number;
  readonly blankFps: number;
  /** Share of one core that the page's main thread takes. */
  readonly busy: number;
  readonly heapMiB: readonly [before: number, after: number];
}

async function measurePlots(browser: Browser, service: Service): Promise<PlotsMeasured> {
  const blank = await browser.context.newPage();
  await blank.setContent(BLANK);
  const blankFps = await framesPerS(blank, 3);
  await blank.close();

  const panes = Array.from({ length: PANES }, (_, index) => liveSignal(index + 4)).join('|');
  const page = await browser.open(`${service.url}/#/plots?p=${panes}&w=${WINDOW_S}`);
  await historyDrawn(page);
  if ((await page.getByText('has not been heard').count()) > 0) throw new Error('nothing is plotted');
  const devtools = await browser.context.newCDPSession(page);
  await devtools.send('Performance.enable');
  // What it needs from the start on has been made.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const before = await heapMiB(devtools);
  const startS = await taskSeconds(devtools);
  const fps = await framesPerS(page, SECONDS);
  const busy = ((await taskSeconds(devtools)) - startS) / SECONDS;
  const after = await heapMiB(devtools);
  await page.close();
  return { fps, blankFps, busy, heapMiB: [before, after] };
}

function framesPerS(page: Page, seconds: number): Promise<number> {
  return page.evaluate<number>(
    `new Promise((done) => {
      let frames = 0;
      const startMs = performance.now();
      const count = () => {
        frames++;
        const tookMs = performance.now() - startMs;
        if (tookMs < ${seconds * 1000}) requestAnimationFrame(count);
        else done(frames / tookMs * 1000);
      };
      requestAnimationFrame(count);
    })`,
  );
}

async function taskSeconds(devtools: CDPSession): Promise<number> {
  const { metrics } = await devtools.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')!.value;
}

async function heapMiB(devtools: CDPSession): Promise<number> {
  await devtools.send('HeapProfiler.collectGarbage');
  const { metrics } = await devtools.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'JSHeapUsedSize')!.value / 2 ** 20;
}

/** When the page has asked the history and drawn what it said: how long that took, in milliseconds. */
function historyDrawn(page: Page): Promise<number> {
  return page.evaluate<number>(
    `new Promise((done) => {
      const look = () => {
        const [measure] = performance.getEntriesByName('history drawn');
        if (measure === undefined) setTimeout(look, 20);
        else done(measure.duration);
      };
      look();
    })`,
  );
}

/** Opens a day, in which the kart drove all the time, as one who clicks through days: each another by a minute. */
async function measureDay(browser: Browser, service: Service): Promise<number> {
  const signals = ['MOTORS/MOTOR_LEFT_REAR/RPM', 'NAVIGATION/GPS_PRIMARY/SPEED'].join('|');
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const fromS = DRIVE_START_S + 60 * round;
    const link = `#/plots?p=${signals}&from=${fromS}&to=${fromS + HISTORY_HOURS * 3600}`;
    const page = await browser.open(`${service.url}/${link}`);
    took.push(await historyDrawn(page));
    await page.close();
  }
  return median(took);
}

function tell({
  paint,
  plots,
  dayMs,
}: {
  paint: { ours: number; blank: number };
  plots: PlotsMeasured;
  dayMs: number;
}): void {
  const [before, after] = plots.heapMiB;
  report(
    `dashboard: ${SIGNALS} signals at ${HZ} Hz, ${PANES} live plots of ${WINDOW_S / 60} minutes for ${SECONDS} s, beside a blank page`,
    'blank page',
    [
      {
        what: 'first value on the screen, ms',
        ours: paint.ours,
        reference: paint.blank,
        digits: 0,
        wanted: { oursAtMost: 1000 },
      },
      {
        what: 'frames a second that are left to it',
        ours: plots.fps,
        reference: plots.blankFps,
        digits: 1,
        wanted: { oursAtLeast: 50 },
      },
      {
        what: 'cores that its thread takes',
        ours: plots.busy,
        reference: null,
        digits: 2,
        wanted: { oursAtMost: 0.5 },
      },
      {
        what: 'heap in use at the end, MiB; beside the start',
        ours: after,
        reference: before,
        digits: 1,
        wanted: { ratioAtMost: 1.1 },
      },
      {
        what: `${HISTORY_HOURS} hours of history, asked for and drawn, ms`,
        ours: dayMs,
        reference: null,
        digits: 0,
        wanted: { oursAtMost: 300 },
      },
    ],
  );
}
