import { ProtocolError } from '../shared/errors.ts';

/**
 * The kart's frame, byte by byte (the reference is the protocol directory's kart.proto):
 *
 *   byte   0                1          2          3        4              5      6      7
 *        ┌─────┬─────┬───┬──────────┬──────────┬────────┬──────┬──────┬──────────────────────┐
 *        │ mt  │ ct  │ 0 │ ms since │component │command │ vt   │  0   │ value, 24 bits,      │
 *        │ 2 b │ 3 b │3 b│ sync     │ id       │ id     │ 4 b  │ 4 b  │ most significant 1st │
 *        └─────┴─────┴───┴──────────┴──────────┴────────┴──────┴──────┴──────────────────────┘
 *
 * mt message type, ct component type, vt value type. A value narrower than 24 bits stands in the low
 * ones; what stands above it is ignored. The identifier of the frame is the sending node's id.
 */

export const KART_PAYLOAD_BYTES = 8;

export const MESSAGE_TYPE = { COMMAND: 0, STATUS: 1, ACK: 2, ERROR: 3 } as const;

export const VALUE_TYPE = {
  BOOLEAN: 0,
  INT8: 1,
  UINT8: 2,
  INT16: 3,
  UINT16: 4,
  INT24: 5,
  UINT24: 6,
} as const;

/** Highest value type; those without a meaning are read as unsigned 24 bits. */
export const VALUE_TYPE_MAX = 15;
export const MESSAGE_TYPE_MAX = 3;
export const COMPONENT_TYPE_MAX = 7;

/** The component id that addresses every component of a type. */
export const ALL_COMPONENTS = 255;

/** One kart message in numbers; ProtocolRegistry gives them names. */
export interface KartMessage {
  /** 0 to 3. */
  readonly messageType: number;
  /** 0 to 7. */
  readonly componentType: number;
  /** 0 to 255; ALL_COMPONENTS addresses all. */
  readonly componentId: number;
  /** 0 to 255; in a STATUS, which quantity is reported. */
  readonly commandId: number;
  /** 0 to 15. */
  readonly valueType: number;
  /** An integer in the range of the value type (rawValueRange). */
  readonly rawValue: number;
}

/** By value type (4 bits): the bits of a word that it leaves unused, and those that stay when these were given the sign. */
const UNUSED_BITS = new Uint8Array(16).fill(8);
const KEPT_BITS = new Int32Array(16).fill(0xff_ffff);
for (const [valueType, bits, isSigned] of [
  [VALUE_TYPE.BOOLEAN, 1, false],
  [VALUE_TYPE.INT8, 8, true],
  [VALUE_TYPE.UINT8, 8, false],
  [VALUE_TYPE.INT16, 16, true],
  [VALUE_TYPE.UINT16, 16, false],
  [VALUE_TYPE.INT24, 24, true],
] as const) {
  UNUSED_BITS[valueType] = 32 - bits;
  KEPT_BITS[valueType] = isSigned ? -1 : 2 ** bits - 1;
}

/** The value that 24 bits carry for a value type. Without a branch, as the types of a bus's frames follow no order. */
export function rawValueOf(valueType: number, bits24: number): number {
  const unused = UNUSED_BITS[valueType]!;
  return ((bits24 << unused) >> unused) & KEPT_BITS[valueType]!;
}

/** The least and the greatest raw value of a value type. */
export function rawValueRange(valueType: number): { readonly min: number; readonly max: number } {
  switch (valueType) {
    case VALUE_TYPE.BOOLEAN:
      return { min: 0, max: 1 };
    case VALUE_TYPE.INT8:
      return { min: -0x80, max: 0x7f };
    case VALUE_TYPE.UINT8:
      return { min: 0, max: 0xff };
    case VALUE_TYPE.INT16:
      return { min: -0x8000, max: 0x7fff };
    case VALUE_TYPE.UINT16:
      return { min: 0, max: 0xffff };
    case VALUE_TYPE.INT24:
      return { min: -0x80_0000, max: 0x7f_ffff };
    default:
      return { min: 0, max: 0xff_ffff };
  }
}

/** Reads a payload of 8 bytes; any 8 bytes are a message. Reserved bits and byte 1 are passed over. */
export function decodeKartPayload(payload: Uint8Array): KartMessage {
  const valueType = payload[4]! >> 4;
  return {
    messageType: payload[0]! >> 6,
    componentType: (payload[0]! >> 3) & 7,
    componentId: payload[2]!,
    commandId: payload[3]!,
    valueType,
    rawValue: rawValueOf(valueType, (payload[5]! << 16) | (payload[6]! << 8) | payload[7]!),
  };
}

/**
 * Writes a message as the 8 bytes of a frame. `sinceSyncMs` is byte 1: milliseconds since this sender's
 * last time sync, of which the low 8 bits are sent. Throws ProtocolError PROTOCOL_OUT_OF_RANGE.
 */
export function encodeKartPayload(message: KartMessage, sinceSyncMs = 0): Uint8Array {
  checkRange('message type', message.messageType, 0, MESSAGE_TYPE_MAX);
  checkRange('component type', message.componentType, 0, COMPONENT_TYPE_MAX);
  checkRange('component id', message.componentId, 0, 255);
  checkRange('command id', message.commandId, 0, 255);
  checkRange('value type', message.valueType, 0, VALUE_TYPE_MAX);
  const { min, max } = rawValueRange(message.valueType);
  checkRange(`raw value of value type ${message.valueType}`, message.rawValue, min, max);

  const payload = new Uint8Array(KART_PAYLOAD_BYTES);
  payload[0] = (message.messageType << 6) | (message.componentType << 3);
  payload[1] = sinceSyncMs & 0xff;
  payload[2] = message.componentId;
  payload[3] = message.commandId;
  payload[4] = message.valueType << 4;
  payload[5] = (message.rawValue >> 16) & 0xff;
  payload[6] = (message.rawValue >> 8) & 0xff;
  payload[7] = message.rawValue & 0xff;
  return payload;
}

function checkRange(what: string, found: number, min: number, max: number): void {
  if (Number.isInteger(found) && found >= min && found <= max) return;
  throw new ProtocolError(
    'PROTOCOL_OUT_OF_RANGE',
    `Expected as ${what} an integer from ${min} to ${max}, found ${found}.`,
  );
}
