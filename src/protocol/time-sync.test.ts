import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CanFrame, FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { SimulatedKart } from '../bus/simulated-kart/simulated-kart.ts';
import { decodeKartPayload } from './kart-codec.ts';
import { ProtocolRegistry } from './protocol-registry.ts';
import {
  roundTripSample,
  TIME_COMMAND,
  TIME_COMPONENT,
  TimeSync,
  type TimeSyncOptions,
} from './time-sync.ts';

const START_US = 1_764_000_000_000_000;
const OUR_ID = 0x10;
const RPM = [0x48, 0, 0, 1, 0x40, 0, 4, 0xb0] as const;

interface Wire {
  readonly time: TimeSync;
  readonly sent: CanFrame[];
  /** Both in milliseconds since the start: the wall clock and the one that never jumps. */
  readonly clock: { wallMs: number; monotonicMs: number };
  /** Gives a batch of one frame, and returns the timestamp that it has then, in milliseconds since the start. */
  hear(atMs: number, canId: number, payload: readonly number[], flags?: number): number;
  /** What hear() gave as round trips, so far. */
  readonly roundTrips: [nodeId: number, ms: number][];
}

function wire(options: Partial<TimeSyncOptions> = {}): Wire {
  const clock = { wallMs: 0, monotonicMs: 5000 };
  const sent: CanFrame[] = [];
  const roundTrips: Wire['roundTrips'] = [];
  const time = new TimeSync({
    nodeId: OUR_ID,
    intervalMs: 1000,
    datedBy: 'own',
    isOpen: () => true,
    async send(frame) {
      sent.push(frame);
    },
    onSendFailed: (error) => assert.fail(String(error)),
    nowUs: () => START_US + clock.wallMs * 1000,
    monotonicMs: () => clock.monotonicMs,
    ...options,
  });
  return {
    time,
    sent,
    clock,
    roundTrips,
    hear(atMs, canId, payload, flags = 0) {
      const frames = FrameBatch.allocate(1);
      frames.push(START_US + atMs * 1000, canId, flags, payload);
      for (const { nodeId, roundTripUs } of time.observe(frames))
        roundTrips.push([nodeId, roundTripUs / 1000]);
      return (frames.timestampUs[0]! - START_US) / 1000;
    },
  };
}

/** STATUS ... PONG with the value of a PING. */
function pongTo({ payload }: CanFrame): number[] {
  return [0x68, 0, 4, 5, 0x60, ...payload.subarray(5)];
}

const SET_TIME = [0x28, 0, 4, 7, 0x60, 0, 0, 1] as const;

/** A node that has its time since `syncMs`, and has proven it by frames in time until half a second later. */
function syncNode({ hear }: Wire, nodeId: number, syncMs: number, flags: number = FRAME_FLAG.OWN): void {
  hear(syncMs, nodeId, SET_TIME, flags);
  for (let ms = 1; ms <= 200; ms++) hear(syncMs + ms, nodeId, rpm(ms));
}

function rpm(byte1: number): number[] {
  return [RPM[0], byte1 & 0xff, ...RPM.slice(2)];
}

test('the numbers are those of the protocol', () => {
  const registry = ProtocolRegistry.load();
  const type = registry.componentTypeNumber('SYSTEM_MONITOR')!;
  assert.equal(TIME_COMPONENT.SYSTEM_MONITOR, type);
  assert.equal(TIME_COMPONENT.TIME_MASTER, registry.componentNumber(type, 'TIME_MASTER'));
  for (const [name, number] of Object.entries(TIME_COMMAND)) {
    assert.equal(number, registry.commandNumber(type, name), name);
  }
});

