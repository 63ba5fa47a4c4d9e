import { dirname } from 'node:path';
import type { HistoryConfig } from '../config/schema.ts';
import { errorMessage } from '../shared/errors.ts';
import { HISTORY_BYTES_HEADROOM } from '../shared/limits.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';
import {
  checkWritable,
  type Disk,
  diskOf,
  existing,
  findLarge,
  isFolder,
  type Place,
  sizeOf,
} from './folder.ts';

/** Where the history is kept. `isInUse`: a running collector writes it, so it may. */
export function checkDisk({ path, maxBytes }: HistoryConfig, isInUse: boolean): Check[] {
  const place: Place = { folder: dirname(path), file: path, flag: '--db FILE' };
  const folder = existing(place.folder);
  if (!isFolder(folder)) {
    return [problem('folder', `${folder} is no folder`, 'one for the database', 'Name another: --db FILE')];
  }
  const writable = isInUse
    ? ok('folder', `${folder}, written by the running collector`)
    : checkWritable(place, folder);
  try {
    const disk = diskOf(folder);
    return [writable, fileSystem(disk, folder), freeSpace(disk.freeBytes, path, maxBytes, folder)];
  } catch (error) {
    return [writable, problem('disk', errorMessage(error), 'a disk that can be asked')];
  }
}

function fileSystem({ kind, fileSystem: name }: Disk, folder: string): Check {
  if (kind === 'disk') return ok('file system', 'on a disk');
  if (kind === 'memory') {
    return warning(
      'file system',
      `${folder} is in memory (${name}): the history is gone when the power is`,
      'a disk or card',
      'Keep it elsewhere: --db /var/lib/telemetry-collector/collector.db',
    );
  }
  if (kind === 'network') {
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

/** By how much the database may still grow; null where nothing bounds it. */
export function historyGrowthBytes({ path, maxBytes }: HistoryConfig): number | null {
  if (maxBytes === null) return null;
  return Math.max(0, maxBytes - usedBytesOf(path));
}

function usedBytesOf(path: string): number {
  return (sizeOf(path) ?? 0) + (sizeOf(`${path}-wal`) ?? 0);
}

function freeSpace(freeBytes: number, path: string, maxBytes: number | null, folder: string): Check {
  const usedBytes = usedBytesOf(path);
  const free = `${bytesText(freeBytes)} free`;
  const look = findLarge(folder);
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
