import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseBusUrl, type SocketCanUrl } from '../../src/bus/bus-url.ts';
import { LinkSetup } from '../../src/bus/socketcan/link-setup.ts';
import { BusError } from '../../src/shared/errors.ts';
import { FakeIp } from '../support/fake-ip.ts';
import { canController } from '../support/ip-output.ts';
import { CHECKOUT, eventually, type Service, startService } from '../support/service.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Interfaces that the service brings up, or says how to. What a virtual bus doesn't have, a fake ip pretends. */

const FRAME = '002#48000001400004B0';
const services: Service[] = [];
after(() => Promise.all(services.map((service) => service.stop('SIGKILL'))));

async function start(url: string, command?: readonly [string, ...string[]]): Promise<Service> {
  const directory = mkdtempSync(join(tmpdir(), 'link-'));
  execFileSync('chmod', ['777', directory]);
  const service = await startService({
    args: ['--bus', url, '--db', join(directory, 'collector.db'), '--port', '0'],
    ...(command !== undefined && { command }),
  });
  services.push(service);
  return service;
}

function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const busOf = async (service: Service) => (await service.status()).buses[0]!;
const isOpen = ({ state }: { readonly state: string }) => state === 'open';

describe('with configure=on', () => {
  let service: Service;

  test('an interface that is down is brought up and set as the URL says', async () => {
    ip('link', 'set', 'vcan0', 'down');
    service = await start('socketcan:vcan0?configure=on&txqueuelen=77');
    const bus = await eventually(
      () => busOf(service),
      ({ state, driver }) => state === 'open' && driver.interface_configured === 1,
    );
    assert.match(ip('link', 'show', 'vcan0'), /[<,]UP[,>].* qlen 77$/m);
    assert.equal(bus.driver.configured_with, 'sudo ip link set vcan0 up txqueuelen 77');
    assert.equal(bus.driver.warning, null);
    execFileSync('cansend', ['vcan0', FRAME]);
    await eventually(
      () => busOf(service),
      ({ frames }) => frames === 1,
    );
    assert.match(service.output(), /"interface configured"/);
  });

  test('one that was deleted and comes back is brought up again, and its frames arrive', async () => {
    const { frames } = await busOf(service);
    ip('link', 'del', 'vcan0');
    await eventually(
      () => busOf(service),
      ({ state }) => state === 'unavailable',
    );
    ip('link', 'add', 'vcan0', 'type', 'vcan');
    const bus = await eventually(() => busOf(service), isOpen);
    assert.equal(bus.reopened, 1);
    assert.match(ip('link', 'show', 'vcan0'), /[<,]UP[,>].* qlen 77$/m);
    execFileSync('cansend', ['vcan0', FRAME]);
    await eventually(
      () => busOf(service),
      (status) => status.frames === frames + 1,
    );
    // The driver tells its counters once a second.
    await eventually(
      () => busOf(service),
      ({ driver }) => driver.interface_configured === 2,
    );
  });

  test('one that somebody takes down is brought up again', async () => {
    ip('link', 'set', 'vcan0', 'down');
    await eventually(
      () => busOf(service),
      ({ reopened, state }) => reopened === 2 && state === 'open',
    );
    assert.equal((await service.stop()).code, 0);
  });

  // A service of another user, as systemd starts it: with the right in its ambient set, and without.
  const asUser = (...options: string[]): [string, ...string[]] => [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    ...options,
    process.execPath,
    join(CHECKOUT, 'src/cli/main.ts'),
  ];

  test('an ambient CAP_NET_ADMIN suffices', async () => {
    ip('link', 'set', 'vcan0', 'down');
    const user = await start(
      'socketcan:vcan0?configure=on',
      asUser('--inh-caps=+net_admin', '--ambient-caps=+net_admin'),
    );
    await eventually(() => busOf(user), isOpen);
    assert.equal((await user.stop()).code, 0);
  });

  test('without the right the command is told, and taken when somebody types it', async () => {
    ip('link', 'set', 'vcan0', 'down');
    const user = await start('socketcan:vcan0?configure=on', asUser());
    const { problem } = await eventually(
      () => busOf(user),
      ({ state }) => state === 'unavailable',
    );
    assert.equal(problem?.code, 'INTERFACE_DOWN');
    assert.match(
      problem.message,
      /vcan0 is down, and the service lacks CAP_NET_ADMIN .*Bring it up with: sudo ip link set vcan0 up$/,
    );
    ip('link', 'set', 'vcan0', 'up');
    await eventually(() => busOf(user), isOpen);
    assert.equal((await user.stop()).code, 0);
  });
});

test('without configure=on nothing is touched, and the command is told', async () => {
  ip('link', 'set', 'vcan0', 'down');
  const service = await start('socketcan:vcan0?txqueuelen=78');
  const { problem } = await eventually(
    () => busOf(service),
    ({ state }) => state === 'unavailable',
  );
  assert.equal(
    problem?.message,
    'The CAN interface vcan0 is down. Bring it up with: sudo ip link set vcan0 up txqueuelen 78',
  );
  assert.doesNotMatch(ip('link', 'show', 'vcan0'), /[<,]UP[,>]/);

  ip('link', 'set', 'vcan0', 'up');
  const { driver } = await eventually(
    () => busOf(service),
    ({ driver: { warning } }) => warning !== null,
  );
  assert.match(
    String(driver.warning),
    /^vcan0 is not as its URL says: txqueuelen is \d+, expected 78\. Set it with: sudo ip link set vcan0 txqueuelen 78$/,
  );
  assert.match(service.output(), /"bus warning"/);
  assert.equal((await service.stop()).code, 0);
});

