import { readSync } from 'node:fs';
import { BusError } from '../../shared/errors.ts';
import {
  FRAME_GATHER_MS,
  INTERFACE_CHECK_MS,
  SEND_RETRY_MS,
  SOCKET_RECEIVE_BUFFER_BYTES,
} from '../../shared/limits.ts';
import type { BusDriver, ReadOutcome, SendOutcome } from '../bus-driver.ts';
import type { SocketCanUrl } from '../bus-url.ts';
import { canFilterWords } from '../can-filter.ts';
import { type CanFrame, FRAME_FLAG, fdByteOfFlags, idWordOf } from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { type InterfaceState, interfaceProblem, interfaceState } from './can-interfaces.ts';
import { InterfaceDrops } from './interface-drops.ts';
import { LinkSetup } from './link-setup.ts';
import { LinkWatch } from './link-watch.ts';
import {
  AF_CAN,
  CAN_ERR_MASK,
  CAN_RAW,
  CAN_RAW_ERR_FILTER,
  CAN_RAW_FD_FRAMES,
  CAN_RAW_FILTER,
  CAN_RAW_JOIN_FILTERS,
  CAN_RAW_RECV_OWN_MSGS,
  createEventFd,
  EAGAIN,
  EINVAL,
  ENETDOWN,
  ENOBUFS,
  ENODEV,
  ENXIO,
  errnoName,
  interfaceNameOf,
  isInterfaceUp,
  type LinuxCalls,
  lastErrno,
  linuxCalls,
  POLLIN,
  SK_MEMINFO_DROPS,
  SK_MEMINFO_WORDS,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RXQ_OVFL,
  SO_TIMESTAMP,
  SO_TIMESTAMPING,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOF_TIMESTAMPING_RAW_HARDWARE,
  SOF_TIMESTAMPING_RX_HARDWARE,
  SOL_CAN_RAW,
  SOL_SOCKET,
} from './linux.ts';
import { SocketCanReceiver } from './socketcan-receiver.ts';

const CLASSIC_FRAME_BYTES = 16; // struct can_frame
const FD_FRAME_BYTES = 72; // struct canfd_frame
const ADDRESS_BYTES = 24; // struct sockaddr_can

/**
 * A Linux CAN interface (can0, vcan0 ...) through a CAN_RAW socket.
 *
 * Reading: one poll call waits for the first frame after a silence and gives it at once. While frames
 * come, the worker sleeps FRAME_GATHER_MS between reads and then takes all that gathered with one system
 * call: a system call costs more than decoding a hundred frames.
 *
 * Own frames come back marked (FRAME_FLAG.OWN), once the controller has them on the bus, with the time of that: so
 * what is recorded is what was on the bus, whoever sent it.
 */
export class SocketCanDriver implements BusDriver {
  readonly #options: SocketCanUrl;
  readonly #link: LinkSetup;
  readonly #linux: LinuxCalls;
  readonly #receiver: SocketCanReceiver;
  /** Becomes readable when the main thread wants the worker's attention. */
  readonly wakeFd: number;
  readonly #watch: LinkWatch;
  /** Three `struct pollfd`, 8 bytes each: fd, events, what happened. The socket's, wakeFd's and the watch's. */
  readonly #pollFds = new Int32Array(6);
  readonly #pollEvents = new Int16Array(this.#pollFds.buffer);
  /** Without the first entry. */
  readonly #wakePollFds = this.#pollFds.subarray(2);
  readonly #wakeCount = new Uint8Array(8);
  #fd = -1;
  /** The number of the interface that is read, or was last; it keeps it under any name. 0 before the first. */
  #index = 0;
  /** Epoch milliseconds when it was lost; null while it isn't. */
  #lostAtMs: number | null = null;
  /** By performance.now(): when it was looked at last. */
  #checkedAtMs = 0;
  /** The kernel has told of a change of some interface since. */
  #isLinkNews = false;
  /** What is odd about the interface although it is read. */
  #nameWarning: string | null = null;
  #receiveBufferBytes = 0;
  /** Drops of sockets closed since; the kernel counts per socket. */
  #earlierDrops = 0;
  readonly #interfaceDrops: InterfaceDrops;
  #gather = false;
  /** The last frame to send found no room. */
  #isSendBusy = false;
  #sendsBusy = 0;
  /** The errno that ended this socket, once it is known; the frames it still holds are read first. */
  #lostErrno = 0;

