import { FrameBatch } from '../src/bus/frame-batch.ts';
import { SimulatedKart } from '../src/bus/simulated-kart/simulated-kart.ts';
import { KartDecoder } from '../src/protocol/kart-decoder.ts';
import type { ProtocolRegistry } from '../src/protocol/protocol-registry.ts';
import type { SampleBatch } from '../src/protocol/sample-batch.ts';
import type { SeriesTable } from '../src/protocol/series-table.ts';
import { FRAME_BATCH_FRAMES_MAX } from '../src/shared/limits.ts';
import { cpuSeconds, peakRssMiB, rssMiB, writtenBytes } from './process-figures.ts';

/** The moment at which the drive begins: 2026-01-01. */
export const DRIVE_START_US = 1_767_225_600_000_000;
const SEED = 1;
export const BUS = 'can0';

/** STATUS of MOTORS/MOTOR_LEFT_REAR/RPM: a value of a motor, of those that come most often. */
export const SIGNAL = { messageType: 1, componentType: 1, componentId: 0, commandId: 1 } as const;

/** How often what records may catch up with what it does beside the commits. */
const SETTLE_EVERY_S = 600;
const MEMORY_LOOKS = 8;

export interface DriveOptions {
  readonly path: string;
  readonly hours: number;
  /** Timestamps are rounded to so many microseconds. */
  readonly resolutionUs: number;
}

/** Where the samples go. */
export interface Recorder {
  readonly table: SeriesTable;
  /** The batch to append to. */
  readonly samples: SampleBatch;
  /** Takes the batch, which is full, and gives another. */
  handOver(): void;
  /** Makes a second's samples durable. */
  commit(): Promise<void> | void;
  /** Resolves when nothing is left to do until more samples come. */
  settle(): Promise<void> | void;
  /** What is asked of it when all is recorded, before it is closed; of the figures it counts in the whole peak alone. */
  ask(): Promise<void> | void;
  close(): Promise<void> | void;
}

export interface Recorded {
  readonly samples: number;
  /**
   * Wall time of the recording, in which the recorder is never idle; what it does while it settles counts by
   * its CPU time, as waiting for timers there would cost nothing at the drive's own pace.
   */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly writtenBytes: number;
  readonly peakRssMiB: number;
  /** What was asked, and the closing, included. */
  readonly wholePeakRssMiB: number;
  /** At equal distances over the drive. */
  readonly rssMiB: readonly number[];
}

/**
 * Plays the drive as fast as it can be recorded. One second of the drive is made and decoded at a time, and
 * is durable before the next begins: flushes by the drive's clock instead of the wall's.
 */
export async function recordDrive(
  { hours, resolutionUs }: Pick<DriveOptions, 'hours' | 'resolutionUs'>,
  registry: ProtocolRegistry,
  recorder: Recorder,
): Promise<Recorded> {
  const kart = new SimulatedKart({ seed: SEED });
  const decoder = new KartDecoder(BUS, registry, recorder.table);
  const frames = FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX);
  const driveSeconds = Math.round(hours * 3600);
  const rss: number[] = [];
  let samples = 0;
  /** What isn't the recorder's, or would cost nothing at the drive's own pace. */
  const apart = { seconds: 0, cpuSeconds: 0, writtenBytes: 0 };

  async function settle(): Promise<void> {
    const startedMs = performance.now();
    const startedCpuS = cpuSeconds();
    await recorder.settle();
    apart.seconds += (performance.now() - startedMs) / 1000 - (cpuSeconds() - startedCpuS);
  }

  async function ask(): Promise<void> {
    const startedMs = performance.now();
    const startedCpuS = cpuSeconds();
    const startedBytes = writtenBytes();
    await recorder.ask();
    apart.seconds += (performance.now() - startedMs) / 1000;
    apart.cpuSeconds += cpuSeconds() - startedCpuS;
    apart.writtenBytes += writtenBytes() - startedBytes;
  }

  const startedMs = performance.now();
  const startedCpuS = cpuSeconds();
  const startedBytes = writtenBytes();
  for (let second = 1; second <= driveSeconds; second++) {
    do {
      frames.count = 0;
      kart.emit(frames, second * 1e6, DRIVE_START_US);
      for (let at = 0; at < frames.count; ) {
        const batch = recorder.samples;
        const first = batch.count;
        at = decoder.decode(frames, at, batch);
        if (resolutionUs > 1) round(batch, first, resolutionUs);
        samples += batch.count - first;
        if (batch.isFull) recorder.handOver();
      }
    } while (frames.isFull);
    await recorder.commit();
    if (second % SETTLE_EVERY_S === 0) await settle();
    if (Math.floor((second * MEMORY_LOOKS) / driveSeconds) > rss.length) rss.push(rssMiB());
  }
  await settle();
  const peak = peakRssMiB();
  await ask();
  await recorder.close();
  return {
    samples,
    seconds: (performance.now() - startedMs) / 1000 - apart.seconds,
    cpuSeconds: cpuSeconds() - startedCpuS - apart.cpuSeconds,
    writtenBytes: writtenBytes() - startedBytes - apart.writtenBytes,
    peakRssMiB: peak,
    wholePeakRssMiB: peakRssMiB(),
    rssMiB: rss,
  };
}

function round({ timestampUs, count }: SampleBatch, first: number, resolutionUs: number): void {
  for (let at = first; at < count; at++) {
    timestampUs[at] = Math.round(timestampUs[at]! / resolutionUs) * resolutionUs;
  }
}
