/**
 * What an error frame says: a report of the CAN controller, or of its driver, that SocketCAN hands over as a
 * frame with CAN_ERR_FLAG (linux/can/error.h). The class bits stand in the place of the CAN id, and the details in
 * the 8 bytes of the payload.
 */

/** Class bits. */
const CLASS = {
  TX_TIMEOUT: 0x001,
  LOST_ARBITRATION: 0x002,
  CONTROLLER: 0x004,
  PROTOCOL: 0x008,
  TRANSCEIVER: 0x010,
  NO_ACK: 0x020,
  BUS_OFF: 0x040,
  BUS_ERROR: 0x080,
  RESTARTED: 0x100,
  COUNTERS: 0x200,
} as const;

/** Bytes of the payload. */
const BYTE = {
  ARBITRATION_BIT: 0,
  CONTROLLER: 1,
  PROTOCOL_TYPE: 2,
  PROTOCOL_LOCATION: 3,
  TRANSCEIVER: 4,
  TX_ERRORS: 6,
  RX_ERRORS: 7,
} as const;

/** Bits of the controller's byte. */
const CONTROLLER = {
  RX_OVERFLOW: 0x01,
  TX_OVERFLOW: 0x02,
  WARNING: 0x04 | 0x08,
  PASSIVE: 0x10 | 0x20,
  ACTIVE: 0x40,
} as const;

/** Bits of a protocol violation's type, in words. */
const PROTOCOL_TYPES: readonly [bit: number, words: string][] = [
  [0x01, 'single bit error'],
  [0x02, 'frame format error'],
  [0x04, 'bit stuffing error'],
  [0x08, 'unable to send a dominant bit'],
  [0x10, 'unable to send a recessive bit'],
  [0x20, 'bus overload'],
  [0x40, 'active error announcement'],
];
const PROTOCOL_WHILE_SENDING = 0x80;

const PROTOCOL_LOCATIONS: ReadonlyMap<number, string> = new Map([
  [0x03, 'the start of frame'],
  [0x02, 'id bits 28 to 21'],
  [0x06, 'id bits 20 to 18'],
  [0x04, 'SRTR'],
  [0x05, 'IDE'],
  [0x07, 'id bits 17 to 13'],
  [0x0f, 'id bits 12 to 5'],
  [0x0e, 'id bits 4 to 0'],
  [0x0c, 'RTR'],
  [0x0d, 'reserved bit 1'],
  [0x09, 'reserved bit 0'],
  [0x0b, 'the DLC'],
  [0x0a, 'the data'],
  [0x08, 'the CRC'],
  [0x18, 'the CRC delimiter'],
  [0x19, 'the ACK slot'],
  [0x1b, 'the ACK delimiter'],
  [0x1a, 'the end of frame'],
  [0x12, 'the intermission'],
]);

/** The four low bits tell of CANH, the high ones of CANL. */
const TRANSCEIVER_CANH = ['', '', '', '', 'no wire', 'short to BAT', 'short to VCC', 'short to GND'] as const;
const TRANSCEIVER_CANL_SHORT_TO_CANH = 0x8;

/** The fault confinement state of a controller (ISO 11898-1); warning is error-active with a counter of 96 or more. */
export const CONTROLLER_STATES = ['error_active', 'error_warning', 'error_passive', 'bus_off'] as const;
export type ControllerState = (typeof CONTROLLER_STATES)[number];

/** What an error frame may report; one may report several. */
export const ERROR_KINDS = [
  'tx_timeout',
  'lost_arbitration',
  'rx_overflow',
  'tx_overflow',
  'controller_state',
  'protocol_violation',
  'transceiver',
  'no_ack',
  'bus_off',
  'bus_error',
  'restarted',
] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number];

export interface ErrorReport {
  readonly kinds: readonly ErrorKind[];
  /** The state that the controller is in from now on; null where the frame doesn't say. */
  readonly state: ControllerState | null;
  /** The controller's error counters; null where the frame doesn't say. */
  readonly txErrors: number | null;
  readonly rxErrors: number | null;
  /** All of it in words. */
  readonly message: string;
}

/**
 * Reads an error frame: `errorClass` is what stands in the place of its CAN id. A shorter payload than 8 bytes reads as
 * if zeros followed; bits that have no meaning are passed over.
 */
