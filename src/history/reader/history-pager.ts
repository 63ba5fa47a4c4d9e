import type { SeriesRecord } from '../../protocol/series-table.ts';
import { indexOfSeq, type Run, type RunSamples, type WantedSeries } from '../blocks/sample-runs.ts';
import type { HistoryFilter, HistoryPage, HistoryQuery, SampleFormat } from '../history-query.ts';
import { packColumns } from '../sample-columns.ts';
import { SampleWriter } from './sample-writer.ts';

/** Makes pages of samples as text. */
export class HistoryPager {
  readonly #series: readonly SeriesRecord[];
  readonly #writers: Readonly<Record<SampleFormat, SampleWriter>>;

  /** `series` may grow. */
  constructor(series: readonly SeriesRecord[]) {
    this.#series = series;
    const writer = (format: SampleFormat) => new SampleWriter(format, (index) => series[index]!);
    this.#writers = { json: writer('json'), ndjson: writer('ndjson'), csv: writer('csv') };
  }

  /**
   * The page of a query from runs in its direction. It is the answer to the whole history if these are all of it,
   * or if there is a next page: then what is older (or newer) than they are has no part in it. Text is written into
   * `memory`, if that is given and long enough.
   */
  page(query: HistoryQuery, runs: Iterable<Run>, memory?: ArrayBuffer): HistoryPage {
    const wanted = wantedSeries(this.#series, query);
    const fromUs = query.fromUs ?? Number.NEGATIVE_INFINITY;
    const toUs = query.toUs ?? Number.POSITIVE_INFINITY;
    const page = query.format === 'columns' ? new ColumnsWriter() : this.#writers[query.format];
    page.begin(query.limit, memory);
    let toSkip = query.offset;
    let lastSeq: number | null = null;
    let nextCursor: number | null = null;

    search: for (const run of wanted.isNothing ? [] : runs) {
      if (run.maxTimestampUs < fromUs || run.minTimestampUs > toUs || isOutside(run, query)) continue;
      const isWhole = run.minTimestampUs >= fromUs && run.maxTimestampUs <= toUs && isWithin(run, query);
      if (toSkip > 0 && isWhole) {
        const count = wanted.isEverything ? run.count : run.countOf?.(wanted);
        if (count !== undefined && count <= toSkip) {
          toSkip -= count;
          continue;
        }
      }
      for (const part of run.parts?.(query.order) ?? [run]) {
        if (isOutside(part, query)) continue;
        const samples = part.read(wanted);
        const { timestampUs, rawValue, series } = samples;
        const { start, end, step } = range(samples, query);
        for (let at = start; at !== end; at += step) {
          const sampleSeries = series[at]!;
          const sampleUs = timestampUs[at]!;
          if (wanted.bySeries[sampleSeries] !== 1 || sampleUs < fromUs || sampleUs > toUs) continue;
          if (toSkip > 0) {
            toSkip--;
            continue;
          }
          if (page.count === query.limit) {
            // One sample more than was asked for: there is a next page.
            nextCursor = lastSeq;
            break search;
          }
          lastSeq = seqAt(samples, at);
          page.add(sampleSeries, lastSeq, sampleUs, rawValue[at]!);
        }
      }
    }
    const { count } = page;
    return { text: page.end(), count, nextCursor };
  }
}

/** Samples as columns. */
class ColumnsWriter {
  readonly #columns = {
    timestampUs: [] as number[],
    rawValue: [] as number[],
    seq: [] as number[],
    series: [] as number[],
  };

  get count(): number {
    return this.#columns.seq.length;
  }

  begin(): void {}

  add(series: number, seq: number, timestampUs: number, rawValue: number): void {
    const columns = this.#columns;
    columns.timestampUs.push(timestampUs);
    columns.rawValue.push(rawValue);
    columns.seq.push(seq);
    columns.series.push(series);
  }

  end(): Uint8Array {
    return packColumns(this.#columns, 0, this.count);
  }
}

/** Which series pass the filter. */
function wantedSeries(
  all: readonly SeriesRecord[],
  filter: HistoryFilter,
): WantedSeries & { readonly isNothing: boolean } {
  const bySeries = new Uint8Array(all.length);
  let wanted = 0;
  for (const series of all) {
    if (!passes(series, filter)) continue;
    bySeries[series.index] = 1;
    wanted++;
  }
  const { componentType, componentId, commandId, messageType, bus } = filter;
  const only = filter.series === undefined ? null : Buffer.from(filter.series).toString('latin1');
  const key = JSON.stringify([componentType, componentId, commandId, messageType, bus, only, all.length]);
  return { bySeries, isEverything: wanted === all.length, isNothing: wanted === 0, key };
}

export function passes(series: SeriesRecord, filter: HistoryFilter): boolean {
  return (
    (filter.componentType ?? series.componentType) === series.componentType &&
    (filter.componentId ?? series.componentId) === series.componentId &&
    (filter.commandId ?? series.commandId) === series.commandId &&
    (filter.messageType ?? series.messageType) === series.messageType &&
    (filter.bus ?? series.bus) === series.bus &&
    (filter.series === undefined || filter.series[series.index] === 1)
  );
}

/** Whether the cursor, and the last number to be looked at, leave all of a run. */
function isWithin({ firstSeq, lastSeq }: Run, query: HistoryQuery): boolean {
  const { after, before } = bounds(query);
  return firstSeq > after && lastSeq < before;
}

/** Whether they leave nothing of it. */
function isOutside({ firstSeq, lastSeq }: Run, query: HistoryQuery): boolean {
  const { after, before } = bounds(query);
  return lastSeq <= after || firstSeq >= before;
}

/** Both exclusive. */
function bounds({ order, cursor, lastSeq = Number.POSITIVE_INFINITY }: HistoryQuery) {
  return order === 'desc'
    ? { after: Number.NEGATIVE_INFINITY, before: Math.min(cursor ?? Number.POSITIVE_INFINITY, lastSeq + 1) }
    : { after: cursor ?? Number.NEGATIVE_INFINITY, before: lastSeq + 1 };
}

/** The samples of a run that the cursor leaves, as indexes in the query's direction. */
function range(samples: RunSamples, query: HistoryQuery): { start: number; end: number; step: 1 | -1 } {
  const { after, before } = bounds(query);
  const first = indexOfSeq(samples, after + 1);
  const end = Math.max(first, indexOfSeq(samples, before));
  return query.order === 'desc'
    ? { start: end - 1, end: first - 1, step: -1 }
    : { start: first, end, step: 1 };
}

function seqAt({ seq, firstSeq }: RunSamples, index: number): number {
  return seq === null ? firstSeq + index : seq[index]!;
}
