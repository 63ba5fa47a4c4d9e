import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Worker } from 'node:worker_threads';
import { type Logger, pino } from 'pino';
import { candumpLog } from '../../test/support/candump-log.ts';
import { BusError } from '../shared/errors.ts';
import {
  BUS_WAIT_MAX_MS,
  CONTROLLER_CHANGES_KEPT,
  FRAME_BATCH_FRAMES_MAX,
  FRAME_BATCHES_PER_BUS,
  SEND_QUEUE_FRAMES_MAX,
} from '../shared/limits.ts';
import { Bus, type BusOptions } from './bus.ts';
import { parseBusUrl } from './bus-url.ts';
import { type CanFrame, FRAME_FLAG } from './can-frame.ts';
import { FrameBatch } from './frame-batch.ts';

const folder = mkdtempSync(join(tmpdir(), 'bus-'));
const buses: Bus[] = [];
after(async () => {
  // Those of tests that failed would keep the process alive.
  await Promise.all(buses.map((bus) => bus.stop()));
  rmSync(folder, { recursive: true });
});

/** Far beyond what anything here takes; a condition that never comes is to fail with its name. */
const PATIENCE_MS = 30_000;
const SILENT = pino({ level: 'silent' });

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    assert.ok(performance.now() < deadlineMs, `not within ${PATIENCE_MS} ms: ${what}`);
    await sleep(2);
  }
}

let files = 0;
/** A log of numbered frames, `everyMs` apart. */
function writeLog(count: number, everyMs = 1): string {
  const batch = FrameBatch.allocate(count);
  const payload = Buffer.alloc(8);
  for (let index = 0; index < count; index++) {
    payload.writeUInt32BE(index);
    batch.push(1_735_689_600_000_000 + index * everyMs * 1000, 0x123, 0, payload);
  }
  const path = join(folder, `${++files}.log`);
  writeFileSync(path, candumpLog(batch));
  return path;
}

/** A bus and all that it gave. Batches are released at once, or kept until release() where `isHolding`. */
class Listener {
  readonly bus: Bus;
  /** The number that each frame of a log carries. */
  readonly numbers: number[] = [];
  readonly frames: { timestampUs: number; canId: number; payload: Uint8Array }[] = [];
  endings = 0;
  readonly downs: [fromUs: number, toUs: number | null][] = [];
  isHolding = false;
  readonly #held: (() => void)[] = [];

  constructor(url: string, options: { isHolding?: boolean; log?: Logger } = {}) {
    this.isHolding = options.isHolding ?? false;
    this.bus = new Bus({
      name: `test-${buses.length}`,
      url,
      spec: parseBusUrl(url),
      log: options.log ?? SILENT,
      onFrames: (batch, release) => this.#take(batch, release),
      onEnded: () => {
        this.endings++;
      },
      onDown: (fromUs, toUs) => void this.downs.push([fromUs, toUs]),
    } satisfies BusOptions);
    buses.push(this.bus);
  }

  #take(batch: FrameBatch, release: () => void): void {
    assert.ok(batch.count > 0, 'no batch is empty');
    for (let index = 0; index < batch.count; index++) {
      const payload = batch.payloadOf(index).slice();
      this.numbers.push(new DataView(payload.buffer).getUint32(0));
      this.frames.push({ timestampUs: batch.timestampUs[index]!, canId: batch.canId[index]!, payload });
    }
    if (this.isHolding) this.#held.push(release);
    else release();
  }

  /** Gives back the batch that is held the longest. */
  releaseOne(): void {
    this.#held.shift()!();
  }

  get batchesHeld(): number {
    return this.#held.length;
  }

  /** Gives back all batches, and those to come at once. */
  release(): void {
    this.isHolding = false;
    while (this.#held.length > 0) this.releaseOne();
  }

  assertInOrder(count: number): void {
    assert.equal(this.numbers.length, count);
    assert.ok(this.numbers.every((number, index) => number === index));
  }
}

function frame(payload: readonly number[], canId = 1): CanFrame {
  return { canId, isExtended: false, payload: Uint8Array.from(payload) };
}

/** COMMAND, LIGHTS, FRONT, MODE, UINT8, ON; and the STATUS that echoes it. */
const LIGHTS_ON = [0x00, 0, 0, 0, 0x20, 0, 0, 1];
const LIGHTS_ARE_ON = [0x40, 0, 0, 0, 0x20, 0, 0, 1];

