import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { SimulatedKart } from '../../src/bus/simulated-kart/simulated-kart.ts';
import { FRAME_BATCH_FRAMES_MAX } from '../../src/shared/limits.ts';
import { candumpLog } from './candump-log.ts';

/** The moment at which the drive begins: 2026-01-01, as examples in the docs have it. */
export const DRIVE_START_US = 1_767_225_600_000_000;

/** The simulated kart's first frames as a candump log, piece by piece. It sends some 660 a second. */
export function* kartDrive(frames: number, seed = 1): Generator<string> {
  const kart = new SimulatedKart({ seed });
  for (let left = frames; left > 0; ) {
    const batch = FrameBatch.allocate(Math.min(left, FRAME_BATCH_FRAMES_MAX));
    kart.emit(batch, Number.POSITIVE_INFINITY, DRIVE_START_US);
    yield candumpLog(batch);
    left -= batch.count;
  }
}
