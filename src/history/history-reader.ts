import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SeriesRecord } from '../protocol/series-table.ts';
import { wallClockUs } from '../shared/clock.ts';
import { COLUMN_PAGE_SAMPLES_MAX, GAPS_MAX } from '../shared/limits.ts';
import { BlockReader } from './block-reader.ts';
import { BucketReader, plotSpans } from './bucket-reader.ts';
import { ColumnReader, type ColumnSpan } from './column-reader.ts';
import type { OnDamage } from './damage.ts';
import type { GapQuery } from './gap.ts';
import { GapReader } from './gap-reader.ts';
import type {
  ColumnsPage,
  ColumnsQuery,
  HistoryFilter,
  HistoryPage,
  HistoryQuery,
  SampleFormat,
  SeriesQuery,
} from './history-query.ts';
import { type Run, type RunSamples, SampleRuns, type WantedSeries } from './sample-runs.ts';
import { SampleTail, tailRun, upToUnknownSeries } from './sample-tail.ts';
import { sampleWriter, type WriteSample } from './sample-writer.ts';
import { SELECT_SERIES, type SeriesRow, seriesOfRow } from './series-rows.ts';
import { seriesText } from './series-text.ts';

const SEPARATOR = { json: ',', ndjson: '\n', csv: '\n' } as const;

/**
 * Answers queries from the database. It holds no transaction between queries, so the writer's log can
 * always be taken over into the database file.
 */
export class HistoryReader {
  readonly #database: DatabaseSync;
  readonly #blocks: BlockReader;
  readonly #runs: SampleRuns;
  readonly #buckets: BucketReader;
  readonly #columns: ColumnReader;
  readonly #gaps: GapReader;
  readonly #seriesSince: StatementSync;
  readonly #nextSeq: StatementSync;
  readonly #tail: SampleTail;
  readonly #series: SeriesRecord[] = [];
  /** By series: what all its samples have in common is turned into text once. */
  readonly #writers: Record<SampleFormat, (WriteSample | undefined)[]> = { json: [], ndjson: [], csv: [] };

  /** Reads what is stored and what is in the tail; damage that it meets is told and passed over. */
  constructor(
    database: DatabaseSync,
    tail = new SampleTail([]),
    onDamage: OnDamage = () => {},
    columnPageSamplesMax = COLUMN_PAGE_SAMPLES_MAX,
  ) {
    this.#database = database;
    this.#tail = tail;
    this.#nextSeq = database.prepare('SELECT next_seq FROM totals');
    this.#blocks = new BlockReader(database, onDamage);
    this.#runs = new SampleRuns(database, this.#blocks, onDamage);
    this.#buckets = new BucketReader(database, this.#runs, this.#blocks, onDamage);
    this.#columns = new ColumnReader(database, this.#blocks, onDamage, columnPageSamplesMax);
    this.#gaps = new GapReader(database);
    this.#seriesSince = database.prepare(`${SELECT_SERIES} WHERE id >= ? ORDER BY id`);
  }

  /** Tells of series that may not be stored yet; each is told once, in the order of their indexes. */
  addSeries(series: readonly SeriesRecord[]): void {
    for (const record of series) if (record.index === this.#series.length) this.#series.push(record);
  }

  page(query: HistoryQuery): HistoryPage {
    return this.#inSnapshot((tail) => this.#page(query, tail));
  }

  /** What there is: all series, and the newest stored sample's number. */
  overview(): { series: readonly SeriesRecord[]; lastSeq: number } {
    return this.#inSnapshot(() => {
      const { next_seq } = this.#nextSeq.get() as { next_seq: number };
      return { series: [...this.#series], lastSeq: next_seq - 1 };
    });
  }

  /** Signals over time, as the JSON text of SeriesSchema. */
  series(query: SeriesQuery): Uint8Array {
    return this.#inSnapshot((tail) => {
      const signals = query.signals.map((signal) =>
        this.#series.filter((series) =>
          passes(series, { ...signal, messageType: query.messageType, bus: query.bus }),
        ),
      );
      const indexes = signals.map((all) => all.map(({ index }) => index));
      const spans = plotSpans(query);
      const buckets = this.#buckets.read(indexes, spans, tail, this.#series.length);
      const { fromUs, toUs } = spans;
      const gaps = this.#gaps.read(
        { bus: query.bus, fromUs, toUs: toUs - 1, limit: GAPS_MAX },
        wallClockUs(),
      );
      return encoder.encode(seriesText(spans, signals, buckets, gaps));
    });
  }

  /** Every sample of a signal over a span of time, a page at a time. */
  columns({ signal, messageType, bus, ...span }: ColumnsQuery): ColumnsPage {
    const filter = { ...signal, messageType, bus };
    return this.columnsOf((series) => passes(series, filter), span);
  }

  /** Every sample of the series that are wanted, a page at a time. */
  columnsOf(isWanted: (series: SeriesRecord) => boolean, span: ColumnSpan): ColumnsPage {
    return this.#inSnapshot((tail) => {
      const indexes = this.#series.filter(isWanted).map(({ index }) => index);
      return this.#columns.page(indexes, span, tail, this.#series.length);
    });
  }

  /** Where samples are missing, as the JSON text of GapsSchema. */
  gaps(query: GapQuery): Uint8Array {
    return encoder.encode(JSON.stringify({ gaps: this.#gaps.read(query, wallClockUs()) }));
  }

  /** One snapshot for the whole answer: what retention or compaction takes away meanwhile is still there. */
  #inSnapshot<T>(answer: (tail: readonly Run[]) => T): T {
    const copies = this.#tail.snapshot();
    this.#database.exec('BEGIN');
    try {
      this.#learnSeries();
      const { next_seq } = this.#nextSeq.get() as { next_seq: number };
      const unstored = copies.filter(({ firstSeq }) => firstSeq >= next_seq);
      return answer(upToUnknownSeries(unstored, this.#series.length).map(tailRun));
    } finally {
      this.#blocks.forget();
      this.#database.exec('ROLLBACK');
    }
  }

  #page(query: HistoryQuery, tail: readonly Run[]): HistoryPage {
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

    search: for (const run of this.#runsOf(query, tail)) {
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

  *#runsOf({ order, cursor }: HistoryQuery, tail: readonly Run[]): Generator<Run> {
    if (order === 'desc') {
      const before = cursor ?? Number.MAX_SAFE_INTEGER;
      yield* tail.filter(({ firstSeq }) => firstSeq < before).reverse();
      yield* this.#runs.before(before);
    } else {
      const after = cursor ?? 0;
      yield* this.#runs.after(after);
      yield* tail.filter(({ lastSeq }) => lastSeq > after);
    }
  }

  #learnSeries(): void {
    const rows = this.#seriesSince.all(this.#series.length) as unknown as SeriesRow[];
    this.addSeries(rows.map(seriesOfRow));
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

function passes(series: SeriesRecord, filter: HistoryFilter): boolean {
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
