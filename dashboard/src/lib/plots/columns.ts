import type { TimeRing } from '../time-ring.ts';
import type { Past } from './past.ts';

/**
 * What a plot draws: columns over one axis of time. A value that isn't there because another signal was sampled then is
 * undefined, and the line goes on over it; null ends the line, as nobody knows how it went on.
 */
export type Column = (number | null | undefined)[];

export interface PlotColumns {
  readonly times: number[];
  readonly signals: readonly { readonly least: Column; readonly greatest: Column; readonly last: Column }[];
  /** Whether each value is a sample; else each is what the samples of a span come to. */
  readonly isSamples: boolean;
}

export interface PlotSource {
  /** Samples since the page asked for them; null where it hasn't. */
  readonly ring: TimeRing | null;
  readonly past: Past | null;
  /** A longer silence than that ends the line ... */
  readonly silenceS: number;
  /** ... but not from 0 on, where nothing is told while it stays so. */
  readonly staysAtZero: boolean;
  /** Shown is value * factor + offset. */
  readonly factor: number;
  readonly offset: number;
}

/** Up to so many samples by pixel are drawn one by one. */
const SAMPLES_PER_PIXEL_MAX = 0.75;
/** A span for each so many pixels: finer is not to be seen. */
const PIXELS_PER_SPAN = 1.5;

/** A line that ends does so after its last sample; all that follows up to the next one has to be null for uPlot. */
const AT_ONCE_S = 1e-6;
const ENDED: readonly [null, null, null] = [null, null, null];

/** Calls for each sample or span of the source in the time shown, and for one beside it at either end. */
function visit(
  { ring, past }: PlotSource,
  fromS: number,
  toS: number,
  take: (timeS: number, least: number, greatest: number, last: number) => void,
): void {
  const ringFromS = ring === null || ring.length === 0 ? Number.POSITIVE_INFINITY : ring.firstTime;
  if (past !== null) {
    const { times, least, greatest, last } = past;
    const first = Math.max(0, lowerBound(times, fromS) - 1);
    for (let at = first; at < times.length; at++) {
      const timeS = times[at]!;
      if (timeS >= ringFromS) break;
      take(timeS, least[at]!, greatest[at]!, last[at]!);
      if (timeS > toS) return;
    }
  }
  if (ring === null) return;
  const first = Math.max(0, ring.indexFrom(fromS) - 1);
  for (let at = first; at < ring.length; at++) {
    const timeS = ring.timeAt(at);
    const value = ring.valueAt(at);
    take(timeS, value, value, value);
    if (timeS > toS) return;
  }
}

function lowerBound(times: Float64Array, timeS: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < timeS) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many samples or spans of the source are in the time shown. */
function countIn({ ring, past }: PlotSource, fromS: number, toS: number): number {
  const ringFromS = ring === null || ring.length === 0 ? Number.POSITIVE_INFINITY : ring.firstTime;
  const ofPast =
    past === null
      ? 0
      : lowerBound(past.times, Math.min(toS, ringFromS)) - lowerBound(past.times, Math.min(fromS, ringFromS));
  return ofPast + (ring === null ? 0 : ring.indexFrom(toS) - ring.indexFrom(fromS));
}

export function makeColumns(
  sources: readonly PlotSource[],
  fromS: number,
  toS: number,
  widthPx: number,
): PlotColumns {
  const most = sources.reduce((sum, source) => sum + countIn(source, fromS, toS), 0);
  return most <= widthPx * SAMPLES_PER_PIXEL_MAX * Math.max(1, Math.sqrt(sources.length))
    ? sampleColumns(sources, fromS, toS)
    : spanColumns(sources, fromS, toS, widthPx);
}

/** Whether there is nothing to be seen in the time shown. */
export function isBlank({ times, signals }: PlotColumns, fromS: number, toS: number): boolean {
  const isShown = (value: number | null | undefined, at: number) =>
    value != null && times[at]! >= fromS && times[at]! <= toS;
  return !signals.some(({ last }) => last.some(isShown));
}

