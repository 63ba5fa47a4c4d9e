import type { Logger } from 'pino';
import { wallClockUs } from '../shared/clock.ts';
import {
  BUS_OFF_RESTART_MS,
  BUS_RETRY_LONGEST_MS,
  BUS_WATCH_MS,
  BUS_WORKERS_STUCK_MAX,
} from '../shared/limits.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import type { BusProblem, BusWorkerState, DriverStatus, ToBusWorker } from './bus-messages.ts';
import { BusSilence } from './bus-silence.ts';
import { type BusMessage, BusThread } from './bus-thread.ts';
import {
  busOffProblem,
  isRestartedByService,
  WORKER_ENDED,
  WORKER_STUCK,
  WORKERS_STUCK,
} from './bus-troubles.ts';
import { BITRATE_BIT_PER_S_DEFAULT, type BusUrl, isLive, isLog } from './bus-url.ts';
import type { CanFrame } from './can-frame.ts';
import {
  type ControllerChange,
  ControllerMonitor,
  type ControllerReading,
  type ControllerStatus,
} from './controller-monitor.ts';
import type { FrameBatch } from './frame-batch.ts';
import { SendQueue } from './send-queue.ts';
import {
  type Bitrates,
  type IdTraffic,
  type Traffic,
  TrafficMeter,
  type TrafficSpan,
} from './traffic-meter.ts';

/**
 * Where frames of a bus are lost before they are read: by the interface (its controller's buffer was full, or its
 * driver's), or by the kernel (our socket's was).
 */
export const DROP_CAUSES = ['interface', 'kernel'] as const;
export type DropCause = (typeof DROP_CAUSES)[number];

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
  /** Told of frames that were lost before they were read, at some time from `fromUs` to `toUs`. */
  readonly onDrops?: (cause: DropCause, frames: number, fromUs: number, toUs: number) => void;
}

export interface BusStatus {
  readonly name: string;
  readonly url: string;
  readonly kind: BusUrl['kind'];
  readonly simulated: boolean;
  readonly state: 'starting' | BusWorkerState;
  /** Epoch milliseconds since when the state holds. */
  readonly sinceMs: number;
  /** Why the bus can't be read; or, where it is open, why nothing comes. */
  readonly problem: BusProblem | null;
  /** Epoch milliseconds since when nothing has come on a bus that used to be busier; null where it isn't silent. */
  readonly silentSinceMs: number | null;
  readonly frames: number;
  readonly traffic: Traffic;
  /** Before they were read, since the start; a driver's own counts begin anew with its thread. */
  readonly framesLost: Readonly<Record<DropCause, number>>;
  readonly framesSent: number;
  /** Frames that were to be sent, and weren't: refused, timed out, or the bus was lost. */
  readonly sendFailures: number;
  /** Frames that wait to be sent, SEND_QUEUE_FRAMES_MAX at most. */
  readonly sendsWaiting: number;
  /** Times that the bus was opened, less one. */
  readonly reopened: number;
  readonly controller: ControllerStatus;
  readonly driver: DriverStatus;
}

/** What a bus came to in a span of time in which it was heard. */
export interface BusFigures extends TrafficSpan {
  /** Since the start, for whatever cause; see BusStatus.framesLost. */
  readonly framesLost: number;
}

/**
 * One bus as the main thread sees it: a worker thread that reads it and keeps it open. A worker that
 * dies or is stuck is replaced; nothing that happens to a bus ends the process.
 */
export class Bus {
  readonly name: string;
  readonly spec: BusUrl;
  readonly #options: BusOptions;
  readonly #logFault: FaultLog;
  readonly #sends: SendQueue;
  #thread: BusThread | null = null;
  /** Those that were given up, and have not ended yet. */
  readonly #stuckThreads = new Set<BusThread>();
  #isStopping = false;
  #respawn: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopped: PromiseWithResolvers<void> | undefined;

