import { CollectorClientError, reasonOf } from './client-error.ts';
import { HEARTBEATS_MISSED_MAX, STREAM_OPEN_TIMEOUT_MS } from './limits.ts';
import {
  type BinaryMessage,
  decodeBinaryMessage,
  type StreamSeries,
  streamSeries,
} from './sample-columns.ts';
import type { ClientMessage, HelloMessage, ServerMessage } from './stream-messages.ts';
import type { WebSocketLike } from './web-socket.ts';

/** Who is told of what comes. */
export interface ConnectionListener {
  onHello(hello: HelloMessage): void;
  onMessage(message: ServerMessage): void;
  onBinaryMessage(message: BinaryMessage): void;
  /** Once, and nothing after it; not when it is closed from here. */
  onEnd(problem: CollectorClientError): void;
}

/**
 * One connection, from its opening to its end. It ends when the service or the network ends it, when the service says
 * nothing for two heartbeats, and when what it says can't be understood.
 */
export class StreamConnection {
  readonly #socket: WebSocketLike;
  readonly #listener: ConnectionListener;
  readonly #seriesByNumber = new Map<number, StreamSeries>();
  #watch: ReturnType<typeof setTimeout>;
  #heardMs = 0;
  #error: unknown = null;
  #hasEnded = false;

  constructor(socket: WebSocketLike, listener: ConnectionListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => this.#take(data));
    socket.addEventListener('close', ({ code, reason }) => this.#end(this.#closed(code, reason)));
    // A close follows, which doesn't say why; where this does, it is kept.
    socket.addEventListener('error', (event) => {
      this.#error = (event as { error?: unknown }).error ?? null;
    });
    this.#watch = setTimeout(() => this.#end(silent(STREAM_OPEN_TIMEOUT_MS)), STREAM_OPEN_TIMEOUT_MS);
  }

  send(message: ClientMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#watch);
    // On a connection that is dead the closing handshake would take a minute: nobody waits for it.
    this.#socket.close(1000);
  }

  #end(problem: CollectorClientError): void {
    if (this.#hasEnded) return;
    this.close();
    this.#listener.onEnd(problem);
  }

  #closed(code: number, reason: string): CollectorClientError {
    const why = this.#error === null ? reason || 'no reason given' : reasonOf(this.#error);
    const message = `The stream was closed (code ${code}): ${why}.`;
    return new CollectorClientError(0, 'STREAM_CLOSED', message, { cause: this.#error });
  }

  #take(data: unknown): void {
    if (this.#hasEnded) return;
    this.#heardMs = performance.now();
    try {
      if (typeof data === 'string') this.#takeText(JSON.parse(data));
      else this.#listener.onBinaryMessage(decodeBinaryMessage(data as ArrayBuffer, this.#seriesByNumber));
    } catch (cause) {
      const message = `The service sent what can't be understood: ${reasonOf(cause)}. Is the client as new as it is?`;
      this.#end(new CollectorClientError(0, 'REPLY_INVALID', message, { cause }));
    }
  }

  #takeText(message: ServerMessage): void {
    if (message.type === 'hello') {
      if (!(message.heartbeat_s > 0)) throw new Error(`a heartbeat each ${message.heartbeat_s} s`);
      this.#watchHeartbeats(message.heartbeat_s * 1000);
      this.#listener.onHello(message);
    } else if (message.type === 'series') {
      for (const info of message.series) this.#seriesByNumber.set(info.series, streamSeries(info));
    } else {
      this.#listener.onMessage(message);
    }
  }

  /** A timer that looks back costs less than one that each message sets anew. */
  #watchHeartbeats(heartbeatMs: number): void {
    clearTimeout(this.#watch);
    const silenceMs = HEARTBEATS_MISSED_MAX * heartbeatMs;
    const leftMs = this.#heardMs + silenceMs - performance.now();
    this.#watch = setTimeout(
      () => {
        if (performance.now() - this.#heardMs >= silenceMs) this.#end(silent(silenceMs));
        else this.#watchHeartbeats(heartbeatMs);
      },
      Math.max(1, leftMs),
    );
  }
}

function silent(silenceMs: number): CollectorClientError {
  const message = `The service said nothing for ${silenceMs / 1000} s.`;
  return new CollectorClientError(0, 'STREAM_SILENT', message);
}
