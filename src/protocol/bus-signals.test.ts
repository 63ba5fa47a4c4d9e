import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameBatch } from '../bus/frame-batch.ts';
import { SERIES_MAX } from '../shared/limits.ts';
import { BusSeries, BusSignals, busComponentIds, busSignalDefinitions, CAN_BUS_TYPE } from './bus-signals.ts';
import { MESSAGE_TYPE, VALUE_TYPE } from './kart-codec.ts';
import { KartDecoder } from './kart-decoder.ts';
import { ProtocolRegistry } from './protocol-registry.ts';
import { SampleBatch } from './sample-batch.ts';
import { recordOf, SeriesTable } from './series-table.ts';

const NAMES = ['can0', 'Pit.Lane'];
const registry = ProtocolRegistry.load(undefined, [busSignalDefinitions(NAMES)]);
const ids = busComponentIds(NAMES);

function signalsOf(table: SeriesTable, bus = 'can0') {
  const signals = new BusSignals(new BusSeries(bus, ids.get(bus)!, table));
  return (
    state: Parameters<BusSignals['changes']>[0]['state'],
    txErrors: number | null = null,
    rxErrors: number | null = null,
  ) =>
    [...signals.changes({ timestampUs: 1, state, txErrors, rxErrors })].map(([series, value]) => {
      const { definition } = table.at(series);
      const { componentType, componentId, commandId, valueNames } = definition;
      return `${componentType}/${componentId}/${commandId} ${valueNames?.[value] ?? value}`;
    });
}

test('what has changed is told, under the name of the bus', () => {
  const table = new SeriesTable(registry);
  const tell = signalsOf(table);
  assert.deepEqual(tell(null), []);
  assert.deepEqual(tell('error_passive', 135), [
    'CAN_BUS/can0/STATE ERROR_PASSIVE',
    'CAN_BUS/can0/TX_ERRORS 135',
  ]);
  assert.deepEqual(tell('error_passive', 135, 0), ['CAN_BUS/can0/RX_ERRORS 0']);
  assert.deepEqual(tell('error_passive', 135, 0), []);
  assert.deepEqual(tell('bus_off', 0, 0), ['CAN_BUS/can0/STATE BUS_OFF', 'CAN_BUS/can0/TX_ERRORS 0']);
  assert.deepEqual(tell(null), ['CAN_BUS/can0/STATE UNKNOWN']);
  assert.deepEqual(tell(null), []);
  assert.deepEqual(tell('error_active'), ['CAN_BUS/can0/STATE ERROR_ACTIVE']);
  assert.deepEqual(signalsOf(table, 'Pit.Lane')('error_warning'), ['CAN_BUS/Pit.Lane/STATE ERROR_WARNING']);
  assert.equal(table.count, 4);
});

test('a bus keeps its series over a restart, whatever buses are beside it', () => {
  const before = new SeriesTable(registry);
  signalsOf(before)('bus_off', 1, 2);
  const names = ['new', ...NAMES];
  assert.equal(busComponentIds(names).get('can0'), ids.get('can0'));
  const table = new SeriesTable(ProtocolRegistry.load(undefined, [busSignalDefinitions(names)]));
  for (const series of before.since(0)) table.restore(recordOf(series));
  assert.deepEqual(signalsOf(table)('bus_off', 1, 2), [
    'CAN_BUS/can0/STATE BUS_OFF',
    'CAN_BUS/can0/TX_ERRORS 1',
    'CAN_BUS/can0/RX_ERRORS 2',
  ]);
  assert.equal(table.count, 3);
});

test('as many buses as there are ids have one each', () => {
  const names = Array.from({ length: 255 }, (_, index) => `can${index}`);
  const all = busComponentIds(names);
  assert.equal(new Set(all.values()).size, 255);
  for (const id of all.values()) assert.ok(id >= 0 && id < 255);
});

test('names are found in any letters, and numbers beyond the wire where buses have names alone', () => {
  assert.equal(registry.componentTypeNumber('can_bus'), CAN_BUS_TYPE);
  assert.equal(registry.componentNumber(CAN_BUS_TYPE, 'pit.lane'), ids.get('Pit.Lane'));
  assert.equal(registry.componentNumber(CAN_BUS_TYPE, 'CAN0'), ids.get('can0'));
  assert.ok(registry.isKnownComponent(CAN_BUS_TYPE, ids.get('Pit.Lane')!));
  assert.equal(ProtocolRegistry.load().componentTypeNumber(CAN_BUS_TYPE), null);
});

test('no frame is taken for one of these signals', () => {
  const table = new SeriesTable(registry);
  signalsOf(table)('bus_off', 1, 2);
  const decoder = new KartDecoder('can0', registry, table);
  const frames = FrameBatch.allocate(4);
  // Where component type 8 would spill over: every message type with component type 0.
  for (let messageType = 0; messageType < 4; messageType++) {
    frames.push(1, 0, 0, [messageType << 6, 0, ids.get('can0')!, 0, VALUE_TYPE.UINT8 << 4, 0, 0, 7]);
  }
  const samples = SampleBatch.allocate(4);
  decoder.decode(frames, 0, samples);
  for (let at = 0; at < samples.count; at++) {
    const series = table.at(samples.series[at]!);
    assert.deepEqual([series.componentType, series.messageType], [0, at]);
  }
  assert.equal(samples.count, Object.keys(MESSAGE_TYPE).length);
});

test('where there is no room for more series, nothing is told', () => {
  const table = new SeriesTable(registry);
  const key = {
    bus: 'x',
    nodeId: 0,
    messageType: 1,
    componentType: 0,
    componentId: 0,
    commandId: 0,
    valueType: 0,
  };
  for (let nodeId = 0; nodeId < SERIES_MAX; nodeId++) table.add({ ...key, nodeId });
  assert.deepEqual(signalsOf(table)('bus_off', 1, 2), []);
});
