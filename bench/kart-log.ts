import { closeSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FrameBatch } from '../src/bus/frame-batch.ts';
import { SimulatedKart } from '../src/bus/simulated-kart.ts';
import { FRAME_BATCH_FRAMES_MAX } from '../src/shared/limits.ts';
import { candumpLog } from '../test/support/candump-log.ts';

/** The moment at which the generated drive begins: 2026-01-01. */
const DRIVE_START_US = 1_767_225_600_000_000;

/** Writes a candump log of the simulated kart's first frames, unless it is there already. */
export function writeKartLog(path: string, frames: number, seed: number): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  const kart = new SimulatedKart({ seed });
  const fd = openSync(path, 'w');
  for (let left = frames; left > 0; ) {
    const batch = FrameBatch.allocate(Math.min(left, FRAME_BATCH_FRAMES_MAX));
    kart.emit(batch, Number.POSITIVE_INFINITY, DRIVE_START_US);
    writeSync(fd, candumpLog(batch));
    left -= batch.count;
  }
  closeSync(fd);
}
