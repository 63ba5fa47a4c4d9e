import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type PlainSample, seriesRecord } from '../../test/support/samples.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { SERIES_MAX } from '../shared/limits.ts';
import { decodeChunk } from './chunk-codec.ts';
import { openForWriting } from './database.ts';
import { CHUNKS_DROPPED_PER_COMMIT_MAX, HistoryWriter, type Retention } from './history-writer.ts';

const NOW_US = 1_764_000_000_000_000;
const SECOND_US = 1_000_000;
const UNLIMITED: Retention = { maxAgeMs: null, maxSamples: null };

interface Opened {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly writer: HistoryWriter;
}

function openWriter(t: TestContext, retention = UNLIMITED, path?: string): Opened {
  const file = path ?? join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(file);
  t.after(() => database.isOpen && database.close());
  return { path: file, database, writer: new HistoryWriter(database, file, retention) };
}

/** Closes it and opens it again, as the next start does. */
function reopened(t: TestContext, { path, database }: Opened, retention = UNLIMITED): Opened {
  database.close();
  return openWriter(t, retention, path);
}

function samplesAt(timestampsUs: readonly number[], series = 0): PlainSample[] {
  return timestampsUs.map((timestampUs, index) => ({ timestampUs, rawValue: index, series }));
}

/** `count` samples, a second apart. */
function samples(count: number, firstUs = NOW_US): PlainSample[] {
  return samplesAt(Array.from({ length: count }, (_, index) => firstUs + index * SECOND_US));
}

interface StoredSample extends PlainSample {
  readonly seq: number;
}

/** What the file holds, read by a connection of its own. */
function stored(path: string): StoredSample[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const chunks = database.prepare('SELECT * FROM chunks ORDER BY first_seq').all();
  database.close();
  return chunks.flatMap((chunk) => {
    const firstSeq = Number(chunk.first_seq);
    const { timestampUs, rawValue, series } = decodeChunk(
      chunk.samples as Uint8Array,
      Number(chunk.count),
      Number(chunk.base_timestamp_us),
    );
    assert.equal(Math.min(...timestampUs), chunk.min_timestamp_us);
    assert.equal(Math.max(...timestampUs), chunk.max_timestamp_us);
    return Array.from(timestampUs, (us, index) => ({
      seq: firstSeq + index,
      timestampUs: us,
      rawValue: rawValue[index]!,
      series: series[index]!,
    }));
  });
}

function numbered(plain: readonly PlainSample[], firstSeq: number): StoredSample[] {
  return plain.map((sample, index) => ({ seq: firstSeq + index, ...sample }));
}

/** Makes every such write fail until the returned function is called. */
function breakWith(path: string, when: string): () => void {
  const execute = (sql: string) => {
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
  };
  execute(`CREATE TRIGGER broken ${when} BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END`);
  return () => execute('DROP TRIGGER broken');
}

describe('a commit', () => {
  test('makes what was appended durable, and nothing before it does', (t) => {
    const { path, writer } = openWriter(t);
    writer.addSeries([seriesRecord(0)]);
    const first = samples(3);
    const second = samplesAt([NOW_US + 7, NOW_US + 5, NOW_US + 5]);
    writer.append(batchOf(first, 1));
    writer.append(batchOf(second, 4));
    assert.deepEqual(stored(path), []);
    assert.equal(writer.commit(NOW_US), 6);
    assert.deepEqual(stored(path), [...numbered(first, 1), ...numbered(second, 4)]);
    assert.equal(writer.commit(NOW_US), 0);
  });

  test('tells how much there is and from when to when', (t) => {
    const { path, writer } = openWriter(t);
    assert.deepEqual(
      { ...writer.size(), bytes: 0, walBytes: 0 },
      { samples: 0, firstTimestampUs: null, lastTimestampUs: null, bytes: 0, walBytes: 0 },
    );
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samplesAt([NOW_US + 5, NOW_US, NOW_US + 9, NOW_US + 1]), 1));
    writer.commit(NOW_US);
    const { samples: count, firstTimestampUs, lastTimestampUs, bytes } = writer.size();
    assert.deepEqual([count, firstTimestampUs, lastTimestampUs], [4, NOW_US, NOW_US + 9]);
    assert.ok(bytes > 0, path);
  });

  test('without samples keeps the series that came', (t) => {
    const opened = openWriter(t);
    opened.writer.addSeries([seriesRecord(0), seriesRecord(1, { nodeId: 3 })]);
    assert.equal(opened.writer.commit(NOW_US), 0);
    assert.deepEqual(reopened(t, opened).writer.load().series, [
      seriesRecord(0),
      seriesRecord(1, { nodeId: 3 }),
    ]);
  });

  test('leaves series, their latest samples and the next number for the next start', (t) => {
    const series = [
      seriesRecord(0),
      seriesRecord(1, { componentType: 0, commandId: 0, valueType: 2 }),
      seriesRecord(2, { componentType: 6, componentId: 42, commandId: 99, valueType: 9 }),
    ];
    let opened = openWriter(t);
    assert.deepEqual(opened.writer.load(), { series: [], states: [], nextSeq: 1 });
    opened.writer.addSeries(series);
    opened.writer.append(batchOf([...samplesAt([NOW_US, NOW_US + 9]), ...samplesAt([NOW_US + 3], 2)], 1));
    opened.writer.commit(NOW_US);

    opened = reopened(t, opened);
    assert.deepEqual(opened.writer.load(), {
      series,
      states: [
        { series: 0, timestampUs: NOW_US + 9, rawValue: 1, count: 2 },
        { series: 2, timestampUs: NOW_US + 3, rawValue: 0, count: 1 },
      ],
      nextSeq: 4,
    });

    // Counts go on from there.
    opened.writer.append(batchOf(samplesAt([NOW_US + 20], 2), 4));
    opened.writer.commit(NOW_US);
    const { states, nextSeq } = reopened(t, opened).writer.load();
    assert.deepEqual(states[1], { series: 2, timestampUs: NOW_US + 20, rawValue: 0, count: 2 });
    assert.equal(nextSeq, 5);
  });

  test('takes the last series there can be, and any value', (t) => {
    const opened = openWriter(t);
    const last = SERIES_MAX - 1;
    opened.writer.addSeries([seriesRecord(last)]);
    const sample = { timestampUs: NOW_US, rawValue: -1.5e-7, series: last };
    opened.writer.append(batchOf([sample], 1));
    opened.writer.commit(NOW_US);
    assert.deepEqual(stored(opened.path), [{ seq: 1, ...sample }]);
    assert.deepEqual(reopened(t, opened).writer.load().states, [
      { series: last, timestampUs: NOW_US, rawValue: -1.5e-7, count: 1 },
    ]);
  });
});