/** The last value that is there by then. */
export function lastUpTo(times: readonly number[], column: Column, toS: number): number | null {
  for (let at = times.length - 1; at >= 0; at--) {
    const value = column[at];
    if (times[at]! <= toS && value != null) return value;
  }
  return null;
}

/** Every sample, over the times of all of them. */
function sampleColumns(sources: readonly PlotSource[], fromS: number, toS: number): PlotColumns {
  const all = new Set<number>();
  const bySource = sources.map((source) => {
    const points = new Map<number, readonly [number | null, number | null, number | null]>();
    let beforeS = Number.NaN;
    let isStill = false;
    const limitS = Math.max(source.silenceS, 1.5 * (source.past?.stepS ?? 0));
    visit(source, fromS, toS, (timeS, least, greatest, last) => {
      if (timeS - beforeS > limitS && !isStill) points.set(beforeS + AT_ONCE_S, ENDED);
      isStill = source.staysAtZero && last === 0;
      const { factor, offset } = source;
      points.set(timeS, [least * factor + offset, greatest * factor + offset, last * factor + offset]);
      beforeS = timeS;
    });
    for (const timeS of points.keys()) all.add(timeS);
    return points;
  });
  const times = [...all].sort((left, right) => left - right);
  const column = (points: Map<number, readonly (number | null)[]>, which: number): Column => {
    let isEnded = false;
    return times.map((timeS) => {
      const point = points.get(timeS);
      if (point === undefined) return isEnded ? null : undefined;
      isEnded = point === ENDED;
      return point[which];
    });
  };
  return {
    times,
    signals: bySource.map((points) => ({
      least: column(points, 0),
      greatest: column(points, 1),
      last: column(points, 2),
    })),
    isSamples: sources.every(({ past }) => past === null || past.stepS === 0),
  };
}

/**
 * What the samples of equal spans come to. The spans begin at multiples of their length, so that they hold the same
 * samples in each frame of a plot that moves along.
 */
function spanColumns(
  sources: readonly PlotSource[],
  fromS: number,
  toS: number,
  widthPx: number,
): PlotColumns {
  const stepS = niceStep(((toS - fromS) * PIXELS_PER_SPAN) / widthPx);
  const first = Math.floor(fromS / stepS) - 1;
  const count = Math.ceil(toS / stepS) - first + 1;
  const times = Array.from({ length: count }, (_, at) => (first + at + 0.5) * stepS);
  const signals = sources.map((source) => {
    const { factor, offset } = source;
    const least: Column = new Array(count).fill(undefined);
    const greatest: Column = new Array(count).fill(undefined);
    const last: Column = new Array(count).fill(undefined);
    let beforeS = Number.NaN;
    let isStill = false;
    const limitS = Math.max(source.silenceS, 1.5 * (source.past?.stepS ?? 0), 2 * stepS);
    visit(source, fromS, toS, (timeS, low, high, newest) => {
      const at = Math.floor(timeS / stepS) - first;
      if (timeS - beforeS > limitS && !isStill) {
        const from = Math.max(0, Math.floor(beforeS / stepS) - first + 1);
        for (let between = from; between < Math.min(at, count); between++) {
          least[between] = greatest[between] = last[between] = null;
        }
      }
      beforeS = timeS;
      isStill = source.staysAtZero && newest === 0;
      if (at < 0 || at >= count) return;
      const [shownLow, shownHigh] = [low * factor + offset, high * factor + offset];
      const [knownLow, knownHigh] = [least[at], greatest[at]];
      if (knownLow == null || shownLow < knownLow) least[at] = shownLow;
      if (knownHigh == null || shownHigh > knownHigh) greatest[at] = shownHigh;
      last[at] = newest * factor + offset;
    });
    return { least, greatest, last };
  });
  return { times, signals, isSamples: false };
}

/** The least of 1, 2, 5, 10 ... that is as long at least. */
function niceStep(stepS: number): number {
  const power = 10 ** Math.floor(Math.log10(stepS));
  const factor = [1, 2, 5, 10].find((each) => each * power >= stepS * 0.999) ?? 10;
  return factor * power;
}
