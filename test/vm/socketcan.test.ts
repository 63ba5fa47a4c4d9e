import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Bus } from '../../src/bus/bus.ts';
import { parseBusUrl } from '../../src/bus/bus-url.ts';
import { type CanFrame, FRAME_FLAG } from '../../src/bus/can-frame.ts';
import type { FrameBatch } from '../../src/bus/frame-batch.ts';
import { frameBits } from '../../src/bus/frame-bits.ts';
import {
  CAN_FILTERS_MAX,
  FRAME_BATCH_LONG_PAYLOADS_MAX,
  FRAME_BATCHES_PER_BUS,
  SEND_QUEUE_FRAMES_MAX,
} from '../../src/shared/limits.ts';
import { rawSocketsOn } from '../support/raw-sockets.ts';

// The real Bus on the real SocketCAN of the test VM. The programs of can-utils are the other side.

const { EXTENDED, REMOTE, ERROR, FD, BRS, ESI, OWN } = FRAME_FLAG;
const PATIENCE_MS = 30_000;

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    assert.ok(performance.now() < deadlineMs, `not within ${PATIENCE_MS} ms: ${what}`);
    await sleep(5);
  }
}

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: 'pipe' });
}

function createInterface(name: string): void {
  ip('link', 'add', name, 'type', 'vcan');
  ip('link', 'set', name, 'up');
}

function cansend(interfaceName: string, ...frames: string[]): void {
  for (const frame of frames) execFileSync('cansend', [interfaceName, frame]);
}

/** Sends frames of 8 bytes that count up from 0, back to back. */
function cangen(interfaceName: string, count: number): ChildProcess {
  const words = [interfaceName, '-g', '0', '-n', String(count), '-L', '8', '-I', '123', '-D', 'i', '-i'];
  return spawn('cangen', words, { stdio: 'ignore' });
}

const buses: Bus[] = [];
// Those of tests that failed would keep the process alive.
after(() => Promise.all(buses.map((bus) => bus.stop())));

interface Received {
  readonly timestampUs: number;
  readonly canId: number;
  readonly flags: number;
  readonly payload: string;
}

class Listener {
  readonly bus: Bus;
  readonly frames: Received[] = [];
  isHolding = false;
  /** As onDrops tells of them. */
  dropsTold = 0;
  readonly #held: (() => void)[] = [];

  constructor(interfaceName: string, options = '') {
    const url = `socketcan:${interfaceName}${options}`;
    this.bus = new Bus({
      name: interfaceName,
      url,
      spec: parseBusUrl(url),
      log: pino({ level: 'silent' }),
      onFrames: (batch, release) => this.#take(batch, release),
      onDrops: (_cause, frames, fromUs, toUs) => {
        this.dropsTold += frames;
        assert.ok(fromUs <= toUs && toUs <= Date.now() * 1000);
      },
    });
    buses.push(this.bus);
  }

  #take(batch: FrameBatch, release: () => void): void {
    for (let index = 0; index < batch.count; index++) {
      this.frames.push({
        timestampUs: batch.timestampUs[index]!,
        canId: batch.canId[index]!,
        flags: batch.flags[index]!,
        payload: Buffer.from(batch.payloadOf(index)).toString('hex'),
      });
    }
    if (this.isHolding) this.#held.push(release);
    else release();
  }

  release(): void {
    this.isHolding = false;
    for (const release of this.#held.splice(0)) release();
  }

  get batchesHeld(): number {
    return this.#held.length;
  }

  get kernelDrops(): number {
    return Number(this.bus.status().driver.kernel_drops);
  }

  async start(): Promise<this> {
    this.bus.start();
    await until('the bus is open', () => this.bus.status().state === 'open');
    return this;
  }

  /** What came, without the times. */
  get contents(): (readonly [canId: number, flags: number, payload: string])[] {
    return this.frames.map(({ canId, flags, payload }) => [canId, flags, payload]);
  }

  /** Checks that the counted frames of cangen came in their order, with holes where some were dropped. */
  assertCountUp(): void {
    let previous = -1;
    for (const { payload } of this.frames) {
      const count = Buffer.from(payload, 'hex').readUInt32LE();
      assert.ok(count > previous, `${count} after ${previous}`);
      previous = count;
    }
  }
}

