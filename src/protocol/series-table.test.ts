import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERIES_MAX } from '../shared/limits.ts';
import { ProtocolRegistry } from './protocol-registry.ts';
import { type SeriesKey, SeriesTable } from './series-table.ts';

const registry = ProtocolRegistry.load();

/** STATUS, BATTERIES, ACCESSORY, VOLTAGE in mV. */
const VOLTAGE: SeriesKey = {
  bus: 'can0',
  nodeId: 5,
  messageType: 1,
  componentType: 2,
  componentId: 0,
  commandId: 0,
  valueType: 4,
};

test('a series has the next index, its names and its unit', () => {
  const table = new SeriesTable(registry);
  table.add({ ...VOLTAGE, nodeId: 4 });
  const series = table.add(VOLTAGE)!;
  assert.equal(series.index, 1);
  assert.equal(series.isCurrent, true);
  assert.equal(table.at(1), series);
  assert.equal(table.count, 2);
  assert.deepEqual(table.since(1), [series]);
  assert.deepEqual(table.since(2), []);
  const { componentType, componentId, commandId, unit, scale } = series.definition;
  assert.deepEqual([componentType, componentId, commandId], ['BATTERIES', 'ACCESSORY', 'VOLTAGE']);
  assert.equal(series.conversion.toPhysical(12_000), 12_000 * scale);
  assert.notEqual(unit, null);
});

test('there is no series but those that were added', () => {
  const table = new SeriesTable(registry);
  table.add(VOLTAGE);
  for (const index of [-1, 1, 0.5, Number.NaN]) assert.throws(() => table.at(index), RangeError);
});

test('past the limit no series is added', () => {
  const table = new SeriesTable(registry);
  for (let index = 0; index < SERIES_MAX; index++) assert.equal(table.add(VOLTAGE)?.index, index);
  assert.equal(table.add(VOLTAGE), null);
  assert.equal(table.count, SERIES_MAX);
});

test('series are restored in the order of their indexes only', () => {
  const table = new SeriesTable(registry);
  const { conversion, isCurrent, ...record } = new SeriesTable(registry).add(VOLTAGE)!;
  assert.throws(() => table.restore({ ...record, index: 1 }), RangeError);
  table.restore(record);
  assert.throws(() => table.restore(record), RangeError);
  assert.equal(table.count, 1);
});

test('a definition that went through the database is the same', () => {
  const first = new SeriesTable(registry);
  // Values with names, a scale that is no decimal fraction, and what has neither name nor unit.
  const keys = [
    { componentType: 0, componentId: 0, commandId: 0 },
    { componentType: 4, componentId: 1, commandId: 10 },
    { componentType: 7, componentId: 9, commandId: 99 },
  ].map((place) => ({ ...VOLTAGE, ...place }));
  const second = new SeriesTable(registry);
  for (const key of keys) {
    const { conversion, isCurrent, ...record } = first.add(key)!;
    assert.equal(second.restore(JSON.parse(JSON.stringify(record))).isCurrent, true);
  }
});
