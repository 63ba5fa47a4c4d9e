import { pino } from 'pino';
import { Bus } from '../src/bus/bus.ts';
import { parseBusUrl } from '../src/bus/bus-url.ts';
import { FrameBatch } from '../src/bus/frame-batch.ts';
import { SimulatedKart } from '../src/bus/simulated-kart/simulated-kart.ts';
import { FrameRing } from '../src/recording/frame-ring.ts';
import { Recorder } from '../src/recording/recorder.ts';
import { RecordingWriter } from '../src/recording/recording-writer.ts';
import { cpuSeconds } from './process-figures.ts';

/** A log through a bus into a recording; then what a live bus costs each of the two threads. */

const [log, path] = process.argv.slice(2);
const FORMAT = {
  maxFileBytes: 64 * 1024 ** 2,
  maxFileAgeMs: 3_600_000,
  maxBytes: null,
  compress: 'zstd',
} as const;

/** A live bus of 4,500 frames/s: what gathers in 5 ms, and in the 2 s after which it is written. */
const LIVE_BATCH_FRAMES = 24;
const LIVE_DRAIN_FRAMES = 9000;
const LIVE_FRAMES = 900_000;

interface LiveFigures {
  readonly copyNs: number;
  readonly writeNs: number;
}

async function recordLog(): Promise<{ frames: number; bytes: number; seconds: number; cpu_seconds: number }> {
  const startedMs = performance.now();
  const ended = Promise.withResolvers<void>();
  const silent = pino({ enabled: false });
  const recorder = new Recorder({ ...FORMAT, path: path!, busNames: ['can0'], log: silent });
  const url = `candump:${encodeURIComponent(log!)}?speed=max`;
  const bus = new Bus({
    name: 'can0',
    url,
    spec: parseBusUrl(url),
    log: silent,
    onFrames(batch, release) {
      recorder.record(batch, 0);
      if (recorder.hasRoom) release();
      else recorder.whenRoom(release);
    },
    onEnded: () => ended.resolve(),
  });
  recorder.start();
  bus.start();
  await ended.promise;
  await bus.stop();
  await recorder.stop();
  const { frames, bytesWritten } = recorder.status();
  const seconds = (performance.now() - startedMs) / 1000;
  return { frames, bytes: bytesWritten, seconds, cpu_seconds: cpuSeconds() };
}

function recordLive(): LiveFigures {
  const kart = new SimulatedKart({ seed: 1 });
  const ring = FrameRing.allocate();
  const writer = new RecordingWriter({ ...FORMAT, path: `${path}-live`, channels: ['can0'] });
  let copyMs = 0;
  let writeMs = 0;
  for (let frames = 0; frames < LIVE_FRAMES; frames += LIVE_DRAIN_FRAMES) {
    const batches = Array.from({ length: LIVE_DRAIN_FRAMES / LIVE_BATCH_FRAMES }, () => {
      const batch = FrameBatch.allocate(LIVE_BATCH_FRAMES);
      kart.emit(batch, Number.POSITIVE_INFINITY, 1_767_225_600_000_000);
      return batch;
    });
    const startMs = performance.now();
    for (const batch of batches) ring.append(batch, 0);
    const copiedMs = performance.now();
    writer.drain(ring);
    copyMs += copiedMs - startMs;
    writeMs += performance.now() - copiedMs;
  }
  writer.close();
  return { copyNs: (copyMs * 1e6) / LIVE_FRAMES, writeNs: (writeMs * 1e6) / LIVE_FRAMES };
}

const recorded = await recordLog();
process.stdout.write(JSON.stringify({ ...recorded, ...recordLive() }));
