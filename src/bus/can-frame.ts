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
  /** CAN FD: up to 64 bytes. */
  FD: 8,
  /** The payload of a CAN FD frame was sent at the data bitrate (bit rate switch). */
  BRS: 16,
  /** The sender of a CAN FD frame is error-passive (error state indicator). */
  ESI: 32,
  /** Sent by this bus's own send(), and now on the bus. */
  OWN: 64,
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

/** Bytes of payload in a CAN FD frame at most. */
export const FD_PAYLOAD_BYTES_MAX = 64;

/** The lengths of payload that a CAN FD frame can have, by its DLC, 0 to 15 (ISO 11898-1). */
const FD_PAYLOAD_BYTES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64] as const;

/** Whether a CAN FD frame can have a payload of so many bytes. */
export function isFdPayloadBytes(bytes: number): boolean {
  return dlcOfFdPayloadBytes(bytes) >= 0;
}

/** The DLC of a CAN FD frame with a payload of so many bytes; -1 where it can't have that. */
export function dlcOfFdPayloadBytes(bytes: number): number {
  return (FD_PAYLOAD_BYTES as readonly number[]).indexOf(bytes);
}

/** Bits of the `flags` byte of a CAN FD frame in SocketCAN (linux/can.h) and in candump logs. */
const FD_WORD_BRS = 1;
const FD_WORD_ESI = 2;

/** The FRAME_FLAG bits of a CAN FD frame whose flags byte in SocketCAN is this one. */
export function flagsOfFdByte(fdByte: number): number {
  return (
    FRAME_FLAG.FD |
    ((fdByte & FD_WORD_BRS) !== 0 ? FRAME_FLAG.BRS : 0) |
    ((fdByte & FD_WORD_ESI) !== 0 ? FRAME_FLAG.ESI : 0)
  );
}

/** The other way round. */
export function fdByteOfFlags(flags: number): number {
  return (
    ((flags & FRAME_FLAG.BRS) !== 0 ? FD_WORD_BRS : 0) | ((flags & FRAME_FLAG.ESI) !== 0 ? FD_WORD_ESI : 0)
  );
}

/** The id word of a frame. */
export function idWordOf(canId: number, flags: number): number {
  const isExtended = (flags & FRAME_FLAG.EXTENDED) !== 0;
  const isRemote = (flags & FRAME_FLAG.REMOTE) !== 0;
  const isError = (flags & FRAME_FLAG.ERROR) !== 0;
  const flagBits =
    (isExtended ? ID_WORD_EXTENDED : 0) + (isRemote ? ID_WORD_REMOTE : 0) + (isError ? ID_WORD_ERROR : 0);
  return canId + flagBits;
}

/** One frame to send. Frames that come in travel in a FrameBatch instead. */
export interface CanFrame {
  /** 0 to STANDARD_CAN_ID_MAX, or to EXTENDED_CAN_ID_MAX where `isExtended`. */
  readonly canId: number;
  readonly isExtended: boolean;
  /** 0 to 8 bytes, or what a CAN FD frame can have. */
  readonly payload: Uint8Array;
  /** A CAN FD frame. */
  readonly isFd?: boolean;
  /** Of a CAN FD frame: whether its payload is sent at the data bitrate. */
  readonly isBitrateSwitched?: boolean;
  /** Asks for data: as many bytes as `payload` has, whatever they are. Classic CAN only. */
  readonly isRemote?: boolean;
}

/** Why there can be no such frame; null where there can. */
export function frameProblem(frame: CanFrame): string | null {
  const canIdMax = frame.isExtended ? EXTENDED_CAN_ID_MAX : STANDARD_CAN_ID_MAX;
  if (!Number.isInteger(frame.canId) || frame.canId < 0 || frame.canId > canIdMax) {
    return `A ${frame.isExtended ? '29' : '11'}-bit CAN id is 0 to ${canIdMax}, not ${frame.canId}.`;
  }
  const { length } = frame.payload;
  if (frame.isFd === true) {
    if (frame.isRemote === true) return 'CAN FD has no remote frames.';
    return isFdPayloadBytes(length)
      ? null
      : `A CAN FD frame carries 0 to 8, 12, 16, 20, 24, 32, 48 or 64 bytes, not ${length}.`;
  }
  if (frame.isBitrateSwitched === true) return 'Only a CAN FD frame can switch its bitrate.';
  if (length > CLASSIC_PAYLOAD_BYTES_MAX) return `A CAN frame carries 0 to 8 bytes, not ${length}.`;
  return null;
}
