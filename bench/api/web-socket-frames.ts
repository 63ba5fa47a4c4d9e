/** What RFC 6455 calls them. */
export const OPCODE = { TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Of a message's beginning: enough to see what it is. */
const START_BYTES_MAX = 192;
const HEADER_BYTES_MAX = 10;

export interface FrameSeen {
  readonly opcode: number;
  readonly payloadBytes: number;
  /** The first bytes of the payload. */
  readonly start: Buffer;
}

/**
 * Finds the frames in what a server sends, and looks at their beginnings alone: two hundred clients of one process are to
 * cost less than the service that they measure.
 */
export class FrameFinder {
  readonly #onFrame: (frame: FrameSeen) => void;
  readonly #seen = Buffer.allocUnsafe(HEADER_BYTES_MAX + START_BYTES_MAX);
  #seenBytes = 0;
  /** Of the frame that was told, still to come. */
  #skipBytes = 0;

  constructor(onFrame: (frame: FrameSeen) => void) {
    this.#onFrame = onFrame;
  }

  take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#skipBytes, chunk.length - at);
      this.#skipBytes -= skipped;
      at += skipped;
      const wanted = this.#bytesWanted() - this.#seenBytes;
      const piece = chunk.subarray(at, at + wanted);
      this.#seen.set(piece, this.#seenBytes);
      this.#seenBytes += piece.length;
      at += piece.length;
      if (piece.length > 0 && this.#seenBytes === this.#bytesWanted()) this.#tell();
    }
  }

  /** How many bytes have to be seen, as far as is known by now. */
  #bytesWanted(): number {
    if (this.#seenBytes < 2) return 2;
    const headerBytes = this.#headerBytes();
    if (this.#seenBytes < headerBytes) return headerBytes;
    return headerBytes + Math.min(this.#payloadBytes(), START_BYTES_MAX);
  }

  #tell(): void {
    const headerBytes = this.#headerBytes();
    const payloadBytes = this.#payloadBytes();
    this.#skipBytes = payloadBytes - (this.#seenBytes - headerBytes);
    const start = this.#seen.subarray(headerBytes, this.#seenBytes);
    this.#seenBytes = 0;
    this.#onFrame({ opcode: this.#seen[0]! & 0xf, payloadBytes, start });
  }

  #headerBytes(): number {
    const length = this.#seen[1]! & 0x7f;
    return length < 126 ? 2 : length === 126 ? 4 : HEADER_BYTES_MAX;
  }

  #payloadBytes(): number {
    const length = this.#seen[1]! & 0x7f;
    if (length < 126) return length;
    return length === 126 ? this.#seen.readUInt16BE(2) : Number(this.#seen.readBigUInt64BE(2));
  }
}

/** A frame as clients send it, masked: by zeros, which changes nothing. The payload has less than 64 KiB. */
export function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  const isShort = payload.length < 126;
  const header = Buffer.alloc(isShort ? 6 : 8);
  header[0] = 0x80 | opcode;
  header[1] = 0x80 | (isShort ? payload.length : 126);
  if (!isShort) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}
