import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryPage, HistoryQuery } from '../../history/history-query.ts';
import { viewColumns } from '../../history/sample-columns.ts';
import { errorCode, errorMessage } from '../../shared/errors.ts';
import {
  STREAM_MESSAGE_SAMPLES_MAX,
  STREAM_RESUME_SAMPLES_MAX,
  STREAM_RESUMES_AT_ONCE,
} from '../../shared/limits.ts';
import type { SamplesHead } from './outlet.ts';
import { PageBody, type SampleBody } from './sample-body.ts';
import type { Encoding, GapReason } from './schemas.ts';
import type { StreamContext } from './stream-context.ts';

/** How long a busy reader is left alone. */
const BUSY_RETRY_MS = 50;

/** A subscription as its resume sees it. */
export interface Resumed {
  /** The number up to which all was told. */
  readonly seq: number;
  /** 1 for the series that it is about, by index. */
  readonly wanted: Uint8Array;
  readonly client: ResumingClient;
  tell(head: SamplesHead, body: SampleBody): void;
  advance(seq: number): void;
  /** Passes over what there is up to a number. */
  skip(toSeq: number, reason: GapReason): void;
  /** All was told that there is by now. */
  goLive(): void;
}

export interface ResumingClient {
  readonly encoding: Encoding;
  /** Whether an answer of the history is on the way to it: one at a time, however many subscriptions it has. */
  isAsking: boolean;
}

/**
 * Tells a subscription every sample since a number: from the history, page by page, until the feed holds all that
 * follows. A page is asked for up to the sample that is the newest at that moment, so what it leaves out comes after
 * it: there is neither a hole nor a double where history and feed meet. Nothing is asked for that the client can't take.
 */
export class Resume {
  readonly #subscription: Resumed;
  readonly #context: StreamContext;
  #samplesLeft = STREAM_RESUME_SAMPLES_MAX;
  /** Whether it is known that there are no more than may be told. */
  #isProbed = false;
  #isAsking = false;
  #isEnded = false;
  /** What to do with an answer that has come. */
  #takeAnswer: (() => void) | null = null;

  constructor(subscription: Resumed, context: StreamContext) {
    this.#subscription = subscription;
    this.#context = context;
  }

  /** One message, or one question; false where there is nothing to do but to wait. */
  step(): boolean {
    if (this.#takeAnswer !== null) {
      const take = this.#takeAnswer;
      this.#forgetAnswer();
      take();
      return true;
    }
    const { feed, history } = this.#context;
    if (this.#isAsking) return false;
    const { seq, client } = this.#subscription;
    if (seq + 1 >= feed.heldFromSeq) {
      this.#tellFromFeed();
      return true;
    }
    const { firstSeq } = history;
    if (firstSeq !== null && seq + 1 < firstSeq) {
      this.#subscription.skip(firstSeq - 1, 'not_stored');
      return true;
    }
    if (this.#samplesLeft <= 0) {
      this.#subscription.skip(feed.seq, 'too_many');
      return true;
    }
    if (client.isAsking || this.#context.counters.resumesAsking >= STREAM_RESUMES_AT_ONCE) return false;
    if (!this.#isProbed && feed.seq - seq > STREAM_RESUME_SAMPLES_MAX) this.#probe();
    else this.#askForPage();
    return false;
  }

  #tellFromFeed(): void {
    const { feed, gatherer } = this.#context;
    const span = { afterSeq: this.#subscription.seq, upToSeq: feed.seq };
    const seq = gatherer.every(this.#subscription.wanted, span, STREAM_MESSAGE_SAMPLES_MAX);
    this.#tell(seq, gatherer.body(0, gatherer.count));
    if (seq === span.upToSeq) this.#subscription.goLive();
  }

  /** Finds whether there are more samples than may be told; then the older ones are passed over. */
  #probe(): void {
    const { feed } = this.#context;
    const query = {
      order: 'desc',
      cursor: feed.seq + 1,
      offset: STREAM_RESUME_SAMPLES_MAX,
      limit: 1,
      format: 'columns',
    } as const;
    this.#ask(query, ({ text, count }) => {
      this.#isProbed = true;
      const lastSeq = count === 0 ? 0 : viewColumns(text, 1).seq[0]!;
      if (lastSeq > this.#subscription.seq) this.#subscription.skip(lastSeq, 'too_many');
    });
  }

  #askForPage(): void {
    const { feed } = this.#context;
    const { seq: cursor, client } = this.#subscription;
    const lastSeq = feed.seq;
    const query = {
      order: 'asc',
      cursor,
      lastSeq,
      offset: 0,
      limit: STREAM_MESSAGE_SAMPLES_MAX,
      format: client.encoding === 'binary' ? 'columns' : 'json',
    } as const;
    this.#ask(query, (page) => {
      this.#samplesLeft -= page.count;
      this.#context.counters.samplesResumed += page.count;
      this.#tell(page.nextCursor ?? lastSeq, new PageBody(page));
    });
  }

  #tell(seq: number, body: SampleBody): void {
    if (body.count > 0) this.#subscription.tell({ cause: 'resume', seq, missed: 0, thinned: 0 }, body);
    this.#subscription.advance(seq);
  }

  /** Asks the history; the answer is taken in a turn in which the client can take it. */
  async #ask(query: Omit<HistoryQuery, 'series'>, take: (page: HistoryPage) => void): Promise<void> {
    const { counters, feed, history, logFault, wake } = this.#context;
    const { client, wanted } = this.#subscription;
    this.#isAsking = true;
    client.isAsking = true;
    counters.resumesAsking++;
    try {
      // Without what is beyond: a copy goes to the reader's thread.
      const series = wanted.slice(0, feed.seriesCount);
      const page = await history.query({ ...query, series });
      this.#takeAnswer = () => take(page);
    } catch (error) {
      if (errorCode(error) === 'HISTORY_BUSY') {
        await sleep(BUSY_RETRY_MS);
      } else {
        const reason = errorMessage(error);
        logFault(
          'warn',
          'resume',
          { reason },
          'a client of the live stream could not be told what it missed',
        );
        this.#takeAnswer = () => this.#subscription.skip(feed.seq, 'not_stored');
      }
    }
    counters.resumesAsking--;
    this.#isAsking = false;
    if (this.#isEnded || this.#takeAnswer === null) this.#forgetAnswer();
    wake();
  }

  #forgetAnswer(): void {
    this.#takeAnswer = null;
    this.#subscription.client.isAsking = false;
  }

  /** Nobody wants an answer any more. */
  end(): void {
    this.#isEnded = true;
    if (this.#takeAnswer !== null) this.#forgetAnswer();
  }
}
