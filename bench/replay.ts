import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeKartLog } from './kart-log.ts';
import { type Figure, median, report } from './report.ts';

/** In a longer drive the time that the compilers take counts for less. */
const FRAMES = Number(process.env.FRAMES ?? 1_000_000);
const SEED = 1;
const ROUNDS = 5;

/** At least so much faster. */
const SPEED_RATIO_WANTED = 40;

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const OURS = fileURLToPath(new URL('./replay-collector.ts', import.meta.url));
const REFERENCE = fileURLToPath(new URL('./reference/replay.py', import.meta.url));
/** Debian's own Python, for which python3-can is packaged. */
const PYTHON = '/usr/bin/python3';

interface Measured {
  readonly frames: number;
  readonly seconds: number;
  readonly cpu_seconds: number;
  /** The whole process, its start included. */
  readonly wholeSeconds: number;
  readonly databaseBytes: number;
}

/**
 * A candump log of 1,000,000 frames through the whole path, durable history included, against the Python
 * pipeline of reference/replay.py.
 */
export async function replayBench(): Promise<void> {
  if (!isPythonCanThere()) {
    process.stdout.write(
      'replay: could not run: the reference needs python3-can (apt-get install python3-can)\n',
    );
    process.exitCode = 1;
    return;
  }
  const log = join(CACHE, `kart-${FRAMES}-${SEED}.log`);
  writeKartLog(log, FRAMES, SEED);
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'replay-'));
  try {
    const ours: Measured[] = [];
    const reference: Measured[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(measureOurs(log, join(folder, `ours-${round}.db`)));
      reference.push(measureReference(log, join(folder, `reference-${round}.db`)));
    }
    reportReplay(ours, reference);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measureOurs(log: string, database: string): Measured {
  return measure(process.execPath, [OURS, database, log], log, database);
}

function measureReference(log: string, database: string): Measured {
  return measure(PYTHON, [REFERENCE, log, database], log, database);
}

function measure(command: string, args: readonly string[], log: string, database: string): Measured {
  // The log is in the page cache for both, and nothing that the one before has left is still to be written to the disk.
  readFileSync(log);
  execFileSync('sync');
  const startedMs = performance.now();
  const output = execFileSync(command, args, { encoding: 'utf8' });
  const wholeSeconds = (performance.now() - startedMs) / 1000;
  return { ...JSON.parse(output), wholeSeconds, databaseBytes: statSync(database).size };
}

function reportReplay(ours: readonly Measured[], reference: readonly Measured[]): void {
  const framesPerS = ({ frames, seconds }: Measured) => frames / seconds;
  const cpuUsPerFrame = ({ frames, cpu_seconds }: Measured) => (cpu_seconds * 1e6) / frames;
  const ratio = (of: (measured: Measured) => number) =>
    median(ours.map((measured, round) => of(measured) / of(reference[round]!)));
  const figure = (what: string, of: (measured: Measured) => number, digits: number): Figure => ({
    what,
    ours: median(ours.map(of)),
    reference: median(reference.map(of)),
    ratio: ratio(of),
    digits,
  });
  report(
    `replay: ${FRAMES.toLocaleString('en')} frames, log to durable history, median of ${ROUNDS} rounds`,
    'Python reference',
    [
      { ...figure('frames/s', framesPerS, 0), wanted: { ratioAtLeast: SPEED_RATIO_WANTED } },
      figure('CPU µs/frame', cpuUsPerFrame, 3),
      figure('whole process, s', ({ wholeSeconds }) => wholeSeconds, 2),
      figure('database, bytes/frame', ({ databaseBytes, frames }) => databaseBytes / frames, 1),
    ],
  );
}

function isPythonCanThere(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import can'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
