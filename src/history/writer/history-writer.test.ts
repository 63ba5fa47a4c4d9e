import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { SEQ_RESERVED, SERIES_MAX } from '../../shared/limits.ts';
import { decodeChunk } from '../blocks/chunk-codec.ts';
import { openForWriting } from '../database/database.ts';
import type { Gap } from '../gap.ts';
import { KEEP_EVERYTHING, type Retention } from '../retention.ts';
import { CHUNKS_DROPPED_PER_COMMIT_MAX } from './expiry.ts';
import { HistoryWriter } from './history-writer.ts';

const NOW_US = 1_764_000_000_000_000;
const SECOND_US = 1_000_000;
const UNLIMITED: Retention = KEEP_EVERYTHING;

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
function reopened(t: TestContext, { path, database, writer }: Opened, retention = UNLIMITED): Opened {
  writer.release(Number(database.prepare('SELECT next_seq FROM totals').get()!.next_seq));
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

/** The gaps in the file, in the order in which they were recorded. */
function storedGaps(path: string): Gap[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database
    .prepare('SELECT bus, cause, from_us AS fromUs, to_us AS toUs, count FROM gaps ORDER BY id')
    .all();
  database.close();
  return rows.map((row) => ({ ...row }) as unknown as Gap);
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
      {
        samples: 0,
        firstSeq: null,
        firstTimestampUs: null,
        lastTimestampUs: null,
        gaps: 0,
        bytes: 0,
        walBytes: 0,
      },
    );
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samplesAt([NOW_US + 5, NOW_US, NOW_US + 9, NOW_US + 1]), 3));
    writer.commit(NOW_US);
    const { samples: count, firstSeq, firstTimestampUs, lastTimestampUs, bytes } = writer.size();
    assert.deepEqual([count, firstSeq, firstTimestampUs, lastTimestampUs], [4, 3, NOW_US, NOW_US + 9]);
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
        { series: 0, timestampUs: NOW_US + 9, rawValue: 1, count: 2, seq: 2 },
        { series: 2, timestampUs: NOW_US + 3, rawValue: 0, count: 1, seq: 3 },
      ],
      nextSeq: 4,
    });

    // Counts go on from there.
    opened.writer.append(batchOf(samplesAt([NOW_US + 20], 2), 4));
    opened.writer.commit(NOW_US);
    const { states, nextSeq } = reopened(t, opened).writer.load();
    assert.deepEqual(states[1], { series: 2, timestampUs: NOW_US + 20, rawValue: 0, count: 2, seq: 4 });
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
      { series: last, timestampUs: NOW_US, rawValue: -1.5e-7, count: 1, seq: 1 },
    ]);
  });
});

