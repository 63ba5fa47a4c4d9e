import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  describeVmFailure,
  startVm,
  type VmOptions,
  type VmResult,
  vmUnavailableReason,
} from '../scripts/vm.ts';

async function run(
  script: string,
  options: Partial<VmOptions> = {},
): Promise<{ result: VmResult; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const vm = startVm({
    command: ['sh', '-c', script],
    onStdout: (chunk) => {
      stdout += chunk;
    },
    onStderr: (chunk) => {
      stderr += chunk;
    },
    ...options,
  });
  return { result: await vm.result, stdout, stderr };
}

// What happens inside is tested in test/vm/; here is how it ends.
describe('the test VM', { concurrency: 2, skip: vmUnavailableReason() ?? false }, () => {
  test("passes on its command's output and exit status", async () => {
    const { result, stdout, stderr } = await run('seq 1 20000; echo "$NAME" >&2; exit 7', {
      environment: { NAME: 'it\'s "quoted" $HOME' },
    });
    assert.deepEqual(result, { outcome: 'exited', exitCode: 7 });
    assert.equal(stdout, Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(''));
    assert.equal(stderr, `it's "quoted" $HOME\n`);
  });

  test('says so when it dies, with the end of its console', async () => {
    const { result, stdout } = await run('echo before; echo c >/proc/sysrq-trigger; echo after');
    assert.equal(result.outcome, 'died');
    assert.equal(stdout, 'before\n');
    assert.match(describeVmFailure(result) ?? '', /stopped before its command had ended.*Kernel panic/s);
  });

  test('is ended when its time is up', async () => {
    const { result } = await run('sleep 100', { timeoutMs: 500 });
    assert.equal(result.outcome, 'timed-out');
  });

  test('is gone after a power cut, with all that it kept on the host', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'power-cut-'));
    process.env.TMPDIR = dir;
    const vm = startVm({ command: ['sleep', '100'] });
    delete process.env.TMPDIR;
    assert.equal(readdirSync(dir).length, 1);
    await sleep(300);
    await vm.powerCut();
    assert.equal((await vm.result).outcome, 'power-cut');
    assert.deepEqual(readdirSync(dir), []);
    rmdirSync(dir);
  });
});