function frame(canId: number, isExtended: boolean, ...payload: number[]): CanFrame {
  return { canId, isExtended, payload: Uint8Array.from(payload) };
}

test('frames of every form are received, with the time of the kernel', async () => {
  const startUs = Date.now() * 1000;
  const listener = await new Listener('vcan0').start();
  cansend(
    'vcan0',
    '123#',
    '7FF#1122334455667788',
    '00000123#01',
    '1FFFFFFF#DEADBEEF',
    '123#R',
    '18FF1234#R4',
  );
  cansend('vcan0', '123##1112233445566778899AABBCC', '000#00');
  await until('the last frame', () => listener.frames.at(-1)?.canId === 0);
  await listener.bus.stop();
  assert.deepEqual(listener.contents, [
    [0x123, 0, ''],
    [0x7ff, 0, '1122334455667788'],
    [0x123, EXTENDED, '01'],
    [0x1fff_ffff, EXTENDED, 'deadbeef'],
    [0x123, REMOTE, ''],
    [0x18ff1234, EXTENDED | REMOTE, ''],
    [0x123, FD | BRS, '112233445566778899aabbcc'],
    [0x000, 0, '00'],
  ]);
  let previousUs = startUs - 1000;
  for (const { timestampUs } of listener.frames) {
    assert.ok(Number.isInteger(timestampUs));
    assert.ok(timestampUs > previousUs && timestampUs <= Date.now() * 1000 + 1000, `${timestampUs}`);
    previousUs = timestampUs;
  }
  const { driver, kind, simulated } = listener.bus.status();
  assert.deepEqual(
    [kind, simulated, driver.interface, driver.kernel_drops, driver.timestamp_source],
    ['socketcan', false, 'vcan0', 0, 'kernel'],
  );
});

test('of 20,000 frames back to back each is received, or counted as dropped by the kernel', async () => {
  const listener = await new Listener('vcan0').start();
  const [exitCode] = await once(cangen('vcan0', 20_000), 'close');
  assert.equal(exitCode, 0);
  await until('all frames', () => listener.frames.length + listener.kernelDrops === 20_000);
  listener.assertCountUp();
  assert.equal(listener.bus.status().frames, listener.frames.length);
  await listener.bus.stop();
  assert.equal(listener.frames.length + listener.kernelDrops, 20_000);
});

test('what the kernel drops while all batches are held is counted', async () => {
  const count = 50_000;
  const listener = new Listener('vcan0');
  listener.isHolding = true;
  await listener.start();
  await once(cangen('vcan0', count), 'close');
  // The counter comes although the bus isn't read; it is the kernel's.
  await until('the kernel drops frames', () => listener.kernelDrops > 0);
  assert.ok(listener.batchesHeld <= FRAME_BATCHES_PER_BUS);
  assert.equal(listener.bus.status().state, 'open');
  listener.release();
  await until('all frames', () => listener.frames.length + listener.kernelDrops === count);
  listener.assertCountUp();

  // The count goes on, and frames too.
  const { kernelDrops } = listener;
  const before = listener.frames.length;
  cansend('vcan0', '7FF#01');
  await until('another frame', () => listener.frames.length > before);
  await listener.bus.stop();
  assert.equal(listener.kernelDrops, kernelDrops);
  assert.equal(listener.dropsTold, kernelDrops);
});

test('what the interface itself loses is counted', async () => {
  createInterface('vcan6');
  // A virtual interface never counts there; a controller whose buffer is full does.
  const counter = join(os.tmpdir(), 'rx_over_errors');
  writeFileSync(counter, '5\n');
  const place = '/sys/class/net/vcan6/statistics/rx_over_errors';
  execFileSync('mount', ['--bind', counter, place]);
  try {
    const listener = await new Listener('vcan6').start();
    writeFileSync(counter, '8\n');
    await until('the loss is told', () => listener.dropsTold === 3);
    assert.deepEqual(listener.bus.status().framesLost, { interface: 3, kernel: 0 });
    await listener.bus.stop();
  } finally {
    execFileSync('umount', [place]);
    ip('link', 'del', 'vcan6');
  }
});

