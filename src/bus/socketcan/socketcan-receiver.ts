import { FRAMES_PER_SYSTEM_CALL_MAX } from '../../shared/limits.ts';
import {
  CLASSIC_PAYLOAD_BYTES_MAX,
  canIdOfIdWord,
  FD_PAYLOAD_BYTES_MAX,
  FRAME_FLAG,
  flagsOfFdByte,
  flagsOfIdWord,
} from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { ControlMessages } from './control-messages.ts';
import { HardwareClock } from './hardware-clock.ts';
import {
  allocateStable,
  EAGAIN,
  EINTR,
  type LinuxCalls,
  lastErrno,
  MSG_CONFIRM,
  MSG_DONTWAIT,
} from './linux.ts';

// The layouts of recvmmsg's arguments on 64-bit Linux, in bytes (and words of 4 bytes where it says so).
const MESSAGE_BYTES = 64; // struct mmsghdr: struct msghdr of 56, then the received length
const IOVEC_BYTES = 16;
const FRAME_BYTES = 72; // struct canfd_frame: id, length, flags, 2 bytes of padding, 64 bytes of data
const CLASSIC_FRAME_BYTES = 16; // struct can_frame: the same with 8 bytes of data
const CONTROL_BYTES = 128; // room for a timestamp (32), the controller's (64) and a drop count (24)
const MESSAGE_WORDS = MESSAGE_BYTES / 4;
const FRAME_WORDS = FRAME_BYTES / 4;
const CONTROL_WORDS = CONTROL_BYTES / 4;
const CONTROL_LENGTH_WORD = 40 / 4; // msg_controllen
const MESSAGE_FLAGS_WORD = 48 / 4; // msg_flags
const RECEIVED_LENGTH_WORD = 56 / 4; // msg_len of struct mmsghdr

/**
 * Takes frames from a SocketCAN socket, as many as one recvmmsg call gives, and puts them into a frame
 * batch: id and flags split, the timestamp and the kernel's count of dropped frames from the control messages.
 *
 * Its memory is allocated once and outlives the socket, so that a bus may come and go for ever; free() ends it.
 */
export class SocketCanReceiver {
  readonly #linux: LinuxCalls;
  readonly #messages: bigint;
  readonly #messageWords: Uint32Array;
  readonly #frameWords: Uint32Array;
  readonly #frameBytes: Uint8Array;
  readonly #controlWords: Uint32Array;
  #control = new ControlMessages();
  /** Once the controller has stamped a frame. */
  #hardwareClock: HardwareClock | null = null;

  constructor(linux: LinuxCalls) {
    this.#linux = linux;
    const count = FRAMES_PER_SYSTEM_CALL_MAX;
    const iovecsAt = count * MESSAGE_BYTES;
    const framesAt = iovecsAt + count * IOVEC_BYTES;
    const controlAt = framesAt + count * FRAME_BYTES;
    const { address, buffer } = allocateStable(linux, controlAt + count * CONTROL_BYTES);
    this.#messages = address;
    this.#messageWords = new Uint32Array(buffer, 0, iovecsAt / 4);
    this.#frameWords = new Uint32Array(buffer, framesAt, count * FRAME_WORDS);
    this.#frameBytes = new Uint8Array(buffer, framesAt, count * FRAME_BYTES);
    this.#controlWords = new Uint32Array(buffer, controlAt, count * CONTROL_WORDS);

    const layout = new DataView(buffer);
    for (let index = 0; index < count; index++) {
      const message = index * MESSAGE_BYTES;
      const iovec = iovecsAt + index * IOVEC_BYTES;
      layout.setBigUint64(message + 16, address + BigInt(iovec), true);
      layout.setBigUint64(message + 24, 1n, true);
      layout.setBigUint64(message + 32, address + BigInt(controlAt + index * CONTROL_BYTES), true);
      layout.setBigUint64(iovec, address + BigInt(framesAt + index * FRAME_BYTES), true);
      layout.setBigUint64(iovec + 8, BigInt(FRAME_BYTES), true);
    }
  }

