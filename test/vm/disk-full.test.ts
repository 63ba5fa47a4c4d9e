import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import type { SampleReply, StatusReply } from '../../src/api/schemas.ts';
import { eventually, type Service, startService } from '../support/service.ts';

/**
 * The history's disk is full, and later it isn't. A counter comes over the bus, so that what is stored and
 * what is lost can be told apart sample by sample. Each test goes on from where the one before left the service.
 */

const DISK_BYTES = 8 * 1024 ** 2;
const FRAMES = 100_000;
/** Of the bus: one frame in so many microseconds. */
const FRAME_US = 1000;
const PAGE_SAMPLES = 5000;

const workDir = mkdtempSync(join(tmpdir(), 'disk-full-'));
const disk = join(workDir, 'disk');
const database = join(disk, 'collector.db');
const filler = join(disk, 'filler');
const log = join(workDir, 'counter.log');

let service: Service;
let player: ChildProcess | undefined;
/** A client that pages through the history all the time; it rejects when a page is not as it should be. */
let reading: Promise<number>;
let isReading = true;

after(async () => {
  isReading = false;
  player?.kill('SIGKILL');
  await service?.stop('SIGKILL');
  execFileSync('umount', ['-l', disk]);
});

/** SYSTEM_MONITOR TIME_MASTER PONG, whose 24 bits are the frame's number. */
function counterLog(): string {
  let text = '';
  for (let frame = 1; frame <= FRAMES; frame++) {
    const atUs = frame * FRAME_US;
    const fraction = String(atUs % 1_000_000).padStart(6, '0');
    const value = frame.toString(16).toUpperCase().padStart(6, '0');
    text += `(${1_764_000_000 + Math.floor(atUs / 1_000_000)}.${fraction}) vcan0 005#6800040560${value}\n`;
  }
  return text;
}

function integrity(): string {
  const reader = new DatabaseSync(database, { readOnly: true });
  const row = reader.prepare('PRAGMA integrity_check').get();
  reader.close();
  return String(row?.integrity_check);
}

/** Leaves not a byte. */
function fillDisk(): void {
  for (const bytes of [65_536, 4096]) {
    const chunk = Buffer.alloc(bytes, 1);
    for (;;) {
      try {
        appendFileSync(filler, chunk);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
        break;
      }
    }
  }
}

async function counter(): Promise<number> {
  const { components } = await service.state();
  return components.SYSTEM_MONITOR?.TIME_MASTER?.PONG?.value ?? 0;
}

/** The whole history, page by page; every page in order, and every value above the one before. */
async function wholeHistory(): Promise<SampleReply[]> {
  const samples: SampleReply[] = [];
  let cursor = 0;
  for (;;) {
    const page = await service.history(`limit=${PAGE_SAMPLES}&order=asc&cursor=${cursor}`);
    if (page.length === 0) return samples;
    for (const sample of page) {
      const before = samples.at(-1);
      assert.ok(sample.seq > cursor, `sample ${sample.seq} comes after ${cursor}`);
      assert.ok(
        before === undefined || sample.value > before.value,
        `${sample.value} after ${before?.value}`,
      );
      samples.push(sample);
      cursor = sample.seq;
    }
  }
}

async function readOnAndOn(): Promise<number> {
  let readings = 0;
  while (isReading) {
    await wholeHistory();
    readings++;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return readings;
}

/** A client's complaint ends the wait for what the service is to do. */
function whenHistory(isThere: (history: StatusReply['history']) => boolean): Promise<StatusReply> {
  const status = eventually(service.status, ({ history }) => isThere(history));
  return Promise.race([status, reading.then(() => status)]);
}

const lostInWrite = ({ history }: StatusReply): number => history.samples_lost.write;

test('a disk with room takes every sample', async () => {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk]);
  writeFileSync(log, counterLog());
  const args = ['--bus', 'socketcan:vcan0', '--db', database, '--port', '0', '--flush-interval', '200ms'];
  service = await startService({ args });
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
  player = spawn('canplayer', ['-I', log, '-l', '1'], { stdio: 'ignore' });
  reading = readOnAndOn();
  reading.catch(() => undefined);
  const { history } = await whenHistory(({ samples }) => samples >= 500);
  assert.deepEqual(history.samples_lost, { queue: 0, write: 0 });
  assert.equal(history.problem, null);
});

