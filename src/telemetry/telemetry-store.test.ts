import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { SampleBatch } from '../protocol/sample-batch.ts';
import { type SeriesKey, SeriesTable } from '../protocol/series-table.ts';
import { type SignalState, type StateFilter, TelemetryStore } from './telemetry-store.ts';

const registry = ProtocolRegistry.load();
const { COMMAND, STATUS, ACK, ERROR } = MESSAGE_TYPE;

/** 2026-01-01. */
const START_US = 1_767_225_600_000_000;

/** STATUS, MOTORS, MOTOR_LEFT_REAR, RPM. */
const RPM: SeriesKey = {
  bus: 'can0',
  nodeId: 2,
  messageType: STATUS,
  componentType: 1,
  componentId: 0,
  commandId: 1,
  valueType: 4,
};

/** A store on a clock that moves when it is told to; the wall clock goes with it unless it is stepped. */
class Fixture {
  readonly table = new SeriesTable(registry);
  nowMs = 5000;
  wallUs = START_US;
  readonly store = new TelemetryStore(this.table, () => this.nowMs);

  series(key: Partial<SeriesKey> = {}): number {
    return this.table.add({ ...RPM, ...key })!.index;
  }

  /** One batch of samples with the wall clock's time, or another. */
  apply(...samples: { series: number; value?: number; timestampUs?: number }[]): void {
    const batch = SampleBatch.allocate(samples.length);
    for (const [index, { series, value = 0, timestampUs = this.wallUs }] of samples.entries()) {
      batch.series[index] = series;
      batch.rawValue[index] = value;
      batch.timestampUs[index] = timestampUs;
    }
    batch.count = samples.length;
    this.store.apply(batch, 0);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.wallUs += ms * 1000;
  }

  /** Samples at a steady rate, each preceded by its interval. */
  every(intervalMs: number, count: number, series = 0): void {
    for (let index = 0; index < count; index++) {
      this.pass(intervalMs);
      this.apply({ series });
    }
  }

  current(filter?: StateFilter): SignalState[] {
    return [...this.store.current(filter)];
  }

  /** The state of the only signal. */
  only(): SignalState {
    const states = this.current();
    assert.equal(states.length, 1);
    return states[0]!;
  }

  /** After how many milliseconds of silence the only signal is stale, to the millisecond. */
  staleAfterMs(): number {
    const { nowMs } = this;
    let fresh = 0;
    let stale = 1e9;
    while (stale - fresh > 1) {
      const middle = Math.floor((fresh + stale) / 2);
      this.nowMs = nowMs + middle;
      if (this.only().isStale) stale = middle;
      else fresh = middle;
    }
    this.nowMs = nowMs;
    return fresh;
  }
}

test('the latest sample of a signal is its state', () => {
  const fixture = new Fixture();
  const series = fixture.series();
  assert.deepEqual(fixture.current(), []);
  fixture.apply({ series, value: 1 }, { series, value: 2 });
  fixture.pass(30);
  fixture.apply({ series, value: 3 });
  fixture.pass(20);
  const state = fixture.only();
  assert.equal(state.series, fixture.table.at(series));
  assert.equal(state.rawValue, 3);
  assert.equal(state.timestampUs, START_US + 30_000);
  assert.equal(state.ageMs, 20);
  assert.equal(state.count, 3);
  assert.equal(state.isStale, false);
  assert.equal(fixture.store.signalCount, 1);
});

test('samples before the index given were taken in earlier', () => {
  const fixture = new Fixture();
  const series = fixture.series();
  const batch = SampleBatch.allocate(3);
  for (const value of [1, 2, 3]) {
    batch.series[batch.count] = series;
    batch.rawValue[batch.count] = value;
    batch.timestampUs[batch.count++] = START_US;
    fixture.store.apply(batch, batch.count - 1);
  }
  assert.equal(fixture.only().count, 3);
  fixture.store.apply(batch, 3);
  assert.equal(fixture.only().count, 3);
});

test('a value is in physical units', () => {
  const fixture = new Fixture();
  // NAVIGATION, GPS_PRIMARY, SPEED in 0.01 km/h.
  const series = fixture.series({ componentType: 4, componentId: 1, commandId: 13, valueType: 6 });
  fixture.apply({ series, value: 1234 });
  assert.equal(fixture.only().rawValue, 1234);
  assert.equal(fixture.only().value, 12.34);
});

