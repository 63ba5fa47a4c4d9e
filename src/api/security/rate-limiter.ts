import { API_CLIENT_FORGET_MS, API_CLIENTS_MAX } from '../../shared/limits.ts';

interface Client {
  /** Requests that it may make now. */
  credit: number;
  lastMs: number;
}

/**
 * Counts each client's requests against a limit per second. A client may make a second's worth at once, and gets its
 * credit back as time passes.
 *
 * The clients are remembered in the order in which they asked last. When there are too many the one that has been silent
 * longest is forgotten: it has its full credit again, as it would have after a second in any case.
 *
 * The clock is one that never jumps: on a Pi the time of day goes back by years, and a window that begins in the
 * future would be closed until then.
 */
export class RateLimiter {
  readonly #ratePerS: number | null;
  readonly #clientsMax: number;
  readonly #nowMs: () => number;
  readonly #clients = new Map<string, Client>();

  /** `ratePerS` null for no limit: then clients are only counted. */
  constructor(ratePerS: number | null, clientsMax = API_CLIENTS_MAX, nowMs = () => performance.now()) {
    this.#ratePerS = ratePerS;
    this.#clientsMax = clientsMax;
    this.#nowMs = nowMs;
  }

  /** How long the client has to wait until it may ask, in milliseconds: 0 where it may, and then it has asked. */
  take(key: string): number {
    const nowMs = this.#nowMs();
    const client = this.#clientOf(key, nowMs);
    const elapsedMs = nowMs - client.lastMs;
    client.lastMs = nowMs;
    const ratePerS = this.#ratePerS;
    if (ratePerS === null) return 0;
    client.credit = Math.min(ratePerS, client.credit + (elapsedMs / 1000) * ratePerS);
    if (client.credit < 1) return ((1 - client.credit) / ratePerS) * 1000;
    client.credit -= 1;
    return 0;
  }

  /** Clients that have asked lately. */
  get clientCount(): number {
    this.#forgetSilent(this.#nowMs());
    return this.#clients.size;
  }

  get clientsMax(): number {
    return this.#clientsMax;
  }

  #clientOf(key: string, nowMs: number): Client {
    const known = this.#clients.get(key);
    // Set anew, so that the first of the map is the one that was silent longest.
    if (known !== undefined) this.#clients.delete(key);
    else this.#makeRoom(nowMs);
    const client = known ?? { credit: this.#ratePerS ?? 0, lastMs: nowMs };
    this.#clients.set(key, client);
    return client;
  }

  #makeRoom(nowMs: number): void {
    this.#forgetSilent(nowMs);
    if (this.#clients.size < this.#clientsMax) return;
    const [longestSilent] = this.#clients.keys();
    this.#clients.delete(longestSilent!);
  }

  #forgetSilent(nowMs: number): void {
    for (const [key, { lastMs }] of this.#clients) {
      if (nowMs - lastMs < API_CLIENT_FORGET_MS) return;
      this.#clients.delete(key);
    }
  }
}