export function readErrorFrame(errorClass: number, payload: Uint8Array): ErrorReport {
  const byte = (index: number) => payload[index] ?? 0;
  const kinds: ErrorKind[] = [];
  const words: string[] = [];
  const add = (kind: ErrorKind, text: string) => {
    if (!kinds.includes(kind)) kinds.push(kind);
    words.push(text);
  };
  let state: ControllerState | null = null;

  if ((errorClass & CLASS.TX_TIMEOUT) !== 0) add('tx_timeout', 'a frame could not be sent in time');
  if ((errorClass & CLASS.LOST_ARBITRATION) !== 0) {
    const bit = byte(BYTE.ARBITRATION_BIT);
    add('lost_arbitration', bit === 0 ? 'lost arbitration' : `lost arbitration at bit ${bit}`);
  }
  if ((errorClass & CLASS.CONTROLLER) !== 0) {
    const bits = byte(BYTE.CONTROLLER);
    if ((bits & CONTROLLER.RX_OVERFLOW) !== 0)
      add('rx_overflow', "the controller's receive buffer overflowed");
    if ((bits & CONTROLLER.TX_OVERFLOW) !== 0) add('tx_overflow', "the controller's send buffer overflowed");
    state = stateOf(bits);
    if (state !== null) add('controller_state', state.replace('_', '-'));
  }
  if ((errorClass & CLASS.PROTOCOL) !== 0) {
    add('protocol_violation', protocolWords(byte(BYTE.PROTOCOL_TYPE), byte(BYTE.PROTOCOL_LOCATION)));
  }
  if ((errorClass & CLASS.TRANSCEIVER) !== 0) add('transceiver', transceiverWords(byte(BYTE.TRANSCEIVER)));
  if ((errorClass & CLASS.NO_ACK) !== 0) add('no_ack', 'no node acknowledged a frame');
  if ((errorClass & CLASS.BUS_ERROR) !== 0) add('bus_error', 'bus error');
  if ((errorClass & CLASS.RESTARTED) !== 0) {
    add('restarted', 'the controller was restarted');
    state ??= 'error_active';
  }
  if ((errorClass & CLASS.BUS_OFF) !== 0) {
    add('bus_off', 'bus-off');
    state = 'bus_off';
  }
  const txErrors = byte(BYTE.TX_ERRORS);
  const rxErrors = byte(BYTE.RX_ERRORS);
  // Drivers that are older than the class bit tell the counters without it.
  const hasCounters = (errorClass & CLASS.COUNTERS) !== 0 || txErrors > 0 || rxErrors > 0;
  return {
    kinds,
    state,
    txErrors: hasCounters ? txErrors : null,
    rxErrors: hasCounters ? rxErrors : null,
    message: words.length > 0 ? words.join(', ') : `error class 0x${errorClass.toString(16)}`,
  };
}

/** Receiver and sender have a counter each; the worse of the two makes the state. */
function stateOf(bits: number): ControllerState | null {
  if ((bits & CONTROLLER.PASSIVE) !== 0) return 'error_passive';
  if ((bits & CONTROLLER.WARNING) !== 0) return 'error_warning';
  return (bits & CONTROLLER.ACTIVE) !== 0 ? 'error_active' : null;
}

function protocolWords(type: number, location: number): string {
  const violations = PROTOCOL_TYPES.filter(([bit]) => (type & bit) !== 0).map(([, words]) => words);
  const what = violations.length > 0 ? violations.join(' and ') : 'protocol violation';
  const when = (type & PROTOCOL_WHILE_SENDING) !== 0 ? ' while sending' : '';
  const where = PROTOCOL_LOCATIONS.get(location);
  return where === undefined ? what + when : `${what}${when} in ${where}`;
}

function transceiverWords(status: number): string {
  const high = TRANSCEIVER_CANH[status & 0xf] ?? '';
  const low =
    status >> 4 === TRANSCEIVER_CANL_SHORT_TO_CANH ? 'short to CANH' : (TRANSCEIVER_CANH[status >> 4] ?? '');
  const lines = [high === '' ? '' : `CANH: ${high}`, low === '' ? '' : `CANL: ${low}`].filter(
    (line) => line !== '',
  );
  return lines.length > 0 ? `transceiver: ${lines.join(', ')}` : 'transceiver error';
}
