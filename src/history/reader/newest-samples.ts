import type { DatabaseSync } from 'node:sqlite';
import type { SeriesRecord, SeriesTable } from '../../protocol/series-table.ts';
import { decodeChunk } from '../blocks/chunk-codec.ts';
import { chunkName, type Run, type RunSamples, type WholeChunkRow } from '../blocks/sample-runs.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import type { HistoryPage, HistoryQuery } from '../history-query.ts';
import { HistoryPager } from './history-pager.ts';

/** Columns of samples in the order of their arrival. */
export interface SampleColumns {
  readonly timestampUs: Float64Array;
  readonly rawValue: Float64Array;
  readonly series: Uint32Array | Uint16Array;
}

/** The same with their sequence numbers. */
export interface NewestColumns extends SampleColumns {
  readonly seq: Float64Array;
}

/**
 * The newest samples of the history, at least so many and at most twice as many: what most questions are
 * about, without a way to another thread and back. Two sets of columns take turns; the older one is emptied
 * when the newer one is full.
 */
export class NewestSamples {
  readonly #capacity: number;
  readonly #table: SeriesTable;
  readonly #series: SeriesRecord[] = [];
  readonly #pager = new HistoryPager(this.#series);
  #older: Columns;
  #newer: Columns;

  constructor(capacity: number, table: SeriesTable) {
    this.#capacity = capacity;
    this.#table = table;
    this.#older = new Columns(capacity);
    this.#newer = new Columns(capacity);
  }

  get count(): number {
    return this.#older.count + this.#newer.count;
  }

  /** Adds samples that follow those that are there, with these numbers or with those from `firstSeq` on. */
  add(samples: SampleColumns, seqs: Float64Array | number): void {
    const { length } = samples.timestampUs;
    // Of many, the newest are enough.
    let at = Math.max(0, length - 2 * this.#capacity);
    while (at < length) {
      if (this.#newer.count === this.#capacity) this.#turn();
      at = this.#newer.append(samples, seqs, at);
    }
  }

  #turn(): void {
    [this.#older, this.#newer] = [this.#newer, this.#older];
    this.#newer.count = 0;
  }

  /** Moves the timestamps of the samples from a sequence number on. */
  shift(fromSeq: number, shiftUs: number): void {
    this.#older.shift(fromSeq, shiftUs);
    this.#newer.shift(fromSeq, shiftUs);
  }

  /** Forgets all: what is there may no longer be what the history holds. */
  forget(): void {
    this.#older.count = 0;
    this.#newer.count = 0;
  }

  /**
   * The page of a query that asks for the newest samples first, from these and those that follow them; null where more may
   * have a part in it.
   */
  page(query: HistoryQuery, following: Omit<RunSamples, 'seq'>): HistoryPage | null {
    const isWithin = query.order === 'desc' && query.offset + query.limit < this.count + following.count;
    if (!isWithin) return null;
    this.#series.push(...this.#table.since(this.#series.length));
    const { cursor = Number.MAX_SAFE_INTEGER } = query;
    const runs = [runOf({ ...following, seq: null }), this.#newer.run(), this.#older.run()];
    const page = this.#pager.page(
      query,
      runs.filter(({ firstSeq, count }) => count > 0 && firstSeq < cursor),
    );
    return page.nextCursor === null ? null : page;
  }
}

/** The newest samples that are stored, up to the first that can't be read. */
export function readNewest(database: DatabaseSync, samples: number, onDamage: OnDamage): NewestColumns {
  const rows = database
    .prepare('SELECT first_seq, count, base_timestamp_us, samples FROM chunks ORDER BY first_seq DESC')
    .iterate();
  const runs: { readonly firstSeq: number; readonly columns: SampleColumns }[] = [];
  let count = 0;
  for (const row of rows) {
    const {
      first_seq: firstSeq,
      count: ofChunk,
      base_timestamp_us,
      samples: chunk,
    } = row as unknown as WholeChunkRow;
    const columns = readable(chunkName(firstSeq, ofChunk), onDamage, () =>
      decodeChunk(chunk, ofChunk, base_timestamp_us),
    );
    if (columns === null) break;
    runs.unshift({ firstSeq, columns });
    count += ofChunk;
    if (count >= samples) break;
  }
  const newest = {
    seq: new Float64Array(count),
    timestampUs: new Float64Array(count),
    rawValue: new Float64Array(count),
    series: new Uint32Array(count),
  };
  let at = 0;
  for (const { firstSeq, columns } of runs) {
    newest.timestampUs.set(columns.timestampUs, at);
    newest.rawValue.set(columns.rawValue, at);
    newest.series.set(columns.series, at);
    for (let index = 0; index < columns.series.length; index++) newest.seq[at++] = firstSeq + index;
  }
  return newest;
}

function runOf(samples: RunSamples): Run {
  const { firstSeq, count, seq } = samples;
  return {
    firstSeq,
    lastSeq: seq?.[count - 1] ?? firstSeq + count - 1,
    count,
    // Not worth looking for.
    minTimestampUs: Number.NEGATIVE_INFINITY,
    maxTimestampUs: Number.POSITIVE_INFINITY,
    read: () => samples,
  };
}

class Columns {
  readonly #seq: Float64Array;
  readonly #timestampUs: Float64Array;
  readonly #rawValue: Float64Array;
  readonly #series: Uint32Array;
  count = 0;

  constructor(capacity: number) {
    this.#seq = new Float64Array(capacity);
    this.#timestampUs = new Float64Array(capacity);
    this.#rawValue = new Float64Array(capacity);
    this.#series = new Uint32Array(capacity);
  }

  /** Appends samples from an index on until the columns are full; returns the index of the next. */
  append(samples: SampleColumns, seqs: Float64Array | number, from: number): number {
    const { timestampUs, rawValue, series } = samples;
    const end = Math.min(timestampUs.length, from + this.#seq.length - this.count);
    this.#timestampUs.set(timestampUs.subarray(from, end), this.count);
    this.#rawValue.set(rawValue.subarray(from, end), this.count);
    this.#series.set(series.subarray(from, end), this.count);
    for (let at = from; at < end; at++) {
      this.#seq[this.count++] = typeof seqs === 'number' ? seqs + at : seqs[at]!;
    }
    return end;
  }

  shift(fromSeq: number, shiftUs: number): void {
    for (let at = 0; at < this.count; at++) if (this.#seq[at]! >= fromSeq) this.#timestampUs[at]! += shiftUs;
  }

  run(): Run {
    const { count } = this;
    return runOf({
      count,
      seq: this.#seq.subarray(0, count),
      firstSeq: this.#seq[0] ?? 0,
      timestampUs: this.#timestampUs.subarray(0, count),
      rawValue: this.#rawValue.subarray(0, count),
      series: this.#series.subarray(0, count),
    });
  }
}
