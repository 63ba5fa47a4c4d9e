import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BlockHeader, BlockReader } from './block-reader.ts';
import type { Run, SampleRuns, WantedSeries } from './sample-runs.ts';
import { SignalBuckets, type Spans } from './signal-buckets.ts';

interface BlockSummary extends BlockHeader {
  min_timestamp_us: number;
  max_timestamp_us: number;
  min_value: number;
  max_value: number;
  sum_value: number;
  last_value: number;
}

/**
 * Gathers the samples of signals into spans of time. Of a block that lies within one span its header is
 * enough; others, chunks and the tail are read.
 */
export class BucketReader {
  readonly #runs: SampleRuns;
  readonly #blocks: BlockReader;
  readonly #headers: StatementSync;

  constructor(database: DatabaseSync, runs: SampleRuns, blocks: BlockReader) {
    this.#runs = runs;
    this.#blocks = blocks;
    this.#headers = database.prepare(
      `SELECT id, count, min_timestamp_us, max_timestamp_us, min_value, max_value, sum_value, last_value, leader
       FROM blocks WHERE series = ? AND id <= (SELECT coalesce(max(last_block), 0) FROM segments)
       AND max_timestamp_us >= ? AND min_timestamp_us < ?`,
    );
  }

  /** One SignalBuckets for each signal; a signal is a list of series. */
  read(
    signals: readonly (readonly number[])[],
    spans: Spans,
    tail: readonly Run[],
    seriesCount: number,
  ): SignalBuckets[] {
    const buckets = signals.map(() => new SignalBuckets(spans));
    const signalOf = new Int32Array(seriesCount).fill(-1);
    const bySeries = new Uint8Array(seriesCount);
    signals.forEach((all, signal) => {
      for (const series of all) {
        signalOf[series] = signal;
        bySeries[series] = 1;
        this.#readBlocks(series, spans, buckets[signal]!);
      }
    });
    const wanted: WantedSeries = { bySeries, isEverything: false, key: '' };
    for (const run of [...this.#runs.chunks(), ...tail]) {
      if (run.maxTimestampUs < spans.fromUs || run.minTimestampUs >= spans.toUs) continue;
      const { count, series, timestampUs, rawValue } = run.read(wanted);
      for (let index = 0; index < count; index++) {
        const signal = signalOf[series[index]!]!;
        if (signal >= 0) buckets[signal]!.add(timestampUs[index]!, rawValue[index]!);
      }
    }
    return buckets;
  }

  #readBlocks(series: number, spans: Spans, buckets: SignalBuckets): void {
    const headers = this.#headers.all(series, spans.fromUs, spans.toUs) as unknown as BlockSummary[];
    for (const header of headers) {
      const isEnough = buckets.addSummary({
        count: header.count,
        minTimestampUs: header.min_timestamp_us,
        maxTimestampUs: header.max_timestamp_us,
        min: header.min_value,
        max: header.max_value,
        sum: header.sum_value,
        last: header.last_value,
      });
      if (isEnough) continue;
      const columns = this.#blocks.read(header);
      if (columns === null) continue;
      const { timestampUs, rawValue } = columns;
      for (let index = 0; index < header.count; index++) buckets.add(timestampUs[index]!, rawValue[index]!);
    }
  }
}
