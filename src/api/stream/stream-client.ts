import { QueryError } from '../../shared/errors.ts';
import {
  STREAM_CLIENT_BYTES_LOW,
  STREAM_CLIENT_BYTES_MAX,
  STREAM_HEARTBEAT_MS,
  STREAM_MESSAGE_WRONG_COST,
  STREAM_SILENCE_MAX_MS,
  STREAM_STALLED_MS,
  STREAM_SUBSCRIPTIONS_MAX,
} from '../../shared/limits.ts';
import type { Channels } from './channels.ts';
import { ClientMessageError, readClientMessage } from './client-message.ts';
import { MessageAllowance } from './message-allowance.ts';
import type { Outlet, SamplesHead, SubscriptionName } from './outlet.ts';
import type { SampleBody } from './sample-body.ts';
import type { ClientMessage, ControlMessage, Encoding } from './schemas.ts';
import type { SelectionFilter } from './selection.ts';
import { seriesMessage } from './series-message.ts';
import type { StreamContext } from './stream-context.ts';
import { type Beginning, Subscription, type SubscriptionClient } from './subscription.ts';

/** WebSocket's codes of why a connection ends (RFC 6455, 7.4.1; 1013 is in IANA's registry). */
export const CLOSE = { GOING_AWAY: 1001, POLICY: 1008, INTERNAL: 1011, TRY_AGAIN_LATER: 1013 } as const;

/** Ordinals have 16 bits. */
const ORDINALS = 2 ** 16;

/** What is asked for, in the numbers of the wire. */
export interface SubscriptionRequest extends SelectionFilter, Beginning {
  readonly id: string;
  /** Null for every sample as it comes. */
  readonly maxHz: number | null;
}

/** Turns what a client has written into numbers. Throws QueryError. */
export type ReadRequest = (message: ClientMessage & { readonly type: 'subscribe' }) => SubscriptionRequest;

/** One client: its subscriptions, and what it is owed. */
export class StreamClient implements SubscriptionClient {
  /** Whether an answer of the history is on the way to it. */
  isAsking = false;
  readonly #outlet: Outlet;
  readonly #context: StreamContext;
  readonly #channels: Channels;
  readonly #readRequest: ReadRequest;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #allowance: MessageAllowance;
  #nextOrdinal = 0;
  /** Since when more waits for it than may; null while it isn't behind. */
  #behindSinceMs: number | null = null;
  #isCorked = false;
  #isClosing = false;
  #toldMs: number;
  #pingedMs: number;
  #aliveMs: number;
  #bytesWritten = 0;
  /** When it was last looked at: what the kernel had taken, and what it hadn't. */
  #seen = { takenBytes: 0, unsentBytes: 0 };
  /** 1 for each series that a binary message may name, by index. */
  #seriesTold = new Uint8Array(256);

  constructor(outlet: Outlet, context: StreamContext, channels: Channels, readRequest: ReadRequest) {
    this.#outlet = outlet;
    this.#context = context;
    this.#channels = channels;
    this.#readRequest = readRequest;
    const nowMs = context.nowMs();
    this.#allowance = new MessageAllowance(nowMs);
    this.#toldMs = nowMs;
    this.#pingedMs = nowMs;
    this.#aliveMs = nowMs;
  }

