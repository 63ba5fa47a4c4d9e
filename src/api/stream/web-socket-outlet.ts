import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Outlet, SamplesHead, SubscriptionName } from './outlet.ts';
import type { SampleBody } from './sample-body.ts';
import { CAUSES, type ControlMessage, type Encoding } from './schemas.ts';

/** The first byte of a frame that is a whole message (RFC 6455, 5.2). */
const FRAME = { TEXT: 0x81, BINARY: 0x82 } as const;

/** What precedes the payload of a frame from a server, at most. */
const FRAME_HEADER_BYTES_MAX = 10;

const BINARY_VERSION = 1;
/** What precedes the columns of a binary message; a multiple of 8, so that they can be viewed where they lie. */
const BINARY_HEAD_BYTES = 24;

const SAMPLES_END = Buffer.from('}');

/**
 * A client over WebSocket. The handshake, pings, what the client says and the end are those of `ws`; our messages are
 * framed here and go to its socket beside it, so that the samples that many clients get are one piece of memory, which is
 * neither copied nor masked.
 */
export class WebSocketOutlet implements Outlet {
  readonly encoding: Encoding;
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;

  /** `socket` is the one below the WebSocket. */
  constructor(webSocket: WebSocket, socket: Duplex, encoding: Encoding) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.encoding = encoding;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  control(message: ControlMessage): number {
    return this.#write(FRAME.TEXT, JSON.stringify(message));
  }

  samples({ id, ordinal }: SubscriptionName, head: SamplesHead, body: SampleBody): number {
    return this.encoding === 'binary'
      ? this.#write(FRAME.BINARY, binaryHead(ordinal, head, body), body.columns())
      : this.#write(FRAME.TEXT, jsonHead(id, head), body.json(), SAMPLES_END);
  }

  #write(frame: number, head: string | Uint8Array, ...rest: readonly Uint8Array[]): number {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return 0;
    const headBytes = Buffer.byteLength(head);
    const payloadBytes = rest.reduce((bytes, part) => bytes + part.byteLength, headBytes);
    const first = Buffer.allocUnsafe(FRAME_HEADER_BYTES_MAX + headBytes);
    const at = writeFrameHeader(first, frame, payloadBytes);
    if (typeof head === 'string') first.write(head, at);
    else first.set(head, at);
    this.#socket.cork();
    this.#socket.write(first.subarray(0, at + headBytes));
    for (const part of rest) this.#socket.write(part);
    this.#socket.uncork();
    return at + payloadBytes;
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  ping(): boolean {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
    return true;
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }
}

/** Returns how long it is. */
function writeFrameHeader(target: Buffer, frame: number, payloadBytes: number): number {
  target[0] = frame;
  if (payloadBytes < 126) {
    target[1] = payloadBytes;
    return 2;
  }
  if (payloadBytes < 65_536) {
    target[1] = 126;
    target.writeUInt16BE(payloadBytes, 2);
    return 4;
  }
  target[1] = 127;
  target.writeUInt32BE(0, 2);
  target.writeUInt32BE(payloadBytes, 6);
  return FRAME_HEADER_BYTES_MAX;
}

function jsonHead(id: string, { cause, seq, missed, thinned }: SamplesHead): string {
  return (
    `{"type":"samples","id":${JSON.stringify(id)},"cause":"${cause}","seq":${seq}` +
    `,"missed":${missed},"thinned":${thinned},"samples":`
  );
}

function binaryHead(
  ordinal: number,
  { cause, seq, missed, thinned }: SamplesHead,
  body: SampleBody,
): Uint8Array {
  const head = Buffer.alloc(BINARY_HEAD_BYTES);
  head.writeUInt8(BINARY_VERSION, 0);
  head.writeUInt8(CAUSES.indexOf(cause), 1);
  head.writeUInt16LE(ordinal, 2);
  head.writeUInt32LE(body.count, 4);
  head.writeUInt32LE(countOf32Bits(missed), 8);
  head.writeUInt32LE(countOf32Bits(thinned), 12);
  head.writeDoubleLE(seq, 16);
  return head;
}

function countOf32Bits(count: number): number {
  return Math.min(count, 0xffff_ffff);
}