test('what is sent is seen by others on the bus, and by the sender as its own', async () => {
  const before = rawSocketsOn('vcan0');
  const child = spawn('candump', ['-L', '-n', '3', '-T', '10000', 'vcan0']);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const closed = once(child, 'close');
  await until('candump listens', () => rawSocketsOn('vcan0') > before);
  const listener = await new Listener('vcan0').start();
  const other = await new Listener('vcan0').start();
  await listener.bus.send(frame(0x123, false, 1, 2, 3, 4, 5, 6, 7, 8));
  await listener.bus.send(frame(0x1fff_ffff, true, 0xff));
  await listener.bus.send(frame(0, false));
  await closed;
  const seen = output
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[2]);
  assert.deepEqual(seen, ['123#0102030405060708', '1FFFFFFF#FF', '000#']);
  await until('the other bus', () => other.frames.length === 3);
  assert.deepEqual(other.contents[1], [0x1fff_ffff, EXTENDED, 'ff']);
  await until('the own frames', () => listener.frames.length === 3);
  const whose = ({ frames }: Listener) => frames.map(({ flags }) => flags & OWN);
  assert.deepEqual(whose(listener), [OWN, OWN, OWN]);
  assert.deepEqual(whose(other), [0, 0, 0]);
  assert.deepEqual(listener.contents[1], [0x1fff_ffff, EXTENDED | OWN, 'ff']);
  assert.equal(listener.bus.status().framesSent, 3);
  await Promise.all([listener.bus.stop(), other.bus.stop()]);
});

/** Makes an interface carry so many bits a second, with room for few frames in its queue. */
function slowDown(name: string, bitPerS: number): void {
  try {
    execFileSync('insmod', [`/usr/lib/uml/modules/${os.release()}/kernel/net/sched/sch_tbf.ko`], {
      stdio: 'pipe',
    });
  } catch (error) {
    // From the test before.
    assert.match(String(error), /File exists/);
  }
  const rate = `${bitPerS}bit`;
  execFileSync('tc', [
    'qdisc',
    'add',
    'dev',
    name,
    'root',
    'tbf',
    'rate',
    rate,
    'burst',
    '100',
    'limit',
    '160',
  ]);
}

test('frames that find the queue of the interface full go out in their order when there is room', async () => {
  createInterface('vcan4');
  slowDown('vcan4', 64_000);
  const sender = await new Listener('vcan4').start();
  const other = await new Listener('vcan4').start();
  const ids = Array.from({ length: SEND_QUEUE_FRAMES_MAX }, (_, index) => index);
  const sends = ids.map((id) => sender.bus.send(frame(id, false)));
  // Reading goes on meanwhile.
  await Promise.all(sends);
  await until('all frames', () => other.frames.length === ids.length && sender.frames.length === ids.length);
  assert.deepEqual(
    other.frames.map(({ canId }) => canId),
    ids,
  );
  await Promise.all([sender.bus.stop(), other.bus.stop()]);
  assert.ok(Number(sender.bus.status().driver.sends_delayed) > 0);
  assert.equal(sender.bus.status().framesSent, ids.length);
  ip('link', 'del', 'vcan4');
});

