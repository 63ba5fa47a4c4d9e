import { readdir, readFile } from 'node:fs/promises';
import { THREAD_NAMES_MAX } from '../../shared/limits.ts';
import { counter, type Labels, type MetricFamily } from './metric-family.ts';

/** What the kernel counts in, USER_HZ: 100 on every Linux that programs see (time(7)). */
const TICKS_PER_S = 100;

/** Threads of Node.js and V8 go by these names, each of several. */
const NAMES: Readonly<Record<string, string>> = { MainThread: 'main', node: 'main' };

/** Beyond THREAD_NAMES_MAX. */
const OTHERS = 'others';

/**
 * CPU time by thread, as Linux counts it (/proc/self/task/TID/stat): which of them a machine is too slow for. Threads of one
 * name count together. One that has ended took along what it did since the last look: what was seen stays.
 */
export class ThreadCpu {
  readonly #folder: string;
  readonly #ticksOfThread = new Map<string, number>();
  readonly #ticksOfName = new Map<string, number>();
  #looking: Promise<void> | null = null;

  constructor(folder = '/proc/self/task') {
    this.#folder = folder;
  }

  async metrics(): Promise<MetricFamily[]> {
    // One look at a time: what an earlier one has read must not be taken for what comes after it.
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
    return [
      counter(
        'collector_thread_cpu_seconds_total',
        'CPU time by thread, of the process and of what Node.js adds.',
        [...this.#ticksOfName].map(([thread, ticks]): [Labels, number] => [{ thread }, ticks / TICKS_PER_S]),
      ),
    ];
  }

  async #look(): Promise<void> {
    const ids = await readdir(this.#folder).catch((): string[] => []);
    const stats = await Promise.all(
      ids.map((id) => readFile(`${this.#folder}/${id}/stat`, 'utf8').catch(() => '')),
    );
    for (const id of this.#ticksOfThread.keys()) if (!ids.includes(id)) this.#ticksOfThread.delete(id);
    for (const [index, id] of ids.entries()) {
      const stat = parseThreadStat(stats[index]!);
      if (stat === null) continue;
      // A thread may have the id of one that has ended.
      const before = this.#ticksOfThread.get(id) ?? 0;
      const ticks = stat.ticks >= before ? stat.ticks - before : stat.ticks;
      this.#ticksOfThread.set(id, stat.ticks);
      const name = this.#nameOf(stat.name);
      this.#ticksOfName.set(name, (this.#ticksOfName.get(name) ?? 0) + ticks);
    }
  }

  #nameOf(threadName: string): string {
    const name = NAMES[threadName] ?? threadName;
    return this.#ticksOfName.has(name) || this.#ticksOfName.size < THREAD_NAMES_MAX ? name : OTHERS;
  }
}

/** `TID (name) state ...`, where utime and stime are the 14th and 15th; the name may hold anything. */
export function parseThreadStat(text: string): { name: string; ticks: number } | null {
  const [, name, rest] = /^\d+ \((.*)\) \S (.*)$/s.exec(text) ?? [];
  if (name === undefined) return null;
  const columns = rest!.split(' ');
  const ticks = Number(columns[10]) + Number(columns[11]);
  return Number.isFinite(ticks) ? { name, ticks } : null;
}
