import { MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import type { SampleBatch } from '../protocol/sample-batch.ts';
import type { Series, SeriesTable } from '../protocol/series-table.ts';
import { HOST_BUS_NAME } from '../shared/host-bus.ts';
import { SERIES_MAX } from '../shared/limits.ts';

/** A signal is stale when it was silent for so many of its usual intervals ... */
export const STALE_AFTER_INTERVALS = 3;
/** ... but not before so long. It is also the limit of a signal whose interval isn't known yet. */
export const STALE_AFTER_MIN_MS = 1000;

/** How much one interval moves the usual one. */
const INTERVAL_WEIGHT = 1 / 4;
/**
 * An interval that made the signal stale is a silence, or a step of the clock, and says nothing of the usual
 * one; unless another came within so many intervals before: then it is the signal's way.
 */
const SILENCE_REMEMBERED_INTERVALS = 32;

const CAPACITY_FIRST = 1024;

/** The latest sample of one signal, as the series that speaks for it has it. */
export interface SignalState {
  readonly series: Series;
  readonly timestampUs: number;
  readonly rawValue: number;
  /** Physical value in the series' unit. */
  readonly value: number;
  /** Since the sample arrived, by a clock that never jumps. */
  readonly ageMs: number;
  readonly isStale: boolean;
  /** Samples of the series, those of earlier runs included. */
  readonly count: number;
  /** From the usual interval; 0 while stale or not known. */
  readonly rateHz: number;
}

/** What an earlier run knew of a series. */
export interface RestoredState {
  readonly series: number;
  readonly timestampUs: number;
  readonly rawValue: number;
  readonly count: number;
  /** The number of that sample; none that is corrected unless told. */
  readonly seq?: number;
}

export interface StateFilter {
  readonly componentType?: number | undefined;
  readonly componentId?: number | undefined;
  readonly messageType?: number | undefined;
}

/** All series of one quantity of one component. */
interface Signal {
  readonly key: number;
  readonly series: Series[];
}

/**
 * The latest sample of every signal seen, known and unknown alike.
 *
 * Age, and with it staleness, is measured by a monotonic clock from the moment a sample arrived here,
 * so that a Pi whose wall clock jumps when the network comes doesn't take live signals for dead ones, and
 * an old log that is replayed is live while it plays. Intervals and rates are those of the timestamps.
 */
export class TelemetryStore {
  readonly #table: SeriesTable;
  readonly #nowMs: () => number;
  // By series index.
  #timestampUs = new Float64Array(CAPACITY_FIRST);
  #rawValue = new Float64Array(CAPACITY_FIRST);
  #count = new Float64Array(CAPACITY_FIRST);
  #seq = new Float64Array(CAPACITY_FIRST);
  #arrivedMs = new Float64Array(CAPACITY_FIRST);
  /** The usual interval; 0 until two samples came. */
  #intervalUs = new Float64Array(CAPACITY_FIRST);
  /** Counts down the intervals since one that made the signal stale. */
  #silenceRemembered = new Uint8Array(CAPACITY_FIRST);
  /** 1 while all that is known of a series comes from an earlier run. */
  #isRestored = new Uint8Array(CAPACITY_FIRST);
  readonly #signals = new Map<number, Signal>();
  #signalsInOrder: Signal[] = [];
  #seriesKnown = 0;
  #revision = 0;

  /** `nowMs` is a monotonic clock. */
  constructor(table: SeriesTable, nowMs: () => number = () => performance.now()) {
    this.#table = table;
    this.#nowMs = nowMs;
  }

  /** How many signals have been seen. */
  get signalCount(): number {
    return this.#signals.size;
  }

  /** Another number whenever anything has come that the state tells of. */
  get revision(): number {
    return this.#revision;
  }

  /** Takes in the samples of a batch from index `start` on. */
  apply(samples: SampleBatch, start: number): void {
    this.#revision++;
    if (this.#seriesKnown < this.#table.count) this.#learnSeries();
    this.#applyKnown(samples, start, this.#nowMs());
  }

  /** A loop by itself, so that it is compiled early; fields are looked up once: where memory is written to they would be for each sample. */
  #applyKnown(samples: SampleBatch, start: number, nowMs: number): void {
    const {
      firstSeq,
      count: end,
      series: sampleSeries,
      timestampUs: sampleUs,
      rawValue: sampleValue,
    } = samples;
    const isRestored = this.#isRestored;
    const usualUs = this.#intervalUs;
    const silenceRemembered = this.#silenceRemembered;
    const timestampUs = this.#timestampUs;
    const rawValue = this.#rawValue;
    const arrivedMs = this.#arrivedMs;
    const seq = this.#seq;
    const count = this.#count;
    for (let index = start; index < end; index++) {
      const series = sampleSeries[index]!;
      const nowUs = sampleUs[index]!;
      if (isRestored[series] === 1) {
        // The pause since the earlier run says nothing of the interval.
        isRestored[series] = 0;
      } else if (count[series]! > 0) {
        const intervalUs = nowUs - timestampUs[series]!;
        // Equal or earlier timestamps tell of a coarse clock or one that was set back, not of a rate.
        if (intervalUs > 0) {
          const usual = usualUs[series]!;
          const isCommon = intervalUs <= usual * STALE_AFTER_INTERVALS && silenceRemembered[series] === 0;
          if (isCommon) usualUs[series] = usual + (intervalUs - usual) * INTERVAL_WEIGHT;
          else this.#learnInterval(series, intervalUs);
        }
      }
      timestampUs[series] = nowUs;
      rawValue[series] = sampleValue[index]!;
      arrivedMs[series] = nowMs;
      seq[series] = firstSeq + index;
      count[series]!++;
    }
  }

  #learnInterval(series: number, intervalUs: number): void {
    const usual = this.#intervalUs[series]!;
    if (usual === 0) {
      this.#intervalUs[series] = intervalUs;
      return;
    }
    if (intervalUs > staleAfterUs(usual)) {
      const isItsWay = this.#silenceRemembered[series]! > 0;
      this.#silenceRemembered[series] = SILENCE_REMEMBERED_INTERVALS;
      if (!isItsWay) return;
    } else if (this.#silenceRemembered[series]! > 0) {
      this.#silenceRemembered[series]!--;
    }
    this.#intervalUs[series] = usual + (intervalUs - usual) * INTERVAL_WEIGHT;
  }

  /** Takes over what an earlier run knew; it is stale until a new sample comes. */
  restore(states: readonly RestoredState[], wallClockUs: number): void {
    this.#revision++;
    this.#learnSeries();
    const nowMs = this.#nowMs();
    for (const { series, timestampUs, rawValue, count, seq = 0 } of states) {
      this.#timestampUs[series] = timestampUs;
      this.#rawValue[series] = rawValue;
      this.#count[series] = count;
      this.#arrivedMs[series] = nowMs - Math.max(0, wallClockUs - timestampUs) / 1000;
      this.#seq[series] = seq;
      this.#isRestored[series] = 1;
    }
  }

  /** Moves the timestamps of the samples from a sequence number on, after the clock was set. */
  correct(fromSeq: number, shiftUs: number): void {
    this.#revision++;
    for (let series = 0; series < this.#seriesKnown; series++) {
      if (this.#count[series]! > 0 && this.#seq[series]! >= fromSeq) this.#timestampUs[series]! += shiftUs;
    }
  }

  // Of a series, by its index: how many samples it had, and the latest of them. For those who look at many, often.

  countOf(series: number): number {
    return this.#count[series] ?? 0;
  }

  seqOf(series: number): number {
    return this.#seq[series] ?? 0;
  }

  timestampUsOf(series: number): number {
    return this.#timestampUs[series] ?? 0;
  }

  rawValueOf(series: number): number {
    return this.#rawValue[series] ?? 0;
  }

  /**
   * The state of every signal that has a sample and passes the filter, in the order of component type,
   * component and command. Where several series tell of one signal, a STATUS speaks before what others
   * asked of it or reported beside it, and among those the latest; but of this machine, the machine itself.
   */
  *current(filter: StateFilter = {}): Generator<SignalState> {
    const nowMs = this.#nowMs();
    for (const signal of this.#signalsInOrder) {
      const { componentType, componentId } = signal.series[0]!;
      if (filter.componentType !== undefined && filter.componentType !== componentType) continue;
      if (filter.componentId !== undefined && filter.componentId !== componentId) continue;
      const series = this.#speaker(signal, filter.messageType, nowMs);
      if (series !== null) yield this.#stateOf(series, nowMs);
    }
  }

  #speaker(signal: Signal, messageType: number | undefined, nowMs: number): Series | null {
    let best: Series | null = null;
    let bestRank = -1;
    for (const series of signal.series) {
      if (this.#count[series.index] === 0) continue;
      if (messageType !== undefined && messageType !== series.messageType) continue;
      const rank = this.#rank(series, nowMs);
      if (rank > bestRank || (rank === bestRank && this.#isLater(series.index, best!.index))) {
        best = series;
        bestRank = rank;
      }
    }
    return best;
  }

  /** A simulated kart has a computer, too, and would speak in turn with this one. */
  #rank({ index, messageType, bus }: Series, nowMs: number): number {
    if (messageType !== MESSAGE_TYPE.STATUS) return 0;
    return bus === HOST_BUS_NAME && !this.#isStale(index, this.#ageMs(index, nowMs)) ? 2 : 1;
  }

  #ageMs(series: number, nowMs: number): number {
    return Math.max(0, nowMs - this.#arrivedMs[series]!);
  }

  #isStale(series: number, ageMs: number): boolean {
    return this.#isRestored[series] === 1 || ageMs * 1000 > staleAfterUs(this.#intervalUs[series]!);
  }

  /** By arrival, for clocks may jump; samples of one batch, which arrive together, by timestamp. */
  #isLater(series: number, other: number): boolean {
    const laterMs = this.#arrivedMs[series]! - this.#arrivedMs[other]!;
    return laterMs === 0 ? this.#timestampUs[series]! >= this.#timestampUs[other]! : laterMs > 0;
  }

  #stateOf(series: Series, nowMs: number): SignalState {
    const { index } = series;
    const rawValue = this.#rawValue[index]!;
    const ageMs = this.#ageMs(index, nowMs);
    const intervalUs = this.#intervalUs[index]!;
    const isStale = this.#isStale(index, ageMs);
    return {
      series,
      timestampUs: this.#timestampUs[index]!,
      rawValue,
      value: series.conversion.toPhysical(rawValue),
      ageMs,
      isStale,
      count: this.#count[index]!,
      rateHz: isStale || intervalUs === 0 ? 0 : 1_000_000 / intervalUs,
    };
  }

  #learnSeries(): void {
    const fresh = this.#table.since(this.#seriesKnown);
    this.#seriesKnown = this.#table.count;
    this.#grow(this.#seriesKnown);
    let isNewSignal = false;
    for (const series of fresh) {
      if (!series.isCurrent) continue;
      const key = (series.componentType << 16) | (series.componentId << 8) | series.commandId;
      const signal = this.#signals.get(key);
      if (signal !== undefined) {
        signal.series.push(series);
      } else {
        this.#signals.set(key, { key, series: [series] });
        isNewSignal = true;
      }
    }
    if (isNewSignal) {
      this.#signalsInOrder = [...this.#signals.values()].sort((left, right) => left.key - right.key);
    }
  }

  #grow(seriesCount: number): void {
    let capacity = this.#count.length;
    if (seriesCount <= capacity) return;
    while (capacity < seriesCount) capacity *= 2;
    capacity = Math.min(capacity, SERIES_MAX);
    this.#timestampUs = grown(this.#timestampUs, capacity);
    this.#rawValue = grown(this.#rawValue, capacity);
    this.#count = grown(this.#count, capacity);
    this.#seq = grown(this.#seq, capacity);
    this.#arrivedMs = grown(this.#arrivedMs, capacity);
    this.#intervalUs = grown(this.#intervalUs, capacity);
    this.#silenceRemembered = grownBytes(this.#silenceRemembered, capacity);
    this.#isRestored = grownBytes(this.#isRestored, capacity);
  }
}

function grown(column: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}

function grownBytes(column: Uint8Array<ArrayBuffer>, capacity: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(capacity);
  larger.set(column);
  return larger;
}

/** How long a signal of this usual interval (0: not known yet) may be silent. */
function staleAfterUs(usualIntervalUs: number): number {
  return Math.max(STALE_AFTER_MIN_MS * 1000, usualIntervalUs * STALE_AFTER_INTERVALS);
}
