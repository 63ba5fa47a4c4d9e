import { LOG_BROKEN_LINES_KEPT, LOG_LINE_BYTES_MAX } from '../../shared/limits.ts';
import {
  CLASSIC_PAYLOAD_BYTES_MAX,
  canIdOfIdWord,
  FD_PAYLOAD_BYTES_MAX,
  FRAME_FLAG,
  flagsOfFdByte,
  flagsOfIdWord,
  ID_WORD_ERROR,
  ID_WORD_EXTENDED,
  isFdPayloadBytes,
  STANDARD_CAN_ID_MAX,
} from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { exampleOf } from './line-example.ts';

const TAB = 9;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const HASH = 35;
const OPEN_PARENTHESIS = 40;
const CLOSE_PARENTHESIS = 41;
const DOT = 46;
const DIGIT_0 = 48;
const LETTER_R = 82;
const UNDERSCORE = 95;

/** The value of a hexadecimal digit by its character code; NOT_HEX for any other character. */
const NOT_HEX = 0xff;
const HEX_VALUE = new Uint8Array(256).fill(NOT_HEX);
for (let digit = 0; digit < 16; digit++) {
  const character = digit.toString(16);
  HEX_VALUE[character.charCodeAt(0)] = digit;
  HEX_VALUE[character.toUpperCase().charCodeAt(0)] = digit;
}

/** The value of two hexadecimal digits by their character codes, the first in the lower byte; else NOT_HEX_PAIR. */
const NOT_HEX_PAIR = 0x100;
const HEX_PAIR = new Uint16Array(2 ** 16).fill(NOT_HEX_PAIR);
for (let first = 0; first < 256; first++) {
  for (let second = 0; second < 256; second++) {
    const high = HEX_VALUE[first]!;
    const low = HEX_VALUE[second]!;
    if (high !== NOT_HEX && low !== NOT_HEX) HEX_PAIR[(second << 8) | first] = (high << 4) | low;
  }
}

/** `) ` as a word. */
const CLOSED_AND_SPACE = (SPACE << 8) | CLOSE_PARENTHESIS;
/** Four characters are digits if, with these bits turned, they are 0 to 9 each: */
const DIGITS = 0x30303030;
/** then none has its highest bit set, neither by itself nor with this added. */
const NO_DIGIT = 0x76767676;
const HIGHEST_BITS = 0x80808080 | 0;

const MICROSECOND_DIGITS = 6;
/** A later one (June 2255 on) isn't exact in a double, and node:sqlite refuses to read it back. */
const TIMESTAMP_US_MAX = Number.MAX_SAFE_INTEGER;
/** As many as TIMESTAMP_US_MAX has, in seconds. */
const SECOND_DIGITS_MAX = 10;
/** With any microseconds still below TIMESTAMP_US_MAX. */
const COMMON_SECONDS_MAX = 9_007_199_253;

/** `(1436509052.249713) ` is so long, */
const COMMON_TIMESTAMP_BYTES = 20;
/** the name of a network interface at most so long (IFNAMSIZ of linux/if.h), */
const CHANNEL_BYTES_MAX = 15;
/** and ` 123#1122334455667788` with its newline so long. */
const COMMON_LINE_BYTES_MAX = COMMON_TIMESTAMP_BYTES + CHANNEL_BYTES_MAX + 22;

/** `nothing`: a blank line or a comment. */
type LineResult = 'frame' | 'nothing' | 'broken';

/**
 * Reads the log format of can-utils (`candump -l` and `-L`), one frame a line:
 *
 *   (1436509052.249713) can0 123#DEADBEEF        11-bit id, data
 *   (1436509052.449847) can0 1F334455#1122 R     29-bit id; what follows the data is ignored
 *   (1436509052.650111) can0 123#R8              remote frame, with or without a length (then 0)
 *   (1436509052.650111) can0 20000080#00000000   error frame: CAN_ERR_FLAG within the id
 *   (1436509052.850004) can0 123##3112233        CAN FD: a digit of flags (1 bit rate switch, 2 error state), data
 *   # any text                                   a comment, as people write them
 *
 * Between the words there may be any number of spaces and tabs, as for canplayer.
 *
 * It works on bytes and makes no string and no object per line. A line that is none of these is counted
 * with its number and skipped; any bytes whatever are read without an error.
 */
export class CandumpParser {
  linesRead = 0;
  linesBroken = 0;
  /** Line numbers, from 1, of the first broken lines. */
  readonly firstBrokenLines: number[] = [];
  brokenExample: string | null = null;

  #timestampUs = 0;
  #idWord = 0;
  /** FRAME_FLAG bits beyond those of the id word. */
  #flags = 0;
  #payloadBytes = 0;
  #inLongLine = false;
  readonly #data = new Uint8Array(FD_PAYLOAD_BYTES_MAX);
  readonly #common = new CommonLineParser();

