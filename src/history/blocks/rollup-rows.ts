import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  BytePageWriter,
  type BytePlace,
  bytesOf,
  firstPageOf,
  lastPageOf,
  type PageOfBytes,
  STORED,
  selectPages,
} from './byte-pages.ts';
import { type Rollup, RollupBuilder } from './rollup-builder.ts';
import { decodeRollup, encodeRollup } from './rollup-codec.ts';

/** The lengths of spans that rollups have, in seconds: what outlives the samples, and what outlives that. */
export const SECOND = 1;
export const MINUTE = 60;
export type SpanSeconds = typeof SECOND | typeof MINUTE;

/** A run of the history that has rollups: what was a segment, or several. */
export interface RollupSegment {
  readonly span_s: SpanSeconds;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly min_timestamp_us: number;
  readonly max_timestamp_us: number;
  /** Bytes of its rollups, without those of the rows around them. */
  readonly bytes: number;
}

/** What one series' samples come to. */
export interface SeriesRollup {
  readonly series: number;
  readonly rollup: Rollup;
}

interface RollupRow extends PageOfBytes {
  readonly id: number;
  readonly count: number;
}

/** A stored rollup of one series. */
export interface StoredRollup {
  /** For a message. */
  readonly name: string;
  /** Throws HistoryError HISTORY_BLOCK_CORRUPT. */
  decode(): Rollup;
}

/** Reads rollups. */
export class RollupReader {
  readonly #pages: StatementSync;

  constructor(database: DatabaseSync) {
    const where = 'span_s = ? AND first_seq = ? AND series = ?';
    this.#pages = database.prepare(selectPages(STORED.rollups, ['id', 'count'], where));
  }

  /** What a series' samples of a segment come to; null where that isn't stored. */
  find(spanS: SpanSeconds, firstSeq: number, series: number): StoredRollup | null {
    const rows = this.#pages.all(spanS, firstSeq, series) as unknown as RollupRow[];
    const [row] = rows;
    if (row === undefined) return null;
    return { name: `rollup ${row.id}`, decode: () => decodeRollup(bytesOf(rows), row.count) };
  }
}

/** The tables of rollups, as the writer uses them. */
export class RollupRows {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #insertSegment: StatementSync;
  readonly #lastPage: StatementSync;
  readonly #seriesOfSegment: StatementSync;
  readonly #delete: StatementSync;
  readonly #placesOfSegment: StatementSync;
  readonly #deletePages: StatementSync;
  readonly #deleteSegment: StatementSync;
  readonly #addBytes: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#insert = database.prepare(
      'INSERT INTO rollups (span_s, first_seq, series, count, first_byte, bytes) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#insertSegment = database.prepare('INSERT INTO rollup_segments VALUES (?, ?, ?, ?, ?, ?)');
    this.#addBytes = database.prepare(
      'UPDATE rollup_segments SET bytes = bytes + ? WHERE span_s = ? AND first_seq = ?',
    );
    this.#lastPage = database.prepare('SELECT max(id) AS page FROM rollup_pages');
    this.#placesOfSegment = database.prepare(
      'SELECT first_byte AS firstByte, bytes FROM rollups WHERE span_s = ? AND first_seq = ?',
    );
    this.#deletePages = database.prepare('DELETE FROM rollup_pages WHERE id BETWEEN ? AND ?');
    this.#seriesOfSegment = database.prepare('SELECT series FROM rollups WHERE span_s = ? AND first_seq = ?');
    this.#delete = database.prepare('DELETE FROM rollups WHERE span_s = ? AND first_seq = ?');
    this.#deleteSegment = database.prepare('DELETE FROM rollup_segments WHERE span_s = ? AND first_seq = ?');
  }

  insertSegment(segment: RollupSegment): void {
    const { span_s, first_seq, last_seq, min_timestamp_us, max_timestamp_us, bytes } = segment;
    this.#insertSegment.run(span_s, first_seq, last_seq, min_timestamp_us, max_timestamp_us, bytes);
  }

  /** Adds rollups to a segment that has been inserted. */
  insert(spanS: SpanSeconds, firstSeq: number, rollups: Iterable<SeriesRollup>): void {
    const { page: lastPage } = this.#lastPage.get() as { page: number | null };
    const pages = new BytePageWriter(this.#database, STORED.rollups, lastPage === null ? 0 : lastPage + 1);
    let first: BytePlace | undefined;
    let last: BytePlace | undefined;
    let bytes = 0;
    for (const { series, rollup } of rollups) {
      last = pages.append(encodeRollup(rollup));
      first ??= last;
      this.#insert.run(spanS, firstSeq, series, rollup.span.length, last.firstByte, last.bytes);
      bytes += last.bytes;
    }
    if (first === undefined || last === undefined) return;
    pages.write(first, last);
    this.#addBytes.run(bytes, spanS, firstSeq);
  }

  /** The series that have a rollup of the segment. */
  seriesOf(spanS: SpanSeconds, firstSeq: number): ReadonlySet<number> {
    const rows = this.#seriesOfSegment.all(spanS, firstSeq) as unknown as { series: number }[];
    return new Set(rows.map(({ series }) => series));
  }

  delete(spanS: SpanSeconds, firstSeq: number): void {
    // Its pages hold nothing else.
    for (const place of this.#placesOfSegment.all(spanS, firstSeq) as unknown as BytePlace[]) {
      this.#deletePages.run(firstPageOf(place), lastPageOf(place));
    }
    this.#delete.run(spanS, firstSeq);
    this.#deleteSegment.run(spanS, firstSeq);
  }
}

/** Samples in spans of `spanS` seconds. */
export function rollUp(spanS: SpanSeconds, timestampUs: Float64Array, rawValue: Float64Array): Rollup {
  const builder = new RollupBuilder(spanS * 1_000_000);
  builder.addSamples(timestampUs, rawValue);
  return builder.build();
}
