import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { systemRoot } from '../../test/support/system-root.ts';
import { HostReader, type HostReading } from './host-reader.ts';

const NET_DEV_HEAD = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;
const WIRELESS_HEAD = `Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
`;

/** What a Raspberry Pi 4 with WiFi, Docker and a CAN adapter says of itself. */
const PI = {
  'proc/uptime': '350735.47 1361002.12\n',
  'proc/meminfo': 'MemTotal:        3884336 kB\nMemFree:           80000 kB\nMemAvailable:    2884336 kB\n',
  'proc/stat':
    'cpu  1000 0 500 8000 400 0 100 0 0 0\ncpu0 250 0 125 2000 100 0 25 0 0 0\nintr 12345 0 0\nbtime 1764000000\n',
  'proc/net/dev': `${NET_DEV_HEAD}    lo:  900000    1000    0    0    0     0          0         0   900000    1000    0    0    0     0       0          0
 wlan0: 1000000    2000    0    0    0     0          0         0   500000    1500    0    0    0     0       0          0
  eth0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  can0: 7000000   90000    0    0    0     0          0         0        0       0    0    0    0     0       0          0
docker0: 3000000    3000    0    0    0     0          0         0  3000000    3000    0    0    0     0       0          0
`,
  'proc/net/wireless': `${WIRELESS_HEAD} wlan0: 0000   54.  -56.  -256        0      0      0      3      0        0\n`,
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '61833\n',
  'sys/class/thermal/cooling_device0/type': 'pwm-fan\n',
  'sys/class/net/lo/type': '772\n',
  'sys/class/net/wlan0/type': '1\n',
  'sys/class/net/wlan0/device/vendor': '0x02d0\n',
  'sys/class/net/eth0/type': '1\n',
  'sys/class/net/eth0/device/uevent': 'DRIVER=bcmgenet\n',
  'sys/class/net/can0/type': '280\n',
  'sys/class/net/can0/device/uevent': 'DRIVER=mcp251x\n',
  'sys/class/net/docker0/type': '1\n',
};

const NOTHING: HostReading = {
  uptimeS: null,
  temperatureC: null,
  cpuLoad: null,
  memoryFreeBytes: null,
  diskUsage: null,
  sentBitPerS: null,
  receivedBitPerS: null,
  wifiRssiDbm: null,
};

/** A reader of a machine whose clock a test sets. */
function readerOf(root: string, diskFolder = root) {
  let nowMs = 1000;
  const reader = new HostReader({ root, diskFolder, monotonicMs: () => nowMs });
  return {
    read: () => reader.read(),
    wait(ms: number) {
      nowMs += ms;
    },
  };
}

function netDev(bytes: Readonly<Record<string, readonly [received: number, sent: number]>>): string {
  const lines = Object.entries(bytes).map(
    ([name, [received, sent]]) => `${name}: ${received} 1 0 0 0 0 0 0 ${sent} 1 0 0 0 0 0 0\n`,
  );
  return NET_DEV_HEAD + lines.join('');
}

