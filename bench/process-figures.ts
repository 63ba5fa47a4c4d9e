import { readFileSync } from 'node:fs';

/** What the kernel says of a process, all threads together (proc(5)). */

/** USER_HZ, in which the kernel counts: 100 on every Linux that programs see (time(7)). */
const TICKS_PER_S = 100;

/** Bytes that it has caused to be written to a disk: pages made dirty, so every rewrite after a sync counts. */
export function writtenBytes(): number {
  return numberIn('/proc/self/io', /^write_bytes: (\d+)$/m);
}

/** Of this process, or of another one. */
export function rssMiB(pid: number | 'self' = 'self'): number {
  return numberIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m) / 1024;
}

export function peakRssMiB(): number {
  return numberIn('/proc/self/status', /^VmHWM:\s+(\d+) kB$/m) / 1024;
}

export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** What the processes have taken of the processors so far, all their threads together, as long as they run. */
export function cpuSecondsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th.
    const columns = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return Number(columns[11]) + Number(columns[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_S;
}

/** What all programs have taken of the processors since the machine's start. */
export function machineCpuSeconds(): number {
  const [, columns] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))!;
  const [user, nice, system, , , irq, softirq, steal] = columns!.split(' ').map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS_PER_S;
}

function numberIn(file: string, pattern: RegExp): number {
  const match = pattern.exec(readFileSync(file, 'latin1'));
  if (match === null) throw new Error(`${file} has nothing like ${pattern}`);
  return Number(match[1]);
}
