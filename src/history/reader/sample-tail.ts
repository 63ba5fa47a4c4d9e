import { SampleBatch, type SampleSnapshot } from '../../protocol/sample-batch.ts';
import type { Run } from '../blocks/sample-runs.ts';

/**
 * The samples that aren't stored yet, from the batches that the main thread fills and the writer holds until
 * its commit is done. A reader takes the tail first and its snapshot of the database then: what was stored
 * in between is in both and told apart by its sequence number, and nothing is in neither.
 */
export class SampleTail {
  readonly #batches: readonly SampleBatch[];

  constructor(buffers: readonly SharedArrayBuffer[]) {
    this.#batches = buffers.map((buffer) => new SampleBatch(buffer));
  }

  /**
   * Copies of all samples published, oldest first. While they are made the main thread goes on: the newest
   * batch is copied first, so that those before it are complete, and what begins meanwhile is left out.
   * Otherwise there could be a gap, which a client that follows would never look into again.
   */
  snapshot(): SampleSnapshot[] {
    return this.#batches
      .map((batch) => ({ batch, generation: batch.generation, firstSeq: batch.firstSeq }))
      .sort((left, right) => right.firstSeq - left.firstSeq)
      .map(({ batch, generation }) => batch.snapshot(generation))
      .filter((copy) => copy !== null)
      .sort((left, right) => left.firstSeq - right.firstSeq);
  }
}

/**
 * The copies up to the first sample of a series that isn't among so many known ones. The series has begun since
 * the reader was last told of series; passing over its sample alone would be a gap, too.
 */
export function upToUnknownSeries(
  copies: readonly SampleSnapshot[],
  seriesCount: number,
): readonly SampleSnapshot[] {
  for (const [place, copy] of copies.entries()) {
    const count = copy.series.findIndex((series) => series >= seriesCount);
    if (count < 0) continue;
    const { firstSeq, timestampUs, rawValue, series } = copy;
    const known = {
      firstSeq,
      count,
      timestampUs: timestampUs.subarray(0, count),
      rawValue: rawValue.subarray(0, count),
      series: series.subarray(0, count),
    };
    return [...copies.slice(0, place), ...(count === 0 ? [] : [known])];
  }
  return copies;
}

/** A copy of a batch as a run. */
export function tailRun(copy: SampleSnapshot): Run {
  let minTimestampUs = Number.POSITIVE_INFINITY;
  let maxTimestampUs = Number.NEGATIVE_INFINITY;
  for (const timestampUs of copy.timestampUs) {
    minTimestampUs = Math.min(minTimestampUs, timestampUs);
    maxTimestampUs = Math.max(maxTimestampUs, timestampUs);
  }
  const { firstSeq, count } = copy;
  return {
    firstSeq,
    lastSeq: firstSeq + count - 1,
    count,
    minTimestampUs,
    maxTimestampUs,
    read: () => ({ ...copy, seq: null }),
  };
}
