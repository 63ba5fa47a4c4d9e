import { onAbort } from './abort.ts';
import type { CollectorClientError } from './client-error.ts';
import { UPDATES_SAMPLES_MAX } from './limits.ts';
import { type Encoding, type StateListener, StreamLink, type StreamState } from './stream-link.ts';
import type { HelloMessage, ServerMessage } from './stream-messages.ts';
import {
  type OnColumns,
  type OnSamples,
  type StreamSubscription,
  type SubscribeOptions,
  type SubscribeRequest,
  Subscription,
  type Taker,
} from './subscription.ts';
import type { Endpoint } from './transport.ts';
import { type SamplesUpdate, UpdatesQueue } from './updates-queue.ts';
import type { WebSocketConstructor } from './web-socket.ts';

export interface StreamOptions {
  /** How samples travel: binary takes a seventh of the bytes, and less work. JSON by default. */
  readonly encoding?: Encoding | undefined;
  /** Closes the stream. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Samples as they come. It stays connected until close(): a lost connection is made anew, and each subscription goes on
 * where it was.
 */
export class CollectorStream {
  readonly #link: StreamLink;
  readonly #encoding: Encoding;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #queues = new Set<UpdatesQueue>();
  #subscriptionCount = 0;
  #stopListening: () => void = () => undefined;

  /** To be made by CollectorClient.stream(), and then to be started. */
  constructor(endpoint: Endpoint, WebSocket: WebSocketConstructor, encoding: Encoding) {
    this.#encoding = encoding;
    this.#link = new StreamLink(endpoint, WebSocket, encoding, {
      onHello: () => {
        for (const subscription of this.#subscriptions.values()) this.#begin(subscription);
      },
      onLost: () => {
        for (const subscription of this.#subscriptions.values()) subscription.interrupt();
      },
      onMessage: (message) => this.#take(message),
      onBinaryMessage: (message) => {
        for (const subscription of this.#subscriptions.values()) {
          if (subscription.ordinal === message.ordinal) subscription.takeColumns(message);
        }
      },
    });
  }

  start(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    this.#link.start();
    this.#stopListening = onAbort(signal, (reason) => this.#close(reason));
  }

  get state(): StreamState {
    return this.#link.state;
  }

  /** Why it isn't open; while it is, why it was lost the last time. */
  get problem(): CollectorClientError | null {
    return this.#link.problem;
  }

  /** What the service says of itself; null while the stream isn't open. */
  get hello(): HelloMessage | null {
    return this.#link.hello;
  }

  /** Tells of each change of `state`; gives what ends that. */
  onState(listener: StateListener): () => void {
    return this.#link.onState(listener);
  }

  /** Has `onSamples` called with what comes. */
  subscribe(
    request: SubscribeRequest,
    onSamples: OnSamples,
    options: SubscribeOptions = {},
  ): StreamSubscription {
    return this.#subscribe(request, { onSamples }, options);
  }

  /** The same in columns, as they travel in a stream of binary encoding. */
  subscribeColumns(
    request: SubscribeRequest,
    onColumns: OnColumns,
    options: SubscribeOptions = {},
  ): StreamSubscription {
    if (this.#encoding !== 'binary') {
      throw new TypeError("Columns come in a stream of binary encoding: stream({ encoding: 'binary' }).");
    }
    return this.#subscribe(request, { onColumns }, options);
  }

  /**
   * What comes, for a loop, until the stream is closed; where a signal has closed it, that one's reason is thrown. For a
   * loop that is slow up to UPDATES_SAMPLES_MAX samples wait, and those of one message more; then the subscription
   * pauses until they are taken, and goes on as after a lost connection. Throws where the service refuses it.
   */
  async *updates(
    request: SubscribeRequest,
    options: Omit<SubscribeOptions, 'onError'> = {},
  ): AsyncGenerator<SamplesUpdate, void, undefined> {
    const queue = new UpdatesQueue();
    let isPaused = false;
    const onSamples: OnSamples = (samples, info) => {
      queue.push({ ...info, samples });
      if (queue.samples < UPDATES_SAMPLES_MAX) return;
      isPaused = true;
      this.#remove(subscription);
    };
    const onError = (error: CollectorClientError) => queue.end(error);
    const subscription = this.#subscribe(request, { onSamples }, { ...options, onError });
    const stopListening = onAbort(options.signal, (reason) => queue.end(reason));
    this.#queues.add(queue);
    try {
      for (;;) {
        if (isPaused && queue.samples === 0) {
          isPaused = false;
          this.#add(subscription);
        }
        const update = await queue.next();
        if (update === null) return;
        yield update;
      }
    } finally {
      this.#queues.delete(queue);
      stopListening();
      subscription.unsubscribe();
    }
  }

  /** Ends the connection and every subscription, for good. */
  close(): void {
    this.#close(null);
  }

  #close(reason: unknown): void {
    this.#stopListening();
    this.#link.close();
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
    for (const queue of this.#queues) queue.end(reason);
  }

  #subscribe(request: SubscribeRequest, taker: Taker, options: SubscribeOptions): Subscription {
    if (this.state === 'closed') throw new TypeError('This stream is closed: make another by stream().');
    options.signal?.throwIfAborted();
    this.#subscriptionCount++;
    const id = String(this.#subscriptionCount);
    const end = () => {
      stopListening();
      this.#remove(subscription);
    };
    const subscription: Subscription = new Subscription(id, request, taker, options, end);
    const stopListening = onAbort(options.signal, end);
    this.#add(subscription);
    return subscription;
  }

  /** Has it in force now, if the stream is open, and after each opening. */
  #add(subscription: Subscription): void {
    this.#subscriptions.set(subscription.id, subscription);
    if (this.hello !== null) this.#begin(subscription);
  }

  #begin(subscription: Subscription): void {
    this.#link.send(subscription.begin());
  }

  #remove(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription.id)) return;
    subscription.interrupt();
    this.#link.send({ type: 'unsubscribe', id: subscription.id });
  }

  #take(message: ServerMessage): void {
    if (message.type === 'heartbeat') {
      for (const subscription of this.#subscriptions.values()) subscription.takeHeartbeat(message.seq);
      return;
    }
    if (!('id' in message) || message.id === null || message.id === undefined) return;
    // One that has ended meanwhile, or is paused, is gone.
    const subscription = this.#subscriptions.get(message.id);
    if (subscription === undefined) return;
    if (message.type === 'samples') subscription.takeSamples(message);
    else if (message.type === 'subscribed') subscription.takeSubscribed(message);
    else if (message.type === 'gap') subscription.takeGap(message);
    else if (message.type === 'error' && subscription.takeError(message)) {
      // The service doesn't know it: there is nothing to tell.
      this.#subscriptions.delete(subscription.id);
      subscription.unsubscribe();
    }
  }
}
