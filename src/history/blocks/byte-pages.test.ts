import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import fc from 'fast-check';
import { PAGE_BYTES } from '../database/schema.ts';
import {
  BytePageWriter,
  type BytePlace,
  bytesOf,
  PAGE_CONTENT_BYTES,
  type PageOfBytes,
  STORED,
  selectPages,
} from './byte-pages.ts';

const TABLES = `
  CREATE TABLE blocks (id INTEGER PRIMARY KEY, count INTEGER, first_byte INTEGER, bytes INTEGER);
  CREATE TABLE block_pages (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
`;

function open() {
  const database = new DatabaseSync(':memory:');
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}; ${TABLES}`);
  const insertBlock = database.prepare('INSERT INTO blocks VALUES (?, 1, ?, ?)');
  const pagesOfBlock = database.prepare(selectPages(STORED.blocks, ['count'], 'blocks.id = ?'));
  return {
    database,
    insertBlock: (id: number, { firstByte, bytes }: BytePlace) => insertBlock.run(id, firstByte, bytes),
    read: (id: number) => bytesOf(pagesOfBlock.all(id) as unknown as PageOfBytes[]),
    pages: () =>
      database.prepare('SELECT id, length(bytes) AS bytes FROM block_pages ORDER BY id').all() as {
        id: number;
        bytes: number;
      }[],
  };
}

/** Bytes that differ from block to block. */
function block(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (seed * 31 + at * 7) & 255);
}

const sizes = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 3 * PAGE_CONTENT_BYTES }),
    fc.constantFrom(1, PAGE_CONTENT_BYTES - 1, PAGE_CONTENT_BYTES, PAGE_CONTENT_BYTES + 1),
  ),
  { minLength: 1, maxLength: 12 },
);

test('blocks come back as they were, however many were written at once', () => {
  fc.assert(
    fc.property(
      fc.array(sizes, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 5 }),
      (segments, step) => {
        const { database, insertBlock, read, pages } = open();
        const writer = new BytePageWriter(database, STORED.blocks, 0);
        const blocks: Uint8Array[] = [];
        for (const segment of segments) {
          const places = segment.map((length) => {
            blocks.push(block(blocks.length, length));
            return writer.append(blocks.at(-1)!);
          });
          places.forEach((place, at) => {
            insertBlock(blocks.length - places.length + at, place);
          });
          for (let at = 0; at < places.length; at += step) {
            writer.write(places[at]!, places[Math.min(at + step, places.length) - 1]!);
          }
          writer.complete();
        }
        blocks.forEach((expected, id) => {
          assert.deepEqual(read(id), expected);
        });
        // Only the last page of a segment may have room.
        const needed = segments.map((segment) => Math.ceil(sum(segment) / PAGE_CONTENT_BYTES));
        assert.equal(pages().length, sum(needed));
        assert.equal(sum(pages().map(({ bytes }) => bytes)), sum(segments.flat()));
        database.close();
      },
    ),
  );
});

test('a row fills a page of the database', () => {
  const { database } = open();
  const writer = new BytePageWriter(database, STORED.blocks, 2 ** 40);
  const place = writer.append(block(1, 100 * PAGE_CONTENT_BYTES));
  const before = pageCount(database);
  writer.write(place, place);
  // One page more is the root of the tree.
  assert.equal(pageCount(database) - before, 100);
  database.close();
});

test('what was not completed is deleted, and what has lost pages is corrupt', () => {
  const { database, insertBlock, pages, read } = open();
  const writer = new BytePageWriter(database, STORED.blocks, 0);
  for (const id of [0, 1, 2]) {
    const place = writer.append(block(id, PAGE_CONTENT_BYTES + 5));
    insertBlock(id, place);
    writer.write(place, place);
    if (id < 2) writer.complete();
  }
  assert.deepEqual(
    pages().map(({ id }) => id),
    [0, 1, 2, 3, 4, 5],
  );
  writer.deleteUnfinished();
  assert.deepEqual(
    pages().map(({ id }) => id),
    [0, 1, 2, 3],
  );
  database.exec('DELETE FROM block_pages WHERE id < 2');
  assert.deepEqual(
    pages().map(({ id }) => id),
    [2, 3],
  );
  assert.deepEqual(read(1), block(1, PAGE_CONTENT_BYTES + 5));
  database.exec('DELETE FROM block_pages WHERE id = 3');
  assert.throws(() => read(1), {
    code: 'HISTORY_BLOCK_CORRUPT',
    message: /4057 of its 4062 bytes are there/,
  });
  assert.throws(() => read(0), { code: 'HISTORY_BLOCK_CORRUPT', message: /none of its pages is there/ });
  database.close();
});

function pageCount(database: DatabaseSync): number {
  return Number(Object.values(database.prepare('PRAGMA page_count').get()!)[0]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