describe('a reading', () => {
  test('of a Raspberry Pi tells all that is known, loads and rates from the second on', async (t) => {
    const root = systemRoot(t, PI);
    const machine = readerOf(root.path);
    const { diskUsage, ...first } = await machine.read();
    assert.deepEqual(first, {
      uptimeS: 350_735.47,
      temperatureC: 61.833,
      cpuLoad: null,
      memoryFreeBytes: 2_884_336 * 1024,
      sentBitPerS: null,
      receivedBitPerS: null,
      wifiRssiDbm: -56,
    });
    assert.ok(diskUsage !== null && diskUsage > 0 && diskUsage < 1, String(diskUsage));

    root.write({
      // Of 400 ticks 300 were idle or waited for the disk.
      'proc/stat': 'cpu  1060 0 520 8250 450 0 120 0 0 0\n',
      'proc/net/dev': netDev({
        lo: [9_900_000, 9_900_000],
        wlan0: [1_250_000, 510_000],
        eth0: [0, 1000],
        can0: [9_000_000, 0],
        docker0: [9_000_000, 9_000_000],
      }),
    });
    machine.wait(2000);
    const second = await machine.read();
    assert.equal(second.cpuLoad, 0.25);
    assert.equal(second.receivedBitPerS, (250_000 * 8) / 2);
    assert.equal(second.sentBitPerS, (11_000 * 8) / 2);
  });

  test('of a machine that tells nothing is nothing', async (t) => {
    const machine = readerOf(systemRoot(t).path, '/no/such/folder');
    assert.deepEqual(await machine.read(), NOTHING);
    machine.wait(1000);
    assert.deepEqual(await machine.read(), NOTHING);
  });

  test('of this machine tells what its kernel says', { skip: process.platform !== 'linux' }, async () => {
    const reader = new HostReader({ diskFolder: import.meta.dirname });
    await reader.read();
    const { uptimeS, memoryFreeBytes, diskUsage } = await reader.read();
    assert.ok(uptimeS! > 0 && memoryFreeBytes! > 0 && diskUsage! >= 0 && diskUsage! <= 1);
  });

  test('of files with anything in them is a reading of finite numbers, or none', async (t) => {
    const root = systemRoot(t, PI);
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(...Object.values(PI).flatMap((text) => text.split('\n'))),
    );
    const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'));
    const names = Object.keys(PI).filter((name) => !name.includes('/device/'));
    const files = fc.dictionary(fc.constantFrom(...names), text);
    await fc.assert(
      fc.asyncProperty(files, files, async (first, second) => {
        const machine = readerOf(root.path);
        root.write(first);
        await machine.read();
        root.write(second);
        machine.wait(1000);
        for (const [name, value] of Object.entries(await machine.read())) {
          assert.ok(value === null || Number.isFinite(value), `${name} ${value}`);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('the network', () => {
  test('is that of all interfaces where none is hardware, as in a container', async (t) => {
    const root = systemRoot(t, { 'proc/net/dev': netDev({ lo: [0, 0], eth0: [0, 0], eth1: [0, 0] }) });
    const machine = readerOf(root.path);
    await machine.read();
    root.write({ 'proc/net/dev': netDev({ lo: [5000, 5000], eth0: [1000, 0], eth1: [0, 3000] }) });
    machine.wait(1000);
    const { receivedBitPerS, sentBitPerS } = await machine.read();
    assert.deepEqual([receivedBitPerS, sentBitPerS], [8000, 24_000]);
  });

  test('counts an interface that is new or was made anew from then on', async (t) => {
    const root = systemRoot(t, { 'proc/net/dev': netDev({ eth0: [5000, 5000] }) });
    const machine = readerOf(root.path);
    await machine.read();
    root.write({ 'proc/net/dev': netDev({ eth0: [100, 100], ppp0: [9000, 9000] }) });
    machine.wait(1000);
    assert.deepEqual((await machine.read()).receivedBitPerS, 0);
    root.write({ 'proc/net/dev': netDev({ eth0: [200, 100], ppp0: [9000, 9300] }) });
    machine.wait(1000);
    const { receivedBitPerS, sentBitPerS } = await machine.read();
    assert.deepEqual([receivedBitPerS, sentBitPerS], [800, 2400]);
  });

  // biome-ignore format: a table
  const wireless: [what: string, lines: string, dbm: number | null][] = [
    ['without a dot', 'wlan0: 0000 54 -61 -256 0 0 0 3 0 0\n', -61],
    ['that is not connected', 'wlan0: 0000 0 -256 -256 0 0 0 3 0 0\n', null],
    ['whose driver tells no power but a quality', 'wlan0: 0000 54. 200. 0. 0 0 0 3 0 0\n', null],
    ['the first of several that is connected', 'wlan0: 0000 0. -256. -256 0 0 0 0 0 0\nwlan1: 0000 40. -70. -256 0 0 0 0 0 0\n', -70],
  ];
  for (const [what, lines, dbm] of wireless) {
    test(`of WiFi ${what}`, async (t) => {
      const root = systemRoot(t, { 'proc/net/wireless': WIRELESS_HEAD + lines });
      assert.equal((await readerOf(root.path).read()).wifiRssiDbm, dbm);
    });
  }
});

describe('the temperature', () => {
  const zone = (number: number, type: string, temperature: string) => ({
    [join('sys/class/thermal', `thermal_zone${number}`, 'type')]: `${type}\n`,
    [join('sys/class/thermal', `thermal_zone${number}`, 'temp')]: `${temperature}\n`,
  });

  // biome-ignore format: a table
  const cases: [what: string, files: Record<string, string>, celsius: number | null][] = [
    ['is that of the processor, whatever comes before it', { ...zone(0, 'acpitz', '27800'), ...zone(2, 'x86_pkg_temp', '51000') }, 51],
    ['is that of the first sensor where none says that it is the processor', { ...zone(10, 'b', '10000'), ...zone(9, 'a', '9000') }, 9],
    ['is that of another sensor where one does not answer', { ...zone(0, 'cpu-thermal', ''), ...zone(1, 'gpu', '40500') }, 40.5],
    ['may be below zero', zone(0, 'cpu-thermal', '-5250'), -5.25],
  ];
  for (const [what, files, celsius] of cases) {
    test(what, async (t) => {
      assert.equal((await readerOf(systemRoot(t, files).path).read()).temperatureC, celsius);
    });
  }
});
