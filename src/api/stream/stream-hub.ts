import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { ProtocolRegistry } from '../../protocol/protocol-registry.ts';
import {
  STREAM_CLIENTS_MAX,
  STREAM_HEARTBEAT_MS,
  STREAM_SELECTIONS_MAX,
  STREAM_TURN_MS,
  STREAM_WATCH_MS,
} from '../../shared/limits.ts';
import { rateLimited } from '../../shared/log.ts';
import type { StreamStatus } from '../schemas.ts';
import type { FeedSource, HistorySource, StateReader } from '../sources.ts';
import { Channels } from './channels.ts';
import type { Outlet } from './outlet.ts';
import { SampleGatherer } from './sample-gatherer.ts';
import { SampleTexts } from './sample-texts.ts';
import { type SelectionFilter, Selections } from './selection.ts';
import { SignalIndex } from './signal-index.ts';
import { CLOSE, StreamClient } from './stream-client.ts';
import type { StreamContext, StreamCounters } from './stream-context.ts';
import { subscriptionRequest } from './subscription-request.ts';

/** What the hub reads. */
export interface StreamSources {
  readonly version: string;
  readonly registry: ProtocolRegistry;
  readonly state: StateReader;
  readonly feed: FeedSource;
  readonly history: HistorySource;
  readonly isSimulated: boolean;
  readonly log: Logger;
}

/**
 * All clients of the live stream. Samples only have a turn come, once the batches that are on the way are taken in; in
 * the turn channels whose time it is tell their members, then those who are owed something else get further. A turn takes
 * STREAM_TURN_MS; what is left waits for the next, and the buses go first. While there is no client, nothing runs here.
 */
export class StreamHub {
  readonly #sources: StreamSources;
  readonly #run = randomUUID();
  readonly #clients = new Set<StreamClient>();
  readonly #texts: SampleTexts;
  readonly #selections: Selections;
  readonly #channels: Channels;
  readonly #context: StreamContext;
  readonly #nowMs: () => number;
  #unfollow = () => {};
  #turn: NodeJS.Immediate | null = null;
  #dueTimer: NodeJS.Timeout | undefined;
  #watchTimer: NodeJS.Timeout | undefined;
  /** When clients are to be looked at again, by the clock that timers go by. */
  #watchDueMs = 0;

  /** `nowMs` is a clock that never jumps. */
  constructor(sources: StreamSources, nowMs: () => number = () => performance.now()) {
    const { feed, history, state, log } = sources;
    this.#sources = sources;
    this.#nowMs = nowMs;
    this.#texts = new SampleTexts(feed);
    this.#selections = new Selections(feed, state, new SignalIndex(feed));
    this.#channels = new Channels(this.#selections);
    this.#context = {
      feed,
      history,
      gatherer: new SampleGatherer(feed, state, this.#texts),
      counters: noCounts(),
      backlog: new Set(),
      corked: new Set(),
      logFault: rateLimited(log),
      nowMs,
      wake: () => this.wake(),
    };
  }

  get isFull(): boolean {
    return this.#clients.size >= STREAM_CLIENTS_MAX;
  }

  /** Counts a client that was turned away. */
  refused(): void {
    this.#context.counters.clientsRefused++;
  }

  /** Throws QueryError SIGNAL_INVALID or STREAM_FULL where a subscription would. */
  check(filter: SelectionFilter): void {
    this.#selections.drop(this.#selections.take(filter));
  }

