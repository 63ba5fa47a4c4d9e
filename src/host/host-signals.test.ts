import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { registry } from '../../test/support/samples.ts';
import { FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { decodeKartPayload, MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import { recordOf, SeriesTable } from '../protocol/series-table.ts';
import { SERIES_MAX } from '../shared/limits.ts';
import type { HostReading } from './host-reader.ts';
import { HostSignals } from './host-signals.ts';

const NODE_ID = 0x10;

const READING: HostReading = {
  uptimeS: 350_735.47,
  temperatureC: 61.833,
  cpuLoad: 0.256,
  memoryFreeBytes: 2_884_336 * 1024,
  diskUsage: 0.5049,
  sentBitPerS: 44_000,
  receivedBitPerS: 1_000_499,
  wifiRssiDbm: -56,
};

/** `COMMAND value unit` of each sample. */
function told(reading: HostReading, table = new SeriesTable(registry)): string[] {
  return new HostSignals(registry, table, NODE_ID).samplesOf(reading).map(({ series, rawValue }) => {
    const { commandId, unit, scale } = table.at(series).definition;
    return `${commandId} ${rawValue * scale} ${unit}`;
  });
}

describe("this machine's health", () => {
  test("is told in the protocol's units", () => {
    assert.deepEqual(told(READING), [
      'COMPONENT_UPTIME_S 350735 s',
      'INTERNAL_TEMP_C 62 °C',
      'CPU_LOAD_PERCENT 26 %',
      `MEMORY_FREE_BYTES ${2_884_336 * 1024} B`,
      'DISK_USAGE_PERCENT 50 %',
      'NETWORK_SENT_KBPS 44 kbit/s',
      'NETWORK_RECV_KBPS 1000 kbit/s',
      'WIFI_RSSI_DBM -56 dBm',
    ]);
  });

  test('is a STATUS of the Raspberry Pi, of the bus called host, under our node id', () => {
    const table = new SeriesTable(registry);
    told(READING, table);
    for (const { bus, nodeId, definition } of table.since(0)) {
      assert.deepEqual([bus, nodeId], ['host', NODE_ID]);
      const { messageType, componentType, componentId } = definition;
      assert.deepEqual(
        [messageType, componentType, componentId],
        ['STATUS', 'SYSTEM_MONITOR', 'RASPBERRY_PI'],
      );
    }
  });

  test('lacks what the machine does not tell', () => {
    const table = new SeriesTable(registry);
    assert.deepEqual(
      told({ ...READING, temperatureC: null, wifiRssiDbm: null, cpuLoad: null }, table).length,
      5,
    );
    assert.equal(table.count, 5);
  });

  test('is clipped to what the wire carries, and the frame says what the sample says', () => {
    const number = fc.option(fc.double({ min: -1e15, max: 1e15, noNaN: true }));
    const readings = fc.record<HostReading>({
      uptimeS: number,
      temperatureC: number,
      cpuLoad: number,
      memoryFreeBytes: number,
      diskUsage: number,
      sentBitPerS: number,
      receivedBitPerS: number,
      wifiRssiDbm: number,
    });
    const table = new SeriesTable(registry);
    const signals = new HostSignals(registry, table, NODE_ID);
    fc.assert(
      fc.property(readings, (reading) => {
        for (const { series, rawValue, frame } of signals.samplesOf(reading)) {
          const { componentType, componentId, commandId, valueType } = table.at(series);
          assert.deepEqual(decodeKartPayload(frame.payload), {
            messageType: MESSAGE_TYPE.STATUS,
            componentType,
            componentId,
            commandId,
            valueType,
            rawValue,
          });
          assert.deepEqual([frame.canId, frame.isExtended], [NODE_ID, false]);
        }
      }),
    );
    const most = { ...READING, uptimeS: 1e9, memoryFreeBytes: 1e15, cpuLoad: 9, temperatureC: -1e6 };
    assert.deepEqual(
      told(most).map((text) => text.split(' ')[1]),
      ['16777215', '-32768', '255', String(0xff_ffff * 1024), '50', '44', '1000', '-56'],
    );
  });

  test('keeps its series over a restart', () => {
    const before = new SeriesTable(registry);
    told(READING, before);
    const table = new SeriesTable(registry);
    for (const series of before.since(0)) table.restore(recordOf(series));
    told(READING, table);
    assert.equal(table.count, 8);
  });

  test('is left out where there is no room for another series', () => {
    const table = new SeriesTable(registry);
    const key = { bus: 'can0', nodeId: 2, messageType: 1, componentType: 1, componentId: 0, valueType: 4 };
    for (let count = 0; count < SERIES_MAX; count++) table.add({ ...key, commandId: count % 256 });
    assert.deepEqual(told(READING, table), []);
  });
});

test('only frames that say so, and that we have sent ourselves, are our own health', () => {
  const signals = new HostSignals(registry, new SeriesTable(registry), NODE_ID);
  const [uptime] = signals.samplesOf(READING);
  const { payload } = uptime!.frame;
  const with_ = (at: number, byte: number) => payload.with(at, byte);
  const { OWN, EXTENDED, REMOTE } = FRAME_FLAG;
  // biome-ignore format: a table
  const cases: [what: string, canId: number, flags: number, payload: Uint8Array, isOwn: boolean, isTold: boolean][] = [
    ['what was sent', NODE_ID, OWN, payload, true, true],
    ['with a value of before', NODE_ID, OWN, with_(7, 1), true, true],
    ['of somebody else', NODE_ID, 0, payload, false, true],
    ['under another id', NODE_ID + 1, OWN, payload, false, true],
    ['of 29 bits', NODE_ID, OWN | EXTENDED, payload, false, false],
    ['a remote frame', NODE_ID, OWN | REMOTE, payload, false, false],
    ['a COMMAND', NODE_ID, OWN, with_(0, 0x28), false, false],
    ['of the time master', NODE_ID, OWN, with_(2, 4), false, false],
    ['of a quantity that is not of the machine', NODE_ID, OWN, with_(3, 18), false, false],
    ['shorter', NODE_ID, OWN, payload.subarray(0, 7), false, false],
  ];
  const frames = FrameBatch.allocate(cases.length);
  for (const [, canId, flags, bytes] of cases) frames.push(1, canId, flags, bytes);
  for (const [at, [what, , , , isOwn, isTold]] of cases.entries()) {
    assert.deepEqual([signals.isOwn(frames, at), signals.isTold(frames, at)], [isOwn, isTold], what);
  }
});
