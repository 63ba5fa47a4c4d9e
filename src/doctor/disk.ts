import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HistoryConfig } from '../config/schema.ts';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { HISTORY_BYTES_HEADROOM } from '../shared/limits.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';

/** File systems on which a history doesn't outlive the power, or isn't safe (statfs(2), linux/magic.h). */
const FILE_SYSTEMS = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xfe534d42, 'smb'],
  [0xff534d42, 'cifs'],
]);
const IN_MEMORY = ['tmpfs', 'ramfs'];
const OVER_NETWORK = ['nfs', 'smb', 'cifs'];

/** Where the history is kept. `isInUse`: a running collector writes it, so it may. */
export function checkDisk({ path, maxBytes }: HistoryConfig, isInUse: boolean): Check[] {
  const folder = existing(dirname(path));
  if (!statSync(folder).isDirectory()) {
    return [problem('folder', `${folder} is no folder`, 'one for the database', 'Name another: --db FILE')];
  }
  const writable = isInUse
    ? ok('folder', `${folder}, written by the running collector`)
    : checkWritable(folder, path);
  try {
    const { type, bavail, bsize } = statfsSync(folder);
    return [writable, fileSystem(type, folder), freeSpace(bavail * bsize, path, maxBytes, folder)];
  } catch (error) {
    return [writable, problem('disk', errorMessage(error), 'a disk that can be asked')];
  }
}

function checkWritable(folder: string, path: string): Check {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) accessSync(path, constants.W_OK);
    const willBeMade = folder === dirname(path) ? '' : ` (${dirname(path)} will be made in it)`;
    return ok('folder', `${folder} can be written to${willBeMade}`);
  } catch (error) {
    if (errorCode(error) === 'EROFS') {
      return problem(
        'folder',
        `${folder} is on a file system that is mounted read-only`,
        'one that can be written to',
        'A card that fails is made read-only by the kernel: sudo dmesg | grep -iE "remount|I/O error|mmc"',
        `If it was mounted so on purpose: sudo mount -o remount,rw $(findmnt -n -o TARGET --target ${folder})`,
      );
    }
    return problem(
      'folder',
      `${path} may not be written by this user (uid ${process.getuid?.() ?? 'unknown'})`,
      'a place that the service may write to',
      `sudo mkdir -p ${dirname(path)} && sudo chown $(id -u):$(id -g) ${dirname(path)}`,
      'Or another file: --db FILE. Where the service runs as another user, run this as that user (sudo -u USER).',
    );
  }
}

function fileSystem(type: number, folder: string): Check {
  const name = FILE_SYSTEMS.get(type);
  if (name === undefined) return ok('file system', 'on a disk');
  if (IN_MEMORY.includes(name)) {
    return warning(
      'file system',
      `${folder} is in memory (${name}): the history is gone when the power is`,
      'a disk or card',
      'Keep it elsewhere: --db /var/lib/telemetry-collector/collector.db',
    );
  }
  if (OVER_NETWORK.includes(name)) {
    return problem(
      'file system',
      `${folder} is on another machine (${name})`,
      "a disk of this machine: SQLite's write-ahead log needs shared memory",
      'Keep it elsewhere: --db /var/lib/telemetry-collector/collector.db',
    );
  }
  return warning(
    'file system',
    `${folder} is on an ${name}, whose upper layer may be in memory or go with a container`,
    'a disk or card',
    "With raspi-config's overlay file system, keep the history on a partition of its own; in a container, on a volume.",
  );
}

function freeSpace(freeBytes: number, path: string, maxBytes: number | null, folder: string): Check {
  const usedBytes = (sizeOf(path) ?? 0) + (sizeOf(`${path}-wal`) ?? 0);
  const free = `${bytesText(freeBytes)} free`;
  const look = `See what takes it: du -xh ${folder} | sort -h | tail`;
  if (freeBytes < HISTORY_BYTES_HEADROOM) {
    return problem('space', free, `${bytesText(HISTORY_BYTES_HEADROOM)} at the least`, look);
  }
  if (maxBytes === null) {
    return warning(
      'space',
      `${free}; history.max_bytes is unlimited, so the history fills it`,
      'a bound',
      'Set history.max_bytes.',
    );
  }
  const growthBytes = Math.max(0, maxBytes - usedBytes);
  if (freeBytes >= growthBytes) {
    return ok('space', `${free}; the history may grow by ${bytesText(growthBytes)}`);
  }
  const fitting = Math.floor((usedBytes + freeBytes * 0.8) / 1024 ** 2);
  return warning(
    'space',
    free,
    `${bytesText(growthBytes)}: the history may become ${bytesText(maxBytes)} (history.max_bytes)`,
    `--max-bytes ${fitting}MiB would fit.`,
    look,
  );
}

/** The folder itself, or what is there of the way to it. */
function existing(folder: string): string {
  let each = folder;
  // A path below a file is an error of its own (ENOTDIR).
  while (sizeOf(each) === null && each !== dirname(each)) each = dirname(each);
  return each;
}

/** Null where there is nothing, or nothing that may be looked at. */
function sizeOf(path: string): number | null {
  try {
    return statSync(path).size;
  } catch {
    return null;
  }
}