  constructor(options: SocketCanUrl) {
    this.#options = options;
    this.#link = new LinkSetup(options);
    this.#interfaceDrops = new InterfaceDrops(options.interfaceName);
    this.#linux = linuxCalls();
    this.#receiver = new SocketCanReceiver(this.#linux);
    this.wakeFd = createEventFd(this.#linux);
    this.#pollFds[2] = this.wakeFd;
    this.#watch = new LinkWatch(this.#linux);
    this.#pollFds[4] = this.#watch.fd;
    for (const entry of [0, 1, 2]) this.#pollEvents[entry * 4 + 2] = POLLIN;
  }

  get watchFd(): number {
    return this.#watch.fd;
  }

  get socketFd(): number {
    return this.#fd;
  }

  open(): void {
    const { interfaceName } = this.#options;
    try {
      this.#link.bringUp();
    } catch (error) {
      // What its own commands have changed is no news.
      this.#watch.clear();
      throw error;
    }
    const state = interfaceState(interfaceName);
    if (state !== 'up') throw this.#unreadable(state);
    const linux = this.#linux;
    this.#fd = linux.socket(AF_CAN, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, CAN_RAW);
    if (this.#fd < 0) {
      throw new BusError(
        'BUS_UNAVAILABLE',
        `The kernel gives no CAN socket (${errnoName(lastErrno())}). Load its modules with: sudo modprobe can_raw`,
      );
    }
    try {
      this.#configure();
      const index = linux.ifNameToIndex(interfaceName);
      // Index 0 would bind to every CAN interface there is.
      if (index === 0) throw this.#unreadable('missing');
      const address = new Uint8Array(ADDRESS_BYTES);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_CAN, true);
      view.setInt32(4, index, true);
      this.#check(
        linux.bind(this.#fd, address, ADDRESS_BYTES),
        `bind to ${interfaceName}`,
        'BUS_UNAVAILABLE',
      );
      this.#takeIndex(index);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#pollFds[0] = this.#fd;
    this.#interfaceDrops.begin();
    this.#link.check();
  }

  #takeIndex(index: number): void {
    const { interfaceName } = this.#options;
    const before =
      this.#index === 0 || this.#index === index ? null : interfaceNameOf(this.#linux, this.#fd, this.#index);
    this.#nameWarning =
      before === null
        ? null
        : `${interfaceName} is another interface now: the one that was called so is called ${before}. A bus is read by the name ` +
          'in its URL; a udev rule that names adapters by their serial numbers keeps them apart.';
    this.#index = index;
    this.#lostAtMs = null;
    this.#isLinkNews = false;
    this.#checkedAtMs = performance.now();
  }