  get encoding(): Encoding {
    return this.#outlet.encoding;
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  get unsentBytes(): number {
    return this.#outlet.unsentBytes;
  }

  get isBehind(): boolean {
    return this.#behindSinceMs !== null;
  }

  /** Takes in what it says; null for what isn't text. */
  receive(text: string | null): void {
    if (this.#isClosing) return;
    this.isAlive();
    try {
      if (text === null) throw new ClientMessageError(null, 'Expected messages as text, found a binary one.');
      this.#obey(readClientMessage(text));
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      const id = error instanceof ClientMessageError ? error.subscriptionId : null;
      this.#refuse(id, error);
    }
  }

  /** It sent a ping or pong of WebSocket's own, which `ws` answers: two million a second would keep all others waiting. */
  receivePing(): void {
    if (this.#isClosing) return;
    this.isAlive();
    this.#isAllowed(1);
  }

  #obey(message: ClientMessage): void {
    if (!this.#isAllowed(1)) return;
    switch (message.type) {
      case 'subscribe':
        try {
          this.subscribe(this.#readRequest(message));
        } catch (error) {
          if (!(error instanceof QueryError)) throw error;
          this.#refuse(message.id, error);
        }
        break;
      case 'unsubscribe':
        this.#unsubscribe(message.id);
        this.control({ type: 'unsubscribed', id: message.id });
        break;
      case 'ping':
        this.control({ type: 'pong', ...(message.data !== undefined && { data: message.data }) });
        break;
    }
  }

  #refuse(id: string | null, { code, message }: QueryError): void {
    if (!this.#isAllowed(STREAM_MESSAGE_WRONG_COST)) return;
    this.control({ type: 'error', id, code, message });
  }

  #isAllowed(cost: number): boolean {
    if (this.#allowance.take(cost, this.#context.nowMs())) return true;
    this.#context.counters.clientsAbusive++;
    this.close(CLOSE.POLICY, 'too many messages, or too many that are wrong');
    return false;
  }

  /**
   * Begins a subscription, in the place of one of the same id. Throws QueryError: SIGNAL_INVALID, SUBSCRIPTIONS_MAX,
   * STREAM_FULL.
   */
  subscribe(request: SubscriptionRequest): void {
    const { id, maxHz } = request;
    if (!this.#subscriptions.has(id) && this.#subscriptions.size >= STREAM_SUBSCRIPTIONS_MAX) {
      const message = `There may be ${STREAM_SUBSCRIPTIONS_MAX} subscriptions of one client: end one, or put signals together in one.`;
      throw new QueryError(400, 'SUBSCRIPTIONS_MAX', message);
    }
    const channel = this.#channels.find(request, maxHz === null ? 0 : 1000 / maxHz, this.#context);
    const subscription = new Subscription(this, channel, id, this.#takeOrdinal(), this.#context);
    this.#unsubscribe(id);
    this.#subscriptions.set(id, subscription);
    this.control({
      type: 'subscribed',
      id,
      ordinal: subscription.ordinal,
      signals: channel.selection.heardCount,
      seq: this.#context.feed.seq,
    });
    subscription.begin(request);
  }

  #takeOrdinal(): number {
    const taken = new Set([...this.#subscriptions.values()].map(({ ordinal }) => ordinal));
    while (taken.has(this.#nextOrdinal)) this.#nextOrdinal = (this.#nextOrdinal + 1) % ORDINALS;
    const ordinal = this.#nextOrdinal;
    this.#nextOrdinal = (ordinal + 1) % ORDINALS;
    return ordinal;
  }

  #unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    this.#subscriptions.delete(id);
    subscription.end();
    this.#channels.leave(subscription.channel, subscription);
  }

  /** Whether it isn't behind: one that was is told more only when it has taken most of what waited. */
  canTake(): boolean {
    if (this.#isClosing) return false;
    if (this.#behindSinceMs !== null) {
      if (this.#outlet.unsentBytes > STREAM_CLIENT_BYTES_LOW) return false;
      this.#behindSinceMs = null;
      return true;
    }
    if (this.#outlet.unsentBytes <= STREAM_CLIENT_BYTES_MAX) return true;
    // What gathered in this turn may be all that waits.
    this.uncork();
    if (this.#outlet.unsentBytes <= STREAM_CLIENT_BYTES_MAX) return true;
    this.#behindSinceMs = this.#context.nowMs();
    return false;
  }

  control(message: ControlMessage): void {
    this.#wrote(this.#outlet.control(message));
  }

  samples(of: SubscriptionName, head: SamplesHead, body: SampleBody): void {
    const { counters } = this.#context;
    this.#cork();
    if (this.encoding === 'binary') this.#tellSeries(body);
    this.#wrote(this.#outlet.samples(of, head, body));
    counters.samplesSent += body.count;
    counters.samplesMissed += head.missed;
  }

  #tellSeries(body: SampleBody): void {
    const untold = body.series().filter((series) => this.#seriesTold[series] !== 1);
    if (untold.length === 0) return;
    const { feed } = this.#context;
    if (this.#seriesTold.length < feed.seriesCount) {
      const larger = new Uint8Array(Math.max(feed.seriesCount, 2 * this.#seriesTold.length));
      larger.set(this.#seriesTold);
      this.#seriesTold = larger;
    }
    for (const series of untold) this.#seriesTold[series] = 1;
    this.control(seriesMessage(untold.map((series) => feed.seriesAt(series))));
  }

  #wrote(bytes: number): void {
    if (bytes === 0) return;
    const { counters } = this.#context;
    this.#bytesWritten += bytes;
    counters.messagesSent++;
    counters.bytesSent += bytes;
    this.#toldMs = this.#context.nowMs();
  }

  /** What it is told in a turn goes to the kernel at once. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#outlet.cork();
    this.#context.corked.add(this);
  }

  uncork(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#outlet.uncork();
    this.#context.corked.delete(this);
  }

  /** It gave a sign of life. */
  isAlive(): void {
    this.#aliveMs = this.#context.nowMs();
  }

  /**
   * Looks, now and then, whether it is still there and hears of us. `lateMs` is by how much later than it was meant to:
   * while this thread, or the whole machine, stood still the client could do nothing about it.
   */
  watch(lateMs: number): void {
    if (this.#isClosing) return;
    this.#aliveMs += lateMs;
    if (this.#behindSinceMs !== null) this.#behindSinceMs += lateMs;
    const { counters, feed, nowMs } = this.#context;
    const now = nowMs();
    this.#watchTaking();
    if (!this.canTake()) {
      if (now - this.#behindSinceMs! < STREAM_STALLED_MS) return;
      counters.clientsStalled++;
      this.close(CLOSE.TRY_AGAIN_LATER, 'took less than there was for too long');
      return;
    }
    if (now - this.#toldMs >= STREAM_HEARTBEAT_MS) {
      // A client that resumes from there misses nothing of any subscription.
      const seqs = [...this.#subscriptions.values()].map(({ seq }) => seq);
      this.control({ type: 'heartbeat', timestamp: Date.now() / 1000, seq: Math.min(feed.seq, ...seqs) });
    }
    if (now - this.#pingedMs < STREAM_HEARTBEAT_MS) return;
    this.#pingedMs = now;
    if (!this.#outlet.ping() || now - this.#aliveMs < STREAM_SILENCE_MAX_MS) return;
    counters.clientsSilent++;
    this.#isClosing = true;
    this.#outlet.terminate();
  }

  /** What the kernel takes while more waits than it has room for, the client has taken: that is a sign of life. */
  #watchTaking(): void {
    const { unsentBytes } = this.#outlet;
    const takenBytes = this.#bytesWritten - unsentBytes;
    if (this.#seen.unsentBytes > 0 && takenBytes > this.#seen.takenBytes) this.isAlive();
    this.#seen = { takenBytes, unsentBytes };
  }

  close(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.uncork();
    this.#outlet.close(code, reason);
  }

  /** It is gone: nothing of it may be left. */
  end(): void {
    this.#isClosing = true;
    this.uncork();
    for (const id of [...this.#subscriptions.keys()]) this.#unsubscribe(id);
  }
}
