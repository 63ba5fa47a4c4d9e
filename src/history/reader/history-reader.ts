import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { wallClockUs } from '../../shared/clock.ts';
import { COLUMN_PAGE_SAMPLES_MAX, GAPS_MAX } from '../../shared/limits.ts';
import { BlockReader } from '../blocks/block-reader.ts';
import { type Run, SampleRuns } from '../blocks/sample-runs.ts';
import type { OnDamage } from '../database/damage.ts';
import { SELECT_SERIES, type SeriesRow, seriesOfRow } from '../database/series-rows.ts';
import type { GapQuery } from '../gap.ts';
import type {
  ColumnsPage,
  ColumnsQuery,
  HistoryPage,
  HistoryQuery,
  SeriesQuery,
  SignalKey,
} from '../history-query.ts';
import { BucketReader, plotSpans } from './bucket-reader.ts';
import { ColumnReader, type ColumnSpan } from './column-reader.ts';
import { GapReader } from './gap-reader.ts';
import { HistoryPager, passes } from './history-pager.ts';
import { SampleTail, tailRun, upToUnknownSeries } from './sample-tail.ts';
import { alike, seriesText } from './series-text.ts';

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
  readonly #pager = new HistoryPager(this.#series);

  /** Reads what is stored and what is in the tail; damage that it meets is told and passed over. */
  constructor(
    database: DatabaseSync,
    tail = new SampleTail([]),
    onDamage: OnDamage = () => {},
    columnPageSamplesMax = COLUMN_PAGE_SAMPLES_MAX,
    partSamples?: number,
  ) {
    this.#database = database;
    this.#tail = tail;
    this.#nextSeq = database.prepare('SELECT next_seq FROM totals');
    this.#blocks = new BlockReader(database, onDamage);
    this.#runs = new SampleRuns(database, this.#blocks, onDamage, partSamples);
    this.#buckets = new BucketReader(database, this.#runs, this.#blocks, onDamage);
    this.#columns = new ColumnReader(database, this.#blocks, onDamage, columnPageSamplesMax);
    this.#gaps = new GapReader(database);
    this.#seriesSince = database.prepare(`${SELECT_SERIES} WHERE id >= ? ORDER BY id`);
  }

  /** Tells of series that may not be stored yet; each is told once, in the order of their indexes. */
  addSeries(series: readonly SeriesRecord[]): void {
    for (const record of series) if (record.index === this.#series.length) this.#series.push(record);
  }

  /** A page of samples; its text is written into `memory`, if that is given and long enough. */
  page(query: HistoryQuery, memory?: ArrayBuffer): HistoryPage {
    return this.#inSnapshot((tail) => this.#pager.page(query, this.#runsOf(query, tail), memory));
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
      const { messageType, bus } = query;
      // By name, so that a signal that is asked for twice is read once.
      const groups = new Map(
        query.signals.map((signal) => [
          nameOf(signal),
          alike(this.#series.filter((series) => passes(series, { ...signal, messageType, bus }))),
        ]),
      );
      const spans = plotSpans(query);
      const indexes = [...groups.values()].flat().map((all) => all.map(({ index }) => index));
      const buckets = this.#buckets.read(indexes, spans, tail, this.#series.length).values();
      const read = new Map(
        groups
          .entries()
          .map(([name, all]) => [name, all.map((series) => ({ series, buckets: buckets.next().value! }))]),
      );
      const signals = query.signals.map((signal) => read.get(nameOf(signal))!);
      const { fromUs, toUs } = spans;
      const gaps = this.#gaps.read(
        { bus: query.bus, fromUs, toUs: toUs - 1, limit: GAPS_MAX },
        wallClockUs(),
      );
      return encoder.encode(seriesText(spans, signals, gaps));
    });
  }

  /** Every sample of a signal over a span of time, a page at a time; into the columns of an earlier page, if one is given. */
  columns({ signal, messageType, bus, ...span }: ColumnsQuery, reuse?: ColumnsPage): ColumnsPage {
    const filter = { ...signal, messageType, bus };
    return this.columnsOf((series) => passes(series, filter), span, reuse);
  }

  /** Every sample of the series that are wanted, a page at a time. */
  columnsOf(isWanted: (series: SeriesRecord) => boolean, span: ColumnSpan, reuse?: ColumnsPage): ColumnsPage {
    return this.#inSnapshot((tail) => {
      const indexes = this.#series.filter(isWanted).map(({ index }) => index);
      return this.#columns.page(indexes, span, tail, this.#series.length, reuse);
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
      this.#blocks.begin();
      this.#learnSeries();
      const { next_seq } = this.#nextSeq.get() as { next_seq: number };
      const unstored = copies.filter(({ firstSeq }) => firstSeq >= next_seq);
      return answer(upToUnknownSeries(unstored, this.#series.length).map(tailRun));
    } finally {
      this.#blocks.end();
      this.#database.exec('ROLLBACK');
    }
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

const encoder = new TextEncoder();

function nameOf({ componentType, componentId, commandId }: SignalKey): string {
  return `${componentType}/${componentId}/${commandId}`;
}
