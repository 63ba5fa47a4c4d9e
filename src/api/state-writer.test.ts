import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { append, RPM, registry } from '../../test/support/samples.ts';
import { assertIs } from '../../test/support/served-pipeline.ts';
import { SampleBatch } from '../protocol/sample-batch.ts';
import { type SeriesKey, SeriesTable } from '../protocol/series-table.ts';
import { type SignalState, type StateFilter, TelemetryStore } from '../telemetry/telemetry-store.ts';
import { type SignalStateReply, type StateReply, StateSchema } from './schemas.ts';
import { StateWriter } from './state-writer.ts';

/** 2026-01-01. */
const START_MS = 1_767_225_600_000;

/** A store and a writer whose clocks move when they are told to. */
class Fixture {
  readonly table = new SeriesTable(registry);
  nowMs = 1000.25;
  seq = 1;
  readonly store = new TelemetryStore(this.table, () => this.nowMs);
  readonly writer = new StateWriter(this.store, false, () => this.wallMs);

  get wallMs(): number {
    return START_MS + Math.floor(this.nowMs);
  }

  series(key: Partial<SeriesKey> = {}): number {
    return this.table.add({ ...RPM, ...key })!.index;
  }

  apply(series: number, rawValue: number, timestampUs = this.wallMs * 1000): void {
    const batch = SampleBatch.allocate(1);
    batch.begin(this.seq++);
    append(batch, { series, rawValue, timestampUs });
    this.store.apply(batch, 0);
  }

  /** What the writer writes, once it was read. */
  written(filter: StateFilter = {}): StateReply {
    return JSON.parse(Buffer.from(this.writer.answer(filter).text).toString('utf8'));
  }

  /** The same made of objects, for JSON.stringify. */
  expected(filter: StateFilter = {}): StateReply {
    const components: StateReply['components'] = {};
    for (const signal of this.store.current(filter)) {
      const { componentType, componentId, commandId } = signal.series.definition;
      components[componentType] ??= {};
      components[componentType][componentId] ??= {};
      components[componentType][componentId][commandId] = signalReply(signal);
    }
    return { timestamp: this.wallMs / 1000, simulated: false, components };
  }
}

function signalReply(signal: SignalState): SignalStateReply {
  const { bus, nodeId, definition } = signal.series;
  return {
    value: signal.value,
    raw_value: signal.rawValue,
    value_name: definition.valueNames?.[signal.rawValue] ?? null,
    unit: definition.unit,
    value_type: definition.valueType,
    message_type: definition.messageType,
    timestamp: signal.timestampUs / 1_000_000,
    age_s: Math.round(signal.ageMs) / 1000,
    stale: signal.isStale,
    count: signal.count,
    rate_hz: Math.round(signal.rateHz * 1000) / 1000,
    bus,
    node_id: nodeId,
  };
}

/** Few enough of each that components have several signals, and signals several series. */
const anyKey: fc.Arbitrary<Partial<SeriesKey>> = fc.record({
  bus: fc.constantFrom('can0', 'sim', '"\\ü\u2028\u{1f3ce}'),
  nodeId: fc.nat(3),
  messageType: fc.nat(3),
  componentType: fc.nat(7),
  componentId: fc.constantFrom(0, 1, 42, 255),
  commandId: fc.nat(12),
  valueType: fc.nat(15),
});
const anyFilter: fc.Arbitrary<StateFilter> = fc.record(
  { componentType: fc.nat(7), componentId: fc.constantFrom(0, 42), messageType: fc.nat(3) },
  { requiredKeys: [] },
);
type Step = (fixture: Fixture) => void;
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ series: fc.nat(), rawValue: fc.integer({ min: -(2 ** 23), max: 2 ** 24 - 1 }), us: fc.nat() })
      .map(({ series, rawValue, us }): Step => {
        return (fixture) => fixture.apply(series % fixture.table.count, rawValue, START_MS * 1000 + us);
      }),
  },
  {
    weight: 4,
    arbitrary: fc
      .oneof(fc.double({ min: 0, max: 20, noNaN: true }), fc.double({ min: 0, max: 1e11, noNaN: true }))
      .map((ms): Step => {
        return (fixture) => {
          fixture.nowMs += ms;
        };
      }),
  },
  fc.record({ fromSeq: fc.nat(50), shiftUs: fc.integer() }).map(({ fromSeq, shiftUs }): Step => {
    return (fixture) => fixture.store.correct(fromSeq, shiftUs);
  }),
  fc.record({ series: fc.nat(), rawValue: fc.nat(5) }).map(({ series, rawValue }): Step => {
    return ({ store, table, wallMs }) =>
      store.restore(
        [{ series: series % table.count, timestampUs: START_MS * 1000, rawValue, count: 7 }],
        wallMs * 1000,
      );
  }),
);

test('what is written is what JSON.stringify would write, whatever has come and is asked', () => {
  fc.assert(
    fc.property(
      fc.array(anyKey, { minLength: 1, maxLength: 30 }),
      fc.array(fc.tuple(anyStep, anyFilter), { maxLength: 60 }),
      (keys, steps) => {
        const fixture = new Fixture();
        for (const key of keys) fixture.series(key);
        for (const [step, filter] of steps) {
          step(fixture);
          const written = fixture.written(filter);
          assert.deepEqual(written, JSON.parse(JSON.stringify(fixture.expected(filter))));
          assertIs(StateSchema, written);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('it says of how many signals it tells', () => {
  const fixture = new Fixture();
  for (const componentId of [0, 1, 2]) fixture.apply(fixture.series({ componentId }), 1);
  assert.equal(fixture.writer.answer({}).signals, 3);
  assert.equal(fixture.writer.answer({ componentId: 1 }).signals, 1);
  assert.equal(fixture.writer.answer({ componentType: 5 }).signals, 0);
});

describe('an answer is shared', () => {
  function heard(): Fixture {
    const fixture = new Fixture();
    fixture.apply(fixture.series(), 1);
    return fixture;
  }

  test('by those who ask the same within its millisecond', () => {
    const { writer } = heard();
    assert.equal(writer.answer({ componentType: 1 }).text, writer.answer({ componentType: 1 }).text);
  });

  test('by nobody else', () => {
    const fixture = heard();
    const { text } = fixture.writer.answer({ componentType: 1 });
    for (const filter of [{}, { componentType: 2 }, { componentType: 1, messageType: 0 }]) {
      assert.notEqual(fixture.writer.answer(filter).text, text);
    }
    const again = fixture.writer.answer({ componentType: 1 });
    fixture.nowMs += 1;
    assert.notEqual(fixture.writer.answer({ componentType: 1 }).text, again.text);
  });

  test('by nobody to whom another sample could be told', () => {
    const fixture = heard();
    assert.equal(fixture.written().components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.value, 1);
    fixture.apply(0, 2);
    assert.equal(fixture.written().components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.value, 2);
    fixture.store.correct(0, 5_000_000);
    const { timestamp } = fixture.written().components.MOTORS!.MOTOR_LEFT_REAR!.RPM!;
    assert.equal(timestamp, START_MS / 1000 + 6);
  });

  test('and stays as it is when the next is made', () => {
    const fixture = heard();
    const { text } = fixture.writer.answer({});
    const before = Buffer.from(text);
    fixture.apply(0, 2);
    fixture.written();
    assert.deepEqual(Buffer.from(text), before);
  });
});