describe('the rate of a signal', () => {
  test('is not known from one sample', () => {
    const fixture = new Fixture();
    fixture.apply({ series: fixture.series() });
    assert.equal(fixture.only().rateHz, 0);
  });

  test('is that of its timestamps, however they arrive', () => {
    const fixture = new Fixture();
    const series = fixture.series();
    const samples = Array.from({ length: 100 }, (_, index) => {
      return { series, timestampUs: START_US + index * 20_000 };
    });
    fixture.apply(...samples);
    assert.equal(fixture.only().rateHz, 50);
  });

  test('follows a change', () => {
    const fixture = new Fixture();
    fixture.series();
    fixture.every(100, 20);
    assert.ok(Math.abs(fixture.only().rateHz - 10) < 0.01);
    fixture.every(10, 30);
    assert.ok(Math.abs(fixture.only().rateHz - 100) < 1);
    fixture.every(1000, 60);
    assert.ok(Math.abs(fixture.only().rateHz - 1) < 0.01);
  });

  test('stays a number where timestamps are equal', () => {
    const fixture = new Fixture();
    const series = fixture.series();
    for (let round = 0; round < 10; round++) {
      fixture.pass(100);
      fixture.apply(...Array.from({ length: 1000 }, () => ({ series })));
    }
    assert.ok(Math.abs(fixture.only().rateHz - 10) < 0.01);
  });

  test('is 0 once the signal is stale', () => {
    const fixture = new Fixture();
    fixture.series();
    fixture.every(100, 20);
    fixture.pass(1001);
    assert.equal(fixture.only().rateHz, 0);
  });
});

describe('a signal is stale', () => {
  for (const [intervalMs, staleAfterMs] of [
    [10, 1000],
    [100, 1000],
    [333, 1000],
    [500, 1500],
    [1000, 3000],
    [10_000, 30_000],
  ] as const) {
    test(`after ${staleAfterMs} ms where it comes every ${intervalMs} ms`, () => {
      const fixture = new Fixture();
      fixture.series();
      fixture.every(intervalMs, 20);
      assert.ok(Math.abs(fixture.staleAfterMs() - staleAfterMs) <= 1, `${fixture.staleAfterMs()} ms`);
    });
  }

  test('after 1 s where its interval is not known', () => {
    const fixture = new Fixture();
    fixture.apply({ series: fixture.series() });
    assert.equal(fixture.staleAfterMs(), 1000);
  });

  test('not at 20 s where it comes every 10 s', () => {
    const fixture = new Fixture();
    fixture.series();
    fixture.every(10_000, 3);
    fixture.pass(20_000);
    assert.equal(fixture.only().isStale, false);
  });

  test('not between its bursts, once they have come a few times', () => {
    const fixture = new Fixture();
    fixture.series();
    for (let burst = 0; burst < 12; burst++) {
      fixture.every(1, 3);
      fixture.every(5000, 1);
    }
    fixture.pass(5000);
    assert.equal(fixture.only().isStale, false);
  });

  test('later, once it has become slower', () => {
    const fixture = new Fixture();
    fixture.series();
    fixture.every(100, 50);
    fixture.every(10_000, 8);
    assert.ok(fixture.staleAfterMs() > 20_000);
  });

  test('as soon as before, after a long silence is over', () => {
    const fixture = new Fixture();
    fixture.series();
    fixture.every(100, 20);
    fixture.every(3_600_000, 1);
    assert.equal(fixture.only().isStale, false);
    assert.ok(fixture.staleAfterMs() <= 1000);
    fixture.every(100, 20);
    assert.ok(Math.abs(fixture.only().rateHz - 10) < 0.1);
  });

  for (const [what, stepUs] of [
    ['an hour back', -3_600_000_000],
    ['from 1970 to now', START_US],
    ['back to 1970', -START_US],
  ] as const) {
    test(`neither sooner nor later for a clock that was set (${what})`, () => {
      const fixture = new Fixture();
      fixture.series();
      if (stepUs > 0) fixture.wallUs = 60_000_000;
      fixture.every(500, 20);
      fixture.wallUs += stepUs;
      assert.equal(fixture.only().isStale, false);
      fixture.every(500, 1);
      assert.equal(fixture.only().isStale, false);
      assert.ok(fixture.staleAfterMs() >= 1499 && fixture.staleAfterMs() <= 2000);
      assert.equal(fixture.only().timestampUs, fixture.wallUs);
      fixture.every(500, 20);
      assert.ok(Math.abs(fixture.staleAfterMs() - 1500) <= 5);
    });
  }

  test('never while it comes steadily, whatever its interval', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(fc.integer({ min: -100, max: 100 })),
        (ms, jitter) => {
          const fixture = new Fixture();
          fixture.series();
          fixture.every(ms, 2);
          for (const percent of jitter) {
            const intervalMs = ms * (1 + percent / 200);
            fixture.pass(intervalMs * 0.999);
            assert.equal(fixture.only().isStale, false);
            fixture.pass(intervalMs * 0.001);
            fixture.apply({ series: 0 });
          }
        },
      ),
    );
  });
});

