/** What a log reader's thread is started with. */
export interface LogReaderData {
  readonly path: string;
  readonly compression: 'gzip' | 'zstd';
  readonly shared: SharedArrayBuffer;
}

/**
 * The words of the shared memory, then LOG_READER_SLOTS slots of text. The word of a slot is the number of bytes in
 * it, 0 while it is free, or one of LOG_READER_END in place of more.
 */
export const LOG_READER_WORDS = {
  SLOTS: 0,
  /** 1 once nobody reads any more. */
  CLOSED: 2,
  /** Places at which the file can't be decompressed. */
  DAMAGES: 3,
  COUNT: 4,
} as const;

export const LOG_READER_SLOTS = 2;

export const LOG_READER_END = {
  /** The file has ended. */
  ENDED: -1,
  /** It can't be read: the slot holds the reason, from a zero byte on nothing. */
  FAILED: -2,
} as const;

/**
 * Follows text after which a part is missing: with it no line is one that a frame could be read of. Else
 * `123#DEADBEEF`, cut off, would be `123#DEAD`.
 */
export const TORN_MARK = '?\n';
