import type { BusFigures } from '../bus/bus.ts';
import { BUS_SIGNALS, type BusQuantity, type BusSeries } from './bus-signals.ts';
import { rawValueRange } from './kart-codec.ts';
import { toRaw } from './physical-value.ts';

/** A bus that is measured, as bus/bus.ts has it. */
export interface MeasuredBus {
  takeFigures(leastMs: number): BusFigures | null;
}

/** A sample of our own. */
export interface FigureSample {
  /** Its index. */
  readonly series: number;
  readonly rawValue: number;
  /** How long ago it was so. */
  readonly ageMs: number;
}

/** What of a quantity was told last, and since then left out. */
interface Told {
  readonly rawValue: number;
  /** When it was last found to be still so, without a sample; null where the last sample says so. */
  heldAtMs: number | null;
}

/**
 * The figures of one bus as signals: its load, its rate of frames, and how many were lost. What stays zero is told once, and
 * again where it ends: with that a line is drawn right, and a vehicle that is parked for a night takes two samples of each.
 * So it is with a count that stays as it is.
 */
export class BusFigureSignals {
  readonly #series: BusSeries;
  readonly #told = new Map<BusQuantity, Told>();

  constructor(series: BusSeries) {
    this.#series = series;
  }

  /** What is to be told at a moment of a clock that never jumps; `figures` is null where the bus isn't heard. */
  *samplesAt(nowMs: number, figures: BusFigures | null): Generator<FigureSample> {
    if (figures === null || figures.isFirst) yield* this.end(nowMs);
    if (figures === null) return;
    const { load, framesPerS, framesLost } = figures;
    yield* this.#tell('LOAD', load === null ? null : load * 100, nowMs);
    yield* this.#tell('FRAME_RATE', framesPerS, nowMs);
    yield* this.#tell('FRAMES_LOST', framesLost, nowMs);
  }

  /** How long it was as it was told last; what comes is told anew. */
  *end(nowMs: number): Generator<FigureSample> {
    for (const quantity of this.#told.keys()) yield* this.#endOf(quantity, nowMs);
    this.#told.clear();
  }

  *#tell(quantity: BusQuantity, value: number | null, nowMs: number): Generator<FigureSample> {
    if (value === null) {
      yield* this.#endOf(quantity, nowMs);
      this.#told.delete(quantity);
      return;
    }
    const rawValue = rawValueOf(quantity, value);
    const told = this.#told.get(quantity);
    if (told?.rawValue === rawValue && (rawValue === 0 || quantity === 'FRAMES_LOST')) {
      told.heldAtMs = nowMs;
      return;
    }
    yield* this.#endOf(quantity, nowMs);
    this.#told.set(quantity, { rawValue, heldAtMs: null });
    yield* this.#sample(quantity, rawValue, 0);
  }

  *#endOf(quantity: BusQuantity, nowMs: number): Generator<FigureSample> {
    const told = this.#told.get(quantity);
    if (told === undefined || told.heldAtMs === null) return;
    yield* this.#sample(quantity, told.rawValue, nowMs - told.heldAtMs);
    told.heldAtMs = null;
  }

  *#sample(quantity: BusQuantity, rawValue: number, ageMs: number): Generator<FigureSample> {
    const series = this.#series.of(quantity);
    if (series !== null) yield { series: series.index, rawValue, ageMs };
  }
}

/** Clipped to what a sample can carry: a URL may say a bitrate that a virtual bus isn't bound to. */
function rawValueOf(quantity: BusQuantity, value: number): number {
  const { scale, valueType } = BUS_SIGNALS[quantity];
  const { min, max } = rawValueRange(valueType);
  return Math.min(max, Math.max(min, toRaw(value, scale)));
}

export interface BusFigureRecorderOptions {
  readonly intervalMs: number;
  readonly buses: readonly { readonly bus: MeasuredBus; readonly signals: BusFigureSignals }[];
  /** Takes what all buses came to. */
  readonly onSamples: (samples: readonly FigureSample[]) => void;
}

/** A bus that could be heard for less than this part of an interval is told of with the next: a few frames make no mean. */
const SPAN_LEAST_SHARE = 0.5;

/** Measures buses once an interval: what each came to since the last time. */
export class BusFigureRecorder {
  readonly #options: BusFigureRecorderOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BusFigureRecorderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tell(), this.#options.intervalMs).unref();
  }

  /** Tells how long it was as it was told last. */
  stop(): void {
    clearInterval(this.#timer);
    const nowMs = performance.now();
    this.#pass(this.#options.buses.flatMap(({ signals }) => [...signals.end(nowMs)]));
  }

  #tell(): void {
    const { intervalMs, buses } = this.#options;
    const nowMs = performance.now();
    const leastMs = intervalMs * SPAN_LEAST_SHARE;
    this.#pass(buses.flatMap(({ bus, signals }) => [...signals.samplesAt(nowMs, bus.takeFigures(leastMs))]));
  }

  #pass(samples: readonly FigureSample[]): void {
    if (samples.length > 0) this.#options.onSamples(samples);
  }
}
