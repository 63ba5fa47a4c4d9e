import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { accessSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeVmFailure, startVm, type VmResult, vmUnavailableReason } from '../scripts/vm.ts';
import { seededRandom } from '../src/bus/simulated-kart-random.ts';
import type { Life } from './support/numbered-samples.ts';
import { WRITER_FLUSH_INTERVAL_MS, WriterReport } from './support/numbered-writer.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The power fails while the history is written: a VM is ended between two instructions, and with it goes
 * all that its kernel hasn't written to its disk. The next start mounts the disk, whose journal is replayed,
 * looks at what is there and goes on writing until the next cut.
 */

const WRITER = fileURLToPath(new URL('./support/numbered-writer.ts', import.meta.url));
const CUTS = 20;
/** On a slow machine there are fewer cuts, but never fewer than these. */
const CUTS_LEAST = 5;
const CUTTING_MS = 60_000;
const LIFE_MS = { least: 100, most: 900 };
const DISK_BYTES = 256 * 1024 ** 2;
/** Retention and compaction have something to do from the first seconds on. */
const MAX_SAMPLES = 16_000;
const MKE2FS = ['/sbin/mke2fs', '/usr/sbin/mke2fs'];

function unavailableReason(): string | undefined {
  return (
    vmUnavailableReason() ?? (findMke2fs() === undefined ? 'missing: apt-get install e2fsprogs' : undefined)
  );
}

function findMke2fs(): string | undefined {
  return MKE2FS.find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  });
}

function makeDisk(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, DISK_BYTES);
  // The file system is whole from the beginning: a kernel that still makes its tables would write them meanwhile.
  const whole = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
  execFileSync(findMke2fs()!, ['-q', '-t', 'ext4', ...whole, path]);
}

interface Writer {
  readonly report: WriterReport;
  readonly ended: Promise<VmResult>;
  powerCut(): Promise<void>;
  output(): string;
}

/** Boots the VM; the writer in it first checks what the earlier ones have left, where there were any. */
function startWriter(t: TestContext, diskPath: string, lives: readonly Life[]): Writer {
  const report = new WriterReport();
  let output = '';
  const script = 'mkdir /tmp/disk && mount /dev/ubda /tmp/disk && exec "$@"';
  const database = '/tmp/disk/collector.db';
  const checks = lives.length === 0 ? [] : [JSON.stringify(lives)];
  const vm = startVm({
    command: ['sh', '-c', script, 'sh', 'node', WRITER, database, String(MAX_SAMPLES), ...checks],
    diskPath,
    onStdout: (chunk) => report.take(chunk),
    onStderr: (chunk) => {
      output += chunk;
    },
  });
  t.after(() => vm.powerCut());
  return { report, ended: vm.result, powerCut: vm.powerCut, output: () => output };
}

describe('a power cut', { skip: unavailableReason() ?? false }, () => {
  test('costs no durable sample, doubles none and leaves the database whole', async (t) => {
    const diskPath = join(temporaryDirectory(t), 'disk.img');
    makeDisk(diskPath);
    const random = seededRandom(3, 0);
    const lives: Life[] = [];
    const missingMs: number[] = [];
    let last: { report: WriterReport; cutAtMs: number } | null = null;
    let durable = 0;
    const startedMs = performance.now();
    const isTimeUp = () => lives.length >= CUTS_LEAST && performance.now() - startedMs > CUTTING_MS;

    for (;;) {
      const writer = startWriter(t, diskPath, lives);
      const { report } = writer;
      await Promise.race([report.opened, writer.ended]);
      const failure = () => `${report.wrong} ${writer.output()}`;
      assert.notEqual(report.life, null, failure());
      if (last !== null) {
        assert.notEqual(report.checked, null, failure());
        missingMs.push(last.report.missingMs(report.checked!.lastSeq, last.cutAtMs));
      }
      if (lives.length === CUTS || isTimeUp()) {
        await writer.powerCut();
        break;
      }
      await sleep(LIFE_MS.least + random() * (LIFE_MS.most - LIFE_MS.least));
      await writer.powerCut();
      const result = await writer.ended;
      assert.equal(result.outcome, 'power-cut', `${failure()} ${describeVmFailure(result)}`);
      assert.equal(report.wrong, null);
      last = { report, cutAtMs: Date.now() };
      durable += report.durableSeq - report.firstSeq! + 1;
      lives.push(report.life!);
    }

    assert.ok(durable > 0, 'no sample was durable before a cut');
    const tookS = (performance.now() - startedMs) / 1000;
    t.diagnostic(
      `${lives.length} power cuts in ${tookS.toFixed(1)} s: ${durable} samples were durable before one, none was lost; ` +
        `what was missing had been given at most ${Math.max(...missingMs)} ms before ` +
        `(a flush interval is ${WRITER_FLUSH_INTERVAL_MS} ms)`,
    );
  });
});
