import { LOG_BROKEN_LINES_KEPT, LOG_LINE_BYTES_MAX } from '../../shared/limits.ts';
import {
  CLASSIC_PAYLOAD_BYTES_MAX,
  EXTENDED_CAN_ID_MAX,
  FD_PAYLOAD_BYTES_MAX,
  FRAME_FLAG,
  isFdPayloadBytes,
  STANDARD_CAN_ID_MAX,
} from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { exampleOf } from './line-example.ts';

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const DIGIT_0 = 48;
const DOT = 46;
const LOWER = 0x20;
const LETTER_X = 0x78;

/** Words of a line that are looked at: those of a CAN FD frame with 64 bytes, and some behind them. */
const WORDS_MAX = 96;

const TIMESTAMP_US_MAX = Number.MAX_SAFE_INTEGER;
/** More digits of seconds than any time that fits. */
const SECOND_DIGITS_MAX = 10;

/** What is said of the frame behind its payload, in a line of CAN FD: duration, length, and flags with these bits. */
const FD_FLAG_REMOTE = 0x10;
const FD_FLAG_FD = 0x1000;

/** CAN_ERR_BUSERROR of linux/can/error.h: an ASC file doesn't say which error it was. */
const ERROR_CLASS_BUS = 0x80;
const ERROR_PAYLOAD_BYTES = 8;

/** The English and the German names, as Vector's tools and python-can know them. */
const MONTHS: Readonly<Record<string, number>> = {
  jan: 0,
  feb: 1,
  mar: 2,
  mär: 2,
  apr: 3,
  may: 4,
  mai: 4,
  jun: 5,
  jul: 6,
  aug: 7,
  sep: 8,
  oct: 9,
  okt: 9,
  nov: 10,
  dec: 11,
  dez: 11,
};

/** What a line is: `other` is known, but no frame. */
type LineResult = 'frame' | 'other' | 'broken';

/**
 * Reads logs in the ASC format of Vector's CANalyzer and CANoe, also as python-can and log2asc write it:
 *
 *   date Thu Jan 1 12:00:00.123 am 2026               when the times of the lines begin, in this machine's time zone
 *   base hex  timestamps absolute                     or dec; or relative: to the line before
 *   Begin Triggerblock Thu Jan 1 12:00:00.123 am 2026 the same as date, if it is there
 *      0.001000 1  123             Rx   d 4 DE AD BE EF
 *      0.002000 1  1F334455x       Tx   r 8           29-bit id, remote frame
 *      0.003000 2  ErrorFrame
 *      0.004000 CANFD   1 Rx        123  Name  1 0 9 12 00 11 ... 102203 133 303000 ...
 *                       (bit rate switch, error state, DLC, bytes; then duration, length, flags)
 *
 * The format is Vector's ("CAN Log and Trigger ASC format", which comes with the tools); what is read here is what
 * can/io/asc.py of python-can 4.1 writes and reads, and log2asc.c of can-utils. Comments and other events are passed
 * over; a line that is nothing known is counted with its number. Any bytes whatever are read without an error.
 */
export class AscParser {
  linesRead = 0;
  linesBroken = 0;
  /** Line numbers, from 1, of the first broken lines. */
  readonly firstBrokenLines: number[] = [];
  brokenExample: string | null = null;

  #startUs = 0;
  #base: 10 | 16 = 16;
  #isRelative = false;
  /** Since the start. */
  #lineUs = 0;
  #inLongLine = false;

  #bytes: Uint8Array = new Uint8Array();
  readonly #wordStarts = new Int32Array(WORDS_MAX);
  readonly #wordEnds = new Int32Array(WORDS_MAX);
  #words = 0;
  readonly #data = new Uint8Array(FD_PAYLOAD_BYTES_MAX);

  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number {
    let lineStart = start;
    while (!batch.isFull && lineStart < end) {
      const lineEnd = bytes.indexOf(NEWLINE, lineStart);
      if (lineEnd < 0 || lineEnd >= end) {
        if (end - lineStart <= LOG_LINE_BYTES_MAX) return lineStart;
        this.#inLongLine = true;
        return end;
      }
      this.#takeLine(bytes, lineStart, lineEnd, batch);
      lineStart = lineEnd + 1;
    }
    return lineStart;
  }

  parseLastLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): void {
    if (start < end || this.#inLongLine) this.#takeLine(bytes, start, end, batch);
  }

  #takeLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): void {
    this.linesRead++;
    const isTooLong = this.#inLongLine || end - start > LOG_LINE_BYTES_MAX;
    this.#inLongLine = false;
    if (!isTooLong && this.#parseLine(bytes, start, end, batch) !== 'broken') return;
    this.linesBroken++;
    this.brokenExample ??= exampleOf(bytes, start, end);
    if (this.firstBrokenLines.length < LOG_BROKEN_LINES_KEPT) this.firstBrokenLines.push(this.linesRead);
  }

  #parseLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): LineResult {
    this.#split(bytes, start, end);
    if (this.#words === 0) return 'other';
    const timeUs = this.#timeUs(0);
    if (timeUs < 0) return this.#parseHeader(Buffer.from(bytes.subarray(start, end)).toString().trim());

    this.#lineUs = this.#isRelative ? this.#lineUs + timeUs : timeUs;
    if (this.#startUs + this.#lineUs > TIMESTAMP_US_MAX) return 'broken';
    if (this.#isWord(1, 'canfd')) return this.#parseFd(batch);
    // Any other word in the channel's place begins another event: `Start of measurement`, `CAN 1 Status:...`
    if (this.#number(1, 10) < 0) return 'other';
    return this.#parseClassic(batch);
  }

  #split(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#words = 0;
    let at = start;
    while (at < end && this.#words < WORDS_MAX) {
      while (at < end && isBlank(bytes[at]!)) at++;
      if (at === end) return;
      this.#wordStarts[this.#words] = at;
      while (at < end && !isBlank(bytes[at]!)) at++;
      this.#wordEnds[this.#words++] = at;
    }
  }

  /** Lines that don't begin with a time. */
  #parseHeader(line: string): LineResult {
    if (line.startsWith('//')) return 'other';
    const [, dateText] = /^(?:date|begin\s+triggerblock)\s+\S+\s+(.*)$/i.exec(line) ?? [];
    if (dateText !== undefined) {
      const startUs = dateUs(dateText);
      if (startUs === null) return 'broken';
      this.#startUs = startUs;
      return 'other';
    }
    const [, base, timestamps] =
      /^base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?$/i.exec(line) ?? [];
    if (base !== undefined) {
      this.#base = base.toLowerCase() === 'dec' ? 10 : 16;
      this.#isRelative = timestamps?.toLowerCase() === 'relative';
      return 'other';
    }
    return /^((no\s+)?internal\s+events\s+logged|begin\s+triggerblock|end\s+triggerblock)$/i.test(line)
      ? 'other'
      : 'broken';
  }

  /** `1 123 Rx d 4 DE AD BE EF`, `1 123x Tx r 8`, `1 ErrorFrame` */
  #parseClassic(batch: FrameBatch): LineResult {
    if (this.#isWord(2, 'errorframe')) return this.#appendError(batch);
    if (this.#isWord(2, 'statistic:')) return 'other';
    // The wish to send, which Tx follows when the frame was on the bus.
    if (this.#isWord(3, 'txrq')) return 'other';
    if (!this.#isWord(3, 'rx') && !this.#isWord(3, 'tx')) return 'broken';
    if (this.#isWord(4, 'r')) {
      const asked = this.#number(5, this.#base);
      return this.#append(
        batch,
        2,
        FRAME_FLAG.REMOTE,
        0,
        Math.min(Math.max(asked, 0), CLASSIC_PAYLOAD_BYTES_MAX),
      );
    }
    const dlc = this.#number(5, this.#base);
    if (!this.#isWord(4, 'd') || dlc < 0 || dlc > 15) return 'broken';
    // A DLC of 9 to 15 stands for 8 bytes in classic CAN.
    return this.#append(batch, 2, 0, 6, Math.min(dlc, CLASSIC_PAYLOAD_BYTES_MAX));
  }

  /** `CANFD 1 Rx 123 Name 1 0 9 12 00 11 ... duration length flags` */
  #parseFd(batch: FrameBatch): LineResult {
    if (this.#number(2, 10) < 0) return 'broken';
    if (this.#isWord(4, 'errorframe')) return this.#appendError(batch);
    if (this.#isWord(3, 'txrq')) return 'other';
    if (!this.#isWord(3, 'rx') && !this.#isWord(3, 'tx')) return 'broken';
    const hasName = !this.#isWord(5, '0') && !this.#isWord(5, '1');
    const at = hasName ? 6 : 5;
    const [brs, esi] = [this.#number(at, 10), this.#number(at + 1, 10)];
    const [dlc, bytes] = [this.#number(at + 2, 16), this.#number(at + 3, 10)];
    if (brs < 0 || brs > 1 || esi < 0 || esi > 1 || dlc < 0 || dlc > 15) return 'broken';
    if (bytes < 0 || !isFdPayloadBytes(bytes)) return 'broken';
    const data = at + 4;
    // Without them it is what the line says it is: CAN FD.
    const said = this.#number(data + bytes + 2, 16);
    const isRemote = said >= 0 ? (said & FD_FLAG_REMOTE) !== 0 : bytes === 0 && dlc > 0;
    if (isRemote)
      return this.#append(batch, 4, FRAME_FLAG.REMOTE, 0, Math.min(dlc, CLASSIC_PAYLOAD_BYTES_MAX));
    const isFd = said < 0 || (said & FD_FLAG_FD) !== 0;
    if (!isFd && bytes > CLASSIC_PAYLOAD_BYTES_MAX) return 'broken';
    const flags = isFd
      ? FRAME_FLAG.FD | (brs === 1 ? FRAME_FLAG.BRS : 0) | (esi === 1 ? FRAME_FLAG.ESI : 0)
      : 0;
    return this.#append(batch, 4, flags, data, bytes);
  }

  /** Appends a frame whose id is the word at `id` and whose payload, unless it is a remote frame, begins at `data`. */
  #append(batch: FrameBatch, id: number, flags: number, data: number, payloadBytes: number): LineResult {
    const end = this.#wordEnds[id]!;
    if (id >= this.#words) return 'broken';
    const isExtended = (this.#bytes[end - 1]! | LOWER) === LETTER_X;
    const canId = this.#numberBetween(this.#wordStarts[id]!, isExtended ? end - 1 : end, this.#base);
    if (canId < 0 || canId > (isExtended ? EXTENDED_CAN_ID_MAX : STANDARD_CAN_ID_MAX)) return 'broken';
    const stored = (flags & FRAME_FLAG.REMOTE) !== 0 ? 0 : payloadBytes;
    for (let index = 0; index < stored; index++) {
      const byte = this.#number(data + index, this.#base);
      if (byte < 0 || byte > 0xff) return 'broken';
      this.#data[index] = byte;
    }
    return this.#push(batch, canId, flags | (isExtended ? FRAME_FLAG.EXTENDED : 0), stored, payloadBytes);
  }

  #appendError(batch: FrameBatch): LineResult {
    this.#data.fill(0, 0, ERROR_PAYLOAD_BYTES);
    return this.#push(batch, ERROR_CLASS_BUS, FRAME_FLAG.ERROR, ERROR_PAYLOAD_BYTES, ERROR_PAYLOAD_BYTES);
  }

  #push(batch: FrameBatch, canId: number, flags: number, stored: number, payloadBytes: number): LineResult {
    const isLong = stored > CLASSIC_PAYLOAD_BYTES_MAX;
    const to = isLong ? batch.longPayload : batch.payload;
    const from = isLong ? batch.takeLongPlace() : batch.count * CLASSIC_PAYLOAD_BYTES_MAX;
    for (let index = 0; index < stored; index++) to[from + index] = this.#data[index]!;
    const at = batch.count;
    batch.timestampUs[at] = this.#startUs + this.#lineUs;
    batch.canId[at] = canId;
    batch.flags[at] = flags;
    batch.payloadBytes[at] = payloadBytes;
    batch.count = at + 1;
    return 'frame';
  }

  /** Whether a word is this one, of small letters and digits, in whatever case. */
  #isWord(word: number, text: string): boolean {
    if (word >= this.#words) return false;
    const start = this.#wordStarts[word]!;
    if (this.#wordEnds[word]! - start !== text.length) return false;
    for (let index = 0; index < text.length; index++) {
      const byte = this.#bytes[start + index]!;
      const isLetter = byte >= 0x41 && byte <= 0x5a;
      if ((isLetter ? byte | LOWER : byte) !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** The number that a word is, or -1. */
  #number(word: number, base: 10 | 16): number {
    return word < this.#words
      ? this.#numberBetween(this.#wordStarts[word]!, this.#wordEnds[word]!, base)
      : -1;
  }

  #numberBetween(start: number, end: number, base: 10 | 16): number {
    // As many as the largest id has in either base.
    if (end <= start || end - start > 9) return -1;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = digitOf(this.#bytes[at]!);
      if (digit >= base) return -1;
      value = value * base + digit;
    }
    return value;
  }

  /** Microseconds of a word like `12.345678`, or -1; what is finer is cut off. */
  #timeUs(word: number): number {
    const end = this.#wordEnds[word]!;
    let at = this.#wordStarts[word]!;
    let us = 0;
    const secondsStart = at;
    for (; at < end && isDigit(this.#bytes[at]!); at++) us = us * 10 + this.#bytes[at]! - DIGIT_0;
    if (at === secondsStart || at - secondsStart > SECOND_DIGITS_MAX || this.#bytes[at] !== DOT) return -1;
    const fractionStart = ++at;
    for (; at < end && isDigit(this.#bytes[at]!); at++) {
      if (at - fractionStart < 6) us = us * 10 + this.#bytes[at]! - DIGIT_0;
    }
    if (at === fractionStart || at !== end) return -1;
    for (let digits = at - fractionStart; digits < 6; digits++) us *= 10;
    return us;
  }
}

/** Without the day of the week: `Jan 1 12:00:00.123 am 2026`, or by 24 hours; null where it is no date. */
function dateUs(text: string): number | null {
  const parts = /^(\S+)\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?\s*(am|pm)?\s+(\d{4})$/i.exec(
    text.trim(),
  );
  if (parts === null) return null;
  const [, monthName, day, hourText, minute, second, fraction = '', half, year] = parts;
  const month = MONTHS[monthName!.slice(0, 3).toLowerCase()];
  const hour =
    half === undefined ? Number(hourText) : (Number(hourText) % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  if (month === undefined || hour > 23) return null;
  const ms = new Date(Number(year), month, Number(day), hour, Number(minute), Number(second)).getTime();
  const us = ms * 1000 + Number(fraction.padEnd(6, '0'));
  return us >= 0 && us <= TIMESTAMP_US_MAX ? us : null;
}

function isBlank(byte: number): boolean {
  // Carriage returns are at the end alone.
  return byte === SPACE || byte === TAB || byte === 13;
}

function isDigit(byte: number): boolean {
  return byte >= DIGIT_0 && byte <= DIGIT_0 + 9;
}

function digitOf(byte: number): number {
  if (isDigit(byte)) return byte - DIGIT_0;
  const letter = (byte | LOWER) - 0x61;
  return letter >= 0 && letter < 6 ? 10 + letter : 16;
}
