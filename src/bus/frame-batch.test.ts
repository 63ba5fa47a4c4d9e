import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_BATCH_FRAMES_MAX, FRAME_BATCH_LONG_PAYLOADS_MAX } from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import { FrameBatch } from './frame-batch.ts';

const anyFrame = fc.record({
  timestampUs: fc.maxSafeNat(),
  canId: fc.nat({ max: 0x1fff_ffff }),
  flags: fc.nat({ max: 63 }).map((flags) => flags & ~FRAME_FLAG.REMOTE),
  payload: fc
    .constantFrom(0, 1, 8, 12, 64)
    .chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
});

test('frames come back as they were, on another thread and in another batch', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 40 }), (frames) => {
      const batch = FrameBatch.allocate(frames.length);
      for (const { timestampUs, canId, flags, payload } of frames)
        batch.push(timestampUs, canId, flags, payload);
      assert.ok(batch.isFull);
      const moved = new FrameBatch(batch.buffer, batch.count);
      assert.equal(moved.capacity, frames.length);
      const copy = FrameBatch.allocate(frames.length);
      for (let at = 0; at < frames.length; at++) copy.copy(moved, at, frames[at]!.timestampUs + 1);
      for (const [at, { timestampUs, canId, flags, payload }] of frames.entries()) {
        for (const [from, addUs] of [
          [moved, 0],
          [copy, 1],
        ] as const) {
          assert.equal(from.timestampUs[at], timestampUs + addUs);
          assert.deepEqual([from.canId[at], from.flags[at]], [canId, flags]);
          assert.deepEqual([...from.payloadOf(at)], [...payload]);
        }
      }
    }),
  );
});

test('a remote frame has a length and no payload', () => {
  const batch = FrameBatch.allocate(2);
  batch.push(1, 2, FRAME_FLAG.REMOTE, [0, 0, 0]);
  batch.copy(batch, 0, 5);
  for (const at of [0, 1]) {
    assert.equal(batch.payloadBytes[0], 3 * (1 - at) + batch.payloadBytes[0]! * at);
    assert.equal(batch.payloadOf(at).length, 0);
  }
});

test('a batch is full when long payloads find no more room, and empty when it was cleared', () => {
  const batch = FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX);
  assert.equal(batch.capacity, FRAME_BATCH_FRAMES_MAX);
  const long = new Uint8Array(64);
  for (let count = 0; count < FRAME_BATCH_LONG_PAYLOADS_MAX; count++) {
    assert.ok(!batch.isFull);
    batch.push(count, 1, FRAME_FLAG.FD, long.fill(count & 255));
  }
  assert.ok(batch.isFull);
  assert.deepEqual([...batch.payloadOf(300)], [...long.fill(300 & 255)]);
  batch.clear();
  assert.deepEqual([batch.count, batch.isFull, batch.longRoom], [0, false, FRAME_BATCH_LONG_PAYLOADS_MAX]);
  for (let count = 0; count < FRAME_BATCH_FRAMES_MAX; count++) batch.push(count, 1, 0, [1, 2]);
  assert.ok(batch.isFull);
});
