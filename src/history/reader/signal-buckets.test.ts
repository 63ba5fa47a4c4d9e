import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SignalBuckets, type Spans } from './signal-buckets.ts';

const anySpans: fc.Arbitrary<Spans> = fc
  .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 40 }))
  .map(([fromUs, lengthUs, points]) => ({ fromUs, toUs: fromUs + lengthUs, points }));

const anySamples = fc.array(
  fc.record({ timestampUs: fc.integer({ min: 0, max: 700 }), value: fc.integer({ min: -50, max: 50 }) }),
  { maxLength: 60 },
);

/** What each span holds, worked out sample by sample. */
function model(spans: Spans, samples: readonly { timestampUs: number; value: number }[]) {
  const width = (spans.toUs - spans.fromUs) / spans.points;
  return Array.from({ length: spans.points }, (_, place) => {
    const within = samples.filter(({ timestampUs }) => {
      const at = Math.floor((timestampUs - spans.fromUs) / width);
      return (
        timestampUs >= spans.fromUs && timestampUs < spans.toUs && Math.min(at, spans.points - 1) === place
      );
    });
    const values = within.map(({ value }) => value);
    const latestUs = Math.max(...within.map(({ timestampUs }) => timestampUs));
    return {
      count: within.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      min: Math.min(...values),
      max: Math.max(...values),
      last: within.findLast(({ timestampUs }) => timestampUs === latestUs)?.value ?? 0,
    };
  });
}

function shown(buckets: SignalBuckets) {
  return Array.from(buckets.count, (count, place) => ({
    count,
    sum: buckets.sum[place]!,
    min: buckets.min[place]!,
    max: buckets.max[place]!,
    last: buckets.last[place]!,
  }));
}

test('spans hold the count, sum, least, greatest and last of their samples', () => {
  fc.assert(
    fc.property(anySpans, anySamples, (spans, samples) => {
      // Widths that a double holds exactly, so that the model's division is the one wanted.
      fc.pre(Number.isInteger((spans.toUs - spans.fromUs) / spans.points));
      const buckets = new SignalBuckets(spans);
      for (const { timestampUs, value } of samples) buckets.add(timestampUs, value);
      assert.deepEqual(shown(buckets), model(spans, samples));
    }),
    { numRuns: 500 },
  );
});

test('a summary that is taken says what its samples would have said; one that is refused changes nothing', () => {
  fc.assert(
    fc.property(anySpans, anySamples, (spans, samples) => {
      fc.pre(samples.length > 0);
      const inOrder = samples.toSorted((left, right) => left.timestampUs - right.timestampUs);
      const values = inOrder.map(({ value }) => value);
      const bySummary = new SignalBuckets(spans);
      const isTaken = bySummary.addSummary({
        count: values.length,
        minTimestampUs: inOrder[0]!.timestampUs,
        maxTimestampUs: inOrder.at(-1)!.timestampUs,
        min: Math.min(...values),
        max: Math.max(...values),
        sum: values.reduce((sum, value) => sum + value, 0),
        last: values.at(-1)!,
      });
      const bySample = new SignalBuckets(spans);
      if (isTaken) for (const { timestampUs, value } of inOrder) bySample.add(timestampUs, value);
      assert.deepEqual(shown(bySummary), shown(bySample));
    }),
    { numRuns: 500 },
  );
});
