import { closeSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { wallClockUs } from '../shared/clock.ts';
import {
  BUS_WATCH_MS,
  BUS_WORKER_STUCK_MS,
  FRAME_BATCH_FRAMES_MAX,
  FRAME_BATCHES_PER_BUS,
} from '../shared/limits.ts';
import { threadModule } from '../shared/thread-module.ts';
import { BUS_CONTROL, type BusWorkerData, type FromBusWorker, type ToBusWorker } from './bus-messages.ts';
import type { BusUrl } from './bus-url.ts';
import { FrameBatch } from './frame-batch.ts';

/** What a bus's thread tells of its bus, but for frames. */
export type BusMessage = Exclude<FromBusWorker, { readonly kind: 'started' | 'frames' }>;

export interface BusThreadEvents {
  /** The batch is to be given back. */
  onFrames(batch: FrameBatch): void;
  onMessage(message: BusMessage): void;
  /** The thread ends by an error. */
  onError(error: unknown): void;
  /** It has ended, however. */
  onExit(): void;
}

/** Checks in a row that find no sign of life; counted, as a process that was stopped for a while finds but one. */
const QUIET_CHECKS_MAX = Math.ceil(BUS_WORKER_STUCK_MS / BUS_WATCH_MS);

/**
 * A bus's worker thread as the main thread has it: messages both ways, waking it up, telling whether it is stuck, and
 * what it leaves behind: descriptors that a thread has opened outlive it.
 */
export class BusThread {
  readonly #control = new Int32Array(new SharedArrayBuffer(BUS_CONTROL.WORDS * 4));
  readonly #batches = Array.from({ length: FRAME_BATCHES_PER_BUS }, () =>
    FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX),
  );
  readonly #worker: Worker;
  #wakeFd: number | null = null;
  #watchFd: number | null = null;
  #signs = 0;
  #quietChecks = 0;
  /** Microseconds since the epoch when a check found that it was at work. */
  #aliveAtUs = wallClockUs();

  constructor(url: BusUrl, name: string, events: BusThreadEvents) {
    const workerData: BusWorkerData = {
      url,
      control: this.#control,
      batches: this.#batches.map(({ buffer }) => buffer),
    };
    this.#worker = new Worker(threadModule(import.meta.url, 'bus-worker'), { workerData, name });
    this.#worker.on('message', (message: FromBusWorker) => {
      if (message.kind === 'started') this.#started(message.wakeFd, message.watchFd);
      else if (message.kind === 'frames') events.onFrames(this.#filled(message.batch, message.count));
      else events.onMessage(message);
    });
    this.#worker.on('error', (error) => events.onError(error));
    this.#worker.on('exit', () => {
      this.#closeDescriptors();
      events.onExit();
    });
  }

  /** Microseconds since the epoch when it was last known to be at work. */
  get aliveAtUs(): number {
    return this.#aliveAtUs;
  }

  #started(wakeFd: number | null, watchFd: number | null): void {
    this.#wakeFd = wakeFd;
    this.#watchFd = watchFd;
    // What was told before the descriptor was known may have found the worker already waiting.
    this.#wake();
  }

  tell(message: ToBusWorker): void {
    this.#worker.postMessage(message);
    this.#wake();
  }

  #filled(place: number, count: number): FrameBatch {
    const batch = this.#batches[place]!;
    batch.count = count;
    return batch;
  }

  giveBack(batch: FrameBatch): void {
    const message: ToBusWorker = { kind: 'recycle', batch: this.#batches.indexOf(batch) };
    this.#worker.postMessage(message);
    if (Atomics.load(this.#control, BUS_CONTROL.STARVED) === 1) this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, BUS_CONTROL.WAKE, 1);
    Atomics.notify(this.#control, BUS_CONTROL.WAKE);
    if (this.#wakeFd !== null) writeSync(this.#wakeFd, WAKE_ONCE);
  }

  /** To be called every BUS_WATCH_MS. Whether it gave no sign of life for BUS_WORKER_STUCK_MS, once it had given one. */
  isStuck(): boolean {
    const signs = Atomics.load(this.#control, BUS_CONTROL.ALIVE);
    if (signs === this.#signs && signs !== 0) {
      this.#quietChecks++;
      return this.#quietChecks >= QUIET_CHECKS_MAX;
    }
    this.#signs = signs;
    this.#quietChecks = 0;
    this.#aliveAtUs = wallClockUs();
    return false;
  }

  /** Ends it where it is. One in a system call ends when that does; it doesn't keep the process alive meanwhile. */
  terminate(): void {
    void this.#worker.terminate();
    this.#worker.unref();
  }

  #closeDescriptors(): void {
    const socketFd = Atomics.exchange(this.#control, BUS_CONTROL.SOCKET, 0) - 1;
    for (const fd of [this.#wakeFd, this.#watchFd, socketFd]) if (fd !== null && fd >= 0) closeSync(fd);
    this.#wakeFd = null;
    this.#watchFd = null;
  }
}

/** What an eventfd takes: the amount to count up by, as 8 bytes. */
const WAKE_ONCE = new Uint8Array(new BigUint64Array([1n]).buffer);
