import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { corrupt } from './byte-reader.ts';

/**
 * Blocks and rollups are byte strings of all lengths. As rows of their own they would leave a fourteenth of the
 * file empty, at the ends of their pages. So their bytes follow each other in a table of pages, `id` and
 * `bytes`, each row of which fills a page of the database; a row of their own says where they begin.
 */

/**
 * Bytes that a page holds: SQLite keeps 4,061 bytes of a row in a page of 4,096 (sqlite.org/fileformat2.html#b_tree_pages,
 * U - 35), and 4 of these say of what kind its columns are.
 */
export const PAGE_CONTENT_BYTES = 4057;

/** A table of byte strings, with the columns `first_byte` and `bytes`, and that of their pages. */
export const STORED = {
  blocks: { strings: 'blocks', pages: 'block_pages' },
  rollups: { strings: 'rollups', pages: 'rollup_pages' },
} as const;
export type StoredStrings = (typeof STORED)[keyof typeof STORED];

/** Where a byte string lies. Page n holds the bytes from n × PAGE_CONTENT_BYTES on. */
export interface BytePlace {
  readonly firstByte: number;
  /** At least 1. */
  readonly bytes: number;
}

/**
 * Gathers byte strings and writes them page by page. A transaction that is undone leaves the bytes as they are,
 * to be written again.
 */
export class BytePageWriter {
  readonly #insert: StatementSync;
  readonly #deleteFrom: StatementSync;
  #bytes = new Uint8Array(0);
  #count = 0;
  #firstPage: number;

  /** `firstPage` is the first that is free. */
  constructor(database: DatabaseSync, { pages }: StoredStrings, firstPage: number) {
    // Replacing: a transaction that is undone may bring pages back that nothing lies in.
    this.#insert = database.prepare(`INSERT OR REPLACE INTO ${pages} VALUES (?, ?)`);
    this.#deleteFrom = database.prepare(`DELETE FROM ${pages} WHERE id >= ?`);
    this.#firstPage = firstPage;
  }

  append(string: Uint8Array): BytePlace {
    const end = this.#count + string.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, end));
      grown.set(this.#bytes.subarray(0, this.#count));
      this.#bytes = grown;
    }
    this.#bytes.set(string, this.#count);
    const firstByte = this.#firstPage * PAGE_CONTENT_BYTES + this.#count;
    this.#count = end;
    return { firstByte, bytes: string.length };
  }

  /** Writes the pages that hold the bytes from one string up to the end of another. */
  write(from: BytePlace, to: BytePlace): void {
    const origin = this.#firstPage * PAGE_CONTENT_BYTES;
    const lastPage = lastPageOf(to);
    for (let page = firstPageOf(from); page <= lastPage; page++) {
      const start = page * PAGE_CONTENT_BYTES - origin;
      const end = Math.min(start + PAGE_CONTENT_BYTES, to.firstByte + to.bytes - origin);
      this.#insert.run(page, this.#bytes.subarray(start, end));
    }
  }

  /** What was gathered is stored: what comes then begins with a page of its own. */
  complete(): void {
    this.#firstPage += Math.ceil(this.#count / PAGE_CONTENT_BYTES);
    this.#count = 0;
  }

  /** Gives up what was gathered. */
  forget(): void {
    this.#count = 0;
  }

  /** Deletes what was written since the last time that all was complete. */
  deleteUnfinished(): void {
    this.#deleteFrom.run(this.#firstPage);
  }
}

/** A row of what selectPages makes. */
export interface PageOfBytes extends BytePlace {
  /** Null where none is there. */
  readonly page: Uint8Array | null;
}

/** Selects the pages of the byte string of one row, which `where` tells, in their order, with more of its columns. */
export function selectPages(
  { strings, pages }: StoredStrings,
  columns: readonly string[],
  where: string,
): string {
  return `
    SELECT ${columns.map((column) => `${strings}.${column}, `).join('')}
      first_byte AS firstByte, ${strings}.bytes AS bytes, ${pages}.bytes AS page
    FROM ${strings} LEFT JOIN ${pages} ON ${pages}.id BETWEEN
      first_byte / ${PAGE_CONTENT_BYTES} AND (first_byte + ${strings}.bytes - 1) / ${PAGE_CONTENT_BYTES}
    WHERE ${where} ORDER BY ${pages}.id`;
}

/** A byte string, out of all of its pages. Throws HistoryError HISTORY_BLOCK_CORRUPT. */
export function bytesOf(pages: readonly PageOfBytes[]): Uint8Array {
  const [place] = pages;
  if (place === undefined || place.page === null) throw corrupt('none of its pages is there');
  let from = place.firstByte % PAGE_CONTENT_BYTES;
  if (pages.length === 1 && from + place.bytes <= place.page.length) {
    return place.page.subarray(from, from + place.bytes);
  }
  const bytes = new Uint8Array(place.bytes);
  let count = 0;
  for (const { page } of pages) {
    const part = page!.subarray(from, from + place.bytes - count);
    bytes.set(part, count);
    count += part.length;
    from = 0;
  }
  if (count !== place.bytes) throw corrupt(`${count} of its ${place.bytes} bytes are there`);
  return bytes;
}

export function firstPageOf({ firstByte }: BytePlace): number {
  return Math.floor(firstByte / PAGE_CONTENT_BYTES);
}

export function lastPageOf({ firstByte, bytes }: BytePlace): number {
  return Math.floor((firstByte + bytes - 1) / PAGE_CONTENT_BYTES);
}
