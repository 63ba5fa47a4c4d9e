import type { Logger } from 'pino';
import type { ClockWatch } from '../clock/clock-watch.ts';
import type { Gap } from '../history/gap.ts';
import type { PersistentTelemetryStore } from '../history/persistent-telemetry-store.ts';
import type { SampleBatch } from '../protocol/sample-batch.ts';
import { type ClockChange, wallClockUs } from '../shared/clock.ts';
import type { LiveFeed } from '../telemetry/live-feed.ts';
import type { TelemetryStore } from '../telemetry/telemetry-store.ts';

export interface SampleIntakeOptions {
  readonly state: TelemetryStore;
  readonly feed: LiveFeed;
  readonly history: PersistentTelemetryStore;
  readonly clock: ClockWatch;
  readonly timestampResolutionUs: number;
  readonly log: Logger;
}

/** Where every sample comes in, whoever brings it: to state, live feed and history, with a timestamp that is right. */
export class SampleIntake {
  readonly #options: SampleIntakeOptions;

  constructor(options: SampleIntakeOptions) {
    this.#options = options;
  }

  /** The batch that samples are appended to, ahead of take(). */
  get batch(): SampleBatch {
    return this.#options.history.samples;
  }

  /** What was appended to a batch from `first` on; `settled` is called when the samples are as they stay. */
  take(samples: SampleBatch, first: number, settled?: () => void): void {
    const { state, feed, history, clock, timestampResolutionUs } = this.#options;
    if (clock.isSettling) correctTimestamps(samples, first, clock);
    state.apply(samples, first);
    if (timestampResolutionUs > 1) roundTimestamps(samples, first, timestampResolutionUs);
    settled?.();
    feed.take(samples, first);
    if (samples.isFull) history.handOver();
  }

  /** A sample of our own, that no frame has brought. */
  takeOwn(series: number, timestampUs: number, rawValue: number): void {
    const samples = this.batch;
    const at = samples.count++;
    samples.timestampUs[at] = timestampUs;
    samples.rawValue[at] = rawValue;
    samples.series[at] = series;
    this.take(samples, at);
  }

  /** Shows what was taken: ahead of whoever follows the feed to the history, which has what they are told of. */
  publish(): void {
    const { history, feed } = this.#options;
    history.publish();
    feed.publish();
  }

  /** A span that a bus has seen is told after a step: its beginning may be from before. */
  tellGap(gap: Gap): void {
    const { clock, history } = this.#options;
    clock.check();
    const toUs = gap.toUs === null ? null : clock.corrected(gap.toUs);
    history.gap({ ...gap, fromUs: clock.corrected(gap.fromUs), toUs });
  }

  changeClock(change: ClockChange): void {
    const { state, feed, history, log } = this.#options;
    const { stepUs, correctionUs } = change;
    if (correctionUs !== 0 && history.uncertainFromSeq !== null) {
      state.correct(history.uncertainFromSeq, correctionUs);
      feed.correct(history.uncertainFromSeq, correctionUs);
    }
    history.changeClock(change, wallClockUs());
    tellStep(log, stepUs, correctionUs);
  }
}

/** Of frames that were on the way when the clock was set. */
function correctTimestamps(samples: SampleBatch, first: number, clock: ClockWatch): void {
  const { timestampUs, count } = samples;
  for (let at = first; at < count; at++) timestampUs[at] = clock.corrected(timestampUs[at]!);
}

/** Before anybody sees them, so that a sample is found under one timestamp, stored or not. */
function roundTimestamps(samples: SampleBatch, first: number, resolutionUs: number): void {
  const { timestampUs, count } = samples;
  for (let at = first; at < count; at++) {
    timestampUs[at] = Math.round(timestampUs[at]! / resolutionUs) * resolutionUs;
  }
}

function tellStep(log: Logger, stepUs: number, correctionUs: number): void {
  if (stepUs === 0) return;
  const isCorrected = correctionUs !== 0;
  log.warn(
    { set_by_s: stepUs / 1_000_000 },
    isCorrected
      ? "the system's clock was set; it wasn't known to be right before, so what was recorded until now is corrected"
      : "the system's clock was set; what was recorded until now keeps its timestamps",
  );
}
