/** Bytes of UTF-8 that one UTF-16 unit makes at most. */
const BYTES_PER_UNIT_MAX = 3;

/** What appendSeconds writes at most: 13 digits of seconds that a double counts in milliseconds, a point, and three more. */
const SECONDS_BYTES_MAX = 32;

const POINT = 0x2e;
const DIGIT_0 = 0x30;

/**
 * Text in UTF-8 that is written piece by piece. Where pieces are many it takes a third of the time of one long string
 * that is encoded at the end.
 */
export class TextBuffer {
  #bytes: Buffer;
  #count = 0;

  /** With room for so many bytes; it grows. */
  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  /** What was written; the buffer is not to be used any more. */
  get text(): Buffer {
    return this.#bytes.subarray(0, this.#count);
  }

  append(text: string): void {
    this.#makeRoom(text.length * BYTES_PER_UNIT_MAX);
    this.#count += this.#bytes.write(text, this.#count);
  }

  /** One character, by its code. */
  appendAscii(code: number): void {
    this.#makeRoom(1);
    this.#bytes[this.#count++] = code;
  }

  /** Whole milliseconds, 0 or more, as a number of seconds with three decimals. */
  appendSeconds(ms: number): void {
    this.#makeRoom(SECONDS_BYTES_MAX);
    const seconds = Math.floor(ms / 1000);
    if (seconds < 10) this.#bytes[this.#count++] = DIGIT_0 + seconds;
    else this.#count += this.#bytes.write(String(seconds), this.#count);
    const thousandths = ms - seconds * 1000;
    this.#bytes[this.#count++] = POINT;
    this.#bytes[this.#count++] = DIGIT_0 + Math.floor(thousandths / 100);
    this.#bytes[this.#count++] = DIGIT_0 + (Math.floor(thousandths / 10) % 10);
    this.#bytes[this.#count++] = DIGIT_0 + (thousandths % 10);
  }

  #makeRoom(bytes: number): void {
    const needed = this.#count + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.text);
    this.#bytes = larger;
  }
}
