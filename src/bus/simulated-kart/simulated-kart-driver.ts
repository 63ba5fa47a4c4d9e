import { BusError } from '../../shared/errors.ts';
import { SEND_QUEUE_FRAMES_MAX } from '../../shared/limits.ts';
import type { BusDriver, ReadOutcome, SendOutcome, WaitForWake } from '../bus-driver.ts';
import { type CanFrame, FRAME_FLAG } from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { SimulatedKart } from './simulated-kart.ts';

/** Frames come in steps this long: about seven at the kart's own pace, and 100 wake-ups a second. */
const STEP_MS = 10;

/** A gap longer than this, such as a suspended machine or a clock that was set, is left out of the drive. */
const STALL_MS = 1000;

export interface SimulatedKartOptions {
  /** Which drive: any integer. */
  readonly seed: number;
  /** Virtual seconds per real second; above 0. */
  readonly rate: number;
  readonly wait: WaitForWake;
  /** Wall clock, integer microseconds since the epoch. */
  readonly nowUs: () => number;
  /** Milliseconds that only go forward. */
  readonly monotonicMs?: () => number;
}

/**
 * The simulated kart as a bus (`sim:kart`), in real time. Timestamps start at the wall clock's time and
 * go on by the monotonic clock, so that a wall clock set back never turns them round. Where the wall
 * clock runs ahead by more than a second (it was set, or the machine slept, which the monotonic clock
 * doesn't count) they follow it.
 *
 * Frames that are sent come back marked as own, as those of a CAN interface do.
 */
export class SimulatedKartDriver implements BusDriver {
  readonly #options: SimulatedKartOptions;
  readonly #monotonicMs: () => number;
  #kart: SimulatedKart | null = null;
  /** The moments, on either clock, that the start of the drive corresponds to. */
  #startMs = 0;
  #startUs = 0;
  /** How far the drive has been played, in real time since its start. */
  #playedMs = 0;
  /** The last batch was full: more is due at once. */
  #hasMore = false;
  #skips = 0;
  #skippedMs = 0;
  #framesHeard = 0;
  /** Frames that were sent and haven't come back yet, with the virtual time of each. */
  readonly #own: { readonly frame: CanFrame; readonly atUs: number }[] = [];

  constructor(options: SimulatedKartOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  open(): void {
    this.#kart = new SimulatedKart({ seed: this.#options.seed });
    this.#startMs = this.#monotonicMs();
    this.#startUs = this.#options.nowUs();
    this.#playedMs = 0;
    this.#hasMore = false;
    this.#own.length = 0;
  }

  read(batch: FrameBatch): ReadOutcome {
    const kart = this.#openKart('BUS_LOST');
    if (!this.#hasMore) {
      const untilStepMs = this.#playedMs + STEP_MS - (this.#monotonicMs() - this.#startMs);
      if (untilStepMs > 0) {
        this.#options.wait(untilStepMs);
        // Woken before the time: the worker has a message to look at.
        if (this.#monotonicMs() - this.#startMs < this.#playedMs + STEP_MS) return 'more';
      }
      this.#advance();
    }
    this.#emit(kart, batch, this.#playedMs * 1000 * this.#options.rate);
    this.#hasMore = batch.isFull;
    return 'more';
  }

  /** The frames of the kart up to a virtual time, and our own among them. */
  #emit(kart: SimulatedKart, batch: FrameBatch, untilUs: number): void {
    const timeScale = 1 / this.#options.rate;
    for (let own = this.#own[0]; own !== undefined && own.atUs <= untilUs; own = this.#own[0]) {
      kart.emit(batch, own.atUs, this.#startUs, timeScale);
      if (batch.isFull) return;
      const timestampUs = Math.round(this.#startUs + own.atUs * timeScale);
      batch.push(timestampUs, own.frame.canId, flagsOf(own.frame), own.frame.payload);
      this.#own.shift();
    }
    kart.emit(batch, untilUs, this.#startUs, timeScale);
  }

  /** Hands the frame to the kart's nodes; see SimulatedKart.receive. */
  send(frame: CanFrame): SendOutcome {
    const kart = this.#openKart('BUS_SEND_FAILED');
    if (this.#own.length >= SEND_QUEUE_FRAMES_MAX) return 'busy';
    // The drive was played up to the last step; an answer must not bear a time before its question.
    const elapsedMs = Math.min(this.#monotonicMs() - this.#startMs, this.#playedMs + STALL_MS);
    const atUs = elapsedMs * 1000 * this.#options.rate;
    if (!kart.receive(frame, atUs)) {
      throw new BusError(
        'BUS_SEND_FAILED',
        "The simulated kart's nodes still have too many commands to answer. Send again in a moment.",
      );
    }
    this.#framesHeard++;
    this.#own.push({ frame, atUs });
    return 'sent';
  }

  close(): void {
    this.#kart = null;
  }

  status(): Record<string, number | string | boolean | null> {
    return {
      simulated: true,
      seed: this.#options.seed,
      rate: this.#options.rate,
      drive_s: (this.#playedMs / 1000) * this.#options.rate,
      frames_heard: this.#framesHeard,
      skips: this.#skips,
      skipped_s: this.#skippedMs / 1000,
    };
  }

  /** Moves on to now, over a stall without playing it. */
  #advance(): void {
    let elapsedMs = this.#monotonicMs() - this.#startMs;
    const stalledMs = elapsedMs - this.#playedMs;
    if (stalledMs > STALL_MS) {
      this.#skip(stalledMs - STEP_MS);
      this.#startMs += stalledMs - STEP_MS;
      elapsedMs = this.#playedMs + STEP_MS;
    }
    const wallAheadMs = (this.#options.nowUs() - this.#startUs) / 1000 - elapsedMs;
    if (wallAheadMs > STALL_MS) this.#skip(wallAheadMs);
    this.#playedMs = elapsedMs;
  }

  #skip(gapMs: number): void {
    this.#startUs += Math.round(gapMs * 1000);
    this.#skips++;
    this.#skippedMs += gapMs;
  }

  #openKart(code: string): SimulatedKart {
    if (this.#kart === null) {
      throw new BusError(code, 'The simulated kart is not open: open the bus before using it.');
    }
    return this.#kart;
  }
}

function flagsOf({ isExtended, isFd, isBitrateSwitched, isRemote }: CanFrame): number {
  return (
    FRAME_FLAG.OWN |
    (isExtended ? FRAME_FLAG.EXTENDED : 0) |
    (isRemote === true ? FRAME_FLAG.REMOTE : 0) |
    (isFd === true ? FRAME_FLAG.FD : 0) |
    (isBitrateSwitched === true ? FRAME_FLAG.BRS : 0)
  );
}