describe('the numbers of samples that may have been seen unstored', () => {
  test('are left out after a crash, also after one that comes before the first commit', (t) => {
    let opened = openWriter(t);
    const firsts: number[] = [];
    for (const samplesStored of [3, 0, 0, 5, 2]) {
      opened.writer.reserve();
      const { nextSeq } = opened.writer.load();
      firsts.push(nextSeq);
      assert.equal(opened.writer.reservedSeq, nextSeq + SEQ_RESERVED);
      if (samplesStored > 0) {
        if (firsts.length === 1) opened.writer.addSeries([seriesRecord(0)]);
        opened.writer.append(batchOf(samples(samplesStored), nextSeq));
        opened.writer.commit(NOW_US);
        assert.equal(opened.writer.reservedSeq, nextSeq + samplesStored + SEQ_RESERVED);
      }
      // Without release().
      opened.database.close();
      opened = openWriter(t, UNLIMITED, opened.path);
    }
    const jumps = firsts.slice(1).map((first, life) => first - firsts[life]!);
    assert.deepEqual(jumps, [3 + SEQ_RESERVED, SEQ_RESERVED, SEQ_RESERVED, 5 + SEQ_RESERVED]);
  });

  test('are given again after a proper end, but for those of samples that were lost', (t) => {
    const opened = openWriter(t);
    opened.writer.reserve();
    opened.writer.addSeries([seriesRecord(0)]);
    opened.writer.append(batchOf(samples(3), 1));
    opened.writer.commit(NOW_US);
    opened.writer.release(10);
    opened.database.close();
    assert.equal(openWriter(t, UNLIMITED, opened.path).writer.load().nextSeq, 10);
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
    const { path, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxSamples: 4 });
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

  test('to write what compaction has ready costs no samples', (t) => {
    const { path, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxSamples: 1600 });
    writer.addSeries([seriesRecord(0)]);
    let seq = 1;
    const append = () => {
      writer.append(batchOf(samples(50), seq));
      seq += 50;
      return writer.commit(NOW_US);
    };
    while (seq < 400) append();
    const mend = breakWith(path, 'BEFORE INSERT ON blocks');
    while (writer.compact()) {
      // A slice of the work.
    }
    assert.ok(writer.hasCompacted);
    assert.equal(append(), 50);
    assert.match(String(writer.takeCompactionFailure()), /on fire/);
    assert.equal(writer.takeCompactionFailure(), null);
    assert.equal(stored(path).length, seq - 1);
    mend();
    assert.equal(append(), 50);
    assert.equal(writer.takeCompactionFailure(), null);
    assert.ok(!writer.hasCompacted);
    assert.equal(writer.size().samples, seq - 1);
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

describe('what is lost', () => {
  test('by a write that failed is a gap of its span, stored with the next commit that succeeds', (t) => {
    const { path, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxSamples: 160 });
    writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samples(2), 1));
    writer.commit(NOW_US);
    assert.deepEqual(storedGaps(path), []);

    const lost = { bus: null, cause: 'disk', fromUs: NOW_US - 50, toUs: NOW_US + 99 * SECOND_US };
    const mendChunks = breakWith(path, 'BEFORE INSERT ON chunks');
    // All of a batch is lost, also what comes after the chunk that couldn't be written.
    const batch = [...samplesAt([NOW_US - 50]), ...samples(100)];
    assert.throws(() => writer.append(batchOf(batch, 3)), /on fire/);
    assert.equal(writer.rollback(), 101);
    mendChunks();
    const mendGaps = breakWith(path, 'BEFORE INSERT ON gaps');
    writer.append(batchOf(samples(3), 104));
    assert.throws(() => writer.commit(NOW_US), /on fire/);
    assert.equal(writer.rollback(), 3);
    assert.equal(writer.rollback(), 0);
    assert.deepEqual(storedGaps(path), []);
    mendGaps();

    // It goes also where no sample comes any more.
    assert.equal(writer.hasGapsPending, true);
    assert.equal(writer.commit(NOW_US), 0);
    assert.deepEqual(storedGaps(path), [{ ...lost, count: 104 }]);
    assert.deepEqual([writer.hasGapsPending, writer.size().gaps, writer.size().samples], [false, 1, 2]);
  });

  const AT = (second: number) => NOW_US + second * SECOND_US;
  const DOWN = { bus: null, cause: 'service_down', count: null };

  /** A run that stores a sample and ends: what it was killed by has no time to say so. */
  function run(
    t: TestContext,
    path: string,
    [beginUs, sampleUs, commitUs, closeUs]: readonly [number, number, number, number | null],
    isLive = true,
  ): Gap[] {
    const { writer, database } = openWriter(t, UNLIMITED, path);
    const { nextSeq, series } = writer.load();
    if (isLive) writer.beginLive(beginUs);
    if (series.length === 0) writer.addSeries([seriesRecord(0)]);
    writer.append(batchOf(samplesAt([sampleUs]), nextSeq));
    writer.commit(commitUs);
    if (closeUs !== null) writer.commit(closeUs, true);
    database.close();
    return storedGaps(path);
  }

  const runs: [name: string, runs: Parameters<typeof run>[2][], gaps: [from: number, to: number][]][] = [
    [
      'is all from the last commit of a run that was killed',
      [
        [AT(0), AT(0), AT(0), null],
        [AT(9), AT(9), AT(9), null],
      ],
      [[0, 9]],
    ],
    [
      'is all from the end of a run that was closed',
      [
        [AT(0), AT(0), AT(0), AT(1)],
        [AT(9), AT(9), AT(9), null],
      ],
      [[1, 9]],
    ],
    [
      'is nothing before the newest sample that is stored, whatever the clock was when it was',
      // The second run has a clock of the past, and is killed before it is set.
      [
        [AT(0), AT(0), AT(0), AT(1)],
        [5, 6, 7, null],
        [AT(60), AT(60), AT(60), null],
      ],
      [[0, 60]],
    ],
    [
      'is a moment where a run had a clock of the future, and right again with the next',
      [
        [AT(9000), AT(9000), AT(9000), null],
        [AT(0), AT(1), AT(1), null],
        [AT(50), AT(50), AT(50), null],
      ],
      [
        [9000, 9000],
        [1, 50],
      ],
    ],
  ];
  for (const [name, times, gaps] of runs) {
    test(`because nothing was running ${name}`, (t) => {
      const path = join(temporaryDirectory(t), 'collector.db');
      let found: Gap[] = [];
      for (const time of times) found = run(t, path, time);
      assert.deepEqual(
        found,
        gaps.map(([from, to]) => ({ ...DOWN, fromUs: AT(from), toUs: AT(to) })),
      );
    });
  }

  test('because no live bus was recorded is told when one is, and a replay changes nothing', (t) => {
    const path = join(temporaryDirectory(t), 'collector.db');
    const old = NOW_US - 1e9 * SECOND_US;
    assert.deepEqual(run(t, path, [AT(0), old, AT(0), AT(1)], false), []);
    assert.deepEqual(run(t, path, [AT(9), AT(9), AT(9), AT(10)]), []);
    assert.deepEqual(run(t, path, [AT(20), old, AT(20), AT(25)], false), []);
    assert.deepEqual(run(t, path, [AT(30), AT(30), AT(30), null]), [
      { ...DOWN, fromUs: AT(10), toUs: AT(30) },
    ]);
  });

  test('because nothing was running is nothing while there was never a sample', (t) => {
    const opened = openWriter(t);
    opened.writer.beginLive(NOW_US);
    opened.writer.commit(NOW_US, true);
    const next = reopened(t, opened);
    next.writer.beginLive(AT(100));
    next.writer.commit(AT(100), true);
    assert.deepEqual(storedGaps(next.path), []);
  });
});

describe('retention by number', () => {
  const MAX_SAMPLES = [1, 2, 10, 33, 160, 1000];

  test('never keeps more than it may, nor a sixteenth less, and always the newest', (t) => {
    const anyBatches = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...MAX_SAMPLES), anyBatches, (maxSamples, batches) => {
        const { path, database, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxSamples });
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

    opened = reopened(t, opened, { ...KEEP_EVERYTHING, maxSamples: 1 });
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
    let opened = openWriter(t, { ...KEEP_EVERYTHING, maxSamples: 1 });
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
    const { path, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxAgeMs: MAX_AGE_MS });
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
    const { path, writer } = openWriter(t, { ...KEEP_EVERYTHING, maxAgeMs: MAX_AGE_MS });
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
