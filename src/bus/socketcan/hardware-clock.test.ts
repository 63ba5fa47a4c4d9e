import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HARDWARE_CLOCK_STEP_US } from '../../shared/limits.ts';
import { HardwareClock } from './hardware-clock.ts';

const START_US = 1_800_000_000_000_000;

/** Every millisecond a frame, of which the `every`-th isn't delayed. Returns how late each was told to be. */
function drive(clock: HardwareClock, drift: number, delaysUs: readonly number[]): number[] {
  return delaysUs.map((delayUs, index) => {
    const trueUs = START_US + index * 1000;
    const hardwareUs = 5_000_000 + index * 1000 * (1 + drift);
    return clock.toSystemUs(hardwareUs, trueUs + delayUs) - trueUs;
  });
}

test('frames are told without their delays, however the clocks drift apart', () => {
  for (const drift of [0, 100e-6, -100e-6]) {
    // As USB delays: by up to 8 ms; one in 16 frames comes at once.
    const delaysUs = Array.from({ length: 20_000 }, (_, index) => ((index * 7) % 16) * 500);
    const late = drive(new HardwareClock(), drift, delaysUs).slice(16);
    const bound = 16 * 1000 * 600e-6 + 1;
    assert.ok(
      late.every((lateUs) => Math.abs(lateUs) <= bound),
      `drift ${drift}: ${Math.min(...late)} to ${Math.max(...late)} µs`,
    );
  }
});

test('a clock that was set is followed at once', () => {
  const hourUs = 3600e6;
  const clock = new HardwareClock();
  clock.toSystemUs(hourUs + 1000, START_US);
  // The system's, forwards and back.
  assert.equal(clock.toSystemUs(hourUs + 2000, START_US + 1000 + hourUs), START_US + 1000 + hourUs);
  assert.equal(clock.toSystemUs(hourUs + 3000, START_US + 2000), START_US + 2000);
  assert.equal(clock.toSystemUs(hourUs + 4000, START_US + 3010), START_US + 3000);
  // The controller's begins anew.
  assert.equal(clock.toSystemUs(1, START_US + 4000), START_US + 4000);
  assert.equal(clock.toSystemUs(1001, START_US + 5010), START_US + 5000);
});

test('a difference that a delay explains is no step', () => {
  const clock = new HardwareClock();
  clock.toSystemUs(0, START_US);
  const delayUs = HARDWARE_CLOCK_STEP_US - 1;
  assert.equal(clock.toSystemUs(1000, START_US + 1000 + delayUs), START_US + 1000);
});

test('frames keep their order, and none is told to be later than the kernel had it', () => {
  const step = fc.record({ afterUs: fc.nat(50_000), delayUs: fc.nat(20_000) });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 2 }),
      fc.double({ min: -1e-4, max: 1e-4, noNaN: true }),
      (steps, drift) => {
        const clock = new HardwareClock();
        let trueUs = START_US;
        let softwareUs = 0;
        let previousUs = 0;
        for (const { afterUs, delayUs } of steps) {
          trueUs += afterUs;
          softwareUs = Math.max(softwareUs, trueUs + delayUs);
          const systemUs = clock.toSystemUs((trueUs - START_US) * (1 + drift), softwareUs);
          assert.ok(Number.isInteger(systemUs));
          assert.ok(systemUs <= softwareUs && systemUs >= previousUs);
          previousUs = systemUs;
        }
      },
    ),
  );
});
