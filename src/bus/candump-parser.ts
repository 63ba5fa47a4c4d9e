import { LOG_BROKEN_LINES_KEPT, LOG_LINE_BYTES_MAX } from '../shared/limits.ts';
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
} from './can-frame.ts';
import type { FrameBatch } from './frame-batch.ts';

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
/** A bit that NOT_HEX has and no digit's value. */
const NOT_HEX_BIT = 0x80;
const HEX_VALUE = new Uint8Array(256).fill(NOT_HEX);
for (let digit = 0; digit < 16; digit++) {
  const character = digit.toString(16);
  HEX_VALUE[character.charCodeAt(0)] = digit;
  HEX_VALUE[character.toUpperCase().charCodeAt(0)] = digit;
}

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

type LineResult = 'frame' | 'broken';

/**
 * Reads the log format of can-utils (`candump -l` and `-L`), one frame a line:
 *
 *   (1436509052.249713) can0 123#DEADBEEF        11-bit id, data
 *   (1436509052.449847) can0 1F334455#1122 R     29-bit id; what follows the data is ignored
 *   (1436509052.650111) can0 123#R8              remote frame, with or without a length (then 0)
 *   (1436509052.650111) can0 20000080#00000000   error frame: CAN_ERR_FLAG within the id
 *   (1436509052.850004) can0 123##3112233        CAN FD: a digit of flags (1 bit rate switch, 2 error state), data
 *
 * It works on bytes and makes no string and no object per line. A line that is none of these is counted
 * with its number and skipped; any bytes whatever are read without an error.
 */
export class CandumpParser {
  linesRead = 0;
  linesBroken = 0;
  /** Line numbers, from 1, of the first broken lines. */
  readonly firstBrokenLines: number[] = [];

  #timestampUs = 0;
  #idWord = 0;
  /** FRAME_FLAG bits beyond those of the id word. */
  #flags = 0;
  #payloadBytes = 0;
  #inLongLine = false;
  readonly #data = new Uint8Array(FD_PAYLOAD_BYTES_MAX);

  /**
   * Appends the frames of the whole lines in bytes[start, end) to the batch until it is full.
   * Returns where the next call is to start: at the first line that wasn't read.
   */
  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number {
    let lineStart = start;
    while (!batch.isFull && lineStart < end) {
      if (!this.#inLongLine && end - lineStart > COMMON_LINE_BYTES_MAX) {
        const next = parseCommonLine(bytes, lineStart, batch);
        if (next > 0) {
          this.linesRead++;
          lineStart = next;
          continue;
        }
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
    if (end === start && !isTooLong) return;
    const result = isTooLong ? 'broken' : this.#parseLine(bytes, start, end, batch);
    if (result === 'frame') {
      this.#append(batch);
    } else {
      this.linesBroken++;
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
    let at = this.#parseTimestamp(bytes, start, end);
    if (at < 0 || bytes[at++] !== SPACE) return 'broken';
    const channel = at;
    while (at < end && bytes[at] !== SPACE) at++;
    if (at === channel || at === end) return 'broken';
    at++;

    const id = at;
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
    if (at < end && bytes[at] !== SPACE) {
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

  /** Whether the frame ends at `at`: there the line does, or a space or candump's raw DLC (`_9`) follows. */
  #endsHere(bytes: Uint8Array, at: number, end: number): boolean {
    return at === end || bytes[at] === SPACE || bytes[at] === UNDERSCORE;
  }
}

/**
 * Reads a line of the form that nearly all have, `(1436509052.249713) can0 123#1122334455667788`, into
 * the batch; COMMON_LINE_BYTES_MAX bytes are there to look at. Returns where the next line starts, or 0
 * where the line has another form, and then has changed nothing. Straight-line code: digits are checked
 * by bits that wrong ones leave behind. It takes a third of the time of the careful way.
 */
function parseCommonLine(bytes: Uint8Array, start: number, batch: FrameBatch): number {
  if (
    bytes[start] !== OPEN_PARENTHESIS ||
    bytes[start + 11] !== DOT ||
    bytes[start + 18] !== CLOSE_PARENTHESIS ||
    bytes[start + 19] !== SPACE
  ) {
    return 0;
  }
  let wrong = 0;
  let seconds = 0;
  for (let at = start + 1; at < start + 11; at++) {
    const digit = bytes[at]! - DIGIT_0;
    wrong |= digit | (9 - digit);
    seconds = seconds * 10 + digit;
  }
  let microseconds = 0;
  for (let at = start + 12; at < start + 18; at++) {
    const digit = bytes[at]! - DIGIT_0;
    wrong |= digit | (9 - digit);
    microseconds = microseconds * 10 + digit;
  }
  // A digit out of range left the sign bit.
  if (wrong < 0 || seconds > COMMON_SECONDS_MAX) return 0;
  wrong = 0;

  const channel = start + COMMON_TIMESTAMP_BYTES;
  let at = channel;
  // A name ends at a space; no other byte below it, such as a newline, may stand within.
  while (bytes[at]! > SPACE) if (++at - channel > CHANNEL_BYTES_MAX) return 0;
  if (at === channel || bytes[at] !== SPACE || bytes[at + 4] !== HASH || bytes[at + 21] !== NEWLINE) return 0;

  const high = HEX_VALUE[bytes[at + 1]!]!;
  const middle = HEX_VALUE[bytes[at + 2]!]!;
  const low = HEX_VALUE[bytes[at + 3]!]!;
  const canId = (high << 8) | (middle << 4) | low;
  // NOT_HEX has bits that no digit has; an 11-bit id begins with 0 to 7.
  if (((high << 1) | middle | low) > 0xf) return 0;

  const index = batch.count;
  const payload = batch.payload;
  const first = index * CLASSIC_PAYLOAD_BYTES_MAX;
  const data = at + 5;
  for (let byte = 0; byte < CLASSIC_PAYLOAD_BYTES_MAX; byte++) {
    const upper = HEX_VALUE[bytes[data + 2 * byte]!]!;
    const lower = HEX_VALUE[bytes[data + 2 * byte + 1]!]!;
    wrong |= upper | lower;
    payload[first + byte] = (upper << 4) | lower;
  }
  if ((wrong & NOT_HEX_BIT) !== 0) return 0;
  batch.timestampUs[index] = seconds * 1_000_000 + microseconds;
  batch.canId[index] = canId;
  batch.flags[index] = 0;
  batch.payloadBytes[index] = CLASSIC_PAYLOAD_BYTES_MAX;
  batch.count = index + 1;
  return at + 22;
}
