import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { wallClockUs } from '../shared/clock.ts';
import { BusError, errorCode, errorMessage } from '../shared/errors.ts';
import {
  BUS_RETRY_FIRST_MS,
  BUS_RETRY_LONGEST_MS,
  BUS_WAIT_MAX_MS,
  SEND_DEADLINE_MS,
  SEND_RETRY_MS,
} from '../shared/limits.ts';
import type { BusDriver, WaitForWake } from './bus-driver.ts';
import {
  BUS_CONTROL,
  type BusProblem,
  type BusWorkerData,
  type FromBusWorker,
  type ToBusWorker,
} from './bus-messages.ts';
import type { BusUrl } from './bus-url.ts';
import type { CanFrame } from './can-frame.ts';
import { FrameBatch } from './frame-batch.ts';

const port = parentPort!;

interface WaitingSend {
  readonly id: number;
  readonly frame: CanFrame;
  /** By performance.now(). */
  readonly deadlineMs: number;
}

/**
 * The thread of one bus: opens its driver, sends what it reads to the main thread in batches, sends
 * frames out, and opens the bus again for ever when it is lost. It is one plain loop that waits in the
 * driver's read; nothing here is asynchronous, and the event loop of this thread never turns.
 */
class BusWorker {
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #driver: BusDriver;
  readonly #batches: readonly FrameBatch[];
  readonly #free: FrameBatch[];
  /** Frames to send, in their order; the main thread bounds them (SEND_QUEUE_FRAMES_MAX). */
  readonly #sends: WaitingSend[] = [];
  #batch: FrameBatch | null = null;
  #wakeSeen = 0;
  #isOpen = false;
  #isStopping = false;
  /** The bus is to be opened anew, as nothing comes. */
  #isReopening = false;
  #retryAfterMs = BUS_RETRY_FIRST_MS;
  /** By performance.now(): when the bus could not be opened, or was lost, and when it is tried again. */
  #failedAtMs = 0;
  #retryAtMs = 0;
  #driverStatusSent = '';
  #driverStatusAtMs = 0;
  #driverAskedUs = wallClockUs();

  constructor({ control, batches }: BusWorkerData, createDriver: (wait: WaitForWake) => BusDriver) {
    this.#control = control;
    this.#batches = batches.map((buffer) => new FrameBatch(buffer));
    this.#free = [...this.#batches];
    this.#driver = createDriver((timeoutMs) => this.#waitForWake(timeoutMs));
    const { wakeFd = null, watchFd = null } = this.#driver;
    post({ kind: 'started', wakeFd, watchFd });
  }

