import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LEADER_CLOCKS_KEPT } from '../../shared/limits.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import { type BlockClock, type BlockColumns, decodeBlock, decodeClock } from './block-codec.ts';
import { bytesOf, type PageOfBytes, STORED, selectPages } from './byte-pages.ts';
import { corrupt } from './byte-reader.ts';

/** What tells how a block is read. */
export interface BlockHeader {
  readonly id: number;
  readonly count: number;
  /** The block by whose clock this one's is told. */
  readonly leader: number | null;
}

interface BlockRow extends PageOfBytes {
  readonly count: number;
  readonly shift_us: number;
}

/** Reads blocks, each with the clock that it follows. */
export class BlockReader {
  readonly #pages: StatementSync;
  readonly #quarantined: StatementSync;
  readonly #onDamage: OnDamage;
  /** Of those who follow nobody, the latest; a leader's followers are read soon after it. */
  readonly #clocks = new Map<number, BlockClock>();
  /** Blocks that were found to be damaged before: nobody needs to be told again. */
  readonly #passedOver = new Set<number>();

  constructor(database: DatabaseSync, onDamage: OnDamage) {
    this.#pages = database.prepare(selectPages(STORED.blocks, ['count', 'shift_us'], 'blocks.id = ?'));
    this.#quarantined = database.prepare('SELECT id FROM quarantined_blocks');
    this.#onDamage = onDamage;
  }

  /** Begins to read in a snapshot of the database. */
  begin(): void {
    for (const { id } of this.#quarantined.all() as unknown as { id: number }[]) this.#passedOver.add(id);
  }

  /** Ends it: another snapshot may have other blocks under the same ids. */
  end(): void {
    this.#clocks.clear();
    this.#passedOver.clear();
  }

  /**
   * A block's samples, in columns of the caller's if it gives some that are as long; null where they can't be
   * read, which is told. Columns that it gives of its own are not to be changed.
   */
  read({ id, count, leader }: BlockHeader, into?: BlockColumns): BlockColumns | null {
    if (this.#passedOver.has(id)) return null;
    return readable(
      `block ${id}`,
      this.#onDamage,
      () => {
        const clock = leader === null ? undefined : this.#clockOf(leader);
        const { bytes, shiftUs } = this.#bytesOf(id);
        const columns = decodeBlock(bytes, count, clock, into);
        // As it is written: its followers are told by that.
        if (leader === null && into === undefined) this.#keep(id, columns);
        return shiftUs === 0 ? columns : shifted(columns, shiftUs, into !== undefined);
      },
      id,
    );
  }

  #clockOf(leader: number): BlockClock {
    const kept = this.#clocks.get(leader);
    if (kept !== undefined) return kept;
    const { bytes, count } = this.#bytesOf(leader);
    const clock = decodeClock(bytes, count);
    this.#keep(leader, clock);
    return clock;
  }

  #bytesOf(id: number): { readonly bytes: Uint8Array; readonly count: number; readonly shiftUs: number } {
    const rows = this.#pages.all(id) as unknown as BlockRow[];
    const [first] = rows;
    if (first === undefined) throw corrupt(`block ${id} is not there`);
    return { bytes: bytesOf(rows), count: first.count, shiftUs: first.shift_us };
  }

  #keep(id: number, { seq, timestampUs }: BlockClock): void {
    if (this.#clocks.size === LEADER_CLOCKS_KEPT) this.#clocks.delete(this.#clocks.keys().next().value!);
    this.#clocks.set(id, { seq, timestampUs });
  }
}

/** With timestamps moved: in place, or in a column of their own. */
function shifted(columns: BlockColumns, shiftUs: number, isInPlace: boolean): BlockColumns {
  const timestampUs = isInPlace ? columns.timestampUs : columns.timestampUs.slice();
  for (let at = 0; at < timestampUs.length; at++) timestampUs[at]! += shiftUs;
  return { ...columns, timestampUs };
}
