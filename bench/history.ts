import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Recorded } from './history-drive.ts';
import type { Queries, Trial, TrialOptions } from './history-trial.ts';
import { type Figure, report } from './report.ts';

/**
 * Half a day is what about ten minutes have room for: 24 hours took 15 minutes and 46 seconds on a shared
 * machine with two cores, most of it the reference's. HOURS=24 in the environment runs them.
 */
const HOURS = Number(process.env.HOURS ?? 12);

/** A row takes the same room whatever its timestamp's digits and however many rows there are: this tells. */
const REFERENCE_MS_HOURS = Math.min(HOURS, 1);

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));

/**
 * A drive of HOURS, about 2.4 million samples each, in the collector's history and in a table with a row per
 * sample. Each records it in a process of its own, second by second of the drive, each second durable before
 * the next; both make the same samples in the process, and what that costs (a dry run tells) is subtracted.
 */
export async function historyBench(): Promise<void> {
  if (!(HOURS > 0)) throw new RangeError(`expected HOURS to be above 0, found ${process.env.HOURS}`);
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'history-'));
  const trial = async (program: string, resolutionUs: number, withQueries: boolean, hours = HOURS) => {
    process.stderr.write(`history: ${program}, ${hours} h, timestamps in ${resolutionUs} µs ...\n`);
    const path = join(folder, 'trial.db');
    const options: TrialOptions = { path, hours, resolutionUs, withQueries };
    const result = await run(program, options);
    for (const suffix of ['', '-wal', '-shm', '-lock']) rmSync(`${path}${suffix}`, { force: true });
    return result;
  };
  try {
    const dryRun = await trial('dry-run', 1, false);
    const ours = (await trial('collector', 1, true)) as Trial;
    const oursMs = (await trial('collector', 1000, false)) as Trial;
    const reference = (await trial('reference', 1, true)) as Trial;
    const referenceMs = (await trial('reference', 1000, false, REFERENCE_MS_HOURS)) as Trial;
    if (ours.samples !== reference.samples || ours.samples !== dryRun.samples) {
      throw new Error(`the drives differ: ${ours.samples}, ${reference.samples}, ${dryRun.samples} samples`);
    }
    reportHistory(dryRun, ours, reference, oursMs, referenceMs);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(program: string, options: TrialOptions): Promise<Recorded | Trial> {
  const path = fileURLToPath(new URL(`./history-${program}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    // With the memory that the service has.
    ...process.execArgv,
    path,
    JSON.stringify(options),
  ]);
  return JSON.parse(stdout);
}

function reportHistory(
  dryRun: Recorded,
  ours: Trial,
  reference: Trial,
  oursMs: Trial,
  referenceMs: Trial,
): void {
  const perSample = (of: (trial: Trial) => number) => ({
    ours: of(ours) / ours.samples,
    reference: of(reference) / reference.samples,
  });
  const speed = (trial: Trial) => trial.samples / (trial.seconds - dryRun.seconds);
  const figures: Figure[] = [
    {
      what: 'on disk, bytes/sample',
      ...perSample(({ fileBytes }) => fileBytes),
      digits: 2,
      wanted: { oursAtMost: 2.2, ratioAtMost: 1 / 15 },
    },
    {
      what: 'the same, timestamps in ms',
      ours: oursMs.fileBytes / oursMs.samples,
      reference: referenceMs.fileBytes / referenceMs.samples,
      digits: 2,
      wanted: { oursAtMost: 1.2 },
    },
    {
      what: 'written to disk, bytes/sample',
      ...perSample(({ writtenBytes }) => writtenBytes),
      digits: 1,
      wanted: { ratioAtMost: 1 / 8 },
    },
    {
      what: 'samples/s recorded',
      ours: speed(ours),
      reference: speed(reference),
      digits: 0,
      wanted: { ratioAtLeast: 2 },
    },
    {
      what: 'CPU µs/sample',
      ...perSample(({ cpuSeconds }) => (cpuSeconds - dryRun.cpuSeconds) * 1e6),
      digits: 3,
      wanted: { ratioAtMost: 1 / 2 },
    },
    query('one signal, 1 h, every sample as columns, ms', ours, reference, 'signalHour', 1 / 10),
    query(`one signal, ${HOURS} h, 1,000 points, ms`, ours, reference, 'signalWhole', 1 / 50),
    query('newest 100 of everything, ms', ours, reference, 'newest', 1),
    {
      what: 'peak memory recording, MiB',
      ours: ours.peakRssMiB,
      reference: reference.peakRssMiB,
      digits: 0,
      wanted: { oursAtMost: 200 },
    },
    {
      what: 'peak memory with queries, MiB',
      ours: ours.wholePeakRssMiB,
      reference: reference.wholePeakRssMiB,
      digits: 0,
      wanted: { oursAtMost: 200 },
    },
  ];
  const samples = ours.samples.toLocaleString('en');
  report(`history: ${HOURS} h of drive, ${samples} samples, flushed every second`, 'row per sample', figures);
  const megabytes = (rss: readonly number[]) => rss.map((value) => value.toFixed(0)).join(' ');
  const lines = [
    `memory over the drive, MiB: collector ${megabytes(ours.rssMiB)}; row per sample ${megabytes(reference.rssMiB)}`,
    `subtracted for making the samples: ${dryRun.seconds.toFixed(1)} s, ${dryRun.cpuSeconds.toFixed(1)} s of CPU`,
    `the reference's file with timestamps in ms is that of ${REFERENCE_MS_HOURS} h`,
    `samples of the signal in the hour: ${ours.queries?.signalHour?.count.toLocaleString('en')}`,
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function query(
  what: string,
  ours: Trial,
  reference: Trial,
  name: keyof Queries,
  ratioAtMost: number,
): Figure {
  const [left, right] = [ours.queries?.[name] ?? null, reference.queries?.[name] ?? null];
  if (left !== null && right !== null && left.count !== right.count) {
    throw new Error(`${what}: the collector gave ${left.count}, the reference ${right.count}`);
  }
  return { what, ours: left?.ms ?? null, reference: right?.ms ?? null, digits: 2, wanted: { ratioAtMost } };
}