describe('a failure', () => {
  test('to append costs the open transaction alone, whose series come with the next', (t) => {
    const opened = openWriter(t);
    const { path, writer } = opened;
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samples(2), 1));
    writer.commit(NOW_US);
    const mend = breakWith(path, 'BEFORE INSERT ON chunks');
    writer.addSeries([seriesRecord(1, { nodeId: 3 })]);
    assert.throws(() => writer.append(batchOf(samplesAt([NOW_US, NOW_US + 1], 1), 3)), /on fire/);
    assert.equal(writer.rollback(), 2);
    assert.equal(writer.rollback(), 0);
    mend();

    const next = samplesAt([NOW_US + 9], 1);
    writer.append(batchOf(next, 5));
    assert.equal(writer.commit(NOW_US), 1);
    assert.deepEqual(stored(path), [...numbered(samples(2), 1), ...numbered(next, 5)]);
    assert.equal(writer.size().samples, 3);
    const { series, nextSeq } = reopened(t, opened).writer.load();
    assert.deepEqual(series, [seriesRecord(0), seriesRecord(1, { nodeId: 3 })]);
    assert.equal(nextSeq, 6);
  });

  test('to commit leaves what was there, what retention would have dropped included', (t) => {
    const { path, writer } = openWriter(t, { maxAgeMs: null, maxSamples: 4 });
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samples(4), 1));
    writer.commit(NOW_US);
    const mend = breakWith(path, 'BEFORE UPDATE ON totals');
    writer.append(batchOf(samples(3), 5));
    assert.throws(() => writer.commit(NOW_US), /on fire/);
    assert.equal(writer.rollback(), 3);
    assert.deepEqual(stored(path), numbered(samples(4), 1));
    assert.equal(writer.size().samples, 4);
    mend();

    writer.append(batchOf(samples(3), 8));
    assert.equal(writer.commit(NOW_US), 3);
    assert.deepEqual(
      stored(path).map(({ seq }) => seq),
      [4, 8, 9, 10],
    );
    assert.equal(writer.size().samples, 4);
  });

  test('of a full disk is one, too, and the history goes on when there is room', (t) => {
    const { path, database, writer } = openWriter(t);
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samples(2), 1));
    writer.commit(NOW_US);
    database.exec('PRAGMA max_page_count = 1');
    const large = samples(8000);
    assert.throws(() => {
      writer.append(batchOf(large, 3));
      writer.commit(NOW_US);
    }, /full/);
    assert.equal(writer.rollback(), 8000);
    database.exec('PRAGMA max_page_count = 1000000');
    writer.append(batchOf(samples(1), 8003));
    assert.equal(writer.commit(NOW_US), 1);
    assert.deepEqual(
      stored(path).map(({ seq }) => seq),
      [1, 2, 8003],
    );
  });
});

