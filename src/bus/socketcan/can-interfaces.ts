import { readdirSync, readFileSync } from 'node:fs';
import { timeText } from '../../shared/clock.ts';
import type { BusProblem } from '../bus-messages.ts';
import { BITRATE_BIT_PER_S_DEFAULT } from '../bus-url.ts';
import { commandText, type LinkWanted, shellWord, upCommand } from './can-link.ts';

/** ARPHRD_CAN of linux/if_arp.h: the type of every CAN interface. */
const ARPHRD_CAN = '280';
/** IFF_UP of linux/if.h. */
const IFF_UP = 1;

const NETWORK_INTERFACES = '/sys/class/net';

export type InterfaceState = 'missing' | 'not-can' | 'down' | 'up';

/** What the kernel says of one network interface. */
export function interfaceState(name: string): InterfaceState {
  const type = readFact(name, 'type');
  if (type === undefined) return 'missing';
  if (type !== ARPHRD_CAN) return 'not-can';
  return (Number(readFact(name, 'flags')) & IFF_UP) === 0 ? 'down' : 'up';
}

/** The names of this machine's CAN interfaces, whether up or down. */
export function canInterfaceNames(): string[] {
  try {
    return readdirSync(NETWORK_INTERFACES)
      .filter((name) => readFact(name, 'type') === ARPHRD_CAN)
      .sort();
  } catch {
    return [];
  }
}

/** Whether an interface of this name has no controller behind it, as far as its name tells. */
export function isVirtualName(name: string): boolean {
  return /^v(x)?can/.test(name);
}

/** The command that brings an interface up of which nothing but its name is known. */
export function bringUpText(wanted: LinkWanted): string {
  const { interfaceName, bitrateBitPerS = BITRATE_BIT_PER_S_DEFAULT } = wanted;
  const kind = isVirtualName(interfaceName) ? 'virtual' : 'controller';
  return commandText(interfaceName, [upCommand({ ...wanted, bitrateBitPerS }, kind, false)]);
}

/** What has become of an interface that was read before. */
export interface LostInterface {
  /** Epoch milliseconds when it was missed. */
  readonly sinceMs: number;
  /** What it is called now; null where it is gone. */
  readonly nameNow: string | null;
}

/**
 * Says why an interface can't be read, what there is instead, and what mends it: INTERFACE_MISSING (it never was
 * there), INTERFACE_REMOVED and INTERFACE_RENAMED (it was), INTERFACE_DOWN or INTERFACE_NOT_CAN.
 */
export function interfaceProblem(
  wanted: LinkWanted,
  state: Exclude<InterfaceState, 'up'>,
  lost: LostInterface | null = null,
): BusProblem {
  const name = wanted.interfaceName;
  const bringUp = bringUpText(wanted);
  if (state === 'down') {
    return {
      code: 'INTERFACE_DOWN',
      message: `The CAN interface ${name} is down. Bring it up with: ${bringUp}`,
    };
  }
  const others = canInterfaceNames();
  const instead =
    others.length === 0 ? 'This machine has no CAN interface' : `CAN interfaces here: ${others.join(', ')}`;
  if (state === 'not-can') {
    const message = `${name} is a network interface, but not a CAN bus. ${instead}.`;
    return { code: 'INTERFACE_NOT_CAN', message };
  }
  if (lost !== null && lost.nameNow !== null) return renamed(name, lost.nameNow, lost.sinceMs);

  const isVirtual = isVirtualName(name);
  const create = `Create it with: sudo modprobe vcan && sudo ip link add ${shellWord(name)} type vcan && ${bringUp}`;
  if (lost !== null) {
    const what = `The CAN interface ${name} was removed at ${timeText(lost.sinceMs)}`;
    const message = isVirtual
      ? `${what}. ${create}`
      : `${what}: its adapter was unplugged, or lost its power, or its driver gave it up (see dmesg). ` +
        `When it is connected again: ${bringUp}`;
    return { code: 'INTERFACE_REMOVED', message };
  }
  const connect = `Connect the adapter (see dmesg for its driver), then bring it up with: ${bringUp}`;
  const message = `There is no CAN interface ${name}. ${instead}. ${isVirtual ? create : connect}`;
  return { code: 'INTERFACE_MISSING', message };
}

function renamed(name: string, nameNow: string, sinceMs: number): BusProblem {
  const back = commandText(nameNow, [['down'], ['name', shellWord(name)]]);
  return {
    code: 'INTERFACE_RENAMED',
    message:
      `The CAN interface ${name} was renamed to ${nameNow} at ${timeText(sinceMs)}. A bus is read by the name in its URL: ` +
      `name ${nameNow} there, or call the interface ${name} again: ${back}`,
  };
}

function readFact(name: string, fact: string): string | undefined {
  try {
    return readFileSync(`${NETWORK_INTERFACES}/${name}/${fact}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
