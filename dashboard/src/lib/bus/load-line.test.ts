import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GapReply, SeriesReply } from '../../../../src/client/index.ts';
import { LOAD_POINTS_MAX, LOAD_STEP_S } from '../limits.ts';
import { LoadLine, stretchesOf } from './load-line.ts';

const FROM_S = 1_764_000_000;

const points = ({ ring }: LoadLine) =>
  Array.from({ length: ring.length }, (_, at) => [ring.timeAt(at) - FROM_S, ring.valueAt(at)]);

/** An answer of /api/series that begins at FROM_S, in spans of 2 s; each of one signal of a bus. */
function seriesOf(
  means: readonly (readonly (number | null)[])[],
  gaps: readonly GapReply[] = [],
): SeriesReply {
  const signals = means.map((mean) => ({
    unit: '%',
    value_names: null,
    count: mean.map((value) => (value === null ? 0 : 1)),
    min: [...mean],
    max: [...mean],
    mean: [...mean],
    last: [...mean],
  }));
  const timestamps = means[0]!.map((_, at) => FROM_S + 2 * at);
  return {
    from: FROM_S,
    to: FROM_S + 2 * timestamps.length,
    step_s: 2,
    timestamps,
    signals,
    gaps: [...gaps],
  };
}

function gap(bus: string | null, cause: GapReply['cause'], from: number, to: number): GapReply {
  return { bus, cause, from: FROM_S + from, to: FROM_S + to, count: null, ongoing: false };
}

test('a line has what the history tells, each in the midst of its span, and then what came since', () => {
  const line = new LoadLine();
  line.take(FROM_S + 5.5, 7);
  line.take(FROM_S + 9, 8);
  line.takePast(
    'can0',
    seriesOf([
      [9, 9, 9, 9],
      [1, null, 2, null],
    ]),
    1,
  );
  assert.deepEqual(points(line), [
    [1, 1],
    [5, 2],
    [5.5, 7],
    [9, 8],
  ]);
});

test('it ends where the bus was not heard, and nowhere else', () => {
  const line = new LoadLine();
  const gaps = [
    gap('can0', 'bus_down', 3, 5),
    gap('can1', 'bus_down', 7, 9),
    gap('can0', 'kernel', 7, 9),
    gap(null, 'service_down', 11, 13),
    gap('can0', 'bus_off', 15, 20),
  ];
  line.takePast('can0', seriesOf([[1, 2, null, 3, 4, 5, null, 6]], gaps), 0);
  line.take(FROM_S + 21, 7);
  assert.deepEqual(points(line), [
    [1, 1],
    [3, 2],
    [4, Number.NaN],
    [7, 3],
    [9, 4],
    [11, 5],
    [12, Number.NaN],
    [15, 6],
    [17.5, Number.NaN],
    [21, 7],
  ]);
});

test('what was measured before a bus was lost may come after that is known', () => {
  const line = new LoadLine();
  line.end(FROM_S);
  assert.ok(!line.isEnded, 'what has not begun');
  line.take(FROM_S + 1, 0);
  line.end(FROM_S + 20);
  line.end(FROM_S + 22);
  assert.ok(line.isEnded);
  line.take(FROM_S + 16, 0);
  // So it is while the history is being asked.
  line.takePast('can0', seriesOf([[0]]), 0);
  assert.ok(line.isEnded);
  line.take(FROM_S + 40, 0);
  assert.ok(!line.isEnded);
  assert.deepEqual(points(line), [
    [1, 0],
    [16, 0],
    [20, Number.NaN],
    [40, 0],
  ]);
});

test('what comes sooner than can be seen is left out, so that ten minutes find room', () => {
  const line = new LoadLine();
  for (let at = 0; at <= 6000; at++) line.take(FROM_S + at / 10, at);
  const { ring } = line;
  assert.ok(ring.length < LOAD_POINTS_MAX);
  assert.equal(ring.firstTime, FROM_S);
  for (let at = 1; at < ring.length; at++)
    assert.ok(ring.timeAt(at) - ring.timeAt(at - 1) >= LOAD_STEP_S - 1e-6);
});

test('a line is drawn in its stretches, with the point before what is shown', () => {
  const line = new LoadLine();
  for (const timeS of [1, 2, 3, 6, 7]) {
    if (timeS === 6) line.end(FROM_S + 4);
    line.take(FROM_S + timeS, timeS);
  }
  assert.deepEqual(stretchesOf(line.ring, FROM_S), [
    [0, 3],
    [4, 6],
  ]);
  assert.deepEqual(stretchesOf(line.ring, FROM_S + 2.5), [
    [1, 3],
    [4, 6],
  ]);
  assert.deepEqual(stretchesOf(line.ring, FROM_S + 5), [[4, 6]]);
  assert.deepEqual(stretchesOf(new LoadLine().ring, 0), []);
});