test('PING goes out under our id, SET_TIME under that of the node that answered', async () => {
  const bus = wire();
  bus.clock.wallMs = 1000;
  await bus.time.ping();
  const [ping] = bus.sent;
  assert.equal(ping?.canId, OUR_ID);
  assert.equal(ping.isExtended, false);
  const value = (START_US / 1000 + 1000) % 2 ** 24;
  assert.deepEqual(decodeKartPayload(ping.payload), {
    messageType: 0,
    componentType: 5,
    componentId: 4,
    commandId: 4,
    valueType: 6,
    rawValue: value,
  });

  // On the bus 2 ms later, answered after 6 ms more, and heard of after all that.
  bus.hear(1002, OUR_ID, [...ping.payload], FRAME_FLAG.OWN);
  bus.clock.wallMs = 1012;
  bus.hear(1008, 3, pongTo(ping));
  assert.deepEqual(bus.roundTrips, [[3, 6]]);
  const setTime = bus.sent[1]!;
  assert.equal(setTime.canId, 3);
  const { messageType, componentType, componentId, commandId, valueType, rawValue } = decodeKartPayload(
    setTime.payload,
  );
  assert.deepEqual([messageType, componentType, componentId, commandId, valueType], [0, 5, 4, 7, 6]);
  assert.equal(rawValue, value + 12 + 3);
  assert.equal(setTime.payload[1], 0);
});

test('a PING of another node, of another length or in CAN FD is none of ours', async () => {
  const bus = wire();
  await bus.time.ping();
  const ping = bus.sent[0]!;
  const payload = [...ping.payload];
  // Each would be a later beginning of the round trip.
  bus.hear(2, 0x11, payload, FRAME_FLAG.OWN);
  bus.hear(2, OUR_ID, payload);
  bus.hear(2, OUR_ID, payload, FRAME_FLAG.OWN | FRAME_FLAG.FD);
  bus.hear(2, OUR_ID, payload, FRAME_FLAG.OWN | FRAME_FLAG.EXTENDED);
  // And none of these is an answer.
  bus.hear(3, 5, pongTo(ping), FRAME_FLAG.EXTENDED);
  bus.hear(3, 5, pongTo(ping), FRAME_FLAG.OWN);
  bus.hear(3, 5, pongTo(ping).slice(0, 7));
  bus.hear(3, 5, [0x28, ...pongTo(ping).slice(1)]);
  assert.deepEqual(bus.roundTrips, []);
  bus.hear(4, 5, pongTo(ping));
  assert.deepEqual(bus.roundTrips, [[5, 4]]);
  assert.deepEqual(Object.values(bus.time.status().master!.pongsPassedOver), [0, 0, 0, 0, 0]);
});

test('where no time is kept nothing is sent, answered or dated', async () => {
  const bus = wire({ intervalMs: null });
  await bus.time.ping();
  bus.time.start();
  bus.hear(1, 5, [0x68, 0, 4, 5, 0x60, 0, 0, 1]);
  syncNode(bus, 5, 10);
  assert.equal(bus.hear(360, 5, rpm(300)), 360);
  assert.deepEqual(bus.sent, []);
  assert.deepEqual(bus.time.status(), { master: null, nodesDated: 0, framesRedated: 0 });
  bus.time.stop();
});

test('a late frame of a node that we have synced is dated by byte 1; of others it is not', () => {
  const bus = wire();
  syncNode(bus, 5, 10);
  assert.equal(bus.hear(360, 5, rpm(300)), 310.5);
  assert.equal(bus.hear(360, 6, rpm(300)), 360);
  assert.equal(bus.hear(361, 5, rpm(320), FRAME_FLAG.OWN), 361);
  assert.deepEqual(bus.time.status().framesRedated, 1);
});

test('a SET_TIME in the midst of a batch holds for what follows', () => {
  const bus = wire();
  syncNode(bus, 5, 10);
  const frames = FrameBatch.allocate(3);
  frames.push(START_US + 360_000, 5, 0, rpm(300));
  frames.push(START_US + 400_000, 5, FRAME_FLAG.OWN, SET_TIME);
  frames.push(START_US + 460_000, 5, 0, rpm(20));
  bus.time.observe(frames);
  assert.deepEqual(
    [...frames.timestampUs].map((us) => (us - START_US) / 1000),
    [310.5, 400, 420.5],
  );
});

test("another master's SET_TIME makes a node's byte 1 somebody else's", () => {
  const bus = wire();
  syncNode(bus, 5, 10);
  bus.hear(300, 5, SET_TIME);
  assert.equal(bus.hear(360, 5, rpm(10)), 360);
  assert.equal(bus.time.status().nodesDated, 0);
});

