import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { recordOf, type SeriesTable } from '../../protocol/series-table.ts';
import { HistoryError, QueryError } from '../../shared/errors.ts';
import { HISTORY_QUERIES_WAITING_MAX } from '../../shared/limits.ts';
import { threadModule } from '../../shared/thread-module.ts';
import type { Answer, FromReader, HistoryThreadData, Question, ToReader } from '../history-messages.ts';
import type { QueryMeter } from '../query-meter.ts';

export interface ReaderHandleOptions extends HistoryThreadData {
  /** Of the series that may come up in answers before they are stored. */
  readonly table: SeriesTable;
  readonly meter: QueryMeter;
  readonly log: Logger;
  /** Told of what is stored and can't be read. */
  readonly onDamage: (message: string, block: number | null) => void;
}

interface PendingQuery {
  readonly reader: Worker;
  readonly kind: Question['kind'];
  /** By performance.now(). */
  readonly askedMs: number;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** How long a close lets the reader finish what it was asked. */
const READER_CLOSE_MS = 500;

/** The history's reader as the main thread sees it: its thread starts with the first question. */
export class HistoryReaderHandle {
  readonly #options: ReaderHandleOptions;
  #reader: Worker | null = null;
  #seriesTold = 0;
  readonly #queries = new Map<number, PendingQuery>();
  #nextQueryId = 0;

  constructor(options: ReaderHandleOptions) {
    this.#options = options;
  }

  /** Questions that wait for an answer; at most HISTORY_QUERIES_WAITING_MAX. */
  get waiting(): number {
    return this.#queries.size;
  }

  /**
   * Rejects with QueryError 503 HISTORY_BUSY where too many questions wait, or HistoryError where reading failed.
   * What is transferred is the reader's from then on.
   */
  ask(question: Question, transfer: readonly ArrayBuffer[] = []): Promise<Answer> {
    const { table, meter } = this.#options;
    if (this.#queries.size >= HISTORY_QUERIES_WAITING_MAX) {
      meter.refused();
      const message = `${HISTORY_QUERIES_WAITING_MAX} queries already wait for the history: try again in a second.`;
      return Promise.reject(new QueryError(503, 'HISTORY_BUSY', message));
    }
    const reader = this.#reader ?? this.#start();
    const id = this.#nextQueryId++;
    const series = table.since(this.#seriesTold).map(recordOf);
    this.#seriesTold = table.count;
    return new Promise((resolve, reject) => {
      // It refuses what was transferred before.
      reader.postMessage({ kind: 'ask', id, question, series } satisfies ToReader, transfer);
      this.#queries.set(id, { reader, kind: question.kind, askedMs: performance.now(), resolve, reject });
    });
  }

  #start(): Worker {
    const { path, batches, log } = this.#options;
    const reader = new Worker(threadModule(import.meta.url, 'history-reader-thread'), {
      workerData: { path, batches } satisfies HistoryThreadData,
      name: 'history reader',
    });
    this.#reader = reader;
    this.#seriesTold = 0;
    reader.on('message', (message: FromReader) => this.#handle(message));
    reader.on('error', (error) => log.error({ err: error }, 'history reader died'));
    reader.on('exit', () => {
      if (this.#reader === reader) this.#reader = null;
      for (const [id, pending] of this.#queries) {
        if (pending.reader !== reader) continue;
        this.#queries.delete(id);
        this.#options.meter.failed();
        pending.reject(
          new HistoryError('HISTORY_READ_FAILED', "The history's reader ended before it answered."),
        );
      }
    });
    return reader;
  }

  #handle(message: FromReader): void {
    if (message.kind === 'damaged') {
      this.#options.onDamage(message.message, message.block);
      return;
    }
    const pending = this.#queries.get(message.id);
    if (pending === undefined) return;
    this.#queries.delete(message.id);
    if (message.kind === 'answer') {
      this.#options.meter.answered(pending.kind, pending.askedMs);
      pending.resolve(message.answer);
    } else {
      this.#options.meter.failed();
      pending.reject(new HistoryError(message.error.code, message.error.message));
    }
  }

  /** The thread answers what it was asked and ends; the next question starts another. */
  retire(): void {
    this.#reader?.postMessage({ kind: 'close' } satisfies ToReader);
    this.#reader = null;
  }

  /** Resolves when the thread has ended: with what it was asked answered, if that takes no longer than READER_CLOSE_MS. */
  async close(): Promise<void> {
    const reader = this.#reader;
    if (reader === null) return;
    const ended = new Promise((resolve) => reader.once('exit', resolve));
    reader.postMessage({ kind: 'close' } satisfies ToReader);
    const timer = setTimeout(() => reader.terminate(), READER_CLOSE_MS);
    await ended;
    clearTimeout(timer);
  }
}
