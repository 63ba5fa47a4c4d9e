import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtDashboard } from '../../test/support/browser.ts';
import { startService } from '../../test/support/service.ts';
import { rssMiB } from '../process-figures.ts';
import { report } from '../report.ts';
import { type DevTools, type DevToolsPage, startDevTools } from './devtools.ts';

/** A kart that is so much faster than any: 33,000 samples a second. */
const RATE = 50;
/** 5,000 of these. */
const PLOTTED = [
  'MOTORS/MOTOR_LEFT_REAR/RPM',
  'MOTORS/MOTOR_LEFT_REAR/TORQUE',
  'BATTERIES/MOTOR_LEFT_REAR/CURRENT',
  'CONTROLS/THROTTLE/POSITION',
  'NAVIGATION/IMU_PRIMARY/ACCEL_Y',
  'NAVIGATION/GPS_PRIMARY/SPEED',
];
/** Longer than the page keeps samples of them at that rate, so that the history is asked for all the time, too. */
const WINDOW_S = 300;

const MINUTES = Number(process.env.MINUTES ?? 30);
/** Until then rings fill and code is compiled. */
const WARM_UP_SHARE = 1 / 6;
/** Answers of the collector come and go, some of a megabyte: the least of so many looks is what stays. */
const LOOKS = 8;
const LOOK_INTERVAL_MS = 1500;
/** Code is made for what runs often, and then no more: a quarter more than after the warm-up is far from a leak. */
const LEVELS_OFF = { ratioAtMost: 1.25 };
const CACHE = fileURLToPath(new URL('../../.cache/bench/', import.meta.url));

interface Memory {
  readonly heapMiB: number;
  /** Without the machine code that V8 goes on making of what runs often, for a quarter of an hour and more. */
  readonly objectsMiB: number;
  readonly nodes: number;
  readonly listeners: number;
}

interface Measured {
  readonly overview: Memory;
  readonly plots: Memory;
  /** Of all processes that draw pages, so with what isn't of the JavaScript heap. */
  readonly rssMiB: number;
}

const shortNumber = (value: number): string => String(Number(value.toFixed(1)));

/** Whether a page that is left open all day grows: looked at each minute, with nothing on it that is garbage. */
export async function dashboardMemoryBench(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'dashboard-memory-'));
  const cleanups: (() => unknown)[] = [];
  const atEnd = { after: (cleanup: () => unknown) => cleanups.push(cleanup) };
  try {
    await builtDashboard();
    const bus = `sim:kart?rate=${RATE}`;
    const args = ['--bus', bus, '--db', join(folder, 'collector.db'), '--port', '0'];
    const service = await startService({ args });
    atEnd.after(() => service.stop());
    const devTools = await startDevTools(join(folder, 'profile'), atEnd);
    const measure = await watch(devTools, service.url);
    const startMs = performance.now();
    const untilMinute = (minute: number) =>
      new Promise((resolve) => setTimeout(resolve, startMs + minute * 60_000 - performance.now()));
    const warmUpMinutes = MINUTES * WARM_UP_SHARE;
    await untilMinute(warmUpMinutes);
    const first = await measure();
    tellMinute(warmUpMinutes, first);
    let last = first;
    for (let minute = Math.floor(warmUpMinutes) + 1; minute <= MINUTES; minute++) {
      await untilMinute(minute);
      last = await measure();
      tellMinute(minute, last);
    }
    tell(first, last);
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup();
    rmSync(folder, { recursive: true });
  }
}

/** Opens both pages, and gives what measures them. */
async function watch(devTools: DevTools, url: string): Promise<() => Promise<Measured>> {
  const overview = await devTools.open(`${url}/#/overview`);
  await overview.until(`/\\d/.test(document.querySelector('[data-signal]')?.textContent)`);
  const plots = await devTools.open(`${url}/#/plots?p=${PLOTTED.join('|')}&w=${WINDOW_S}`);
  await plots.until(`document.querySelectorAll('[data-pane] canvas').length === ${PLOTTED.length}`);
  for (const page of [overview, plots]) await page.send('Performance.enable');
  return async () => {
    for (const page of [overview, plots]) await assertIsLive(page);
    const [ofOverview, ofPlots] = await Promise.all([memoryOf(overview), memoryOf(plots)]);
    const { processInfo } = await devTools.send<{ processInfo: { type: string; id: number }[] }>(
      'SystemInfo.getProcessInfo',
    );
    return {
      overview: ofOverview,
      plots: ofPlots,
      rssMiB: processInfo
        .filter(({ type }) => type === 'renderer')
        .reduce((sum, { id }) => sum + rssMiB(id), 0),
    };
  };
}

