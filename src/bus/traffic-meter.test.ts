import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAN_IDS_COUNTED_MAX } from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import { FrameBatch } from './frame-batch.ts';
import { frameBits } from './frame-bits.ts';
import { TrafficMeter } from './traffic-meter.ts';

const { EXTENDED, ERROR, REMOTE, FD, BRS } = FRAME_FLAG;

type Frame = readonly [canId: number, flags: number, payload: readonly number[]];

function meter() {
  let nowMs = 0;
  const traffic = new TrafficMeter(() => nowMs);
  return {
    traffic,
    pass: (ms: number) => {
      nowMs += ms;
    },
    observe(...frames: readonly Frame[]) {
      const batch = FrameBatch.allocate(Math.max(1, frames.length));
      for (const [at, [canId, flags, payload]] of frames.entries())
        batch.push(1000 + at, canId, flags, payload);
      traffic.observe(batch);
    },
  };
}

const times = (count: number, frame: Frame) => Array.from({ length: count }, () => frame);

test('frames and bytes a second are those of the last second', () => {
  const { traffic, observe, pass } = meter();
  observe(...times(100, [1, 0, [1, 2, 3, 4, 5, 6, 7, 8]]), [2, 0, [1]], [3, REMOTE, [0, 0]], [4, ERROR, [0]]);
  assert.deepEqual(traffic.traffic(), { framesPerS: 0, bytes: 801, bytesPerS: 0, load: null });
  pass(2000);
  assert.deepEqual(traffic.traffic(), { framesPerS: 51, bytes: 801, bytesPerS: 400.5, load: null });
  pass(999);
  assert.equal(traffic.traffic().framesPerS, 51);
  pass(1);
  assert.equal(traffic.traffic().framesPerS, 0);
});

test('the load is the part of the time that frames take, stuff bits and all', () => {
  const { traffic, observe, pass } = meter();
  traffic.setBitrates({ nominal: 500_000, data: null });
  const zeros: Frame = [0, 0, new Array(8).fill(0)];
  const { nominal } = frameBits(0, 0, new Uint8Array(8));
  observe(...times(1000, zeros));
  pass(1000);
  assert.equal(traffic.traffic().load, (1000 * nominal) / 500_000);
  // Frames of several lengths under one id: stuffed as the latest is.
  observe([0x555, 0, [0x55]], [0x555, 0, [0x55, 0x55, 0x55]]);
  pass(1000);
  const last = frameBits(0x555, 0, Uint8Array.of(0x55, 0x55, 0x55)).nominal;
  assert.equal(traffic.traffic().load, (2 * last - 16) / 500_000);
});

test('what CAN FD frames carry takes its time at the data bitrate', () => {
  const { traffic, observe, pass } = meter();
  traffic.setBitrates({ nominal: 500_000, data: 2_000_000 });
  const payload = new Uint8Array(64).fill(0x5a);
  observe(...times(10, [0x123, FD | BRS, [...payload]]));
  pass(1000);
  const { nominal, data } = frameBits(0x123, FD | BRS, payload);
  assert.ok(Math.abs(traffic.traffic().load! - 10 * (nominal / 500_000 + data / 2_000_000)) < 1e-12);
});

test('an id has its rate and its latest frame', () => {
  const { traffic, observe, pass } = meter();
  observe([0x123, 0, [1]], [0x123, 0, [2, 3]], [0x123, EXTENDED, [4]]);
  pass(1000);
  traffic.traffic();
  assert.deepEqual(traffic.ofId(0x123, false), {
    rateHz: 2,
    lastUs: 1001,
    lastFlags: 0,
    lastPayload: Uint8Array.of(2, 3),
  });
  assert.deepEqual(traffic.ofId(0x123, true)?.lastPayload, Uint8Array.of(4));
  assert.equal(traffic.ofId(0x124, false), null);
  // A silent id's rate fades.
  let previous = 2;
  for (let second = 0; second < 30; second++) {
    pass(1000);
    traffic.traffic();
    const { rateHz } = traffic.ofId(0x123, false)!;
    assert.ok(rateHz < previous);
    previous = rateHz;
  }
  assert.ok(previous < 0.01);
});

test('no more 29-bit ids are looked at one by one than the limit says, and all of their frames count', () => {
  const { traffic, observe, pass } = meter();
  traffic.setBitrates({ nominal: 1_000_000, data: null });
  const extendedMax = CAN_IDS_COUNTED_MAX - 0x800;
  const frames = Array.from({ length: extendedMax + 10 }, (_, at): Frame => [at, EXTENDED, [1]]);
  observe(...frames);
  pass(1000);
  assert.equal(traffic.traffic().framesPerS, frames.length);
  assert.notEqual(traffic.ofId(extendedMax - 1, true), null);
  assert.equal(traffic.ofId(extendedMax, true), null);
  assert.ok(traffic.traffic().load! > (frames.length * 75) / 1_000_000);
});
