import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LOG_DECOMPRESSED_BYTES, LOG_FIRST_READ_BYTES } from '../../shared/limits.ts';
import { threadModule } from '../../shared/thread-module.ts';
import { LOG_ENDING, type LogUrl } from '../bus-url.ts';
import { FrameBatch } from '../frame-batch.ts';
import { logCompressionOf, MAGIC_BYTES, otherFormatOf, textOfBeginning } from './log-compression.ts';
import { createLogParser } from './log-parser.ts';
import {
  LOG_READER_END,
  LOG_READER_SLOTS,
  LOG_READER_WORDS,
  type LogReaderData,
} from './log-reader-messages.ts';
import { recordingFileNumber } from './recording-file.ts';

/** A log that is read from its beginning to its end, compressed or not. */
export interface LogFile {
  /** Damaged places that were passed over. */
  readonly damages: number;
  /** Reads into bytes[at, ...); returns how many bytes, `later` where none have come yet, `ended` at the end. */
  read(bytes: Uint8Array, at: number): number | 'later' | 'ended';
  close(): void;
}

/** How long a read waits for what a thread decompresses. */
const DECOMPRESSED_WAIT_MS = 100;

/** A block of zstd comes to 128 KiB at most, so here is one, and with it the first lines. */
const BEGINNING_BYTES = 192 * 1024;

/** Opens a log; throws what the system says. */
export function openLogFile(path: string): LogFile {
  // Opening a named pipe that nobody writes would wait for ever.
  if (!statSync(path).isFile()) throw new Error('it is not a regular file');
  const fd = openSync(path, 'r');
  let isKept = false;
  try {
    const bytes = new Uint8Array(MAGIC_BYTES);
    const beginning = bytes.subarray(0, readSync(fd, bytes, 0, MAGIC_BYTES, 0));
    checkFormat(beginning);
    const compression = logCompressionOf(beginning);
    if (compression !== 'none') return new CompressedLogFile(path, compression);
    isKept = true;
    return new PlainLogFile(fd, hasByteOrderMark(beginning) ? BYTE_ORDER_MARK.length : 0);
  } finally {
    if (!isKept) closeSync(fd);
  }
}

function checkFormat(beginning: Uint8Array): void {
  const other = otherFormatOf(beginning);
  if (other === null) return;
  throw new Error(`it is ${other}; expected text, as it is or compressed with zstd or gzip`);
}

