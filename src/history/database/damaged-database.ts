import { closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { HistoryError } from '../../shared/errors.ts';
import { openForReading, type Sharing } from './database.ts';

/**
 * A database that can't be used any more is set aside, not deleted: in a vehicle nobody is there to restore it,
 * and the next drive is to be recorded all the same.
 */

/** A database that was set aside, and why. */
export interface SetAside {
  /** Where it is now. */
  readonly path: string;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Primary result codes (sqlite.org/rescode.html). Those of a disk that is full or fails are no damage. */
const SQLITE_ERROR = 1;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/**
 * Tables that don't grow with the length of the history: their pages are all looked at after an unclean end.
 * Chunks are the largest, at most SEGMENT_SAMPLES of about 7 bytes.
 */
const SMALL_TABLES = new Set([
  'series',
  'series_state',
  'definitions',
  'protocols',
  'totals',
  'segments',
  'chunks',
  'quarantined_blocks',
]);

const WAL_HEADER_BYTES = 32;
/** The last bit says in which byte order checksums are made (sqlite.org/fileformat2.html#walformat). */
const WAL_MAGIC = 0x377f0682;

/** What is damaged, where a failure says that something is; null for any other failure. */
export function damageOf(error: unknown): string | null {
  return damageIn(error, [SQLITE_CORRUPT, SQLITE_NOTADB]);
}

/**
 * The same for a failure of the opening. There SQLite's general error, such as `no such table`, says that the
 * tables aren't those of the version in the header.
 */
export function damageOfOpening(error: unknown): string | null {
  return damageIn(error, [SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB]);
}

function damageIn(error: unknown, codes: readonly number[]): string | null {
  if (!(error instanceof Error)) return null;
  if (error instanceof HistoryError && error.code === 'HISTORY_DAMAGED') return error.message;
  const { errcode } = error as { errcode?: number };
  // The primary code is in the low byte.
  if (errcode !== undefined && codes.includes(errcode & 0xff)) return error.message;
  return damageIn(error.cause, codes);
}

/**
 * Looks for damage before a database is opened for writing, and leaves the file and its log as they are. It
 * costs little however long the history is: the schema and both ends of each table, and after an unclean end,
 * which leaves a log, every page of the small tables. What lies in the midst of the blocks is found when it is
 * read or dropped. Null where nothing is found, also where the file can't be read at all: that is no damage.
 */
export function findDamage(path: string, sharing: Sharing = 'shared'): string | null {
  const log = readStart(`${path}-wal`, WAL_HEADER_BYTES);
  const isCleanEnd = log === null || log.length === 0;
  if (log?.length === WAL_HEADER_BYTES && log.some((byte) => byte !== 0)) {
    // SQLite would begin such a log anew, and such a database as well.
    if (!isLogHeader(log)) return 'its write-ahead log does not begin as one';
    if (!((readStart(path, 1)?.length ?? 0) > 0)) return 'it is empty, and its write-ahead log is not';
  }
  let database: DatabaseSync | undefined;
  try {
    // Reading only, SQLite doesn't take the log over into the file when it closes.
    database = openForReading(path, sharing);
    return damageInTables(database, isCleanEnd);
  } catch (error) {
    return damageOf(error);
  } finally {
    database?.close();
  }
}

function damageInTables(database: DatabaseSync, isCleanEnd: boolean): string | null {
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number };
  // The transaction that makes the first page sets the version too.
  if (version === 0 && pages > 0) return 'its header says no version';
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  for (const { name } of tables as unknown as { name: string }[]) {
    if (!isCleanEnd && SMALL_TABLES.has(name)) {
      const found = database.prepare(`PRAGMA quick_check(${name})`).all();
      const [first] = found as unknown as { quick_check: string }[];
      if (first !== undefined && first.quick_check !== 'ok') return `table ${name}: ${first.quick_check}`;
    } else {
      const damage = damageAtEnds(database, name);
      if (damage !== null) return damage;
    }
  }
  return null;
}

function damageAtEnds(database: DatabaseSync, table: string): string | null {
  try {
    database.prepare(`SELECT (SELECT min(rowid) FROM "${table}"), (SELECT max(rowid) FROM "${table}")`).get();
    return null;
  } catch (error) {
    return damageOf(error);
  }
}

/** What the pages hold, as far as the start relies on it. Throws HistoryError HISTORY_DAMAGED. */
export function checkContents(database: DatabaseSync): void {
  for (const [query, what] of [
    ['SELECT count(*) <> 1 FROM totals', 'the table totals has not one row'],
    ['SELECT count(*) <> ifnull(max(id) + 1, 0) FROM series', 'series are missing'],
    [
      'SELECT EXISTS (SELECT 1 FROM series_state WHERE series NOT IN (SELECT id FROM series))',
      'a state has no series',
    ],
  ] as const) {
    if (Object.values(database.prepare(query).get()!)[0] !== 0)
      throw new HistoryError('HISTORY_DAMAGED', what);
  }
}

/**
 * Renames a database and what lies beside it, and gives the new name, which no earlier one has. One that is
 * open is to be closed after that, as SQLite takes the log over into a file that it closes where it was.
 */
export function setAside(path: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  let asidePath = `${path}.damaged-${stamp}`;
  // A clock that begins anew with each start gives the same time twice.
  for (let count = 2; SUFFIXES.some((suffix) => exists(asidePath + suffix)); count++) {
    asidePath = `${path}.damaged-${stamp}-${count}`;
  }
  for (const suffix of SUFFIXES) if (exists(path + suffix)) renameSync(path + suffix, asidePath + suffix);
  return asidePath;
}

/**
 * The logs come first: where a power cut leaves them alone beside the old name, SQLite would delete them or,
 * worse, apply them to the new database.
 */
const SUFFIXES = ['-journal', '-wal', '-shm', ''];

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The first bytes of a file, fewer where it has fewer; null where it can't be read. */
function readStart(path: string, bytes: number): Buffer | null {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const start = Buffer.alloc(bytes);
    return start.subarray(0, readSync(fd, start, 0, bytes, 0));
  } catch {
    return null;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function isLogHeader(header: Buffer): boolean {
  const magic = header.readUInt32BE(0);
  if (magic >>> 1 !== WAL_MAGIC >>> 1) return false;
  const word = (at: number) => ((magic & 1) === 0 ? header.readUInt32LE(at) : header.readUInt32BE(at));
  let first = 0;
  let second = 0;
  for (let at = 0; at < WAL_HEADER_BYTES - 8; at += 8) {
    first = (first + word(at) + second) >>> 0;
    second = (second + word(at + 4) + first) >>> 0;
  }
  return first === header.readUInt32BE(24) && second === header.readUInt32BE(28);
}
