import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HistoryError } from '../../shared/errors.ts';
import { type Rollup, RollupBuilder } from './rollup-builder.ts';
import { decodeRollup, encodeRollup } from './rollup-codec.ts';

const SPAN_US = 1000;

const anySamples = fc.array(
  fc.record({
    timestampUs: fc.integer({ min: -5000, max: 90_000 }),
    rawValue: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
  }),
  { maxLength: 200 },
);
type Samples = readonly { timestampUs: number; rawValue: number }[];

function rolledUp(samples: Samples, spanUs = SPAN_US): Rollup {
  const builder = new RollupBuilder(spanUs);
  builder.addSamples(
    Float64Array.from(samples, ({ timestampUs }) => timestampUs),
    Float64Array.from(samples, ({ rawValue }) => rawValue),
  );
  return builder.build();
}

/** The same, worked out span by span. */
function model(samples: Samples): unknown[] {
  const spans = [...new Set(samples.map(({ timestampUs }) => Math.floor(timestampUs / SPAN_US)))];
  return spans
    .toSorted((left, right) => left - right)
    .map((span) => {
      const within = samples.filter(({ timestampUs }) => Math.floor(timestampUs / SPAN_US) === span);
      const values = within.map(({ rawValue }) => rawValue);
      const latestUs = Math.max(...within.map(({ timestampUs }) => timestampUs));
      const last = within.findLast(({ timestampUs }) => timestampUs === latestUs)!.rawValue;
      const sum = values.reduce((total, value) => total + value, 0);
      return { span, count: within.length, min: Math.min(...values), max: Math.max(...values), sum, last };
    });
}

function rows({ span, count, min, max, sum, last }: Rollup): unknown[] {
  return Array.from(span, (number, at) => ({
    span: number,
    count: count[at]!,
    min: min[at]!,
    max: max[at]!,
    sum: sum[at]!,
    last: last[at]!,
  }));
}

test('spans tell what their samples come to, whatever the order of the timestamps', () => {
  fc.assert(fc.property(anySamples, (samples) => assert.deepEqual(rows(rolledUp(samples)), model(samples))));
});

test('spans of spans tell the same as spans of their samples', () => {
  fc.assert(
    fc.property(anySamples, (samples) => {
      const builder = new RollupBuilder(60 * SPAN_US);
      builder.addSpans(rolledUp(samples), SPAN_US);
      assert.deepEqual(rows(builder.build()), rows(rolledUp(samples, 60 * SPAN_US)));
    }),
  );
});

test('what two segments share of a span is put together, the later one having the last word', () => {
  const builder = new RollupBuilder(SPAN_US);
  builder.addSpans(rolledUp([{ timestampUs: 100, rawValue: 5 }]), SPAN_US);
  builder.addSpans(rolledUp([{ timestampUs: 50, rawValue: 3 }]), SPAN_US);
  assert.deepEqual(rows(builder.build()), [{ span: 0, count: 2, min: 3, max: 5, sum: 8, last: 3 }]);
});

const anyDoubles = fc.double({ noNaN: true, noDefaultInfinity: true });
const anyRollup = fc
  .array(fc.tuple(fc.maxSafeInteger(), fc.nat(), anyDoubles, anyDoubles, anyDoubles, anyDoubles), {
    maxLength: 50,
  })
  .map((all): Rollup => {
    const column = (at: number) => Float64Array.from(all, (row) => row[at]!);
    return {
      span: column(0),
      count: column(1),
      min: column(2),
      max: column(3),
      sum: column(4),
      last: column(5),
    };
  });

test('a rollup comes back as it was, for any numbers', () => {
  fc.assert(
    fc.property(anyRollup, (rollup) => {
      assert.deepEqual(decodeRollup(encodeRollup(rollup), rollup.span.length), rollup);
    }),
  );
});

test('a rollup that is damaged is refused, whatever the damage', () => {
  const bytes = encodeRollup(
    rolledUp([
      { timestampUs: 100, rawValue: 5 },
      { timestampUs: 4000, rawValue: 7 },
    ]),
  );
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = bytes.slice();
      damaged[at]! ^= flip;
      assert.throws(() => decodeRollup(damaged, 2), HistoryError);
    }),
  );
  assert.throws(() => decodeRollup(bytes.subarray(0, 5), 2), /are too few/);
  assert.throws(() => decodeRollup(bytes, 3), /the checksum isn't that/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(70_000), (garbage, spans) => {
      assert.throws(() => decodeRollup(garbage, spans), HistoryError);
    }),
  );
});
