import type { SampleReply, SeriesReply } from '../../../../src/client/index.ts';

/** What the history says of a signal in a span of time: in spans of equal length, or sample by sample. */
export interface Past {
  readonly fromS: number;
  readonly toS: number;
  /** Length of each span; 0 where these are samples, whose least, greatest and last value are the same. */
  readonly stepS: number;
  /** The middle of each span that has samples. */
  readonly times: Float64Array;
  readonly least: Float64Array;
  readonly greatest: Float64Array;
  readonly last: Float64Array;
  readonly samples: number;
}

/** A signal of an answer of /api/series, without the spans that are empty. */
export function pastOfSeries({ from, to, step_s, timestamps, signals }: SeriesReply, index: number): Past {
  const { count, min, max, last } = signals[index]!;
  const filled = timestamps.length - count.filter((each) => each === 0).length;
  const past = {
    fromS: from,
    toS: to,
    stepS: step_s,
    times: new Float64Array(filled),
    least: new Float64Array(filled),
    greatest: new Float64Array(filled),
    last: new Float64Array(filled),
    samples: count.reduce((sum, each) => sum + each, 0),
  };
  let at = 0;
  for (const [span, samples] of count.entries()) {
    if (samples === 0) continue;
    past.times[at] = timestamps[span]! + step_s / 2;
    past.least[at] = min[span]!;
    past.greatest[at] = max[span]!;
    past.last[at] = last[span]!;
    at++;
  }
  return past;
}

/** Samples in the order of their timestamps. */
export function pastOfSamples(samples: readonly SampleReply[], fromS: number, toS: number): Past {
  const sorted = samples.toSorted((left, right) => left.timestamp - right.timestamp);
  const values = Float64Array.from(sorted, ({ value }) => value);
  return {
    fromS,
    toS,
    stepS: 0,
    times: Float64Array.from(sorted, ({ timestamp }) => timestamp),
    least: values,
    greatest: values,
    last: values,
    samples: sorted.length,
  };
}
