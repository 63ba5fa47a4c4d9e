import { basename, dirname } from 'node:path';

import { type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';

import { errorMessage } from './errors.ts';
import { makeFolder } from './make-folder.ts';

export interface LogOptions {
  readonly level: LevelWithSilent;
  /** Path of the log file; null for none. */
  readonly file: string | null;
  /** Size at which the file is rotated. */
  readonly maxBytes: number;
  /** Rotated files (`collector.log.1` is the newest) that are kept beside the active one. */
  readonly maxFiles: number;
}

/** The part of process.stdout that the log uses. */
export interface LogOutput {
  readonly isTTY?: boolean;
  hasColors?(): boolean;
  write(text: string): unknown;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

export interface Log {
  readonly log: Logger;
  /** Writes out what is buffered and closes the file; gives up after 500 ms. Never rejects. */
  close(): Promise<void>;
}

export type FaultLevel = 'debug' | 'info' | 'warn' | 'error';

/** Logs a fault unless the same `key` was logged less than a second ago. */
export type FaultLog = (
  level: FaultLevel,
  key: string,
  fields: Readonly<Record<string, unknown>>,
  message: string,
) => void;

/** Lines that wait for a slow disk or a slow reader of the standard output; beyond it they are dropped. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

const CLOSE_TIMEOUT_MS = 500;

/** How long a log file that failed is left alone; a full disk may have room again. */
const FILE_RETRY_MS = 60_000;

const FAULT_INTERVAL_MS = 1_000;
const FAULT_KEYS_MAX = 256;

/** Faults past the keys' limit share this one. */
const OTHER_FAULTS = 'other faults';

/** A destination of lines. Writing never throws and never waits. */
interface Sink {
  write(line: string): void;
  close(): Promise<void>;
}

/**
 * The service's log: for people on a terminal, else as JSON lines on the standard output, and as JSON
 * lines in a rotated file. A file that can't be opened or written gives one warning and nothing else.
 */
export function createLog(options: LogOptions, output: LogOutput = process.stdout): Log {
  const outputSink = output.isTTY
    ? terminalSink(output)
    : output === process.stdout
      ? standardOutputSink()
      : plainSink(output);
  const sinks = [outputSink];

  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line: string) {
        for (const sink of sinks) sink.write(line);
      },
    },
  );
  // A silent log has nothing to say, and an empty file would only raise questions.
  if (options.file !== null && options.level !== 'silent') sinks.push(fileSink(options.file, options, log));

  return {
    log,
    async close() {
      await withinMs(CLOSE_TIMEOUT_MS, Promise.all(sinks.map((sink) => sink.close())));
    },
  };
}

/**
 * A repeated fault is logged at once, then at most once a second with the number that was suppressed in
 * between: lines and their `suppressed` fields add up to the faults.
 */
export function rateLimited(log: Logger): FaultLog {
  interface Window {
    count: number;
    write: (suppressed: number) => void;
  }
  const windows = new Map<string, Window>();

  function startWindow(key: string): void {
    // Unreferenced: a fault is no reason to keep a stopping process alive.
    setTimeout(() => {
      const window = windows.get(key)!;
      if (window.count === 0) {
        windows.delete(key);
        return;
      }
      window.write(window.count - 1);
      window.count = 0;
      startWindow(key);
    }, FAULT_INTERVAL_MS).unref();
  }

  return (level, faultKey, fields, message) => {
    const isRoom = windows.has(faultKey) || windows.size < FAULT_KEYS_MAX - 1;
    const key = isRoom ? faultKey : OTHER_FAULTS;
    const write = (suppressed: number) =>
      log[level](suppressed === 0 ? fields : { ...fields, suppressed }, message);

    const window = windows.get(key);
    if (window === undefined) {
      windows.set(key, { count: 0, write });
      startWindow(key);
      write(0);
    } else {
      window.count++;
      window.write = write;
    }
  };
}

/** Lines as people read them, written at once; a terminal takes them without waiting. */
function terminalSink(output: LogOutput): Sink {
  const pretty = prettyFactory({
    colorize: output.hasColors?.() ?? false,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'stage,bus',
    singleLine: true,
    messageFormat: (line, messageKey) => {
      const name = [line.stage, line.bus].filter((part) => part !== undefined).join(' ');
      return `${name === '' ? '' : `${name}: `}${line[messageKey] ?? ''}`;
    },
  });
  const plain = plainSink(output);
  return { ...plain, write: (line) => plain.write(pretty(line)) };
}

function plainSink(output: LogOutput): Sink {
  // The terminal of a closed session answers EIO, which is no reason to stop.
  output.on?.('error', () => {});
  return {
    write: (line) => {
      output.write(line);
    },
    close: async () => {},
  };
}

/**
 * JSON lines on the standard output. Writes to a pipe through process.stdout block the thread while its
 * reader is slow; pino's destination leaves them to the thread pool and flushes when the process exits.
 */
function standardOutputSink(): Sink {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: WAITING_BYTES_MAX });
  destination.on('error', () => {});
  // What is written there beside the log finds the reader gone as well: Ctrl+C ends that first in `record | tee`.
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => {});
  return {
    write: (line) => {
      destination.write(line);
    },
    close: () => new Promise((resolve) => destination.flush(() => resolve())),
  };
}

/** JSON lines in a file that is rotated by size. */
function fileSink(path: string, { maxBytes, maxFiles }: LogOptions, log: Logger): Sink {
  let failedAtMs: number | undefined;
  let isClosed = false;
  let dropped = 0;
  let stream = open();

  function open(): RotatingFileStream | undefined {
    try {
      makeFolder(dirname(path));
    } catch (error) {
      failed(error);
      return undefined;
    }
    const opened = createStream(basename(path), {
      path: dirname(path),
      size: `${maxBytes}B`,
      rotate: maxFiles,
    });
    opened.on('error', failed);
    return opened;
  }

  function failed(error: unknown): void {
    const isFirst = failedAtMs === undefined;
    failedAtMs = performance.now();
    if (!isFirst) return;
    log.warn({ stage: 'log', file: path, reason: errorMessage(error) }, "can't write the log file");
  }

  return {
    write(line) {
      if (isClosed) return;
      if (stream === undefined || stream.destroyed) {
        if (failedAtMs === undefined || performance.now() - failedAtMs < FILE_RETRY_MS) return;
        stream = open();
        if (stream === undefined) return;
      }
      if (stream.writableLength > WAITING_BYTES_MAX) {
        dropped++;
        return;
      }
      stream.write(line, (error) => {
        if (error) return;
        failedAtMs = undefined;
        if (dropped === 0) return;
        const count = dropped;
        dropped = 0;
        log.warn({ stage: 'log', file: path, dropped: count }, 'dropped log lines that waited for the disk');
      });
    },
    close() {
      isClosed = true;
      const open = stream;
      if (open === undefined || open.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        open.once('close', () => resolve());
        open.end();
      });
    },
  };
}

async function withinMs(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work.catch(() => {}), timeout]);
  clearTimeout(timer);
}
