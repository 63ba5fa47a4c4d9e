import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, 'wide-xstate.c');

const CPU_INFO = '/proc/cpuinfo';

/** Programs that make the library, in the order of preference. */
export const C_COMPILERS = ['tcc', 'cc'] as const;
/** What gives Debian a small one. */
export const WIDE_XSTATE_PACKAGES = ['tcc', 'libc6-dev'] as const;

/** Whether user-mode Linux runs on this processor only with the library. */
export function needsWideXstate(): boolean {
  return existsSync(CPU_INFO) && /^flags\s*:.* amx_tile( |$)/m.test(readFileSync(CPU_INFO, 'utf8'));
}

/** Makes the library in `dir`; gives its path. wide-xstate.c says what for. */
export function wideXstateLibrary(compiler: string, dir: string): string {
  const library = join(dir, 'wide-xstate.so');
  execFileSync(compiler, ['-shared', '-fPIC', '-o', library, SOURCE]);
  return library;
}