  /** Frees its memory; nothing may follow. */
  free(): void {
    this.#linux.free(this.#messages);
  }

  /** What follows comes from another socket. */
  reset(): void {
    this.#control = new ControlMessages();
    this.#hardwareClock = null;
  }

  /** Frames that this socket's full buffer had cost when the last frame received was queued; modulo 2^32. */
  get drops(): number {
    return this.#control.drops;
  }

  /** Whether the controller stamps frames. */
  get hasHardwareClock(): boolean {
    return this.#hardwareClock !== null;
  }

  /**
   * Moves what the kernel has into the batch until either is exhausted, without waiting.
   * Returns 0 or the errno that ended it.
   */
  receive(fd: number, batch: FrameBatch): number {
    for (;;) {
      // Any of them may have a long payload.
      const room = Math.min(FRAMES_PER_SYSTEM_CALL_MAX, batch.capacity - batch.count, batch.longRoom);
      if (room === 0) return 0;
      for (let index = 0; index < room; index++) {
        // The kernel wrote how much of the control buffer it used; it is to have all of it again.
        this.#messageWords[index * MESSAGE_WORDS + CONTROL_LENGTH_WORD] = CONTROL_BYTES;
      }
      const received = this.#linux.recvmmsg(fd, this.#messages, room, MSG_DONTWAIT, null);
      if (received < 0) {
        const errno = lastErrno();
        if (errno === EINTR) continue;
        return errno === EAGAIN ? 0 : errno;
      }
      this.#take(received, batch);
      if (received < room) return 0;
    }
  }

  #take(received: number, batch: FrameBatch): void {
    const frameWords = this.#frameWords;
    let at = batch.count;
    for (let index = 0; index < received; index++) {
      const frame = index * FRAME_WORDS;
      const idWord = frameWords[frame]!;
      const isFd = this.#messageWords[index * MESSAGE_WORDS + RECEIVED_LENGTH_WORD]! > CLASSIC_FRAME_BYTES;
      const fdFlags = isFd ? flagsOfFdByte(this.#frameBytes[index * FRAME_BYTES + 5]!) : 0;
      const isOwn = (this.#messageWords[index * MESSAGE_WORDS + MESSAGE_FLAGS_WORD]! & MSG_CONFIRM) !== 0;
      const flags = flagsOfIdWord(idWord) | fdFlags | (isOwn ? FRAME_FLAG.OWN : 0);
      batch.canId[at] = canIdOfIdWord(idWord, flags);
      batch.flags[at] = flags;
      const payloadBytes = this.#frameBytes[index * FRAME_BYTES + 4]!;
      batch.payloadBytes[at] = Math.min(
        payloadBytes,
        isFd ? FD_PAYLOAD_BYTES_MAX : CLASSIC_PAYLOAD_BYTES_MAX,
      );
      const payload = index * FRAME_BYTES + 8;
      if (payloadBytes > CLASSIC_PAYLOAD_BYTES_MAX && isFd) {
        batch.count = at;
        const long = this.#frameBytes.subarray(payload, payload + batch.payloadBytes[at]!);
        batch.longPayload.set(long, batch.takeLongPlace());
      } else {
        for (let byte = 0; byte < CLASSIC_PAYLOAD_BYTES_MAX; byte++) {
          batch.payload[at * CLASSIC_PAYLOAD_BYTES_MAX + byte] = this.#frameBytes[payload + byte]!;
        }
      }
      batch.timestampUs[at] = this.#timestampOf(index);
      at++;
    }
    batch.count = at;
  }

  /** When a message's frame came; reads its drop count along with it. */
  #timestampOf(index: number): number {
    const control = this.#control;
    const start = index * CONTROL_WORDS;
    const bytes = this.#messageWords[index * MESSAGE_WORDS + CONTROL_LENGTH_WORD]!;
    control.read(this.#controlWords, start, start + bytes / 4);
    if (control.hardwareUs === 0) return control.softwareUs;
    this.#hardwareClock ??= new HardwareClock();
    return this.#hardwareClock.toSystemUs(control.hardwareUs, control.softwareUs);
  }
}
