import { readFileSync } from 'node:fs';

/** What the kernel says of this process, all threads together (proc(5)). */

/** Bytes that it has caused to be written to a disk: pages made dirty, so every rewrite after a sync counts. */
export function writtenBytes(): number {
  return numberIn('/proc/self/io', /^write_bytes: (\d+)$/m);
}

export function rssMiB(): number {
  return numberIn('/proc/self/status', /^VmRSS:\s+(\d+) kB$/m) / 1024;
}

export function peakRssMiB(): number {
  return numberIn('/proc/self/status', /^VmHWM:\s+(\d+) kB$/m) / 1024;
}

export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function numberIn(file: string, pattern: RegExp): number {
  const match = pattern.exec(readFileSync(file, 'latin1'));
  if (match === null) throw new Error(`${file} has nothing like ${pattern}`);
  return Number(match[1]);
}