test('a full disk costs samples, which are counted, and a problem says so; state, API and the stored go on', async () => {
  const stored = (await wholeHistory()).slice(0, 400);
  fillDisk();
  const full = await whenHistory(({ problem, samples_lost }) => problem !== null && samples_lost.write > 0);
  assert.equal(full.history.state, 'open');
  assert.match(full.history.problem!.message, /full|space|I\/O/i);

  const before = await counter();
  const later = await eventually(service.status, (status) => lostInWrite(status) > lostInWrite(full) + 200);
  assert.ok((await counter()) > before, 'the state goes on');
  assert.equal(later.buses[0]?.state, 'open');
  assert.notEqual(later.history.problem, null);
  assert.equal((await fetch(`${service.url}/healthz`)).status, 200);

  assert.deepEqual((await wholeHistory()).slice(0, stored.length), stored);
  assert.equal(integrity(), 'ok');
});

test('with room on the disk it stores again by itself, and the problem is gone', async () => {
  rmSync(filler);
  const { history } = await whenHistory(({ problem }) => problem === null);
  await whenHistory(({ samples_stored }) => samples_stored > history.samples_stored + 500);
  assert.equal(integrity(), 'ok');
});

test('so it does when the disk, full once more, becomes a bigger one', async () => {
  const before = await service.status();
  fillDisk();
  const full = await whenHistory(
    ({ problem, samples_lost }) => problem !== null && samples_lost.write > lostInWrite(before),
  );
  execFileSync('mount', ['-o', `remount,size=${2 * DISK_BYTES}`, disk]);
  await whenHistory(
    ({ problem, samples_stored }) => problem === null && samples_stored > full.history.samples_stored + 500,
  );
});

test('every frame was stored or counted as lost, and nothing is harmed', async () => {
  const ended = once(player!, 'exit');
  player!.kill('SIGKILL');
  await ended;
  const { history, buses } = await eventually(service.status, ({ history, buses }) => {
    const { samples_lost, samples_stored } = history;
    return samples_stored + samples_lost.queue + samples_lost.write === buses[0]?.outcomes.decoded;
  });
  isReading = false;
  const readings = await reading;

  const samples = await wholeHistory();
  assert.equal(samples.length, history.samples_stored);
  assert.equal(samples.length, history.samples);
  const lost = history.samples_lost.queue + history.samples_lost.write;
  // Frames are numbered from 1 and none came twice, so the gaps are what was lost.
  const dropped = Number(buses[0]!.driver.kernel_drops);
  assert.equal(await counter(), samples.length + lost + dropped);

  // The gaps say the same: so many samples, when the disk was full, and never beside what is stored.
  assert.equal(history.samples_lost.queue, 0);
  const wasFull = await eventually(
    async () => (await service.gaps()).filter(({ cause }) => cause === 'disk'),
    (gaps) => gaps.reduce((total, { count }) => total + count!, 0) === history.samples_lost.write,
  );
  assert.ok(wasFull.length > 0 && wasFull.every(({ bus, ongoing }) => bus === null && !ongoing));
  assert.ok(wasFull[0]!.from > samples[0]!.timestamp && wasFull.at(-1)!.to < samples.at(-1)!.timestamp);
  assert.equal((await service.stop()).code, 0, service.output());
  assert.equal(integrity(), 'ok');
  process.stdout.write(
    `# ${samples.length} samples stored, ${lost} lost to a full disk, ${readings} times read through meanwhile\n`,
  );
});
