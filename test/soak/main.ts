import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeBusLog } from '../../bench/receivers/bus-log.ts';
import { describeVmFailure, startVm, vmUnavailableReason } from '../../scripts/vm.ts';

/**
 * npm run soak: the service for 30 minutes in the VM, with a full bus, another that is lost three times a minute, a
 * recording, retention at its limits, and clients that ask all the while. Nothing may be lost that isn't counted, and
 * nothing may grow. `npm run soak -- MINUTES` does as many.
 */

const minutes = Number(process.argv[2] ?? 30);
if (!Number.isInteger(minutes) || minutes < 1) {
  process.stderr.write('Usage: npm run soak -- [MINUTES], a whole number, at least 1\n');
  process.exit(2);
}
const reason = vmUnavailableReason();
if (reason !== undefined) {
  process.stderr.write(`The soak can't run: ${reason}\n`);
  process.exit(1);
}

const FRAMES_PER_S = 4500;
/** Of the log that is played again and again. */
const PASS_SECONDS = 30;
const frames = FRAMES_PER_S * PASS_SECONDS;
const folder = mkdtempSync(join(tmpdir(), 'soak-'));
const log = join(folder, 'full-bus.log');
mkdirSync(folder, { recursive: true });
writeBusLog(log, frames, FRAMES_PER_S);
try {
  const vm = startVm({
    command: ['node', resolve(import.meta.dirname, 'in-vm.ts'), log, String(frames), String(minutes)],
    cwd: resolve(import.meta.dirname, '../..'),
    writableDirs: [folder],
    timeoutMs: (minutes + 5) * 60_000,
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => process.stderr.write(chunk),
  });
  const result = await vm.result;
  const failure = describeVmFailure(result);
  if (failure !== undefined) process.stderr.write(`${failure}\n`);
  process.exitCode = result.outcome === 'exited' ? result.exitCode : 1;
} finally {
  rmSync(folder, { recursive: true });
}
