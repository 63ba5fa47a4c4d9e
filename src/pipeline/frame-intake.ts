import type { FrameBatch } from '../bus/frame-batch.ts';
import type { ClockWatch } from '../clock/clock-watch.ts';
import type { CommandWatch } from '../commands/command-watch.ts';
import type { KartDecoder } from '../protocol/kart-decoder.ts';
import { roundTripSample, type TimeSync } from '../protocol/time-sync.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SampleIntake } from './sample-intake.ts';

export type IsOwnHealth = (frames: FrameBatch, at: number) => boolean;

export interface FrameIntakeOptions {
  readonly intake: SampleIntake;
  readonly clock: ClockWatch;
  readonly decoder: KartDecoder;
  readonly commands: CommandWatch;
  readonly timeSync: TimeSync;
  /** Null where no recording is wanted. */
  readonly recorder: Recorder | null;
  /** The place of the bus in the recording. */
  readonly busIndex: number;
  /** Whether a frame tells of our own health, which is a sample already; null where none does. */
  readonly isOwnHealth: IsOwnHealth | null;
}

/** What becomes of the frames of one bus. */
export class FrameIntake {
  readonly #options: FrameIntakeOptions;

  constructor(options: FrameIntakeOptions) {
    this.#options = options;
  }

  take(frames: FrameBatch): void {
    const { intake, clock, commands, timeSync, recorder, busIndex, isOwnHealth } = this.#options;
    clock.check();
    recorder?.record(frames, busIndex);
    const isCommandAnswered = commands.observe(frames);
    // After those that want the timestamps as they came.
    const roundTrips = timeSync.observe(frames);
    if (isOwnHealth === null) this.#decode(frames, 0, frames.count, isCommandAnswered);
    else this.#decodeWithout(isOwnHealth, frames, isCommandAnswered);
    for (const roundTrip of roundTrips) {
      const { key, rawValue } = roundTripSample(roundTrip);
      const series = this.#options.decoder.seriesOf(key);
      if (series !== null) intake.takeOwn(series, roundTrip.timestampUs, rawValue);
    }
    intake.publish();
    if (isCommandAnswered) commands.settle();
  }

  /** `isCommandAnswered`: whether the samples are to be found of what the frames answer. */
  #decode(frames: FrameBatch, start: number, end: number, isCommandAnswered: boolean): void {
    const { intake, decoder, commands } = this.#options;
    let at = start;
    while (at < end) {
      const samples = intake.batch;
      const first = samples.count;
      const span = { start: at, end: decoder.decode(frames, at, samples, end) };
      const find = isCommandAnswered ? () => commands.find(frames, span, samples, first) : undefined;
      intake.take(samples, first, find);
      at = span.end;
    }
  }

  #decodeWithout(isOwnHealth: IsOwnHealth, frames: FrameBatch, isCommandAnswered: boolean): void {
    let start = 0;
    for (let at = 0; at < frames.count; at++) {
      if (!isOwnHealth(frames, at)) continue;
      this.#decode(frames, start, at, isCommandAnswered);
      this.#options.decoder.countOwnHealth(frames.canId[at]!);
      start = at + 1;
    }
    this.#decode(frames, start, frames.count, isCommandAnswered);
  }
}