describe('of several that speak of one signal', () => {
  test('a STATUS speaks before what others asked or reported beside it', () => {
    const fixture = new Fixture();
    const status = fixture.series();
    for (const messageType of [COMMAND, ACK, ERROR]) {
      const other = fixture.series({ messageType });
      fixture.apply({ series: other, value: messageType });
      fixture.pass(10);
    }
    // Until there is one, the latest of the others does.
    assert.equal(fixture.only().rawValue, ERROR);
    fixture.apply({ series: status, value: 77 });
    fixture.pass(10);
    fixture.apply({ series: fixture.series({ messageType: COMMAND, nodeId: 9 }), value: 1 });
    assert.equal(fixture.only().rawValue, 77);
  });

  test('each message type can be asked for', () => {
    const fixture = new Fixture();
    fixture.apply(
      { series: fixture.series(), value: 1 },
      { series: fixture.series({ messageType: ERROR }), value: 2 },
    );
    assert.deepEqual(
      fixture.current({ messageType: ERROR }).map(({ rawValue }) => rawValue),
      [2],
    );
    assert.deepEqual(fixture.current({ messageType: ACK }), []);
  });

  test('the one that arrived last speaks, be it of another node, bus or value type', () => {
    const fixture = new Fixture();
    const all = [{}, { nodeId: 3 }, { bus: 'can1' }, { valueType: 6 }].map((key) => fixture.series(key));
    for (const series of [...all, ...all.toReversed()]) {
      fixture.pass(10);
      fixture.apply({ series, value: series });
      assert.equal(fixture.only().series.index, series);
    }
    assert.equal(fixture.store.signalCount, 1);
    // Its count and its rate are its own.
    assert.equal(fixture.only().count, 2);
  });

  test('this machine speaks for itself while it does, whoever else tells of it later', () => {
    const fixture = new Fixture();
    const own = fixture.series({ bus: 'host' });
    const others = fixture.series();
    for (const value of [1, 2, 3]) {
      fixture.pass(500);
      fixture.apply({ series: own, value });
      fixture.apply({ series: others, value: -value });
      assert.equal(fixture.only().value, value);
    }
    fixture.pass(1600);
    fixture.apply({ series: others, value: -4 });
    assert.equal(fixture.only().value, -4);
    fixture.apply({ series: own, value: 4 }, { series: others, value: -5 });
    assert.equal(fixture.only().value, 4);
  });

  test('within one batch the latest timestamp does', () => {
    const fixture = new Fixture();
    const [first, second] = [fixture.series(), fixture.series({ nodeId: 3 })];
    for (const [series, other] of [
      [first, second],
      [second, first],
    ] as const) {
      fixture.pass(10);
      fixture.apply(
        { series: other, timestampUs: fixture.wallUs - 5000 },
        { series, timestampUs: fixture.wallUs - 2000 },
      );
      assert.equal(fixture.only().series.index, series);
    }
  });

  test('a clock that was set back makes none of them older', () => {
    const fixture = new Fixture();
    const [first, second] = [fixture.series(), fixture.series({ nodeId: 3 })];
    fixture.apply({ series: first });
    fixture.pass(10);
    fixture.apply({ series: second, timestampUs: fixture.wallUs - 3_600_000_000 });
    assert.equal(fixture.only().series.index, second);
  });
});

