import { finished, type Readable, type Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  COMPRESSED_ANSWERS_MAX,
  COMPRESSED_STREAMS_MAX,
  COMPRESSION_BYTES_MIN,
  COMPRESSION_INLINE_BYTES_MAX,
} from '../shared/limits.ts';
import { type Encoding, encodingOf } from './accept-encoding.ts';
import type { ApiInstance } from './instance.ts';

const {
  ZSTD_c_compressionLevel: ZSTD_LEVEL,
  ZSTD_c_windowLog: ZSTD_WINDOW_LOG,
  ZSTD_e_flush,
  Z_SYNC_FLUSH,
} = zlib.constants;

/**
 * The lowest levels: text of ours shrinks to a tenth by them, and a level more takes longer and gains little. Samples as
 * JSON, 2.5 MB: zstd 1 14.4 to one at 950 MB/s; zstd 3 13.3 at 710; gzip 1 10.3 at 420; gzip 6 13.6 at 180;
 * brotli 4, 15.2 at 260. Who takes brotli takes gzip, too.
 */
const GZIP: zlib.ZlibOptions = { level: 1 };
const ZSTD: zlib.ZstdOptions = { params: { [ZSTD_LEVEL]: 1 } };

/** Of streams nobody knows how long they become, so zstd would set up tables for the longest: 128 KiB of window do. */
const ZSTD_STREAM: zlib.ZstdOptions = {
  flush: ZSTD_e_flush,
  params: { [ZSTD_LEVEL]: 1, [ZSTD_WINDOW_LOG]: 17 },
};

/** What is text; event streams aren't among it, as they would wait for more in the compressor of a proxy. */
const COMPRESSIBLE =
  /^(?:application\/(?:json|x-ndjson|openmetrics-text|javascript|xml|manifest\+json)|text\/(?:plain|csv|html|css|javascript|xml)|image\/svg\+xml)\s*(?:;|$)/i;

/** What /api/status tells of compression. */
export interface CompressionStatus {
  readonly answers: { readonly used: number; readonly max: number };
  readonly streams: { readonly used: number; readonly max: number };
  /** Answers and streams that were sent as they are, for want of a place. */
  readonly passedOver: number;
}

type Payload = string | Buffer | Readable | null | undefined;
type Done = (error: Error | null, payload?: Payload) => void;

/**
 * Compresses what the API answers, where the client takes it: texts of COMPRESSION_BYTES_MIN and more, and streams, of
 * which the client gets each piece at once. @fastify/compress holds pieces of a stream back until the compressor is full,
 * and gives gzip and zstd the same options, which mean different things to them.
 */
export class Compression {
  #answers = 0;
  #streams = 0;
  #passedOver = 0;

  /** Adds itself to all routes of the API, those that aren't there yet included. */
  addTo(api: ApiInstance): void {
    api.addHook('onSend', (request, reply, payload, done) => {
      this.#compress(request, reply, payload as Payload, done);
    });
  }

  status(): CompressionStatus {
    return {
      answers: { used: this.#answers, max: COMPRESSED_ANSWERS_MAX },
      streams: { used: this.#streams, max: COMPRESSED_STREAMS_MAX },
      passedOver: this.#passedOver,
    };
  }

  #compress(request: FastifyRequest, reply: FastifyReply, payload: Payload, done: Done): void {
    const encoding = chooseEncoding(request, reply);
    if (encoding === null || payload === null || payload === undefined) {
      done(null, payload);
    } else if (typeof payload === 'string' || Buffer.isBuffer(payload)) {
      const bytes = Buffer.byteLength(payload);
      if (bytes > COMPRESSION_INLINE_BYTES_MAX) this.#compressInPool(reply, payload, encoding, done);
      else done(null, bytes < COMPRESSION_BYTES_MIN ? payload : compressInline(reply, payload, encoding));
    } else {
      done(null, this.#compressStream(request, reply, payload, encoding));
    }
  }

  #compressInPool(reply: FastifyReply, payload: string | Buffer, encoding: Encoding, done: Done): void {
    if (this.#answers >= COMPRESSED_ANSWERS_MAX) {
      this.#passedOver++;
      done(null, payload);
      return;
    }
    this.#answers++;
    const take = (error: Error | null, compressed: Buffer) => {
      this.#answers--;
      if (error === null) reply.header('content-encoding', encoding);
      done(error, compressed);
    };
    if (encoding === 'zstd') zlib.zstdCompress(payload, ZSTD, take);
    else zlib.gzip(payload, GZIP, take);
  }

  #compressStream(
    request: FastifyRequest,
    reply: FastifyReply,
    source: Readable,
    encoding: Encoding,
  ): Readable {
    if (this.#streams >= COMPRESSED_STREAMS_MAX) {
      this.#passedOver++;
      return source;
    }
    reply.header('content-encoding', encoding).removeHeader('content-length');
    // The head is all that is wanted.
    if (request.method === 'HEAD') return source;
    this.#streams++;
    const compressor = createCompressor(encoding);
    finished(source, (error) => {
      if (!error || compressor.destroyed) return;
      // Where nothing was sent yet, the error is, and that isn't compressed.
      if (!reply.raw.headersSent) {
        reply.removeHeader('content-encoding');
        reply.raw.removeHeader('content-encoding');
      }
      compressor.destroy(error);
    });
    // Whether it has come to its end or the client has gone.
    compressor.once('close', () => {
      this.#streams--;
      source.destroy();
    });
    return source.pipe(compressor);
  }
}

/** The encoding for an answer; null where it goes out as it is. Either way the answer says that it depends on the client. */
function chooseEncoding(request: FastifyRequest, reply: FastifyReply): Encoding | null {
  const isUnchanged = reply.statusCode === 304;
  if (!isUnchanged && !COMPRESSIBLE.test(String(reply.getHeader('content-type')))) return null;
  varyByEncoding(reply);
  const isFinal = reply.hasHeader('content-encoding') || reply.hasHeader('content-range');
  return isFinal ? null : encodingOf(request.headers['accept-encoding']);
}

function compressInline(reply: FastifyReply, payload: string | Buffer, encoding: Encoding): Buffer {
  reply.header('content-encoding', encoding);
  return encoding === 'zstd' ? zlib.zstdCompressSync(payload, ZSTD) : zlib.gzipSync(payload, GZIP);
}

/** What is written is flushed: a page of a stream goes out when it is there, not when the next ones fill a buffer. */
function createCompressor(encoding: Encoding): Transform {
  return encoding === 'zstd'
    ? zlib.createZstdCompress(ZSTD_STREAM)
    : zlib.createGzip({ ...GZIP, flush: Z_SYNC_FLUSH });
}

/** Said of what was sent as it is, too: a cache must not give it to those who take it compressed, nor the reverse. */
function varyByEncoding(reply: FastifyReply): void {
  const vary = reply.getHeader('vary');
  if (vary === undefined) reply.header('vary', 'accept-encoding');
  else if (!/\*|\baccept-encoding\b/i.test(String(vary))) reply.header('vary', `${vary}, accept-encoding`);
}
