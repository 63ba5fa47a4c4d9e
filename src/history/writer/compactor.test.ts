import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { makeVersion1 } from '../../../test/support/version-1.ts';
import { SEGMENT_SEQ_SPAN_MAX, SEQ_RESERVED } from '../../shared/limits.ts';
import { BLOCK_SAMPLES_MAX } from '../blocks/block-codec.ts';
import { encodeChunk } from '../blocks/chunk-codec.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import { HistoryReader } from '../reader/history-reader.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from './history-writer.ts';

const NOW_US = 1_764_000_000_000_000;
const SEGMENT_SAMPLES = 100;
const SERIES = [seriesRecord(0), seriesRecord(1, { componentId: 1 }), seriesRecord(2, { nodeId: 7 })];

/** Samples that make a segment ready: a quarter more stay in chunks. */
const READY = SEGMENT_SAMPLES + 30;

interface Opened {
  readonly database: DatabaseSync;
  readonly writer: HistoryWriter;
  /** All samples, oldest first, as CSV lines. */
  stored(): string[];
  close(): void;
}

function open(t: TestContext, path: string, maxSamples: number | null = null): Opened {
  const database = openForWriting(path);
  const writer = new HistoryWriter(database, path, { ...KEEP_EVERYTHING, maxSamples }, SEGMENT_SAMPLES);
  if (writer.load().series.length === 0) writer.addSeries(SERIES);
  writer.commit(NOW_US);
  const reading = openForReading(path);
  const close = () => {
    for (const each of [reading, database]) if (each.isOpen) each.close();
  };
  t.after(close);
  return {
    database,
    writer,
    stored() {
      const { text } = new HistoryReader(reading).page({
        limit: 100_000,
        offset: 0,
        order: 'asc',
        format: 'csv',
      });
      return new TextDecoder().decode(text).split('\n').slice(0, -1);
    },
    close,
  };
}

/** Samples of all series in turn. */
function samples(count: number, from = 0): PlainSample[] {
  return Array.from({ length: count }, (_, index) => ({
    timestampUs: NOW_US + (from + index) * 1000,
    rawValue: (from + index) % 50,
    series: index % SERIES.length,
  }));
}

function append(writer: HistoryWriter, firstSeq: number, count: number): void {
  for (let seq = firstSeq; seq < firstSeq + count; seq += 10) writer.append(batchOf(samples(10, seq), seq));
  writer.commit(NOW_US);
}

/** Works until a segment is ready to be written. */
function prepare(writer: HistoryWriter): void {
  while (writer.compact()) {
    // A slice of the work.
  }
  assert.ok(writer.hasCompacted);
}

function samplesIn(database: DatabaseSync, table: string): number {
  return Number(database.prepare(`SELECT sum(count) AS samples FROM ${table}`).get()!.samples);
}

function count(database: DatabaseSync, table: string): number {
  return Number(database.prepare(`SELECT count(*) AS count FROM ${table}`).get()!.count);
}

test('chunks that suffice become a segment of one block for each series, and the history is the same', (t) => {
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'));
  append(writer, 1, SEGMENT_SAMPLES - 10);
  assert.equal(writer.compact(), false);
  append(writer, SEGMENT_SAMPLES - 9, 50);
  const before = stored();
  prepare(writer);
  assert.deepEqual(stored(), before);
  writer.commit(NOW_US);
  assert.deepEqual(stored(), before);
  assert.equal(writer.hasCompacted, false);
  assert.deepEqual([count(database, 'segments'), count(database, 'blocks')], [1, SERIES.length]);
  assert.equal(count(database, 'chunks'), 4);

  const blocks = database.prepare('SELECT * FROM blocks ORDER BY series').all();
  assert.deepEqual(
    blocks.map(({ count: ofBlock, min_value, max_value, sum_value, last_value }) => ({
      ofBlock,
      min_value,
      max_value,
      sum_value,
      last_value,
    })),
    SERIES.map(({ index }) => {
      const values = Array.from({ length: SEGMENT_SAMPLES }, (_, at) => at)
        .filter((at) => (at % 10) % SERIES.length === index)
        .map((at) => (at + 1) % 50);
      return {
        ofBlock: values.length,
        min_value: Math.min(...values),
        max_value: Math.max(...values),
        sum_value: values.reduce((sum, value) => sum + value, 0),
        last_value: values.at(-1),
      };
    }),
  );
});

test('a segment that is refused leaves the chunks, and the next commit makes it', (t) => {
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'));
  append(writer, 1, READY);
  const before = stored();
  prepare(writer);
  database.exec("CREATE TRIGGER full BEFORE INSERT ON segments BEGIN SELECT raise(ABORT, 'disk full'); END");
  writer.commit(NOW_US);
  assert.match(String(writer.takeCompactionFailure()), /disk full/);
  assert.deepEqual(stored(), before);
  assert.equal(count(database, 'blocks'), 0);
  database.exec('DROP TRIGGER full');
  writer.commit(NOW_US);
  assert.deepEqual(stored(), before);
  assert.deepEqual(
    [count(database, 'segments'), samplesIn(database, 'chunks')],
    [1, READY - SEGMENT_SAMPLES],
  );
});

test('what a crash left of a segment is gone with the next start', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const first = open(t, path);
  append(first.writer, 1, READY);
  const before = first.stored();
  first.database.exec(
    'INSERT INTO blocks SELECT 1, id, 1, 0, 0, 0, 0, 0, 0, NULL, 0, 1, 0 FROM series WHERE id = 0',
  );
  first.database.exec("INSERT INTO block_pages VALUES (0, x'00')");
  first.close();

  const { database, writer, stored } = open(t, path);
  assert.deepEqual([count(database, 'blocks'), count(database, 'block_pages')], [0, 0]);
  assert.deepEqual(stored(), before);
  prepare(writer);
  writer.commit(NOW_US);
  assert.deepEqual(stored(), before);
});

