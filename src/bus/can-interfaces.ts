import { readdirSync, readFileSync } from 'node:fs';

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

/** Says why an interface can't be read, what there is instead, and the command that mends it. */
export function explainInterface(
  name: string,
  state: Exclude<InterfaceState, 'up'>,
  bitrateBitPerS: number,
): string {
  const isVirtual = /^v(x)?can/.test(name);
  const bringUp = isVirtual
    ? `sudo ip link set ${name} up`
    : `sudo ip link set ${name} up type can bitrate ${bitrateBitPerS}`;
  if (state === 'down') return `The CAN interface ${name} is down. Bring it up with: ${bringUp}`;

  const others = canInterfaceNames();
  const instead =
    others.length === 0 ? 'This machine has no CAN interface' : `CAN interfaces here: ${others.join(', ')}`;
  if (state === 'not-can') return `${name} is a network interface, but not a CAN bus. ${instead}.`;
  const create = isVirtual
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
