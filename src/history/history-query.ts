/** What can be asked of the history. Numbers are those of the wire; a filter left out lets everything pass. */
export interface HistoryFilter {
  readonly componentType?: number | undefined;
  readonly componentId?: number | undefined;
  readonly commandId?: number | undefined;
  readonly messageType?: number | undefined;
  readonly bus?: string | undefined;
  /** 1 for each series that may pass, by index; none beyond. */
  readonly series?: Uint8Array | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs?: number | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly toUs?: number | undefined;
}

export type SampleFormat = 'json' | 'ndjson' | 'csv';

/** As text, or as the columns of packColumns(). */
export type PageFormat = SampleFormat | 'columns';

export interface HistoryQuery extends HistoryFilter {
  /** Samples to give at most. */
  readonly limit: number;
  /** Samples to skip first. */
  readonly offset: number;
  /** By arrival: `desc` gives the newest first. */
  readonly order: 'asc' | 'desc';
  /** Goes on after the sample with this sequence number, in the direction of `order`. */
  readonly cursor?: number | undefined;
  /** The last sequence number that is looked at, inclusive; all there are unless told. */
  readonly lastSeq?: number | undefined;
  /** How the samples are written: a JSON array, a JSON object a line, CSV without its header, or columns. */
  readonly format: PageFormat;
}

export interface HistoryPage {
  /** The samples, written in the query's format; text is UTF-8. */
  readonly text: Uint8Array;
  readonly count: number;
  /** The cursor of the next page, or null where there is none. */
  readonly nextCursor: number | null;
}

/** Signals over time, as so many points as a plot has. */
export interface SeriesQuery {
  readonly signals: readonly SignalKey[];
  /** What a signal's samples are taken from: its STATUS messages, say. */
  readonly messageType: number;
  readonly bus?: string | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs: number;
  /** Exclusive. */
  readonly toUs: number;
  /** Equal spans of time that the answer has, or a few less where they are long (plotSpans). */
  readonly points: number;
}

/** Every sample of a signal over a span of time. */
export interface ColumnsQuery {
  readonly signal: SignalKey;
  /** What the samples are taken from: STATUS messages, say. */
  readonly messageType: number;
  readonly bus?: string | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs: number;
  /** Exclusive. */
  readonly toUs: number;
  /** Goes on after the sample with this sequence number. */
  readonly cursor?: number | undefined;
}

/** Samples in the order of their arrival, as columns of equal length. */
export interface ColumnsPage {
  readonly seq: Float64Array<ArrayBuffer>;
  /** Microseconds since the epoch. */
  readonly timestampUs: Float64Array<ArrayBuffer>;
  readonly rawValue: Float64Array<ArrayBuffer>;
  /** Each sample's series, as its index. */
  readonly series: Uint16Array<ArrayBuffer>;
  /** The cursor of the next page, or null where there is none. */
  readonly nextCursor: number | null;
}

/** What goes from thread to thread with a page. */
export function buffersOfColumns({ seq, timestampUs, rawValue, series }: ColumnsPage): ArrayBuffer[] {
  return [seq.buffer, timestampUs.buffer, rawValue.buffer, series.buffer];
}

/** One quantity of one component, in the numbers of the wire. */
export interface SignalKey {
  readonly componentType: number;
  readonly componentId: number;
  readonly commandId: number;
}

/** What the history holds. */
export interface HistorySize {
  readonly samples: number;
  /** The sequence number of the oldest sample; null where there is none. */
  readonly firstSeq: number | null;
  readonly firstTimestampUs: number | null;
  readonly lastTimestampUs: number | null;
  /** Gaps that are kept. */
  readonly gaps: number;
  /** The database and its write-ahead log. */
  readonly bytes: number;
  /** The write-ahead log alone. */
  readonly walBytes: number;
}
