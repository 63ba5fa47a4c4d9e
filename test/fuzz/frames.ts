import assert from 'node:assert/strict';
import { FRAME_FLAG } from '../../src/bus/can-frame.ts';
import { ControllerMonitor } from '../../src/bus/controller-monitor.ts';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { TrafficMeter } from '../../src/bus/traffic-meter.ts';
import { openForWriting } from '../../src/history/database/database.ts';
import { KEEP_EVERYTHING } from '../../src/history/retention.ts';
import { HistoryWriter } from '../../src/history/writer/history-writer.ts';
import { KartDecoder } from '../../src/protocol/kart-decoder.ts';
import { ProtocolRegistry } from '../../src/protocol/protocol-registry.ts';
import { SampleBatch } from '../../src/protocol/sample-batch.ts';
import { SeriesTable } from '../../src/protocol/series-table.ts';
import { CAN_IDS_COUNTED_MAX, FRAME_BATCH_FRAMES_MAX, SERIES_MAX } from '../../src/shared/limits.ts';
import { TelemetryStore } from '../../src/telemetry/telemetry-store.ts';
import { randomNumbers } from '../support/random.ts';

const START_US = 1_764_000_000_000_000;
/** What the history keeps: enough that it is compacted, and that the oldest go. */
const SAMPLES_KEPT = 100_000;
const FD_LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];

/** What became of random frames. */
export interface FuzzedFrames {
  readonly frames: number;
  readonly samples: number;
  readonly series: number;
}

/**
 * Sends random frames of every form down the data path, to a database: each is a sample or counted by what is wrong with
 * it, and each sample is stored or was dropped by retention. `onProgress` is told now and then how many there were.
 */
export function fuzzFrames(
  frames: number,
  seed: number,
  databasePath: string,
  onProgress: (frames: number) => void = () => {},
): FuzzedFrames {
  const random = randomNumbers(seed);
  const registry = ProtocolRegistry.load();
  const table = new SeriesTable(registry);
  const decoder = new KartDecoder('can0', registry, table);
  const meter = new TrafficMeter();
  const monitor = new ControllerMonitor();
  const state = new TelemetryStore(table);
  const database = openForWriting(databasePath, 'relaxed');
  const retention = { ...KEEP_EVERYTHING, maxSamples: SAMPLES_KEPT };
  const writer = new HistoryWriter(database, databasePath, retention);
  writer.load();
  const batch = FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX);
  const samples = SampleBatch.allocate();
  samples.begin(1);
  let sampleCount = 0;
  let written = 0;
  let seriesWritten = 0;
  let timestampUs = START_US;
  for (let left = frames; left > 0; left -= batch.count) {
    batch.clear();
    while (batch.count < left && !batch.isFull) {
      // A clock that is set now and then.
      timestampUs += random(1000) === 0 ? random(2_000_000_000) - 1_000_000_000 : random(400);
      pushRandom(batch, timestampUs, random);
    }
    meter.observe(batch);
    monitor.observe(batch);
    for (let at = 0; at < batch.count; ) {
      const first = samples.count;
      at = decoder.decode(batch, at, samples);
      state.apply(samples, first);
      sampleCount += samples.count - first;
      if (!samples.isFull) continue;
      written += write();
    }
    onProgress(frames - left + batch.count);
  }
  written += write();

  const outcomes = Object.values(decoder.counters.totals());
  assert.equal(sum(outcomes), frames, 'each frame is counted');
  assert.equal(written, sampleCount, 'each sample is stored');
  assert.ok(writer.samplesKept <= SAMPLES_KEPT && table.count <= SERIES_MAX);
  assert.ok(decoder.counters.perCanId().length <= CAN_IDS_COUNTED_MAX);
  assert.equal(database.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  database.close();
  return { frames, samples: sampleCount, series: table.count };

  function write(): number {
    const known = table.since(seriesWritten);
    seriesWritten += known.length;
    writer.addSeries(known);
    writer.append(samples);
    const stored = writer.commit(START_US);
    while (writer.compact()) {
      // A slice of the work.
    }
    samples.begin(samples.firstSeq + samples.count);
    return stored;
  }
}

function pushRandom(batch: FrameBatch, timestampUs: number, random: (below: number) => number): void {
  const form = random(16);
  if (form < 10) {
    // Of a vehicle like the kart; and of one that has as many nodes and signals as there can be.
    const payload = Array.from({ length: 8 }, () => random(256));
    payload[2] = random(6);
    payload[3] = random(6);
    if (form > 0) payload[4] = random(3) << 4;
    batch.push(timestampUs, random(form === 0 ? 2048 : 8), random(20) === 0 ? FRAME_FLAG.OWN : 0, payload);
    return;
  }
  // Any flags whatever, also such as no frame has together.
  const flags = random(256);
  const canId = (flags & FRAME_FLAG.EXTENDED) === 0 ? random(2048) : random(2 ** 29);
  const lengths = (flags & FRAME_FLAG.FD) === 0 ? 9 : FD_LENGTHS.length;
  batch.push(
    timestampUs,
    canId,
    flags,
    Array.from({ length: FD_LENGTHS[random(lengths)]! }, () => random(256)),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