async function assertBusError(promise: Promise<void>, code: string, message = /./): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof BusError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

describe('a bus', { concurrency: true }, () => {
  test('gives every frame of a log in order, then has ended', async () => {
    const listener = new Listener(`candump:${writeLog(20_000)}?speed=max`);
    const { bus } = listener;
    assert.equal(bus.status().state, 'starting');
    bus.start();
    await until('the log has ended', () => bus.status().state === 'ended');
    listener.assertInOrder(20_000);
    assert.equal(listener.frames[1]!.timestampUs, 1_735_689_600_001_000);
    assert.equal(listener.endings, 1);
    const status = bus.status();
    assert.equal(status.frames, 20_000);
    assert.equal(status.simulated, false);
    assert.equal(status.problem, null);
    assert.equal(status.reopened, 0);
    assert.equal(status.driver.lines_read, 20_000);
    await bus.stop();
    assert.equal(bus.status().state, 'stopped');
  });

  test('of a simulated kart gives frames of now, and says that they are simulated', async () => {
    const startUs = Date.now() * 1000;
    const listener = new Listener('sim:kart?seed=3');
    listener.bus.start();
    await until('100 frames', () => listener.frames.length >= 100);
    const status = listener.bus.status();
    await listener.bus.stop();
    const endUs = Date.now() * 1000;
    assert.equal(status.state, 'open');
    assert.equal(status.simulated, true);
    let previousUs = startUs;
    for (const { timestampUs } of listener.frames) {
      assert.ok(timestampUs >= previousUs && timestampUs <= endUs + 1000);
      previousUs = timestampUs;
    }
  });

  test('waits while its batches are held, and loses nothing', async () => {
    const count = 100_000;
    const listener = new Listener(`candump:${writeLog(count)}?speed=max`, { isHolding: true });
    const { bus } = listener;
    bus.start();
    await until('all batches are held', () => listener.batchesHeld === FRAME_BATCHES_PER_BUS);
    const held = listener.numbers.length;
    await sleep(100);
    assert.equal(listener.numbers.length, held);
    assert.ok(held < FRAME_BATCHES_PER_BUS * FRAME_BATCH_FRAMES_MAX, String(held));
    assert.equal(bus.status().state, 'open');

    listener.releaseOne();
    await until('the released batch is back', () => listener.batchesHeld === FRAME_BATCHES_PER_BUS);
    // The first ones are smaller.
    assert.equal(listener.numbers.length, held + FRAME_BATCH_FRAMES_MAX);

    listener.release();
    await until('the log has ended', () => bus.status().state === 'ended');
    listener.assertInOrder(count);
    await bus.stop();
  });

  test('that paces itself gives at once what it held back when a batch is free again', async () => {
    const listener = new Listener('sim:kart', { isHolding: true });
    listener.bus.start();
    // The last batch is filled before it goes.
    await until('all batches but one', () => listener.batchesHeld === FRAME_BATCHES_PER_BUS - 1);
    await sleep(100);
    assert.equal(listener.batchesHeld, FRAME_BATCHES_PER_BUS - 1);
    const before = listener.frames.length;
    listener.releaseOne();
    await until('the last batch', () => listener.frames.length > before);
    listener.release();
    await until('frames go on', () => listener.frames.length > before + 100);
    await listener.bus.stop();
    let previousUs = 0;
    for (const { timestampUs } of listener.frames) {
      assert.ok(timestampUs >= previousUs, 'no frame overtakes another');
      previousUs = timestampUs;
    }
  });

  test('stops while all its batches are held, having handed over what it has read', async () => {
    const listener = new Listener(`candump:${writeLog(1000, 10)}?speed=1`, { isHolding: true });
    listener.bus.start();
    await until('all batches but one', () => listener.batchesHeld === FRAME_BATCHES_PER_BUS - 1);
    await sleep(100);
    await listener.bus.stop();
    const count = listener.numbers.length;
    listener.assertInOrder(count);
    listener.release();
    await sleep(50);
    assert.equal(listener.numbers.length, count);
  });

  test('that has nothing to do stops at once, however often it is told', async () => {
    const stopsMs: number[] = [];
    // Without being woken each would sleep for as long as BUS_WAIT_MAX_MS; on a busy machine some may be late.
    while (Math.min(...stopsMs) > 0.5 * BUS_WAIT_MAX_MS && stopsMs.length < 5) {
      const listener = new Listener(`candump:${writeLog(2, 3_600_000)}?speed=1`);
      const { bus } = listener;
      bus.start();
      await until('the first frame', () => listener.frames.length === 1);
      const startMs = performance.now();
      await Promise.all([bus.stop(), bus.stop()]);
      stopsMs.push(performance.now() - startMs);
      assert.equal(bus.status().state, 'stopped');
      await bus.stop();
    }
    assert.ok(stopsMs.at(-1)! <= 0.5 * BUS_WAIT_MAX_MS, `stopped within ${stopsMs.join(', ')} ms`);
  });

  test('can be stopped before it was started, while it starts, and started again', async () => {
    const listener = new Listener(`candump:${writeLog(100)}?speed=max`);
    const { bus } = listener;
    await bus.stop();
    assert.equal(bus.status().state, 'stopped');
    bus.start();
    await bus.stop();
    assert.equal(bus.status().state, 'stopped');
    listener.numbers.length = 0;
    bus.start();
    await until('the log has ended', () => bus.status().state === 'ended');
    listener.assertInOrder(100);
    await bus.stop();
  });

  test('whose log is absent tries again, says so once, and finds it when it is there', async () => {
    const lines: { level: number; code?: string; msg: string }[] = [];
    const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
    const path = join(folder, 'later.log');
    const createdUs = Date.now() * 1000;
    const listener = new Listener(`candump:${path}?speed=max`, { log });
    const { bus } = listener;
    const startedUs = Date.now() * 1000;
    bus.start();
    await until('the log is missed', () => bus.status().state === 'unavailable');
    assert.equal(bus.status().problem?.code, 'BUS_UNAVAILABLE');
    assert.match(bus.status().problem?.message ?? '', /later\.log/);
    await assertBusError(bus.send(frame([])), 'BUS_UNAVAILABLE');
    await sleep(500);
    assert.equal(lines.filter(({ msg }) => msg === 'bus unavailable').length, 1);
    // Down since the start, not since it was noticed; told once.
    const downUs = listener.downs[0]![0];
    assert.ok(downUs >= createdUs && downUs <= startedUs);
    assert.deepEqual(listener.downs, [[downUs, null]]);

    const madeUs = Date.now() * 1000;
    renameSync(writeLog(10), path);
    await until('the log has ended', () => bus.status().state === 'ended');
    const backUs = listener.downs[1]![1]!;
    assert.ok(backUs >= madeUs && backUs <= Date.now() * 1000);
    assert.deepEqual(listener.downs, [
      [downUs, null],
      [downUs, backUs],
    ]);
    listener.assertInOrder(10);
    assert.equal(bus.status().problem, null);
    assert.equal(bus.status().reopened, 0);
    await bus.stop();
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['bus unavailable', 'bus open', 'bus ended', 'bus stopped'],
    );
  });

  test('that can not be opened is stopped between two attempts', async () => {
    const listener = new Listener(`candump:${join(folder, 'never.log')}`);
    listener.bus.start();
    await until('the log is missed', () => listener.bus.status().state === 'unavailable');
    await listener.bus.stop();
    assert.equal(listener.bus.status().state, 'stopped');
    assert.equal(listener.bus.status().problem, null);
    const [[fromUs], [sinceUs, toUs]] = listener.downs as [[number, null], [number, number]];
    assert.deepEqual([listener.downs.length, sinceUs], [2, fromUs]);
    assert.ok(toUs >= fromUs, 'what has stopped is no longer down');
  });

  test('sends a frame to the simulated kart, which answers', async () => {
    const listener = new Listener('sim:kart');
    const { bus } = listener;
    bus.start();
    await until('the bus is open', () => bus.status().state === 'open');
    await bus.send(frame(LIGHTS_ON));
    assert.equal(bus.status().framesSent, 1);
    const answer = Buffer.from(LIGHTS_ARE_ON);
    const isAnswer = (payload: Uint8Array) =>
      answer.equals(Uint8Array.from(payload, (byte, at) => (at === 1 ? 0 : byte)));
    await until('the answer', () => listener.frames.some(({ payload }) => isAnswer(payload)));
    await bus.stop();
  });

  test('that only replays refuses to send', async () => {
    const { bus } = new Listener(`candump:${writeLog(2, 3_600_000)}?speed=1`);
    bus.start();
    await until('the bus is open', () => bus.status().state === 'open');
    await assertBusError(bus.send(frame(LIGHTS_ON)), 'BUS_READ_ONLY', /takes no frames/);
    assert.deepEqual([bus.status().framesSent, bus.status().sendFailures], [0, 1]);
    await bus.stop();
  });

  test('that is not running refuses to send', async () => {
    const { bus } = new Listener('sim:kart');
    await assertBusError(bus.send(frame([])), 'BUS_UNAVAILABLE', /not running/);
    bus.start();
    const stopped = bus.stop();
    await assertBusError(bus.send(frame([])), 'BUS_UNAVAILABLE', /not running/);
    await stopped;
    await assertBusError(bus.send(frame([])), 'BUS_UNAVAILABLE', /not running/);
  });

  test('takes so many frames to send and no more, until some are sent', async () => {
    const { bus } = new Listener('sim:kart');
    bus.start();
    await until('the bus is open', () => bus.status().state === 'open');
    // No COMMAND, so that the kart has nothing to answer.
    const sends = Array.from({ length: SEND_QUEUE_FRAMES_MAX }, () => bus.send(frame(LIGHTS_ARE_ON)));
    assert.equal(bus.status().sendsWaiting, SEND_QUEUE_FRAMES_MAX);
    await assertBusError(bus.send(frame(LIGHTS_ARE_ON)), 'BUS_SEND_QUEUE_FULL', /256 frames already wait/);
    await Promise.all(sends);
    await bus.send(frame(LIGHTS_ARE_ON));
    const { framesSent, sendFailures, sendsWaiting } = bus.status();
    assert.deepEqual([framesSent, sendFailures, sendsWaiting], [SEND_QUEUE_FRAMES_MAX + 1, 1, 0]);
    await bus.stop();
  });

  test('refuses frames that there are none of', async () => {
    const { bus } = new Listener('sim:kart');
    bus.start();
    const refused: [CanFrame, RegExp][] = [
      [{ canId: -1, isExtended: false, payload: new Uint8Array() }, /11-bit CAN id is 0 to 2047, not -1/],
      [{ canId: 0x800, isExtended: false, payload: new Uint8Array() }, /not 2048/],
      [{ canId: 1.5, isExtended: false, payload: new Uint8Array() }, /not 1\.5/],
      [{ canId: Number.NaN, isExtended: true, payload: new Uint8Array() }, /29-bit CAN id .*not NaN/],
      [{ canId: 0x2000_0000, isExtended: true, payload: new Uint8Array() }, /0 to 536870911/],
      [{ canId: 1, isExtended: false, payload: new Uint8Array(9) }, /0 to 8 bytes, not 9/],
    ];
    for (const [wrong, message] of refused) {
      await assertBusError(bus.send(wrong), 'BUS_FRAME_INVALID', message);
    }
    await bus.stop();
  });
});