test('a bus that takes no frames says so to each who waits, and is read all the while', async () => {
  createInterface('vcan5');
  slowDown('vcan5', 8);
  const sender = await new Listener('vcan5').start();
  const sends = Array.from({ length: 100 }, (_, id) => sender.bus.send(frame(id, false)));
  const outcomes = await Promise.allSettled(sends);
  const sent = outcomes.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(sent > 0 && sent < 50, `${sent} sent`);
  for (const outcome of outcomes.slice(sent)) {
    assert.equal(outcome.status, 'rejected');
    assert.equal(outcome.reason.code, 'BUS_SEND_FAILED');
    assert.match(outcome.reason.message, /the interface's queue had no room .*txqueuelen=1000/);
  }
  // A stop doesn't wait for what can't be sent.
  const late = sender.bus.send(frame(1, false));
  const refused = assert.rejects(late, { code: 'BUS_UNAVAILABLE' });
  await Promise.all([sender.bus.stop(), refused]);
  assert.equal(sender.frames.length, sent);
  ip('link', 'del', 'vcan5');
});

test('CAN FD frames and remote frames go both ways', async () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => index);
  const before = rawSocketsOn('vcan0');
  const child = spawn('candump', ['-L', '-n', '3', '-T', '10000', 'vcan0']);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const closed = once(child, 'close');
  await until('candump listens', () => rawSocketsOn('vcan0') > before);
  const { bus } = await new Listener('vcan0').start();
  await bus.send({ canId: 0x123, isExtended: false, payload: bytes, isFd: true, isBitrateSwitched: true });
  await bus.send({ canId: 0x18ff1234, isExtended: true, payload: bytes.subarray(0, 12), isFd: true });
  await bus.send({ canId: 0x456, isExtended: false, payload: bytes.subarray(0, 5), isRemote: true });
  await closed;
  const seen = output
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[2]);
  const hex = Buffer.from(bytes).toString('hex').toUpperCase();
  // Newer kernels add that it is CAN FD: 4.
  assert.deepEqual(
    seen.map((text) => text!.replace(/##(.)/, (_, digit) => `##${Number.parseInt(digit, 16) & 3}`)),
    [`123##1${hex}`, `18FF1234##0${hex.slice(0, 24)}`, '456#R5'],
  );
  await assert.rejects(bus.send({ canId: 1, isExtended: false, payload: bytes.subarray(0, 9), isFd: true }), {
    code: 'BUS_FRAME_INVALID',
    message: /carries 0 to 8, 12, 16, 20, 24, 32, 48 or 64 bytes, not 9/,
  });
  await bus.stop();

  const listener = await new Listener('vcan0', '?fd=on').start();
  cansend('vcan0', `123##3${hex}`, '18FF1234##2112233', '456##0', '000#00');
  await until('the last frame', () => listener.frames.at(-1)?.canId === 0);
  await listener.bus.stop();
  assert.deepEqual(listener.contents, [
    [0x123, FD | BRS | ESI, hex.toLowerCase()],
    [0x18ff1234, EXTENDED | FD | ESI, '112233'],
    [0x456, FD, ''],
    [0, 0, '00'],
  ]);
});

test('more long payloads than a batch has room for all arrive', async () => {
  const count = 3 * FRAME_BATCH_LONG_PAYLOADS_MAX;
  const listener = await new Listener('vcan0').start();
  const words = ['vcan0', '-f', '-g', '0', '-n', String(count), '-L', '64', '-I', '123', '-D', 'i', '-i'];
  await once(spawn('cangen', words, { stdio: 'ignore' }), 'close');
  await until('all frames', () => listener.frames.length + listener.kernelDrops === count);
  await listener.bus.stop();
  listener.assertCountUp();
  assert.ok(listener.frames.length > FRAME_BATCH_LONG_PAYLOADS_MAX);
  for (const { payload, flags } of listener.frames) {
    assert.equal(payload.length, 128);
    assert.equal(flags & FD, FD);
  }
});

test('the length of a frame is what canbusload says, stuff bits and all', async () => {
  for (const [id, data, ...words] of [
    ['123', '1122334455667788'],
    ['000', '0000000000000000'],
    ['7FF', 'FFFFFFFF'],
    ['18FF1234', '48000001400004B0', '-e'],
    ['00000000', '00', '-e'],
  ] as const) {
    const child = spawn('canbusload', ['-e', 'vcan0@500000']);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    await until('canbusload listens', () => output.length > 0);
    const length = String(data.length / 2);
    const what = ['-g', '5', '-n', '100', '-I', id, '-L', length, '-D', data, ...words];
    await once(spawn('cangen', ['vcan0', ...what], { stdio: 'ignore' }), 'close');
    await sleep(1200);
    child.kill();
    // Frames and bits of each second.
    const seconds = [...output.matchAll(/vcan0@500000\s+(\d+)\s+(\d+)/g)].map(([, frames, bits]) => [
      Number(frames),
      Number(bits),
    ]);
    const [frames, bits] = [0, 1].map((place) => seconds.reduce((sum, second) => sum + second[place]!, 0));
    assert.ok(frames! > 0, output);
    const isExtended = id.length > 3;
    const ours = frameBits(Number.parseInt(id, 16), isExtended ? EXTENDED : 0, Buffer.from(data, 'hex'));
    assert.equal(ours.nominal, bits! / frames!, `${id}#${data}`);
  }
});