describe('what an earlier run knew', () => {
  test('is stale until a new sample comes, and counts on', () => {
    const fixture = new Fixture();
    const series = fixture.series();
    const restored = { series, timestampUs: START_US - 60_000_000, rawValue: 5, count: 100 };
    fixture.store.restore([restored], START_US);
    const before = fixture.only();
    assert.equal(before.rawValue, 5);
    assert.equal(before.isStale, true);
    assert.equal(before.rateHz, 0);
    assert.equal(before.ageMs, 60_000);
    assert.equal(before.count, 100);

    fixture.apply({ series, value: 6 });
    const after = fixture.only();
    assert.equal(after.rawValue, 6);
    assert.equal(after.isStale, false);
    assert.equal(after.count, 101);
    // The pause between the runs is no interval.
    assert.equal(after.rateHz, 0);
    assert.equal(fixture.staleAfterMs(), 1000);
    fixture.every(100, 1);
    assert.equal(fixture.only().rateHz, 10);
  });

  test('is stale also where it seems to be of the future', () => {
    const fixture = new Fixture();
    const series = fixture.series();
    fixture.store.restore([{ series, timestampUs: START_US + 1e9, rawValue: 5, count: 1 }], START_US);
    assert.equal(fixture.only().isStale, true);
    assert.equal(fixture.only().ageMs, 0);
  });

  test('is not shown where the protocol has changed since', () => {
    const fixture = new Fixture();
    const { conversion, isCurrent, ...record } = new SeriesTable(registry).add(RPM)!;
    fixture.table.restore({ ...record, definition: { ...record.definition, unit: 'rad/s' } });
    fixture.store.restore([{ series: 0, timestampUs: START_US, rawValue: 5, count: 1 }], START_US);
    assert.deepEqual(fixture.current(), []);
    fixture.apply({ series: fixture.series(), value: 7 });
    assert.equal(fixture.only().rawValue, 7);
  });
});

test('the revision is another one after whatever changes the state', () => {
  const fixture = new Fixture();
  const series = fixture.series();
  const seen = new Set([fixture.store.revision]);
  fixture.apply({ series, value: 1 });
  seen.add(fixture.store.revision);
  fixture.apply({ series, value: 1 });
  seen.add(fixture.store.revision);
  fixture.store.correct(0, 1_000_000);
  seen.add(fixture.store.revision);
  fixture.store.restore([{ series, timestampUs: START_US, rawValue: 5, count: 1 }], START_US);
  seen.add(fixture.store.revision);
  assert.equal(seen.size, 5);
  fixture.pass(5000);
  fixture.current();
  assert.ok(seen.has(fixture.store.revision));
});

test('signals come in the order of type, component and command, whatever came first', () => {
  const anyPlace = fc.record(
    { componentType: fc.nat(7), componentId: fc.nat(255), commandId: fc.nat(255) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.uniqueArray(anyPlace, { selector: (place) => JSON.stringify(place) }), (places) => {
      const fixture = new Fixture();
      for (const place of places) fixture.apply({ series: fixture.series(place) });
      const found = fixture.current().map(({ series: { componentType, componentId, commandId } }) => {
        return { componentType, componentId, commandId };
      });
      const expected = places.toSorted(
        (left, right) =>
          left.componentType - right.componentType ||
          left.componentId - right.componentId ||
          left.commandId - right.commandId,
      );
      assert.deepEqual(found, expected);
    }),
  );
});

test('a filter narrows by type and component', () => {
  const fixture = new Fixture();
  const places = [
    { componentType: 1, componentId: 0 },
    { componentType: 1, componentId: 1 },
    { componentType: 2, componentId: 0 },
  ];
  for (const place of places) fixture.apply({ series: fixture.series(place) });
  const found = (filter: StateFilter) => fixture.current(filter).map(({ series }) => series.index);
  assert.deepEqual(found({ componentType: 1 }), [0, 1]);
  assert.deepEqual(found({ componentType: 1, componentId: 1 }), [1]);
  assert.deepEqual(found({ componentId: 0 }), [0, 2]);
  assert.deepEqual(found({ componentType: 5 }), []);
  assert.deepEqual(found({ componentType: undefined }), [0, 1, 2]);
});

test('there is room for any number of series, and growing forgets nothing', () => {
  const fixture = new Fixture();
  const count = 5000;
  for (let index = 0; index < count; index++) {
    const series = fixture.series({ componentId: index & 0xff, commandId: index >> 8 });
    fixture.pass(1);
    fixture.apply({ series, value: index });
  }
  const states = fixture.current();
  assert.equal(states.length, count);
  assert.equal(fixture.store.signalCount, count);
  for (const { series, rawValue, count, ageMs, timestampUs } of states) {
    assert.equal(rawValue, series.index);
    assert.equal(count, 1);
    assert.equal(ageMs, 4999 - series.index);
    assert.equal(timestampUs, START_US + (series.index + 1) * 1000);
  }
});
