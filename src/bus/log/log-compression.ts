import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';

export type LogCompression = 'none' | 'gzip' | 'zstd';

/** So many bytes of a file tell what it is. */
export const MAGIC_BYTES = 5;

/** What files begin with that people take for logs as they are read here. */
const OTHER_FORMATS: readonly (readonly [magic: string, what: string])[] = [
  ['\xfd7zXZ', 'compressed with xz (unpack it: xz -dk FILE)'],
  ['BZh', 'compressed with bzip2 (unpack it: bzip2 -dk FILE)'],
  ['\x04\x22\x4d\x18', 'compressed with lz4 (unpack it: lz4 -dk FILE)'],
  ['PK\x03\x04', 'a zip archive (unpack it: unzip FILE)'],
  ['\xff\xfe', 'text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8 FILE)'],
  ['\xfe\xff', 'text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8 FILE)'],
  ['LOGG', "a BLF log of Vector's (python-can converts it: can_logconvert FILE drive.log)"],
  ['MDF ', 'an MDF log (python-can converts it: can_logconvert FILE drive.log)'],
  ['\xd4\xc3\xb2\xa1', 'a capture of pcap (read it with Wireshark)'],
  ['\x0a\x0d\x0d\x0a', 'a capture of pcapng (read it with Wireshark)'],
];

/** What the beginning of a file may come to; more than a first line needs. */
const BEGINNING_BYTES_MAX = 64 * 1024 * 1024;

/** By the first bytes of a file, as its name may lie. */
export function logCompressionOf(beginning: Uint8Array): LogCompression {
  if (beginning[0] === 0x1f && beginning[1] === 0x8b) return 'gzip';
  if (beginning.length < 4) return 'none';
  const [first, second, third, fourth] = beginning;
  if (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd) return 'zstd';
  if ((first! & 0xf0) === 0x50 && second === 0x2a && third === 0x4d && fourth === 0x18) return 'zstd';
  return 'none';
}

/** What a file is that can't be read as a log, by its first bytes; null where it may be one. */
export function otherFormatOf(beginning: Uint8Array): string | null {
  const text = Buffer.from(beginning.subarray(0, MAGIC_BYTES)).toString('latin1');
  return OTHER_FORMATS.find(([magic]) => text.startsWith(magic))?.[1] ?? null;
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