test('with fd=off, and on an interface of classic CAN, there is no CAN FD', async () => {
  const off = await new Listener('vcan0', '?fd=off').start();
  cansend('vcan0', '123##0112233', '000#00');
  await until('the last frame', () => off.frames.length > 0);
  assert.deepEqual(off.contents, [[0, 0, '00']]);
  const frameFd = { canId: 1, isExtended: false, payload: new Uint8Array(12), isFd: true };
  await assert.rejects(off.bus.send(frameFd), { code: 'BUS_SEND_FAILED', message: /takes no CAN FD frames/ });
  await off.bus.stop();

  ip('link', 'add', 'vcan1', 'type', 'vcan');
  ip('link', 'set', 'vcan1', 'mtu', '16');
  ip('link', 'set', 'vcan1', 'up');
  const classic = await new Listener('vcan1').start();
  await assert.rejects(classic.bus.send(frameFd), {
    code: 'BUS_SEND_FAILED',
    message: /takes no CAN FD frames/,
  });
  await classic.bus.send(frame(1, false, 2));
  await classic.bus.stop();
  ip('link', 'del', 'vcan1');
});

test('frames that a filter keeps away never arrive; error frames always do', async () => {
  const sent = ['123#01', '124#02', '00000123#03', '123#R', '200#04', '2FF#05', '300#06', '12345678#07'];
  const errorFrame = '20000040#0000000000000000';
  const cases: [filter: string, payloads: string[]][] = [
    ['123:7FF', ['01', '03', '']],
    ['123:C00007FF', ['01']],
    ['00000123:DFFFFFFF', ['03']],
    ['123:C00007FF,200:700', ['01', '04', '05']],
    ['200~700', ['01', '02', '03', '', '06', '07']],
    ['200~700,123~7FF,j', ['02', '06', '07']],
  ];
  for (const [filter, payloads] of cases) {
    const listener = await new Listener('vcan0', `?filter=${filter}`).start();
    const all = await new Listener('vcan0').start();
    cansend('vcan0', ...sent, errorFrame);
    const errorFrames = filter.endsWith('j') ? 0 : 1;
    await until('all frames elsewhere', () => all.frames.length === sent.length + 1);
    await until('those wanted', () => listener.frames.length >= payloads.length + errorFrames);
    await Promise.all([listener.bus.stop(), all.bus.stop()]);
    const isError = ({ flags }: Received) => (flags & ERROR) !== 0;
    assert.deepEqual(
      listener.frames.filter((frame) => !isError(frame)).map(({ payload }) => payload),
      payloads,
      filter,
    );
    assert.equal(listener.frames.filter(isError).length, errorFrames, filter);
    assert.equal(listener.kernelDrops, 0);
  }

  const filters = Array.from(
    { length: CAN_FILTERS_MAX },
    (_, id) => `${id.toString(16).padStart(3, '0')}:7FF`,
  );
  const listener = await new Listener('vcan0', `?filter=${filters.join()}`).start();
  cansend('vcan0', '200#01', '1FF#02');
  await until('the frame', () => listener.frames.length > 0);
  assert.deepEqual(listener.contents, [[0x1ff, 0, '02']]);
  await listener.bus.stop();
});

