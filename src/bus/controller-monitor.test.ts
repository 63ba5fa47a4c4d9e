import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTROLLER_CHANGES_KEPT } from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import { ControllerMonitor } from './controller-monitor.ts';
import { FrameBatch } from './frame-batch.ts';

const BUS_OFF = 0x40;
const RESTARTED = 0x100;
const CONTROLLER = 0x04;
const COUNTERS = 0x200;
const PASSIVE = [0, 0x20, 0, 0, 0, 0, 135, 2];

type Frame = readonly [timestampUs: number, errorClass: number | 'frame', payload?: readonly number[]];

function monitor() {
  const told: unknown[] = [];
  const controller = new ControllerMonitor({
    onChange: ({ timestampUs, state }) => told.push([timestampUs, state]),
    onBusOff: (fromUs, toUs) => told.push({ fromUs, toUs }),
  });
  return {
    controller,
    observe(...frames: readonly Frame[]) {
      const batch = FrameBatch.allocate(Math.max(1, frames.length));
      for (const [timestampUs, errorClass, payload = []] of frames) {
        if (errorClass === 'frame') batch.push(timestampUs, 0x123, 0, payload);
        else batch.push(timestampUs, errorClass, FRAME_FLAG.ERROR, payload);
      }
      controller.observe(batch);
      return told.splice(0);
    },
    told,
  };
}

test('a controller that says nothing has no state', () => {
  const { controller, observe } = monitor();
  assert.deepEqual(observe([1, 'frame'], [2, 'frame']), []);
  const { state, txErrors, rxErrors, lastError, changes, errors } = controller.status();
  assert.deepEqual([state, txErrors, rxErrors, lastError, changes], [null, null, null, null, []]);
  assert.ok(Object.values(errors).every((count) => count === 0));
});

test('its state, counters and errors are kept', () => {
  const { controller, observe } = monitor();
  assert.deepEqual(observe([10, CONTROLLER | COUNTERS, PASSIVE], [11, 0x20]), [[10, 'error_passive']]);
  // It says again what is known.
  assert.deepEqual(observe([12, CONTROLLER | COUNTERS, PASSIVE]), []);
  const { state, txErrors, rxErrors, lastError, changes, errors } = controller.status();
  assert.deepEqual([state, txErrors, rxErrors], ['error_passive', 135, 2]);
  assert.deepEqual([errors.controller_state, errors.no_ack, errors.bus_off], [2, 1, 0]);
  assert.deepEqual(lastError, { timestampUs: 12, message: 'error-passive' });
  assert.deepEqual(changes, [{ timestampUs: 10, state: 'error_passive' }]);
});

for (const [name, end] of [
  ['a restart', [70, RESTARTED]],
  ['a state', [70, CONTROLLER, [0, 0x08]]],
  ['a frame', [70, 'frame']],
] as const satisfies readonly (readonly [string, Frame])[]) {
  test(`bus-off lasts until ${name}`, () => {
    const { observe } = monitor();
    assert.deepEqual(observe([50, 'frame'], [60, BUS_OFF]), [[60, 'bus_off'], { fromUs: 60, toUs: null }]);
    assert.deepEqual(observe([65, BUS_OFF], [66, 0x20]), []);
    const state = name === 'a state' ? 'error_warning' : 'error_active';
    assert.deepEqual(observe(end, [71, 'frame']), [[70, state], { fromUs: 60, toUs: 70 }]);
  });
}

test('bus-off ends where the bus is not read any more, and then nothing is known', () => {
  const { controller, observe, told } = monitor();
  observe([60, BUS_OFF, [0, 0, 0, 0, 0, 0, 255, 0]]);
  controller.forget(80);
  controller.forget(90);
  assert.deepEqual(told, [{ fromUs: 60, toUs: 80 }]);
  const { state, txErrors, changes } = controller.status();
  assert.deepEqual([state, txErrors, changes.length], [null, null, 1]);
});

test('each reading is told, the last where nothing is known any more', () => {
  const readings: unknown[] = [];
  const controller = new ControllerMonitor({
    onReading: ({ timestampUs, state, txErrors, rxErrors }) =>
      readings.push([timestampUs, state, txErrors, rxErrors]),
  });
  const batch = FrameBatch.allocate(8);
  batch.push(10, CONTROLLER | COUNTERS, FRAME_FLAG.ERROR, PASSIVE);
  batch.push(20, 0x20, FRAME_FLAG.ERROR, [0, 0, 0, 0, 0, 0, 136, 2]);
  batch.push(30, BUS_OFF, FRAME_FLAG.ERROR, []);
  batch.push(40, 0x123, 0, []);
  batch.push(50, 0x123, 0, []);
  controller.observe(batch);
  controller.forget(60);
  controller.forget(70);
  assert.deepEqual(readings, [
    [10, 'error_passive', 135, 2],
    [20, 'error_passive', 136, 2],
    [30, 'bus_off', 136, 2],
    [40, 'error_active', 136, 2],
    [60, null, null, null],
  ]);
});

test('changes are kept up to their limit', () => {
  const { controller, observe } = monitor();
  for (let at = 0; at < 2 * CONTROLLER_CHANGES_KEPT; at += 2) observe([at, BUS_OFF], [at + 1, RESTARTED]);
  observe([1000, BUS_OFF]);
  const { changes } = controller.status();
  assert.equal(changes.length, CONTROLLER_CHANGES_KEPT);
  assert.deepEqual(changes.at(-1), { timestampUs: 1000, state: 'bus_off' });
  assert.equal(changes[0]!.timestampUs, CONTROLLER_CHANGES_KEPT + 1);
});
