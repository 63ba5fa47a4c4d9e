import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packColumns, SAMPLE_COLUMNS_BYTES, viewColumns } from './sample-columns.ts';

test('what is packed is viewed again, in the places that clients are told', () => {
  const anySample = fc.record({
    timestampUs: fc.maxSafeInteger(),
    rawValue: fc.double({ noNaN: true }),
    seq: fc.maxSafeNat(),
    series: fc.nat({ max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(fc.array(anySample, { maxLength: 50 }), fc.nat(), fc.nat(), (samples, one, other) => {
      const [start, end] = [one, other].map((at) => at % (samples.length + 1)).toSorted((a, b) => a - b);
      const columns = {
        timestampUs: samples.map(({ timestampUs }) => timestampUs),
        rawValue: samples.map(({ rawValue }) => rawValue),
        seq: samples.map(({ seq }) => seq),
        series: samples.map(({ series }) => series),
      };
      const bytes = packColumns(columns, start!, end!);
      const count = end! - start!;
      assert.equal(bytes.length, count * SAMPLE_COLUMNS_BYTES);
      const viewed = viewColumns(bytes, count);
      const view = new DataView(bytes.buffer);
      for (const [at, sample] of samples.slice(start, end).entries()) {
        const { timestampUs, rawValue, seq, series } = sample;
        assert.deepEqual(
          [viewed.timestampUs[at], viewed.rawValue[at], viewed.seq[at], viewed.series[at]],
          [timestampUs, rawValue, seq, series],
        );
        assert.deepEqual(
          [
            view.getFloat64(8 * at, true),
            view.getFloat64(8 * (count + at), true),
            view.getFloat64(8 * (2 * count + at), true),
            view.getUint32(24 * count + 4 * at, true),
          ],
          [timestampUs, rawValue, seq, series],
        );
      }
    }),
  );
});