test('an interface that is missing is said to be, with the command; created later, it is found', async () => {
  const listener = new Listener('vcan1');
  const { bus } = listener;
  bus.start();
  await until('the interface is missed', () => bus.status().state === 'unavailable');
  const { code, message } = bus.status().problem!;
  assert.equal(code, 'INTERFACE_MISSING');
  assert.match(
    message,
    /no CAN interface vcan1\..*CAN interfaces here: vcan0\..*ip link add vcan1 type vcan/,
  );

  ip('link', 'add', 'vcan1', 'type', 'vcan');
  await until('it is seen to be down', () => /is down/.test(bus.status().problem?.message ?? ''));
  assert.match(bus.status().problem!.message, /vcan1 is down\. .*: sudo ip link set vcan1 up$/);

  ip('link', 'set', 'vcan1', 'up');
  await until('the bus is open', () => bus.status().state === 'open');
  assert.equal(bus.status().problem, null);
  cansend('vcan1', '123#01');
  // What is on another interface is not this bus's.
  cansend('vcan0', '456#02');
  await until('the frame', () => listener.frames.length > 0);
  await bus.stop();
  assert.deepEqual(listener.contents, [[0x123, 0, '01']]);
  ip('link', 'del', 'vcan1');
});

test('an interface that is no CAN bus is said to be none', async () => {
  const { bus } = new Listener('lo');
  bus.start();
  await until('it is refused', () => bus.status().state === 'unavailable');
  assert.match(bus.status().problem!.message, /lo is a network interface, but not a CAN bus/);
  await bus.stop();
});

for (const [what, lose, restore] of [
  ['goes down', () => ip('link', 'set', 'vcan2', 'down'), () => ip('link', 'set', 'vcan2', 'up')],
  ['is deleted', () => ip('link', 'del', 'vcan2'), () => createInterface('vcan2')],
] as const) {
  test(`an interface that ${what} while it is read is missed, and read again when it is back`, async () => {
    createInterface('vcan2');
    const listener = await new Listener('vcan2').start();
    const { bus } = listener;
    cansend('vcan2', '001#');
    await until('the first frame', () => listener.frames.length === 1);
    lose();
    await until('the loss is seen', () => bus.status().state === 'unavailable');
    assert.match(bus.status().problem!.message, /vcan2/);
    await assert.rejects(bus.send(frame(1, false)), { code: 'BUS_UNAVAILABLE' });

    restore();
    await until('the bus is open again', () => bus.status().state === 'open');
    assert.equal(bus.status().reopened, 1);
    cansend('vcan2', '002#');
    await until('the second frame', () => listener.frames.length === 2);
    await bus.send(frame(3, false));
    await bus.stop();
    ip('link', 'del', 'vcan2');
  });
}

test('frames that came before an interface was lost are not lost with it', async () => {
  createInterface('vcan3');
  const listener = new Listener('vcan3');
  listener.isHolding = true;
  await listener.start();
  // More than the batches hold, less than the kernel's buffer does.
  const count = 15_000;
  await once(cangen('vcan3', count), 'close');
  ip('link', 'del', 'vcan3');
  listener.release();
  await until('all frames', () => listener.frames.length + listener.kernelDrops === count);
  await until('the loss is seen', () => listener.bus.status().state === 'unavailable');
  listener.assertCountUp();
  // The drops of the socket that is gone stay counted.
  assert.equal(listener.frames.length + listener.kernelDrops, count);
  assert.equal(listener.dropsTold, listener.kernelDrops);
  await listener.bus.stop();
});

/** Sockets and eventfds of this process. Without another one to look: its pipes would be among them. */
function openSocketCount(): number {
  const folder = '/proc/self/fd';
  return readdirSync(folder).filter((fd) => {
    // The folder's own is closed by now.
    const target = existsSync(join(folder, fd)) ? readlinkSync(join(folder, fd)) : '';
    return /^(socket:|anon_inode:\[eventfd\])/.test(target);
  }).length;
}

test('a bus stops and leaves nothing open: idle, without its interface, all batches held', async () => {
  const before = openSocketCount();
  const idle = await new Listener('vcan0').start();
  const missing = new Listener('vcan9');
  missing.bus.start();
  await until('the interface is missed', () => missing.bus.status().state === 'unavailable');
  const holding = new Listener('vcan0');
  holding.isHolding = true;
  await holding.start();
  await once(cangen('vcan0', 6000), 'close');
  await sleep(200);
  for (const { bus } of [idle, missing, holding]) {
    await bus.stop();
    assert.equal(bus.status().state, 'stopped');
  }
  assert.equal(openSocketCount(), before);
});
