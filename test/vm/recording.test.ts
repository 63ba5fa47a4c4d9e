import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import type { StatusReply } from '../../src/api/schemas.ts';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { LogDriver } from '../../src/bus/log/log-driver.ts';
import { rawSocketsOn } from '../support/raw-sockets.ts';
import { eventually, startService } from '../support/service.ts';

/** Recordings of a real bus, beside candump, and played back by canplayer. */

const ENTRY = resolve(import.meta.dirname, '../../src/cli/main.ts');
const BUS = 'vcan7';
const FRAMES = [
  '123#DEADBEEF',
  '7FF#',
  '1F334455#1122334455667788',
  '123#R',
  '00000001#R',
  '321##1AABBCCDDEEFF001122334455',
  '322##0',
];

const workDir = mkdtempSync(join(tmpdir(), 'recording-'));
const children: ChildProcess[] = [];

after(() => {
  for (const child of children) child.kill('SIGKILL');
  execFileSync('ip', ['link', 'del', BUS]);
});

execFileSync('ip', ['link', 'add', BUS, 'type', 'vcan']);
execFileSync('ip', ['link', 'set', BUS, 'mtu', '72', 'up']);

/** candump -L, which ends by itself after so many frames. */
function candump(frames: number): { readonly lines: Promise<string[]>; readonly opened: Promise<unknown> } {
  const child = spawn('candump', ['-L', '-n', String(frames), '-T', '20000', BUS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const lines = once(child, 'close').then(() => text.trimEnd().split('\n'));
  return {
    lines,
    opened: eventually(
      async () => rawSocketsOn(BUS),
      (sockets) => sockets >= 1,
    ),
  };
}

/** CANFD_FDF, which says once more that a frame is CAN FD, and which kernels set from 5.14 on. */
function withoutFdf(line: string): string {
  return line.replace(/##(\d)/, (_, flags) => `##${Number(flags) & 3}`);
}

async function record(recording: string): Promise<{ stop(): Promise<void> }> {
  const before = rawSocketsOn(BUS);
  const args = [
    'record',
    '--bus',
    `socketcan:${BUS}`,
    '--recording',
    recording,
    '--recording-compress',
    'none',
  ];
  const child = spawn(process.execPath, [ENTRY, ...args, '--log-file', 'none'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  children.push(child);
  await eventually(
    async () => rawSocketsOn(BUS),
    (sockets) => sockets > before,
  );
  return {
    async stop() {
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
    },
  };
}

function linesIn(recording: string): string[] {
  return readdirSync(recording)
    .toSorted()
    .flatMap((name) => readFileSync(join(recording, name), 'utf8').trimEnd().split('\n'));
}

test('a recording is what candump writes of the same bus, and canplayer plays it back', async () => {
  const recording = join(workDir, 'recording');
  const { lines, opened } = candump(FRAMES.length);
  await opened;
  const recorder = await record(recording);
  for (const frame of FRAMES) execFileSync('cansend', [BUS, frame]);
  const seen = (await lines).map(withoutFdf);
  await recorder.stop();
  const recorded = linesIn(recording);
  assert.deepEqual(recorded, seen);
  assert.deepEqual(
    recorded.map((line) => line.split(' ')[2]),
    FRAMES,
  );

  const again = candump(FRAMES.length);
  await again.opened;
  const file = join(recording, readdirSync(recording)[0]!);
  execFileSync('canplayer', ['-I', file, '-t']);
  assert.deepEqual(
    (await again.lines).map((line) => withoutFdf(line).split(' ')[2]),
    FRAMES,
  );
});

test('a full disk pauses the recording, tells how many frames it costs, and is gone on with later', async () => {
  const disk = join(workDir, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  const recording = join(disk, 'can');
  const filler = join(disk, 'filler');
  const args = [
    '--bus',
    `socketcan:${BUS}`,
    '--db',
    join(workDir, 'a.db'),
    '--port',
    '0',
    '--recording',
    recording,
  ];
  const service = await startService({ args });
  try {
    await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
    const generator = spawn('cangen', [BUS, '-g', '2', '-L', '8'], { stdio: 'ignore' });
    children.push(generator);
    const until = async (isThere: (recording: NonNullable<StatusReply['recording']>) => boolean) => {
      const { recording: status } = await eventually(service.status, (reply) => isThere(reply.recording!));
      return status!;
    };
    await until(({ frames }) => frames > 0);

    for (const bytes of [65_536, 4096]) {
      for (;;) {
        try {
          appendFileSync(filler, Buffer.alloc(bytes, 1));
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
          break;
        }
      }
    }
    const paused = await until(({ state, frames_lost }) => state === 'paused' && frames_lost.write > 0);
    assert.equal(paused.problem?.code, 'ENOSPC');
    await until(({ frames_lost }) => frames_lost.write > paused.frames_lost.write);

    rmSync(filler);
    const resumed = await until(({ state, frames }) => state === 'recording' && frames > paused.frames);
    assert.equal(resumed.problem, null);
    generator.kill();
    await once(generator, 'exit');
    let framesBefore = -1;
    const { buses } = await eventually(service.status, ({ buses: [bus] }) => {
      const isQuiet = bus!.frames === framesBefore;
      framesBefore = bus!.frames;
      return isQuiet;
    });
    const last = await until(({ frames, frames_lost }) => frames + frames_lost.write === buses[0]!.frames);
    assert.deepEqual([last.frames_lost.queue, last.frames_lost.failed], [0, 0]);
    await service.stop();
    assert.match(service.output(), /recording paused/);
    assert.match(service.output(), /recording resumed/);

    const driver = new LogDriver({
      kind: 'candump',
      path: recording,
      speed: 'max',
      loop: false,
      time: 'log',
      wait: () => {},
      nowUs: () => 0,
    });
    driver.open();
    let frames = 0;
    for (let isEnded = false; !isEnded; ) {
      const batch = FrameBatch.allocate(4096);
      isEnded = driver.read(batch) === 'ended';
      frames += batch.count;
    }
    const { damages, lines_broken } = driver.status();
    assert.deepEqual([frames, damages, lines_broken], [last.frames, 0, 0]);
    driver.close();
  } finally {
    if (existsSync(disk)) execFileSync('umount', ['-l', disk]);
  }
});
