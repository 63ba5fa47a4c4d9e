import { readFileSync } from 'node:fs';
import koffi from 'koffi';

/** Size of `struct timex` of linux/timex.h on 64-bit systems, and where its `status` is. */
const TIMEX_BYTES = 208;
const TIMEX_STATUS_OFFSET = 40;
/** The kernel's clock isn't synchronised. */
const STA_UNSYNC = 0x40;
/** What adjtimex() gives where the clock isn't synchronised, or can't be relied on. */
const TIME_ERROR = 5;

/** Clocks of linux/time.h; the second goes on while the machine sleeps. Neither one's rate differs from the other's. */
const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;

/** Readings of the offset; the one that took the least time is taken. */
const OFFSET_READINGS = 3;

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

interface ClockCalls {
  adjtimex(timex: Uint8Array): number;
  clock_gettime(clock: number, time: BigInt64Array): number;
}

/** Null where the kernel can't be asked; undefined before it was tried. */
let calls: ClockCalls | null | undefined;

function clockCalls(): ClockCalls | null {
  calls ??= bind();
  return calls;
}

function bind(): ClockCalls | null {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  try {
    const libc = koffi.load(null);
    return {
      adjtimex: libc.func('int adjtimex(_Inout_ void *buffer)'),
      clock_gettime: libc.func('int clock_gettime(int clock, _Out_ void *time)'),
    } as ClockCalls;
  } catch {
    return null;
  }
}

/**
 * Whether somebody keeps the kernel's clock to that of others, whichever daemon it is (adjtimex(2)); null where
 * the kernel can't be asked.
 */
export function isClockSynchronized(): boolean | null {
  // All zeros: nothing is changed.
  const timex = new Uint8Array(TIMEX_BYTES);
  const result = clockCalls()?.adjtimex(timex) ?? -1;
  if (result < 0) return null;
  const status = new DataView(timex.buffer).getInt32(TIMEX_STATUS_OFFSET, true);
  return result !== TIME_ERROR && (status & STA_UNSYNC) === 0;
}

/**
 * The wall clock less the time since the machine's start, in microseconds. Only a step of the wall clock changes it:
 * a clock that is led to the right time leads both, and sleep is part of both. Null where the kernel can't be asked.
 */
export function clockOffsetUs(): number | null {
  const linux = clockCalls();
  if (linux === null) return null;
  let leastNs = Number.POSITIVE_INFINITY;
  let offsetNs = 0;
  for (let reading = 0; reading < OFFSET_READINGS; reading++) {
    const before = readNs(linux, CLOCK_BOOTTIME);
    const wall = readNs(linux, CLOCK_REALTIME);
    const after = readNs(linux, CLOCK_BOOTTIME);
    if (before === null || wall === null || after === null) return null;
    const tookNs = Number(after - before);
    if (tookNs >= leastNs) continue;
    leastNs = tookNs;
    offsetNs = Number(wall - before) - tookNs / 2;
  }
  return Math.round(offsetNs / 1000);
}

function readNs(linux: ClockCalls, clock: number): bigint | null {
  const time = new BigInt64Array(2);
  if (linux.clock_gettime(clock, time) < 0) return null;
  return time[0]! * 1_000_000_000n + time[1]!;
}

/** Tells one run of the machine from another; null where there is no such thing. */
export function bootId(): string | null {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim();
  } catch {
    return null;
  }
}
