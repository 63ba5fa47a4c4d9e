import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { WAL_BYTES_MAX, WAL_TRUNCATE_INTERVAL_MS } from '../../shared/limits.ts';
import { BUSY_TIMEOUT_MS } from './database.ts';

/**
 * Keeps SQLite's log small. SQLite takes it over into the database file every WAL_CHECKPOINT_BYTES and then begins
 * it anew, unless a reader still looks at what it held: our own read for moments, but somebody's open sqlite3
 * prompt may for hours.
 */
export class WriteAheadLog {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #bytesMax: number;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: DatabaseSync, databasePath: string, bytesMax = WAL_BYTES_MAX) {
    this.#database = database;
    this.#path = logPath(databasePath);
    this.#bytesMax = bytesMax;
  }

  /**
   * Empties the log when it has grown too large, if no reader needs it; to be called between transactions.
   * `nowMs` is of a clock that never jumps. Throws what SQLite throws, but for readers.
   */
  trim(nowMs: number): void {
    if (fileBytes(this.#path) <= this.#bytesMax || nowMs - this.#triedAtMs < WAL_TRUNCATE_INTERVAL_MS) return;
    this.#triedAtMs = nowMs;
    // A reader isn't waited for: it may be there for hours. That it is there comes as an answer, not as an error.
    this.#database.exec('PRAGMA busy_timeout = 0');
    try {
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }
}

export function logPath(databasePath: string): string {
  return `${databasePath}-wal`;
}

/** 0 where there is no such file. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
