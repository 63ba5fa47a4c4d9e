import type { SeriesRecord } from '../protocol/series-table.ts';
import type { HistoryFilter, HistoryPage, HistoryQuery, SampleFormat } from './history-query.ts';
import type { Run, RunSamples, WantedSeries } from './sample-runs.ts';
import { sampleWriter, type WriteSample } from './sample-writer.ts';

const SEPARATOR = { json: ',', ndjson: '\n', csv: '\n' } as const;

/** Makes pages of samples as text. */
export class HistoryPager {
  readonly #series: readonly SeriesRecord[];
  /** By series: what all its samples have in common is turned into text once. */
  readonly #writers: Record<SampleFormat, (WriteSample | undefined)[]> = { json: [], ndjson: [], csv: [] };

  /** `series` may grow. */
  constructor(series: readonly SeriesRecord[]) {
    this.#series = series;
  }

  /**
   * The page of a query from runs in its direction. It is the answer to the whole history if these are all of it,
   * or if there is a next page: then what is older (or newer) than they are has no part in it.
   */
  page(query: HistoryQuery, runs: Iterable<Run>): HistoryPage {
    const wanted = wantedSeries(this.#series, query);
    const fromUs = query.fromUs ?? Number.NEGATIVE_INFINITY;
    const toUs = query.toUs ?? Number.POSITIVE_INFINITY;
    const isWhole =
      wanted.isEverything && fromUs === Number.NEGATIVE_INFINITY && toUs === Number.POSITIVE_INFINITY;
    const writers = this.#writers[query.format];
    const lines: string[] = [];
    let toSkip = query.offset;
    let lastSeq: number | null = null;
    let nextCursor: number | null = null;

    search: for (const run of runs) {
      if (run.maxTimestampUs < fromUs || run.minTimestampUs > toUs) continue;
      if (isWhole && run.count <= toSkip && isWithin(run, query)) {
        toSkip -= run.count;
        continue;
      }
      const samples = run.read(wanted);
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
        if (lines.length === query.limit) {
          // One sample more than was asked for: there is a next page.
          nextCursor = lastSeq;
          break search;
        }
        lastSeq = seqAt(samples, at);
        writers[sampleSeries] ??= sampleWriter(this.#series[sampleSeries]!, query.format);
        lines.push(writers[sampleSeries](lastSeq, sampleUs, rawValue[at]!));
      }
    }
    return { text: encodeLines(lines, query), count: lines.length, nextCursor };
  }
}

/** Which series pass the filter. */
function wantedSeries(all: readonly SeriesRecord[], filter: HistoryFilter): WantedSeries {
  const bySeries = new Uint8Array(all.length);
  let wanted = 0;
  for (const series of all) {
    if (!passes(series, filter)) continue;
    bySeries[series.index] = 1;
    wanted++;
  }
  const { componentType, componentId, commandId, messageType, bus } = filter;
  const key = JSON.stringify([componentType, componentId, commandId, messageType, bus, all.length]);
  return { bySeries, isEverything: wanted === all.length, key };
}

export function passes(series: SeriesRecord, filter: HistoryFilter): boolean {
  return (
    (filter.componentType ?? series.componentType) === series.componentType &&
    (filter.componentId ?? series.componentId) === series.componentId &&
    (filter.commandId ?? series.commandId) === series.commandId &&
    (filter.messageType ?? series.messageType) === series.messageType &&
    (filter.bus ?? series.bus) === series.bus
  );
}

/** Whether the cursor leaves all of a run. */
function isWithin({ firstSeq, lastSeq }: Run, { order, cursor }: HistoryQuery): boolean {
  if (cursor === undefined) return true;
  return order === 'desc' ? lastSeq < cursor : firstSeq > cursor;
}

/** The samples of a run that the cursor leaves, as indexes in the query's direction. */
function range(
  samples: RunSamples,
  { order, cursor }: HistoryQuery,
): { start: number; end: number; step: 1 | -1 } {
  if (order === 'desc') {
    const start = cursor === undefined ? samples.count : indexOfSeq(samples, cursor);
    return { start: start - 1, end: -1, step: -1 };
  }
  return { start: cursor === undefined ? 0 : indexOfSeq(samples, cursor + 1), end: samples.count, step: 1 };
}

/** The index of the first sample whose sequence number is `seq` or more; the count where there is none. */
function indexOfSeq({ seq, firstSeq, count }: RunSamples, wantedSeq: number): number {
  if (seq === null) return Math.min(count, Math.max(0, wantedSeq - firstSeq));
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seq[middle]! < wantedSeq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function seqAt({ seq, firstSeq }: RunSamples, index: number): number {
  return seq === null ? firstSeq + index : seq[index]!;
}

function encodeLines(lines: readonly string[], query: HistoryQuery): Uint8Array {
  const joined = lines.join(SEPARATOR[query.format]);
  if (query.format === 'json') return encoder.encode(`[${joined}]`);
  return encoder.encode(lines.length === 0 ? '' : `${joined}\n`);
}

const encoder = new TextEncoder();
