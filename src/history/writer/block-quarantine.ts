import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { BLOCKS_QUARANTINED_AT_ONCE_MAX } from '../../shared/limits.ts';
import { type BlockHeader, BlockReader } from '../blocks/block-reader.ts';

/**
 * Takes note of blocks that can't be read, so that readers pass over them. They stay where they are, as they
 * are: somebody may read them one day.
 */
export class BlockQuarantine {
  readonly #blocks: BlockReader;
  readonly #header: StatementSync;
  readonly #insert: StatementSync;
  /** What was found, by block. */
  readonly #pending = new Map<number, string>();

  constructor(database: DatabaseSync) {
    this.#blocks = new BlockReader(database, () => {});
    this.#header = database.prepare('SELECT id, count, leader FROM blocks WHERE id = ?');
    this.#insert = database.prepare('INSERT OR IGNORE INTO quarantined_blocks VALUES (?, ?)');
  }

  /** A reader couldn't read the block, in a snapshot that may be past: so it is looked at here again. */
  add(block: number, found: string): void {
    if (this.#pending.size === BLOCKS_QUARANTINED_AT_ONCE_MAX) return;
    try {
      const header = this.#header.get(block) as unknown as BlockHeader | undefined;
      if (header !== undefined && this.#blocks.read(header) === null) this.#pending.set(block, found);
    } catch {
      // What SQLite itself can't read isn't a block's damage; the next commit meets it.
    } finally {
      this.#blocks.end();
    }
  }

  get hasChanges(): boolean {
    return this.#pending.size > 0;
  }

  /** Within the transaction of a commit. */
  write(): void {
    for (const [block, found] of this.#pending) this.#insert.run(block, found);
  }

  /** The transaction is durable; one that is undone leaves it to the next. */
  committed(): void {
    this.#pending.clear();
  }
}
