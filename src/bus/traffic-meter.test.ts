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

const ZEROS: Frame = [0, 0, new Array(8).fill(0)];
const ZEROS_BITS = frameBits(0, 0, new Uint8Array(8)).nominal;

function assertNear(found: number | null, expected: number): void {
  assert.ok(found !== null && Math.abs(found - expected) < 1e-12, `${found}, expected ${expected}`);
}

test('a span has the mean of its time, windows or not', () => {
  const { traffic, observe, pass } = meter();
  traffic.setBitrates({ nominal: 500_000, data: null });
  observe(...times(7, ZEROS));
  pass(400);
  traffic.beginSpan();
  // A window ends in its midst, and another lasts on.
  for (let step = 0; step < 5; step++) {
    observe(...times(100, ZEROS), [1, ERROR, [0]]);
    pass(300);
    traffic.traffic();
  }
  assert.equal(traffic.endSpan(1501), null, 'it goes on');
  const span = traffic.endSpan(1500)!;
  assert.deepEqual([span.framesPerS, span.isFirst], [500 / 1.5, true]);
  assertNear(span.load, (500 * ZEROS_BITS) / 500_000 / 1.5);
  // What windows say is as it is without spans.
  pass(1000);
  assert.equal(traffic.traffic().framesPerS, 300 / 1.9);
  assert.equal(traffic.endSpan(0)?.framesPerS, 0);
  assert.equal(traffic.endSpan(0), null, 'of no time there is no mean');
});

test('spans leave windows and ids as they are', () => {
  const plain = meter();
  const spanned = meter();
  for (const each of [plain, spanned]) {
    each.traffic.setBitrates({ nominal: 500_000, data: 2_000_000 });
    for (let step = 0; step < 20; step++) {
      each.observe(...times(step, ZEROS), [0x123, EXTENDED, [1]], [0x123, FD | BRS, [1, 2]]);
      each.pass(170);
      if (each === spanned) each.traffic.endSpan(0);
    }
    each.traffic.traffic();
  }
  const [one, other] = [plain.traffic.traffic(), spanned.traffic.traffic()];
  assertNear(one.load, other.load!);
  assert.deepEqual({ ...one, load: 0 }, { ...other, load: 0 });
  assert.deepEqual(plain.traffic.ofId(0, false), spanned.traffic.ofId(0, false));
});

test('the load of a span is known where the bitrate was, for all of its frames', () => {
  const { traffic, observe, pass } = meter();
  const loadAfter = (ms: number) => {
    pass(ms);
    return traffic.endSpan(0)!.load;
  };
  observe(ZEROS);
  assert.equal(loadAfter(100), null);
  // It becomes known in time for what came since.
  observe(ZEROS);
  pass(100);
  traffic.setBitrates({ nominal: 500_000, data: null });
  assertNear(loadAfter(100), ZEROS_BITS / 500_000 / 0.2);
  assert.equal(loadAfter(100), 0);
  // What came at one bitrate counts at that.
  observe(ZEROS);
  traffic.setBitrates({ nominal: 250_000, data: null });
  observe(ZEROS);
  assertNear(loadAfter(100), (ZEROS_BITS / 500_000 + ZEROS_BITS / 250_000) / 0.1);
  traffic.setBitrates({ nominal: null, data: null });
  observe(ZEROS);
  pass(1000);
  traffic.traffic();
  traffic.setBitrates({ nominal: 500_000, data: null });
  assert.equal(loadAfter(100), null);
});

test('a span that begins anew forgets what came before', () => {
  const { traffic, observe, pass } = meter();
  pass(5000);
  assert.equal(traffic.endSpan(0)?.isFirst, true);
  observe(...times(10, ZEROS));
  pass(1000);
  traffic.beginSpan();
  observe(...times(3, ZEROS));
  pass(1000);
  assert.deepEqual(traffic.endSpan(0), { framesPerS: 3, load: null, isFirst: true });
  observe(...times(4, ZEROS));
  pass(2000);
  assert.deepEqual(traffic.endSpan(0), { framesPerS: 2, load: null, isFirst: false });
});