  /** Why an interface can't be read, with what has become of it if it could be before. */
  #unreadable(state: Exclude<InterfaceState, 'up'>): BusError {
    let lost = null;
    if (this.#index !== 0) {
      this.#lostAtMs ??= Date.now();
      // Any socket will do, should there be none of CAN.
      const fd = this.#fd >= 0 ? this.#fd : this.#watch.fd;
      lost = { sinceMs: this.#lostAtMs, nameNow: interfaceNameOf(this.#linux, fd, this.#index) };
    }
    const { code, message } = interfaceProblem(this.#options, state, lost);
    return new BusError(code, message);
  }

  get isBusOff(): boolean {
    return this.#link.isBusOff;
  }

  restart(): void {
    this.#link.restart();
  }

  waitForChange(timeoutMs: number): boolean {
    this.#poll(this.#wakePollFds, Math.ceil(timeoutMs));
    const wasNews = this.#isLinkNews;
    this.#isLinkNews = false;
    return wasNews;
  }

  #configure(): void {
    const on = new Int32Array([1]);
    this.#setOption(SOL_SOCKET, SO_TIMESTAMP, on, 'SO_TIMESTAMP');
    // A control message more, and only with frames that a controller has stamped.
    const stamps = new Int32Array([SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE]);
    this.#setOption(SOL_SOCKET, SO_TIMESTAMPING, stamps, 'SO_TIMESTAMPING');
    this.#setOption(SOL_SOCKET, SO_RXQ_OVFL, on, 'SO_RXQ_OVFL');
    this.#setOption(SOL_CAN_RAW, CAN_RAW_ERR_FILTER, new Int32Array([CAN_ERR_MASK]), 'CAN_RAW_ERR_FILTER');
    this.#setOption(SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, on, 'CAN_RAW_RECV_OWN_MSGS');
    const { filters } = this.#options;
    if (filters !== undefined) {
      if (filters.isJoined) this.#setOption(SOL_CAN_RAW, CAN_RAW_JOIN_FILTERS, on, 'CAN_RAW_JOIN_FILTERS');
      this.#setOption(SOL_CAN_RAW, CAN_RAW_FILTER, canFilterWords(filters), 'CAN_RAW_FILTER');
    }
    if (this.#options.fd !== 'off') this.#setOption(SOL_CAN_RAW, CAN_RAW_FD_FRAMES, on, 'CAN_RAW_FD_FRAMES');
    const wanted = new Int32Array([SOCKET_RECEIVE_BUFFER_BYTES]);
    // Beyond net.core.rmem_max it needs CAP_NET_ADMIN; without the right, as much as is allowed.
    if (this.#linux.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted, 4) < 0) {
      this.#setOption(SOL_SOCKET, SO_RCVBUF, wanted, 'SO_RCVBUF');
    }
    const got = new Uint32Array(1);
    this.#linux.getsockopt(this.#fd, SOL_SOCKET, SO_RCVBUF, got, new Uint32Array([4]));
    this.#receiveBufferBytes = got[0]!;
  }

  read(batch: FrameBatch): ReadOutcome {
    // Only the main thread's wake-up and news of interfaces end this wait early; frames gather meanwhile.
    const isWoken =
      this.#gather && this.#poll(this.#wakePollFds, this.#isSendBusy ? SEND_RETRY_MS : FRAME_GATHER_MS);
    this.#checkInterface();
    let got = this.#receive(batch);
    // A wake-up comes once: to wait again would leave the message behind it lying until the next frame.
    if (got === 0 && !isWoken) {
      if (this.#lostErrno !== 0) throw this.#lost();
      this.#poll(this.#pollFds, this.#isSendBusy ? SEND_RETRY_MS : INTERFACE_CHECK_MS);
      got = this.#receive(batch);
    }
    this.#gather = got > 0;
    return 'more';
  }

  /**
   * Looks whether the interface is still up and called as the URL says. The socket is bound to its number: it would
   * go on reading one that has another name, and tells of a loss but once, be it to a send that fails.
   */
  #checkInterface(): void {
    const nowMs = performance.now();
    if (!this.#isLinkNews && nowMs - this.#checkedAtMs < INTERFACE_CHECK_MS) return;
    this.#isLinkNews = false;
    this.#checkedAtMs = nowMs;
    if (this.#lostErrno !== 0) return;
    const { interfaceName } = this.#options;
    if (interfaceNameOf(this.#linux, this.#fd, this.#index) !== interfaceName) {
      this.#lostErrno = ENODEV;
      this.#hearNoMore();
    } else if (!isInterfaceUp(this.#linux, this.#fd, interfaceName)) {
      this.#lostErrno = ENETDOWN;
    }
  }

  /** What the socket holds came before and is still read; what comes from now on isn't this bus's. */
  #hearNoMore(): void {
    const none = new Int32Array(0);
    this.#linux.setsockopt(this.#fd, SOL_CAN_RAW, CAN_RAW_FILTER, none, 0);
    this.#linux.setsockopt(this.#fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, new Int32Array(1), 4);
  }

  /** Takes what there is; returns how many frames came. */
  #receive(batch: FrameBatch): number {
    const before = batch.count;
    const errno = this.#receiver.receive(this.#fd, batch);
    if (errno !== 0) {
      // The kernel tells of a lost interface once, ahead of the frames that came before it was lost.
      this.#lostErrno = errno;
      this.#receiver.receive(this.#fd, batch);
    }
    return batch.count - before;
  }

  #lost(): BusError {
    const { interfaceName } = this.#options;
    this.#lostAtMs = Date.now();
    const state = interfaceState(interfaceName);
    if (state !== 'up') return this.#unreadable(state);
    return new BusError('BUS_LOST', `Reading ${interfaceName} failed: ${errnoName(this.#lostErrno)}.`);
  }

  /** Waits; whether the main thread's wake-up ended it. */
  #poll(fds: Int32Array, timeoutMs: number): boolean {
    this.#pollEvents[7] = 0;
    this.#pollEvents[11] = 0;
    this.#linux.poll(fds, fds.length / 2, timeoutMs);
    if (this.#pollEvents[11] !== 0) {
      this.#watch.clear();
      this.#isLinkNews = true;
    }
    const isWoken = (this.#pollEvents[7]! & POLLIN) !== 0;
    if (isWoken) readSync(this.wakeFd, this.#wakeCount);
    return isWoken;
  }

  /**
   * Frames that the kernel dropped for want of room in this socket's buffer. The count that comes with a
   * frame (SO_RXQ_OVFL) is as old as the frame: of the end of a burst, or while the worker may not read,
   * only the socket itself (SO_MEMINFO) tells.
   */
  #kernelDrops(): number {
    if (this.#fd < 0) return 0;
    const words = new Uint32Array(SK_MEMINFO_WORDS);
    const lengthBytes = new Uint32Array([words.byteLength]);
    const isTold = this.#linux.getsockopt(this.#fd, SOL_SOCKET, SO_MEMINFO, words, lengthBytes) === 0;
    return isTold ? words[SK_MEMINFO_DROPS]! : this.#receiver.drops;
  }

  /**
   * The interface's queue is full (ENOBUFS) where frames come faster than the bus takes them, or it takes none. poll(2)
   * has nothing to say of it: POLLOUT tells of the socket's own buffer (EAGAIN), which is far larger.
   */
  send(frame: CanFrame): SendOutcome {
    const data = frameBytes(frame);
    const sent = this.#linux.write(this.#fd, data, data.length);
    const errno = sent < 0 ? lastErrno() : 0;
    const wasBusy = this.#isSendBusy;
    this.#isSendBusy = errno === ENOBUFS || errno === EAGAIN;
    if (this.#isSendBusy) {
      if (!wasBusy) this.#sendsBusy++;
      return 'busy';
    }
    // The kernel tells a socket of its loss but once: reading wouldn't hear of it any more.
    if (errno === ENETDOWN || errno === ENODEV || errno === ENXIO) this.#lostErrno = errno;
    const { interfaceName } = this.#options;
    if (frame.isFd === true && errno === EINVAL) {
      throw new BusError(
        'BUS_SEND_FAILED',
        `${interfaceName} takes no CAN FD frames: it is set for classic CAN (MTU 16), or the bus's URL says fd=off.`,
      );
    }
    if (errno !== 0) {
      throw new BusError('BUS_SEND_FAILED', `sending on ${interfaceName} failed: ${errnoName(errno)}`);
    }
    return 'sent';
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#earlierDrops += this.#kernelDrops();
    this.#interfaceDrops.end();
    this.#linux.close(this.#fd);
    this.#receiver.reset();
    this.#fd = -1;
    this.#gather = false;
    this.#isSendBusy = false;
    this.#lostErrno = 0;
  }

  dispose(): void {
    this.#receiver.free();
  }

  status(): Record<string, number | string | boolean | null> {
    return {
      interface: this.#options.interfaceName,
      kernel_drops: this.#earlierDrops + this.#kernelDrops(),
      interface_drops: this.#interfaceDrops.count(),
      receive_buffer_bytes: this.#receiveBufferBytes,
      timestamp_source: this.#receiver.hasHardwareClock ? 'hardware' : 'kernel',
      sends_delayed: this.#sendsBusy,
      ...this.#link.status(),
      ...(this.#nameWarning !== null && { warning: this.#nameWarning }),
    };
  }

  #setOption(level: number, name: number, value: Int32Array, what: string): void {
    this.#check(
      this.#linux.setsockopt(this.#fd, level, name, value, value.byteLength),
      `setsockopt ${what}`,
      'BUS_UNAVAILABLE',
    );
  }

  #check(result: number, what: string, code: string): void {
    if (result < 0) throw new BusError(code, `${what} failed: ${errnoName(lastErrno())}`);
  }
}

/** A frame as the kernel takes it: struct can_frame or struct canfd_frame (linux/can.h). */
function frameBytes({ canId, isExtended, payload, isFd, isBitrateSwitched, isRemote }: CanFrame): Uint8Array {
  const flags =
    (isExtended ? FRAME_FLAG.EXTENDED : 0) |
    (isRemote === true ? FRAME_FLAG.REMOTE : 0) |
    (isBitrateSwitched === true ? FRAME_FLAG.BRS : 0);
  const data = new Uint8Array(isFd === true ? FD_FRAME_BYTES : CLASSIC_FRAME_BYTES);
  new DataView(data.buffer).setUint32(0, idWordOf(canId, flags), true);
  data[4] = payload.length;
  if (isFd === true) data[5] = fdByteOfFlags(flags);
  data.set(payload, 8);
  return data;
}
