import type { Series, SeriesKey, SeriesTable } from './series-table.ts';

/**
 * The series of samples of our own, that no frame brings: the one of an earlier run where the protocol still says the
 * same of it, else a new one; null where there is no room for it. It looks through them all: to be asked once each.
 */
export function ownSeries(table: SeriesTable, key: SeriesKey): Series | null {
  const names = Object.keys(key) as (keyof SeriesKey)[];
  const isOfKey = (series: Series) => series.isCurrent && names.every((name) => series[name] === key[name]);
  return table.since(0).find(isOfKey) ?? table.add(key);
}