test('an interface that is missing is told with the bitrate that the URL names', async () => {
  const service = await start('socketcan:can5?bitrate=250000&configure=on');
  const { problem } = await eventually(
    () => busOf(service),
    ({ state }) => state === 'unavailable',
  );
  assert.match(
    String(problem?.message),
    /There is no CAN interface can5\..*sudo ip link set can5 up type can bitrate 250000$/,
  );
  assert.equal((await service.stop()).code, 0);
});

describe('a controller, as a fake ip shows it', () => {
  const spec = (options: string) => parseBusUrl(`socketcan:vcan0?${options}`) as SocketCanUrl;
  const shown = (changes: Parameters<typeof canController>[0]) =>
    canController(changes).map((link) => ({ ...link, ifname: 'vcan0' }));
  const fake = new FakeIp(mkdtempSync(join(tmpdir(), 'fake-ip-')));

  function onPath(run: () => void): void {
    const before = process.env.PATH;
    process.env.PATH = fake.path;
    try {
      run();
    } finally {
      process.env.PATH = before;
    }
  }

  test('that has another bitrate is taken down and set', () => {
    ip('link', 'set', 'vcan0', 'up');
    fake.show(shown({ bitrate: 250_000 }), shown({ bitrate: 500_000 }));
    const link = new LinkSetup(spec('bitrate=500000&configure=on'));
    onPath(() => link.bringUp());
    assert.deepEqual(fake.asked, [
      'link set dev vcan0 down',
      'link set dev vcan0 up type can bitrate 500000',
    ]);
    assert.equal(link.status().warning, null);
    assert.equal(link.status().interface_configured, 1);
    // The next opening finds it as it is to be.
    onPath(() => link.bringUp());
    assert.equal(fake.asked.length, 2);
  });

  test('that has another bitrate is only told of without configure=on', () => {
    fake.show(shown({ bitrate: 250_000 }));
    const link = new LinkSetup(spec('bitrate=500000'));
    onPath(() => link.bringUp());
    onPath(() => link.check());
    assert.deepEqual(fake.asked, []);
    assert.equal(
      link.status().warning,
      'vcan0 is not as its URL says: bitrate is 250000 bit/s, expected 500000 bit/s. Set it with: ' +
        'sudo ip link set vcan0 down && sudo ip link set vcan0 up type can bitrate 500000',
    );
  });

  test('that nobody asks a bitrate of keeps the one it has', () => {
    fake.show(shown({ bitrate: 250_000 }));
    const link = new LinkSetup(spec('configure=on'));
    onPath(() => link.bringUp());
    assert.deepEqual(fake.asked, []);
    assert.equal(link.status().warning, null);
  });

  test('that refuses a bitrate is brought up again with what it had, and read', () => {
    ip('link', 'set', 'vcan0', 'up');
    fake.show(shown({ bitrate: 250_000 }));
    fake.refuse('RTNETLINK answers: Invalid argument');
    const link = new LinkSetup(spec('bitrate=500000&configure=on'));
    onPath(() => link.bringUp());
    assert.match(
      String(link.status().warning),
      /can't be set as its URL says: bitrate is 250000 .*Invalid argument\. By hand: sudo ip link set vcan0 down && /,
    );
    assert.deepEqual(fake.asked, [
      'link set dev vcan0 down',
      'link set dev vcan0 up type can bitrate 500000',
      'link set dev vcan0 up',
    ]);
    assert.match(ip('link', 'show', 'vcan0'), /[<,]UP[,>]/);
    assert.equal(link.status().interface_configured, 0);
  });

  test('that is down and refuses is unavailable, with the command', () => {
    ip('link', 'set', 'vcan0', 'down');
    fake.show(shown({ isUp: false, state: 'STOPPED', bitrate: null }));
    fake.refuse('RTNETLINK answers: Invalid argument');
    const link = new LinkSetup(spec('bitrate=500000&configure=on'));
    assert.throws(
      () => onPath(() => link.bringUp()),
      (error) =>
        error instanceof BusError &&
        error.code === 'INTERFACE_DOWN' &&
        /is down and can't be brought up: .*Invalid argument\. By hand: sudo ip link set vcan0 up type can bitrate 500000$/.test(
          error.message,
        ),
    );
  });

  test('of which ip tells nothing that is known is told of, and the bus is read', () => {
    ip('link', 'set', 'vcan0', 'up');
    fake.show([{ ifname: 'vcan0' }]);
    const link = new LinkSetup(spec('bitrate=500000'));
    onPath(() => link.check());
    assert.match(String(link.status().warning), /isn't known: ip printed what isn't known: expected flags/);
  });
});

test('a machine without ip says how to get it', (t) => {
  ip('link', 'set', 'vcan0', 'down');
  const before = process.env.PATH;
  process.env.PATH = temporaryDirectory(t);
  try {
    const link = new LinkSetup(parseBusUrl('socketcan:vcan0?configure=on') as SocketCanUrl);
    assert.throws(() => link.bringUp(), /the program ip is not there: sudo apt install iproute2/);
  } finally {
    process.env.PATH = before;
    ip('link', 'set', 'vcan0', 'up');
  }
});