  #state: BusStatus['state'] = 'starting';
  #sinceMs = Date.now();
  /** Since when the bus isn't being read, while it isn't. */
  #downSinceUs: number | null = null;
  /** As this worker's driver counts them. */
  #drops: Record<DropCause, number> = { interface: 0, kernel: 0 };
  readonly #framesLost: Record<DropCause, number> = { interface: 0, kernel: 0 };
  #problem: BusProblem | null = null;
  #driver: DriverStatus = {};
  readonly #controller: ControllerMonitor;
  #frames = 0;
  #opened = 0;
  readonly #traffic = new TrafficMeter();
  readonly #silence: BusSilence;
  #busOffSinceUs: number | null = null;
  #busOffRestart: NodeJS.Timeout | undefined;

  constructor(options: BusOptions) {
    this.#options = options;
    this.#logFault = rateLimited(options.log);
    this.name = options.name;
    this.spec = options.spec;
    this.#traffic.setBitrates(bitratesOf(options.spec, {}));
    this.#sends = new SendQueue({
      busName: options.name,
      give: (id, frame) => {
        if (this.#thread === null || this.#isStopping) return false;
        this.#thread.tell({ kind: 'send', id, frame });
        return true;
      },
    });
    this.#silence = new BusSilence({
      busName: options.name,
      spec: options.spec,
      log: options.log,
      reopen: () => this.#tell({ kind: 'reopen' }),
    });
    this.#controller = new ControllerMonitor({
      onChange: (change, message) => this.#logController(change, message),
      onBusOff: (fromUs, toUs) => this.#takeBusOff(fromUs, toUs),
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
    if (this.#thread === null) {
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
    return this.#sends.add(frame);
  }

  status(): BusStatus {
    return {
      name: this.name,
      url: this.#options.url,
      kind: this.spec.kind,
      simulated: this.isSimulated,
      state: this.#state,
      sinceMs: this.#sinceMs,
      problem: this.#problem ?? this.#trouble(),
      silentSinceMs: this.#silence.sinceMs,
      frames: this.#frames,
      traffic: this.#traffic.traffic(),
      framesLost: { ...this.#framesLost },
      framesSent: this.#sends.sent,
      sendFailures: this.#sends.failures,
      sendsWaiting: this.#sends.waiting,
      reopened: Math.max(0, this.#opened - 1),
      controller: this.#controller.status(),
      driver: this.#driver,
    };
  }

  /** What is known of the frames of a CAN id; null where there were none. */
  trafficOf(canId: number, isExtended: boolean): IdTraffic | null {
    return this.#traffic.ofId(canId, isExtended);
  }

  /**
   * What the bus came to since this was asked last, or since it could be heard; null while it can't be, or for less than
   * `leastMs`: it is closed, or its controller is off.
   */
  takeFigures(leastMs: number): BusFigures | null {
    if (!this.isOpen || this.#busOffSinceUs !== null) return null;
    const span = this.#traffic.endSpan(leastMs);
    return span === null
      ? null
      : { ...span, framesLost: this.#framesLost.interface + this.#framesLost.kernel };
  }

  /** Why nothing comes on a bus that is read. */
  #trouble(): BusProblem | null {
    const { name, spec } = this;
    if (this.#busOffSinceUs !== null) return busOffProblem(spec, name, this.#busOffSinceUs, this.#driver);
    return this.#silence.problem;
  }

  #spawn(): void {
    const thread: BusThread = new BusThread(this.spec, `bus ${this.name}`, {
      // What one says that was given up is too late.
      onFrames: (batch) => thread === this.#thread && this.#takeFrames(thread, batch),
      onMessage: (message) => thread === this.#thread && this.#handle(message),
      onError: (error) => thread === this.#thread && this.#threadDied(error),
      onExit: () => this.#threadExited(thread),
    });
    this.#thread = thread;
    this.#drops = { interface: 0, kernel: 0 };
    // A log may take its time: from a disk that stands still, say.
    if (!isLive(this.spec)) return;
    clearInterval(this.#watch);
    this.#watch = setInterval(() => this.#lookAfter(thread), BUS_WATCH_MS);
  }

  /** What nobody tells of: a thread that is stuck, a bus on which nothing comes any more. */
  #lookAfter(thread: BusThread): void {
    if (thread.isStuck()) {
      this.#giveUp(thread);
      return;
    }
    this.#silence.check();
  }

  #takeBusOff(fromUs: number, toUs: number | null): void {
    this.#busOffSinceUs = toUs === null ? fromUs : null;
    clearInterval(this.#busOffRestart);
    // That nothing comes has a reason, then.
    if (toUs === null) this.#silence.pause();
    else this.#listen();
    if (toUs === null && isRestartedByService(this.spec)) {
      this.#busOffRestart = setInterval(() => this.#tell({ kind: 'restart' }), BUS_OFF_RESTART_MS);
    }
    this.#options.onBusOff?.(fromUs, toUs);
  }

  #takeFrames(thread: BusThread, batch: FrameBatch): void {
    this.#frames += batch.count;
    const errorFrames = this.#traffic.observe(batch);
    // Of a controller that is off the bus, any frame tells.
    if (errorFrames > 0 || this.#busOffSinceUs !== null) this.#controller.observe(batch);
    this.#silence.observe(batch);
    this.#options.onFrames(batch, () => this.#giveBack(thread, batch));
  }

  #handle(message: BusMessage): void {
    switch (message.kind) {
      case 'driver':
        this.#logDriver(message.status);
        this.#driver = message.status;
        this.#traffic.setBitrates(bitratesOf(this.spec, message.status));
        this.#tellDrops(message.sinceUs, message.nowUs);
        break;
      case 'state':
        this.#enter(message.state, message.problem);
        if (message.isBusOff === true) this.#controller.foundOff(wallClockUs());
        break;
      case 'sent':
        this.#sends.settle(message.id, message.problem);
        break;
    }
  }

  #giveBack(thread: BusThread, batch: FrameBatch): void {
    // A thread that has died since takes its batches with it; the next one has its own.
    if (thread === this.#thread) thread.giveBack(batch);
  }

  /** `sinceUs`, microseconds since the epoch: when it came to that. */
  #enter(state: BusWorkerState, problem: BusProblem | null, sinceUs = wallClockUs()): void {
    const { log, name } = this.#options;
    if (state === 'open') this.#opened++;
    this.#tellDown(state, sinceUs);
    if (state !== 'open') this.#controller.forget(wallClockUs());
    this.#minds(state);
    const isNews = state !== this.#state || problem?.message !== this.#problem?.message;
    if (state !== this.#state) this.#sinceMs = Date.now();
    this.#state = state;
    this.#problem = problem;
    if (!isNews) return;
    if (problem !== null)
      log.warn({ bus: name, code: problem.code, reason: problem.message }, 'bus unavailable');
    else log.info({ bus: name, url: this.#options.url, ...this.#endFigures(state) }, `bus ${state}`);
    if (state === 'ended') this.#options.onEnded?.();
  }

  /** What came of a log that has been read. */
  #endFigures(state: BusWorkerState): object {
    if (state !== 'ended') return {};
    const { lines_read, lines_broken, damages } = this.#driver;
    return { frames: this.#frames, lines_read, lines_broken, damages };
  }

  /** Whether nothing comes is minded only while something could. */
  #minds(state: BusWorkerState): void {
    if (state === 'open' && this.#state !== 'open') this.#listen();
    if (state === 'open') return;
    this.#silence.pause();
  }

  /** From now on what comes is heard. */
  #listen(): void {
    this.#silence.listen();
    this.#traffic.beginSpan();
  }

  #tellDown(state: BusWorkerState, sinceUs: number): void {
    const { onDown } = this.#options;
    if (state === 'unavailable') {
      if (this.#downSinceUs !== null) return;
      // A bus that can't be opened at the start was missed all the time since.
      this.#downSinceUs = this.#state === 'starting' ? this.#sinceMs * 1000 : sinceUs;
      onDown?.(this.#downSinceUs, null);
    } else if (this.#downSinceUs !== null) {
      onDown?.(this.#downSinceUs, sinceUs);
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

  /** On a bad wire a controller changes its state a thousand times a second: each second the latest is logged. */
  #logController({ state }: ControllerChange, message: string): void {
    const details = { bus: this.name, controller: state, reason: message };
    // What cost frames is told in any case.
    const key = state === 'bus_off' ? 'bus-off' : 'controller';
    if (state === 'error_active') this.#logFault('info', key, details, 'controller recovered');
    else this.#logFault('warn', key, details, `controller is ${state.replace('_', '-')}`);
  }

  #tellDrops(fromUs: number, toUs: number): void {
    for (const cause of DROP_CAUSES) {
      const drops = Number(this.#driver[`${cause}_drops`] ?? 0);
      const more = drops - this.#drops[cause];
      this.#drops[cause] = drops;
      if (more <= 0) continue;
      this.#framesLost[cause] += more;
      this.#options.onDrops?.(cause, more, fromUs, toUs);
    }
  }

  #threadDied(error: unknown): void {
    this.#options.log.error({ bus: this.name, err: error }, 'bus worker died');
    this.#problem = {
      code: 'BUS_WORKER_DIED',
      message: `The bus's thread ended by an error: ${String(error)}`,
    };
  }

  #threadExited(thread: BusThread): void {
    if (this.#stuckThreads.delete(thread)) {
      // Only where so many were stuck that none was started in its place.
      if (this.#thread === null && !this.#isStopping) this.#respawnLater();
      return;
    }
    this.#loseThread();
    if (this.#isStopping) {
      this.#enter('stopped', null);
      this.#stopped?.resolve();
      this.#stopped = undefined;
      return;
    }
    this.#enter('unavailable', this.#problem ?? WORKER_ENDED);
    this.#respawnLater();
  }

  /** Leaves a thread to itself that gives no sign of life, and starts another, unless it has left too many so. */
  #giveUp(thread: BusThread): void {
    this.#stuckThreads.add(thread);
    this.#loseThread();
    thread.terminate();
    if (this.#isStopping) {
      this.#enter('stopped', null);
      this.#stopped?.resolve();
      this.#stopped = undefined;
      return;
    }
    const isLast = this.#stuckThreads.size >= BUS_WORKERS_STUCK_MAX;
    this.#enter('unavailable', isLast ? WORKERS_STUCK : WORKER_STUCK, thread.aliveAtUs);
    if (!isLast) this.#respawnLater();
  }

  #loseThread(): void {
    this.#thread = null;
    clearInterval(this.#watch);
    this.#sends.failAll();
  }

  #respawnLater(): void {
    clearTimeout(this.#respawn);
    this.#respawn = setTimeout(() => this.#spawn(), BUS_RETRY_LONGEST_MS);
  }

  #tell(message: ToBusWorker): void {
    this.#thread?.tell(message);
  }
}

/** What the interface says counts; what the URL says where it has none, such as a virtual one. The kart's bus has one. */
function bitratesOf(spec: BusUrl, { bitrate, data_bitrate }: DriverStatus): Bitrates {
  if (spec.kind === 'sim') return { nominal: BITRATE_BIT_PER_S_DEFAULT, data: null };
  if (spec.kind !== 'socketcan') return { nominal: null, data: null };
  return {
    nominal: typeof bitrate === 'number' ? bitrate : (spec.bitrateBitPerS ?? null),
    data: typeof data_bitrate === 'number' ? data_bitrate : (spec.dataBitrateBitPerS ?? null),
  };
}
