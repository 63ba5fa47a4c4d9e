import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BlockHeader, BlockReader } from '../blocks/block-reader.ts';
import { MINUTE, RollupReader, SECOND, type SpanSeconds, type StoredRollup } from '../blocks/rollup-rows.ts';
import type { Run, SampleRuns, WantedSeries } from '../blocks/sample-runs.ts';
import { type OnDamage, readable } from '../database/damage.ts';
import { SignalBuckets, type Spans } from './signal-buckets.ts';

interface SegmentRow {
  first_seq: number;
  first_block: number;
  last_block: number;
}

interface BlockSummary extends BlockHeader {
  min_timestamp_us: number;
  max_timestamp_us: number;
  min_value: number;
  max_value: number;
  sum_value: number;
  last_value: number;
}

interface RollupSegmentRow {
  span_s: SpanSeconds;
  first_seq: number;
  has_samples: 0 | 1;
}

/**
 * Gathers the samples of signals into spans of time, from the least that tells it: of a block that lies
 * within one span its header is enough; else the seconds or minutes it was rolled up to, where no span
 * begins amid one of them; else its samples. Of what has no samples any more the rollups are taken as they
 * are, each for the span that it begins in. Chunks and the tail are read.
 */
export class BucketReader {
  readonly #runs: SampleRuns;
  readonly #blocks: BlockReader;
  readonly #segments: StatementSync;
  readonly #headers: StatementSync;
  readonly #rollupSegments: StatementSync;
  readonly #rollups: RollupReader;
  readonly #onDamage: OnDamage;

  constructor(database: DatabaseSync, runs: SampleRuns, blocks: BlockReader, onDamage: OnDamage) {
    this.#runs = runs;
    this.#blocks = blocks;
    this.#onDamage = onDamage;
    this.#segments = database.prepare(
      'SELECT first_seq, first_block, last_block FROM segments ORDER BY first_block',
    );
    this.#headers = database.prepare(
      `SELECT id, count, min_timestamp_us, max_timestamp_us, min_value, max_value, sum_value, last_value, leader
       FROM blocks WHERE series = ? AND id <= (SELECT coalesce(max(last_block), 0) FROM segments)
       AND max_timestamp_us >= ? AND min_timestamp_us < ? ORDER BY id`,
    );
    this.#rollupSegments = database.prepare(
      `SELECT span_s, first_seq, first_seq IN (SELECT first_seq FROM segments) AS has_samples
       FROM rollup_segments WHERE max_timestamp_us >= ? AND min_timestamp_us < ? ORDER BY first_seq`,
    );
    this.#rollups = new RollupReader(database);
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
    const segments = this.#segments.all() as unknown as SegmentRow[];
    const rollups = this.#rollupSegments.all(spans.fromUs, spans.toUs) as unknown as RollupSegmentRow[];
    signals.forEach((all, signal) => {
      for (const series of all) {
        signalOf[series] = signal;
        bySeries[series] = 1;
        this.#readRollups(series, rollups, buckets[signal]!);
        this.#readBlocks(series, segments, spans, buckets[signal]!);
      }
    });
    const wanted: WantedSeries = { bySeries, isEverything: false, key: '' };
    for (const { baseUs, timeUs, rawValue, series } of this.#runs.chunksWithin(spans.fromUs, spans.toUs)) {
      for (let index = 0; index < series.length; index++) {
        const signal = signalOf[series[index]!]!;
        if (signal >= 0) buckets[signal]!.add(baseUs + timeUs[index]!, rawValue[index]!);
      }
    }
    for (const run of tail) {
      if (run.maxTimestampUs < spans.fromUs || run.minTimestampUs >= spans.toUs) continue;
      const { count, series, timestampUs, rawValue } = run.read(wanted);
      for (let index = 0; index < count; index++) {
        const signal = signalOf[series[index]!]!;
        if (signal >= 0) buckets[signal]!.add(timestampUs[index]!, rawValue[index]!);
      }
    }
    return buckets;
  }

  /** What has no samples any more. */
  #readRollups(series: number, segments: readonly RollupSegmentRow[], buckets: SignalBuckets): void {
    for (const { span_s, first_seq, has_samples } of segments) {
      if (has_samples === 1) continue;
      this.#addRollup(this.#rollups.find(span_s, first_seq, series), span_s, buckets);
    }
  }

  #readBlocks(series: number, segments: readonly SegmentRow[], spans: Spans, buckets: SignalBuckets): void {
    const isWholeSeconds = spansAreWhole(spans, SECOND);
    const headers = this.#headers.all(series, spans.fromUs, spans.toUs) as unknown as BlockSummary[];
    let at = 0;
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
      while (segments[at]!.last_block < header.id) at++;
      const { first_seq } = segments[at]!;
      const rollup = isWholeSeconds ? this.#rollups.find(SECOND, first_seq, series) : null;
      if (!this.#addRollup(rollup, SECOND, buckets)) this.#addBlock(header, buckets);
    }
  }

  /** False where there is none that can be read. */
  #addRollup(stored: StoredRollup | null, spanS: SpanSeconds, buckets: SignalBuckets): boolean {
    if (stored === null) return false;
    const rollup = readable(stored.name, this.#onDamage, stored.decode);
    if (rollup === null) return false;
    buckets.addRollup(rollup, spanS * 1_000_000);
    return true;
  }

  #addBlock(header: BlockSummary, buckets: SignalBuckets): void {
    const columns = this.#blocks.read(header);
    if (columns === null) return;
    const { timestampUs, rawValue } = columns;
    for (let index = 0; index < header.count; index++) buckets.add(timestampUs[index]!, rawValue[index]!);
  }
}

/** Whether every span begins with a span of a rollup. */
function spansAreWhole({ fromUs, toUs, points }: Spans, spanS: SpanSeconds): boolean {
  const spanUs = spanS * 1_000_000;
  return fromUs % spanUs === 0 && ((toUs - fromUs) / points) % spanUs === 0;
}

/** A span of a plot that is so long or longer begins with a whole second, or a whole minute. */
const WHOLE_SECONDS_FROM_US = 10 * SECOND * 1_000_000;
const WHOLE_MINUTES_FROM_US = 30 * MINUTE * 1_000_000;

/**
 * The spans of a plot: as many as were asked for where they are short; longer ones begin with whole seconds or
 * minutes, so that they are a little longer, and fewer, than was asked for.
 */
export function plotSpans({ fromUs, toUs, points }: Spans): Spans {
  const widthUs = (toUs - fromUs) / points;
  if (widthUs < WHOLE_SECONDS_FROM_US) return { fromUs, toUs, points };
  const unitUs = (widthUs < WHOLE_MINUTES_FROM_US ? SECOND : MINUTE) * 1_000_000;
  const wholeFromUs = Math.floor(fromUs / unitUs) * unitUs;
  const wholeWidthUs = Math.ceil(widthUs / unitUs) * unitUs;
  const wholePoints = Math.ceil((toUs - wholeFromUs) / wholeWidthUs);
  return { fromUs: wholeFromUs, toUs: wholeFromUs + wholePoints * wholeWidthUs, points: wholePoints };
}
