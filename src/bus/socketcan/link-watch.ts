import { type LinuxCalls, MSG_DONTWAIT, openLinkEvents } from './linux.ts';

/** What is told of the links isn't read, so a long message may be cut. */
const EVENT_BYTES = 64;

/**
 * Hears from the kernel when a network interface of this machine appears, disappears, goes up or down, or gets
 * another name (rtnetlink(7)). What it was is asked for elsewhere: events may be lost, and are of all interfaces.
 */
export class LinkWatch {
  /** Readable when there is news; -1 where the kernel gives none. */
  readonly fd: number;
  readonly #linux: LinuxCalls;
  readonly #event = new Uint8Array(EVENT_BYTES);

  constructor(linux: LinuxCalls) {
    this.#linux = linux;
    this.fd = openLinkEvents(linux);
  }

  /** Passes over all that was told so far. */
  clear(): void {
    // An overflow (ENOBUFS) is told once, in place of an event; the next call would find it, which costs one look more.
    while (this.#linux.recv(this.fd, this.#event, EVENT_BYTES, MSG_DONTWAIT) > 0);
  }
}