  /**
   * Appends the frames of the whole lines in bytes[start, end) to the batch until it is full.
   * Returns where the next call is to start: at the first line that wasn't read.
   */
  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number {
    let lineStart = start;
    while (!batch.isFull && lineStart < end) {
      if (!this.#inLongLine) {
        const before = batch.count;
        lineStart = this.#common.parse(bytes, lineStart, end, batch);
        this.linesRead += batch.count - before;
        if (batch.isFull || lineStart === end) break;
      }
      const lineEnd = bytes.indexOf(NEWLINE, lineStart);
      if (lineEnd < 0 || lineEnd >= end) return this.#skipIfTooLong(lineStart, end);
      this.#takeLine(bytes, lineStart, lineEnd, batch);
      lineStart = lineEnd + 1;
    }
    return lineStart;
  }

  /** Reads the last line of a file, which lacks a newline. */
  parseLastLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): void {
    if (start < end || this.#inLongLine) this.#takeLine(bytes, start, end, batch);
  }

  /** Drops the beginning of a line that is longer than any line of a log, and remembers that it did. */
  #skipIfTooLong(lineStart: number, end: number): number {
    if (end - lineStart <= LOG_LINE_BYTES_MAX) return lineStart;
    this.#inLongLine = true;
    return end;
  }

  #takeLine(bytes: Uint8Array, start: number, lineEnd: number, batch: FrameBatch): void {
    this.linesRead++;
    const isTooLong = this.#inLongLine || lineEnd - start > LOG_LINE_BYTES_MAX;
    this.#inLongLine = false;
    const end = lineEnd > start && bytes[lineEnd - 1] === CARRIAGE_RETURN ? lineEnd - 1 : lineEnd;
    const result = isTooLong ? 'broken' : this.#parseLine(bytes, start, end, batch);
    if (result === 'frame') {
      this.#append(batch);
    } else if (result === 'broken') {
      this.linesBroken++;
      this.brokenExample ??= exampleOf(bytes, start, end);
      if (this.firstBrokenLines.length < LOG_BROKEN_LINES_KEPT) this.firstBrokenLines.push(this.linesRead);
    }
  }

  #append(batch: FrameBatch): void {
    const flags = flagsOfIdWord(this.#idWord) | this.#flags;
    const at = batch.count;
    batch.timestampUs[at] = this.#timestampUs;
    batch.canId[at] = canIdOfIdWord(this.#idWord, flags);
    batch.flags[at] = flags;
    batch.payloadBytes[at] = this.#payloadBytes;
    batch.count = at + 1;
  }

  /** Reads one line into the fields, the payload straight into the batch's next place. */
  #parseLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): LineResult {
    const first = afterBlanks(bytes, start, end);
    if (first === end || bytes[first] === HASH) return 'nothing';
    const timestampEnd = this.#parseTimestamp(bytes, first, end);
    if (timestampEnd < 0) return 'broken';
    const channel = afterBlanks(bytes, timestampEnd, end);
    let at = channel;
    while (at < end && !isBlank(bytes[at]!)) at++;
    if (channel === timestampEnd || at === channel || at === end) return 'broken';

    const id = afterBlanks(bytes, at, end);
    at = id;
    let idWord = 0;
    while (at < end) {
      const digit = HEX_VALUE[bytes[at]!]!;
      if (digit === NOT_HEX) break;
      idWord = (idWord << 4) | digit;
      at++;
    }
    const idDigits = at - id;
    if (bytes[at++] !== HASH || at > end) return 'broken';
    if (idDigits !== 3 && idDigits !== 8) return 'broken';
    if (idDigits === 3 && idWord > STANDARD_CAN_ID_MAX) return 'broken';
    // Eight digits are a 29-bit id, unless they say by their flag that they are an error's class bits.
    this.#idWord = idDigits === 8 && (idWord & ID_WORD_ERROR) === 0 ? idWord | ID_WORD_EXTENDED : idWord;

    if (at < end && bytes[at] === HASH) return this.#parseFd(bytes, at + 1, end, batch);
    if (at < end && bytes[at] === LETTER_R) return this.#parseRemote(bytes, at + 1, end);
    return this.#parsePayload(bytes, at, end, batch);
  }

  /** Reads `(seconds.fraction)`; returns where it ends, or -1. */
  #parseTimestamp(bytes: Uint8Array, start: number, end: number): number {
    if (bytes[start] !== OPEN_PARENTHESIS) return -1;
    let at = start + 1;
    let seconds = 0;
    const secondsStart = at;
    let digit = bytes[at]! - DIGIT_0;
    while (at < end && digit >= 0 && digit <= 9) {
      seconds = seconds * 10 + digit;
      digit = bytes[++at]! - DIGIT_0;
    }
    if (at === secondsStart || at - secondsStart > SECOND_DIGITS_MAX || bytes[at] !== DOT) return -1;
    at++;
    let microseconds = 0;
    const fractionStart = at;
    digit = bytes[at]! - DIGIT_0;
    while (at < end && digit >= 0 && digit <= 9) {
      // Some tools write nanoseconds; what is finer than a microsecond is cut off.
      if (at - fractionStart < MICROSECOND_DIGITS) microseconds = microseconds * 10 + digit;
      digit = bytes[++at]! - DIGIT_0;
    }
    if (at === fractionStart || at >= end || bytes[at] !== CLOSE_PARENTHESIS) return -1;
    for (let digits = at - fractionStart; digits < MICROSECOND_DIGITS; digits++) microseconds *= 10;
    this.#timestampUs = seconds * 1_000_000 + microseconds;
    return this.#timestampUs <= TIMESTAMP_US_MAX ? at + 1 : -1;
  }

  #parseRemote(bytes: Uint8Array, start: number, end: number): LineResult {
    this.#flags = FRAME_FLAG.REMOTE;
    this.#payloadBytes = 0;
    let at = start;
    if (at < end && !isBlank(bytes[at]!)) {
      const length = bytes[at]! - DIGIT_0;
      if (length < 0 || length > CLASSIC_PAYLOAD_BYTES_MAX) return 'broken';
      this.#payloadBytes = length;
      at++;
    }
    return this.#endsHere(bytes, at, end) ? 'frame' : 'broken';
  }

  #parsePayload(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): LineResult {
    this.#flags = 0;
    const at = this.#parseData(bytes, start, end, CLASSIC_PAYLOAD_BYTES_MAX);
    if (at < 0 || !this.#endsHere(bytes, at, end)) return 'broken';
    batch.payload.set(this.#data.subarray(0, this.#payloadBytes), batch.count * CLASSIC_PAYLOAD_BYTES_MAX);
    return 'frame';
  }

  #parseFd(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): LineResult {
    const fdByte = start < end ? HEX_VALUE[bytes[start]!]! : NOT_HEX;
    if (fdByte === NOT_HEX) return 'broken';
    this.#flags = flagsOfFdByte(fdByte);
    const at = this.#parseData(bytes, start + 1, end, FD_PAYLOAD_BYTES_MAX);
    if (at < 0 || !isFdPayloadBytes(this.#payloadBytes) || !this.#endsHere(bytes, at, end)) return 'broken';
    const data = this.#data.subarray(0, this.#payloadBytes);
    if (data.length > CLASSIC_PAYLOAD_BYTES_MAX) batch.longPayload.set(data, batch.takeLongPlace());
    else batch.payload.set(data, batch.count * CLASSIC_PAYLOAD_BYTES_MAX);
    return 'frame';
  }

  /** Reads hexadecimal bytes, `most` at most, into #data; returns where they end, or -1. */
  #parseData(bytes: Uint8Array, start: number, end: number, most: number): number {
    let at = start;
    let length = 0;
    while (at + 1 < end) {
      const high = HEX_VALUE[bytes[at]!]!;
      if (high === NOT_HEX) break;
      const low = HEX_VALUE[bytes[at + 1]!]!;
      if (low === NOT_HEX || length === most) return -1;
      this.#data[length++] = (high << 4) | low;
      at += 2;
    }
    this.#payloadBytes = length;
    return at;
  }

  /** Whether the frame ends at `at`: there the line does, or a blank or candump's raw DLC (`_9`) follows. */
  #endsHere(bytes: Uint8Array, at: number, end: number): boolean {
    return at === end || isBlank(bytes[at]!) || bytes[at] === UNDERSCORE;
  }
}

