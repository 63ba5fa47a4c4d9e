import koffi from 'koffi';
import { BusError } from '../shared/errors.ts';

/**
 * The few Linux system calls that SocketCAN needs, through koffi, and the constants that go with them
 * (from the kernel's include/uapi/linux: can.h, can/raw.h, can/error.h, socket.h, and
 * asm-generic/socket.h). The layouts are those of 64-bit little-endian Linux: x86-64 and arm64.
 */

export const AF_CAN = 29;
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
export const EINVAL = koffi.os.errno.EINVAL as number;
export const ENOBUFS = koffi.os.errno.ENOBUFS as number;

export interface LinuxCalls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, addressBytes: number): number;
  setsockopt(fd: number, level: number, name: number, value: Int32Array, valueBytes: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint32Array, valueBytes: Uint32Array): number;
  recvmmsg(fd: number, messages: bigint, messageCount: number, flags: number, timeout: null): number;
  write(fd: number, data: Uint8Array, dataBytes: number): number;
  poll(fds: Int32Array, fdCount: number, timeoutMs: number): number;
  close(fd: number): number;
  ifNameToIndex(name: string): number;
  eventfd(initial: number, flags: number): number;
  calloc(count: number, bytes: number): bigint;
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
    write: libc.func('intptr_t write(int fd, const void *data, size_t length)'),
    poll: libc.func('int poll(_Inout_ void *fds, unsigned long count, int timeout)'),
    close: libc.func('int close(int fd)'),
    ifNameToIndex: libc.func('unsigned int if_nametoindex(const char *name)'),
    eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
    calloc: libc.func('void *calloc(size_t count, size_t bytes)'),
  } as LinuxCalls;
  return calls;
}

/** A file descriptor that another thread of this process makes readable by writing to it. */
export function createEventFd(linux: LinuxCalls): number {
  const fd = linux.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw new BusError('BUS_UNAVAILABLE', `eventfd failed: ${errnoName(lastErrno())}`);
  return fd;
}

/** A view of memory that never moves, for the kernel to write into; it lives as long as the process. */
export function allocateStable(linux: LinuxCalls, bytes: number): { address: bigint; buffer: ArrayBuffer } {
  const address = linux.calloc(1, bytes);
  return { address, buffer: koffi.view(address, bytes) };
}
