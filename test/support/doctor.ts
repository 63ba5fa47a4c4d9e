import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { Check } from '../../src/doctor/check.ts';
import { CHECKOUT } from './service.ts';

export interface Diagnosis {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DoctorOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs `doctor` as a process of its own. */
export function runDoctor(args: readonly string[], options: DoctorOptions = {}): Promise<Diagnosis> {
  const words = [join(CHECKOUT, 'src/cli/main.ts'), 'doctor', ...args];
  return new Promise((resolve) => {
    const { cwd = process.cwd(), env = {} } = options;
    execFile(process.execPath, words, { cwd, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The checks of a section, as --json tells them. */
export async function examined(
  args: readonly string[],
  options?: DoctorOptions,
): Promise<{ readonly code: number; readonly checks: readonly (Check & { readonly section: string })[] }> {
  const { code, stdout } = await runDoctor(['--json', ...args], options);
  return { code, checks: JSON.parse(stdout).checks };
}
