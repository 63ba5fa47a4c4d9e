import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Cleanup, temporaryDirectory } from './temporary-directory.ts';

/** The files of a machine, as /proc and /sys have them, below a directory of the test's own. */
export interface SystemRoot {
  readonly path: string;
  /** Writes files, also over those that are there. */
  write(files: Readonly<Record<string, string>>): void;
}

export function systemRoot(test: Cleanup, files: Readonly<Record<string, string>> = {}): SystemRoot {
  const path = temporaryDirectory(test);
  const root: SystemRoot = {
    path,
    write(more) {
      for (const [name, text] of Object.entries(more)) {
        mkdirSync(dirname(join(path, name)), { recursive: true });
        writeFileSync(join(path, name), text);
      }
    },
  };
  root.write(files);
  return root;
}
