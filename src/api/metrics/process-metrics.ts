import { readdir, readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { EventLoopDelay } from './event-loop-delay.ts';
import { GarbageCollection } from './garbage-collection.ts';
import { counter, gauge, type MetricFamily } from './metric-family.ts';
import { ThreadCpu } from './thread-cpu.ts';

/** The process and its main thread, under the names that clients of Prometheus have for these. */
export class ProcessMetrics {
  readonly #eventLoopDelay = new EventLoopDelay();
  readonly #garbageCollection = new GarbageCollection();
  readonly #threadCpu = new ThreadCpu();

  start(): void {
    this.#eventLoopDelay.start();
    this.#garbageCollection.start();
  }

  stop(): void {
    this.#eventLoopDelay.stop();
    this.#garbageCollection.stop();
  }

  async metrics(): Promise<MetricFamily[]> {
    const [threads, linux] = await Promise.all([this.#threadCpu.metrics(), linuxMetrics()]);
    return [
      ...cpuMetrics(),
      ...memoryMetrics(),
      ...linux,
      ...threads,
      ...this.#eventLoopDelay.metrics(),
      ...this.#garbageCollection.metrics(),
    ];
  }
}

function cpuMetrics(): MetricFamily[] {
  const { user, system } = process.cpuUsage();
  const { active, idle } = performance.eventLoopUtilization();
  return [
    counter(
      'process_cpu_seconds_total',
      'CPU time of all threads, in the kernel and outside.',
      (user + system) / 1e6,
    ),
    counter('process_cpu_user_seconds_total', 'CPU time outside of the kernel.', user / 1e6),
    counter('process_cpu_system_seconds_total', 'CPU time in the kernel.', system / 1e6),
    gauge(
      'process_start_time_seconds',
      'When the process was started, by the clock as it was.',
      performance.timeOrigin / 1000,
    ),
    counter(
      'nodejs_eventloop_active_seconds_total',
      "Time that the main thread's event loop was busy.",
      active / 1000,
    ),
    counter('nodejs_eventloop_idle_seconds_total', 'Time that it waited for something to do.', idle / 1000),
  ];
}

function memoryMetrics(): MetricFamily[] {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  return [
    gauge('process_resident_memory_bytes', 'Memory that the process has in RAM.', rss),
    gauge('nodejs_heap_size_used_bytes', "The main thread's heap, as far as it is used.", heapUsed),
    gauge('nodejs_heap_size_bytes', "The main thread's heap.", heapTotal),
    gauge('nodejs_external_memory_bytes', "What the main thread's objects have outside of it.", external),
    gauge('nodejs_array_buffers_bytes', 'What of that are buffers.', arrayBuffers),
  ];
}

/** What only Linux tells of a process; empty families elsewhere. */
async function linuxMetrics(): Promise<MetricFamily[]> {
  const [status, limits, descriptors] = await Promise.all([
    readFile('/proc/self/status', 'utf8').catch(() => ''),
    readFile('/proc/self/limits', 'utf8').catch(() => ''),
    readdir('/proc/self/fd').catch(() => null),
  ]);
  const virtualKib = numberIn(status, /^VmSize:\s*(\d+) kB$/m);
  return [
    gauge(
      'process_virtual_memory_bytes',
      'Addresses that the process has reserved.',
      virtualKib === null ? null : virtualKib * 1024,
    ),
    gauge('process_threads', 'Threads of the process.', numberIn(status, /^Threads:\s*(\d+)$/m)),
    gauge('process_open_fds', 'File descriptors that are open.', descriptors?.length ?? null),
    gauge('process_max_fds', 'File descriptors that may be.', numberIn(limits, /^Max open files\s+(\d+)/m)),
  ];
}

function numberIn(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}
