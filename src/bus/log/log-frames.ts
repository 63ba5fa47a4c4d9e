import { basename } from 'node:path';
import { BusError, errorCode, errorMessage } from '../../shared/errors.ts';
import { LOG_BROKEN_LINES_KEPT, LOG_LINE_BYTES_MAX, LOG_READ_BYTES } from '../../shared/limits.ts';
import type { LogUrl } from '../bus-url.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { createLogParser, LINE_FORMS, type LogParser } from './log-parser.ts';
import { TORN_MARK } from './log-reader-messages.ts';
import { recordingFileNumber } from './recording-file.ts';

export interface LogCounts {
  readonly linesRead: number;
  readonly linesBroken: number;
  readonly firstBrokenLines: readonly string[];
  /** Places at which a file can't be decompressed, or not be read any further. */
  readonly damages: number;
}

export const NOTHING_READ: LogCounts = { linesRead: 0, linesBroken: 0, firstBrokenLines: [], damages: 0 };

/**
 * The frames of a log, or of a folder of logs, one file after the other, as often as they are wanted.
 *
 * What can't be read of a file is passed over, counted, and told in `warning`: what came before was given away already, so
 * that to begin anew would give it twice.
 */
export class LogFrames {
  readonly #kind: LogUrl['kind'];
  readonly #files: readonly string[];
  readonly #chunk = new Uint8Array(LOG_READ_BYTES + LOG_LINE_BYTES_MAX);
  /** The one that is read, or is to be opened next. */
  #fileIndex = 0;
  #file: LogFile | null = null;
  #parser: LogParser;
  /** Of the files that were read to their end, and of earlier passes. */
  #counts = NOTHING_READ;
  #chunkAt = 0;
  #chunkEnd = 0;
  #fileEnded = false;
  /** Reading the file has failed: the begun line is a part of one. */
  #isCutOff = false;
  #hasEnded = false;
  #hasFrames = false;
  /** The first of its kind each, so that what is told stays. */
  #unreadable: string | null = null;
  #damaged: string | null = null;
  #brokenLine: string | null = null;

  /** `files` in their order; at least one. */
  constructor(kind: LogUrl['kind'], files: readonly string[]) {
    this.#kind = kind;
    this.#files = files;
    this.#parser = createLogParser(kind);
  }

  get files(): number {
    return this.#files.length;
  }

  /** Whether this pass has come to its end. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether there was a frame in this pass. */
  get hasFrames(): boolean {
    return this.#hasFrames;
  }

  /** Opens the file where there is one alone; throws what the system says. Of several, one that can't be opened costs itself. */
  open(): void {
    if (this.#files.length === 1) this.#file = openLogFile(this.#files[0]!);
  }

  /**
   * Appends frames to a batch that has room, of what was read already and of one chunk further. Throws BusError BUS_LOST
   * where a pass can't begin.
   */
  read(batch: FrameBatch): void {
    const before = batch.count;
    this.#parse(batch);
    if (!batch.isFull && !this.#fileEnded) {
      this.#fillChunk();
      this.#parse(batch);
    }
    if (!batch.isFull && this.#fileEnded) {
      this.#markIfTorn();
      this.#parser.parseLastLine(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
      this.#endFile();
      this.#fileIndex++;
      this.#hasEnded = this.#fileIndex === this.#files.length;
    }
    if (batch.count > before) this.#hasFrames = true;
  }

  /** The next read begins at the first file again. */
  rewind(): void {
    this.close();
    this.#beginFile();
    this.#fileIndex = 0;
    this.#hasEnded = false;
    this.#hasFrames = false;
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  counts(): LogCounts {
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
      damages: before.damages + (this.#file?.damages ?? 0) + (this.#isCutOff ? 1 : 0),
    };
  }

  /** What is missing of the log, for people; null where nothing is. */
  get warning(): string | null {
    this.#noteFaults();
    const faults = [this.#unreadable, this.#damaged, this.#brokenLine].filter((fault) => fault !== null);
    return faults.length === 0 ? null : faults.join(' ');
  }

  #noteFaults(): void {
    const path = this.#files[this.#fileIndex];
    if ((this.#file?.damages ?? 0) > 0) {
      this.#damaged ??= `${path} is torn or damaged: what can't be decompressed of it is missing.`;
    }
    const { brokenExample, firstBrokenLines } = this.#parser;
    // A line that was torn with its file is told of as that.
    if (brokenExample === null || brokenExample.endsWith(TORN_MARK[0]!)) return;
    this.#brokenLine ??=
      `Lines that are no frames are passed over, the first of them line ${firstBrokenLines[0]} of ${path}: ` +
      `expected ${LINE_FORMS[this.#kind]}; found ${JSON.stringify(brokenExample)}.`;
  }

  #parse(batch: FrameBatch): void {
    this.#chunkAt = this.#parser.parse(this.#chunk, this.#chunkAt, this.#chunkEnd, batch);
  }

  #fillChunk(): void {
    // The begun line moves to the front; it is shorter than LOG_LINE_BYTES_MAX or the parser had dropped it.
    this.#chunk.copyWithin(0, this.#chunkAt, this.#chunkEnd);
    this.#chunkEnd -= this.#chunkAt;
    this.#chunkAt = 0;
    try {
      this.#file ??= openLogFile(this.#files[this.#fileIndex]!);
      const read = this.#file.read(this.#chunk, this.#chunkEnd);
      if (read === 'ended') this.#fileEnded = true;
      else if (read !== 'later') this.#chunkEnd += read;
    } catch (error) {
      this.#passOverRest(error);
    }
  }

  #passOverRest(error: unknown): void {
    const told = `Reading ${this.#files[this.#fileIndex]} failed: ${errorMessage(error)}.`;
    const isUnopened = this.#file === null;
    // Nothing of this pass was given away: it may begin anew.
    if (isUnopened && this.#files.length === 1) throw new BusError('BUS_LOST', told, { cause: error });
    this.#fileEnded = true;
    // A recording that goes on deletes its oldest files.
    if (isUnopened && errorCode(error) === 'ENOENT') return;
    this.#isCutOff = true;
    this.#unreadable ??= `${told} What follows in it is missing.`;
  }

  /** The last line of a recording that was cut off may be a part of a line, and yet look whole. */
  #markIfTorn(): void {
    const name = basename(this.#files[this.#fileIndex]!);
    const isTorn = this.#isCutOff || recordingFileNumber(name) !== null;
    if (this.#chunkAt === this.#chunkEnd || !isTorn) return;
    this.#chunk[this.#chunkEnd++] = TORN_MARK.charCodeAt(0);
  }

  #endFile(): void {
    this.#noteFaults();
    this.#counts = this.counts();
    this.close();
    this.#beginFile();
  }

  #beginFile(): void {
    this.#parser = createLogParser(this.#kind);
    this.#chunkAt = 0;
    this.#chunkEnd = 0;
    this.#fileEnded = false;
    this.#isCutOff = false;
  }
}
