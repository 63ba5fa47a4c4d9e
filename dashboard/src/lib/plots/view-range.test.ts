import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromParameters, live, panned, paused, spanOf, toParameters, whole, zoomed } from './view-range.ts';

const NOW_S = 1_764_000_000;

test('a link opens what it was made of', () => {
  const part = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/);
  const key = fc.tuple(part, part, part).map((parts) => parts.join('/'));
  const panes = fc.array(fc.array(key, { minLength: 1, maxLength: 4 }), { maxLength: 4 });
  const range = fc.oneof(
    fc.integer({ min: 1, max: 86_400 }).map((windowS) => ({ isLive: true as const, windowS })),
    fc
      .tuple(fc.integer({ min: 0, max: 2e9 }), fc.integer({ min: 1, max: 1e6 }))
      .map(([fromS, spanS]) => ({ isLive: false as const, fromS, toS: fromS + spanS })),
  );
  fc.assert(
    fc.property(panes, range, (signals, time) => {
      const state = { panes: signals, range: time };
      const text = toParameters(state).toString();
      assert.deepEqual(fromParameters(new URLSearchParams(text)), state);
    }),
  );
});

test('a link that is broken opens what can be opened', () => {
  const { panes, range } = fromParameters(new URLSearchParams('p=MOTORS/A/RPM,nonsense|,|&from=5&to=4&w=-1'));
  assert.deepEqual(panes, [['MOTORS/A/RPM']]);
  assert.equal(range.isLive, true);
});

test('zooming keeps the place that is pointed at', () => {
  const range = zoomed({ isLive: false, fromS: 100, toS: 200 }, 0.5, 125);
  assert.deepEqual(range, { isLive: false, fromS: 112.5, toS: 162.5 });
});

test('zooming while live keeps the present', () => {
  assert.deepEqual(zoomed({ isLive: true, windowS: 60 }, 2, 0), { isLive: true, windowS: 120 });
});

test('moving back stops at that span, and moving to the present is live again', () => {
  const back = panned({ isLive: true, windowS: 60 }, -30, NOW_S);
  assert.deepEqual(back, { isLive: false, fromS: NOW_S - 90, toS: NOW_S - 30 });
  assert.deepEqual(panned(back, 30, NOW_S), { isLive: true, windowS: 60 });
});

test('all of a history that goes on is live, and all of one that has ended stands', () => {
  assert.deepEqual(whole(NOW_S - 600, NOW_S - 2, NOW_S), { isLive: true, windowS: 600 });
  assert.deepEqual(whole(1000, 1600, NOW_S), { isLive: false, fromS: 1000, toS: 1600 });
});

test('a pause stands where it was pressed, and live goes on with the same length', () => {
  const stopped = paused({ isLive: true, windowS: 60 }, NOW_S);
  assert.deepEqual(spanOf(stopped, NOW_S + 500), [NOW_S - 60, NOW_S]);
  assert.deepEqual(live(stopped), { isLive: true, windowS: 60 });
});