test('a clock that is set forgets what it told the nodes; one that is slewed does not', () => {
  const bus = wire();
  syncNode(bus, 5, 10);
  bus.clock.wallMs = 4;
  assert.equal(bus.hear(360, 5, rpm(300)), 310.5);
  bus.clock.wallMs = 40;
  assert.equal(bus.hear(460, 5, rpm(400)), 460);
  assert.equal(bus.time.status().nodesDated, 0);
});

test('in a log anybody may have set the time, and where time is not what it was nobody', () => {
  const log = wire({ intervalMs: null, datedBy: 'any' });
  syncNode(log, 5, 10, 0);
  log.clock.wallMs = 100_000;
  assert.equal(log.hear(360, 5, rpm(300)), 310.5);

  const stretched = wire({ intervalMs: null, datedBy: 'none' });
  syncNode(stretched, 5, 10, 0);
  assert.equal(stretched.hear(360, 5, rpm(300)), 360);
});

test('a log without a sync keeps every timestamp, whatever byte 1 says', () => {
  const log = wire({ intervalMs: null, datedBy: 'any' });
  for (let ms = 0; ms < 1000; ms += 7) assert.equal(log.hear(ms, 5, rpm(3 * ms)), ms);
});

test('the nodes of the simulated kart are synced, and dated as it sent their frames', async () => {
  const kart = new SimulatedKart({ seed: 1 });
  const sent: [frame: CanFrame, atUs: number][] = [];
  let nowUs = 0;
  const time = new TimeSync({
    nodeId: OUR_ID,
    intervalMs: 1000,
    datedBy: 'own',
    isOpen: () => true,
    async send(frame) {
      sent.push([frame, nowUs]);
    },
    onSendFailed: (error) => assert.fail(String(error)),
    nowUs: () => START_US + nowUs,
    monotonicMs: () => nowUs / 1000,
  });
  const roundTripsMs: number[] = [];
  for (let step = 1; step <= 500; step++) {
    nowUs = step * 10_000;
    const batch = FrameBatch.allocate(256);
    for (const [frame, atUs] of sent.splice(0)) {
      kart.emit(batch, atUs, START_US);
      batch.push(START_US + atUs, frame.canId, FRAME_FLAG.OWN, frame.payload);
      kart.receive(frame, atUs);
    }
    kart.emit(batch, nowUs, START_US);
    const before = batch.timestampUs.slice(0, batch.count);
    for (const { roundTripUs } of time.observe(batch)) roundTripsMs.push(roundTripUs / 1000);
    assert.deepEqual(batch.timestampUs.slice(0, batch.count), before, 'no frame waits for long there');
    if (step % 100 === 50) await time.ping();
  }
  assert.equal(roundTripsMs.length, 5 * 6);
  for (const ms of roundTripsMs) assert.ok(ms > 1 && ms < 10, `${ms} ms`);
  const { master, nodesDated } = time.status();
  assert.equal(nodesDated, 6);
  assert.deepEqual(
    master!.nodes.map(({ nodeId, pings, pongs, missed }) => [nodeId, pings, pongs, missed]),
    [1, 2, 3, 4, 5, 6].map((nodeId) => [nodeId, 5, 5, 0]),
  );
});

test("a round trip is a sample as if the node had told it, in the protocol's milliseconds", () => {
  const { key, rawValue } = roundTripSample({ nodeId: 7, timestampUs: 1, roundTripUs: 2_600 });
  assert.equal(rawValue, 3);
  const { messageType, componentType, componentId, commandId, valueType } = key;
  const definition = ProtocolRegistry.load().describe(
    messageType,
    componentType,
    componentId,
    commandId,
    valueType,
  );
  assert.deepEqual(
    [key.nodeId, definition.messageType, definition.componentId, definition.commandId, definition.unit],
    [7, 'STATUS', 'TIME_MASTER', 'ROUNDTRIPTIME_MS', 'ms'],
  );
});
