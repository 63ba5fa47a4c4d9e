import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

/** Of flock(2). */
const LOCK_EX = 2;
const LOCK_NB = 4;

type Flock = (fd: number, operation: number) => number;

let flock: Flock | null | undefined;

function systemFlock(): Flock | null {
  if (flock !== undefined) return flock;
  try {
    flock = process.platform === 'linux' ? koffi.load(null).func('int flock(int fd, int operation)') : null;
  } catch {
    flock = null;
  }
  return flock;
}

/**
 * Takes a folder for whoever asks until it is released or the process ends, however that comes about: the kernel takes the
 * lock back, and nothing lies in the folder. Returns what releases it, or null where somebody has it. Where the system or
 * the file system has no such locks, nobody is kept out. Throws what the system says of a folder that can't be opened.
 */
export function lockFolder(path: string): (() => void) | null {
  const lock = systemFlock();
  if (lock === null) return () => {};
  const fd = openSync(path, 'r');
  if (lock(fd, LOCK_EX | LOCK_NB) < 0 && koffi.errno() === koffi.os.errno.EAGAIN) {
    closeSync(fd);
    return null;
  }
  return () => closeSync(fd);
}
