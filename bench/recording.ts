import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeKartLog } from './kart-log.ts';
import { median, report } from './report.ts';

const FRAMES = 1_000_000;
const SEED = 1;
const ROUNDS = 3;

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const OURS = fileURLToPath(new URL('./recording-collector.ts', import.meta.url));
const REFERENCE = fileURLToPath(new URL('./reference/recording.py', import.meta.url));
/** Debian's own Python, for which python3-can is packaged. */
const PYTHON = '/usr/bin/python3';

interface Measured {
  readonly frames: number;
  readonly seconds: number;
  readonly cpu_seconds: number;
  readonly bytes: number;
}

interface MeasuredOurs extends Measured {
  readonly copyNs: number;
  readonly writeNs: number;
}

/** A candump log of 1,000,000 frames, recorded by us as compressed logs and by python-can as a log. */
export async function recordingBench(): Promise<void> {
  const log = join(CACHE, `kart-${FRAMES}-${SEED}.log`);
  writeKartLog(log, FRAMES, SEED);
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'recording-'));
  try {
    const ours: MeasuredOurs[] = [];
    const reference: Measured[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // The log is in the page cache for both.
      readFileSync(log);
      ours.push(JSON.parse(run(process.execPath, OURS, log, join(folder, `ours-${round}`))));
      const out = join(folder, `reference-${round}.log`);
      reference.push({ ...JSON.parse(run(PYTHON, REFERENCE, log, out)), bytes: statSync(out).size });
    }
    const both = (of: (measured: Measured) => number) => ({
      ours: median(ours.map(of)),
      reference: median(reference.map(of)),
    });
    report(
      `recording: ${FRAMES.toLocaleString('en')} frames, log to log, median of ${ROUNDS} rounds`,
      'python-can',
      [
        { what: 'frames/s', ...both(({ frames, seconds }) => frames / seconds), digits: 0 },
        {
          what: 'CPU µs/frame',
          ...both(({ frames, cpu_seconds }) => (cpu_seconds * 1e6) / frames),
          digits: 3,
        },
        { what: 'bytes/frame', ...both(({ frames, bytes }) => bytes / frames), digits: 1 },
        {
          what: 'live: main thread, ns/frame',
          ours: median(ours.map(({ copyNs }) => copyNs)),
          reference: null,
          digits: 0,
        },
        {
          what: 'live: recorder, ns/frame',
          ours: median(ours.map(({ writeNs }) => writeNs)),
          reference: null,
          digits: 0,
        },
      ],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' });
}
