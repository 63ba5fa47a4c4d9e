import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BinarySample, encodeBinaryMessage } from '../../test/support/fake-stream.ts';
import { toPhysical } from '../protocol/physical-value.ts';
import { decodeBinaryMessage, samplesOf, streamSeries, valuesOf } from './sample-columns.ts';

const RPM = {
  series: 12,
  bus: 'can0',
  node_id: 2,
  message_type: 'STATUS',
  component_type: 'MOTORS',
  component_id: 'MOTOR_LEFT_REAR',
  command_id: 'RPM',
  value_type: 'UINT16',
  unit: 'rpm',
  scale: 1,
  value_names: null,
};
const SPEED = { ...RPM, series: 7, command_id: 'SPEED', unit: 'km/h', scale: 0.01 };
const MODE = { ...RPM, series: 0, command_id: 'MODE', unit: null, value_names: { 1: 'ON' } };
const known = new Map([RPM, SPEED, MODE].map((info) => [info.series, streamSeries(info)]));

/** So that deepEqual finds them equal. */
const PLAIN = { noNullPrototype: true };

const sampleArbitrary: fc.Arbitrary<BinarySample> = fc.record(
  {
    timestampUs: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    rawValue: fc.integer({ min: -(2 ** 23), max: 2 ** 24 }),
    seq: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
    series: fc.constantFrom(...known.keys()),
  },
  PLAIN,
);

test('a binary message gives back the samples that it was made of', () => {
  const header = fc.record(
    {
      cause: fc.integer({ min: 0, max: 2 }),
      ordinal: fc.nat(2 ** 16 - 1),
      missed: fc.nat(2 ** 32 - 1),
      thinned: fc.nat(2 ** 32 - 1),
      seq: fc.nat(2 ** 53 - 1),
    },
    PLAIN,
  );
  fc.assert(
    fc.property(header, fc.array(sampleArbitrary), (given, samples) => {
      const { cause, columns, ...rest } = decodeBinaryMessage(
        encodeBinaryMessage(given, samples).buffer,
        known,
      );
      assert.deepEqual({ ...rest, cause: ['snapshot', 'resume', 'live'].indexOf(cause) }, given);
      assert.equal(columns.count, samples.length);
      const back = samples.map((_, place) => ({
        timestampUs: columns.timestampsUs[place],
        rawValue: columns.rawValues[place],
        seq: columns.seqs[place],
        series: columns.series[place],
      }));
      assert.deepEqual(back, samples);
      assert.deepEqual(
        samplesOf(columns).map(({ value }) => value),
        [...valuesOf(columns)],
      );
    }),
  );
});

test('samples have the names, units and values of their series', () => {
  const bytes = encodeBinaryMessage({ cause: 2, ordinal: 1, seq: 9 }, [
    { timestampUs: 1_764_000_000_123_456, rawValue: 1200, seq: 7, series: 12 },
    { timestampUs: 1_764_000_000_123_457, rawValue: 1234, seq: 8, series: 7 },
    { timestampUs: 1_764_000_000_123_458, rawValue: 1, seq: 9, series: 0 },
  ]);
  const { series: _, scale: __, value_names: ___, ...rpm } = RPM;
  assert.deepEqual(samplesOf(decodeBinaryMessage(bytes.buffer, known).columns), [
    { ...rpm, seq: 7, timestamp: 1_764_000_000.123456, value: 1200, raw_value: 1200, value_name: null },
    {
      ...rpm,
      seq: 8,
      timestamp: 1_764_000_000.123457,
      command_id: 'SPEED',
      unit: 'km/h',
      value: 12.34,
      raw_value: 1234,
      value_name: null,
    },
    {
      ...rpm,
      seq: 9,
      timestamp: 1_764_000_000.123458,
      command_id: 'MODE',
      unit: null,
      value: 1,
      raw_value: 1,
      value_name: 'ON',
    },
  ]);
});

test('a value is the one that the service would tell', () => {
  const scale = fc.oneof(
    fc.constantFrom(1, 0.1, 0.01, 0.001, 0.5, 2, 10, -0.1, 360 / 2 ** 24),
    fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  );
  fc.assert(
    fc.property(scale, fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), (each, rawValue) => {
      assert.equal(streamSeries({ ...RPM, scale: each }).toValue(rawValue), toPhysical(rawValue, each));
    }),
  );
});

test('what is no message is refused, whatever it is', () => {
  const sample = { timestampUs: 1, rawValue: 1, seq: 1, series: 12 };
  const sound = encodeBinaryMessage({ cause: 2, ordinal: 1, seq: 9 }, [sample]);
  for (const [bytes, message] of [
    [sound.slice(0, 20), /20 bytes are no message/],
    [sound.slice(0, 51), /51 bytes can't be 1 samples/],
    [new Uint8Array([...sound, 0]), /53 bytes can't be 1 samples/],
    [encodeBinaryMessage({ version: 2, cause: 2, ordinal: 1, seq: 9 }, []), /expected version 1, found 2/],
    [encodeBinaryMessage({ cause: 3, ordinal: 1, seq: 9 }, []), /no cause 3/],
    [encodeBinaryMessage({ cause: 2, ordinal: 1, seq: 9 }, [{ ...sample, series: 13 }]), /series 13/],
  ] as const) {
    assert.throws(() => decodeBinaryMessage(bytes.buffer, known), message);
  }
});
