import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { corrupt } from './byte-reader.ts';

/**
 * Bytes of blocks that a row of `block_pages` holds: as many as fill a page of the database, so that nothing
 * of it stays empty. SQLite keeps 4,061 bytes of a row in a page of 4,096 (sqlite.org/fileformat2.html#b_tree_pages,
 * U - 35), and 4 of these say of what kind its columns are. Blocks as rows of their own left a fourteenth empty.
 */
export const BLOCK_PAGE_BYTES = 4057;

/** Where a block's bytes lie: those of all blocks follow each other, each segment's from the start of a page on. */
export interface BlockPlace {
  /** Counted from page 0 on; page n holds those from n × BLOCK_PAGE_BYTES. */
  readonly firstByte: number;
  readonly bytes: number;
}

/**
 * Gathers the bytes of a segment's blocks and writes them page by page. A transaction that is undone leaves
 * the bytes as they are, to be written again.
 */
export class BlockPageWriter {
  readonly #insert: StatementSync;
  readonly #deleteFrom: StatementSync;
  #bytes = new Uint8Array(0);
  #count = 0;
  #firstPage: number;

  /** `firstPage` is the first that no segment has. */
  constructor(database: DatabaseSync, firstPage: number) {
    // Replacing: a transaction that is undone may bring pages back that belong to no segment.
    this.#insert = database.prepare('INSERT OR REPLACE INTO block_pages VALUES (?, ?)');
    this.#deleteFrom = database.prepare('DELETE FROM block_pages WHERE id >= ?');
    this.#firstPage = firstPage;
  }

  append(block: Uint8Array): BlockPlace {
    const end = this.#count + block.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, end));
      grown.set(this.#bytes.subarray(0, this.#count));
      this.#bytes = grown;
    }
    this.#bytes.set(block, this.#count);
    const firstByte = this.#firstPage * BLOCK_PAGE_BYTES + this.#count;
    this.#count = end;
    return { firstByte, bytes: block.length };
  }

  /** Writes the pages that hold the bytes from one place up to the end of another. */
  write(from: BlockPlace, to: BlockPlace): void {
    const origin = this.#firstPage * BLOCK_PAGE_BYTES;
    const lastPage = lastPageOf(to);
    for (let page = firstPageOf(from); page <= lastPage; page++) {
      const start = page * BLOCK_PAGE_BYTES - origin;
      const end = Math.min(start + BLOCK_PAGE_BYTES, to.firstByte + to.bytes - origin);
      this.#insert.run(page, this.#bytes.subarray(start, end));
    }
  }

  /** The segment is stored: the next one's bytes begin with a page of their own. */
  complete(): void {
    this.#firstPage += Math.ceil(this.#count / BLOCK_PAGE_BYTES);
    this.#count = 0;
  }

  /** Gives up what was gathered. */
  forget(): void {
    this.#count = 0;
  }

  /** Deletes what was written since the last segment that is complete. */
  deleteUnfinished(): void {
    this.#deleteFrom.run(this.#firstPage);
  }
}

/** A page with some of a block's bytes. */
export interface PageOfBlock extends BlockPlace {
  readonly page: Uint8Array;
}

/** Selects the pages of a block by its id, in their order, and how many samples the block has. */
export const PAGES_OF_BLOCK = `
  SELECT count, first_byte AS firstByte, blocks.bytes AS bytes, block_pages.bytes AS page
  FROM blocks JOIN block_pages ON block_pages.id BETWEEN
    first_byte / ${BLOCK_PAGE_BYTES} AND (first_byte + blocks.bytes - 1) / ${BLOCK_PAGE_BYTES}
  WHERE blocks.id = ? ORDER BY block_pages.id`;

/** A block's bytes, out of all of its pages. Throws HistoryError HISTORY_BLOCK_CORRUPT. */
export function bytesOfBlock(pages: readonly PageOfBlock[]): Uint8Array {
  const [place] = pages;
  if (place === undefined) throw corrupt('none of its pages is there');
  const start = place.firstByte % BLOCK_PAGE_BYTES;
  if (pages.length === 1 && start + place.bytes <= place.page.length) {
    return place.page.subarray(start, start + place.bytes);
  }
  const bytes = new Uint8Array(place.bytes);
  let at = 0;
  for (const { page } of pages) {
    const part = page.subarray(at === 0 ? start : 0, (at === 0 ? start : 0) + place.bytes - at);
    bytes.set(part, at);
    at += part.length;
  }
  if (at !== place.bytes) throw corrupt(`${at} of its ${place.bytes} bytes are there`);
  return bytes;
}

export function firstPageOf({ firstByte }: BlockPlace): number {
  return Math.floor(firstByte / BLOCK_PAGE_BYTES);
}

export function lastPageOf({ firstByte, bytes }: BlockPlace): number {
  return Math.floor((firstByte + bytes - 1) / BLOCK_PAGE_BYTES);
}

/** Deletes the pages of a segment, by the ids of its first and its last block. */
export const DELETE_PAGES_OF_BLOCKS = `
  DELETE FROM block_pages WHERE id BETWEEN
    (SELECT first_byte / ${BLOCK_PAGE_BYTES} FROM blocks WHERE id = ?) AND
    (SELECT (first_byte + bytes - 1) / ${BLOCK_PAGE_BYTES} FROM blocks WHERE id = ?)`;