/** Starts a bus and gives its thread too: `process` tells of every new one. */
async function startWithWorker({ bus }: { readonly bus: Bus }): Promise<Worker> {
  let started: Worker | undefined;
  const onWorker = (worker: Worker) => {
    if (worker.threadName === `bus ${bus.name}`) started ??= worker;
  };
  process.on('worker', onWorker);
  bus.start();
  await until('the first frames', () => bus.status().frames > 0);
  process.off('worker', onWorker);
  assert.ok(started !== undefined);
  return started;
}

describe('a bus whose thread has died', { concurrency: true }, () => {
  for (const [how, kill] of [
    // A message that is none breaks the loop of the thread.
    ['by an error', (worker: Worker) => worker.postMessage(null)],
    ['unasked', (worker: Worker) => void worker.terminate()],
  ] as const) {
    test(`${how} gets another`, async () => {
      const listener = new Listener('sim:kart');
      const { bus } = listener;
      kill(await startWithWorker(listener));
      // A frame on its way is not forgotten.
      await assertBusError(bus.send(frame(LIGHTS_ON)), 'BUS_UNAVAILABLE');
      await until('the death is seen', () => bus.status().state === 'unavailable');
      assert.equal(bus.status().problem?.code, 'BUS_WORKER_DIED');
      await assertBusError(bus.send(frame(LIGHTS_ON)), 'BUS_UNAVAILABLE');

      const before = listener.frames.length;
      await until('frames again', () => listener.frames.length > before);
      assert.equal(bus.status().state, 'open');
      assert.equal(bus.status().problem, null);
      assert.equal(bus.status().reopened, 1);
      assert.deepEqual(
        listener.downs.map(([, toUs]) => toUs === null),
        [true, false],
      );
      await bus.send(frame(LIGHTS_ON));
      await bus.stop();
    });
  }

  test('takes back no batch of the one before', async () => {
    const listener = new Listener('sim:kart', { isHolding: true });
    await (await startWithWorker(listener)).terminate();
    await until('the death is seen', () => listener.bus.status().state === 'unavailable');
    listener.release();
    const before = listener.frames.length;
    await until('frames again', () => listener.frames.length > before);
    await listener.bus.stop();
  });

  test('is not started again once it is to stop', async () => {
    const listener = new Listener('sim:kart');
    await (await startWithWorker(listener)).terminate();
    await until('the death is seen', () => listener.bus.status().state === 'unavailable');
    await listener.bus.stop();
    assert.equal(listener.bus.status().state, 'stopped');
    const before = listener.frames.length;
    await sleep(1200);
    assert.equal(listener.frames.length, before);
  });
});

