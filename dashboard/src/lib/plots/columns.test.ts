import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TimeRing } from '../time-ring.ts';
import { makeColumns, type PlotSource } from './columns.ts';
import type { Past } from './past.ts';

function ringOf(samples: readonly (readonly [timeS: number, value: number])[], capacity = 100_000): TimeRing {
  const ring = new TimeRing(capacity);
  for (const [timeS, value] of samples) ring.push(timeS, value);
  return ring;
}

function pastOf(samples: readonly (readonly [number, number])[], stepS: number): Past {
  const values = Float64Array.from(samples, ([, value]) => value);
  const times = Float64Array.from(samples, ([timeS]) => timeS);
  return {
    fromS: 0,
    toS: 1e6,
    stepS,
    times,
    least: values,
    greatest: values,
    last: values,
    samples: samples.length,
  };
}

function source(parts: Partial<PlotSource>): PlotSource {
  const silenceS = Number.POSITIVE_INFINITY;
  return { ring: null, past: null, silenceS, staysAtZero: false, factor: 1, offset: 0, ...parts };
}

describe('near enough, a plot', () => {
  test('has every sample, over the times of all signals', () => {
    const left = source({
      ring: ringOf([
        [1, 10],
        [2, 20],
      ]),
    });
    const right = source({
      ring: ringOf([
        [1.5, 5],
        [2, 6],
      ]),
    });
    const { times, signals, isSamples } = makeColumns([left, right], 0, 3, 1000);
    assert.deepEqual(times, [1, 1.5, 2]);
    assert.deepEqual(signals[0]!.last, [10, undefined, 20]);
    assert.deepEqual(signals[1]!.last, [undefined, 5, 6]);
    assert.ok(isSamples);
  });

  test('ends a line where a signal is silent, also between the samples of another', () => {
    const silent = source({
      ring: ringOf([
        [1, 1],
        [9, 2],
      ]),
      silenceS: 2,
    });
    const steady = source({ ring: ringOf([1, 3, 5, 7, 9].map((timeS) => [timeS, 0] as const)) });
    const { times, signals } = makeColumns([silent, steady], 0, 10, 1000);
    const between = signals[0]!.last.filter((_value, at) => times[at]! > 1 && times[at]! < 9);
    assert.ok(between.length >= 4);
    assert.ok(between.every((value) => value === null));
  });

  for (const [how, widthPx] of [
    ['by sample', 1000],
    ['by span', 20],
  ] as const) {
    test(`goes on over a silence at zero where that is not told again, ${how}`, () => {
      const samples = [
        [1, 0],
        [21, 0],
        [22, 3],
        [42, 3],
      ] as const;
      const steady = source({ ring: ringOf(Array.from({ length: 43 }, (_, at) => [at, 0] as const)) });
      const endings = (staysAtZero: boolean) => {
        const still = source({ ring: ringOf(samples), silenceS: 2, staysAtZero });
        const { times, signals } = makeColumns([still, steady], 0, 43, widthPx);
        const ended = times.filter((_timeS, at) => signals[0]!.last[at] === null);
        return [ended.some((timeS) => timeS < 21), ended.some((timeS) => timeS > 22)];
      };
      assert.deepEqual(endings(true), [false, true]);
      assert.deepEqual(endings(false), [true, true]);
    });
  }

  test('shows values in the unit that was chosen', () => {
    const celsius = source({ ring: ringOf([[1, 100]]), factor: 1.8, offset: 32 });
    assert.deepEqual(makeColumns([celsius], 0, 2, 1000).signals[0]!.last, [212]);
  });

  test('goes on from the history with the samples since', () => {
    const both = source({
      past: pastOf(
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
        0,
      ),
      ring: ringOf([
        [3, 3],
        [4, 4],
      ]),
    });
    const { times, signals } = makeColumns([both], 0, 5, 1000);
    assert.deepEqual(times, [1, 2, 3, 4]);
    assert.deepEqual(signals[0]!.last, [1, 2, 3, 4]);
  });
});

describe('from afar, a plot', () => {
  test('keeps the least and the greatest of all samples shown, and loses none', () => {
    const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      minLength: 500,
      maxLength: 3000,
    });
    fc.assert(
      fc.property(values, (all) => {
        const ring = ringOf(all.map((value, at) => [at / 100, value] as const));
        const toS = all.length / 100;
        const { signals, times } = makeColumns([source({ ring })], 0, toS, 200);
        assert.ok(times.length <= 200);
        const numbers = (column: readonly (number | null | undefined)[]) =>
          column.filter((each) => each != null);
        // A plot has no -0: what is shown is value * 1 + 0.
        assert.equal(Math.min(...numbers(signals[0]!.least)), Math.min(...all) + 0);
        assert.equal(Math.max(...numbers(signals[0]!.greatest)), Math.max(...all) + 0);
        assert.equal(numbers(signals[0]!.last).at(-1), all.at(-1)! + 0);
      }),
      { numRuns: 30 },
    );
  });

  test('has the same spans while it moves along', () => {
    const ring = ringOf(Array.from({ length: 10_000 }, (_, at) => [at / 100, Math.sin(at / 50)] as const));
    const at = (fromS: number) => {
      const { times, signals } = makeColumns([source({ ring })], fromS, fromS + 60, 300);
      return new Map(times.map((timeS, place) => [timeS, signals[0]!.greatest[place]]));
    };
    const [before, after] = [at(10), at(10.37)];
    const common = [...before].filter(([timeS]) => timeS > 12 && timeS < 68);
    assert.ok(common.length > 100);
    for (const [timeS, value] of common) assert.equal(after.get(timeS), value);
  });

  test('ends a line for as long as a signal is silent', () => {
    const samples = Array.from(
      { length: 4000 },
      (_, at) => [at < 2000 ? at / 100 : at / 100 + 30, 1] as const,
    );
    const { times, signals } = makeColumns([source({ ring: ringOf(samples), silenceS: 2 })], 0, 70, 300);
    const silent = signals[0]!.last.filter((_value, at) => times[at]! > 21 && times[at]! < 49);
    assert.ok(silent.length > 50);
    assert.ok(silent.every((value) => value === null));
  });
});

test('a ring that is full forgets the oldest, and finds times by halves', () => {
  const ring = ringOf(
    Array.from({ length: 25 }, (_, at) => [at, at * 2] as const),
    10,
  );
  assert.deepEqual([ring.length, ring.firstTime, ring.lastTime], [10, 15, 24]);
  assert.deepEqual([ring.indexFrom(0), ring.indexFrom(17.5), ring.indexFrom(99)], [0, 3, 10]);
  assert.equal(ring.push(24, 0), false, 'a sample that is known');
});
