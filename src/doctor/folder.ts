import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../shared/errors.ts';
import { type Check, ok, problem } from './check.ts';

/** A place on the disk that the service writes to. */
export interface Place {
  /** Made at the start where it isn't there. */
  readonly folder: string;
  /** What is to be written, where that is a file that may be there already. */
  readonly file?: string;
  /** How another place is given, such as `--db FILE`. */
  readonly flag: string;
}

/** File systems on which files don't outlive the power, or aren't safe (statfs(2), linux/magic.h). */
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

export interface Disk {
  /** Tells one disk from another. */
  readonly device: number;
  readonly freeBytes: number;
  readonly kind: 'disk' | 'memory' | 'network' | 'overlay';
  /** Of its file system; null for one of the many that are as they should be. */
  readonly fileSystem: string | null;
}

/** The disk that a folder that is there is on; throws what the system says. */
export function diskOf(folder: string): Disk {
  const { type, bavail, bsize } = statfsSync(folder);
  const name = FILE_SYSTEMS.get(type) ?? null;
  return {
    device: statSync(folder).dev,
    freeBytes: bavail * bsize,
    kind: kindOf(name),
    fileSystem: name,
  };
}

function kindOf(fileSystem: string | null): Disk['kind'] {
  if (fileSystem === null) return 'disk';
  if (IN_MEMORY.includes(fileSystem)) return 'memory';
  return OVER_NETWORK.includes(fileSystem) ? 'network' : 'overlay';
}

export function isFolder(path: string): boolean {
  return statSync(path).isDirectory();
}

/** The folder itself, or what is there of the way to it. */
export function existing(folder: string): string {
  let each = folder;
  // A path below a file is an error of its own (ENOTDIR).
  while (sizeOf(each) === null && each !== dirname(each)) each = dirname(each);
  return each;
}

/** Null where there is nothing, or nothing that may be looked at. */
export function sizeOf(path: string): number | null {
  try {
    return statSync(path).size;
  } catch {
    return null;
  }
}

/** Whether a place, of which `folder` is there, can be written to by this user. */
export function checkWritable(place: Place, folder: string): Check {
  const { file } = place;
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    if (file !== undefined && statSync(file, { throwIfNoEntry: false }) !== undefined) {
      accessSync(file, constants.W_OK);
    }
    const willBeMade = folder === place.folder ? '' : ` (${place.folder} will be made in it)`;
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
      `${file ?? place.folder} may not be written by this user (uid ${process.getuid?.() ?? 'unknown'})`,
      'a place that the service may write to',
      `sudo mkdir -p ${place.folder} && sudo chown $(id -u):$(id -g) ${place.folder}`,
      `Or another place: ${place.flag}. Where the service runs as another user, run this as that user (sudo -u USER).`,
    );
  }
}

export function findLarge(folder: string): string {
  return `See what takes it: du -xh ${folder} | sort -h | tail`;
}