test('a bus is measured while it is heard: not while it is lost, nor while its controller is off', async () => {
  const url = 'sim:kart?rate=100';
  const held: FrameBatch[] = [];
  // What isn't given back isn't filled again: then nothing comes but what the test says.
  const onFrames = (batch: FrameBatch) => void held.push(batch);
  const bus = new Bus({ name: 'measured', url, spec: parseBusUrl(url), log: SILENT, onFrames });
  buses.push(bus);
  assert.equal(bus.takeFigures(0), null);
  const worker = await startWithWorker({ bus });
  await until('all batches are filled', () => held.length === FRAME_BATCHES_PER_BUS);
  const first = bus.takeFigures(0)!;
  assert.ok(first.isFirst && first.framesPerS > 0 && first.load! > 0 && first.framesLost === 0);
  assert.equal(bus.takeFigures(PATIENCE_MS), null, 'too short a time');
  await sleep(2);
  assert.deepEqual(bus.takeFigures(0), { framesPerS: 0, load: 0, isFirst: false, framesLost: 0 });

  const isFirstNow = async () => {
    await sleep(2);
    return bus.takeFigures(0)?.isFirst;
  };
  const problem = { code: 'INTERFACE_DOWN', message: 'it is down' };
  worker.emit('message', { kind: 'state', state: 'unavailable', problem });
  assert.equal(await isFirstNow(), undefined);
  worker.emit('message', { kind: 'state', state: 'open', problem: null });
  assert.deepEqual([await isFirstNow(), await isFirstNow()], [true, false]);
  // Opened anew as nothing comes, it was never lost.
  worker.emit('message', { kind: 'state', state: 'open', problem: null });
  assert.equal(await isFirstNow(), false);

  const place = FRAME_BATCHES_PER_BUS - 1;
  const tell = (canId: number) => {
    held[0]!.clear();
    held[0]!.push(1_735_689_600_000_000, canId, FRAME_FLAG.ERROR, new Uint8Array(8));
    worker.emit('message', { kind: 'frames', batch: place, count: 1 });
  };
  tell(0x40); // CAN_ERR_BUSOFF
  assert.equal(await isFirstNow(), undefined);
  tell(0x100); // CAN_ERR_RESTARTED
  assert.deepEqual([await isFirstNow(), await isFirstNow()], [true, false]);
  await bus.stop();
  assert.equal(bus.takeFigures(0), null);
});

