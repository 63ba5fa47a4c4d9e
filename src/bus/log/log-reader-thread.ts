import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { pipeline, Readable, type Transform } from 'node:stream';
import { workerData } from 'node:worker_threads';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errorMessage } from '../../shared/errors.ts';
import { LOG_DECOMPRESSED_BYTES } from '../../shared/limits.ts';
import {
  LOG_READER_END,
  LOG_READER_SLOTS,
  LOG_READER_WORDS,
  type LogReaderData,
  TORN_MARK,
} from './log-reader-messages.ts';
import { ZstdFrames } from './zstd-frames.ts';

/**
 * Decompresses a log for the driver, which can't: Node does that piece by piece only where an event loop turns, and a
 * bus's thread has none. Each piece goes into a slot of shared memory as soon as that is free.
 */

const { path, compression, shared } = workerData as LogReaderData;
const words = new Int32Array(shared, 0, LOG_READER_WORDS.COUNT);
const slots = Array.from(
  { length: LOG_READER_SLOTS },
  (_, slot) =>
    new Uint8Array(
      shared,
      4 * LOG_READER_WORDS.COUNT + slot * LOG_DECOMPRESSED_BYTES,
      LOG_DECOMPRESSED_BYTES,
    ),
);
let slot = 0;

class NobodyReads extends Error {}

function put(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += LOG_DECOMPRESSED_BYTES) {
    const part = bytes.subarray(at, at + LOG_DECOMPRESSED_BYTES);
    waitForSlot();
    slots[slot]!.set(part);
    fill(part.length);
  }
}

function waitForSlot(): void {
  for (;;) {
    if (Atomics.load(words, LOG_READER_WORDS.CLOSED) === 1) throw new NobodyReads();
    const used = Atomics.load(words, LOG_READER_WORDS.SLOTS + slot);
    if (used === 0) return;
    Atomics.wait(words, LOG_READER_WORDS.SLOTS + slot, used);
  }
}

function fill(value: number): void {
  Atomics.store(words, LOG_READER_WORDS.SLOTS + slot, value);
  Atomics.notify(words, LOG_READER_WORDS.SLOTS + slot);
  slot = (slot + 1) % LOG_READER_SLOTS;
}

function putTorn(): void {
  Atomics.add(words, LOG_READER_WORDS.DAMAGES, 1);
  put(Buffer.from(TORN_MARK));
}

/** A file of zstd frames, of which each that is sound is read, whatever the others are. */
class ZstdFile {
  readonly #fd = openSync(path, 'r');
  readonly #frames = new ZstdFrames();
  #bytes = new Uint8Array();
  #at = 0;

  /** Whether anything follows. */
  hasMore(): boolean {
    if (this.#at < this.#bytes.length) return true;
    const bytes = new Uint8Array(LOG_DECOMPRESSED_BYTES);
    this.#bytes = bytes.subarray(0, readSync(this.#fd, bytes));
    this.#at = 0;
    return this.#bytes.length > 0;
  }

  /** The rest of the frame that was begun, or the next one. Throws where none can begin. */
  *restOfFrame(): Generator<Uint8Array> {
    do {
      if (!this.hasMore()) return;
      const start = this.#at;
      this.#at = this.#frames.take(this.#bytes, start);
      yield this.#bytes.subarray(start, this.#at);
    } while (!this.#frames.isAtEnd);
  }

  get isBetweenFrames(): boolean {
    return this.#frames.isAtEnd;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

async function readZstd(): Promise<void> {
  const file = new ZstdFile();
  try {
    while (file.hasMore()) {
      try {
        await decompress(Readable.from(file.restOfFrame()), createZstdDecompress());
      } catch (error) {
        if (error instanceof NobodyReads) throw error;
        putTorn();
        // Throws where the frame doesn't say where it ends: then what follows can't be told apart.
        if (!file.isBetweenFrames) for (const _ of file.restOfFrame());
      }
    }
  } catch (error) {
    // What follows a part that is no zstd was told of; an error of the disk is another matter.
    if (error instanceof NobodyReads || 'code' in (error as object)) throw error;
  } finally {
    file.close();
  }
}

async function readGzip(): Promise<void> {
  try {
    await decompress(createReadStream(path), createGunzip());
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    if (!code.startsWith('Z_')) throw error;
    putTorn();
  }
}

async function decompress(source: Readable, decoder: Transform): Promise<void> {
  for await (const text of pipeline(source, decoder, () => {})) put(text as Uint8Array);
}

async function run(): Promise<void> {
  try {
    await (compression === 'zstd' ? readZstd() : readGzip());
    waitForSlot();
    fill(LOG_READER_END.ENDED);
  } catch (error) {
    if (error instanceof NobodyReads) throw error;
    waitForSlot();
    slots[slot]!.fill(0);
    new TextEncoder().encodeInto(errorMessage(error), slots[slot]!.subarray(0, -1));
    fill(LOG_READER_END.FAILED);
  }
}

await run().catch((error) => {
  if (!(error instanceof NobodyReads)) throw error;
});
