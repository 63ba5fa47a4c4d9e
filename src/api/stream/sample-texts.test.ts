import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RPM, registry } from '../../../test/support/samples.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import { LiveFeed } from '../../telemetry/live-feed.ts';
import { SampleTexts } from './sample-texts.ts';

function textsOf(capacity: number) {
  const table = new SeriesTable(registry);
  const series = table.add(RPM)!.index;
  const feed = new LiveFeed(table);
  const texts = new SampleTexts(feed, capacity);
  /** The raw value in the text of a sample that is asked for with this one. */
  const rawValue = (seq: number, asked: number): number =>
    JSON.parse(texts.of(series, seq, 1_764_000_000_000_000, asked)).raw_value;
  return { feed, texts, rawValue };
}

test('the text of a sample is made once, until another needs its place', () => {
  const { rawValue } = textsOf(8);
  assert.equal(rawValue(1, 10), 10);
  // Were it made anew, it would have the value that it is asked for with.
  assert.equal(rawValue(1, 11), 10);
  assert.equal(rawValue(8, 80), 80);
  assert.equal(rawValue(9, 90), 90);
  assert.equal(rawValue(1, 11), 11);
  assert.equal(rawValue(8, 81), 80);
});

test('samples of which no number is known have each its own text', () => {
  const { rawValue } = textsOf(8);
  assert.equal(rawValue(0, 1), 1);
  assert.equal(rawValue(0, 2), 2);
});

test('when timestamps were corrected all is made anew, and not without that', () => {
  const { feed, texts, rawValue } = textsOf(8);
  assert.equal(rawValue(1, 10), 10);
  texts.check();
  assert.equal(rawValue(1, 11), 10);
  feed.correct(1, 1000);
  texts.check();
  assert.equal(rawValue(1, 11), 11);
});
