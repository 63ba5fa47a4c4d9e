import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeVmFailure, startVm, vmUnavailableReason } from '../scripts/vm.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The power fails while frames are recorded: a VM is ended between two instructions, and with it goes all that its
 * kernel hasn't written to its disk. The next one mounts the disk and replays what is there.
 */

const RECORDER = fileURLToPath(new URL('./support/recorder.ts', import.meta.url));
const ENTRY = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const DISK_BYTES = 64 * 1024 ** 2;
const MKE2FS = ['/sbin/mke2fs', '/usr/sbin/mke2fs'].find((path) => existsSync(path));
const CUTS = 3;
/** After what was durable: in the midst of the next interval, or of its write. */
const LIFE_AFTER_MS = [700, 1_900, 2_000];
const MOUNT = 'mkdir /tmp/disk && mount /dev/ubda /tmp/disk';

const unavailable = vmUnavailableReason() ?? (MKE2FS === undefined && 'missing: apt-get install e2fsprogs');

test('a power cut costs no frame that was on the disk, and makes up none', {
  skip: unavailable,
}, async (t) => {
  const diskPath = join(temporaryDirectory(t), 'disk.img');
  writeFileSync(diskPath, '');
  truncateSync(diskPath, DISK_BYTES);
  execFileSync(MKE2FS!, ['-q', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', diskPath]);

  let durable = 0;
  for (let cut = 0; cut < CUTS; cut++) {
    let output = '';
    const isDurable = Promise.withResolvers<void>();
    const vm = startVm({
      command: ['sh', '-c', `${MOUNT} && exec node ${RECORDER} /tmp/disk/can`],
      diskPath,
      onStdout: (chunk) => {
        output += chunk;
        if (output.includes('durable')) isDurable.resolve();
      },
      onStderr: (chunk) => {
        output += chunk;
      },
    });
    t.after(() => vm.powerCut());
    await Promise.race([isDurable.promise, vm.result]);
    assert.match(output, /durable/);
    await sleep(LIFE_AFTER_MS[cut]!);
    await vm.powerCut();
    const result = await vm.result;
    assert.equal(result.outcome, 'power-cut', `${output} ${describeVmFailure(result)}`);
    durable += Number([...output.matchAll(/^durable (\d+)$/gm)].at(-1)![1]);
  }

  let output = '';
  const replay = "--bus 'candump:/tmp/disk/can?speed=max' --recording /tmp/again --log-file none";
  const vm = startVm({
    command: ['sh', '-c', `${MOUNT} && ls /tmp/disk/can && node ${ENTRY} record ${replay}`],
    diskPath,
    onStdout: (chunk) => {
      output += chunk;
    },
    onStderr: (chunk) => {
      output += chunk;
    },
  });
  t.after(() => vm.powerCut());
  const result = await vm.result;
  assert.deepEqual(result, { outcome: 'exited', exitCode: 0 }, output);
  const replayed = Number(/^(\d+) frames recorded;/m.exec(output)?.[1]);
  assert.ok(replayed >= durable, `${replayed} of ${durable} frames that were durable\n${output}`);
  t.diagnostic(`${CUTS} power cuts: ${durable} frames were durable before one, ${replayed} were replayed`);
});
