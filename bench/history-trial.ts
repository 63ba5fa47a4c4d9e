import { statSync } from 'node:fs';
import { DRIVE_START_US, type DriveOptions, type Recorded } from './history-drive.ts';
import { median } from './report.ts';

/** What each of the programs that record the drive is asked for and answers with. */

export interface TrialOptions extends DriveOptions {
  /** Whether queries are measured as well. */
  readonly withQueries: boolean;
}

export interface Trial extends Recorded {
  /** The whole file, after everything is in it. */
  readonly fileBytes: number;
  readonly queries: Queries | null;
}

export interface Queries {
  readonly signalHour: Timed | null;
  readonly signalWhole: Timed | null;
  readonly newest: Timed | null;
}

export interface Timed {
  /** The median of several runs, the first one apart. */
  readonly ms: number;
  /** Samples, or points, that came back. */
  readonly count: number;
}

export const POINTS = 1000;
export const NEWEST_SAMPLES = 100;

const RUNS_MIN = 3;
const RUNS_MAX = 51;
/** After so long, the fewest runs are enough. */
const RUNS_MS = 8000;

/** The hour in the middle of the drive, or all of a shorter one. `toUs` is inclusive. */
export function middleHour(hours: number): { fromUs: number; toUs: number } {
  const lengthUs = Math.min(1, hours) * 3600e6;
  const fromUs = DRIVE_START_US + Math.round((hours * 3600e6 - lengthUs) / 2);
  return { fromUs, toUs: fromUs + lengthUs - 1 };
}

export function wholeDrive(hours: number): { fromUs: number; toUs: number } {
  return { fromUs: DRIVE_START_US, toUs: DRIVE_START_US + hours * 3600e6 - 1 };
}

/** `run` gives how many samples came back. */
export async function timed(run: () => Promise<number> | number): Promise<Timed> {
  const count = await run();
  const runsMs: number[] = [];
  const startedMs = performance.now();
  while (runsMs.length < RUNS_MIN || (runsMs.length < RUNS_MAX && performance.now() - startedMs < RUNS_MS)) {
    const runStartedMs = performance.now();
    const again = await run();
    runsMs.push(performance.now() - runStartedMs);
    if (again !== count) throw new Error(`the same query gave ${count} and then ${again}`);
  }
  return { ms: median(runsMs), count };
}

export function databaseBytes(path: string): number {
  const walBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return statSync(path).size + walBytes;
}

/** The options of a program that was started with them, as JSON, for its only argument. */
export function trialOptions(): TrialOptions {
  return JSON.parse(process.argv[2]!);
}

export function answer(result: Recorded | Trial): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