/** A page that is hidden, or shows nothing, needs no memory. */
async function assertIsLive(page: DevToolsPage): Promise<void> {
  const text = await page.evaluate<string>(`document.visibilityState + ' ' + document.body.innerText`);
  if (!/^visible /.test(text) || !/\bLive\b/.test(text) || /has not been heard/.test(text))
    throw new Error(`a page isn't live: ${text}`);
}

async function memoryOf(page: DevToolsPage): Promise<Memory> {
  const looks: Omit<Memory, 'objectsMiB'>[] = [];
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    looks.push(await lookAt(page));
  }
  const least = looks.toSorted((left, right) => left.heapMiB - right.heapMiB)[0]!;
  return { ...least, objectsMiB: least.heapMiB - codeMiB(await page.heapSnapshot()) };
}

/** What of a heap is compiled functions and what belongs to them. */
function codeMiB(snapshot: string): number {
  const { snapshot: head, nodes } = JSON.parse(snapshot) as {
    snapshot: { meta: { node_fields: string[]; node_types: [string[], ...unknown[]] } };
    nodes: number[];
  };
  const { node_fields: fields, node_types: types } = head.meta;
  const [typeAt, sizeAt] = [fields.indexOf('type'), fields.indexOf('self_size')];
  const code = types[0].indexOf('code');
  let bytes = 0;
  for (let at = 0; at < nodes.length; at += fields.length)
    if (nodes[at + typeAt] === code) bytes += nodes[at + sizeAt]!;
  return bytes / 2 ** 20;
}

async function lookAt(page: DevToolsPage): Promise<Omit<Memory, 'objectsMiB'>> {
  await page.send('HeapProfiler.collectGarbage');
  const { metrics } = await page.send<{ metrics: { name: string; value: number }[] }>(
    'Performance.getMetrics',
  );
  const metric = (wanted: string) => metrics.find(({ name }) => name === wanted)!.value;
  return {
    heapMiB: metric('JSHeapUsedSize') / 2 ** 20,
    nodes: metric('Nodes'),
    listeners: metric('JSEventListeners'),
  };
}

function tellMinute(minute: number, { overview, plots, rssMiB }: Measured): void {
  const text = ({ heapMiB, objectsMiB, nodes, listeners }: Memory) =>
    `${heapMiB.toFixed(2)} MiB (${objectsMiB.toFixed(2)} without code), ${nodes} nodes, ${listeners} listeners`;
  const parts = [`overview ${text(overview)}`, `plots ${text(plots)}`, `all ${rssMiB.toFixed(0)} MiB`];
  process.stdout.write(`  minute ${shortNumber(minute)}: ${parts.join('; ')}\n`);
}

function tell(first: Measured, last: Measured): void {
  const row = (what: string, of: (measured: Measured) => number, digits: number) => ({
    what,
    ours: of(last),
    reference: of(first),
    digits,
    wanted: { ratioAtMost: 1.1 },
  });
  report(
    `dashboard-memory: ${MINUTES} minutes at ${RATE} times the pace, after garbage was collected`,
    `minute ${shortNumber(MINUTES * WARM_UP_SHARE)}`,
    [
      row('objects of the overview, MiB', ({ overview }) => overview.objectsMiB, 2),
      { ...row('with their machine code', ({ overview }) => overview.heapMiB, 2), wanted: LEVELS_OFF },
      row('its nodes', ({ overview }) => overview.nodes, 0),
      row('its listeners', ({ overview }) => overview.listeners, 0),
      row(`objects of ${PLOTTED.length} live plots, MiB`, ({ plots }) => plots.objectsMiB, 2),
      { ...row('with their machine code', ({ plots }) => plots.heapMiB, 2), wanted: LEVELS_OFF },
      row('their nodes', ({ plots }) => plots.nodes, 0),
      row('their listeners', ({ plots }) => plots.listeners, 0),
      row('memory of the processes that draw them, MiB', ({ rssMiB }) => rssMiB, 0),
    ],
  );
}
