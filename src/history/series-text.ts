import { type PhysicalConversion, physicalConversion } from '../protocol/physical-value.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import type { GapEntry } from './gap-reader.ts';
import type { SignalBuckets, Spans } from './signal-buckets.ts';

/**
 * Writes the answer to a series query: columns, one number for each span of time, null where it has no
 * sample. A signal is told in the unit of its latest series; one that was never heard has none.
 */
export function seriesText(
  { fromUs, toUs, points }: Spans,
  signals: readonly (readonly SeriesRecord[])[],
  buckets: readonly SignalBuckets[],
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
    signals: signals.map((series, signal) => signalReply(series.at(-1), buckets[signal]!)),
    gaps,
  });
}

function signalReply(series: SeriesRecord | undefined, { count, min, max, sum, last }: SignalBuckets) {
  const { toPhysical } = physicalConversion(series?.definition.scale ?? 1);
  const column = (valueAt: (place: number) => number) => physicalColumn(count, valueAt, toPhysical);
  return {
    unit: series?.definition.unit ?? null,
    value_names: series?.definition.valueNames ?? null,
    count: [...count],
    min: column((place) => min[place]!),
    max: column((place) => max[place]!),
    mean: column((place) => sum[place]! / count[place]!),
    last: column((place) => last[place]!),
  };
}

function physicalColumn(
  count: Float64Array,
  rawValueAt: (place: number) => number,
  toPhysical: PhysicalConversion['toPhysical'],
): (number | null)[] {
  return Array.from(count, (samples, place) => (samples === 0 ? null : toPhysical(rawValueAt(place))));
}
