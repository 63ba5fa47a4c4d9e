import type { BusUrl } from './bus-url.ts';
import type { CanFrame } from './can-frame.ts';

/** What a bus worker is started with. */
export interface BusWorkerData {
  readonly url: BusUrl;
  /** Some words of shared memory, see BUS_CONTROL. */
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Frame batches, which the messages name by their place here. */
  readonly batches: readonly SharedArrayBuffer[];
}

/** The words through which the two threads see each other without a message. */
export const BUS_CONTROL = {
  /** Counted up by the main thread whenever it wants the worker to look at its messages. */
  WAKE: 0,
  /** 1 while the worker has frames that it can't send for want of a free batch. */
  STARVED: 1,
  /** Counted up by the worker each time round: at least as often as BUS_WAIT_MAX_MS, unless it opens its bus. */
  ALIVE: 2,
  /** One more than the descriptor that the driver has open, 0 for none: should the thread end without closing it. */
  SOCKET: 3,
  WORDS: 4,
} as const;

export type ToBusWorker =
  /** A batch that the main thread is done with. */
  | { readonly kind: 'recycle'; readonly batch: number }
  | { readonly kind: 'send'; readonly id: number; readonly frame: CanFrame }
  /** Opens the bus anew, unless frames come. */
  | { readonly kind: 'reopen' }
  /** Restarts the controller, if it is off the bus. */
  | { readonly kind: 'restart' }
  | { readonly kind: 'stop' };

export type FromBusWorker =
  /** Descriptors that the thread keeps until it ends; the main thread closes them then. */
  | { readonly kind: 'started'; readonly wakeFd: number | null; readonly watchFd: number | null }
  /** The batch is the main thread's until it gives it back. */
  | { readonly kind: 'frames'; readonly batch: number; readonly count: number }
  | {
      readonly kind: 'state';
      readonly state: BusWorkerState;
      readonly problem: BusProblem | null;
      /** The bus is open, and its controller was off it. */
      readonly isBusOff?: boolean;
    }
  /** The driver's counters; sent when they changed, at most about once a second. */
  | {
      readonly kind: 'driver';
      readonly status: DriverStatus;
      /** Microseconds since the epoch: when the driver was asked before, whether anything changed or not, and now. */
      readonly sinceUs: number;
      readonly nowUs: number;
    }
  | { readonly kind: 'sent'; readonly id: number; readonly problem: BusProblem | null };

/**
 * open         frames come when there are any
 * unavailable  can't be opened or was lost; tried again and again
 * ended        the source has no more frames (a log that was replayed to its end)
 * stopped      as asked
 */
export type BusWorkerState = 'open' | 'unavailable' | 'ended' | 'stopped';

export interface BusProblem {
  readonly code: string;
  readonly message: string;
}

export type DriverStatus = Readonly<Record<string, number | string | boolean | null>>;
