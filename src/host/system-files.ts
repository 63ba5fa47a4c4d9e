import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * The files in which Linux tells of itself (proc(5), sysfs(5)), below `root`: '/' but in tests. They are read off the
 * main thread: the kernel makes a sensor's file while it is read, and may wait for the sensor.
 */

/** What a file says; null where there is none, or none that may be read. */
export async function readSystemText(root: string, path: string): Promise<string | null> {
  try {
    return (await readFile(join(root, path), 'utf8')).trim();
  } catch {
    return null;
  }
}

/** The names in a folder; none where there is no such folder. */
export async function listSystemFolder(root: string, path: string): Promise<readonly string[]> {
  try {
    return await readdir(join(root, path));
  } catch {
    return [];
  }
}
