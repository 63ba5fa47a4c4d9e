import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, startService } from '../../test/support/service.ts';

/**
 * What receivers.ts has run in the VM: one receiver after the other listens while canplayer plays the log.
 * Usage: in-vm.ts LOG FRAMES RESULT_DIR [NODE NPM_SOCKETCAN]
 */

export interface Received {
  readonly name: string;
  readonly frames: number;
  /** Of the whole process, while the frames came. */
  readonly cpuSeconds: number;
}

interface Receiver {
  readonly pid: number;
  /** Ends it, and tells how many frames it has had. */
  end(): Promise<number>;
}

const BUS = 'vcan0';
const [log, , resultDir, node, npmSocketcan] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
  string?,
];
const sent = Number(process.argv[3]);
/** What is on its way when the last frame was sent. */
const SETTLE_MS = 3000;
/** Of /proc/PID/stat. */
const TICKS_PER_S = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

async function candump(): Promise<Receiver> {
  const path = join(mkdtempSync(join(tmpdir(), 'candump-')), 'candump.log');
  const file = openSync(path, 'w');
  const child = spawn('candump', ['-L', BUS], { stdio: ['ignore', file, 'inherit'] });
  closeSync(file);
  await sleep(1000);
  return {
    pid: child.pid!,
    async end() {
      child.kill('SIGTERM');
      await once(child, 'exit');
      return await lines(path);
    },
  };
}

async function lines(path: string): Promise<number> {
  let count = 0;
  for await (const chunk of createReadStream(path)) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count++;
  }
  return count;
}

/** A program that says `ready`, and when it is told to end its count. */
async function counting(command: string, ...args: string[]): Promise<Receiver> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout!.on('data', (chunk) => {
    output += chunk;
  });
  await eventually(
    async () => output,
    (text) => text.includes('ready'),
  );
  return {
    pid: child.pid!,
    async end() {
      child.kill('SIGTERM');
      await once(child, 'close');
      return Number(output.trim().split('\n').at(-1));
    },
  };
}

async function collector(): Promise<Receiver> {
  const database = join(mkdtempSync(join(tmpdir(), 'collector-')), 'collector.db');
  const service = await startService({ env: { CAN_INTERFACE: BUS, DB_PATH: database } });
  await eventually(
    () => service.status(),
    ({ buses }) => buses[0]?.state === 'open',
  );
  return {
    pid: service.child.pid!,
    async end() {
      const { buses, history } = await eventually(
        () => service.status(),
        (status) => status.history.samples === status.buses[0]!.frames,
      );
      const { frames } = buses[0]!;
      process.stdout.write(`  collector: ${frames} frames, ${history.samples} samples stored\n`);
      await service.stop();
      return frames;
    },
  };
}

const here = import.meta.dirname;
const receivers: Record<string, () => Promise<Receiver>> = {
  collector,
  'candump -L': candump,
  'python-can': () => counting('/usr/bin/python3', join(here, 'python-receiver.py'), BUS),
  ...(node !== undefined && {
    'npm socketcan': () => counting(node, join(here, 'npm-receiver.cjs'), npmSocketcan!, BUS),
  }),
};

const results: Received[] = [];
for (const [name, start] of Object.entries(receivers)) {
  const receiver = await start();
  // What a program does when it has just started isn't what a frame costs.
  await sleep(SETTLE_MS);
  const before = cpuSecondsOf(receiver.pid);
  const startedMs = performance.now();
  execFileSync('canplayer', ['-I', log, `${BUS}=can0`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const seconds = (performance.now() - startedMs) / 1000;
  await sleep(SETTLE_MS);
  const cpuSeconds = cpuSecondsOf(receiver.pid) - before;
  const frames = await receiver.end();
  results.push({ name, frames, cpuSeconds });
  process.stdout.write(
    `  ${name}: ${frames} of ${sent} frames in ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(2)} s of CPU\n`,
  );
}
writeFileSync(join(resultDir, 'received.json'), JSON.stringify(results));
