import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { channelNames } from '../bus/log/candump-format.ts';
import { RECORDING_QUEUE_BUSY_BYTES } from '../shared/limits.ts';
import { threadModule } from '../shared/thread-module.ts';
import { FrameRing } from './frame-ring.ts';
import type {
  FromRecorder,
  RecorderProgress,
  RecorderThreadData,
  RecordingFormat,
  RecordingProblem,
} from './recording-messages.ts';

export interface RecorderOptions extends RecordingFormat {
  /** In the order of the numbers that record() is given. */
  readonly busNames: readonly string[];
  readonly log: Logger;
}

export interface RecordingStatus extends Omit<RecorderProgress, 'state' | 'framesRefused'> {
  readonly path: string;
  readonly state: RecorderProgress['state'] | 'failed' | 'stopped';
  readonly framesLost: {
    /** The recorder was so far behind that its queue was full. */
    readonly queue: number;
    /** The disk refused them. */
    readonly write: number;
    /** The recorder's thread had ended by an error. */
    readonly failed: number;
  };
  readonly queueBytes: number;
  readonly queueBytesMax: number;
}

const NOTHING_YET: RecorderProgress = {
  state: 'recording',
  problem: null,
  frames: 0,
  framesRefused: 0,
  bytesWritten: 0,
  file: null,
  files: 0,
  bytes: 0,
  filesDeleted: 0,
  bytesDeleted: 0,
};

/**
 * The recording as the main thread sees it: frames are copied into a ring that a thread of its own writes to the
 * disk, and nothing is ever waited for. What finds no room is counted; a source that can wait asks hasRoom first.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #ring = FrameRing.allocate();
  #worker: Worker | null = null;
  #exited: Promise<void> = Promise.resolve();
  #state: RecordingStatus['state'] = 'stopped';
  #progress = NOTHING_YET;
  #failure: RecordingProblem | null = null;
  #lostInQueue = 0;
  #lostByFailure = 0;
  /** Frames that the thread was given, whatever became of them. */
  #framesGiven = 0;
  readonly #waitingForRoom: (() => void)[] = [];

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  start(): void {
    const { path, maxFileBytes, maxFileAgeMs, maxBytes, compress, busNames } = this.#options;
    const channels = channelNames(busNames);
    const workerData: RecorderThreadData = {
      path,
      maxFileBytes,
      maxFileAgeMs,
      maxBytes,
      compress,
      channels,
      shared: this.#ring.shared,
    };
    const worker = new Worker(threadModule(import.meta.url, 'recorder-thread'), {
      workerData,
      name: 'recorder',
    });
    this.#worker = worker;
    this.#state = 'recording';
    worker.on('message', (message: FromRecorder) => this.#handle(message));
    worker.on('error', (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#worker = null;
        this.#lostByFailure += this.#framesUnaccounted();
        if (this.#state !== 'failed') this.#state = 'stopped';
        this.#tellRoom();
        resolve();
      });
    });
  }

  /** Records a batch of the bus with this number; the batch is free again when it returns. */
  record(batch: FrameBatch, bus: number): void {
    if (this.#worker === null) {
      this.#lostByFailure += batch.count;
      return;
    }
    const before = this.#ring.usedBytes;
    const taken = this.#ring.append(batch, bus);
    this.#framesGiven += taken;
    this.#lostInQueue += batch.count - taken;
    if (before < RECORDING_QUEUE_BUSY_BYTES && this.#ring.usedBytes >= RECORDING_QUEUE_BUSY_BYTES) {
      this.#ring.wake();
    }
  }

  /** Whether a source may go on; all that it has on the way then finds room. */
  get hasRoom(): boolean {
    return this.#worker === null || this.#ring.usedBytes < RECORDING_QUEUE_BUSY_BYTES;
  }

  /** Calls back, once, when hasRoom has become true again. */
  whenRoom(callback: () => void): void {
    this.#waitingForRoom.push(callback);
    this.#ring.isRoomWanted = true;
  }

  #tellRoom(): void {
    for (const callback of this.#waitingForRoom.splice(0)) callback();
  }

  /** Writes all that was recorded, makes it durable, and ends the thread. */
  stop(): Promise<void> {
    if (this.#worker !== null) this.#ring.stop();
    return this.#exited;
  }

  status(): RecordingStatus {
    const { state, problem, framesRefused, ...progress } = this.#progress;
    return {
      ...progress,
      path: this.#options.path,
      state: this.#state === 'recording' ? state : this.#state,
      problem: this.#failure ?? problem,
      framesLost: { queue: this.#lostInQueue, write: framesRefused, failed: this.#lostByFailure },
      queueBytes: this.#ring.usedBytes,
      queueBytesMax: this.#ring.capacityBytes,
    };
  }

  #framesUnaccounted(): number {
    return this.#framesGiven - this.#progress.frames - this.#progress.framesRefused;
  }

  #handle(message: FromRecorder): void {
    const { log, path } = this.#options;
    switch (message.kind) {
      case 'progress':
        this.#logState(message.progress);
        this.#progress = message.progress;
        break;
      case 'deleted':
        log.info(
          { file: message.file, bytes: message.bytes, path },
          'deleted the oldest file of the recording',
        );
        break;
      case 'undeletable':
        log.warn(
          { file: message.file, path, reason: message.problem.message },
          "can't delete the oldest file of the recording",
        );
        break;
      case 'vanished':
        log.warn(
          { file: message.file, path, frames_lost: message.frames },
          'the file of the recording was deleted while it was written to; another is begun',
        );
        break;
      case 'room':
        this.#tellRoom();
        break;
    }
  }

  #logState({ state, problem }: RecorderProgress): void {
    const { log, path } = this.#options;
    if (state === this.#progress.state) return;
    if (state === 'paused') {
      log.error(
        { path, code: problem?.code, reason: problem?.message },
        'recording paused: its folder refuses it',
      );
    } else {
      log.info({ path }, 'recording resumed');
    }
  }

  #fail(error: unknown): void {
    this.#options.log.error({ err: error }, 'the recorder died');
    this.#state = 'failed';
    this.#failure = {
      code: 'RECORDER_DIED',
      message: `The recorder's thread ended by an error: ${String(error)}`,
    };
  }
}
