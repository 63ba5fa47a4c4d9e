import { closeSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { wallClockUs } from '../shared/clock.ts';
import { BusError } from '../shared/errors.ts';
import { BUS_RETRY_LONGEST_MS, SEND_QUEUE_FRAMES_MAX } from '../shared/limits.ts';
import { siblingModule } from '../shared/sibling-module.ts';
import {
  BUS_CONTROL,
  type BusProblem,
  type BusWorkerData,
  type BusWorkerState,
  type DriverStatus,
  type FromBusWorker,
  type ToBusWorker,
} from './bus-messages.ts';
import { BITRATE_BIT_PER_S_DEFAULT, type BusUrl, isLog } from './bus-url.ts';
import {
  type CanFrame,
  CLASSIC_PAYLOAD_BYTES_MAX,
  EXTENDED_CAN_ID_MAX,
  isFdPayloadBytes,
  STANDARD_CAN_ID_MAX,
} from './can-frame.ts';
import {
  type ControllerChange,
  ControllerMonitor,
  type ControllerReading,
  type ControllerStatus,
} from './controller-monitor.ts';
import { FrameBatch } from './frame-batch.ts';
import { type Bitrates, type IdTraffic, type Traffic, TrafficMeter } from './traffic-meter.ts';

export interface BusOptions {
  readonly name: string;
  /** As the configuration writes it. */
  readonly url: string;
  readonly spec: BusUrl;
  readonly log: Logger;
  /**
   * Takes a batch of frames; `release` gives it back and is called exactly once, when nothing of the
   * batch is needed any more. A consumer that is late with it slows the bus down, which loses nothing
   * where the source can wait and leaves frames to the kernel's buffer where it can't.
   */
  readonly onFrames: (batch: FrameBatch, release: () => void) => void;
  readonly onEnded?: () => void;
  /**
   * Told that the bus isn't being read since `fromUs`; and again, with `toUs`, when it is or has been stopped.
   * Both are microseconds since the epoch, by a clock that may have been set back between.
   */
  readonly onDown?: (fromUs: number, toUs: number | null) => void;
  /** The same for a controller that is off: it is read, and hears nothing. */
  readonly onBusOff?: (fromUs: number, toUs: number | null) => void;
  /** Told what the controller says of itself, before the frames among which it did. */
  readonly onController?: (reading: ControllerReading) => void;
  /** Told of frames that the kernel has dropped, at some time from `fromUs` to `toUs`. */
  readonly onDrops?: (frames: number, fromUs: number, toUs: number) => void;
}

export interface BusStatus {
  readonly name: string;
  readonly url: string;
  readonly kind: BusUrl['kind'];
  readonly simulated: boolean;
  readonly state: 'starting' | BusWorkerState;
  /** Epoch milliseconds since when the state holds. */
  readonly sinceMs: number;
  readonly problem: BusProblem | null;
  readonly frames: number;
  readonly traffic: Traffic;
  readonly framesSent: number;
  /** Times that the bus was opened, less one. */
  readonly reopened: number;
  readonly controller: ControllerStatus;
  readonly driver: DriverStatus;
}

interface PendingSend {
  resolve(): void;
  reject(error: BusError): void;
}

/**
 * One bus as the main thread sees it: a worker thread that reads it and keeps it open. A worker that
 * dies is started again; nothing that happens to a bus ends the process.
 */
export class Bus {
  readonly name: string;
  readonly spec: BusUrl;
  readonly #options: BusOptions;
  readonly #control = new Int32Array(new SharedArrayBuffer(BUS_CONTROL.WORDS * 4));
  readonly #sends = new Map<number, PendingSend>();
  #worker: Worker | null = null;
  #wakeFd: number | null = null;
  #nextSendId = 0;
  #isStopping = false;
  #respawn: NodeJS.Timeout | undefined;
  #stopped: PromiseWithResolvers<void> | undefined;

  #state: BusStatus['state'] = 'starting';
  #sinceMs = Date.now();
  /** Since when the bus isn't being read, while it isn't. */
  #downSinceUs: number | null = null;
  /** As this worker's driver counts them. */
  #kernelDrops = 0;
  #problem: BusProblem | null = null;
  #driver: DriverStatus = {};
  readonly #controller: ControllerMonitor;
  #frames = 0;
  #framesSent = 0;
  #opened = 0;
  readonly #traffic = new TrafficMeter();

  constructor(options: BusOptions) {
    this.#options = options;
    this.name = options.name;
    this.spec = options.spec;
    this.#controller = new ControllerMonitor({
      onChange: (change, message) => this.#logController(change, message),
      onBusOff: (fromUs, toUs) => options.onBusOff?.(fromUs, toUs),
      onReading: (reading) => options.onController?.(reading),
    });
  }

  /** Whether what this bus says is made up. */
  get isSimulated(): boolean {
    return this.spec.kind === 'sim';
  }

  /** Whether the source stands still while its batches aren't released, without a loss. */
  get canWait(): boolean {
    return isLog(this.spec) && this.spec.speed === 'max';
  }

  /** Whether it can be sent on. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  start(): void {
    this.#isStopping = false;
    this.#spawn();
  }

  /** Stops reading; frames already read are still handed over before the promise resolves. */
  stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#respawn);
    if (this.#worker === null) {
      this.#enter('stopped', null);
      return Promise.resolve();
    }
    if (this.#stopped === undefined) {
      this.#stopped = Promise.withResolvers();
      this.#tell({ kind: 'stop' });
    }
    return this.#stopped.promise;
  }

  /**
   * Sends a frame, after all that were given before; resolves when the driver has taken it. A frame that finds the
   * interface's queue full waits for SEND_DEADLINE_MS at most. Rejects with BusError BUS_FRAME_INVALID,
   * BUS_UNAVAILABLE, BUS_READ_ONLY, BUS_SEND_FAILED or BUS_SEND_QUEUE_FULL.
   */
  send(frame: CanFrame): Promise<void> {
    const problem = frameProblem(frame);
    if (problem !== null) return Promise.reject(new BusError('BUS_FRAME_INVALID', problem));
    if (this.#worker === null || this.#isStopping) {
      return Promise.reject(
        new BusError('BUS_UNAVAILABLE', `The bus ${this.name} is not running: nothing was sent.`),
      );
    }
    if (this.#sends.size >= SEND_QUEUE_FRAMES_MAX) {
      return Promise.reject(
        new BusError(
          'BUS_SEND_QUEUE_FULL',
          `${SEND_QUEUE_FRAMES_MAX} frames already wait to be sent on ${this.name}.`,
        ),
      );
    }
    const id = this.#nextSendId++;
    return new Promise((resolve, reject) => {
      this.#sends.set(id, { resolve, reject });
      this.#tell({ kind: 'send', id, frame });
    });
  }

  status(): BusStatus {
    return {
      name: this.name,
      url: this.#options.url,
      kind: this.spec.kind,
      simulated: this.isSimulated,
      state: this.#state,
      sinceMs: this.#sinceMs,
      problem: this.#problem,
      frames: this.#frames,
      traffic: this.#traffic.traffic(),
      framesSent: this.#framesSent,
      reopened: Math.max(0, this.#opened - 1),
      controller: this.#controller.status(),
      driver: this.#driver,
    };
  }

  /** What is known of the frames of a CAN id; null where there were none. */
  trafficOf(canId: number, isExtended: boolean): IdTraffic | null {
    return this.#traffic.ofId(canId, isExtended);
  }

  #spawn(): void {
    const workerData: BusWorkerData = { url: this.spec, control: this.#control };
    const worker = new Worker(siblingModule(import.meta.url, 'bus-worker'), {
      workerData,
      name: `bus ${this.name}`,
    });
    this.#worker = worker;
    this.#kernelDrops = 0;
    worker.on('message', (message: FromBusWorker) => this.#handle(worker, message));
    worker.on('error', (error) => this.#workerDied(error));
    worker.on('exit', () => this.#workerExited(worker));
  }

  #handle(worker: Worker, message: FromBusWorker): void {
    switch (message.kind) {
      case 'frames': {
        this.#frames += message.count;
        const batch = new FrameBatch(message.buffer, message.count);
        this.#traffic.observe(batch);
        this.#controller.observe(batch);
        this.#options.onFrames(batch, () => this.#recycle(worker, batch));
        break;
      }
      case 'driver':
        this.#logDriver(message.status);
        this.#driver = message.status;
        this.#traffic.setBitrates(bitratesOf(this.spec, message.status));
        this.#tellDrops(message.sinceUs, message.nowUs);
        break;
      case 'state':
        this.#enter(message.state, message.problem);
        break;
      case 'sent':
        this.#settleSend(message.id, message.problem);
        break;
      case 'started':
        this.#wakeFd = message.wakeFd;
        // What was told before the descriptor was known may have found the worker already waiting.
        this.#wake();
        break;
    }
  }

  #recycle(worker: Worker, batch: FrameBatch): void {
    // A worker that has died since takes its batches with it; the next one has its own.
    if (worker !== this.#worker) return;
    const message: ToBusWorker = { kind: 'recycle', buffer: batch.buffer };
    worker.postMessage(message, [batch.buffer]);
    if (Atomics.load(this.#control, BUS_CONTROL.STARVED) === 1) this.#wake();
  }

  #enter(state: BusWorkerState, problem: BusProblem | null): void {
    const { log, name } = this.#options;
    if (state === 'open') this.#opened++;
    this.#tellDown(state);
    if (state !== 'open') this.#controller.forget(wallClockUs());
    const isNews = state !== this.#state || problem?.message !== this.#problem?.message;
    if (state !== this.#state) this.#sinceMs = Date.now();
    this.#state = state;
    this.#problem = problem;
    if (!isNews) return;
    if (problem !== null)
      log.warn({ bus: name, code: problem.code, reason: problem.message }, 'bus unavailable');
    else log.info({ bus: name, url: this.#options.url }, `bus ${state}`);
    if (state === 'ended') this.#options.onEnded?.();
  }

  #tellDown(state: BusWorkerState): void {
    const { onDown } = this.#options;
    if (state === 'unavailable') {
      if (this.#downSinceUs !== null) return;
      // A bus that can't be opened at the start was missed all the time since.
      this.#downSinceUs = this.#state === 'starting' ? this.#sinceMs * 1000 : wallClockUs();
      onDown?.(this.#downSinceUs, null);
    } else if (this.#downSinceUs !== null) {
      onDown?.(this.#downSinceUs, wallClockUs());
      this.#downSinceUs = null;
    }
  }

  /** What a driver has done to its source, and what it finds wrong with it, is logged when it is news. */
  #logDriver({ warning, interface_configured, configured_with }: DriverStatus): void {
    const { log, name } = this.#options;
    if (interface_configured && interface_configured !== this.#driver.interface_configured) {
      log.info({ bus: name, commands: configured_with }, 'interface configured');
    }
    if (warning && warning !== this.#driver.warning) log.warn({ bus: name, reason: warning }, 'bus warning');
  }

  #logController({ state }: ControllerChange, message: string): void {
    const { log, name } = this.#options;
    const details = { bus: name, controller: state, reason: message };
    if (state === 'error_active') log.info(details, 'controller recovered');
    else log.warn(details, `controller is ${state.replace('_', '-')}`);
  }

  #tellDrops(fromUs: number, toUs: number): void {
    const drops = Number(this.#driver.kernel_drops ?? 0);
    if (drops > this.#kernelDrops) this.#options.onDrops?.(drops - this.#kernelDrops, fromUs, toUs);
    this.#kernelDrops = drops;
  }

  #settleSend(id: number, problem: BusProblem | null): void {
    const pending = this.#sends.get(id);
    if (pending === undefined) return;
    this.#sends.delete(id);
    if (problem !== null) {
      pending.reject(new BusError(problem.code, problem.message));
      return;
    }
    this.#framesSent++;
    pending.resolve();
  }

  #workerDied(error: unknown): void {
    this.#options.log.error({ bus: this.name, err: error }, 'bus worker died');
    this.#problem = {
      code: 'BUS_WORKER_DIED',
      message: `The bus's thread ended by an error: ${String(error)}`,
    };
  }

  #workerExited(worker: Worker): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    if (this.#wakeFd !== null) closeSync(this.#wakeFd);
    this.#wakeFd = null;
    for (const id of [...this.#sends.keys()]) {
      this.#settleSend(id, {
        code: 'BUS_UNAVAILABLE',
        message: `The bus ${this.name} stopped: the frame wasn't sent.`,
      });
    }
    if (this.#isStopping) {
      this.#enter('stopped', null);
      this.#stopped?.resolve();
      this.#stopped = undefined;
      return;
    }
    this.#enter('unavailable', this.#problem ?? WORKER_ENDED);
    this.#respawn = setTimeout(() => this.#spawn(), BUS_RETRY_LONGEST_MS);
  }

  #tell(message: ToBusWorker): void {
    this.#worker?.postMessage(message);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, BUS_CONTROL.WAKE, 1);
    Atomics.notify(this.#control, BUS_CONTROL.WAKE);
    if (this.#wakeFd !== null) writeSync(this.#wakeFd, WAKE_ONCE);
  }
}

const WORKER_ENDED: BusProblem = {
  code: 'BUS_WORKER_DIED',
  message: "The bus's thread ended unasked; it is started again.",
};

/** What the interface says counts; what the URL says where it has none, such as a virtual one. The kart's bus has one. */
function bitratesOf(spec: BusUrl, { bitrate, data_bitrate }: DriverStatus): Bitrates {
  if (spec.kind === 'sim') return { nominal: BITRATE_BIT_PER_S_DEFAULT, data: null };
  if (spec.kind !== 'socketcan') return { nominal: null, data: null };
  return {
    nominal: typeof bitrate === 'number' ? bitrate : (spec.bitrateBitPerS ?? null),
    data: typeof data_bitrate === 'number' ? data_bitrate : (spec.dataBitrateBitPerS ?? null),
  };
}

/** What an eventfd takes: the amount to count up by, as 8 bytes. */
const WAKE_ONCE = new Uint8Array(new BigUint64Array([1n]).buffer);

function frameProblem(frame: CanFrame): string | null {
  const canIdMax = frame.isExtended ? EXTENDED_CAN_ID_MAX : STANDARD_CAN_ID_MAX;
  if (!Number.isInteger(frame.canId) || frame.canId < 0 || frame.canId > canIdMax) {
    return `A ${frame.isExtended ? '29' : '11'}-bit CAN id is 0 to ${canIdMax}, not ${frame.canId}.`;
  }
  const { length } = frame.payload;
  if (frame.isFd === true) {
    if (frame.isRemote === true) return 'CAN FD has no remote frames.';
    return isFdPayloadBytes(length)
      ? null
      : `A CAN FD frame carries 0 to 8, 12, 16, 20, 24, 32, 48 or 64 bytes, not ${length}.`;
  }
  if (frame.isBitrateSwitched === true) return 'Only a CAN FD frame can switch its bitrate.';
  if (length > CLASSIC_PAYLOAD_BYTES_MAX) return `A CAN frame carries 0 to 8 bytes, not ${length}.`;
  return null;
}
