import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryPage, HistoryQuery } from '../history/history-query.ts';
import { CSV_HEADER } from '../history/reader/sample-writer.ts';
import { errorCode } from '../shared/errors.ts';
import { HISTORY_STREAM_PAGE_SAMPLES, HISTORY_STREAM_WORK_MS } from '../shared/limits.ts';
import type { HistorySource } from './sources.ts';

/** How long a stream waits before it asks a busy reader again. */
const RETRY_MS = 50;

/** Texts whose memory may be used again; with a fast client there are two. */
const TEXTS_KEPT_MAX = 3;

/** What a stream is piped to. */
type Destination = NodeJS.WritableStream & { readonly writableLength?: number };

/**
 * Samples of the history as text, as many as there are: a page is asked for when the one before goes to the client, so that
 * memory stays that of a few pages.
 *
 * The memory of a page goes back to the reader, for a later one, when all of it has been sent. What would be thrown away
 * instead, 260 kB a page, had the collector of garbage look at the main thread's whole heap ten times a second.
 *
 * Half of the time it rests, whatever its pages take: so what is live goes on as if there were no export.
 */
export class SampleStream extends Readable {
  readonly #history: HistorySource;
  readonly #query: HistoryQuery;
  /** Samples that are still to be given, at most. */
  #left: number;
  /** What was given last; before that, the first page. */
  #page: HistoryPage;
  #isBegun = false;
  /** How long its pages have taken since it last rested. */
  #askedForMs = 0;
  #destination: Destination | null = null;
  /** The texts that were given last, the newest at the end. */
  #given: readonly Uint8Array[] = [];

  private constructor(history: HistorySource, query: HistoryQuery, limit: number, first: HistoryPage) {
    // No page is asked for while another waits to be taken.
    super({ highWaterMark: 1 });
    this.#history = history;
    this.#query = query;
    this.#left = limit;
    this.#page = first;
    if (query.format === 'csv') this.push(CSV_HEADER);
  }

  /** Asks for the first page, so that a failure is told before the stream begins. Rejects as HistorySource.query() does. */
  static async begin(history: HistorySource, query: HistoryQuery, limit: number): Promise<SampleStream> {
    const first = await history.query({ ...query, limit: pageLimit(limit) });
    return new SampleStream(history, query, limit, first);
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    this.#destination = destination;
    return super.pipe(destination, options);
  }

  override _read(): void {
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#give(this.#page);
    } else if (this.#page.nextCursor === null || this.#left === 0) {
      this.push(null);
    } else {
      this.#ask(this.#page.nextCursor).then(
        (page) => this.#give(page),
        (error) => this.destroy(error),
      );
    }
  }

  #give(page: HistoryPage): void {
    this.#page = page;
    this.#left -= page.count;
    if (page.count === 0) {
      this.push(null);
      return;
    }
    this.#given = [...this.#given.slice(1 - TEXTS_KEPT_MAX), page.text];
    this.push(page.text);
  }

  /** A stream that has begun can't be refused any more: it waits until the reader has room for its question. */
  async #ask(cursor: number): Promise<HistoryPage> {
    // At least until the text that is being given at this moment has been written to the destination.
    await this.#rest();
    const memory = this.#takeMemory();
    const query = { ...this.#query, limit: pageLimit(this.#left), offset: 0, cursor };
    for (;;) {
      try {
        const askedMs = performance.now();
        const page = await this.#history.query(query, memory);
        this.#askedForMs += performance.now() - askedMs;
        return page;
      } catch (error) {
        if (errorCode(error) !== 'HISTORY_BUSY') throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  /** As long as it has had others wait. */
  async #rest(): Promise<void> {
    if (this.#askedForMs < HISTORY_STREAM_WORK_MS) return;
    const restMs = this.#askedForMs;
    this.#askedForMs = 0;
    await sleep(restMs);
  }

  /**
   * The memory of the oldest text, if it is needed no more. A destination counts what it has until it has taken all of a
   * text; so if that is less than the texts from this one on, it has taken this one.
   */
  #takeMemory(): ArrayBuffer | undefined {
    const [oldest, ...others] = this.#given;
    if (oldest === undefined) return undefined;
    const bytes = this.#given.reduce((sum, { length }) => sum + length, 0);
    const waiting = this.#destination?.writableLength ?? Number.POSITIVE_INFINITY;
    if (waiting >= bytes) return undefined;
    this.#given = others;
    return oldest.buffer as ArrayBuffer;
  }
}

function pageLimit(left: number): number {
  return Math.min(left, HISTORY_STREAM_PAGE_SAMPLES);
}