/**
 * Reads lines of the form that nearly all have, `(1436509052.249713) can0 123#1122334455667788`: straight-line code that
 * takes the bytes of such a line by words. It takes a quarter of the time of the careful way.
 */
class CommonLineParser {
  #bytes: Uint8Array = new Uint8Array(0);
  #words = new DataView(this.#bytes.buffer);

  /**
   * Appends the frames of the lines in bytes[start, end) to the batch until it is full, a line has another form, or less than
   * COMMON_LINE_BYTES_MAX is left. Returns where the next line starts. A loop by itself, so that it is compiled early, with
   * fields looked up once: where memory is written to they would be for each line.
   */
  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number {
    this.#use(bytes);
    const words = this.#words;
    const { timestampUs, canId, flags, payloadBytes, payloadWords, capacity } = batch;
    const lastStart = end - COMMON_LINE_BYTES_MAX;
    // What the line before had: its seconds change once a second, the name of its interface hardly ever.
    let secondDigits0 = 0;
    let secondDigits4 = 0;
    let secondDigits8 = 0;
    let secondsUs = 0;
    let nameBegins = -1;
    let index = batch.count;
    let line = start;
    for (; index < capacity && line < lastStart; index++) {
      if (
        bytes[line] !== OPEN_PARENTHESIS ||
        bytes[line + 11] !== DOT ||
        words.getUint16(line + 18, true) !== CLOSED_AND_SPACE
      ) {
        break;
      }
      if (
        words.getInt32(line + 1, true) !== secondDigits0 ||
        words.getInt32(line + 5, true) !== secondDigits4 ||
        words.getUint16(line + 9, true) !== secondDigits8
      ) {
        secondDigits0 = words.getInt32(line + 1, true);
        secondDigits4 = words.getInt32(line + 5, true);
        secondDigits8 = words.getUint16(line + 9, true);
        const seconds = tenDigits(secondDigits0, secondDigits4, secondDigits8);
        if (seconds > COMMON_SECONDS_MAX) break;
        secondsUs = seconds * 1_000_000;
      }
      const digits0 = words.getInt32(line + 12, true) ^ DIGITS;
      const digits4 = words.getUint16(line + 16, true) ^ (DIGITS & 0xffff);
      if (
        ((digits0 | (digits0 + NO_DIGIT) | digits4 | (digits4 + (NO_DIGIT & 0xffff))) & HIGHEST_BITS) !==
        0
      ) {
        break;
      }
      const channel = line + COMMON_TIMESTAMP_BYTES;
      const last = channel + CHANNEL_BYTES_MAX;
      // A name ends at a space; no other byte below it, such as a newline, may stand within.
      let at = words.getInt32(channel, true) === nameBegins ? channel + 4 : channel;
      while (at < last && bytes[at]! > SPACE) at++;
      if (at === channel || bytes[at] !== SPACE || bytes[at + 4] !== HASH || bytes[at + 21] !== NEWLINE) {
        break;
      }
      // NOT_HEX has bits that no digit has; an 11-bit id begins with 0 to 7.
      const high = HEX_VALUE[bytes[at + 1]!]!;
      const low = HEX_PAIR[words.getUint16(at + 2, true)]!;
      const data = at + 5;
      const byte0 = HEX_PAIR[words.getUint16(data, true)]!;
      const byte1 = HEX_PAIR[words.getUint16(data + 2, true)]!;
      const byte2 = HEX_PAIR[words.getUint16(data + 4, true)]!;
      const byte3 = HEX_PAIR[words.getUint16(data + 6, true)]!;
      const byte4 = HEX_PAIR[words.getUint16(data + 8, true)]!;
      const byte5 = HEX_PAIR[words.getUint16(data + 10, true)]!;
      const byte6 = HEX_PAIR[words.getUint16(data + 12, true)]!;
      const byte7 = HEX_PAIR[words.getUint16(data + 14, true)]!;
      // NOT_HEX_PAIR is above all of them.
      if (high > 7 || (low | byte0 | byte1 | byte2 | byte3 | byte4 | byte5 | byte6 | byte7) > 0xff) break;
      payloadWords[2 * index] = byte0 | (byte1 << 8) | (byte2 << 16) | (byte3 << 24);
      payloadWords[2 * index + 1] = byte4 | (byte5 << 8) | (byte6 << 16) | (byte7 << 24);
      timestampUs[index] = secondsUs + fourDigits(digits0) * 100 + twoDigits(digits4);
      canId[index] = (high << 8) | low;
      flags[index] = 0;
      payloadBytes[index] = CLASSIC_PAYLOAD_BYTES_MAX;
      if (at - channel >= 4) nameBegins = words.getInt32(channel, true);
      line = at + 22;
    }
    batch.count = index;
    return line;
  }

  #use(bytes: Uint8Array): void {
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function afterBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at]!)) at++;
  return at;
}

/** The number that ten digits say, as three words of the text; infinite where one is no digit. */
function tenDigits(text0: number, text4: number, text8: number): number {
  const digits0 = text0 ^ DIGITS;
  const digits4 = text4 ^ DIGITS;
  const digits8 = text8 ^ (DIGITS & 0xffff);
  const noDigits =
    digits0 |
    (digits0 + NO_DIGIT) |
    digits4 |
    (digits4 + NO_DIGIT) |
    digits8 |
    (digits8 + (NO_DIGIT & 0xffff));
  if ((noDigits & HIGHEST_BITS) !== 0) return Number.POSITIVE_INFINITY;
  return fourDigits(digits0) * 1_000_000 + fourDigits(digits4) * 100 + twoDigits(digits8);
}

/** The value of four digits, the first in the lowest byte of a word. */
function fourDigits(digits: number): number {
  const pairs = Math.imul(digits, 10) + (digits >>> 8);
  return (pairs & 0xff) * 100 + ((pairs >>> 16) & 0xff);
}

function twoDigits(digits: number): number {
  return (digits & 0xff) * 10 + (digits >>> 8);
}
