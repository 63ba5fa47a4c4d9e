import { readFileSync } from 'node:fs';

/**
 * The counters of an interface that say of frames that they came on the bus and got to no socket (struct
 * rtnl_link_stats64 in linux/if_link.h, and what CAN drivers do with it):
 *
 *   rx_over_errors     the controller's own buffer was full, as the two places of an MCP2515 are after 0.5 ms of a full bus
 *   rx_fifo_errors     its driver's queue was full
 *   rx_missed_errors   the controller had no place to put it
 *   rx_dropped         there was no memory, or the kernel's queue between driver and sockets was full
 */
const COUNTERS = ['rx_over_errors', 'rx_fifo_errors', 'rx_missed_errors', 'rx_dropped'] as const;

/** Counts what an interface loses while it is read. */
export class InterfaceDrops {
  readonly #folder: string;
  /** As the interface counted when it was looked at last; null where it doesn't tell. */
  #counted: number | null = null;
  #isRead = false;
  #total = 0;

  /** `root` is '/' but in tests. */
  constructor(interfaceName: string, root = '/') {
    this.#folder = `${root}sys/class/net/${interfaceName}/statistics`;
  }

  /** The interface is read from now on: what it has lost before is another matter. */
  begin(): void {
    this.#isRead = true;
    this.#counted = this.#read();
  }

  /** The interface isn't read any more. */
  end(): void {
    this.count();
    this.#isRead = false;
  }

  /** Frames lost since the first begin(), as long as the interface was read. */
  count(): number {
    if (!this.#isRead) return this.#total;
    const counted = this.#read();
    // An interface that was plugged in anew counts from 0.
    if (counted !== null && this.#counted !== null && counted > this.#counted) {
      this.#total += counted - this.#counted;
    }
    this.#counted = counted;
    return this.#total;
  }

  #read(): number | null {
    let sum = 0;
    for (const counter of COUNTERS) {
      try {
        sum += Number(readFileSync(`${this.#folder}/${counter}`, 'latin1'));
      } catch {
        return null;
      }
    }
    return Number.isSafeInteger(sum) ? sum : null;
  }
}
