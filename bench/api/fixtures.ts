import { execFileSync } from 'node:child_process';
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { SimulatedKart } from '../../src/bus/simulated-kart/simulated-kart.ts';
import { candumpLog } from '../../test/support/candump-log.ts';
import type { TrialOptions } from '../history-trial.ts';

const SEED = 1;
const START_US = 1_767_225_600_000_000;
const FRAMES_AT_ONCE = 4096;

const RECORD_DRIVE = fileURLToPath(new URL('../history-collector.ts', import.meta.url));

/**
 * Writes a log of the simulated kart, of the first so many signals that it sends, at an even pace; unless a file of its
 * name is there.
 */
export function writeSignalsLog(path: string, frames: number, framesPerS: number, signals: number): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const kart = new SimulatedKart({ seed: SEED });
  const sent = FrameBatch.allocate(FRAMES_AT_ONCE);
  const log = FrameBatch.allocate(FRAMES_AT_ONCE);
  const known = new Set<string>();
  const unfinished = `${path}.unfinished`;
  const fd = openSync(unfinished, 'w');
  for (let written = 0; written < frames; ) {
    sent.clear();
    log.clear();
    kart.emit(sent, Number.POSITIVE_INFINITY, START_US);
    for (let at = 0; at < sent.count && written < frames; at++) {
      const [first = 0, , componentId, commandId] = sent.payloadOf(at);
      const signal = `${(first >> 3) & 7}/${componentId}/${commandId}`;
      if (!known.has(signal) && known.size === signals) continue;
      known.add(signal);
      log.copy(sent, at, START_US + Math.floor((written++ * 1_000_000) / framesPerS));
    }
    writeSync(fd, candumpLog(log));
  }
  closeSync(fd);
  if (known.size < signals) throw new Error(`the kart sends ${known.size} signals, not ${signals}`);
  renameSync(unfinished, path);
}

/** Makes a database of so many hours of the simulated kart, unless it is there; it takes some seconds an hour. */
export function makeHistory(path: string, hours: number): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const unfinished = `${path}.unfinished`;
  rmSync(unfinished, { force: true });
  const options: TrialOptions = { path: unfinished, hours, resolutionUs: 1, withQueries: false };
  execFileSync(process.execPath, [RECORD_DRIVE, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(`${unfinished}-lock`, { force: true });
  renameSync(unfinished, path);
}