  /** Takes in a client, and says hello to it. */
  connect(outlet: Outlet): StreamClient {
    const { feed, isSimulated, registry, version } = this.#sources;
    if (this.#clients.size === 0) {
      this.#unfollow = feed.follow(() => this.wake());
      this.#watchTimer = setInterval(() => this.#watch(), STREAM_WATCH_MS);
      this.#watchDueMs = performance.now() + STREAM_WATCH_MS;
    }
    const readRequest = subscriptionRequest.bind(null, registry);
    const client = new StreamClient(outlet, this.#context, this.#channels, readRequest);
    this.#clients.add(client);
    this.#context.counters.clientsAccepted++;
    client.control({
      type: 'hello',
      version,
      encoding: outlet.encoding,
      simulated: isSimulated,
      run: this.#run,
      seq: feed.seq,
      heartbeat_s: STREAM_HEARTBEAT_MS / 1000,
    });
    return client;
  }

  /** Its connection has ended. */
  disconnect(client: StreamClient): void {
    if (!this.#clients.delete(client)) return;
    client.end();
    if (this.#clients.size > 0) return;
    this.#unfollow();
    clearInterval(this.#watchTimer);
    clearTimeout(this.#dueTimer);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#texts.clear();
  }

  /** Has a turn come when the event loop has taken in what is there: at once, if there is nothing. */
  wake(): void {
    if (this.#clients.size > 0) this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  #takeTurn(): void {
    this.#turn = null;
    const startMs = this.#nowMs();
    const isTimeLeft = () => this.#nowMs() - startMs < STREAM_TURN_MS;
    this.#texts.check();
    const isTold = this.#channels.flush(startMs, isTimeLeft);
    // One message of it at least, so that live samples never keep others waiting for good.
    const isClear = this.#clearBacklog(isTimeLeft);
    for (const client of this.#context.corked) client.uncork();
    if (isTold && isClear) this.#setTimer();
    else this.wake();
  }

  /** Lets each get one message further, again and again; false where there was too little time. */
  #clearBacklog(isTimeLeft: () => boolean): boolean {
    const { backlog } = this.#context;
    for (let isProgress = backlog.size > 0; isProgress; ) {
      isProgress = false;
      for (const one of [...backlog]) {
        if (!backlog.has(one) || !one.step()) continue;
        isProgress = true;
        // To the end of the line.
        if (backlog.delete(one)) backlog.add(one);
        if (!isTimeLeft()) return false;
      }
    }
    return true;
  }

  /** For what is to be told although nothing comes any more. */
  #setTimer(): void {
    clearTimeout(this.#dueTimer);
    const { dueMs } = this.#channels;
    if (dueMs !== null) this.#dueTimer = setTimeout(() => this.wake(), Math.max(1, dueMs - this.#nowMs()));
  }

  #watch(): void {
    const nowMs = performance.now();
    // A little late is as usual.
    const lateMs = Math.max(0, nowMs - this.#watchDueMs - STREAM_WATCH_MS);
    this.#watchDueMs = nowMs + STREAM_WATCH_MS;
    for (const client of this.#clients) client.watch(lateMs);
    if (this.#context.backlog.size > 0) this.wake();
  }

  stats(): StreamStatus {
    const { counters } = this.#context;
    const clients = [...this.#clients];
    const sum = (of: (client: StreamClient) => number) =>
      clients.reduce((total, client) => total + of(client), 0);
    return {
      clients: clients.length,
      clients_max: STREAM_CLIENTS_MAX,
      clients_behind: clients.filter(({ isBehind }) => isBehind).length,
      subscriptions: sum(({ subscriptionCount }) => subscriptionCount),
      selections: { used: this.#selections.count, max: STREAM_SELECTIONS_MAX },
      bytes_waiting: sum(({ unsentBytes }) => unsentBytes),
      clients_accepted: counters.clientsAccepted,
      clients_refused: counters.clientsRefused,
      clients_stalled: counters.clientsStalled,
      clients_silent: counters.clientsSilent,
      clients_abusive: counters.clientsAbusive,
      messages_sent: counters.messagesSent,
      bytes_sent: counters.bytesSent,
      samples_sent: counters.samplesSent,
      samples_resumed: counters.samplesResumed,
      samples_missed: counters.samplesMissed,
      gaps: counters.gaps,
    };
  }

  /** Tells all clients that the service is going away. */
  stop(): void {
    for (const client of this.#clients) client.close(CLOSE.GOING_AWAY, 'the service is stopping');
  }
}

function noCounts(): StreamCounters {
  return {
    clientsAccepted: 0,
    clientsRefused: 0,
    clientsStalled: 0,
    clientsSilent: 0,
    clientsAbusive: 0,
    messagesSent: 0,
    bytesSent: 0,
    samplesSent: 0,
    samplesResumed: 0,
    samplesMissed: 0,
    gaps: 0,
    resumesAsking: 0,
  };
}
