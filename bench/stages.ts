import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ControllerMonitor } from '../src/bus/controller-monitor.ts';
import { FrameBatch } from '../src/bus/frame-batch.ts';
import { CandumpParser } from '../src/bus/log/candump-parser.ts';
import { TrafficMeter } from '../src/bus/traffic-meter.ts';
import { openForWriting } from '../src/history/database/database.ts';
import { KEEP_EVERYTHING } from '../src/history/retention.ts';
import { HistoryWriter } from '../src/history/writer/history-writer.ts';
import { KartDecoder } from '../src/protocol/kart-decoder.ts';
import { ProtocolRegistry } from '../src/protocol/protocol-registry.ts';
import { SampleBatch } from '../src/protocol/sample-batch.ts';
import { SeriesTable } from '../src/protocol/series-table.ts';
import { FRAME_BATCH_FRAMES_MAX, SAMPLE_BATCHES_PER_COMMIT_MAX } from '../src/shared/limits.ts';
import { TelemetryStore } from '../src/telemetry/telemetry-store.ts';
import { writeKartLog } from './kart-log.ts';
import { median, report } from './report.ts';

const FRAMES = 1_000_000;
const SEED = 1;
/** The first ones are for the compiler. */
const ROUNDS = 7;
const ROUNDS_COUNTED = 5;
const NOW_US = 1_767_225_600_000_000;

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const REFERENCE = fileURLToPath(new URL('./reference/replay.py', import.meta.url));

const STAGES = ['parse', 'bus figures', 'decode', 'state', 'history'] as const;
type Stage = (typeof STAGES)[number];

/**
 * What each stage of the data path costs, by itself and in one thread, once it is compiled: so that it is known where
 * the time of the next one goes. The reference is what the Python pipeline takes for a frame, all in all.
 */
export async function stagesBench(): Promise<void> {
  const log = join(CACHE, `kart-${FRAMES}-${SEED}.log`);
  writeKartLog(log, FRAMES, SEED);
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'stages-'));
  try {
    const bytes = readFileSync(log);
    const rounds = Array.from({ length: ROUNDS }, (_, round) =>
      measureStages(bytes, join(folder, `${round}.db`)),
    );
    const counted = rounds.slice(ROUNDS - ROUNDS_COUNTED);
    const reference = pythonNsPerFrame(log, join(folder, 'reference.db'));
    const figures = STAGES.map((stage) => ({
      what: `${stage}, ns/frame`,
      ours: median(counted.map((nsPerFrame) => nsPerFrame[stage])),
      reference,
      digits: 1,
    }));
    const ours = figures.reduce((sum, figure) => sum + figure.ours, 0);
    report(
      `stages: ${FRAMES.toLocaleString('en')} frames, median of ${ROUNDS_COUNTED} rounds`,
      'Python, all stages',
      [...figures, { what: 'all, ns/frame', ours, reference, digits: 1 }],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measureStages(bytes: Uint8Array, databasePath: string): Record<Stage, number> {
  const table = new SeriesTable(ProtocolRegistry.load());
  const decoder = new KartDecoder('can0', ProtocolRegistry.load(), table);
  const state = new TelemetryStore(table);
  const meter = new TrafficMeter();
  const monitor = new ControllerMonitor();
  const parser = new CandumpParser();
  const database = openForWriting(databasePath);
  const writer = new HistoryWriter(database, databasePath, KEEP_EVERYTHING);
  writer.load();
  const batch = FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX);
  // As many as a commit makes durable: their bytes are cold when they are written, as they are between threads.
  const batches = Array.from({ length: SAMPLE_BATCHES_PER_COMMIT_MAX }, () => SampleBatch.allocate());
  const ms: Record<Stage, number> = { parse: 0, 'bus figures': 0, decode: 0, state: 0, history: 0 };
  let seriesWritten = 0;
  let nextSeq = 1;
  let filled = 0;
  batches[0]!.begin(nextSeq);

  let startedMs = performance.now();
  function took(stage: Stage): void {
    const nowMs = performance.now();
    ms[stage] += nowMs - startedMs;
    startedMs = nowMs;
  }

  function write(): void {
    const known = table.since(seriesWritten);
    seriesWritten += known.length;
    writer.addSeries(known);
    for (const samples of batches.slice(0, filled)) writer.append(samples);
    writer.commit(NOW_US);
    filled = 0;
  }

  let frames = 0;
  for (let at = 0; at < bytes.length; ) {
    batch.clear();
    startedMs = performance.now();
    at = parser.parse(bytes, at, bytes.length, batch);
    took('parse');
    meter.observe(batch);
    monitor.observe(batch);
    took('bus figures');
    frames += batch.count;
    for (let frame = 0; frame < batch.count; ) {
      const samples = batches[filled]!;
      const first = samples.count;
      frame = decoder.decode(batch, frame, samples);
      took('decode');
      state.apply(samples, first);
      took('state');
      if (!samples.isFull) continue;
      nextSeq += samples.count;
      filled++;
      if (filled === batches.length) write();
      batches[filled]!.begin(nextSeq);
      took('history');
    }
  }
  if (batches[filled]!.count > 0) filled++;
  write();
  took('history');
  database.close();
  if (frames !== FRAMES) throw new Error(`${frames} frames were read`);
  return Object.fromEntries(STAGES.map((stage) => [stage, (ms[stage] * 1e6) / FRAMES])) as Record<
    Stage,
    number
  >;
}

function pythonNsPerFrame(log: string, databasePath: string): number {
  const output = execFileSync('/usr/bin/python3', [REFERENCE, log, databasePath], { encoding: 'utf8' });
  const { frames, cpu_seconds } = JSON.parse(output) as { frames: number; cpu_seconds: number };
  return (cpu_seconds * 1e9) / frames;
}
