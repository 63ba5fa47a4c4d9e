import { SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPING, SOL_SOCKET } from './linux.ts';

// In words of 4 bytes, on 64-bit Linux.
const HEADER_WORDS = 16 / 4; // struct cmsghdr: length (8 bytes, header included), level, type
/** struct scm_timestamping: three struct timespec, of software, unused, and of the controller's raw clock. */
const RAW_HARDWARE_WORD = 32 / 4;

const TWO_TO_32 = 2 ** 32;

/**
 * Reads what the kernel says of a frame beside it (cmsg(3); Linux: Documentation/networking/timestamping.rst): when it
 * came (SO_TIMESTAMP), when by the controller's own clock (SO_TIMESTAMPING), and how many frames were dropped
 * (SO_RXQ_OVFL). Message types that aren't asked for are passed over.
 */
export class ControlMessages {
  /** Of the frame read last, by the system's clock: whole microseconds since the epoch; 0 where it isn't said. */
  softwareUs = 0;
  /** The same by the controller's clock, which has an epoch of its own; with fractions; 0 where it has none. */
  hardwareUs = 0;
  /** Frames that this socket's full buffer had cost when the last frame received was queued; modulo 2^32. */
  drops = 0;

  /** Reads the control messages in words [start, end). */
  read(words: Uint32Array, start: number, end: number): void {
    this.softwareUs = 0;
    this.hardwareUs = 0;
    let at = start;
    while (at + HEADER_WORDS <= end) {
      const lengthBytes = words[at]!;
      // One that is longer than what is there was cut off. The kernel writes none; a length near 2^32 would wrap below.
      if (lengthBytes < HEADER_WORDS * 4 || lengthBytes > (end - at) * 4) break;
      const data = at + HEADER_WORDS;
      if (words[at + 2] === SOL_SOCKET) {
        const type = words[at + 3];
        if (type === SO_TIMESTAMP) {
          this.softwareUs = secondsAt(words, data) * 1_000_000 + words[data + 2]!;
        } else if (type === SO_RXQ_OVFL) {
          this.drops = words[data]!;
        } else if (type === SO_TIMESTAMPING) {
          const raw = data + RAW_HARDWARE_WORD;
          if (raw + 4 <= end) this.hardwareUs = secondsAt(words, raw) * 1_000_000 + words[raw + 2]! / 1000;
        }
      }
      // Control messages start at multiples of 8 bytes.
      at += ((lengthBytes + 7) >>> 3) * 2;
    }
  }
}

function secondsAt(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * TWO_TO_32;
}
