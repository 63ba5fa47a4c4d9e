import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errorCode, errorMessage, TokenError } from '../../shared/errors.ts';
import { API_TOKENS_FILE_BYTES_MAX } from '../../shared/limits.ts';
import { makeFolder } from '../../shared/make-folder.ts';
import type { StoredToken } from './token.ts';
import { formatTokens, parseTokens } from './token-text.ts';

/** A new file that has been there for longer was left by a command that was killed: writing takes milliseconds. */
const WRITING_MS_MAX = 10_000;

/** May be read and written by its owner alone. */
const FILE_MODE = 0o600;
const WRITABLE_BY_OTHERS = 0o022;

/** The tokens of the file; none where there is no file. Throws TokenError TOKENS_INVALID and TOKENS_UNREADABLE. */
export function readTokenFile(path: string): StoredToken[] {
  let descriptor: number;
  try {
    // Opening a named pipe that nobody writes would wait for ever without O_NONBLOCK.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw unreadable(path, errorMessage(error), error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw unreadable(path, 'it is no file');
    if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
      throw unreadable(path, `others may write to it, and so make tokens. Do: chmod 600 ${path}`);
    }
    if (stats.size > API_TOKENS_FILE_BYTES_MAX) {
      throw unreadable(path, `it has ${stats.size} bytes, and ${API_TOKENS_FILE_BYTES_MAX} are the most`);
    }
    return parseTokens(readFileSync(descriptor, 'utf8'), path);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads the file, changes its tokens and writes it anew. At no moment is there half a file, also not after a power cut; two
 * commands at once do not undo each other. Throws what readTokenFile does, and TOKENS_BUSY.
 */
export function changeTokenFile(
  path: string,
  change: (tokens: readonly StoredToken[]) => readonly StoredToken[],
): void {
  makeFolder(dirname(path));
  // What a link leads to is written, not the link.
  const target = statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
  const next = `${target}.new`;
  const descriptor = openNext(next);
  try {
    try {
      giveToOwner(descriptor, target);
      writeSync(descriptor, formatTokens(change(readTokenFile(target))));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(next, target);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  syncFolder(dirname(target));
}

/** The file that will replace the other one; while it is there no other command writes. */
function openNext(next: string): number {
  for (let attempt = 0; ; attempt++) {
    try {
      return openSync(next, 'wx', FILE_MODE);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') {
        throw new TokenError('TOKENS_UNWRITABLE', `The tokens can't be written: ${errorMessage(error)}.`, {
          cause: error,
        });
      }
      const ageMs = Date.now() - (statSync(next, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (attempt > 0 || Math.abs(ageMs) < WRITING_MS_MAX) {
        throw new TokenError(
          'TOKENS_BUSY',
          `Another command is writing the tokens (${next}). Try again when it has ended.`,
        );
      }
      rmSync(next, { force: true });
    }
  }
}

/** What root writes, with sudo, the service has to be able to read: it stays with the owner of the file, or of its folder. */
function giveToOwner(descriptor: number, target: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(target, { throwIfNoEntry: false }) ?? statSync(dirname(target));
  fchownSync(descriptor, uid, gid);
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(path: string, why: string, cause?: unknown): TokenError {
  return new TokenError('TOKENS_UNREADABLE', `The tokens file ${path} can't be used: ${why}.`, { cause });
}
