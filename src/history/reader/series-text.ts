import { physicalConversion } from '../../protocol/physical-value.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import type { GapEntry } from './gap-reader.ts';
import type { SignalBuckets, Spans } from './signal-buckets.ts';

/** Series of a signal whose raw values mean the same, and what their samples come to. */
export interface AlikeSeries {
  readonly series: readonly SeriesRecord[];
  readonly buckets: SignalBuckets;
}

/** The series of a signal by what their raw values mean, which changes when its definition does; the latest last. */
export function alike(all: readonly SeriesRecord[]): readonly (readonly SeriesRecord[])[] {
  const groups = Map.groupBy(all, ({ definition: { unit, scale } }) => `${scale} ${unit}`);
  return [...groups.values()].sort((left, right) => left.at(-1)!.index - right.at(-1)!.index);
}

/**
 * Writes the answer to a series query: columns, one number for each span of time, null where it has no
 * sample. A signal is told in the unit of the latest of its series that has samples there; those of another unit are
 * left out. One that was never heard has none.
 */
export function seriesText(
  { fromUs, toUs, points }: Spans,
  signals: readonly (readonly AlikeSeries[])[],
  gaps: readonly GapEntry[],
): string {
  const stepUs = (toUs - fromUs) / points;
  const timestamps = Array.from(
    { length: points },
    (_, place) => Math.round(fromUs + place * stepUs) / 1_000_000,
  );
  return JSON.stringify({
    from: fromUs / 1_000_000,
    to: toUs / 1_000_000,
    step_s: stepUs / 1_000_000,
    timestamps,
    signals: signals.map((groups) => signalReply(groups, points)),
    gaps,
  });
}

function signalReply(groups: readonly AlikeSeries[], points: number) {
  const latest = groups.findLast(({ buckets }) => buckets.count.some((count) => count > 0)) ?? groups.at(-1);
  const definition = latest?.series.at(-1)?.definition;
  const unit = definition?.unit ?? null;
  const told = groups.filter(({ series }) => series[0]!.definition.unit === unit);
  return { unit, value_names: definition?.valueNames ?? null, ...physicalColumns(told, points) };
}

/** What the groups come to together, in their unit. */
function physicalColumns(groups: readonly AlikeSeries[], points: number) {
  const count: number[] = new Array(points).fill(0);
  const min: (number | null)[] = new Array(points).fill(null);
  const max: (number | null)[] = new Array(points).fill(null);
  const mean: (number | null)[] = new Array(points).fill(null);
  const last: (number | null)[] = new Array(points).fill(null);
  const lastUs = new Float64Array(points).fill(Number.NEGATIVE_INFINITY);
  for (const { series, buckets } of groups) {
    const { toPhysical } = physicalConversion(series[0]!.definition.scale);
    for (let place = 0; place < points; place++) {
      const samples = buckets.count[place]!;
      if (samples === 0) continue;
      const before = count[place]!;
      const all = before + samples;
      const [least, greatest] = [toPhysical(buckets.min[place]!), toPhysical(buckets.max[place]!)];
      const average = toPhysical(buckets.sum[place]! / samples);
      min[place] = before === 0 ? least : Math.min(min[place]!, least);
      max[place] = before === 0 ? greatest : Math.max(max[place]!, greatest);
      mean[place] = before === 0 ? average : (mean[place]! * before + average * samples) / all;
      count[place] = all;
      if (buckets.lastUs[place]! < lastUs[place]!) continue;
      lastUs[place] = buckets.lastUs[place]!;
      last[place] = toPhysical(buckets.last[place]!);
    }
  }
  return { count, min, max, mean, last };
}
