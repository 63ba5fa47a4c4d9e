import { readSystemText } from './system-files.ts';

/** What all processors did since the machine's start, in ticks. */
interface CpuTimes {
  readonly idle: number;
  readonly total: number;
}

/** How busy the processors are: what part of their time between two readings they weren't idle. */
export class CpuLoad {
  readonly #root: string;
  #last: CpuTimes | null = null;

  constructor(root: string) {
    this.#root = root;
  }

  /** 0 to 1, all processors together; null at the first reading. */
  async read(): Promise<number | null> {
    const last = this.#last;
    const now = parseCpuTimes((await readSystemText(this.#root, 'proc/stat')) ?? '');
    this.#last = now;
    if (now === null || last === null) return null;
    const total = now.total - last.total;
    // The kernel says that the time of waiting for a disk, which is idle, may go back.
    return total > 0 ? Math.min(1, Math.max(0, 1 - (now.idle - last.idle) / total)) : null;
  }
}

/** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; guests are part of the first two. */
export function parseCpuTimes(text: string): CpuTimes | null {
  const line = /^cpu +([\d ]+)$/m.exec(text)?.[1];
  if (line === undefined) return null;
  const ticks = line.trim().split(/ +/).slice(0, 8).map(Number);
  if (ticks.length < 4) return null;
  return { idle: ticks[3]! + (ticks[4] ?? 0), total: ticks.reduce((sum, each) => sum + each, 0) };
}
