import { statfs } from 'node:fs/promises';
import { CpuLoad } from './cpu-load.ts';
import { NetworkMeter, readWifiRssiDbm } from './network.ts';
import { readSystemText } from './system-files.ts';
import { readTemperatureC } from './temperature.ts';

/** How this machine is; null for what it doesn't tell. */
export interface HostReading {
  readonly uptimeS: number | null;
  readonly temperatureC: number | null;
  /** Since the reading before, 0 to 1. */
  readonly cpuLoad: number | null;
  /** What programs may still have, caches included. */
  readonly memoryFreeBytes: number | null;
  /** Of the disk that the history is on: what part of it users can't have, 0 to 1, as df says it. */
  readonly diskUsage: number | null;
  /** Since the reading before. */
  readonly sentBitPerS: number | null;
  readonly receivedBitPerS: number | null;
  readonly wifiRssiDbm: number | null;
}

export interface HostReaderOptions {
  /** Any folder of the disk that is looked at. */
  readonly diskFolder: string;
  /** Where the machine's files are; '/' unless told. */
  readonly root?: string;
  /** Milliseconds that only go forward. */
  readonly monotonicMs?: () => number;
}

/** Reads how this machine is. Each part is by itself: what a machine hasn't is null, and the rest is there. */
export class HostReader {
  readonly #diskFolder: string;
  readonly #root: string;
  readonly #cpuLoad: CpuLoad;
  readonly #network: NetworkMeter;

  constructor({ diskFolder, root = '/', monotonicMs = () => performance.now() }: HostReaderOptions) {
    this.#diskFolder = diskFolder;
    this.#root = root;
    this.#cpuLoad = new CpuLoad(root);
    this.#network = new NetworkMeter(root, monotonicMs);
  }

  async read(): Promise<HostReading> {
    const root = this.#root;
    const [uptime, temperatureC, cpuLoad, memory, diskUsage, network, wifiRssiDbm] = await Promise.all([
      readSystemText(root, 'proc/uptime'),
      readTemperatureC(root),
      this.#cpuLoad.read(),
      readSystemText(root, 'proc/meminfo'),
      readDiskUsage(this.#diskFolder),
      this.#network.read(),
      readWifiRssiDbm(root),
    ]);
    return {
      uptimeS: parseUptimeS(uptime ?? ''),
      temperatureC,
      cpuLoad,
      memoryFreeBytes: parseMemoryFreeBytes(memory ?? ''),
      diskUsage,
      sentBitPerS: network?.sentBitPerS ?? null,
      receivedBitPerS: network?.receivedBitPerS ?? null,
      wifiRssiDbm,
    };
  }
}

/** /proc/uptime: seconds since the start, then those that all processors were idle. */
function parseUptimeS(text: string): number | null {
  const seconds = /^(\d+(\.\d+)?)\b/.exec(text)?.[1];
  return seconds === undefined ? null : Number(seconds);
}

function parseMemoryFreeBytes(text: string): number | null {
  // Free memory alone is next to nothing on any machine that has been up for a while: it is used for caches.
  const kib = /^MemAvailable: *(\d+) kB$/m.exec(text)?.[1] ?? /^MemFree: *(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

async function readDiskUsage(folder: string): Promise<number | null> {
  try {
    const { blocks, bfree, bavail } = await statfs(folder);
    const used = blocks - bfree;
    return used + bavail > 0 ? used / (used + bavail) : null;
  } catch {
    return null;
  }
}
