import type { DatabaseSync, StatementSync } from 'node:sqlite';
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

interface RollupRow {
  readonly id: number;
  readonly series: number;
  readonly count: number;
  readonly spans: Uint8Array;
}

/** A stored rollup of one series. */
export interface StoredRollup {
  readonly series: number;
  /** For a message. */
  readonly name: string;
  /** Throws HistoryError HISTORY_BLOCK_CORRUPT. */
  decode(): Rollup;
}

/** The tables of rollups, as the writer uses them. */
export class RollupRows {
  readonly #insert: StatementSync;
  readonly #insertSegment: StatementSync;
  readonly #ofSegment: StatementSync;
  readonly #seriesOfSegment: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteSegment: StatementSync;
  readonly #addBytes: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(
      'INSERT INTO rollups (span_s, first_seq, series, count, spans) VALUES (?, ?, ?, ?, ?)',
    );
    this.#insertSegment = database.prepare('INSERT INTO rollup_segments VALUES (?, ?, ?, ?, ?, ?)');
    this.#addBytes = database.prepare(
      'UPDATE rollup_segments SET bytes = bytes + ? WHERE span_s = ? AND first_seq = ?',
    );
    this.#ofSegment = database.prepare(
      'SELECT id, series, count, spans FROM rollups WHERE span_s = ? AND first_seq = ?',
    );
    this.#seriesOfSegment = database.prepare('SELECT series FROM rollups WHERE span_s = ? AND first_seq = ?');
    this.#delete = database.prepare('DELETE FROM rollups WHERE span_s = ? AND first_seq = ?');
    this.#deleteSegment = database.prepare('DELETE FROM rollup_segments WHERE span_s = ? AND first_seq = ?');
  }

  insertSegment(segment: RollupSegment): void {
    const { span_s, first_seq, last_seq, min_timestamp_us, max_timestamp_us, bytes } = segment;
    this.#insertSegment.run(span_s, first_seq, last_seq, min_timestamp_us, max_timestamp_us, bytes);
  }

  /** Adds a rollup to a segment that has been inserted; returns its bytes. */
  insert(spanS: SpanSeconds, firstSeq: number, series: number, rollup: Rollup): number {
    const spans = encodeRollup(rollup);
    this.#insert.run(spanS, firstSeq, series, rollup.span.length, spans);
    this.#addBytes.run(spans.byteLength, spanS, firstSeq);
    return spans.byteLength;
  }

  /** The series that have a rollup of the segment. */
  seriesOf(spanS: SpanSeconds, firstSeq: number): ReadonlySet<number> {
    const rows = this.#seriesOfSegment.all(spanS, firstSeq) as unknown as { series: number }[];
    return new Set(rows.map(({ series }) => series));
  }

  of(spanS: SpanSeconds, firstSeq: number): StoredRollup[] {
    return (this.#ofSegment.all(spanS, firstSeq) as unknown as RollupRow[]).map(storedRollup);
  }

  delete(spanS: SpanSeconds, firstSeq: number): void {
    this.#delete.run(spanS, firstSeq);
    this.#deleteSegment.run(spanS, firstSeq);
  }
}

export function storedRollup({ id, series, count, spans }: RollupRow): StoredRollup {
  return { series, name: `rollup ${id}`, decode: () => decodeRollup(spans, count) };
}

/** Samples in spans of `spanS` seconds. */
export function rollUp(spanS: SpanSeconds, timestampUs: Float64Array, rawValue: Float64Array): Rollup {
  const builder = new RollupBuilder(spanS * 1_000_000);
  builder.addSamples(timestampUs, rawValue);
  return builder.build();
}
