import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { recordingFileNumber } from '../bus/log/recording-file.ts';
import type { HistoryConfig, RecordingConfig } from '../config/schema.ts';
import { errorMessage } from '../shared/errors.ts';
import { lockFolder } from '../shared/folder-lock.ts';
import { RECORDING_FILE_BYTES_MIN } from '../shared/limits.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';
import { historyGrowthBytes } from './disk.ts';
import { checkWritable, type Disk, diskOf, existing, findLarge, isFolder, sizeOf } from './folder.ts';

type Recording = Pick<RecordingConfig, 'maxBytes'> & { readonly path: string };

/** Where frames are recorded. `isInUse`: a running collector writes it, so it may. */
export function checkRecording(recording: Recording, history: HistoryConfig, isInUse: boolean): Check[] {
  const { path } = recording;
  const folder = existing(path);
  if (!isFolder(folder)) {
    const mend = 'Name another: --recording FOLDER';
    return [problem('folder', `${folder} is no folder`, 'one for the recording', mend)];
  }
  const writable = isInUse
    ? ok('folder', `${folder}, written by the running collector`)
    : checkWritable({ folder: path, flag: '--recording FOLDER' }, folder);
  try {
    const disk = diskOf(folder);
    const historyFolder = existing(dirname(history.path));
    const isShared = isFolder(historyFolder) && diskOf(historyFolder).device === disk.device;
    const others = isShared ? (historyGrowthBytes(history) ?? 0) : 0;
    const taken = !isInUse && folder === path ? inUse(path) : [];
    return [
      writable,
      ...taken,
      ...fileSystem(disk, folder),
      freeSpace(recording, disk.freeBytes, others, folder),
    ];
  } catch (error) {
    return [writable, problem('disk', errorMessage(error), 'a disk that can be asked')];
  }
}

/** By trying for its lock, for less than a millisecond. */
function inUse(path: string): Check[] {
  try {
    const release = lockFolder(path);
    release?.();
    if (release !== null) return [];
  } catch {
    // One that this user may not even look into is told of as that.
    return [];
  }
  const mend = 'Stop it, or give this one a folder of its own: --recording FOLDER';
  return [problem('lock', `another collector records to ${path}`, 'one for each folder', mend)];
}

function fileSystem({ kind, fileSystem: name }: Disk, folder: string): Check[] {
  if (kind !== 'memory') return [];
  return [
    warning(
      'file system',
      `${folder} is in memory (${name}): the recording is gone when the power is`,
      'a disk or card',
      'Keep it elsewhere: --recording /var/lib/telemetry-collector/can',
    ),
  ];
}

/** `others`: what the history may take of the same disk. */
function freeSpace({ path, maxBytes }: Recording, freeBytes: number, others: number, folder: string): Check {
  const free = `${bytesText(freeBytes)} free`;
  const look = findLarge(folder);
  if (freeBytes < RECORDING_FILE_BYTES_MIN) {
    return problem('space', free, `${bytesText(RECORDING_FILE_BYTES_MIN)} at the least`, look);
  }
  if (maxBytes === null) {
    return warning(
      'space',
      `${free}; recording.max_bytes is unlimited, so the recording fills it`,
      'a bound',
      'Set recording.max_bytes.',
    );
  }
  const usedBytes = recordedBytes(path);
  const growthBytes = Math.max(0, maxBytes - usedBytes);
  const beside = others === 0 ? '' : `, and the history beside it by ${bytesText(others)}`;
  if (freeBytes >= growthBytes + others) {
    return ok('space', `${free}; the recording may grow by ${bytesText(growthBytes)}${beside}`);
  }
  const fitting = Math.floor((usedBytes + (freeBytes - others) * 0.8) / 1024 ** 2);
  const isFitting = fitting * 1024 ** 2 >= 2 * RECORDING_FILE_BYTES_MIN;
  return warning(
    'space',
    free,
    `${bytesText(growthBytes + others)}: the recording may become ${bytesText(maxBytes)} (recording.max_bytes)${beside}`,
    ...(isFitting ? [`--recording-max-bytes ${fitting}MiB would fit.`] : []),
    look,
  );
}

/** What files of recordings there are come to. */
function recordedBytes(path: string): number {
  try {
    return readdirSync(path)
      .filter((name) => recordingFileNumber(name) !== null)
      .reduce((sum, name) => sum + (sizeOf(join(path, name)) ?? 0), 0);
  } catch {
    return 0;
  }
}
