import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, RPM, registry } from '../../../test/support/samples.ts';
import { type SeriesKey, SeriesTable } from '../../protocol/series-table.ts';
import { LiveFeed } from '../../telemetry/live-feed.ts';
import { TelemetryStore } from '../../telemetry/telemetry-store.ts';
import { type SelectionFilter, Selections } from './selection.ts';
import { SignalIndex } from './signal-index.ts';

const EVERYTHING: SelectionFilter = { patterns: ['**'], messageType: null, bus: null };

function setUp() {
  const table = new SeriesTable(registry);
  const state = new TelemetryStore(table);
  const feed = new LiveFeed(table);
  const selections = new Selections(feed, state, new SignalIndex(feed));
  let seq = 0;
  return {
    state,
    selections,
    add: (key: Partial<SeriesKey> = {}) => table.add({ ...RPM, ...key })!.index,
    hear(series: number): void {
      seq++;
      state.apply(batchOf([{ series, rawValue: seq, timestampUs: 1_764_000_000_000_000 + seq }], seq), 0);
    },
  };
}

test('who asks for the same shares a selection, in whatever order and letters', () => {
  const { selections } = setUp();
  const first = selections.take({ ...EVERYTHING, patterns: ['MOTORS/**', 'lights/*/MODE', 'MOTORS/**'] });
  const same = selections.take({ ...EVERYTHING, patterns: ['LIGHTS/*/mode', 'motors/**'] });
  assert.equal(same, first);
  for (const other of [
    { ...EVERYTHING, patterns: ['motors/**'] },
    { ...EVERYTHING, patterns: ['LIGHTS/*/mode', 'motors/**'], bus: 'can0' },
    { ...EVERYTHING, patterns: ['LIGHTS/*/mode', 'motors/**'], messageType: 1 },
  ]) {
    assert.notEqual(selections.take(other), first);
  }
  assert.equal(selections.count, 4);
  selections.drop(first);
  assert.equal(selections.count, 4);
  selections.drop(same);
  assert.equal(selections.count, 3);
  assert.notEqual(selections.take({ ...EVERYTHING, patterns: ['LIGHTS/*/mode', 'motors/**'] }), first);
});

test('a pattern that is none takes nothing', () => {
  const { selections } = setUp();
  assert.throws(() => selections.take({ ...EVERYTHING, patterns: ['**', 'MOTORS'] }), {
    code: 'SIGNAL_INVALID',
  });
  assert.equal(selections.count, 0);
});

describe('a selection has', () => {
  const { add, selections } = setUp();
  const rpm = add();
  const command = add({ messageType: 0 });
  const other = add({ bus: 'can1', commandId: 3 });
  const cases: [name: string, filter: Partial<SelectionFilter>, series: number[], signals: number][] = [
    ['everything', {}, [rpm, command, other], 2],
    [
      'what any of its patterns stands for',
      { patterns: ['motors/*/rpm', '1/0/3'] },
      [rpm, command, other],
      2,
    ],
    ['only its message type', { messageType: 1 }, [rpm, other], 2],
    ['only its bus', { bus: 'can1' }, [other], 1],
    ['nothing', { patterns: ['LIGHTS/**'] }, [], 0],
  ];
  for (const [name, filter, series, signals] of cases) {
    test(name, () => {
      const selection = selections.take({ ...EVERYTHING, ...filter });
      assert.deepEqual(selection.series, series);
      assert.equal(selection.signals.length, signals);
      assert.deepEqual(
        [rpm, command, other].filter((one) => selection.isSelected[one] === 1),
        series,
      );
    });
  }

  test('what becomes known later, once', () => {
    const selection = selections.take({ ...EVERYTHING, patterns: ['BATTERIES/**'] });
    const late = add({ componentType: 2 });
    add({ componentType: 3 });
    selections.learn();
    selections.learn();
    assert.deepEqual(selection.series, [late]);
  });
});

test('the series that speaks for a signal is the one that the current state shows', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 11 }), { maxLength: 30 }), (heard) => {
      const { add, hear, selections, state } = setUp();
      const all = [0, 1, 2, 3].flatMap((messageType) => [
        add({ messageType }),
        add({ messageType, bus: 'can1' }),
        add({ messageType, commandId: 3 }),
      ]);
      const selection = selections.take(EVERYTHING);
      for (const at of heard) hear(all[at]!);
      const speakers = selection.signals
        .map((signal) => selection.speakerOf(signal))
        .filter((one) => one >= 0);
      const shown = [...state.current()].map(({ series }) => series.index);
      assert.deepEqual(speakers.toSorted(), shown.toSorted());
      assert.equal(selection.heardCount, shown.length);
      assert.equal(selection.sampleCount(), heard.length);
      // Where a STATUS speaks, what others say isn't counted.
      const speaking = selection.speaking();
      assert.equal(selection.speakingSampleCount(), heard.filter((at) => speaking[all[at]!] === 1).length);
      assert.ok(speakers.every((one) => speaking[one] === 1));
    }),
    { numRuns: 300 },
  );
});
