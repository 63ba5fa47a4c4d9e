import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeVmFailure, startVm, vmUnavailableReason } from '../../scripts/vm.ts';
import { type Figure, report } from '../report.ts';
import { writeBusLog } from './bus-log.ts';
import type { Received } from './in-vm.ts';

/** What a bus of 500 kbit/s carries when it is full, of frames of 8 bytes. */
const FRAMES_PER_S = 4500;
const SECONDS = Number(process.env.SECONDS ?? 60);

const PROJECT_DIR = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(PROJECT_DIR, '.cache/bench');
const GUEST = fileURLToPath(new URL('./in-vm.ts', import.meta.url));

/**
 * The whole service on a full bus, beside others that only listen: CPU per frame that arrived, and frames lost. Each
 * hears the same frames, one after the other, in one run of a VM; so its figures are for comparison alone.
 */
export async function receiversBench(): Promise<void> {
  const reason = vmUnavailableReason();
  if (reason !== undefined) {
    process.stdout.write(`receivers: could not run: ${reason}\n`);
    process.exitCode = 1;
    return;
  }
  mkdirSync(CACHE, { recursive: true });
  const log = join(CACHE, 'full-bus.log');
  const frames = FRAMES_PER_S * SECONDS;
  writeBusLog(log, frames, FRAMES_PER_S);
  const resultDir = join(CACHE, 'receivers');
  rmSync(resultDir, { recursive: true, force: true });
  mkdirSync(resultDir);
  const vm = startVm({
    command: ['node', GUEST, log, String(frames), resultDir, ...npmSocketcan()],
    cwd: PROJECT_DIR,
    writableDirs: [resultDir],
    timeoutMs: (SECONDS * 3 + 60) * 4000,
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => process.stderr.write(chunk),
  });
  const result = await vm.result;
  const failure = describeVmFailure(result);
  if (failure !== undefined) throw new Error(failure);
  reportReceivers(JSON.parse(readFileSync(join(resultDir, 'received.json'), 'utf8')), frames);
}

/** The npm package socketcan, installed where it can be (it is compiled), with the Node that it was compiled for. */
function npmSocketcan(): string[] {
  const folder = join(CACHE, 'npm-socketcan');
  // Not the Node of this project, for which no headers may be there.
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => !directory.includes('node_modules'))
    .join(delimiter);
  const env = { ...process.env, PATH: path };
  try {
    const node = execFileSync('which', ['node'], { env, encoding: 'utf8' }).trim();
    if (!existsSync(join(folder, 'node_modules'))) {
      mkdirSync(folder, { recursive: true });
      const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', 'socketcan@4'];
      execFileSync(join(dirname(node), 'npm'), args, { env, stdio: 'ignore' });
    }
    const main = join(folder, 'node_modules/socketcan');
    execFileSync(node, ['-e', `require(${JSON.stringify(main)})`], { env, stdio: 'ignore' });
    return [node, main];
  } catch {
    process.stdout.write('receivers: npm socketcan cannot be compiled here and is left out\n');
    return [];
  }
}

function reportReceivers(all: readonly Received[], sent: number): void {
  const ours = all.find(({ name }) => name === 'collector')!;
  for (const other of all) {
    if (other === ours) continue;
    const figures: Figure[] = [
      {
        what: 'CPU µs/frame',
        ours: cpuUsPerFrame(ours),
        reference: cpuUsPerFrame(other),
        digits: 1,
        wanted: { ratioAtMost: 1 },
      },
      {
        what: 'frames lost',
        ours: sent - ours.frames,
        reference: sent - other.frames,
        digits: 0,
        wanted: { oursAtMost: 0 },
      },
    ];
    const title = `receivers: ${sent.toLocaleString('en')} frames at ${FRAMES_PER_S}/s, in the VM; the whole service against ${other.name}`;
    report(title, other.name, figures);
  }
}

function cpuUsPerFrame({ cpuSeconds, frames }: Received): number {
  return (cpuSeconds * 1e6) / frames;
}
