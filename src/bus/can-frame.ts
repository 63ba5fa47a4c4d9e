/**
 * Words of the CAN bus that the whole path shares.
 *
 * A CAN id is kept apart from its flags: `canId` is the bare 11- or 29-bit number and the flags say
 * which of the two it is. SocketCAN and candump logs put both into one 32-bit word (linux/can.h);
 * the drivers split it with the functions below.
 */

/** Bits of a frame's `flags` byte. */
export const FRAME_FLAG = {
  /** 29-bit identifier. */
  EXTENDED: 1,
  /** Remote transmission request: asks for data, carries none. */
  REMOTE: 2,
  /** Not traffic but a report of the controller (CAN_ERR_FLAG); canId holds the error class bits. */
  ERROR: 4,
} as const;

/** Highest 11-bit (standard) identifier. */
export const STANDARD_CAN_ID_MAX = 0x7ff;

/** Highest 29-bit (extended) identifier. */
export const EXTENDED_CAN_ID_MAX = 0x1fff_ffff;

/** Flag bits of the word that holds a CAN id in SocketCAN and in candump logs. */
export const ID_WORD_EXTENDED = 0x8000_0000;
const ID_WORD_REMOTE = 0x4000_0000;
export const ID_WORD_ERROR = 0x2000_0000;

/** The FRAME_FLAG bits that an id word says. */
export function flagsOfIdWord(idWord: number): number {
  if ((idWord & (ID_WORD_EXTENDED | ID_WORD_REMOTE | ID_WORD_ERROR)) === 0) return 0;
  return (
    ((idWord & ID_WORD_EXTENDED) !== 0 ? FRAME_FLAG.EXTENDED : 0) |
    ((idWord & ID_WORD_REMOTE) !== 0 ? FRAME_FLAG.REMOTE : 0) |
    ((idWord & ID_WORD_ERROR) !== 0 ? FRAME_FLAG.ERROR : 0)
  );
}

/** The bare CAN id of an id word (an error frame's class bits) whose flags are known. */
export function canIdOfIdWord(idWord: number, flags: number): number {
  const isLong = (flags & (FRAME_FLAG.EXTENDED | FRAME_FLAG.ERROR)) !== 0;
  return idWord & (isLong ? EXTENDED_CAN_ID_MAX : STANDARD_CAN_ID_MAX);
}

/** Bytes of payload in a classic CAN frame at most. */
export const CLASSIC_PAYLOAD_BYTES_MAX = 8;

/** One frame to send. Frames that come in travel in a FrameBatch instead. */
export interface CanFrame {
  /** 0 to STANDARD_CAN_ID_MAX, or to EXTENDED_CAN_ID_MAX where `isExtended`. */
  readonly canId: number;
  readonly isExtended: boolean;
  /** 0 to 8 bytes. */
  readonly payload: Uint8Array;
}
