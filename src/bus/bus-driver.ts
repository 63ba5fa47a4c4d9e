import type { CanFrame } from './can-frame.ts';
import type { FrameBatch } from './frame-batch.ts';

/**
 * What every kind of bus looks like to the bus worker, which runs one driver in one thread and calls
 * it from a plain loop: open, then read until it ends or fails, then close. Everything is synchronous:
 * the thread has nothing else to do.
 *
 *   open    BusError BUS_UNAVAILABLE (file missing), INTERFACE_* (missing, down, renamed): tried again later
 *   read    BusError BUS_LOST (socket error), INTERFACE_* (gone, down, renamed): closed and opened again
 *   send    BusError BUS_READ_ONLY, BUS_SEND_FAILED: told to the caller, the bus goes on
 */
export interface BusDriver {
  /** For a driver that waits in a system call: a file descriptor, written to, that ends the wait. */
  readonly wakeFd?: number;
  /** Another that it keeps open for as long as the thread lives; -1 for none. */
  readonly watchFd?: number;
  /** One that it has open between open() and close(). */
  readonly socketFd?: number;

  /** Whether open() found the controller off the bus: it told of that before, and doesn't again. */
  readonly isBusOff?: boolean;

  /** Throws BusError; what was opened half is closed again. */
  open(): void;

  /**
   * Appends frames to `batch`, which has room, as soon as there are any; blocks until there are, or
   * until the worker is to look at its messages. Never waits longer than BUS_WAIT_MAX_MS.
   */
  read(batch: FrameBatch): ReadOutcome;

  /** Sends one frame, or throws BusError. */
  send(frame: CanFrame): SendOutcome;

  /**
   * For a driver that hears of changes of its source: waits like WaitForWake, while it isn't open, but until there is
   * one at most. Returns whether there was.
   */
  waitForChange?(timeoutMs: number): boolean;

  /** Brings a controller back that is off the bus; where it can't, status() says why. Never throws. */
  restart?(): void;

  /** Frees what open() took; open() may follow. Never throws. */
  close(): void;

  /** The thread ends: frees what outlives close(), but for wakeFd and watchFd, which are the main thread's to close. */
  dispose?(): void;

  /** Counters and facts of this kind of bus for /api/status: plain numbers and short strings. */
  status(): Record<string, number | string | boolean | null>;
}

/** `busy`: there is no room for it now; to be tried again, after a read that waits SEND_RETRY_MS at most. */
export type SendOutcome = 'sent' | 'busy';

/** `more`: call read again. `ended`: the source is exhausted and will not give another frame. */
export type ReadOutcome = 'more' | 'ended';

/**
 * How a driver that isn't waiting in a system call waits: until `timeoutMs` is over or the main thread
 * has a message for the worker.
 */
export type WaitForWake = (timeoutMs: number) => void;
