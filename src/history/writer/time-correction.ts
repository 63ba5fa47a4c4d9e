import type { DatabaseSync } from 'node:sqlite';
import { decodeChunk, encodeChunk } from '../blocks/chunk-codec.ts';
import { RollupReader, RollupRows, type RollupSegment } from '../blocks/rollup-rows.ts';
import { chunkName, type WholeChunkRow } from '../blocks/sample-runs.ts';
import { type OnDamage, readable } from '../database/damage.ts';

/** Samples whose timestamps are moved, by sequence number. */
export interface Correction {
  readonly fromSeq: number;
  /** Exclusive. */
  readonly toSeq: number;
  readonly shiftUs: number;
}

/**
 * Moves the timestamps of stored samples, within the caller's transaction; returns how many that were. What the samples
 * are written in stays as it is, but for chunks that hold whole timestamps: a chunk has its first timestamp beside it, a
 * block what is to be added to its own. So this writes 70 bytes for each of a segment's blocks, and a page for each chunk.
 *
 * Rollups are of whole seconds, which a shift cuts across. Where there are samples they are deleted: plots read these, and
 * the rollups are made when the samples are dropped. Where there are none any more, they are moved by whole spans.
 *
 * No segment may lie across an end of the span.
 */
export function correctTimes(database: DatabaseSync, correction: Correction, onDamage: OnDamage): number {
  const { fromSeq, toSeq, shiftUs } = correction;
  const span = [fromSeq, toSeq] as const;
  const segments = database
    .prepare(
      `SELECT coalesce(sum(count), 0) AS samples, min(first_block) AS first_block, max(last_block) AS last_block
       FROM segments WHERE first_seq >= ? AND last_seq < ?`,
    )
    .get(...span) as { samples: number; first_block: number | null; last_block: number | null };
  database
    .prepare(
      `UPDATE blocks SET shift_us = shift_us + :shift, min_timestamp_us = min_timestamp_us + :shift,
         max_timestamp_us = max_timestamp_us + :shift WHERE id BETWEEN :first AND :last`,
    )
    .run({ shift: shiftUs, first: segments.first_block, last: segments.last_block });
  database
    .prepare(
      `UPDATE segments SET min_timestamp_us = min_timestamp_us + :shift,
         max_timestamp_us = max_timestamp_us + :shift WHERE first_seq >= :from AND last_seq < :to`,
    )
    .run({ shift: shiftUs, from: fromSeq, to: toSeq });
  correctWholeTimestamps(database, correction, onDamage);
  const chunks = database
    .prepare('SELECT coalesce(sum(count), 0) AS samples FROM chunks WHERE first_seq >= ? AND first_seq < ?')
    .get(...span) as { samples: number };
  database
    .prepare(
      `UPDATE chunks SET base_timestamp_us = base_timestamp_us + :shift,
         min_timestamp_us = min_timestamp_us + :shift, max_timestamp_us = max_timestamp_us + :shift
       WHERE first_seq >= :from AND first_seq < :to`,
    )
    .run({ shift: shiftUs, from: fromSeq, to: toSeq });
  correctRollups(database, correction, onDamage);
  return segments.samples + chunks.samples;
}

/** Of chunks whose clock went back, which have no offsets from their first timestamp. */
function correctWholeTimestamps(
  database: DatabaseSync,
  { fromSeq, toSeq, shiftUs }: Correction,
  onDamage: OnDamage,
): void {
  const find = database.prepare(
    `SELECT first_seq, count, base_timestamp_us, samples FROM chunks
     WHERE first_seq > ? AND first_seq < ? AND substr(samples, 2, 1) = x'00' ORDER BY first_seq LIMIT 1`,
  );
  const update = database.prepare('UPDATE chunks SET samples = ? WHERE first_seq = ?');
  let after = fromSeq - 1;
  for (;;) {
    const row = find.get(after, toSeq) as WholeChunkRow | undefined;
    if (row === undefined) return;
    after = row.first_seq;
    const columns = readable(chunkName(row.first_seq, row.count), onDamage, () =>
      decodeChunk(row.samples, row.count, row.base_timestamp_us),
    );
    if (columns === null) continue;
    const timestampUs = columns.timestampUs.map((us) => us + shiftUs);
    update.run(encodeChunk({ ...columns, timestampUs }).bytes, row.first_seq);
  }
}

function correctRollups(
  database: DatabaseSync,
  { fromSeq, toSeq, shiftUs }: Correction,
  onDamage: OnDamage,
): void {
  const rows = new RollupRows(database);
  const reader = new RollupReader(database);
  const stored = database
    .prepare(
      `SELECT *, first_seq IN (SELECT first_seq FROM segments) AS has_samples FROM rollup_segments
       WHERE first_seq >= ? AND last_seq < ?`,
    )
    .all(fromSeq, toSeq) as unknown as (RollupSegment & { has_samples: 0 | 1 })[];
  for (const { has_samples, ...segment } of stored) {
    const { span_s, first_seq } = segment;
    if (has_samples === 1) {
      rows.delete(span_s, first_seq);
      continue;
    }
    const spans = Math.round(shiftUs / (span_s * 1_000_000));
    const moved = [...rows.seriesOf(span_s, first_seq)].flatMap((series) => {
      const { name, decode } = reader.find(span_s, first_seq, series)!;
      const rollup = readable(name, onDamage, decode);
      if (rollup === null) return [];
      return [{ series, rollup: { ...rollup, span: rollup.span.map((span) => span + spans) } }];
    });
    rows.delete(span_s, first_seq);
    rows.insertSegment({
      ...segment,
      min_timestamp_us: segment.min_timestamp_us + shiftUs,
      max_timestamp_us: segment.max_timestamp_us + shiftUs,
      bytes: 0,
    });
    rows.insert(span_s, first_seq, moved);
  }
}