test('a controller that changes its state again and again is logged once a second', async () => {
  const count = 5000;
  const errors = Array.from({ length: count }, (_, index) => {
    const state = index % 2 === 0 ? '08' : '40';
    return `(1764000000.${String(index).padStart(6, '0')}) can0 20000004#00${state}000000000000\n`;
  });
  const path = join(folder, 'errors.log');
  writeFileSync(path, errors.join(''));
  const lines: { msg: string; controller?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
  const startedMs = performance.now();
  const { bus } = new Listener(`candump:${path}?speed=max`, { log });
  bus.start();
  await until('the end of the log', () => bus.status().state === 'ended');
  assert.equal(bus.status().controller.errors.controller_state, count);
  const told = lines.filter(({ controller }) => controller !== undefined);
  assert.equal(told[0]?.msg, 'controller is error-warning');
  assert.ok(told.length <= 1 + (performance.now() - startedMs) / 1000, `${told.length} lines`);
});

test('ten thousand losses and controllers off the bus leave nothing behind with the main thread', async (t) => {
  const downs: (number | null)[] = [];
  const busOffs: (number | null)[] = [];
  const url = 'sim:kart';
  let heard: FrameBatch | undefined;
  const bus = new Bus({
    name: 'losing',
    url,
    spec: parseBusUrl(url),
    log: SILENT,
    // What isn't given back isn't filled again.
    onFrames: (batch) => {
      heard ??= batch;
    },
    onDown: (_fromUs, toUs) => void downs.push(toUs),
    onBusOff: (_fromUs, toUs) => void busOffs.push(toUs),
  });
  buses.push(bus);
  const worker = await startWithWorker({ bus });
  // From now on it holds a controller's word that it is off the bus. The thread takes its batches from the end.
  const off = heard!;
  const place = FRAME_BATCHES_PER_BUS - 1;
  off.clear();
  off.push(1_735_689_600_000_000, 0x40, FRAME_FLAG.ERROR, new Uint8Array(8));
  const problem = { code: 'INTERFACE_DOWN', message: 'it is down' };
  /** What the thread of a bus would tell that is lost, and back. */
  function lose(cycles: number): void {
    for (let cycle = 0; cycle < cycles; cycle++) {
      worker.emit('message', { kind: 'state', state: 'unavailable', problem });
      worker.emit('message', { kind: 'state', state: 'open', problem: null });
      worker.emit('message', { kind: 'frames', batch: place, count: 1 });
    }
  }
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  function used() {
    downs.length = 0;
    busOffs.length = 0;
    collectGarbage();
    const listeners = worker.eventNames().map((name) => [name, worker.listenerCount(name)]);
    return {
      resources: process.getActiveResourcesInfo().length,
      listeners,
      heap: process.memoryUsage().heapUsed,
    };
  }
  lose(2000);
  const before = used();
  lose(10_000);
  assert.equal(downs.length, 20_000);
  assert.equal(busOffs.filter((toUs) => toUs === null).length, 10_000);
  const now = used();
  t.diagnostic(`heap ${before.heap} ${now.heap}`);
  assert.deepEqual([now.resources, now.listeners], [before.resources, before.listeners]);
  assert.ok(now.heap - before.heap < 1_000_000, `${before.heap} to ${now.heap}`);
  assert.equal(bus.status().controller.changes.length, CONTROLLER_CHANGES_KEPT);
  await bus.stop();
});

test('a process ends by itself when its buses have stopped', () => {
  const modules = JSON.stringify({
    bus: import.meta.resolve('./bus.ts'),
    url: import.meta.resolve('./bus-url.ts'),
  });
  const script = `
    const modules = ${modules};
    const { Bus } = await import(modules.bus);
    const { parseBusUrl } = await import(modules.url);
    const log = { info() {}, warn() {}, error() {} };
    const buses = process.argv.slice(1).map((url) => new Bus({
      name: 'test', url, spec: parseBusUrl(url), log, onFrames: (batch, release) => release(),
    }));
    for (const bus of buses) bus.start();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await Promise.all(buses.map((bus) => bus.stop()));
    console.log(buses.map((bus) => bus.status().state).join());
  `;
  const urls = ['sim:kart', `candump:${writeLog(10)}?speed=max`, `candump:${join(folder, 'absent.log')}`];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script, ...urls],
    {
      encoding: 'utf8',
      timeout: PATIENCE_MS,
    },
  );
  assert.equal(stderr, '');
  assert.equal(stdout.trim(), 'stopped,stopped,stopped');
  assert.equal(status, 0);
});
