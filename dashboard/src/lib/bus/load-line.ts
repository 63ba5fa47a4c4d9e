import type { GapReply, SeriesReply } from '../../../../src/client/index.ts';
import { LOAD_POINTS_MAX, LOAD_STEP_S } from '../limits.ts';
import { TimeRing } from '../time-ring.ts';

/** Why a bus wasn't heard; what the other causes cost are samples. */
const CAUSES_UNHEARD: readonly GapReply['cause'][] = ['bus_down', 'bus_off', 'service_down'];

/** How loaded one bus was, as a line over time: NaN ends it, as nobody knows how it went on. */
export class LoadLine {
  readonly ring = new TimeRing(LOAD_POINTS_MAX);
  /** Since when the bus isn't heard. What came before that may still follow. */
  #endedS: number | null = null;

  get isEnded(): boolean {
    return this.#endedS !== null;
  }

  /** What comes sooner than can be seen is left out. */
  take(timeS: number, value: number): void {
    if (this.#endedS !== null && timeS > this.#endedS) {
      this.ring.push(this.#endedS, Number.NaN);
      this.#endedS = null;
    } else if (timeS - this.ring.lastTime < LOAD_STEP_S) {
      return;
    }
    this.ring.push(timeS, value);
  }

  /** From then on the bus isn't heard. */
  end(timeS: number): void {
    if (this.ring.length > 0) this.#endedS ??= timeS;
  }

  clear(): void {
    this.ring.clear();
    this.#endedS = null;
  }

  /** What was before, as /api/series tells a signal of the bus; what has come since stays behind it. */
  takePast(bus: string, { timestamps, step_s, signals, gaps }: SeriesReply, index: number): void {
    const { mean } = signals[index]!;
    const points = timestamps.flatMap((timeS, at): Point[] => {
      const value = mean[at];
      return value == null ? [] : [{ timeS: timeS + step_s / 2, value }];
    });
    const ends = gaps
      .filter((gap) => isUnheard(gap, bus))
      .map(({ from, to }): Point => ({ timeS: (from + to) / 2, value: Number.NaN }));
    const past = [...points, ...ends].sort((left, right) => left.timeS - right.timeS);
    const since = Array.from(
      { length: this.ring.length },
      (_, at): Point => ({ timeS: this.ring.timeAt(at), value: this.ring.valueAt(at) }),
    );
    if (this.#endedS !== null) since.push({ timeS: this.#endedS, value: Number.NaN });
    this.clear();
    for (const { timeS, value } of [...past, ...since]) {
      if (Number.isNaN(value)) this.end(timeS);
      else this.take(timeS, value);
    }
  }
}

interface Point {
  readonly timeS: number;
  readonly value: number;
}

function isUnheard({ bus, cause }: GapReply, name: string): boolean {
  return CAUSES_UNHEARD.includes(cause) && (bus === null || bus === name);
}

/** A part of a line: the indexes of its first point and of the one behind its last. */
export type Stretch = readonly [from: number, to: number];

/** The parts of a line that are drawn by themselves, from the point before `fromS` on. */
export function stretchesOf(ring: TimeRing, fromS: number): Stretch[] {
  const stretches: Stretch[] = [];
  let start = Math.max(0, ring.indexFrom(fromS) - 1);
  for (let at = start; at <= ring.length; at++) {
    if (at < ring.length && !Number.isNaN(ring.valueAt(at))) continue;
    if (at > start) stretches.push([start, at]);
    start = at + 1;
  }
  return stretches;
}
