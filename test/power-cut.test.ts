import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { accessSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeVmFailure, startVm, type VmResult, vmUnavailableReason } from '../scripts/vm.ts';
import { seededRandom } from '../src/bus/simulated-kart/random.ts';
import type { Life } from './support/numbered-samples.ts';
import { WRITER_FLUSH_INTERVAL_MS, WriterReport } from './support/numbered-writer.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The power fails while the history is written and read: a VM is ended between two instructions, and with it
 * goes all that its kernel hasn't written to its disk. The next start mounts the disk, whose journal is
 * replayed, looks at what is there and goes on writing until the next cut. Two VMs are at it, a core each.
 */

const WRITER = fileURLToPath(new URL('./support/numbered-writer.ts', import.meta.url));
const CUTS_PER_VM = 10;
/** On a slow machine there are fewer cuts, but never fewer than these. */
const CUTS_LEAST = 5;
const CUTTING_MS = 80_000;
const LIFE_MS = { least: 100, most: 900 };
/** Every so many lives there is a long one, in which a flush that doesn't come costs more than is allowed. */
const LONG_LIFE_EVERY = 4;
const LONG_LIFE_MS = 4_500;
/** What an oldest missing sample may have waited beyond the flush interval, in a VM of one slow processor. */
const COMMIT_PATIENCE_MS = 3_000;
const DISK_BYTES = 256 * 1024 ** 2;
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

/** Compiles what the writer is made of: inside the VM that would take longer than to boot it. */
function compileWriter(cacheDir: string): void {
  const modules = ['writer/history-writer.ts', 'reader/history-reader.ts', 'database/database.ts'].map(
    (file) => fileURLToPath(new URL(`../src/history/${file}`, import.meta.url)),
  );
  const script = [WRITER, ...modules].map((path) => `await import(${JSON.stringify(path)});`).join('');
  execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_COMPILE_CACHE: cacheDir },
  });
}

interface Writer {
  readonly report: WriterReport;
  readonly ended: Promise<VmResult>;
  powerCut(): Promise<void>;
  output(): string;
}

interface Disk {
  readonly diskPath: string;
  readonly cacheDir: string;
  readonly maxSamples: number | null;
}

/** Boots the VM; the writer in it first checks what the earlier ones have left, where there were any. */
function startWriter(
  t: TestContext,
  { diskPath, cacheDir, maxSamples }: Disk,
  lives: readonly Life[],
  checkedSeq: number,
): Writer {
  const report = new WriterReport();
  let output = '';
  const script = 'mkdir /tmp/disk && mount /dev/ubda /tmp/disk && exec "$@"';
  const database = '/tmp/disk/collector.db';
  const checks = lives.length === 0 ? [] : [JSON.stringify(lives), String(checkedSeq)];
  const vm = startVm({
    command: [
      'sh',
      '-c',
      script,
      'sh',
      'node',
      WRITER,
      database,
      String(maxSamples ?? 'unlimited'),
      ...checks,
    ],
    diskPath,
    environment: { NODE_COMPILE_CACHE: cacheDir },
    writableDirs: [cacheDir],
    onStdout: (chunk) => report.take(chunk),
    onStderr: (chunk) => {
      output += chunk;
    },
  });
  t.after(() => vm.powerCut());
  return { report, ended: vm.result, powerCut: vm.powerCut, output: () => output };
}

/** Cuts the power of a VM again and again, and looks after each cut at what is there. */
async function cutPower(t: TestContext, seed: number, maxSamples: number | null): Promise<void> {
  const directory = temporaryDirectory(t);
  const disk = { diskPath: join(directory, 'disk.img'), cacheDir: join(directory, 'compiled'), maxSamples };
  makeDisk(disk.diskPath);
  mkdirSync(disk.cacheDir);
  compileWriter(disk.cacheDir);
  const random = seededRandom(seed, 0);
  const lives: Life[] = [];
  const missingMs: number[] = [];
  let last: { report: WriterReport; cutAtMs: number } | null = null;
  let durable = 0;
  let checkedSeq = 0;
  const startedMs = performance.now();
  const isTimeUp = () => lives.length >= CUTS_LEAST && performance.now() - startedMs > CUTTING_MS;

  for (;;) {
    const isLast = lives.length === CUTS_PER_VM || isTimeUp();
    // At the end all of it is looked at once more.
    const writer = startWriter(t, disk, lives, isLast ? 0 : checkedSeq);
    const { report } = writer;
    await Promise.race([report.opened, writer.ended]);
    const failure = () => `${report.wrong} ${writer.output()}`;
    assert.notEqual(report.life, null, failure());
    if (last !== null) {
      assert.notEqual(report.checked, null, failure());
      const missing = last.report.missingMs(report.checked!.lastSeq, last.cutAtMs);
      assert.ok(missing <= WRITER_FLUSH_INTERVAL_MS + COMMIT_PATIENCE_MS, `${missing} ms are missing`);
      missingMs.push(missing);
      checkedSeq = maxSamples === null ? report.checked!.lastSeq : 0;
    }
    if (isLast) {
      await writer.powerCut();
      break;
    }
    const { least, most } = LIFE_MS;
    const isLong = (lives.length + 1) % LONG_LIFE_EVERY === 0;
    await sleep(isLong ? LONG_LIFE_MS : least + random() * (most - least));
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
}

describe('a power cut', { concurrency: 2, skip: unavailableReason() ?? false }, () => {
  test('costs no durable sample, doubles none and leaves the database whole', async (t) => {
    await cutPower(t, 3, null);
  });

  test('nor does it where retention and compaction are at work', async (t) => {
    await cutPower(t, 4, 16_000);
  });
});
