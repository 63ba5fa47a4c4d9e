import koffi from 'koffi';
import { BusError } from '../../shared/errors.ts';

/**
 * The few Linux system calls that SocketCAN needs, through koffi, and the constants that go with them
 * (from the kernel's include/uapi/linux: can.h, can/raw.h, can/error.h, socket.h, and
 * asm-generic/socket.h). The layouts are those of 64-bit little-endian Linux: x86-64 and arm64.
 */

export const AF_CAN = 29;
const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const CAN_RAW = 1;

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_TIMESTAMP = 29;
export const SO_RCVBUFFORCE = 33;
export const SO_TIMESTAMPING = 37;
export const SO_RXQ_OVFL = 40;
export const SO_MEMINFO = 55;
/** Index of the dropped packets in what SO_MEMINFO gives (linux/sock_diag.h, SK_MEMINFO_DROPS). */
export const SK_MEMINFO_DROPS = 8;
export const SK_MEMINFO_WORDS = 9;

/** Of SO_TIMESTAMPING (linux/net_tstamp.h): frames are stamped by the controller, and the stamp is told as it is. */
export const SOF_TIMESTAMPING_RX_HARDWARE = 1 << 2;
export const SOF_TIMESTAMPING_RAW_HARDWARE = 1 << 6;

export const SOL_CAN_RAW = 101;
export const CAN_RAW_FILTER = 1;
export const CAN_RAW_ERR_FILTER = 2;
export const CAN_RAW_RECV_OWN_MSGS = 4;
export const CAN_RAW_FD_FRAMES = 5;
export const CAN_RAW_JOIN_FILTERS = 6;
/** Every class of error frames. */
export const CAN_ERR_MASK = 0x1fff_ffff;

export const MSG_DONTWAIT = 0x40;
/** With a frame that is received: this very socket has sent it (Linux: Documentation/networking/can.rst). */
export const MSG_CONFIRM = 0x800;

export const POLLIN = 1;

/** Of linux/rtnetlink.h. */
const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;

// Of linux/sockios.h, with the layout of struct ifreq (linux/if.h): a name of 16 bytes, then what is asked for.
const SIOCGIFNAME = 0x8910;
const SIOCGIFFLAGS = 0x8913;
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
/** The interface is up. */
const IFF_UP = 1;

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

const ERRNO_NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** The symbolic name of an errno, such as ENETDOWN. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

/** The errno of this thread's last system call. */
export const lastErrno: () => number = () => koffi.errno();

export const EAGAIN = koffi.os.errno.EAGAIN as number;
export const EINTR = koffi.os.errno.EINTR as number;
export const ENETDOWN = koffi.os.errno.ENETDOWN as number;
export const ENODEV = koffi.os.errno.ENODEV as number;
export const ENXIO = koffi.os.errno.ENXIO as number;
export const EINVAL = koffi.os.errno.EINVAL as number;
export const ENOBUFS = koffi.os.errno.ENOBUFS as number;

export interface LinuxCalls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, addressBytes: number): number;
  setsockopt(fd: number, level: number, name: number, value: Int32Array, valueBytes: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint32Array, valueBytes: Uint32Array): number;
  recvmmsg(fd: number, messages: bigint, messageCount: number, flags: number, timeout: null): number;
  recv(fd: number, data: Uint8Array, dataBytes: number, flags: number): number;
  write(fd: number, data: Uint8Array, dataBytes: number): number;
  poll(fds: Int32Array, fdCount: number, timeoutMs: number): number;
  close(fd: number): number;
  ifNameToIndex(name: string): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  eventfd(initial: number, flags: number): number;
  calloc(count: number, bytes: number): bigint;
  free(address: bigint): void;
}

let calls: LinuxCalls | undefined;

/** libc's functions, bound once per thread. Throws BusError BUS_UNSUPPORTED where there is no SocketCAN. */
export function linuxCalls(): LinuxCalls {
  if (calls !== undefined) return calls;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new BusError(
      'BUS_UNSUPPORTED',
      `socketcan needs 64-bit Linux (x64 or arm64); this is ${process.platform} on ${process.arch}. ` +
        'Replay a log (candump:FILE) or simulate (sim:kart) instead.',
    );
  }
  const libc = koffi.load(null);
  calls = {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
    setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
    getsockopt: libc.func(
      'int getsockopt(int fd, int level, int name, _Inout_ void *value, _Inout_ void *length)',
    ),
    recvmmsg: libc.func('int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)'),
    recv: libc.func('intptr_t recv(int fd, _Out_ void *data, size_t length, int flags)'),
    write: libc.func('intptr_t write(int fd, const void *data, size_t length)'),
    poll: libc.func('int poll(_Inout_ void *fds, unsigned long count, int timeout)'),
    close: libc.func('int close(int fd)'),
    ifNameToIndex: libc.func('unsigned int if_nametoindex(const char *name)'),
    // It is variadic, which makes no difference to how these arguments are passed on x86-64 and arm64 Linux.
    ioctl: libc.func('int ioctl(int fd, unsigned long request, _Inout_ void *argument)'),
    eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
    calloc: libc.func('void *calloc(size_t count, size_t bytes)'),
    free: libc.func('void free(void *address)'),
  } as LinuxCalls;
  return calls;
}

/** A file descriptor that another thread of this process makes readable by writing to it. */
export function createEventFd(linux: LinuxCalls): number {
  const fd = linux.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw new BusError('BUS_UNAVAILABLE', `eventfd failed: ${errnoName(lastErrno())}`);
  return fd;
}

/** A file descriptor that tells of changes of network interfaces; -1 where the kernel, or a sandbox, gives none. */
export function openLinkEvents(linux: LinuxCalls): number {
  const fd = linux.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -1;
  const address = new Uint8Array(12); // struct sockaddr_nl
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, RTMGRP_LINK, true);
  if (linux.bind(fd, address, address.length) === 0) return fd;
  linux.close(fd);
  return -1;
}

/** What the interface of an index is called now, asked through any socket; null where there is none any more. */
export function interfaceNameOf(linux: LinuxCalls, fd: number, index: number): string | null {
  const request = new Uint8Array(IFREQ_BYTES);
  new DataView(request.buffer).setInt32(IFNAMSIZ, index, true);
  if (linux.ioctl(fd, SIOCGIFNAME, request) < 0) return null;
  return Buffer.from(request.subarray(0, request.indexOf(0))).toString();
}

/** Whether an interface is up, asked through any socket. */
export function isInterfaceUp(linux: LinuxCalls, fd: number, name: string): boolean {
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(Buffer.from(name).subarray(0, IFNAMSIZ - 1));
  if (linux.ioctl(fd, SIOCGIFFLAGS, request) < 0) return false;
  return (new DataView(request.buffer).getUint16(IFNAMSIZ, true) & IFF_UP) !== 0;
}

/** A view of memory that never moves, for the kernel to write into; it lives until it is freed. */
export function allocateStable(linux: LinuxCalls, bytes: number): { address: bigint; buffer: ArrayBuffer } {
  const address = linux.calloc(1, bytes);
  return { address, buffer: koffi.view(address, bytes) };
}
