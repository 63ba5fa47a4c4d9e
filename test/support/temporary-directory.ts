import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A test, or what a file's tests have in common. */
export interface Cleanup {
  after(undo: () => unknown): void;
}

/** A directory of the test's own, which goes with it. */
export function temporaryDirectory(test: Cleanup): string {
  const directory = mkdtempSync(join(tmpdir(), 'telemetry-collector-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
