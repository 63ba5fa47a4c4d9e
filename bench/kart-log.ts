import { closeSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { kartDrive } from '../test/support/kart-drive.ts';

/** Writes a candump log of the simulated kart's first frames, unless it is there already. */
export function writeKartLog(path: string, frames: number, seed: number): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'w');
  for (const piece of kartDrive(frames, seed)) writeSync(fd, piece);
  closeSync(fd);
}