test('retention drops segments, oldest first, and then chunks, also those that are being compacted', (t) => {
  const maxSamples = 1600;
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'), maxSamples);
  let seq = 1;
  let segmentsMost = 0;
  for (let round = 0; round < 60; round++) {
    append(writer, seq, 90);
    seq += 90;
    // A segment may be left half made.
    for (let slice = 0; slice < 1 + (round % 3); slice++) writer.compact();
    if (round % 3 === 0) writer.commit(NOW_US);
    const all = stored();
    assert.ok(all.length <= maxSamples);
    const seqs = all.map((line) => Number(line.split(',', 1)[0]));
    assert.deepEqual(
      seqs,
      Array.from({ length: all.length }, (_, index) => seq - all.length + index),
    );
    assert.equal(writer.size().samples, all.length);
    segmentsMost = Math.max(segmentsMost, count(database, 'segments'));
  }
  assert.ok(stored().length >= maxSamples - 2 * SEGMENT_SAMPLES - 90);
  assert.ok(segmentsMost > 5);
  assert.equal(database.prepare('PRAGMA integrity_check').get()!.integrity_check, 'ok');
});

test('a database of version 1 gets the new tables and keeps its samples', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const first = open(t, path);
  append(first.writer, 1, 2 * SEGMENT_SAMPLES + READY);
  const before = first.stored();
  first.close();
  makeVersion1(path);

  const { database, writer, stored } = open(t, path);
  assert.equal(database.prepare('PRAGMA user_version').get()!.user_version, 2);
  assert.deepEqual(stored(), before);
  for (let segment = 0; segment < 3; segment++) {
    prepare(writer);
    writer.commit(NOW_US);
  }
  assert.deepEqual(
    [count(database, 'segments'), samplesIn(database, 'chunks')],
    [3, READY - SEGMENT_SAMPLES],
  );
  assert.deepEqual(stored(), before);
});

test('a chunk that is damaged is told of and kept aside, and the others become segments', (t) => {
  const told: string[] = [];
  const path = join(temporaryDirectory(t), 'collector.db');
  const first = open(t, path);
  append(first.writer, 1, READY + 20);
  const before = first.stored();
  first.database.exec("UPDATE chunks SET samples = x'0102030405' WHERE first_seq = 31");
  const rest = before.filter(
    (line) => Number(line.split(',', 1)[0]) < 31 || Number(line.split(',', 1)[0]) > 40,
  );
  assert.deepEqual(first.stored(), rest);

  const writer = new HistoryWriter(first.database, path, KEEP_EVERYTHING, SEGMENT_SAMPLES, (message) =>
    told.push(message),
  );
  prepare(writer);
  writer.commit(NOW_US);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^chunk 31: A chunk of samples can't be read/);
  assert.equal(count(first.database, 'quarantine'), 1);
  prepare(writer);
  writer.commit(NOW_US);
  assert.equal(count(first.database, 'segments'), 1);
  assert.deepEqual(first.stored(), rest);
  assert.equal(writer.size().samples, rest.length);
});

test('a chunk with a sample of no series, or a value that is none, is kept aside as well', (t) => {
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'));
  append(writer, 1, READY + 20);
  const [noSeries, noValue] = [
    { timestampUs: NOW_US, rawValue: 1, series: 9 },
    { timestampUs: NOW_US, rawValue: Number.NaN, series: 0 },
  ].map((sample) => encodeChunk(batchOf([sample], 1)).bytes);
  const damage = database.prepare('UPDATE chunks SET count = 1, samples = ? WHERE first_seq = ?');
  damage.run(noSeries!, 11);
  damage.run(noValue!, 31);
  for (let commit = 0; commit < 3; commit++) {
    prepare(writer);
    writer.commit(NOW_US);
  }
  assert.equal(count(database, 'quarantine'), 2);
  assert.equal(count(database, 'segments'), 1);
  assert.equal(stored().length, READY);
});

test('a gap that lost samples left ends a segment when it is too wide', (t) => {
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'));
  append(writer, 1, 40);
  append(writer, 2 * SEGMENT_SEQ_SPAN_MAX, READY);
  const before = stored();
  for (let segment = 0; segment < 2; segment++) {
    prepare(writer);
    writer.commit(NOW_US);
  }
  const counts = database.prepare('SELECT count FROM segments ORDER BY first_seq').all();
  assert.deepEqual(
    counts.map((row) => row.count),
    [40, SEGMENT_SAMPLES],
  );
  assert.deepEqual(stored(), before);
});

test('numbers that crashes left out end segments, and compaction goes on behind them', (t) => {
  const { database, writer, stored } = open(t, join(temporaryDirectory(t), 'collector.db'));
  const lives = [70, 10, 250, 20, 50];
  let firstSeq = 1;
  for (const samplesStored of lives) {
    append(writer, firstSeq, samplesStored);
    firstSeq += samplesStored + SEQ_RESERVED;
  }
  const before = stored();
  while (writer.compact() || writer.hasCompacted) writer.commit(NOW_US);
  const counts = database.prepare('SELECT count FROM segments ORDER BY first_seq').all();
  assert.deepEqual(
    counts.map((row) => row.count),
    [70, 10, 100, 100],
  );
  assert.equal(count(database, 'chunks'), 12);
  assert.deepEqual(stored(), before);
});

test('a block has room for a segment of a single series', () => {
  assert.ok(SEGMENT_SEQ_SPAN_MAX <= BLOCK_SAMPLES_MAX);
});
