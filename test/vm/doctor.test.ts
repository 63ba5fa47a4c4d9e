import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Check } from '../../src/doctor/check.ts';
import { examined, runDoctor } from '../support/doctor.ts';
import { FakeIp } from '../support/fake-ip.ts';
import { canController } from '../support/ip-output.ts';
import { eventually, startService } from '../support/service.ts';

/** `doctor` as a process, on the kernel's vcan0. What a virtual bus doesn't have, a fake ip pretends. */

const directory = mkdtempSync(join(tmpdir(), 'doctor-'));
const fake = new FakeIp(directory);
const common = ['--db', join(directory, 'collector.db'), '--port', '0'];
let traffic: ChildProcess;

function ip(...words: string[]): void {
  execFileSync('ip', words);
}

/** The check of a name, which is to be there. */
function named(checks: readonly Check[], name: string): Check {
  const check = checks.find((each) => each.name === name);
  assert.ok(check, `${name} in ${JSON.stringify(checks)}`);
  return check;
}

const problemsOf = (checks: readonly Check[]) =>
  checks.filter(({ outcome }) => outcome === 'problem').map(({ name }) => name);

before(() => {
  traffic = spawn('cangen', ['vcan0', '-g', '10', '-I', '2', '-L', '8', '-D', '48000001400004B0'], {
    stdio: 'ignore',
  });
});
after(() => {
  traffic.kill();
  ip('link', 'del', 'vcan1');
});

test('a bus that is up and has traffic is no problem', async () => {
  const { code, stdout } = await runDoctor(['--bus', 'socketcan:vcan0?bitrate=500000', ...common]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^ {2}✓ CAN sockets +can, can_dev, can_raw, vcan$/m);
  assert.match(stdout, /^ {2}✓ interface +vcan0 is up$/m);
  assert.match(stdout, /^ {2}✓ settings +vcan, MTU 72$/m);
  assert.match(stdout, /^ {2}✓ socket +can be opened$/m);
  const framesPerS = Number(/^ {2}✓ traffic +(\d+) frames\/s$/m.exec(stdout)?.[1]);
  assert.ok(framesPerS > 0, stdout);
  // The VM's /tmp.
  assert.match(stdout, /^ {2}! file system +\S+ is in memory \(tmpfs\)/m);
});

test('a bus without traffic is a warning', async () => {
  ip('link', 'add', 'vcan1', 'type', 'vcan');
  ip('link', 'set', 'vcan1', 'up');
  const { code, checks } = await examined(['--bus', 'socketcan:vcan1', ...common]);
  assert.equal(code, 0);
  const { outcome, found, remedies } = named(checks, 'traffic');
  assert.deepEqual([outcome, found, remedies], ['warning', '0 frames/s', ['Send some: cangen vcan1']]);
});

test('a bus that is down is a problem, unless the service brings it up', async () => {
  ip('link', 'set', 'vcan1', 'down');
  const { code, checks } = await examined(['--bus', 'socketcan:vcan1', ...common]);
  assert.equal(code, 1);
  assert.deepEqual(problemsOf(checks), ['interface']);
  assert.deepEqual(named(checks, 'interface').remedies, ['sudo ip link set vcan1 up']);

  const { code: configuredCode, checks: configured } = await examined([
    '--bus',
    'socketcan:vcan1?configure=on',
    ...common,
  ]);
  assert.equal(configuredCode, 0);
  assert.equal(named(configured, 'interface').outcome, 'warning');
  assert.equal(named(configured, 'configure').outcome, 'ok');
  // To look is not to touch.
  assert.doesNotMatch(execFileSync('ip', ['link', 'show', 'vcan1'], { encoding: 'utf8' }), /[<,]UP[,>]/);
});

test('a bus that is missing is a problem, virtual or not', async () => {
  const { code, checks } = await examined([
    ...['--bus', 'socketcan:vcan7', '--bus', 'socketcan:can7?bitrate=250000', '--bus', 'socketcan:lo'],
    ...common,
  ]);
  assert.equal(code, 1);
  const [virtual, real, other] = checks.filter(({ name }) => name === 'interface');
  assert.deepEqual(virtual?.remedies, [
    'sudo modprobe vcan',
    'sudo ip link add vcan7 type vcan',
    'sudo ip link set vcan7 up',
  ]);
  assert.match(
    real!.remedies.join('\n'),
    /config\.txt: dtoverlay=mcp2515.*\nThen: sudo ip link set can7 up type can bitrate 250000$/s,
  );
  assert.match(other!.found, /lo is no CAN bus; CAN interfaces here: vcan0, vcan1/);
});

test('a controller with another bitrate, off the bus, is told with both commands', async () => {
  fake.show(
    canController({ bitrate: 250_000, state: 'BUS-OFF', errors: { tx: 248, rx: 0 } }).map((link) => ({
      ...link,
      ifname: 'vcan0',
    })),
  );
  const { code, stdout } = await runDoctor(['--bus', 'socketcan:vcan0?bitrate=500000', ...common], {
    env: { PATH: fake.path },
  });
  assert.equal(code, 1);
  assert.match(stdout, /✗ settings +bitrate 250000 bit\/s; expected: bitrate 500000 bit\/s\n/);
  assert.match(
    stdout,
    /- sudo ip link set vcan0 down && sudo ip link set vcan0 up type can bitrate 500000\n/,
  );
  assert.match(stdout, /✗ controller +BUS-OFF, errors: 248 sending/);
  assert.match(stdout, /- sudo ip link set vcan0 type can restart\n/);
  assert.match(stdout, /! restart-ms +0: /);
  assert.match(stdout, /! txqueuelen +10: /);
  assert.deepEqual(fake.asked, []);
});

test('a file system that is mounted read-only is a problem', async () => {
  // That of the host.
  const path = join(import.meta.dirname, 'collector.db');
  const { code, checks } = await examined(['--bus', 'socketcan:vcan0', '--db', path, '--port', '0']);
  assert.equal(code, 1);
  assert.match(named(checks, 'folder').found, /mounted read-only/);
  assert.match(named(checks, 'folder').remedies.join('\n'), /dmesg.*\n.*sudo mount -o remount,rw/);
});

test('a service that cannot open its bus says so through the doctor', async () => {
  const args = ['--bus', 'socketcan:vcan1', '--db', join(directory, 'running.db')];
  const service = await startService({ args: [...args, '--port', '0'] });
  try {
    await eventually(service.status, ({ buses }) => buses[0]?.state === 'unavailable');
    const { code, checks } = await examined([...args, '--port', new URL(service.url).port]);
    assert.equal(code, 1);
    assert.deepEqual(problemsOf(checks), ['interface', 'bus vcan1']);
    assert.match(named(checks, 'bus vcan1').found, /Bring it up with: sudo ip link set vcan1 up$/);
    assert.match(named(checks, 'receive buffer').found, /the running collector has CAP_NET_ADMIN/);
  } finally {
    await service.stop('SIGKILL');
  }
});
