import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { SampleBatch } from '../../protocol/sample-batch.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { HistoryReader } from './history-reader.ts';
import { SampleTail } from './sample-tail.ts';

const NOW_US = 1_764_000_000_000_000;

function samples(count: number): PlainSample[] {
  return Array.from({ length: count }, (_, index) => ({
    timestampUs: NOW_US + index,
    rawValue: index,
    series: 0,
  }));
}

test('a query sees what is published, once, whether it is stored yet or not', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  const reading = openForReading(path);
  t.after(() => {
    reading.close();
    database.close();
  });
  const writer = new HistoryWriter(database, path, KEEP_EVERYTHING);
  const first = batchOf(samples(5), 1);
  const second = batchOf(samples(3), 6);
  const reader = new HistoryReader(reading, new SampleTail([second.buffer, first.buffer]));
  reader.addSeries([seriesRecord(0)]);
  const seqs = (order: 'asc' | 'desc', cursor?: number) => {
    const { text } = reader.page({ limit: 100, offset: 0, order, cursor, format: 'json' });
    return (JSON.parse(new TextDecoder().decode(text)) as { seq: number }[]).map(({ seq }) => seq);
  };

  assert.deepEqual(seqs('asc'), []);
  first.publish();
  assert.deepEqual(seqs('asc'), [1, 2, 3, 4, 5]);
  second.publish();
  assert.deepEqual(seqs('desc'), [8, 7, 6, 5, 4, 3, 2, 1]);
  assert.deepEqual(seqs('desc', 7), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(seqs('asc', 4), [5, 6, 7, 8]);

  writer.addSeries([seriesRecord(0)]);
  writer.append(first);
  writer.commit(NOW_US);
  assert.deepEqual(seqs('asc'), [1, 2, 3, 4, 5, 6, 7, 8]);

  // Given back and lost, or begun anew: its samples are gone.
  second.begin(0);
  assert.deepEqual(seqs('asc'), [1, 2, 3, 4, 5]);
  first.begin(6);
  assert.deepEqual(seqs('desc'), [5, 4, 3, 2, 1]);
});

test('a snapshot that a handover falls into has no gap: it lacks the newest samples at most', (t) => {
  const [first, second] = [batchOf(samples(5), 1), batchOf(samples(4), 0)];
  first.count = 2;
  first.publish();
  second.begin(0);
  const tail = new SampleTail([first.buffer, second.buffer]);
  // The main thread goes on while the first batch is copied.
  const { slice } = Float64Array.prototype;
  const mock = t.mock.method(Float64Array.prototype, 'slice', function (this: Float64Array, ...range: []) {
    const copy = slice.apply(this, range);
    if (second.count > 0) return copy;
    first.count = 5;
    first.publish();
    second.begin(6);
    second.count = 4;
    second.publish();
    return copy;
  });
  const copies = tail.snapshot();
  mock.mock.restore();
  assert.deepEqual(
    copies.map(({ firstSeq, count }) => [firstSeq, count]),
    [[1, 2]],
  );
  assert.deepEqual(
    tail.snapshot().map(({ firstSeq, count }) => [firstSeq, count]),
    [
      [1, 5],
      [6, 4],
    ],
  );
});

test('samples are seen up to the first of a series that the reader has not been told of', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  const reading = openForReading(path);
  t.after(() => {
    reading.close();
    database.close();
  });
  const ofSeries = (series: readonly number[]) => series.map((each) => ({ ...samples(1)[0]!, series: each }));
  const first = batchOf(ofSeries([0, 0, 1, 0]), 1);
  const second = batchOf(ofSeries([0]), 5);
  first.publish();
  second.publish();
  const reader = new HistoryReader(reading, new SampleTail([first.buffer, second.buffer]));
  const seqs = () => {
    const { text } = reader.page({ limit: 100, offset: 0, order: 'asc', format: 'json' });
    return (JSON.parse(new TextDecoder().decode(text)) as { seq: number }[]).map(({ seq }) => seq);
  };
  assert.deepEqual(seqs(), []);
  reader.addSeries([seriesRecord(0)]);
  assert.deepEqual(seqs(), [1, 2]);
  reader.addSeries([seriesRecord(1, { nodeId: 3 })]);
  assert.deepEqual(seqs(), [1, 2, 3, 4, 5]);
});

test('a copy that was overtaken is none', () => {
  const batch = batchOf(samples(4), 1);
  assert.equal(batch.snapshot(), null);
  batch.publish();
  assert.equal(batch.snapshot()!.count, 4);

  // Another thread's view; the owner begins anew while it copies.
  const other = new SampleBatch(batch.buffer);
  const slice = other.timestampUs.slice.bind(other.timestampUs);
  Object.defineProperty(other.timestampUs, 'slice', {
    value: (start: number, end: number) => {
      batch.begin(100);
      return slice(start, end);
    },
  });
  assert.equal(other.snapshot(), null);
});
