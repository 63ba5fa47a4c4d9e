import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type Service, startService } from '../support/service.ts';

/** What main.ts has run in the VM. Usage: in-vm.ts LOG FRAMES MINUTES */

const [log] = process.argv.slice(2) as [string];
const framesPerPass = Number(process.argv[3]);
const minutes = Number(process.argv[4]);
const SAMPLES_KEPT = 1_000_000;
const RECORDING_BYTES = 8 * 1024 * 1024;
const LOSS_EVERY_MS = 20_000;
/** Until then everything has been done often enough to be compiled, and the limits are reached. */
const SETTLED_AFTER = Math.min(8, Math.ceil(minutes / 3));
/** By which memory may differ from one minute to another. */
const RSS_GROWTH_MAX_MIB = 16;

interface Minute {
  readonly rssMiB: number;
  readonly descriptors: number;
}

const folder = mkdtempSync(join(tmpdir(), 'soak-'));
const database = join(folder, 'collector.db');
const recordings = join(folder, 'recordings');
const config = join(folder, 'collector.yaml');
writeFileSync(
  config,
  `buses: [{ url: 'socketcan:vcan0' }, { url: 'socketcan:vcan1' }]
history: { path: ${database}, max_samples: ${SAMPLES_KEPT} }
recording: { path: ${recordings}, max_bytes: ${RECORDING_BYTES / 1024 / 1024}MiB, max_file_bytes: 4MiB }
`,
);
const ip = (...args: string[]) => execFileSync('ip', args);
ip('link', 'add', 'vcan1', 'type', 'vcan');
ip('link', 'set', 'vcan1', 'up');

const service = await startService({ args: ['--config', config] });
await eventually(
  () => service.status(),
  ({ buses }) => buses.every(({ state }) => state === 'open'),
);
const deadlineMs = performance.now() + minutes * 60_000;
const isOver = () => performance.now() >= deadlineMs;
const seen: Minute[] = [];
const [passes, losses, answers] = await Promise.all([play(), loseBus(), ask(), watch()]);

const sent = passes * framesPerPass;
const { buses, history } = await eventually(
  () => service.status(),
  (status) => status.buses[0]!.frames >= sent,
);
const gaps = await service.gaps('bus=vcan1&limit=10000');
const { code } = await service.stop();
const store = new DatabaseSync(database);
const integrity = store.prepare('PRAGMA integrity_check').get()?.integrity_check;
store.close();
const recordedBytes = readdirSync(recordings).reduce(
  (sum, name) => sum + statSync(join(recordings, name)).size,
  0,
);
process.stdout.write(
  `${sent} frames, ${losses} losses of a bus, ${gaps.length} gaps of it, ${answers} answers, ` +
    `${history.samples} samples kept, ${recordedBytes} bytes recorded\n`,
);
assert.equal(buses[0]!.frames, sent, 'no frame of the full bus is lost');
assert.deepEqual([history.samples_lost.queue, history.samples_lost.write], [0, 0]);
assert.ok(history.samples <= SAMPLES_KEPT && recordedBytes <= RECORDING_BYTES);
assert.equal(gaps.filter(({ cause }) => cause === 'bus_down').length, losses, 'each loss is a gap');
assert.equal(integrity, 'ok');
assert.equal(code, 0);
const settled = seen.slice(SETTLED_AFTER);
const [first] = settled;
const last = settled.at(-1);
if (first !== undefined && last !== undefined) {
  assert.ok(last.rssMiB - first.rssMiB < RSS_GROWTH_MAX_MIB, `memory grew: ${JSON.stringify(seen)}`);
  // One more or less is a connection of a client, or the bus that is being opened.
  const most = Math.max(...seen.slice(0, SETTLED_AFTER).map(({ descriptors }) => descriptors));
  assert.ok(last.descriptors <= most + 1, `descriptors grew: ${JSON.stringify(seen)}`);
}
process.stdout.write('nothing lost, nothing grown\n');

/** Keeps the bus full; gives how many times the log was played. */
async function play(): Promise<number> {
  let passes = 0;
  for (; !isOver(); passes++) {
    const player = spawn('canplayer', ['-I', log, 'vcan0=can0'], { stdio: ['ignore', 'ignore', 'inherit'] });
    await once(player, 'exit');
  }
  return passes;
}

/** Loses the other bus in turn by its going down and by its removal; gives how often. */
async function loseBus(): Promise<number> {
  let losses = 0;
  while (!isOver()) {
    const isRemoved = losses++ % 2 === 1;
    ip('link', ...(isRemoved ? ['del', 'vcan1'] : ['set', 'vcan1', 'down']));
    await eventually(
      () => service.status(),
      (status) => status.buses[1]!.state === 'unavailable',
    );
    if (isRemoved) ip('link', 'add', 'vcan1', 'type', 'vcan');
    ip('link', 'set', 'vcan1', 'up');
    const { buses } = await eventually(
      () => service.status(),
      (status) => status.buses[1]!.state === 'open',
    );
    execFileSync('cansend', ['vcan1', '003#48000001400004B0']);
    await eventually(
      () => service.status(),
      (status) => status.buses[1]!.frames > buses[1]!.frames,
    );
    await sleep(LOSS_EVERY_MS);
  }
  return losses;
}

/** What a dashboard and a plot would ask, once a second. */
async function ask(): Promise<number> {
  let answers = 0;
  for (; !isOver(); answers += 3) {
    const toS = Date.now() / 1000;
    const { components } = await service.state();
    assert.ok(answers === 0 || Object.keys(components).length > 0);
    await service.history('limit=100&component_type=MOTORS');
    const plot = `signal=MOTORS/MOTOR_LEFT_REAR/RPM&from=${toS - 60}&to=${toS}&points=600`;
    const response = await fetch(`${service.url}/api/series?${plot}`);
    assert.equal(response.status, 200, await response.text());
    await sleep(1000);
  }
  return answers;
}

async function watch(): Promise<void> {
  while (!isOver()) {
    await sleep(Math.min(60_000, Math.max(0, deadlineMs - performance.now())));
    const minute = figuresOf(service);
    seen.push(minute);
    const { buses, history } = await service.status();
    process.stdout.write(
      `minute ${seen.length}: ${minute.rssMiB.toFixed(0)} MiB, ${minute.descriptors} descriptors, ` +
        `${buses[0]!.frames} frames, ${history.samples} samples, ${history.bytes} bytes\n`,
    );
  }
}

function figuresOf({ child }: Service): Minute {
  const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
  return {
    rssMiB: Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024,
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length,
  };
}
