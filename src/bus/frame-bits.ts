import { dlcOfFdPayloadBytes, FRAME_FLAG } from './can-frame.ts';

/**
 * How long a frame is on the wire, in bits (ISO 11898-1:2015, chapter 10). Up to its CRC a frame has a stuff bit of
 * the other kind after each five equal ones; the CRC of CAN FD has them at fixed places instead.
 */
export interface FrameBits {
  /** At the bitrate. */
  readonly nominal: number;
  /** At the data bitrate: the payload and what belongs to it, of a CAN FD frame that switches its bitrate. */
  readonly data: number;
}

/** CRC delimiter, ACK slot, ACK delimiter, end of frame (7), intermission (3). */
const CLASSIC_END_BITS = 13;
/** ACK slot, ACK delimiter, end of frame, intermission; the CRC delimiter is at the data bitrate. */
const FD_END_BITS = 12;
const CRC15_POLYNOMIAL = 0x4599;
/** Payloads up to there have a CRC of 17 bits, longer ones of 21; stuff count (4) and fixed stuff bits come on top. */
const FD_CRC17_PAYLOAD_BYTES_MAX = 16;
const FD_CRC17_FIELD_BITS = 4 + 17 + 6;
const FD_CRC21_FIELD_BITS = 4 + 21 + 7;

/** Goes along the bits of a frame, and counts those that are sent. */
class Stuffer {
  /** Stuff bits included. */
  sent = 0;
  crc15 = 0;
  #last = -1;
  #run = 0;

  push(value: number, bits: number): void {
    for (let at = bits - 1; at >= 0; at--) this.#pushBit((value >>> at) & 1);
  }

  #pushBit(bit: number): void {
    const isDivided = ((this.crc15 >> 14) & 1) !== bit;
    this.crc15 = (this.crc15 << 1) & 0x7fff;
    if (isDivided) this.crc15 ^= CRC15_POLYNOMIAL;
    this.#send(bit);
    if (this.#run === 5) this.#send(bit ^ 1);
  }

  #send(bit: number): void {
    this.sent++;
    this.#run = bit === this.#last ? this.#run + 1 : 1;
    this.#last = bit;
  }
}

/** The exact length of a frame. `payloadBytes` of a remote frame are those that it asks for. */
export function frameBits(
  canId: number,
  flags: number,
  payload: Uint8Array,
  payloadBytes: number = payload.length,
): FrameBits {
  const stuffer = new Stuffer();
  const isExtended = (flags & FRAME_FLAG.EXTENDED) !== 0;
  // Start of frame.
  stuffer.push(0, 1);
  if (isExtended) {
    stuffer.push(canId >>> 18, 11);
    // SRR and IDE.
    stuffer.push(0b11, 2);
    stuffer.push(canId & 0x3_ffff, 18);
  } else stuffer.push(canId, 11);
  return (flags & FRAME_FLAG.FD) !== 0
    ? fdBits(stuffer, flags, isExtended, payload)
    : classicBits(stuffer, flags, payload, payloadBytes);
}

function classicBits(stuffer: Stuffer, flags: number, payload: Uint8Array, payloadBytes: number): FrameBits {
  // RTR, then IDE and a reserved bit, or two reserved bits: all dominant.
  stuffer.push((flags & FRAME_FLAG.REMOTE) !== 0 ? 1 : 0, 1);
  stuffer.push(0, 2);
  stuffer.push(payloadBytes, 4);
  for (let index = 0; index < payload.length; index++) stuffer.push(payload[index]!, 8);
  stuffer.push(stuffer.crc15, 15);
  return { nominal: stuffer.sent + CLASSIC_END_BITS, data: 0 };
}

function fdBits(stuffer: Stuffer, flags: number, isExtended: boolean, payload: Uint8Array): FrameBits {
  const isSwitched = (flags & FRAME_FLAG.BRS) !== 0;
  // RRS, then IDE of a standard frame; FDF, a reserved bit, BRS.
  stuffer.push(0, isExtended ? 1 : 2);
  stuffer.push(0b10, 2);
  stuffer.push(isSwitched ? 1 : 0, 1);
  const arbitration = stuffer.sent;
  stuffer.push((flags & FRAME_FLAG.ESI) !== 0 ? 1 : 0, 1);
  stuffer.push(dlcOfFdPayloadBytes(payload.length), 4);
  for (let index = 0; index < payload.length; index++) stuffer.push(payload[index]!, 8);
  const crcField = payload.length > FD_CRC17_PAYLOAD_BYTES_MAX ? FD_CRC21_FIELD_BITS : FD_CRC17_FIELD_BITS;
  const data = stuffer.sent - arbitration + crcField + 1;
  return isSwitched
    ? { nominal: arbitration + FD_END_BITS, data }
    : { nominal: arbitration + data + FD_END_BITS, data: 0 };
}
