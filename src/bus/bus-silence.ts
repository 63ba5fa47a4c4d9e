import type { Logger } from 'pino';
import { SILENCE_REOPEN_FIRST_MS, SILENCE_REOPEN_LONGEST_MS } from '../shared/limits.ts';
import type { BusProblem } from './bus-messages.ts';
import { silenceProblem } from './bus-troubles.ts';
import type { BusUrl } from './bus-url.ts';
import type { FrameBatch } from './frame-batch.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface BusSilenceOptions {
  readonly busName: string;
  readonly spec: BusUrl;
  readonly log: Logger;
  /** Opens the bus anew, unless frames come. */
  readonly reopen: () => void;
}

/** What is done about a bus on which nothing comes any more: it is told, and the bus opened anew from time to time. */
export class BusSilence {
  readonly #options: BusSilenceOptions;
  readonly #watch = new SilenceWatch();
  #sinceMs: number | null = null;
  #reopens = 0;
  /** By performance.now(). */
  #reopenAtMs = 0;

  constructor(options: BusSilenceOptions) {
    this.#options = options;
  }

  /** Epoch milliseconds since when it is silent; null while it isn't. */
  get sinceMs(): number | null {
    return this.#sinceMs;
  }

  get problem(): BusProblem | null {
    if (this.#sinceMs === null) return null;
    const { spec, busName } = this.#options;
    return silenceProblem(spec, busName, this.#sinceMs, this.#watch.usualPauseMs, this.#reopens);
  }

  /** The bus is read from now on. */
  listen(): void {
    this.#watch.listen(performance.now());
  }

  /** That nothing comes has another reason. */
  pause(): void {
    this.#watch.pause();
    this.#sinceMs = null;
  }

  observe(batch: FrameBatch): void {
    const silentMs = this.#watch.observe(batch, performance.now());
    if (silentMs === null) return;
    const { log, busName } = this.#options;
    this.#sinceMs = null;
    log.info({ bus: busName, silent_s: silentMs / 1000, reopened: this.#reopens }, 'bus speaks again');
  }

  /** To be called every BUS_WATCH_MS. */
  check(): void {
    const nowMs = performance.now();
    if (this.#options.spec.kind === 'socketcan' && this.#watch.check(nowMs)) this.#begin(nowMs);
    if (this.#sinceMs !== null && nowMs >= this.#reopenAtMs) this.#reopen(nowMs);
  }

  #begin(nowMs: number): void {
    const { log, busName } = this.#options;
    this.#sinceMs = Date.now() - (nowMs - this.#watch.lastMs!);
    this.#reopens = 0;
    this.#reopenAtMs = nowMs;
    const { code, message } = this.problem!;
    log.warn({ bus: busName, code, reason: message }, 'bus silent');
  }

  /** Should the socket be what is deaf: nothing is lost by it, as nothing comes. */
  #reopen(nowMs: number): void {
    const waitMs = Math.min(SILENCE_REOPEN_FIRST_MS * 2 ** this.#reopens, SILENCE_REOPEN_LONGEST_MS);
    this.#reopenAtMs = nowMs + waitMs;
    this.#reopens++;
    this.#options.reopen();
  }
}
