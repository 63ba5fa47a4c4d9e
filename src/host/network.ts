import { listSystemFolder, readSystemText } from './system-files.ts';

const INTERFACES = 'sys/class/net';

/** Types of interfaces that are no network, of linux/if_arp.h: CAN, and the machine itself. */
const ARPHRD_CAN = '280';
const ARPHRD_LOOPBACK = '772';

/** Received power that says something: above what drivers say where there is none, and below what anybody receives. */
const RSSI_NONE_DBM = -127;

export interface NetworkTraffic {
  readonly sentBitPerS: number;
  readonly receivedBitPerS: number;
}

/** Bytes of one interface since it is there. */
export interface InterfaceBytes {
  readonly received: number;
  readonly sent: number;
}

/** What the machine sends and receives between two readings. */
export class NetworkMeter {
  readonly #root: string;
  readonly #monotonicMs: () => number;
  #last: { readonly bytes: ReadonlyMap<string, InterfaceBytes>; readonly atMs: number } | null = null;

  constructor(root: string, monotonicMs: () => number) {
    this.#root = root;
    this.#monotonicMs = monotonicMs;
  }

  /** Of all networks together; null at the first reading, and where there is no network. */
  async read(): Promise<NetworkTraffic | null> {
    const last = this.#last;
    const atMs = this.#monotonicMs();
    const bytes = await this.#readBytes();
    this.#last = { bytes, atMs };
    if (last === null || atMs <= last.atMs || bytes.size === 0) return null;
    let sent = 0;
    let received = 0;
    for (const [name, now] of bytes) {
      const before = last.bytes.get(name);
      // An interface that is new, or was made anew, begins to count now.
      if (before === undefined || now.sent < before.sent || now.received < before.received) continue;
      sent += now.sent - before.sent;
      received += now.received - before.received;
    }
    const seconds = (atMs - last.atMs) / 1000;
    return { sentBitPerS: (sent * 8) / seconds, receivedBitPerS: (received * 8) / seconds };
  }

  /** Of the networks that are hardware; where there is none, as in a container, of all. What goes through a bridge counts once so. */
  async #readBytes(): Promise<ReadonlyMap<string, InterfaceBytes>> {
    const root = this.#root;
    const all = [...parseInterfaceBytes((await readSystemText(root, 'proc/net/dev')) ?? '')];
    const kinds = await Promise.all(
      all.map(async ([name]) => ({
        type: await readSystemText(root, `${INTERFACES}/${name}/type`),
        isHardware: (await listSystemFolder(root, `${INTERFACES}/${name}/device`)).length > 0,
      })),
    );
    const isNetwork = (index: number, name: string) =>
      kinds[index]!.type !== ARPHRD_CAN && kinds[index]!.type !== ARPHRD_LOOPBACK && name !== 'lo';
    const networks = all.filter(([name], index) => isNetwork(index, name));
    const hardware = all.filter(([name], index) => isNetwork(index, name) && kinds[index]!.isHardware);
    return new Map(hardware.length > 0 ? hardware : networks);
  }
}

/** /proc/net/dev: two lines of headings, then `name: received bytes ... (8 columns) sent bytes ...`. */
export function parseInterfaceBytes(text: string): Map<string, InterfaceBytes> {
  const bytes = new Map<string, InterfaceBytes>();
  for (const line of text.split('\n')) {
    const [, name, columns] = /^\s*(\S+):\s*(\d[\d ]*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const numbers = columns!.trim().split(/ +/).map(Number);
    if (numbers.length > 8) bytes.set(name, { received: numbers[0]!, sent: numbers[8]! });
  }
  return bytes;
}

/**
 * The received power of the first WiFi that has any; null where there is none. /proc/net/wireless: two lines of headings,
 * then `name: status link level noise ...`, where each number that was measured since the last look ends with a dot.
 */
export async function readWifiRssiDbm(root: string): Promise<number | null> {
  const text = (await readSystemText(root, 'proc/net/wireless')) ?? '';
  for (const [, level] of text.matchAll(/^\s*\S+:\s+[\da-f]+\s+-?\d+\.?\s+(-?\d+)\.?\s/gim)) {
    const dbm = Number(level);
    if (dbm > RSSI_NONE_DBM && dbm < 0) return dbm;
  }
  return null;
}
