import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';

export type LogCompression = 'none' | 'gzip' | 'zstd';

/** So many bytes of a file tell how it is compressed. */
const MAGIC_BYTES = 4;

/** What the beginning of a file may come to; more than a first line needs. */
const BEGINNING_BYTES_MAX = 64 * 1024 * 1024;

/** By the first bytes of a file, as its name may lie. */
export function logCompressionOf(beginning: Uint8Array): LogCompression {
  if (beginning[0] === 0x1f && beginning[1] === 0x8b) return 'gzip';
  if (beginning.length < MAGIC_BYTES) return 'none';
  const [first, second, third, fourth] = beginning;
  if (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd) return 'zstd';
  if ((first! & 0xf0) === 0x50 && second === 0x2a && third === 0x4d && fourth === 0x18) return 'zstd';
  return 'none';
}

/** The text that a file begins with, of which these are the first bytes; less of it, or nothing, where it is damaged. */
export function textOfBeginning(beginning: Uint8Array): Uint8Array {
  const compression = logCompressionOf(beginning);
  const maxOutputLength = BEGINNING_BYTES_MAX;
  try {
    if (compression === 'gzip') {
      return gunzipSync(beginning, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength });
    }
    if (compression === 'zstd') {
      return zstdDecompressSync(beginning, { finishFlush: constants.ZSTD_e_continue, maxOutputLength });
    }
    return beginning;
  } catch {
    return new Uint8Array();
  }
}
