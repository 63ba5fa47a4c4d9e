import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { BusError, errorCode, errorMessage } from '../../shared/errors.ts';
import {
  BUS_WAIT_MAX_MS,
  FRAME_BATCH_AGE_MAX_MS,
  LOG_BROKEN_LINES_KEPT,
  LOG_LINE_BYTES_MAX,
  LOG_READ_BYTES,
} from '../../shared/limits.ts';
import type { BusDriver, ReadOutcome, WaitForWake } from '../bus-driver.ts';
import { LOG_ENDING, type LogUrl } from '../bus-url.ts';
import { FrameBatch } from '../frame-batch.ts';
import { type LogFile, logFilesOf, openLogFile } from './log-file.ts';
import { createLogParser, type LogParser } from './log-parser.ts';
import { TORN_MARK } from './log-reader-messages.ts';
import { recordingFileNumber } from './recording-file.ts';

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

interface LogCounts {
  readonly linesRead: number;
  readonly linesBroken: number;
  readonly firstBrokenLines: readonly string[];
  /** Places at which a compressed log can't be decompressed. */
  readonly damages: number;
}

const NOTHING_READ: LogCounts = { linesRead: 0, linesBroken: 0, firstBrokenLines: [], damages: 0 };

/** Replays candump or ASC logs, one or a folder of them, at the pace of their timestamps or as fast as it goes. */
export class CandumpDriver implements BusDriver {
  readonly #options: CandumpOptions;
  readonly #monotonicMs: () => number;
  readonly #chunk = new Uint8Array(LOG_READ_BYTES + LOG_LINE_BYTES_MAX);
  readonly #pending = FrameBatch.allocate(PENDING_FRAMES);
  #files: readonly string[] = [];
  /** The one that is read, or is to be opened next. */
  #fileIndex = 0;
  #file: LogFile | null = null;
  #parser: LogParser;
  /** Of the files that were read to their end, and of earlier passes. */
  #counts = NOTHING_READ;
  #sizeBytes = 0;
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
    this.#parser = createLogParser(options.kind);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  open(): void {
    const { kind, path } = this.#options;
    try {
      this.#files = logFilesOf(path, kind);
      const ending = LOG_ENDING[kind];
      if (this.#files.length === 0)
        throw new Error(
          `the folder has no file whose name ends with .${ending}, .${ending}.zst or .${ending}.gz`,
        );
      this.#sizeBytes = this.#files.reduce((sum, file) => sum + statSync(file).size, 0);
      this.#rewind();
      this.#openFile();
    } catch (error) {
      throw new BusError('BUS_UNAVAILABLE', `The log ${path} can't be replayed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    this.#counts = NOTHING_READ;
    this.#loops = 0;
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
      this.#markIfTorn();
      this.#parser.parseLastLine(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
      this.#endFile();
      this.#fileIndex++;
      this.#passEnded = this.#fileIndex === this.#files.length;
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
      if (this.#file === null) this.#openFile();
      const read = this.#file!.read(this.#chunk, this.#chunkEnd);
      if (read === 'ended') this.#fileEnded = true;
      else if (read !== 'later') this.#chunkEnd += read;
    } catch (error) {
      // A recording that goes on deletes its oldest files.
      if (this.#file === null && this.#files.length > 1 && errorCode(error) === 'ENOENT') {
        this.#fileEnded = true;
        return;
      }
      throw new BusError(
        'BUS_LOST',
        `Reading ${this.#files[this.#fileIndex]} failed: ${errorMessage(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  #openFile(): void {
    this.#file = openLogFile(this.#files[this.#fileIndex]!);
    this.#parser = createLogParser(this.#options.kind);
  }

  /** The last line of a recording that was cut off may be a part of a line, and yet look whole. */
  #markIfTorn(): void {
    const name = basename(this.#files[this.#fileIndex]!);
    if (this.#chunkAt === this.#chunkEnd || recordingFileNumber(name) === null) return;
    this.#chunk[this.#chunkEnd++] = TORN_MARK.charCodeAt(0);
  }

  #endFile(): void {
    this.#counts = this.#countsSoFar();
    this.#file?.close();
    this.#file = null;
    this.#parser = createLogParser(this.#options.kind);
    this.#chunkAt = 0;
    this.#chunkEnd = 0;
    this.#fileEnded = false;
  }

  #countsSoFar(): LogCounts {
    const { linesRead, linesBroken, firstBrokenLines } = this.#parser;
    const before = this.#counts;
    const name = basename(this.#files[this.#fileIndex] ?? '');
    const brokenLines = firstBrokenLines.map((line) =>
      this.#files.length > 1 ? `${name}:${line}` : `${line}`,
    );
    return {
      linesRead: before.linesRead + linesRead,
      linesBroken: before.linesBroken + linesBroken,
      firstBrokenLines: [...before.firstBrokenLines, ...brokenLines].slice(0, LOG_BROKEN_LINES_KEPT),
      damages: before.damages + (this.#file?.damages ?? 0),
    };
  }

  #rewind(): void {
    this.#file?.close();
    this.#file = null;
    this.#parser = createLogParser(this.#options.kind);
    this.#fileIndex = 0;
    this.#chunkAt = 0;
    this.#chunkEnd = 0;
    this.#fileEnded = false;
    this.#passEnded = false;
    this.#passHasFrames = false;
    this.#firstUs = -1;
  }

  send(): never {
    throw new BusError('BUS_READ_ONLY', `${this.#options.path} is a log being replayed: it takes no frames.`);
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
    this.#pending.clear();
    this.#pendingAt = 0;
  }

  status(): Record<string, number | string | boolean | null> {
    const { linesRead, linesBroken, firstBrokenLines, damages } = this.#countsSoFar();
    return {
      path: this.#options.path,
      files: this.#files.length,
      size_bytes: this.#sizeBytes,
      lines_read: linesRead,
      lines_broken: linesBroken,
      first_broken_lines: firstBrokenLines.join(', ') || null,
      damages,
      loops: this.#loops,
    };
  }
}
