/**
 * A process that records the simulated kart until it is killed, and says how many frames are on the disk:
 *
 *     node recorder.ts FOLDER
 *
 *     durable COUNT
 */
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { Bus } from '../../src/bus/bus.ts';
import { parseBusUrl } from '../../src/bus/bus-url.ts';
import { Recorder } from '../../src/recording/recorder.ts';

const TICK_MS = 20;

const log = pino({ enabled: false });
const recorder = new Recorder({
  path: process.argv[2]!,
  maxFileBytes: 64 * 1024 ** 2,
  maxFileAgeMs: 5_000,
  maxBytes: null,
  compress: 'zstd',
  busNames: ['sim'],
  log,
});
const url = 'sim:kart';
const bus = new Bus({
  name: 'sim',
  url,
  spec: parseBusUrl(url),
  log,
  onFrames(batch, release) {
    recorder.record(batch, 0);
    release();
  },
});
recorder.start();
bus.start();

let told = 0;
setInterval(() => {
  const { frames } = recorder.status();
  if (frames > told) writeSync(1, `durable ${frames}\n`);
  told = frames;
}, TICK_MS);
