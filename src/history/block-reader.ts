import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type BlockClock, type BlockColumns, decodeBlock, decodeClock } from './block-codec.ts';
import { type OnDamage, readable } from './sample-runs.ts';

interface BlockRow {
  id: number;
  series: number;
  count: number;
  leader: number | null;
  samples: Uint8Array;
}

/** The samples of a block. */
export interface ReadBlock {
  readonly series: number;
  readonly columns: BlockColumns;
}

/** Reads blocks with the clocks of their leaders; what is damaged is told and passed over. */
export class BlockReader {
  readonly #onDamage: OnDamage;
  readonly #seriesBetween: StatementSync;
  readonly #block: StatementSync;

  constructor(database: DatabaseSync, onDamage: OnDamage) {
    this.#onDamage = onDamage;
    this.#seriesBetween = database.prepare('SELECT id, series FROM blocks WHERE id BETWEEN ? AND ?');
    this.#block = database.prepare('SELECT id, series, count, leader, samples FROM blocks WHERE id = ?');
  }

  /** The blocks of a segment, of the series that are wanted. */
  *between(first: number, last: number, isWanted: (series: number) => boolean): Generator<ReadBlock> {
    const clocks = new Map<number, BlockClock>();
    const all = this.#seriesBetween.all(first, last) as unknown as { id: number; series: number }[];
    for (const { id, series } of all) {
      if (!isWanted(series)) continue;
      const row = this.#block.get(id) as unknown as BlockRow;
      const columns = readable(`block ${id}`, this.#onDamage, () =>
        decodeBlock(row.samples, row.count, this.#leaderClock(row.leader, clocks)),
      );
      if (columns === null) continue;
      clocks.set(id, columns);
      yield { series, columns };
    }
  }

  #leaderClock(leader: number | null, clocks: Map<number, BlockClock>): BlockClock | undefined {
    if (leader === null) return undefined;
    let clock = clocks.get(leader);
    if (clock === undefined) {
      const row = this.#block.get(leader) as unknown as BlockRow;
      clock = decodeClock(row.samples, row.count);
      clocks.set(leader, clock);
    }
    return clock;
  }
}
