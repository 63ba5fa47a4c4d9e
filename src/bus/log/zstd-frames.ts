/** How much of each part of a frame there is, and what follows it; RFC 8878, 3.1. */
type Part = 'magic' | 'descriptor' | 'header' | 'block-header' | 'block' | 'checksum' | 'skip-size' | 'skip';

const MAGIC = 0xfd2fb528;
/** Frames of any content that isn't compressed data, with 16 different magic numbers. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_TYPE_RLE = 1;
const BLOCK_TYPE_RESERVED = 3;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;

/**
 * Finds where the frames of a zstd file end, without decompressing them: what Node's zlib decompresses ends with
 * the first.
 */
export class ZstdFrames {
  #part: Part = 'magic';
  /** Bytes of the part that are still to come. */
  #left = 4;
  /** The number that the part's bytes make, the lowest first; of parts of up to 4 bytes. */
  #value = 0;
  #valueBytes = 0;
  #hasChecksum = false;
  #isLastBlock = false;

  /** Whether the last take() ended with a frame. */
  isAtEnd = true;

  /**
   * Goes through the bytes from `at` on up to the end of a frame, and returns where that is, or their end. Throws where
   * they can't be a zstd frame.
   */
  take(bytes: Uint8Array, at: number): number {
    this.isAtEnd = false;
    let index = at;
    while (index < bytes.length) {
      if (isNumber(this.#part)) {
        this.#value += bytes[index++]! * 2 ** (8 * this.#valueBytes++);
        this.#left--;
      } else {
        const taken = Math.min(this.#left, bytes.length - index);
        index += taken;
        this.#left -= taken;
      }
      // A part may have no bytes at all.
      while (this.#left === 0) {
        if (this.#goOn()) {
          this.isAtEnd = true;
          return index;
        }
      }
    }
    return index;
  }

  /** Begins the part that follows; whether the frame has ended instead. */
  #goOn(): boolean {
    const value = this.#value;
    switch (this.#part) {
      case 'magic':
        if (value === MAGIC) return this.#begin('descriptor', 1);
        if (value - (value % 16) === SKIPPABLE_MAGIC) return this.#begin('skip-size', 4);
        throw new Error('there is no zstd frame where one should begin');
      case 'descriptor':
        return this.#begin('header', this.#headerBytes(value));
      case 'header':
        return this.#begin('block-header', 3);
      case 'block-header': {
        const type = (value >> 1) & 3;
        if (type === BLOCK_TYPE_RESERVED) throw new Error('a zstd block is of no known type');
        this.#isLastBlock = (value & 1) === 1;
        return this.#begin('block', type === BLOCK_TYPE_RLE ? 1 : value >> 3);
      }
      case 'block':
        if (!this.#isLastBlock) return this.#begin('block-header', 3);
        return this.#begin('checksum', this.#hasChecksum ? 4 : 0);
      case 'skip-size':
        return this.#begin('skip', value);
      case 'checksum':
      case 'skip':
        this.#begin('magic', 4);
        return true;
    }
  }

  #begin(part: Part, bytes: number): false {
    this.#part = part;
    this.#left = bytes;
    this.#value = 0;
    this.#valueBytes = 0;
    return false;
  }

  #headerBytes(descriptor: number): number {
    const isSingleSegment = (descriptor & 0x20) !== 0;
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    const sizeCode = descriptor >> 6;
    const contentSizeBytes = sizeCode === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeCode;
    return (
      (isSingleSegment ? 0 : 1) + DICTIONARY_ID_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3] + contentSizeBytes
    );
  }
}

function isNumber(part: Part): boolean {
  return part === 'magic' || part === 'descriptor' || part === 'block-header' || part === 'skip-size';
}
