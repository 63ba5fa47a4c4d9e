import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FrameBatch } from '../src/bus/frame-batch.ts';
import { MESSAGE_TYPE, VALUE_TYPE } from '../src/protocol/kart-codec.ts';
import { candumpLog } from '../test/support/candump-log.ts';
import { type Figure, median, report } from './report.ts';

const FRAMES = 1_000_000;
const ROUNDS = 3;
const SIGNALS = [10, 100, 1000, 10_000];
const BUSES = [1, 2, 4, 8];
/** With which the number of buses is varied. */
const SIGNALS_OF_BUSES = 256;
const START_US = 1_767_225_600_000_000;
/** Signals of one node: many nodes that send the same quantity are no vehicle (SERIES_PER_QUANTITY_MAX). */
const SIGNALS_PER_NODE = 1000;

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const OURS = fileURLToPath(new URL('./replay-collector.ts', import.meta.url));

interface Measured {
  readonly frames: number;
  readonly cpu_seconds: number;
}

/**
 * What a frame costs as signals and buses grow in number: a million frames in all, through the whole path to a durable
 * history. The reference is the same with the fewest.
 */
export async function scalingBench(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'scaling-'));
  try {
    reportGrowth('signals', SIGNALS, (signals) => measureAll(folder, signals, 1));
    reportGrowth('buses', BUSES, (buses) => measureAll(folder, SIGNALS_OF_BUSES, buses));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function reportGrowth(what: string, counts: readonly number[], measure: (count: number) => number[]): void {
  const all = counts.map(measure);
  const figures = all.map((ours, index): Figure => {
    const ratio = median(ours.map((nsPerFrame, round) => nsPerFrame / all[0]![round]!));
    return {
      what: `${counts[index]} ${what}`,
      ours: median(ours),
      reference: median(all[0]!),
      ratio,
      digits: 0,
    };
  });
  const title = `scaling: CPU ns/frame by the number of ${what}, ${FRAMES.toLocaleString('en')} frames, median of ${ROUNDS} rounds`;
  report(title, `${counts[0]} ${what}`, figures);
}

/** CPU in ns a frame, round by round. */
function measureAll(folder: string, signals: number, buses: number): number[] {
  const logs = Array.from({ length: buses }, (_, bus) => {
    const log = join(folder, `${signals}-${buses}-${bus}.log`);
    writeLog(log, FRAMES / buses, signals);
    return log;
  });
  return Array.from({ length: ROUNDS }, (_, round) => {
    const database = join(folder, `${signals}-${buses}-${round}.db`);
    const output = execFileSync(process.execPath, [OURS, database, ...logs], { encoding: 'utf8' });
    rmSync(database);
    const { frames, cpu_seconds } = JSON.parse(output) as Measured;
    return (cpu_seconds * 1e9) / frames;
  });
}

/** Frames of so many signals in turn, at the pace of a full bus. */
function writeLog(path: string, frames: number, signals: number): void {
  const fd = openSync(path, 'w');
  const batch = FrameBatch.allocate(10_000);
  for (let frame = 0; frame < frames; ) {
    batch.clear();
    for (; frame < frames && !batch.isFull; frame++) {
      const signal = frame % signals;
      const ofNode = signal % SIGNALS_PER_NODE;
      const value = (frame * 7919) % 65_536;
      const payload = [(MESSAGE_TYPE.STATUS << 6) | (1 << 3), 0, ofNode >> 4, ofNode & 0xf];
      payload.push(VALUE_TYPE.UINT16 << 4, 0, value >> 8, value & 0xff);
      batch.push(START_US + frame * 222, 1 + Math.floor(signal / SIGNALS_PER_NODE), 0, payload);
    }
    writeSync(fd, candumpLog(batch));
  }
  closeSync(fd);
}
