import { readdirSync, readFileSync } from 'node:fs';
import { BITRATE_BIT_PER_S_DEFAULT } from './bus-url.ts';
import { commandText, type LinkWanted, upCommand } from './can-link.ts';

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

/** Says why an interface can't be read, what there is instead, and the command that mends it. */
export function explainInterface(wanted: LinkWanted, state: Exclude<InterfaceState, 'up'>): string {
  const name = wanted.interfaceName;
  const bringUp = bringUpText(wanted);
  if (state === 'down') return `The CAN interface ${name} is down. Bring it up with: ${bringUp}`;

  const others = canInterfaceNames();
  const instead =
    others.length === 0 ? 'This machine has no CAN interface' : `CAN interfaces here: ${others.join(', ')}`;
  if (state === 'not-can') return `${name} is a network interface, but not a CAN bus. ${instead}.`;
  const create = isVirtualName(name)
    ? `Create it with: sudo modprobe vcan && sudo ip link add ${name} type vcan && ${bringUp}`
    : `Connect the adapter (see dmesg for its driver), then bring it up with: ${bringUp}`;
  return `There is no CAN interface ${name}. ${instead}. ${create}`;
}

function readFact(name: string, fact: string): string | undefined {
  try {
    return readFileSync(`${NETWORK_INTERFACES}/${name}/${fact}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
