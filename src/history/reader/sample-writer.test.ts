import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RPM, registry } from '../../../test/support/samples.ts';
import { physicalConversion } from '../../protocol/physical-value.ts';
import { recordOf, type SeriesRecord, SeriesTable } from '../../protocol/series-table.ts';
import { CSV_HEADER, SampleWriter, sampleWriter } from './sample-writer.ts';

interface Sample {
  readonly series: number;
  readonly seq: number;
  readonly timestampUs: number;
  readonly rawValue: number;
}

/** A definition of ours with what another protocol may have of texts and scales. */
function seriesOf(index: number, text: string, unit: string | null, scale: number): SeriesRecord {
  const record = recordOf(new SeriesTable(registry).add(RPM)!);
  const definition = { ...record.definition, componentId: text, commandId: `RPM ${text}`, unit, scale };
  return {
    ...record,
    index,
    bus: text,
    definition: { ...definition, valueNames: index % 2 === 0 ? null : { 0: 'OFF', 3: text } },
  };
}

/** What a sample is as an object. */
function replyOf({ bus, nodeId, definition }: SeriesRecord, { seq, timestampUs, rawValue }: Sample) {
  return {
    seq,
    timestamp: timestampUs / 1_000_000,
    bus,
    node_id: nodeId,
    message_type: definition.messageType,
    component_type: definition.componentType,
    component_id: definition.componentId,
    command_id: definition.commandId,
    value_type: definition.valueType,
    value: physicalConversion(definition.scale).toPhysical(rawValue),
    raw_value: rawValue,
    value_name: definition.valueNames?.[rawValue] ?? null,
    unit: definition.unit,
  };
}

function csvOf(series: SeriesRecord, sample: Sample): string {
  const { timestamp, ...reply } = replyOf(series, sample);
  const { seq, ...others } = reply;
  const quoted = Object.values(others).map((value) => {
    const text = String(value ?? '');
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return [seq, timestamp.toFixed(6), ...quoted].join(',');
}

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('a,b', '"', 'x\ny', ''),
);
const anyScale = fc.oneof(
  fc.constantFrom(1, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6, 1e-7, 0.5, 0.25, 1 / 3, 2, 10, -0.1),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-9, max: 1e9 }),
);
const anySeries = fc
  .array(fc.tuple(anyText, fc.option(anyText), anyScale), { minLength: 1, maxLength: 5 })
  .map((all) => all.map(([text, unit, scale], index) => seriesOf(index, text, unit, scale)));
const anyRawValue = fc.oneof(
  fc.integer(),
  fc.nat(4),
  fc.maxSafeInteger(),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, -0),
  fc.double({ noNaN: true, min: -1e12, max: 1e12 }),
);
/** Up to the year 2096, so that a double of seconds has its six decimals. */
const anySample = fc.record({
  series: fc.nat(),
  seq: fc.oneof(fc.nat(), fc.maxSafeNat()),
  timestampUs: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 4e15 })),
  rawValue: anyRawValue,
});

/** The texts of so many samples at a time, all written by one writer. */
function written(
  format: 'json' | 'ndjson' | 'csv',
  series: readonly SeriesRecord[],
  samples: readonly Sample[],
  memory?: ArrayBuffer,
): string {
  const writer = new SampleWriter(format, (index) => series[index]!);
  // A text before it, of which nothing may be left.
  writer.begin(1);
  for (const index of series.keys()) writer.add(index, 1, 1, 1);
  writer.end();
  writer.begin(samples.length, memory);
  for (const { series: index, seq, timestampUs, rawValue } of samples) {
    writer.add(index % series.length, seq, timestampUs, rawValue);
  }
  assert.equal(writer.count, samples.length);
  return Buffer.from(writer.end()).toString('utf8');
}

describe('samples are written', () => {
  test('as JSON.stringify would, in an array or line by line', () => {
    fc.assert(
      fc.property(anySeries, fc.array(anySample, { maxLength: 40 }), (series, samples) => {
        const replies = samples.map((sample) => replyOf(series[sample.series % series.length]!, sample));
        const expected = JSON.parse(JSON.stringify(replies));
        assert.deepEqual(JSON.parse(written('json', series, samples)), expected);
        const lines = written('ndjson', series, samples).split('\n');
        assert.equal(lines.pop(), '');
        assert.deepEqual(
          lines.map((line) => JSON.parse(line)),
          expected,
        );
      }),
    );
  });

  test('as CSV of RFC 4180, with all columns of its header', () => {
    const columns = CSV_HEADER.trimEnd().split(',');
    fc.assert(
      fc.property(anySeries, fc.array(anySample, { maxLength: 40 }), (series, samples) => {
        const lines = samples.map((sample) => `${csvOf(series[sample.series % series.length]!, sample)}\n`);
        assert.equal(written('csv', series, samples), lines.join(''));
      }),
    );
    const [plain] = [seriesOf(0, 'can0', 'rpm', 1)];
    const line = written('csv', [plain], [{ series: 0, seq: 1, timestampUs: 2, rawValue: 3 }]);
    assert.equal(line.split(',').length, columns.length);
  });

  test('one by one as in an array', () => {
    fc.assert(
      fc.property(anySeries, anySample, ([series], sample) => {
        const text = sampleWriter(series!)(sample.seq, sample.timestampUs, sample.rawValue);
        assert.equal(`[${text}]`, written('json', [series!], [sample]));
      }),
    );
  });

  test('with six decimals of a second, whatever a double would make of them', () => {
    const [series] = [seriesOf(0, 'can0', null, 1)];
    const line = sampleWriter(series)(1, 1_764_000_000_100_000, 1);
    assert.match(line, /"timestamp":1764000000\.100000,/);
  });
});

describe('a text', () => {
  const series = [seriesOf(0, 'can0', 'rpm', 0.01)];
  const samples = Array.from({ length: 3000 }, (_, seq) => ({
    series: 0,
    seq,
    timestampUs: 1_764_000_000_000_000 + seq,
    rawValue: seq,
  }));
  const text = written('ndjson', series, samples);

  test('is written into memory that is given, and into more where that is too short', () => {
    for (const bytes of [0, 1, 1000, text.length, 2 * text.length]) {
      assert.equal(written('ndjson', series, samples, new ArrayBuffer(bytes)), text);
    }
    const memory = new ArrayBuffer(2 * text.length);
    const writer = new SampleWriter('ndjson', () => series[0]!);
    writer.begin(samples.length, memory);
    for (const { seq, timestampUs, rawValue } of samples) writer.add(0, seq, timestampUs, rawValue);
    assert.equal(writer.end().buffer, memory);
  });

  test('keeps no more memory than twice what it takes, however many samples were expected', () => {
    const expectations = [10_000, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY];
    for (const [count, expected] of [0, 1, 10, 999, 3000].flatMap((n) =>
      expectations.map((e) => [n, e] as const),
    )) {
      const writer = new SampleWriter('json', () => series[0]!);
      writer.begin(expected);
      for (const { seq, timestampUs, rawValue } of samples.slice(0, count)) {
        writer.add(0, seq, timestampUs, rawValue);
      }
      const { buffer, length } = writer.end();
      assert.ok(buffer.byteLength <= 2 * length, `${count}: ${buffer.byteLength} for ${length}`);
    }
  });
});