/** Of UTF-8: editors of Windows begin files with it. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;

function hasByteOrderMark(beginning: Uint8Array): boolean {
  return BYTE_ORDER_MARK.every((byte, index) => beginning[index] === byte);
}

class PlainLogFile implements LogFile {
  readonly damages = 0;
  readonly #fd: number;
  #at: number;
  /** Little at first, so that the next stages have something to do while the rest is read. */
  #bytesMax = LOG_FIRST_READ_BYTES;

  constructor(fd: number, start: number) {
    this.#fd = fd;
    this.#at = start;
  }

  read(bytes: Uint8Array, at: number): number | 'ended' {
    const read = readSync(this.#fd, bytes, at, Math.min(bytes.length - at, this.#bytesMax), this.#at);
    this.#at += read;
    this.#bytesMax *= 2;
    return read === 0 ? 'ended' : read;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class CompressedLogFile implements LogFile {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #slots: readonly Uint8Array[];
  #slot = 0;
  #slotAt = 0;
  #hasEnded = false;

  constructor(path: string, compression: 'gzip' | 'zstd') {
    const headBytes = 4 * LOG_READER_WORDS.COUNT;
    const shared = new SharedArrayBuffer(headBytes + LOG_READER_SLOTS * LOG_DECOMPRESSED_BYTES);
    this.#words = new Int32Array(shared, 0, LOG_READER_WORDS.COUNT);
    this.#slots = Array.from(
      { length: LOG_READER_SLOTS },
      (_, slot) => new Uint8Array(shared, headBytes + slot * LOG_DECOMPRESSED_BYTES, LOG_DECOMPRESSED_BYTES),
    );
    const workerData: LogReaderData = { path, compression, shared };
    new Worker(threadModule(import.meta.url, 'log-reader-thread'), {
      workerData,
      name: 'log reader',
    }).unref();
  }

  get damages(): number {
    return Atomics.load(this.#words, LOG_READER_WORDS.DAMAGES);
  }

  read(bytes: Uint8Array, at: number): number | 'later' | 'ended' {
    if (this.#hasEnded) return 'ended';
    const word = LOG_READER_WORDS.SLOTS + this.#slot;
    Atomics.wait(this.#words, word, 0, DECOMPRESSED_WAIT_MS);
    const filled = Atomics.load(this.#words, word);
    if (filled === 0) return 'later';
    const slot = this.#slots[this.#slot]!;
    if (filled === LOG_READER_END.FAILED) {
      throw new Error(Buffer.from(slot.subarray(0, slot.indexOf(0))).toString());
    }
    if (filled === LOG_READER_END.ENDED) {
      this.#hasEnded = true;
      return 'ended';
    }
    const part = slot.subarray(this.#slotAt, Math.min(filled, this.#slotAt + bytes.length - at));
    bytes.set(part, at);
    this.#slotAt += part.length;
    if (this.#slotAt === filled) {
      this.#slotAt = 0;
      this.#slot = (this.#slot + 1) % LOG_READER_SLOTS;
      Atomics.store(this.#words, word, 0);
      Atomics.notify(this.#words, word);
    }
    return part.length;
  }

  close(): void {
    Atomics.store(this.#words, LOG_READER_WORDS.CLOSED, 1);
    // Whatever it waits for is there now, and it looks at the word above.
    for (let slot = 0; slot < LOG_READER_SLOTS; slot++) {
      Atomics.store(this.#words, LOG_READER_WORDS.SLOTS + slot, 0);
      Atomics.notify(this.#words, LOG_READER_WORDS.SLOTS + slot);
    }
  }
}

/**
 * The logs that a path names, in the order of their frames: itself, or those in the folder that it is, by their
 * ending (`.log`, with a number of its rotation, compressed or not). Files that were all recorded by a Recorder have
 * their order by number, whatever the clock said; any others by the time of their first frame.
 */
export function logFilesOf(path: string, kind: LogUrl['kind']): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const pattern = new RegExp(`\\.${LOG_ENDING[kind]}(\\.\\d+)?(\\.(zst|gz))?$`, 'i');
  const names = readdirSync(path).filter(
    (name) => pattern.test(name) && statSync(join(path, name), { throwIfNoEntry: false })?.isFile(),
  );
  const numbers = names.map(recordingFileNumber);
  const isRecording = numbers.every((number) => number !== null);
  return names
    .map((name, index) => ({
      file: join(path, name),
      key: isRecording
        ? numbers[index]!
        : (readBeginning(firstBytesOf(join(path, name)), kind).firstFrameUs ?? 0),
    }))
    .toSorted((left, right) => left.key - right.key || (left.file < right.file ? -1 : 1))
    .map(({ file }) => file);
}

/** What the first lines of a log are. */
export interface LogBeginning {
  /** The time of the first frame; null where there is none in the first 192 KiB. */
  readonly firstFrameUs: number | null;
  /** Up to the first frame. */
  readonly linesRead: number;
  readonly brokenExample: string | null;
}

/** Looks at the first lines of a log; throws what the system says, and where it is none that can be read. */
export function logBeginningOf(path: string, kind: LogUrl['kind']): LogBeginning {
  const beginning = firstBytesOf(path);
  checkFormat(beginning);
  return readBeginning(beginning, kind);
}

function firstBytesOf(path: string): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(BEGINNING_BYTES);
    return bytes.subarray(0, readSync(fd, bytes));
  } finally {
    closeSync(fd);
  }
}

function readBeginning(beginning: Uint8Array, kind: LogUrl['kind']): LogBeginning {
  const text = textOfBeginning(beginning);
  const parser = createLogParser(kind);
  const batch = FrameBatch.allocate(1);
  const start = hasByteOrderMark(text) ? BYTE_ORDER_MARK.length : 0;
  const end = parser.parse(text, start, text.length, batch);
  // A log of one line may lack its newline.
  if (batch.count === 0) parser.parseLastLine(text, end, text.length, batch);
  return {
    firstFrameUs: batch.count === 0 ? null : batch.timestampUs[0]!,
    linesRead: parser.linesRead,
    brokenExample: parser.brokenExample,
  };
}
