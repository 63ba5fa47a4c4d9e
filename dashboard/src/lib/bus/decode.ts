import type { ProtocolReply } from '../../../../src/client/index.ts';
import { readableName } from '../names.ts';

/** What a payload says, field by field, as protocol/README.md lays it out: for people who look at bytes. */

export interface Field {
  readonly name: string;
  readonly value: string;
  /** Bytes that it is read from. */
  readonly from: number;
  readonly to: number;
}

const PAYLOAD_BYTES = 8;
const VALUE_BITS = 24;

export function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((each) => Number.parseInt(each, 16));
}

/** Empty for what is no message of the protocol. */
export function decodePayload(bytes: readonly number[], protocol: ProtocolReply): Field[] {
  if (bytes.length !== PAYLOAD_BYTES) return [];
  const [head, , componentId, commandId, typeByte] = bytes as [number, number, number, number, number];
  const messageType = head >> 6;
  const type = Object.values(protocol.component_types).find(({ id }) => id === ((head >> 3) & 7));
  const component = type?.components.find(({ id }) => id === componentId);
  const command = type?.commands.find(({ id }) => id === commandId);
  const valueType = protocol.value_types.find(({ id }) => id === typeByte >> 4);
  const raw = rawValue(bytes, valueType?.name ?? '');
  const messageName = protocol.message_types.find(({ id }) => id === messageType)?.name;
  const names =
    messageName === 'ERROR' && type?.error_values
      ? type.error_values
      : (command?.values_by_component[component?.name ?? ''] ?? command?.values ?? null);
  const name = names?.[String(raw)];
  const scaled = Number((raw * (command?.scale ?? 1)).toPrecision(10));
  const value =
    name === undefined
      ? `${scaled}${command?.unit ? ` ${command.unit}` : ''}`
      : `${readableName(name)} (${raw})`;
  // What has no name is called as in all other views.
  const named = (found: { name: string } | undefined, what: string, number: number) =>
    found === undefined ? `${what} ${number}` : readableName(found.name);
  return [
    { name: 'Message', value: readableName(messageName ?? `unknown ${messageType}`), from: 0, to: 0 },
    { name: 'Type', value: named(type, 'Type', (head >> 3) & 7), from: 0, to: 0 },
    { name: 'Component', value: named(component, 'Component', componentId), from: 2, to: 2 },
    { name: 'Command', value: named(command, 'Command', commandId), from: 3, to: 3 },
    { name: 'Value', value, from: 5, to: 7 },
  ];
}

function rawValue(bytes: readonly number[], valueType: string): number {
  const value = (bytes[5]! << 16) | (bytes[6]! << 8) | bytes[7]!;
  if (valueType === 'BOOLEAN') return value & 1;
  const bits = Number(/\d+$/.exec(valueType)?.[0] ?? VALUE_BITS);
  const masked = bits === VALUE_BITS ? value : value & ((1 << bits) - 1);
  const isNegative = valueType.startsWith('INT') && masked >= 2 ** (bits - 1);
  return isNegative ? masked - 2 ** bits : masked;
}
