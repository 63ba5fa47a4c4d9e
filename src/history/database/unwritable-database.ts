import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { checkContents } from './damaged-database.ts';
import { isOnReadOnlyDisk, openForReading } from './database.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { type LoadedHistory, loadHistory } from './stored-history.ts';

/**
 * A disk that is full, fails, or has become read-only, as cards do at their end, refuses a database at the start as well as
 * later. That is no reason for a vehicle to have no live state: the collector goes on without a history until the disk takes it.
 */

/** Primary result codes (sqlite.org/rescode.html): SQLITE_IOERR and SQLITE_FULL. */
const DISK_CODES = [10, 13];
const DISK_ERRNOS = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'];

const NOTHING_HELD: LoadedHistory = { series: [], states: [], nextSeq: 1 };

/** Whether the disk is to blame that the database can't be written, not its place, its owner or what it holds. */
export function isDiskFailure(error: unknown, path: string): boolean {
  if (isOnReadOnlyDisk(path)) return true;
  for (let at = error; at instanceof Error; at = at.cause) {
    const { errcode, code } = at as { errcode?: number; code?: string };
    // The primary code is in the low byte.
    if (errcode !== undefined && DISK_CODES.includes(errcode & 0xff)) return true;
    if (code !== undefined && DISK_ERRNOS.includes(code)) return true;
  }
  return false;
}

/**
 * What such a database holds, as far as the start needs it; nothing where it can't be read either. To be called by who holds the
 * right to write it.
 */
export function readUnwritable(path: string): LoadedHistory {
  try {
    return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0 ? NOTHING_HELD : readFile(path);
  } catch {
    return NOTHING_HELD;
  }
}

function readFile(path: string): LoadedHistory {
  const database = isOnReadOnlyDisk(path) ? openForReading(path, 'unshared') : new DatabaseSync(path);
  try {
    // SQLite then keeps the index of its log in memory, not in a file for which there may be no room (sqlite.org/wal.html#noshm).
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
      user_version: number;
    };
    if (version !== SCHEMA_VERSION) return NOTHING_HELD;
    checkContents(database);
    return loadHistory(database);
  } finally {
    database.close();
  }
}
