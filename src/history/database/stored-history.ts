import type { DatabaseSync } from 'node:sqlite';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { SELECT_SERIES, type SeriesRow, seriesOfRow } from './series-rows.ts';

/** The latest sample of a series, as an earlier run left it. */
export interface StoredState {
  readonly series: number;
  readonly timestampUs: number;
  readonly rawValue: number;
  readonly count: number;
  /** The number of that sample; 0 where it isn't known. */
  readonly seq: number;
}

/** What earlier runs left. */
export interface LoadedHistory {
  /** In the order of their indexes. */
  readonly series: readonly SeriesRecord[];
  /** Their latest samples. */
  readonly states: readonly StoredState[];
  /** The number of the next sample. After a crash: those up to there may have been seen. */
  readonly nextSeq: number;
}

export function loadHistory(database: DatabaseSync): LoadedHistory {
  const series = database
    .prepare(`${SELECT_SERIES} ORDER BY id`)
    .all()
    .map((row) => seriesOfRow(row as unknown as SeriesRow));
  const states = database
    .prepare(
      'SELECT series, timestamp_us AS timestampUs, raw_value AS rawValue, count, seq FROM series_state',
    )
    .all()
    .map((row) => ({ ...row }) as unknown as StoredState);
  const { nextSeq } = database.prepare('SELECT max(next_seq, reserved_seq) AS nextSeq FROM totals').get() as {
    nextSeq: number;
  };
  return { series, states, nextSeq };
}
