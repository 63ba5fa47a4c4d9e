import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BUS_WATCH_MS,
  SILENCE_BATCHES_MIN,
  SILENCE_MIN_MS,
  SILENCE_PAUSES,
  SILENCE_WINDOW_MS,
  SILENCES_LEARNED,
} from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import { FrameBatch } from './frame-batch.ts';
import { SilenceWatch } from './silence-watch.ts';

/** A bus, and a clock that goes on with what happens on it. */
class Listening {
  readonly watch = new SilenceWatch();
  nowMs = 0;
  /** When the bus was seen to fall silent. */
  readonly silentAtMs: number[] = [];
  /** How long each silence was that ended. */
  readonly endedMs: number[] = [];
  #checkAtMs = BUS_WATCH_MS;

  constructor() {
    this.watch.listen(0);
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (; this.#checkAtMs <= untilMs; this.#checkAtMs += BUS_WATCH_MS) {
      if (this.watch.check(this.#checkAtMs)) this.silentAtMs.push(this.#checkAtMs);
    }
    this.nowMs = untilMs;
  }

  frame(flags = 0): void {
    const batch = FrameBatch.allocate(1);
    batch.push(0, 0x123, flags, []);
    const endedMs = this.watch.observe(batch, this.nowMs);
    if (endedMs !== null) this.endedMs.push(endedMs);
  }

  frames(count: number, everyMs: number): void {
    for (let index = 0; index < count; index++) {
      this.pass(everyMs);
      this.frame();
    }
  }
}

test('a bus is silent after many of its longest pauses, and some seconds at least; a frame ends it', () => {
  for (const [everyMs, afterMs] of [
    [20, SILENCE_MIN_MS],
    [3000, SILENCE_PAUSES * 3000],
  ] as const) {
    const bus = new Listening();
    bus.frames(100, everyMs);
    const lastMs = bus.nowMs;
    bus.pass(afterMs);
    assert.deepEqual(bus.silentAtMs, []);
    bus.pass(BUS_WATCH_MS);
    assert.equal(bus.silentAtMs.length, 1);
    assert.ok(bus.watch.isSilent);
    assert.equal(bus.watch.lastMs, lastMs);
    bus.pass(3_600_000);
    assert.equal(bus.silentAtMs.length, 1, 'told once');
    bus.frame();
    assert.deepEqual(bus.endedMs, [bus.nowMs - lastMs]);
    assert.equal(bus.watch.isSilent, false);
  }
});

test('a bus that never said much is not silent, however long it had been before', () => {
  const bus = new Listening();
  bus.pass(3_600_000);
  bus.frames(SILENCE_BATCHES_MIN - 1, 10);
  bus.pass(3_600_000);
  assert.deepEqual(bus.silentAtMs, []);
  // That first hour is no pause that is usual.
  bus.frame();
  bus.pass(3_600_000);
  assert.equal(bus.watch.usualPauseMs, 3_600_000, 'the second one is');
});

test('what we send and what the controller says of errors is no sign of others', () => {
  const bus = new Listening();
  bus.frames(100, 20);
  for (let second = 0; second < 10; second++) {
    bus.pass(1000);
    bus.frame(FRAME_FLAG.OWN);
    bus.frame(FRAME_FLAG.ERROR);
  }
  assert.equal(bus.silentAtMs.length, 1);
  assert.deepEqual(bus.endedMs, []);
});

test('silences that come again and again are the way of a bus', () => {
  const bus = new Listening();
  for (let minute = 0; minute < 60; minute++) {
    bus.frames(50, 20);
    bus.pass(59_000);
  }
  assert.equal(bus.silentAtMs.length, SILENCES_LEARNED);
  // Then it takes more.
  bus.pass(SILENCE_PAUSES * 60_000);
  assert.equal(bus.silentAtMs.length, SILENCES_LEARNED + 1);
});

test('a long pause is forgotten', () => {
  const bus = new Listening();
  bus.frames(20, 4000);
  bus.frames((3 * SILENCE_WINDOW_MS) / 100, 100);
  bus.pass(SILENCE_MIN_MS + BUS_WATCH_MS);
  assert.equal(bus.silentAtMs.length, 1);
});

test('a bus that is not listened to, and a watch that was held up itself, say nothing', () => {
  const bus = new Listening();
  bus.frames(100, 20);
  bus.watch.pause();
  bus.pass(60_000);
  bus.watch.listen(bus.nowMs);
  bus.pass(SILENCE_MIN_MS - BUS_WATCH_MS);
  assert.deepEqual(bus.silentAtMs, []);
  assert.equal(bus.watch.check(bus.nowMs + 60_000), false, 'what came meanwhile is yet to be seen');
  assert.equal(bus.watch.check(bus.nowMs + 61_000), true);
});
