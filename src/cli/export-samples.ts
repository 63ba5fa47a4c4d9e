import {
  closeSync,
  createWriteStream,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { openStored } from '../history/database/database.ts';
import type { ColumnsPage } from '../history/history-query.ts';
import { HistoryReader } from '../history/reader/history-reader.ts';
import { CSV_HEADER, SampleWriter } from '../history/reader/sample-writer.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import { parseSignalPattern } from '../protocol/signal-pattern.ts';
import { CollectorError, errorCode, errorMessage, HistoryError } from '../shared/errors.ts';
import { HISTORY_STREAM_PAGE_SAMPLES } from '../shared/limits.ts';
import type { ExportFormat, ExportOptions } from './export-options.ts';

/** Signals that a message names at most. */
const SIGNALS_NAMED_MAX = 20;

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Writes what the database holds at the start, page by page; each page is a read of its own, so that the writer's
 * log can be taken over between them. Throws what openStored does, QueryError SIGNAL_INVALID, and
 * CollectorError EXPORT_NO_SIGNAL and EXPORT_FAILED.
 */
export async function exportSamples(options: ExportOptions): Promise<void> {
  const database = openStored(options.databasePath);
  try {
    const samples = new StoredSamples(new HistoryReader(database, undefined, tellDamage()), options);
    if (options.outputPath === null) await writeToStdout(samples, options);
    else await writeToFile(samples, options, options.outputPath);
  } finally {
    database.close();
  }
}

/** The samples that are asked for, with what has gone by. */
class StoredSamples {
  readonly #reader: HistoryReader;
  readonly #options: ExportOptions;
  readonly #isWanted: (series: SeriesRecord) => boolean;
  readonly #lastSeq: number;
  #series: readonly SeriesRecord[];
  count = 0;
  minUs = Number.POSITIVE_INFINITY;
  maxUs = Number.NEGATIVE_INFINITY;

  constructor(reader: HistoryReader, options: ExportOptions) {
    const { series, lastSeq } = reader.overview();
    this.#reader = reader;
    this.#options = options;
    this.#series = series;
    this.#lastSeq = lastSeq;
    this.#isWanted = wanted(options, series);
  }

  readonly seriesAt = (index: number): SeriesRecord => {
    if (index >= this.#series.length) this.#series = this.#reader.overview().series;
    return this.#series[index]!;
  };

  /** Pages, each good until the next, up to what was the newest sample at the start: a writer may be faster than whom we write for. */
  *pages(): Generator<ColumnsPage> {
    const { fromUs, toUs } = this.#options;
    let cursor: number | undefined;
    let page: ColumnsPage | undefined;
    for (;;) {
      page = this.#reader.columnsOf(this.#isWanted, { fromUs, toUs, cursor }, page);
      const isLast = page.nextCursor === null || page.nextCursor >= this.#lastSeq;
      const known = isLast ? upTo(page, this.#lastSeq) : page;
      this.#pass(known);
      yield known;
      if (isLast) return;
      cursor = page.nextCursor ?? undefined;
    }
  }

  #pass({ timestampUs }: ColumnsPage): void {
    this.count += timestampUs.length;
    for (let at = 0; at < timestampUs.length; at++) {
      const sampleUs = timestampUs[at]!;
      if (sampleUs < this.minUs) this.minUs = sampleUs;
      if (sampleUs > this.maxUs) this.maxUs = sampleUs;
    }
  }
}

/** Whether a series is asked for. Throws where a pattern or the bus stands for nothing that was ever heard. */
function wanted(
  { signals, bus }: ExportOptions,
  series: readonly SeriesRecord[],
): (series: SeriesRecord) => boolean {
  const patterns = signals.map(parseSignalPattern);
  for (const [index, isOf] of patterns.entries()) {
    if (series.some(isOf)) continue;
    const names = series.map(
      ({ definition }) => `${definition.componentType}/${definition.componentId}/${definition.commandId}`,
    );
    throw nothingOf(`signal ${signals[index]}`, names);
  }
  if (bus !== undefined && !series.some((one) => one.bus === bus)) {
    throw nothingOf(
      `bus ${bus}`,
      series.map((one) => one.bus),
    );
  }
  return (one) =>
    (bus === undefined || one.bus === bus) && (patterns.length === 0 || patterns.some((isOf) => isOf(one)));
}

function nothingOf(what: string, names: readonly string[]): CollectorError {
  const there = [...new Set(names)].sort();
  const named = there.slice(0, SIGNALS_NAMED_MAX).join(', ') || 'nothing';
  const more = there.length > SIGNALS_NAMED_MAX ? ` and ${there.length - SIGNALS_NAMED_MAX} more` : '';
  return new CollectorError('EXPORT_NO_SIGNAL', `The history has no ${what}. It has: ${named}${more}.`);
}

function upTo(page: ColumnsPage, lastSeq: number): ColumnsPage {
  let count = page.seq.length;
  while (count > 0 && page.seq[count - 1]! > lastSeq) count--;
  return {
    seq: page.seq.subarray(0, count),
    timestampUs: page.timestampUs.subarray(0, count),
    rawValue: page.rawValue.subarray(0, count),
    series: page.series.subarray(0, count),
    nextCursor: null,
  };
}

/** The samples as the API streams them, some lines at a time. */
function* lines(samples: StoredSamples, format: 'csv' | 'ndjson'): Generator<string | Uint8Array> {
  if (format === 'csv') yield CSV_HEADER;
  const writer = new SampleWriter(format, (index) => samples.seriesAt(index));
  for (const { seq, timestampUs, rawValue, series } of samples.pages()) {
    for (let start = 0; start < seq.length; start += HISTORY_STREAM_PAGE_SAMPLES) {
      const end = Math.min(seq.length, start + HISTORY_STREAM_PAGE_SAMPLES);
      writer.begin(end - start);
      for (let at = start; at < end; at++) writer.add(series[at]!, seq[at]!, timestampUs[at]!, rawValue[at]!);
      yield writer.end();
    }
  }
}

async function writeToStdout(samples: StoredSamples, { format }: ExportOptions): Promise<void> {
  if (format === 'parquet') throw new RangeError('parquet goes to a file');
  try {
    await pipeline(linesStream(samples, format), process.stdout);
  } catch (error) {
    // Whoever reads has seen enough, as `head` has.
    if (errorCode(error) !== 'EPIPE') throw error;
  }
}

/** Few texts wait: a page becomes text as it is taken. */
function linesStream(samples: StoredSamples, format: 'csv' | 'ndjson'): Readable {
  return Readable.from(lines(samples, format), { highWaterMark: 1 });
}

/** What is written lies beside the file until it is whole; a device or a pipe is written to as it is. */
async function writeToFile(samples: StoredSamples, options: ExportOptions, path: string): Promise<void> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) {
    throw new CollectorError('EXPORT_FAILED', `${path} is a folder: give a file with --output FILE.`);
  }
  const isPlain = stat?.isFile() ?? true;
  const file = stat?.isFile() ? realpathSync(path) : path;
  refuseDatabase(file, options.databasePath);
  const part = isPlain ? `${file}.part` : file;
  const removePart = () => {
    if (isPlain) rmSync(part, { force: true });
  };
  const stopRemoving = onInterruption(removePart);
  try {
    await write(samples, options.format, part);
    if (isPlain) {
      syncFile(part);
      renameSync(part, file);
    }
  } catch (error) {
    removePart();
    if (error instanceof CollectorError) throw error;
    throw new CollectorError('EXPORT_FAILED', `${path} can't be written: ${errorMessage(error)}.`, {
      cause: error,
    });
  } finally {
    stopRemoving();
  }
  process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${summary(samples)} in ${path}\n`);
}

async function write(samples: StoredSamples, format: ExportFormat, path: string): Promise<void> {
  const tellProgress = process.stderr.isTTY
    ? () => process.stderr.write(`\r${samples.count.toLocaleString('en')} samples`)
    : () => {};
  if (format !== 'parquet') {
    const stream = linesStream(samples, format);
    stream.on('data', tellProgress);
    await pipeline(stream, createWriteStream(path));
    return;
  }
  const { ParquetFile } = await import('./parquet-file.ts');
  const file = new ParquetFile(path);
  for (const page of samples.pages()) {
    file.write(page, samples.seriesAt);
    tellProgress();
    // Signals are heard between pages.
    await setImmediate();
  }
  file.finish();
}

/** Does something before a signal ends the process, until the returned function is called. */
function onInterruption(act: () => void): () => void {
  const interrupted = (signal: NodeJS.Signals) => {
    act();
    stop();
    // Now it ends the process as it would have, so that a shell knows.
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of ENDING_SIGNALS) process.off(signal, interrupted);
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, interrupted);
  return stop;
}

function refuseDatabase(path: string, databasePath: string): void {
  const real = realpathSync(databasePath);
  for (const ending of ['', '-wal', '-shm', '-lock']) {
    if (resolve(path) !== `${real}${ending}` && resolve(path) !== `${resolve(databasePath)}${ending}`)
      continue;
    throw new HistoryError(
      'EXPORT_FAILED',
      `${path} is the database that is read: give another file with --output FILE.`,
    );
  }
}

/** Nothing of it is still on its way when it gets its name. */
function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function summary({ count, minUs, maxUs }: StoredSamples): string {
  if (count === 0) return 'no samples';
  return `${count.toLocaleString('en')} samples from ${isoTime(minUs)} to ${isoTime(maxUs)}`;
}

function isoTime(timestampUs: number): string {
  return new Date(timestampUs / 1000).toISOString();
}

/** Says what can't be read, once each. */
function tellDamage(): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (told.has(message)) return;
    told.add(message);
    process.stderr.write(`passed over, as it can't be read: ${message}\n`);
  };
}