describe('retention by number', () => {
  const MAX_SAMPLES = [1, 2, 10, 33, 160, 1000];

  test('never keeps more than it may, nor a sixteenth less, and always the newest', (t) => {
    const anyBatches = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...MAX_SAMPLES), anyBatches, (maxSamples, batches) => {
        const { path, database, writer } = openWriter(t, { maxAgeMs: null, maxSamples });
        database.exec('PRAGMA synchronous = OFF');
        writer.addSeries([seriesRecord(0)]);
        let nextSeq = 1;
        for (const count of batches) {
          writer.append(batchOf(samples(count), nextSeq));
          nextSeq += count;
          writer.commit(NOW_US);
          const kept = stored(path).map(({ seq }) => seq);
          assert.equal(writer.size().samples, kept.length);
          assert.ok(kept.length <= maxSamples);
          const chunkSamplesMax = Math.max(1, Math.floor(maxSamples / 16));
          assert.ok(kept.length > Math.min(nextSeq - 2, maxSamples - chunkSamplesMax));
          assert.deepEqual(
            kept,
            kept.map((_, index) => nextSeq - kept.length + index),
          );
        }
        database.close();
      }),
      { numRuns: 40 },
    );
  });

  test('reduces a history that had no limit slice by slice', (t) => {
    let opened = openWriter(t);
    const chunks = 2 * CHUNKS_DROPPED_PER_COMMIT_MAX + 100;
    opened.writer.addSeries([seriesRecord(0)]);
    for (let chunk = 0; chunk < chunks; chunk++) opened.writer.append(batchOf(samples(2), 1 + 2 * chunk));
    opened.writer.commit(NOW_US);

    opened = reopened(t, opened, { maxAgeMs: null, maxSamples: 1 });
    const sizes = [1, 2, 3].map((commit) => {
      opened.writer.append(batchOf(samples(1), 2 * chunks + commit));
      opened.writer.commit(NOW_US);
      return opened.writer.size().samples;
    });
    const slice = 2 * CHUNKS_DROPPED_PER_COMMIT_MAX;
    // Each slice goes beyond the chunk that the commit itself added.
    assert.deepEqual(sizes, [2 * chunks + 1 - slice - 2, 2 * chunks + 2 - 2 * slice - 4, 1]);
  });

  test('goes on with the numbers when everything was dropped', (t) => {
    let opened = openWriter(t, { maxAgeMs: null, maxSamples: 1 });
    opened.writer.addSeries([seriesRecord(0)]);
    opened.writer.append(batchOf(samples(50), 1));
    opened.writer.commit(NOW_US);
    opened.database.exec('DELETE FROM chunks; UPDATE totals SET samples = 0');
    opened = reopened(t, opened);
    assert.equal(opened.writer.load().nextSeq, 51);
    assert.equal(opened.writer.size().firstTimestampUs, null);
  });
});

describe('retention by age', () => {
  const MAX_AGE_MS = 60_000;
  const OLD_US = NOW_US - 1e9 * SECOND_US;

  /** Commits one sample after the other, a chunk each, and gives the timestamps that are left. */
  function keptOf(t: TestContext, timestampsUs: readonly number[], wallClockUs: number): number[] {
    const { path, writer } = openWriter(t, { maxAgeMs: MAX_AGE_MS, maxSamples: null });
    writer.addSeries([seriesRecord(0)]);
    timestampsUs.forEach((timestampUs, index) => {
      writer.append(batchOf(samplesAt([timestampUs]), index + 1));
      writer.commit(wallClockUs);
    });
    const kept = stored(path).map(({ timestampUs }) => timestampUs);
    assert.equal(writer.size().samples, kept.length);
    return kept;
  }

  const ago = (...seconds: number[]) => seconds.map((second) => NOW_US - second * SECOND_US);
  const old = [OLD_US, OLD_US + SECOND_US, OLD_US + 2 * SECOND_US];

  const cases: [name: string, timestampsUs: number[], wallClockUs: number, kept: number[]][] = [
    ['drops what is older than it may be', ago(100, 61, 60, 30, 0), NOW_US, ago(60, 30, 0)],
    ['drops nothing by a wall clock that is behind', ago(100, 61, 30, 0), OLD_US, ago(100, 61, 30, 0)],
    ['counts from the newest sample by one that is ahead', ago(70, 50, 0), NOW_US * 2, ago(50, 0)],
    ['keeps an old log that is replayed', old, NOW_US, old],
    [
      'keeps an old log that is replayed after newer samples',
      [...ago(30), ...old],
      NOW_US,
      [...ago(30), ...old],
    ],
    [
      'counts from now where a sample is ahead of time',
      [...ago(61, 30), NOW_US * 2],
      NOW_US,
      [...ago(30), NOW_US * 2],
    ],
  ];
  for (const [name, timestampsUs, wallClockUs, kept] of cases) {
    test(name, (t) => assert.deepEqual(keptOf(t, timestampsUs, wallClockUs), kept));
  }

  test('keeps a chunk for as long as any of its samples is young enough', (t) => {
    const { path, writer } = openWriter(t, { maxAgeMs: MAX_AGE_MS, maxSamples: null });
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samplesAt(ago(3000, 40)), 1));
    writer.append(batchOf(samplesAt(ago(0)), 3));
    writer.commit(NOW_US);
    assert.equal(stored(path).length, 3);
    writer.append(batchOf(samplesAt([NOW_US + 21 * SECOND_US]), 4));
    writer.commit(NOW_US + 21 * SECOND_US);
    assert.deepEqual(
      stored(path).map(({ seq }) => seq),
      [3, 4],
    );
  });
});
