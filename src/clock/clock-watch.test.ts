import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ClockChange, NO_CLOCK } from '../shared/clock.ts';
import { CLOCK_ASK_INTERVAL_MS, CLOCK_SETTLE_MS, CLOCK_STEP_US, CLOCK_STEPS_KEPT } from '../shared/limits.ts';
import { ClockWatch, SYSTEM_CLOCK, type SystemClock } from './clock-watch.ts';

const NOW_US = 1_764_000_000_000_000;
const HOUR_US = 3_600_000_000;
const BOOT = 'a3c8';

/** Clocks that go and jump as a test says. */
class FakeClock implements SystemClock {
  synchronized: boolean | null = false;
  /** Whether the kernel can be asked for the time since the machine's start. */
  hasBootTime = true;
  #wallClockUs = NOW_US;
  #monotonicMs = 5000;
  #bootTimeUs = 7_000_000;

  pass(ms: number): void {
    this.#monotonicMs += ms;
    this.sleep(ms);
  }

  sleep(ms: number): void {
    this.#wallClockUs += ms * 1000;
    this.#bootTimeUs += ms * 1000;
  }

  set(stepUs: number): void {
    this.#wallClockUs += stepUs;
  }

  read() {
    return { wallClockUs: this.#wallClockUs, monotonicMs: this.#monotonicMs };
  }

  offsetUs(): number | null {
    return this.hasBootTime ? this.#wallClockUs - this.#bootTimeUs : null;
  }

  isSynchronized(): boolean | null {
    return this.synchronized;
  }

  bootId(): string {
    return BOOT;
  }
}

function watched(setUp: (clock: FakeClock) => void = () => {}, mayCorrect = true) {
  const clock = new FakeClock();
  setUp(clock);
  const changes: ClockChange[] = [];
  const watch = new ClockWatch((change) => changes.push(change), mayCorrect, clock);
  return { clock, changes, watch };
}

/** What was told of steps: how far, and by how much what came before is moved. */
function steps(changes: readonly ClockChange[]): [stepUs: number, correctionUs: number][] {
  return changes
    .filter(({ stepUs }) => stepUs !== 0)
    .map(({ stepUs, correctionUs }) => [stepUs, correctionUs]);
}

describe('a clock that is watched', () => {
  test('may go on, and the machine may sleep', () => {
    const { clock, changes, watch } = watched();
    for (const ms of [1, 500, 2000]) {
      clock.pass(ms);
      watch.check();
      clock.sleep(ms * 1000);
      assert.deepEqual(watch.check(), clock.read());
    }
    assert.deepEqual(changes, []);
    assert.equal(watch.status().stepCount, 0);
  });

  for (const stepUs of [HOUR_US, -HOUR_US, CLOCK_STEP_US, -CLOCK_STEP_US]) {
    test(`that wasn't known to be right corrects what was before when it is set by ${stepUs} us`, () => {
      const { clock, changes, watch } = watched();
      const { offsetUs } = watch.state;
      clock.pass(10);
      clock.set(stepUs);
      watch.check();
      watch.check();
      assert.deepEqual(changes, [
        {
          bootId: BOOT,
          offsetUs: offsetUs + stepUs,
          isSynchronized: false,
          stepUs,
          correctionUs: stepUs,
        },
      ]);
      assert.deepEqual(watch.status(), {
        isSynchronized: false,
        stepCount: 1,
        steps: [{ atUs: clock.read().wallClockUs, stepUs, isCorrection: true }],
      });
    });
  }

  test('is told to be right by the step that makes it so', () => {
    const { clock, changes, watch } = watched();
    clock.set(HOUR_US);
    clock.synchronized = true;
    watch.check();
    assert.deepEqual([changes[0]?.correctionUs, changes[0]?.isSynchronized], [HOUR_US, true]);
    // Whoever sets it now has his reasons.
    clock.pass(10);
    clock.set(-HOUR_US);
    watch.check();
    assert.deepEqual(steps(changes), [
      [HOUR_US, HOUR_US],
      [-HOUR_US, 0],
    ]);
  });

  test('of which nobody knows whether it is right corrects by a long way forward alone', () => {
    for (const [stepUs, correctionUs] of [
      [10_000_000, 0],
      [2 * HOUR_US, 2 * HOUR_US],
      [-2 * HOUR_US, 0],
    ] as const) {
      const { clock, changes, watch } = watched((each) => {
        each.synchronized = null;
      });
      clock.set(stepUs);
      watch.check();
      assert.deepEqual(steps(changes), [[stepUs, correctionUs]]);
    }
  });

  test('is asked once a second whether it is right, and that is told', () => {
    const { clock, changes, watch } = watched();
    clock.synchronized = true;
    clock.pass(CLOCK_ASK_INTERVAL_MS - 1);
    watch.check();
    assert.deepEqual(changes, []);
    clock.pass(1);
    watch.check();
    assert.deepEqual(changes, [{ ...watch.state, isSynchronized: true, stepUs: 0, correctionUs: 0 }]);
    clock.pass(CLOCK_ASK_INTERVAL_MS);
    watch.check();
    assert.equal(changes.length, 1);
  });

  test('that is set by a little again and again is seen when that adds up', () => {
    const { clock, changes, watch } = watched();
    const littleUs = CLOCK_STEP_US * 0.6;
    clock.set(littleUs);
    watch.check();
    assert.deepEqual(changes, []);
    clock.pass(1000);
    clock.set(littleUs);
    watch.check();
    assert.deepEqual(steps(changes), [[2 * littleUs, 2 * littleUs]]);
  });

  test('corrects nothing where timestamps are not its own, or sleep cannot be told from a step', () => {
    for (const { clock, changes, watch } of [
      watched(() => {}, false),
      watched((each) => {
        each.hasBootTime = false;
      }),
    ]) {
      assert.deepEqual(watch.state, NO_CLOCK);
      clock.set(HOUR_US);
      watch.check();
      assert.deepEqual(changes, [{ ...NO_CLOCK, isSynchronized: null, stepUs: HOUR_US, correctionUs: 0 }]);
    }
  });

  test('remembers its last steps, and how many there were', () => {
    const { clock, watch } = watched();
    for (let step = 1; step <= CLOCK_STEPS_KEPT + 3; step++) {
      clock.set(step * CLOCK_STEP_US);
      watch.check();
    }
    const { stepCount, steps: kept } = watch.status();
    assert.equal(stepCount, CLOCK_STEPS_KEPT + 3);
    assert.deepEqual(
      kept.map(({ stepUs }) => stepUs / CLOCK_STEP_US),
      Array.from({ length: CLOCK_STEPS_KEPT }, (_, at) => at + 4),
    );
  });

  test('is that of the machine unless told otherwise', () => {
    const watch = new ClockWatch(() => assert.fail('it was set'), true);
    const before = Date.now();
    const { wallClockUs } = watch.check();
    assert.ok(wallClockUs >= before * 1000 && wallClockUs <= Date.now() * 1000);
    assert.equal(watch.state.bootId, SYSTEM_CLOCK.bootId());
    assert.ok(Math.abs(watch.state.offsetUs - SYSTEM_CLOCK.offsetUs()!) < CLOCK_STEP_US);
  });
});

describe('what was on the way when the clock was set', () => {
  for (const stepUs of [HOUR_US, -HOUR_US]) {
    test(`by ${stepUs} us is moved, and what comes after it is not`, () => {
      const { clock, watch } = watched();
      clock.pass(100);
      assert.equal(watch.corrected(NOW_US + 100_000), NOW_US + 100_000);
      clock.set(stepUs);
      watch.check();
      clock.pass(50);
      assert.ok(watch.isSettling);
      assert.equal(watch.corrected(NOW_US + 100_000), NOW_US + 100_000 + stepUs);
      assert.equal(watch.corrected(NOW_US + 90_000), NOW_US + 90_000 + stepUs);
      const newUs = NOW_US + 120_000 + stepUs;
      assert.equal(watch.corrected(newUs), newUs);

      clock.pass(CLOCK_SETTLE_MS);
      assert.equal(watch.isSettling, false);
      assert.equal(watch.corrected(NOW_US), NOW_US);
    });
  }

  test('stays where it is if the step corrects nothing', () => {
    const { clock, watch } = watched((each) => {
      each.synchronized = true;
    });
    clock.set(HOUR_US);
    watch.check();
    assert.equal(watch.isSettling, false);
    assert.equal(watch.corrected(NOW_US), NOW_US);
  });
});
