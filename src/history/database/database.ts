import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { errorMessage, HistoryError } from '../../shared/errors.ts';
import { WAL_CHECKPOINT_BYTES, WAL_KEPT_BYTES } from '../../shared/limits.ts';
import { makeFolder } from '../../shared/make-folder.ts';
import { migrate, PAGE_BYTES, SCHEMA_VERSION } from './schema.ts';

/** Marks a database as ours: "TCol", at byte 68 of the file (sqlite.org/fileformat2.html). */
const APPLICATION_ID = 0x54436f6c;
const SQLITE_MAGIC = 'SQLite format 3\0';
/**
 * What a power cut costs at most: with `full` what came since the last commit, with `relaxed` the commits since
 * the last checkpoint of the log too. Neither harms what is older.
 */
export type Durability = 'full' | 'relaxed';

/** What `PRAGMA synchronous` calls them (sqlite.org/pragma.html#pragma_synchronous). */
const SYNCHRONOUS = { full: 2, relaxed: 1 } as const;

/** How long a lock that somebody else has is waited for. */
export const BUSY_TIMEOUT_MS = 5000;

const SQLITE_HEADER_BYTES = 100;
const SQLITE_USER_VERSION_OFFSET = 60;
const SQLITE_APPLICATION_ID_OFFSET = 68;

/**
 * Opens the database for writing, and makes it when it isn't there. Throws HistoryError:
 * HISTORY_NOT_OURS and HISTORY_TOO_NEW leave the file untouched; HISTORY_UNAVAILABLE says what the file
 * system said.
 */
export function openForWriting(path: string, durability: Durability = 'full'): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeFolder(dirname(path));
    refuseForeign(path);
    database = new DatabaseSync(path);
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // What the header said may be older than what SQLite makes of the file and the log beside it: a newer
    // version that isn't in the file yet, or a first transaction that a power cut has undone.
    const version = userVersion(database);
    refuseNewer(path, version);
    migrate(database, version, APPLICATION_ID);
    // WAL lets the reader read while the writer writes. FULL syncs each commit, NORMAL each checkpoint.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${SYNCHRONOUS[durability]};
      PRAGMA wal_autocheckpoint = ${WAL_CHECKPOINT_BYTES / PAGE_BYTES}; PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}`);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof HistoryError) throw error;
    throw new HistoryError(
      'HISTORY_UNAVAILABLE',
      `The database ${path} can't be opened: ${errorMessage(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * The file that a path stands for. SQLite follows a symbolic link and keeps its log beside the file, so our lock has to be
 * there as well: else two collectors would write one database, each under a name of its own.
 */
export function realDatabasePath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // None is there yet, be it behind a link or not; or it can't be reached, which the opening tells.
    try {
      return resolve(dirname(path), readlinkSync(path));
    } catch {
      return path;
    }
  }
}

/** How a database that is open for writing was told to sync. */
export function durabilityOf(database: DatabaseSync): Durability {
  return database.prepare('PRAGMA synchronous').get()?.synchronous === SYNCHRONOUS.full ? 'full' : 'relaxed';
}

/**
 * `unshared` is for a file that has no log and that nobody else has open: SQLite then makes none beside it, which
 * would be this user's, and in the way of the collector's.
 */
export type Sharing = 'shared' | 'unshared';

export function openForReading(path: string, sharing: Sharing = 'shared'): DatabaseSync {
  const url = pathToFileURL(path);
  if (sharing === 'unshared') url.searchParams.set('immutable', '1');
  const database = new DatabaseSync(url, { readOnly: true });
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return database;
}

/** Whether nobody can write where a database is: a card that is mounted so, or that has come to its end. */
export function isOnReadOnlyDisk(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

/** Where nobody can write, nobody has it open for that: without a log it can be read by itself. */
function sharingOf(path: string): Sharing {
  const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return logBytes === 0 && isOnReadOnlyDisk(path) ? 'unshared' : 'shared';
}

/**
 * Opens a database for reading that this process knows nothing of; a collector may be writing it. Throws
 * HistoryError: HISTORY_NOT_OURS and HISTORY_TOO_NEW as openForWriting does, HISTORY_NOT_FOUND, HISTORY_TOO_OLD and
 * HISTORY_UNAVAILABLE.
 */
export function openStored(path: string, sharing: Sharing = sharingOf(realDatabasePath(path))): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      throw new HistoryError(
        'HISTORY_NOT_FOUND',
        `There is no database ${path}: give the collector's with --db FILE.`,
      );
    }
    refuseForeign(path);
    database = openForReading(path, sharing);
    const version = userVersion(database);
    refuseNewer(path, version);
    if (version < SCHEMA_VERSION) {
      throw new HistoryError(
        'HISTORY_TOO_OLD',
        `The database ${path} has version ${version}, which is older than ${SCHEMA_VERSION}: ` +
          'start telemetry-collector with it once, which brings it up to date.',
      );
    }
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof HistoryError) throw error;
    throw new HistoryError(
      'HISTORY_UNAVAILABLE',
      `The database ${path} can't be read: ${errorMessage(error)}.${folderHint(path, error)}`,
      { cause: error },
    );
  }
}

