import { SampleBatch, type SampleSnapshot } from '../protocol/sample-batch.ts';
import type { Run } from './sample-runs.ts';

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

  /** Copies of all samples published, oldest first. */
  snapshot(): SampleSnapshot[] {
    return this.#batches
      .map((batch) => batch.snapshot())
      .filter((copy) => copy !== null)
      .sort((left, right) => left.firstSeq - right.firstSeq);
  }
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
