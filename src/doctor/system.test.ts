import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { parseBusUrl } from '../bus/bus-url.ts';
import { isClockSynchronized } from '../shared/kernel-clock.ts';
import { bytesText, type Check } from './check.ts';
import { checkClock } from './clock.ts';
import { checkHost } from './host.ts';
import { checkKernel } from './kernel.ts';
import { checkPermissions } from './permissions.ts';

/** The files of a system, as /proc and /sys have them, below a directory of the test's own. */
function systemOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = temporaryDirectory(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const outcomes = (checks: readonly Check[]) => checks.map(({ name, outcome }) => `${name}: ${outcome}`);

describe('the kernel', () => {
  test('with CAN is ok, and its modules are named', (t) => {
    const modules =
      'snd 1 0 - Live 0x0\ncan_raw 20480 0 - Live 0x0\nmcp251x 1 0 - Live 0x0\ncan 1 1 can_raw, Live 0x0\n';
    const check = checkKernel(systemOf(t, { 'proc/modules': modules }), () => null);
    assert.equal(check.outcome, 'ok');
    assert.equal(check.found, 'can, can_raw, mcp251x');
  });

  test('without CAN is a problem that modprobe mends', (t) => {
    const check = checkKernel(systemOf(t, {}), () => 'the kernel gives none (EAFNOSUPPORT)');
    assert.equal(check.outcome, 'problem');
    assert.match(check.found, /EAFNOSUPPORT/);
    assert.equal(check.remedies[0], 'sudo modprobe can_raw');
  });
});

describe('permissions', () => {
  const buses = (url: string) => [{ name: 'front', url, spec: parseBusUrl(url) }];
  const rights = (isAdmin: boolean, isPassedOn: boolean) => ({ isAdmin, isPassedOn });
  const plain = buses('socketcan:can0');
  const configured = buses('socketcan:can0?configure=on');

  // biome-ignore format: a table
  const cases: [what: string, buses: typeof plain, rights: ReturnType<typeof rights>, rmemMax: string, outcomes: string[]][] = [
    ['an administrator', plain, rights(true, true), '212992', ['receive buffer: ok']],
    ['a user', plain, rights(false, false), '212992', ['receive buffer: warning']],
    ['a user whose kernel allows large buffers', plain, rights(false, false), '8388608', ['receive buffer: ok']],
    ['an administrator who is to configure', configured, rights(true, true), '212992', ['receive buffer: ok', 'configure: ok']],
    ['a user who is to configure', configured, rights(false, false), '8388608', ['receive buffer: ok', 'configure: problem']],
    ['a program with a capability of its own', configured, rights(true, false), '212992', ['receive buffer: ok', 'configure: problem']],
  ];
  for (const [what, each, has, rmemMax, expected] of cases) {
    test(`of ${what}`, (t) => {
      const root = systemOf(t, { 'proc/sys/net/core/rmem_max': `${rmemMax}\n` });
      const checks = checkPermissions(each, has, 'this user', root);
      assert.deepEqual(outcomes(checks), expected);
      for (const { outcome, remedies } of checks) {
        if (outcome !== 'ok') assert.match(remedies[0]!, /^AmbientCapabilities=CAP_NET_ADMIN/);
      }
    });
  }
});

describe('the clock', () => {
  const NOW = Date.UTC(2026, 10, 24);
  const WITH_RTC = { 'dev/rtc0': '', 'sys/class/rtc/rtc0/name': 'rtc-ds1307 1-0068\n' };

  test('that is kept by the network, with an RTC, is ok', (t) => {
    const checks = checkClock(systemOf(t, WITH_RTC), NOW, true);
    assert.deepEqual(outcomes(checks), ['time: ok', 'RTC: ok']);
    assert.equal(checks[0]?.found, '2026-11-24T00:00:00Z, synchronised');
    assert.equal(checks[1]?.found, 'rtc-ds1307 1-0068');
  });

  test('that nobody keeps is a warning, as is one without an RTC', (t) => {
    const checks = checkClock(systemOf(t, {}), NOW, false);
    assert.deepEqual(outcomes(checks), ['time: warning', 'RTC: warning']);
    assert.match(checks[0]!.remedies.join(), /timedatectl/);
    assert.match(checks[1]!.remedies.join(), /i2c-rtc,ds3231/);
  });

  test('where the kernel cannot be asked, the file of timesyncd says it', (t) => {
    const synced = systemOf(t, { 'run/systemd/timesync/synchronized': '', ...WITH_RTC });
    assert.deepEqual(outcomes(checkClock(synced, NOW, null)), ['time: ok', 'RTC: ok']);
    assert.deepEqual(outcomes(checkClock(systemOf(t, WITH_RTC), NOW, null)), ['time: warning', 'RTC: ok']);
  });

  test('that has never been set is a problem', (t) => {
    const [time] = checkClock(systemOf(t, WITH_RTC), Date.UTC(2023, 11, 31), true);
    assert.equal(time?.outcome, 'problem');
    assert.match(time!.remedies.join(), /sudo date -u -s/);
  });

  test('of this machine can be asked of its kernel', { skip: process.platform !== 'linux' }, () => {
    assert.equal(typeof isClockSynchronized(), 'boolean');
  });
});

describe('the machine', () => {
  const MEMORY = { 'proc/meminfo': 'MemTotal: 3884336 kB\nMemFree: 80000 kB\nMemAvailable: 2884336 kB\n' };
  const THROTTLED = 'sys/devices/platform/soc/soc:firmware/get_throttled';

  // biome-ignore format: a table
  const cases: [what: string, files: Record<string, string>, isRunning: boolean, outcomes: string[]][] = [
    ['that tells nothing', {}, false, []],
    ['with room', MEMORY, false, ['memory: ok']],
    ['that is full', { 'proc/meminfo': 'MemAvailable: 100000 kB\n' }, false, ['memory: warning']],
    ['that is full, of the running service', { 'proc/meminfo': 'MemAvailable: 100000 kB\n' }, true, ['memory: ok']],
    ['that is warm', { 'sys/class/thermal/thermal_zone0/temp': '61833\n' }, false, ['temperature: ok']],
    ['that is hot', { 'sys/class/thermal/thermal_zone0/temp': '80500\n' }, false, ['temperature: warning']],
    ['with a good supply', { [THROTTLED]: '0\n' }, false, ['power: ok']],
    ['with a bad supply', { [THROTTLED]: '50005\n' }, false, ['power: problem']],
    ['with a supply that was bad', { [THROTTLED]: '50000\n' }, false, ['power: warning']],
    ['that was slowed down by heat', { [THROTTLED]: '80000\n' }, false, ['power: warning']],
    ['that is slowed down', { [THROTTLED]: '4\n' }, false, ['power: warning']],
    ['whose firmware says something else', { [THROTTLED]: 'n/a\n' }, false, []],
  ];
  for (const [what, files, isRunning, expected] of cases) {
    test(what, (t) => {
      assert.deepEqual(outcomes(checkHost(isRunning, systemOf(t, files))), expected);
    });
  }
});

test('bytes are written for people', () => {
  const cases: [number, string][] = [
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1536, '1.5 KiB'],
    [400 * 1024 ** 2, '400 MiB'],
    [2 * 1024 ** 3, '2.0 GiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(bytesText(bytes), text);
});