/** A log that SQLite has to make or may not look into is told in words that say neither. */
function folderHint(path: string, error: unknown): string {
  const { errcode = 0 } = error as { errcode?: number };
  // Extended codes say more in their upper bytes.
  if (![SQLITE_READONLY, SQLITE_CANTOPEN].includes(errcode & 0xff)) return '';
  return (
    ` SQLite needs to make files beside it, also for reading: do it as a user who may write ${dirname(path)},` +
    ' or copy the database, with its -wal if there is one, to where you may.'
  );
}

/**
 * Holds the right to write a database until it is closed or the process ends, however that comes about:
 * a lock on a file of its own beside it, which the kernel takes back. Throws HistoryError HISTORY_IN_USE,
 * and what openForWriting throws of a file that isn't ours, which gets no lock file beside it.
 */
export function lockDatabase(path: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    makeFolder(dirname(path));
    refuseForeign(path);
    lock = new DatabaseSync(`${path}-lock`);
    lock.exec('PRAGMA journal_mode = MEMORY');
    // An immediate transaction takes the write lock and, as nothing is written, leaves the file empty.
    lock.exec('BEGIN IMMEDIATE');
    return lock;
  } catch (error) {
    lock?.close();
    if (error instanceof HistoryError) throw error;
    const { errcode } = error as { errcode?: number };
    if (errcode === SQLITE_BUSY) {
      throw new HistoryError(
        'HISTORY_IN_USE',
        `Another telemetry-collector is using the database ${path}. Stop it, or give this one another with --db FILE.`,
      );
    }
    throw new HistoryError('HISTORY_UNAVAILABLE', `${path}-lock can't be locked: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
}

/**
 * Whether another process holds that right, by trying for it where its file is there, for less than a
 * millisecond; null where it may not be tried.
 */
export function isDatabaseInUse(path: string): boolean | null {
  let lock: DatabaseSync | undefined;
  try {
    if (statSync(`${path}-lock`, { throwIfNoEntry: false }) === undefined) return false;
    lock = new DatabaseSync(`${path}-lock`);
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE; ROLLBACK');
    return false;
  } catch (error) {
    return (error as { errcode?: number }).errcode === SQLITE_BUSY ? true : null;
  } finally {
    lock?.close();
  }
}

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;

/**
 * Looks at a file's header without opening it as a database. Passes over one of ours and where there is
 * none yet; throws where it is something else.
 */
function refuseForeign(path: string): void {
  const header = readHeader(path);
  if (header === null || header.length === 0) return;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const isSqlite =
    header.length === SQLITE_HEADER_BYTES &&
    header.toString('latin1', 0, SQLITE_MAGIC.length) === SQLITE_MAGIC;
  if (!isSqlite) throw notOurs(path, 'it is not an SQLite database');
  const applicationId = view.getUint32(SQLITE_APPLICATION_ID_OFFSET);
  if (applicationId !== APPLICATION_ID) {
    throw notOurs(path, `it is an SQLite database of another program (application id ${applicationId})`);
  }
  refuseNewer(path, view.getUint32(SQLITE_USER_VERSION_OFFSET));
}

function readHeader(path: string): Buffer | null {
  let fd: number;
  try {
    if (!statSync(path).isFile()) throw notOurs(path, 'it is not a regular file');
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const header = Buffer.alloc(SQLITE_HEADER_BYTES);
    return header.subarray(0, readSync(fd, header, 0, header.length, 0));
  } finally {
    closeSync(fd);
  }
}

function userVersion(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version);
}

function refuseNewer(path: string, version: number): void {
  if (version <= SCHEMA_VERSION) return;
  throw new HistoryError(
    'HISTORY_TOO_NEW',
    `The database ${path} has version ${version}; this telemetry-collector knows up to ${SCHEMA_VERSION}. ` +
      'It was left untouched: run the newer telemetry-collector, or give this one another with --db FILE.',
  );
}

function notOurs(path: string, what: string): HistoryError {
  return new HistoryError(
    'HISTORY_NOT_OURS',
    `${path} can't be the history: ${what}. It was left untouched; give another file with --db FILE.`,
  );
}
