import { statSync } from 'node:fs';
import { BusError, errorMessage } from '../../shared/errors.ts';
import { BUS_WAIT_MAX_MS, FRAME_BATCH_AGE_MAX_MS } from '../../shared/limits.ts';
import type { BusDriver, ReadOutcome, WaitForWake } from '../bus-driver.ts';
import { LOG_ENDING, type LogUrl } from '../bus-url.ts';
import { FrameBatch } from '../frame-batch.ts';
import { logFilesOf } from './log-file.ts';
import { LogFrames, NOTHING_READ } from './log-frames.ts';

/** Frames read ahead of the replay's clock. */
const PENDING_FRAMES = 256;

/**
 * A log whose timestamps step back further than this was written while the clock was set back, or is two
 * logs in one file. The replay then goes on from the later frame without a pause. Frames that several
 * interfaces write into one log are out of order by less.
 */
const CLOCK_STEP_BACK_US = 1_000_000;

/** The pause between two passes of a loop at a pace, so that a log of a moment doesn't become a flood. */
const LOOP_PAUSE_MS = 10;

export interface LogDriverOptions {
  readonly kind: LogUrl['kind'];
  /** A log, or a folder of logs. */
  readonly path: string;
  /** Times real time, or as fast as it goes. */
  readonly speed: number | 'max';
  readonly loop: boolean;
  /** The log's own timestamps, or those of the moments at which the frames are replayed. */
  readonly time: 'log' | 'now';
  readonly wait: WaitForWake;
  /** The wall clock, in integer microseconds since the epoch. */
  readonly nowUs: () => number;
  /** Milliseconds that only go forward. */
  readonly monotonicMs?: () => number;
}

/** Replays candump or ASC logs, one or a folder of them, at the pace of their timestamps or as fast as it goes. */
export class LogDriver implements BusDriver {
  readonly #options: LogDriverOptions;
  readonly #monotonicMs: () => number;
  readonly #pending = FrameBatch.allocate(PENDING_FRAMES);
  #log: LogFrames | null = null;
  #sizeBytes = 0;
  #pendingAt = 0;
  #loops = 0;
  /** The pace: a log timestamp and the moments (monotonic, wall clock) at which it is due. */
  #firstUs = -1;
  #startedMs = 0;
  #startedUs = 0;
  /** The log timestamp of the frame replayed last. */
  #lastUs = 0;

  constructor(options: LogDriverOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  open(): void {
    const { kind, path } = this.#options;
    try {
      const files = logFilesOf(path, kind);
      const ending = LOG_ENDING[kind];
      if (files.length === 0)
        throw new Error(
          `the folder has no file whose name ends with .${ending}, .${ending}.zst or .${ending}.gz`,
        );
      this.#sizeBytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
      const log = new LogFrames(kind, files);
      log.open();
      this.#log = log;
    } catch (error) {
      throw new BusError('BUS_UNAVAILABLE', `The log ${path} can't be replayed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    this.#firstUs = -1;
    this.#loops = 0;
  }

  read(batch: FrameBatch): ReadOutcome {
    return this.#options.speed === 'max'
      ? this.#readAtOnce(batch)
      : this.#readPaced(batch, this.#options.speed);
  }

  #readAtOnce(batch: FrameBatch): ReadOutcome {
    const start = batch.count;
    const isLeft = this.#readMore(batch);
    if (this.#options.time === 'now') batch.timestampUs.fill(this.#options.nowUs(), start, batch.count);
    return isLeft ? 'more' : 'ended';
  }

  #readPaced(batch: FrameBatch, speed: number): ReadOutcome {
    if (this.#pendingAt === this.#pending.count) {
      this.#pending.clear();
      this.#pendingAt = 0;
      if (this.#log!.hasEnded && this.#options.loop) this.#options.wait(LOOP_PAUSE_MS);
      if (!this.#readMore(this.#pending)) return 'ended';
    }
    const before = batch.count;
    const nextDueInMs = this.#moveDue(batch, speed);
    // Frames closer together than a batch may age go as one batch.
    if (batch.count === before && nextDueInMs > 0) {
      this.#options.wait(Math.min(Math.max(nextDueInMs, FRAME_BATCH_AGE_MAX_MS / 2), BUS_WAIT_MAX_MS));
      this.#moveDue(batch, speed);
    }
    return 'more';
  }

  /** Moves the pending frames that are due to the batch; returns the milliseconds until the next is, or 0. */
  #moveDue(batch: FrameBatch, speed: number): number {
    const pending = this.#pending;
    const nowMs = this.#monotonicMs();
    while (this.#pendingAt < pending.count && !batch.isFull) {
      const at = this.#pendingAt;
      const logUs = pending.timestampUs[at]!;
      if (this.#firstUs < 0 || logUs < this.#lastUs - CLOCK_STEP_BACK_US) this.#setPace(logUs, nowMs);
      const dueUs = (logUs - this.#firstUs) / speed;
      const elapsedUs = (nowMs - this.#startedMs) * 1000;
      if (dueUs > elapsedUs) return Math.ceil((dueUs - elapsedUs) / 1000);
      this.#lastUs = logUs;
      const timestampUs = this.#options.time === 'now' ? Math.round(this.#startedUs + dueUs) : logUs;
      batch.copy(pending, at, timestampUs);
      this.#pendingAt++;
    }
    return 0;
  }

  #setPace(firstUs: number, nowMs: number): void {
    this.#firstUs = firstUs;
    this.#lastUs = firstUs;
    this.#startedMs = nowMs;
    this.#startedUs = this.#options.nowUs();
  }

  /** Appends what comes next, within one pass through the log; false where it has ended and nothing more will come. */
  #readMore(batch: FrameBatch): boolean {
    const log = this.#log!;
    if (log.hasEnded) {
      // A log without a frame would be read round and round for ever.
      if (!this.#options.loop || !log.hasFrames) return false;
      this.#loops++;
      log.rewind();
      this.#firstUs = -1;
    }
    log.read(batch);
    return true;
  }

  send(): never {
    throw new BusError('BUS_READ_ONLY', `${this.#options.path} is a log being replayed: it takes no frames.`);
  }

  close(): void {
    this.#log?.close();
    this.#pending.clear();
    this.#pendingAt = 0;
  }

  status(): Record<string, number | string | boolean | null> {
    const log = this.#log;
    const { linesRead, linesBroken, firstBrokenLines, damages } = log?.counts() ?? NOTHING_READ;
    return {
      path: this.#options.path,
      files: log?.files ?? 0,
      size_bytes: this.#sizeBytes,
      lines_read: linesRead,
      lines_broken: linesBroken,
      first_broken_lines: firstBrokenLines.join(', ') || null,
      damages,
      loops: this.#loops,
      warning: log?.warning ?? null,
    };
  }
}