  run(): void {
    try {
      this.#readUntilEnd();
    } finally {
      // Also where the thread dies of an error: what the driver holds of the kernel's outlives the thread.
      this.#close();
      this.#driver.dispose?.();
    }
    this.#reportDriver(true);
    if (!this.#isStopping) this.#waitForStop();
    post({ kind: 'state', state: 'stopped', problem: null });
  }

  #readUntilEnd(): void {
    for (;;) {
      Atomics.add(this.#control, BUS_CONTROL.ALIVE, 1);
      this.#wakeSeen = Atomics.load(this.#control, BUS_CONTROL.WAKE);
      this.#handleMessages();
      this.#sendWaiting();
      if (this.#isStopping) break;
      if (!this.#isOpen && !(this.#isTimeToOpen() && this.#tryOpen())) continue;
      if (!this.#readOnce()) break;
      this.#reportDriver();
    }
    this.#sendBatch();
  }

  #waitForWake(timeoutMs: number): void {
    Atomics.wait(this.#control, BUS_CONTROL.WAKE, this.#wakeSeen, timeoutMs);
  }

  #tryOpen(): boolean {
    try {
      this.#driver.open();
    } catch (error) {
      this.#retryLater(error);
      return false;
    }
    Atomics.store(this.#control, BUS_CONTROL.SOCKET, (this.#driver.socketFd ?? -1) + 1);
    this.#isOpen = true;
    this.#retryAfterMs = BUS_RETRY_FIRST_MS;
    post({ kind: 'state', state: 'open', problem: null, isBusOff: this.#driver.isBusOff === true });
    return true;
  }

  #close(): void {
    // First, as the number may be another file's a moment after.
    Atomics.store(this.#control, BUS_CONTROL.SOCKET, 0);
    this.#driver.close();
    this.#isOpen = false;
  }

  #retryLater(error: unknown): void {
    post({ kind: 'state', state: 'unavailable', problem: problemOf(error) });
    this.#reportDriver(true);
    this.#failedAtMs = performance.now();
    this.#retryAtMs = this.#failedAtMs + this.#retryAfterMs;
    this.#retryAfterMs = Math.min(this.#retryAfterMs * 2, BUS_RETRY_LONGEST_MS);
  }

  /** Waits until it is time to try again, or until there is something else to do first. */
  #isTimeToOpen(): boolean {
    const leftMs = this.#retryAtMs - performance.now();
    if (leftMs <= 0) return true;
    if (this.#driver.waitForChange === undefined) this.#waitForWake(leftMs);
    else if (this.#driver.waitForChange(leftMs)) this.#retryAtMs = this.#failedAtMs + BUS_RETRY_FIRST_MS;
    return false;
  }

  /** Reads into the current batch and sends it on; false when the source has ended. */
  #readOnce(): boolean {
    // Frames held back while no other batch was free go first.
    if (this.#batch !== null && this.#free.length > 0) this.#sendBatch();
    this.#batch ??= this.#free.pop() ?? null;
    if (this.#batch === null || this.#batch.isFull) {
      this.#starve();
      return true;
    }
    try {
      const outcome = this.#driver.read(this.#batch);
      const hasFrames = this.#batch.count > 0;
      // The last free batch is filled before it goes, so that a busy main thread gets fewer, fuller ones.
      if (this.#free.length > 0 || this.#batch.isFull) this.#sendBatch();
      else if (this.#batch.count > 0) Atomics.store(this.#control, BUS_CONTROL.STARVED, 1);
      if (outcome === 'ended') {
        this.#sendBatch();
        this.#reportDriver(true);
        post({ kind: 'state', state: 'ended', problem: null });
        return false;
      }
      if (this.#isReopening && !hasFrames) this.#close();
      this.#isReopening = false;
    } catch (error) {
      this.#sendBatch();
      this.#close();
      this.#retryLater(error);
    }
    return true;
  }

  /** Waits for the main thread to give a batch back; meanwhile frames gather where they come from. */
  #starve(): void {
    Atomics.store(this.#control, BUS_CONTROL.STARVED, 1);
    // A batch that was given back before the flag was up brings no wake-up: look once more.
    this.#handleMessages();
    if (this.#free.length > 0 || this.#isStopping) return;
    this.#waitForWake(this.#sends.length > 0 ? SEND_RETRY_MS : BUS_WAIT_MAX_MS);
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch === null || batch.count === 0) return;
    this.#batch = null;
    post({ kind: 'frames', batch: this.#batches.indexOf(batch), count: batch.count });
  }

  #handleMessages(): void {
    for (;;) {
      const received = receiveMessageOnPort(port);
      if (received === undefined) return;
      const message = received.message as ToBusWorker;
      if (message.kind === 'recycle') {
        Atomics.store(this.#control, BUS_CONTROL.STARVED, 0);
        const batch = this.#batches[message.batch]!;
        batch.clear();
        this.#free.push(batch);
      } else if (message.kind === 'send') {
        const deadlineMs = performance.now() + SEND_DEADLINE_MS;
        this.#sends.push({ id: message.id, frame: message.frame, deadlineMs });
      } else if (message.kind === 'reopen') {
        this.#isReopening = true;
      } else if (message.kind === 'restart') {
        if (this.#isOpen) this.#driver.restart?.();
      } else {
        this.#isStopping = true;
      }
    }
  }

  /** Sends what waits, in its order, as far as there is room; reading goes on meanwhile. */
  #sendWaiting(): void {
    for (;;) {
      const send = this.#sends[0];
      if (send === undefined) return;
      let problem: BusProblem | null = null;
      try {
        if (!this.#trySend(send)) return;
      } catch (error) {
        problem = problemOf(error);
      }
      this.#sends.shift();
      post({ kind: 'sent', id: send.id, problem });
    }
  }

  /** Whether the frame was sent; false while it may still be. */
  #trySend({ frame, deadlineMs }: WaitingSend): boolean {
    if (!this.#isOpen) throw new BusError('BUS_UNAVAILABLE', 'The bus is not open: nothing was sent.');
    if (this.#driver.send(frame) === 'sent') return true;
    if (performance.now() < deadlineMs) return false;
    throw new BusError(
      'BUS_SEND_FAILED',
      `For ${SEND_DEADLINE_MS} ms the interface's queue had no room for the frame: either no other node is there to acknowledge ` +
        "frames, or the bus is full. For bursts give the interface a longer queue: txqueuelen=1000 in the bus's URL.",
    );
  }

  #reportDriver(now = false): void {
    const nowMs = performance.now();
    if (!now && nowMs - this.#driverStatusAtMs < BUS_WAIT_MAX_MS) return;
    this.#driverStatusAtMs = nowMs;
    const sinceUs = this.#driverAskedUs;
    this.#driverAskedUs = wallClockUs();
    const status = this.#driver.status();
    const text = JSON.stringify(status);
    if (text === this.#driverStatusSent) return;
    this.#driverStatusSent = text;
    post({ kind: 'driver', status, sinceUs, nowUs: wallClockUs() });
  }

  #waitForStop(): void {
    while (!this.#isStopping) {
      this.#wakeSeen = Atomics.load(this.#control, BUS_CONTROL.WAKE);
      this.#handleMessages();
      this.#sendWaiting();
      if (!this.#isStopping) this.#waitForWake(Number.POSITIVE_INFINITY);
    }
  }
}

function post(message: FromBusWorker): void {
  port.postMessage(message);
}

function problemOf(error: unknown): BusProblem {
  return { code: errorCode(error), message: errorMessage(error) };
}

/** A driver's module is loaded only where it is used: koffi isn't needed to replay a log. */
async function driverFactory(url: BusUrl): Promise<(wait: WaitForWake) => BusDriver> {
  switch (url.kind) {
    case 'socketcan': {
      const { SocketCanDriver } = await import('./socketcan/socketcan-driver.ts');
      return () => new SocketCanDriver(url);
    }
    case 'candump':
    case 'asc': {
      const { LogDriver } = await import('./log/log-driver.ts');
      return (wait) => new LogDriver({ ...url, wait, nowUs: wallClockUs });
    }
    case 'sim': {
      const { SimulatedKartDriver } = await import('./simulated-kart/simulated-kart-driver.ts');
      return (wait) => new SimulatedKartDriver({ ...url, wait, nowUs: wallClockUs });
    }
  }
}

const data = workerData as BusWorkerData;
let worker: BusWorker | null = null;
try {
  worker = new BusWorker(data, await driverFactory(data.url));
} catch (error) {
  // Such as SocketCAN on a system that has none. The main thread tries again with another worker.
  post({ kind: 'state', state: 'unavailable', problem: problemOf(error) });
}
worker?.run();
