import type { HistoryPage } from '../../history/history-query.ts';
import { type NumberedColumns, packColumns, viewColumns } from '../../history/sample-columns.ts';
import type { SampleTexts } from './sample-texts.ts';

/** The samples of a message, without what differs from client to client: made once, written to many. */
export interface SampleBody {
  readonly count: number;
  /** A JSON array. */
  json(): Uint8Array;
  /** Columns as of packColumns(). */
  columns(): Uint8Array;
  /** The series that occur, each once. */
  series(): readonly number[];
}

/** Samples that were looked for, in columns that are used again and again. */
export class GatheredSamples {
  #capacity = 1024;
  timestampUs = new Float64Array(this.#capacity);
  rawValue = new Float64Array(this.#capacity);
  seq = new Float64Array(this.#capacity);
  series = new Uint32Array(this.#capacity);
  count = 0;

  add(series: number, seq: number, timestampUs: number, rawValue: number): void {
    if (this.count === this.#capacity) this.#grow();
    this.timestampUs[this.count] = timestampUs;
    this.rawValue[this.count] = rawValue;
    this.seq[this.count] = seq;
    this.series[this.count] = series;
    this.count++;
  }

  #grow(): void {
    this.#capacity *= 2;
    const { timestampUs, rawValue, seq, series } = this;
    this.timestampUs = new Float64Array(this.#capacity);
    this.rawValue = new Float64Array(this.#capacity);
    this.seq = new Float64Array(this.#capacity);
    this.series = new Uint32Array(this.#capacity);
    this.timestampUs.set(timestampUs);
    this.rawValue.set(rawValue);
    this.seq.set(seq);
    this.series.set(series);
  }
}

/** Gathered samples from one index to before another. It is to be written before others are gathered. */
export class GatheredBody implements SampleBody {
  readonly count: number;
  readonly #gathered: GatheredSamples;
  readonly #start: number;
  readonly #texts: SampleTexts;
  #json: Uint8Array | null = null;
  #columns: Uint8Array | null = null;
  #series: readonly number[] | null = null;

  constructor(gathered: GatheredSamples, start: number, end: number, texts: SampleTexts) {
    this.#gathered = gathered;
    this.#start = start;
    this.count = end - start;
    this.#texts = texts;
  }

  json(): Uint8Array {
    this.#json ??= Buffer.from(this.#jsonText());
    return this.#json;
  }

  #jsonText(): string {
    const { timestampUs, rawValue, seq, series } = this.#gathered;
    const end = this.#start + this.count;
    let text = '[';
    for (let at = this.#start; at < end; at++) {
      if (at > this.#start) text += ',';
      text += this.#texts.of(series[at]!, seq[at]!, timestampUs[at]!, rawValue[at]!);
    }
    return `${text}]`;
  }

  columns(): Uint8Array {
    this.#columns ??= packColumns(this.#gathered, this.#start, this.#start + this.count);
    return this.#columns;
  }

  series(): readonly number[] {
    this.#series ??= seriesIn(this.#gathered, this.#start, this.#start + this.count);
    return this.#series;
  }
}

/** A page of the history as it is; either text or columns. */
export class PageBody implements SampleBody {
  readonly count: number;
  readonly #bytes: Uint8Array;

  constructor({ text, count }: HistoryPage) {
    this.count = count;
    this.#bytes = text;
  }

  json(): Uint8Array {
    return this.#bytes;
  }

  columns(): Uint8Array {
    return this.#bytes;
  }

  series(): readonly number[] {
    return seriesIn(viewColumns(this.#bytes, this.count), 0, this.count);
  }
}

function seriesIn({ series }: NumberedColumns, start: number, end: number): readonly number[] {
  const found = new Set<number>();
  for (let at = start; at < end; at++) found.add(series[at]!);
  return [...found];
}
