import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { BusError, errorMessage } from '../shared/errors.ts';
import {
  BUS_WAIT_MAX_MS,
  FRAME_BATCH_AGE_MAX_MS,
  LOG_LINE_BYTES_MAX,
  LOG_READ_BYTES,
} from '../shared/limits.ts';
import type { BusDriver, ReadOutcome, WaitForWake } from './bus-driver.ts';
import { CandumpParser } from './candump-parser.ts';
import { FrameBatch } from './frame-batch.ts';

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

export interface CandumpOptions {
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

/** Replays a candump log, at the pace of its timestamps or as fast as it goes. */
export class CandumpDriver implements BusDriver {
  readonly #options: CandumpOptions;
  readonly #monotonicMs: () => number;
  readonly #chunk = new Uint8Array(LOG_READ_BYTES + LOG_LINE_BYTES_MAX);
  readonly #pending = FrameBatch.allocate(PENDING_FRAMES);
  #parser = new CandumpParser();
  #fd = -1;
  #sizeBytes = 0;
  #fileAt = 0;
  #chunkAt = 0;
  #chunkEnd = 0;
  #fileEnded = false;
  #passEnded = false;
  #passHasFrames = false;
  #pendingAt = 0;
  #loops = 0;
  /** The pace: a log timestamp and the moments (monotonic, wall clock) at which it is due. */
  #firstUs = -1;
  #startedMs = 0;
  #startedUs = 0;
  /** The log timestamp of the frame replayed last. */
  #lastUs = 0;

  constructor(options: CandumpOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  open(): void {
    const { path } = this.#options;
    try {
      const facts = statSync(path);
      if (!facts.isFile()) throw new Error('it is not a regular file');
      this.#sizeBytes = facts.size;
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw new BusError('BUS_UNAVAILABLE', `The log ${path} can't be replayed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    this.#parser = new CandumpParser();
    this.#loops = 0;
    this.#rewind();
  }

  read(batch: FrameBatch): ReadOutcome {
    return this.#options.speed === 'max'
      ? this.#readAtOnce(batch)
      : this.#readPaced(batch, this.#options.speed);
  }

  #readAtOnce(batch: FrameBatch): ReadOutcome {
    const start = batch.count;
    const isLeft = this.#parseMore(batch);
    if (this.#options.time === 'now') batch.timestampUs.fill(this.#options.nowUs(), start, batch.count);
    return isLeft ? 'more' : 'ended';
  }

  #readPaced(batch: FrameBatch, speed: number): ReadOutcome {
    if (this.#pendingAt === this.#pending.count) {
      this.#pending.clear();
      this.#pendingAt = 0;
      if (this.#passEnded && this.#options.loop) this.#options.wait(LOOP_PAUSE_MS);
      if (!this.#parseMore(this.#pending)) return 'ended';
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

  /**
   * Parses into a batch that has room, within one pass through the log and at most one chunk further;
   * false where the log has ended and nothing more will come.
   */
  #parseMore(batch: FrameBatch): boolean {
    if (this.#passEnded) {
      // A log without a frame would be read round and round for ever.
      if (!this.#options.loop || !this.#passHasFrames) return false;
      this.#loops++;
      this.#rewind();
    }
    const before = batch.count;
    this.#chunkAt = this.#parser.parse(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
    if (!batch.isFull && !this.#fileEnded) {
      this.#fillChunk();
      this.#chunkAt = this.#parser.parse(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
    }
    if (!batch.isFull && this.#fileEnded) {
      this.#parser.parseLastLine(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
      this.#passEnded = true;
    }
    if (batch.count > before) this.#passHasFrames = true;
    return true;
  }

  #fillChunk(): void {
    // The begun line moves to the front; it is shorter than LOG_LINE_BYTES_MAX or the parser had dropped it.
    this.#chunk.copyWithin(0, this.#chunkAt, this.#chunkEnd);
    this.#chunkEnd -= this.#chunkAt;
    this.#chunkAt = 0;
    try {
      const room = this.#chunk.length - this.#chunkEnd;
      const read = readSync(this.#fd, this.#chunk, this.#chunkEnd, room, this.#fileAt);
      this.#chunkEnd += read;
      this.#fileAt += read;
      this.#fileEnded = read === 0;
    } catch (error) {
      throw new BusError('BUS_LOST', `Reading ${this.#options.path} failed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  #rewind(): void {
    this.#fileAt = 0;
    this.#chunkAt = 0;
    this.#chunkEnd = 0;
    this.#fileEnded = false;
    this.#passEnded = false;
    this.#passHasFrames = false;
    this.#firstUs = -1;
  }

  send(): void {
    throw new BusError('BUS_READ_ONLY', `${this.#options.path} is a log being replayed: it takes no frames.`);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#pending.clear();
    this.#pendingAt = 0;
  }

  status(): Record<string, number | string | boolean | null> {
    const parser = this.#parser;
    return {
      path: this.#options.path,
      size_bytes: this.#sizeBytes,
      lines_read: parser.linesRead,
      lines_broken: parser.linesBroken,
      first_broken_lines: parser.firstBrokenLines.join(', ') || null,
      loops: this.#loops,
    };
  }
}
