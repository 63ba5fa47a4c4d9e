import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { physicalConversion, toPhysical, toRaw } from './physical-value.ts';
import { ProtocolRegistry } from './protocol-registry.ts';

const { component_types } = ProtocolRegistry.load().catalog();
const SCALES = [
  ...new Set(Object.values(component_types).flatMap(({ commands }) => commands.map(({ scale }) => scale))),
];

const anyRawValue = fc.integer({ min: -(2 ** 23), max: 2 ** 24 - 1 });
const anyScale = fc.constantFrom(...SCALES);

describe('physical values', () => {
  const cases = [
    { rawValue: 1200, scale: 1, value: 1200 },
    { rawValue: 1234, scale: 0.01, value: 12.34 },
    { rawValue: -1234, scale: 0.01, value: -12.34 },
    { rawValue: 3, scale: 0.1, value: 0.3 },
    { rawValue: 9807, scale: 0.001, value: 9.807 },
    { rawValue: 0, scale: 0.01, value: 0 },
    { rawValue: 3, scale: 1024, value: 3072 },
    { rawValue: 2 ** 22, scale: 360 / 2 ** 24, value: 90 },
    { rawValue: -(2 ** 23), scale: 360 / 2 ** 24, value: -180 },
    { rawValue: 5, scale: -0.1, value: -0.5 },
    { rawValue: 7, scale: 2.5, value: 17.5 },
  ];
  for (const { rawValue, scale, value } of cases) {
    it(`${rawValue} counts of ${scale} are exactly ${value}`, () => {
      assert.equal(toPhysical(rawValue, scale), value);
      assert.equal(toRaw(value, scale), rawValue);
    });
  }

  it('gives the nearest count for a value between two, and 0 without a sign', () => {
    assert.equal(toRaw(12.344, 0.01), 1234);
    assert.equal(toRaw(12.346, 0.01), 1235);
    assert.ok(Object.is(toRaw(-0.004, 0.01), 0));
    assert.ok(Object.is(toRaw(-0.4, 1), 0));
  });

  it('comes back to the same count for every 24-bit value and every scale in use', () => {
    fc.assert(
      fc.property(anyRawValue, anyScale, (rawValue, scale) => {
        assert.equal(toRaw(toPhysical(rawValue, scale), scale), rawValue);
      }),
      { numRuns: 20_000 },
    );
  });

  it('has no more decimals than a decimal scale', () => {
    const decimalScales = SCALES.filter((scale) => scale < 1 && String(scale).length <= 5);
    assert.deepEqual(decimalScales.toSorted(), [0.001, 0.01, 0.1]);
    fc.assert(
      fc.property(anyRawValue, fc.constantFrom(...decimalScales), (rawValue, scale) => {
        const decimals = String(scale).length - 2;
        assert.equal(toPhysical(rawValue, scale), Number(toPhysical(rawValue, scale).toFixed(decimals)));
      }),
    );
  });

  it('is the same through a conversion that is kept', () => {
    fc.assert(
      fc.property(anyRawValue, anyScale, (rawValue, scale) => {
        const conversion = physicalConversion(scale);
        const value = conversion.toPhysical(rawValue);
        assert.equal(value, toPhysical(rawValue, scale));
        assert.equal(conversion.toRaw(value), rawValue);
      }),
    );
  });
});
