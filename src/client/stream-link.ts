import { sleep } from './abort.ts';
import { CollectorClientError, throwUncaught } from './client-error.ts';
import { RETRY_LONGEST_MS, STREAM_OPEN_TIMEOUT_MS, STREAM_SOUND_MS } from './limits.ts';
import { retryDelayMs } from './retry-delay.ts';
import type { BinaryMessage } from './sample-columns.ts';
import { StreamConnection } from './stream-connection.ts';
import type { ClientMessage, HelloMessage, ServerMessage } from './stream-messages.ts';
import { type Endpoint, requestJson } from './transport.ts';
import type { WebSocketConstructor } from './web-socket.ts';

/**
 * connecting   a connection is being made
 * open         the service has said hello: subscriptions are in force
 * waiting      for the next attempt; `problem` says why
 * closed       for good
 */
export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';

export type StateListener = (state: StreamState, problem: CollectorClientError | null) => void;

export type Encoding = 'json' | 'binary';

/** Who is told of what comes. */
export interface LinkListener {
  onHello(hello: HelloMessage): void;
  onMessage(message: ServerMessage): void;
  onBinaryMessage(message: BinaryMessage): void;
  onLost(): void;
}

/** The subprotocol of the stream, and how a token is told beside it: a browser can't set headers. */
const PROTOCOL = 'collector.v1';
const TOKEN_PREFIX = 'bearer.';

/** No answer, no right, too many: what a plain request for the stream says as well as a WebSocket would. */
const REFUSAL_STATUS_CODES = [0, 401, 403, 429, 503];
/** Refusals that last: more attempts than one each RETRY_LONGEST_MS would only make noise. */
const LASTING_STATUS_CODES = [401, 403];

/**
 * A connection that is made anew whenever it is lost, until close(). The waits between attempts grow, half of each is
 * random, and one is cut short where the browser says that the network is back.
 */
export class StreamLink {
  readonly #endpoint: Endpoint;
  readonly #WebSocket: WebSocketConstructor;
  readonly #encoding: Encoding;
  readonly #listener: LinkListener;
  readonly #stateListeners = new Set<StateListener>();
  #state: StreamState = 'waiting';
  #problem: CollectorClientError | null = null;
  #hello: HelloMessage | null = null;
  #connection: StreamConnection | null = null;
  /** Ends a wait. */
  #wait: AbortController | null = null;
  #failures = 0;
  #openedMs = 0;

  constructor(
    endpoint: Endpoint,
    WebSocket: WebSocketConstructor,
    encoding: Encoding,
    listener: LinkListener,
  ) {
    this.#endpoint = endpoint;
    this.#WebSocket = WebSocket;
    this.#encoding = encoding;
    this.#listener = listener;
  }

  /** Throws SyntaxError where the token can't be told. */
  start(): void {
    browserEvents()?.addEventListener('online', this.#onOnline);
    this.#connect();
  }

  get state(): StreamState {
    return this.#state;
  }

  /** Why it isn't open; while it is, why it was lost the last time. */
  get problem(): CollectorClientError | null {
    return this.#problem;
  }

  /** What the service says of itself; null while it isn't open. */
  get hello(): HelloMessage | null {
    return this.#hello;
  }

  onState(listener: StateListener): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Sends it if the link is open; what has to be sent on each opening is sent by onHello(). */
  send(message: ClientMessage): void {
    if (this.#state === 'open') this.#connection!.send(message);
  }

  close(): void {
    if (this.#state === 'closed') return;
    browserEvents()?.removeEventListener('online', this.#onOnline);
    this.#wait?.abort();
    this.#connection?.close();
    this.#connection = null;
    this.#hello = null;
    this.#setState('closed');
    this.#stateListeners.clear();
  }

  #connect(): void {
    const { baseUrl, token } = this.#endpoint;
    const url = `${baseUrl.replace(/^http/, 'ws')}api/stream?encoding=${this.#encoding}`;
    const socket = new this.#WebSocket(url, protocolsOf(token));
    const connection = new StreamConnection(socket, {
      onHello: (hello) => this.#open(hello),
      onMessage: (message) => this.#listener.onMessage(message),
      onBinaryMessage: (message) => this.#listener.onBinaryMessage(message),
      onEnd: (problem) => void this.#lose(problem),
    });
    this.#connection = connection;
    this.#setState('connecting');
  }

  #open(hello: HelloMessage): void {
    this.#hello = hello;
    this.#openedMs = performance.now();
    this.#setState('open');
    this.#listener.onHello(hello);
  }

  async #lose(problem: CollectorClientError): Promise<void> {
    const wasOpen = this.#hello !== null;
    this.#connection = null;
    this.#hello = null;
    const wait = new AbortController();
    this.#wait = wait;
    if (wasOpen) {
      if (performance.now() - this.#openedMs >= STREAM_SOUND_MS) this.#failures = 0;
      this.#listener.onLost();
      this.#problem = problem;
    } else {
      this.#problem = await this.#reasonOf(problem, wait.signal);
    }
    if (this.#state !== 'closed') this.#setState('waiting');
    // Cut short by close(), too.
    await sleep(this.#delayMs(), wait.signal).catch(() => undefined);
    if (this.#state !== 'closed') this.#connect();
  }

  /** A WebSocket doesn't say why it was refused: a plain request for the same is refused in words. */
  async #reasonOf(problem: CollectorClientError, signal: AbortSignal): Promise<CollectorClientError> {
    try {
      const options = { signal, timeoutMs: STREAM_OPEN_TIMEOUT_MS };
      await requestJson(this.#endpoint, { path: 'api/stream' }, options);
    } catch (error) {
      const isReason =
        error instanceof CollectorClientError && REFUSAL_STATUS_CODES.includes(error.statusCode);
      if (isReason) return error;
    }
    return problem;
  }

  #delayMs(): number {
    const { statusCode = 0, retryAfterS = null } = this.#problem ?? {};
    const delayMs = retryDelayMs(this.#failures, Math.random());
    this.#failures++;
    if (LASTING_STATUS_CODES.includes(statusCode)) return RETRY_LONGEST_MS;
    return Math.max(delayMs, (retryAfterS ?? 0) * 1000);
  }

  readonly #onOnline = () => {
    this.#failures = 0;
    this.#wait?.abort();
  };

  #setState(state: StreamState): void {
    this.#state = state;
    for (const listener of this.#stateListeners) {
      try {
        listener(state, this.#problem);
      } catch (error) {
        throwUncaught(error);
      }
    }
  }
}

function protocolsOf(token: string | undefined): string[] {
  return token === undefined ? [PROTOCOL] : [PROTOCOL, TOKEN_PREFIX + token];
}

/** Where a browser tells that the network is back; Node has nothing of the kind. */
function browserEvents(): Pick<EventTarget, 'addEventListener' | 'removeEventListener'> | null {
  return 'addEventListener' in globalThis ? (globalThis as unknown as EventTarget) : null;
}
