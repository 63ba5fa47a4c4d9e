import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { SimulatedKart } from '../../src/bus/simulated-kart/simulated-kart.ts';
import { candumpLog } from '../../test/support/candump-log.ts';

const START_US = 1_767_225_600_000_000;
const SEED = 1;

/** Writes a log of the simulated kart's frames at an even pace for canplayer, unless a file of its length is there. */
export function writeBusLog(path: string, frames: number, framesPerS: number): void {
  const kart = new SimulatedKart({ seed: SEED });
  const batch = FrameBatch.allocate(frames);
  kart.emit(batch, Number.POSITIVE_INFINITY, START_US);
  for (let at = 0; at < frames; at++) {
    batch.timestampUs[at] = START_US + Math.floor((at * 1_000_000) / framesPerS);
  }
  const text = candumpLog(batch);
  if (statSync(path, { throwIfNoEntry: false })?.size === text.length) return;
  const fd = openSync(path, 'w');
  writeSync(fd, text);
  closeSync(fd);
}
