import { FD_PAYLOAD_BYTES_MAX, FRAME_FLAG, fdByteOfFlags, ID_WORD_ERROR } from '../can-frame.ts';

const NEWLINE = 10;
const SPACE = 32;
const HASH = 35;
const OPEN_PARENTHESIS = 40;
const CLOSE_PARENTHESIS = 41;
const DOT = 46;
const DIGIT_0 = 48;
const LETTER_R = 82;

/** The bytes of a channel's name at most: an interface's (IFNAMSIZ of linux/if.h), more canplayer refuses. */
export const CHANNEL_BYTES_MAX = 15;

const SECOND_DIGITS = 10;
const TIMESTAMP_BYTES = 1 + SECOND_DIGITS + 1 + 6 + 2;

/** What a line takes at most. */
export const CANDUMP_LINE_BYTES_MAX =
  TIMESTAMP_BYTES + CHANNEL_BYTES_MAX + 1 + 8 + 3 + 2 * FD_PAYLOAD_BYTES_MAX + 1;

/** Two hexadecimal digits for each byte, as candump writes them. */
const HEX_PAIRS = asciiTable(256, 2, 16);
/** Three decimal digits for each of a thousand. */
const DECIMAL_TRIPLES = asciiTable(1000, 3, 10);

function asciiTable(count: number, digits: number, radix: number): Uint8Array {
  const text = Array.from({ length: count }, (_, value) =>
    value.toString(radix).toUpperCase().padStart(digits, '0'),
  );
  return Buffer.from(text.join(''), 'latin1');
}

/**
 * Writes lines of the log format of can-utils (`candump -l`), as CandumpParser reads them:
 *
 *   (1436509052.249713) can0 123#DEADBEEF
 *   (1436509052.249713) can0 123##1DEADBEEF     CAN FD
 *   (1436509052.249713) can0 1F334455#R8        a remote frame
 *
 * The bytes go straight into a buffer: no string and no object is made for a frame.
 */
export class CandumpFormatter {
  readonly #channels: readonly Uint8Array[];
  /** The second that #secondDigits are of: frames of one second have its digits in common. */
  #second = -1;
  readonly #secondDigits = new Uint8Array(SECOND_DIGITS);

  /** @param channels what stands for each bus in a line, see channelNames */
  constructor(channels: readonly string[]) {
    this.#channels = channels.map((channel) => Buffer.from(`${channel} `, 'latin1'));
  }

  /**
   * Writes one line at `at` and returns where it ends. The payload is payload[payloadAt, payloadAt + payloadBytes);
   * of a remote frame payloadBytes is the length that it asks for.
   */
  write(
    to: Uint8Array,
    at: number,
    channel: number,
    timestampUs: number,
    canId: number,
    flags: number,
    payload: Uint8Array,
    payloadAt: number,
    payloadBytes: number,
  ): number {
    let end = this.#writeTimestamp(to, at, timestampUs);
    const name = this.#channels[channel]!;
    for (let index = 0; index < name.length; index++) to[end++] = name[index]!;
    end = writeId(to, end, canId, flags);
    to[end++] = HASH;
    if ((flags & FRAME_FLAG.REMOTE) !== 0) {
      to[end++] = LETTER_R;
      if (payloadBytes > 0) to[end++] = DIGIT_0 + payloadBytes;
    } else {
      if ((flags & FRAME_FLAG.FD) !== 0) {
        to[end++] = HASH;
        to[end++] = DIGIT_0 + fdByteOfFlags(flags);
      }
      for (let index = payloadAt; index < payloadAt + payloadBytes; index++) {
        const pair = 2 * payload[index]!;
        to[end++] = HEX_PAIRS[pair]!;
        to[end++] = HEX_PAIRS[pair + 1]!;
      }
    }
    to[end++] = NEWLINE;
    return end;
  }

  #writeTimestamp(to: Uint8Array, at: number, timestampUs: number): number {
    const second = Math.floor(timestampUs / 1_000_000);
    if (second !== this.#second) this.#beginSecond(second);
    to[at] = OPEN_PARENTHESIS;
    for (let digit = 0; digit < SECOND_DIGITS; digit++) to[at + 1 + digit] = this.#secondDigits[digit]!;
    to[at + 11] = DOT;
    const microseconds = timestampUs - second * 1_000_000;
    const milliseconds = (microseconds / 1000) | 0;
    const rest = 3 * (microseconds - milliseconds * 1000);
    for (let digit = 0; digit < 3; digit++) {
      to[at + 12 + digit] = DECIMAL_TRIPLES[3 * milliseconds + digit]!;
      to[at + 15 + digit] = DECIMAL_TRIPLES[rest + digit]!;
    }
    to[at + 18] = CLOSE_PARENTHESIS;
    to[at + 19] = SPACE;
    return at + TIMESTAMP_BYTES;
  }

  #beginSecond(second: number): void {
    this.#second = second;
    const text = String(second).padStart(SECOND_DIGITS, '0');
    for (let digit = 0; digit < SECOND_DIGITS; digit++) this.#secondDigits[digit] = text.charCodeAt(digit);
  }
}

function writeId(to: Uint8Array, at: number, canId: number, flags: number): number {
  if ((flags & (FRAME_FLAG.EXTENDED | FRAME_FLAG.ERROR)) === 0) {
    const low = 2 * (canId & 0xff);
    to[at] = HEX_PAIRS[2 * (canId >>> 8) + 1]!;
    to[at + 1] = HEX_PAIRS[low]!;
    to[at + 2] = HEX_PAIRS[low + 1]!;
    return at + 3;
  }
  // Eight digits are a 29-bit id; only of an error frame do they hold a flag.
  const word = (flags & FRAME_FLAG.ERROR) !== 0 ? (canId | ID_WORD_ERROR) >>> 0 : canId;
  for (let byte = 0; byte < 4; byte++) {
    const pair = 2 * ((word >>> (24 - 8 * byte)) & 0xff);
    to[at + 2 * byte] = HEX_PAIRS[pair]!;
    to[at + 2 * byte + 1] = HEX_PAIRS[pair + 1]!;
  }
  return at + 8;
}

/** What stands for each bus in a log: its name, as much of it as an interface's may have, and each once. */
export function channelNames(busNames: readonly string[]): string[] {
  const taken = new Set<string>();
  return busNames.map((name) => {
    let channel = name.slice(0, CHANNEL_BYTES_MAX);
    for (let number = 2; taken.has(channel); number++) {
      const suffix = `-${number}`;
      channel = name.slice(0, CHANNEL_BYTES_MAX - suffix.length) + suffix;
    }
    taken.add(channel);
    return channel;
  });
}
