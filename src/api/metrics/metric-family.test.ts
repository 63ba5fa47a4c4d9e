import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseScrape, promtoolCheck, promtoolMissing } from '../../../test/support/prometheus.ts';
import { DURATION_BOUNDS_S, DurationHistogram } from '../../shared/duration-histogram.ts';
import { counter, gauge, histogram, type MetricFamily, metricsText, stateSet } from './metric-family.ts';

async function scraped(...families: MetricFamily[]) {
  return parseScrape((await metricsText(families)).text);
}

test('what is not known is left out, and its family still named', async () => {
  const { types, values } = await scraped(
    gauge('a_ratio', 'A.', null),
    gauge('b_ratio', 'B.', 0.5),
    counter('c_total', 'C.', [
      [{ bus: 'can0' }, 1],
      [{ bus: 'can1' }, null],
    ]),
  );
  assert.deepEqual([...types.values()], ['gauge', 'gauge', 'counter']);
  assert.deepEqual(
    [...values],
    [
      ['b_ratio', 0.5],
      ['c_total{bus="can0"}', 1],
    ],
  );
});

test('of all states one is 1', async () => {
  const family = stateSet('bus_state', 'State.', ['open', 'ended'], [[{ bus: 'can0' }, 'ended']]);
  assert.deepEqual(
    [...(await scraped(family)).values],
    [
      ['bus_state{bus="can0",state="open"}', 0],
      ['bus_state{bus="can0",state="ended"}', 1],
    ],
  );
});

test('the buckets of a histogram hold what is below them, and the last one all', async () => {
  const durations = new DurationHistogram();
  for (const ms of [0.1, 1, 30, 99_999]) durations.observe(ms);
  const { values } = await scraped(
    histogram('query_seconds', 'Q.', [[{ kind: 'page' }, durations.counts()]]),
  );
  const bucket = (le: number | string) => values.get(`query_seconds_bucket{kind="page",le="${le}"}`);
  assert.deepEqual([0.0005, 0.001, 0.025, 0.05, 10, '+Inf'].map(bucket), [1, 2, 2, 3, 3, 4]);
  assert.equal(values.get('query_seconds_count{kind="page"}'), 4);
  assert.ok(Math.abs(values.get('query_seconds_sum{kind="page"}')! - 100.0301) < 1e-9);
  assert.equal(values.size, DURATION_BOUNDS_S.length + 3);
});

test('two families of one name are refused: one would hide the other', async () => {
  await assert.rejects(metricsText([gauge('a', 'A.', 1), gauge('a', 'A.', 2)]), /already been registered/);
});

test('any text of a label can be read by promtool', { skip: promtoolMissing }, async () => {
  const texts = fc.sample(fc.string({ unit: 'binary', maxLength: 20 }), 200);
  const distinct = [...new Set(texts.map((text) => text.toWellFormed()))];
  const family = gauge(
    'test_info',
    'Texts: "\\ \n and so on.',
    distinct.map((text) => [{ text }, 1]),
  );
  promtoolCheck(['metrics'], (await metricsText([family])).text);
});
