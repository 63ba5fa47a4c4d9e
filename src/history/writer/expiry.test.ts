import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { SeriesReply } from '../../api/schemas.ts';
import { HISTORY_BYTES_HEADROOM, HISTORY_BYTES_MIN } from '../../shared/limits.ts';
import { PAGE_CONTENT_BYTES, STORED } from '../blocks/byte-pages.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import { PAGE_BYTES } from '../database/schema.ts';
import { HistoryReader } from '../reader/history-reader.ts';
import { KEEP_EVERYTHING, type Retention } from '../retention.ts';
import { HistoryWriter } from './history-writer.ts';

const SECOND_US = 1_000_000;
const MINUTE_MS = 60_000;
/** The beginning of an hour. */
const START_US = 1_763_999_999 * SECOND_US - ((1_763_999_999 * SECOND_US) % (3600 * SECOND_US));
/** Of series 0 and 1: 20 samples a second are rolled up at once, 1 when its samples go. */
const RATES = [20, 1] as const;
const SEGMENT_SAMPLES = 1000;
const COMMIT_EVERY_S = 10;

/** What the signals read at a second: any numbers that differ. */
function secondOf(second: number): PlainSample[] {
  return RATES.flatMap((rate, series) =>
    Array.from({ length: rate }, (_, index) => ({
      timestampUs: START_US + second * SECOND_US + Math.floor((index * SECOND_US) / rate),
      rawValue: ((second * 7919 + index * 104_729) % 2001) - 1000,
      series,
    })),
  ).sort((left, right) => left.timestampUs - right.timestampUs);
}

interface History {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly writer: HistoryWriter;
  readonly reader: HistoryReader;
  /** Records seconds of the drive, with compaction as it goes. */
  drive(fromS: number, toS: number): void;
}

function open(t: TestContext, retention: Partial<Retention>): History {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  const reading = openForReading(path);
  t.after(() => {
    reading.close();
    database.close();
  });
  const writer = new HistoryWriter(database, path, { ...KEEP_EVERYTHING, ...retention }, SEGMENT_SAMPLES);
  writer.load();
  writer.addSeries(RATES.map((_, series) => seriesRecord(series, { commandId: series })));
  let seq = 1;
  return {
    path,
    database,
    writer,
    reader: new HistoryReader(reading),
    drive(fromS, toS) {
      for (let second = fromS; second < toS; second++) {
        const samples = secondOf(second);
        writer.append(batchOf(samples, seq));
        seq += samples.length;
        if (second % COMMIT_EVERY_S !== COMMIT_EVERY_S - 1) continue;
        while (writer.compact()) {
          // A slice of the work.
        }
        writer.commit(START_US + second * SECOND_US);
      }
    },
  };
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()![name]);
}

function count(database: DatabaseSync, table: string, where = '1'): number {
  return Number(database.prepare(`SELECT count(*) AS count FROM ${table} WHERE ${where}`).get()!.count);
}

function plot(reader: HistoryReader, fromS: number, toS: number, points: number): SeriesReply {
  const { componentType, componentId, messageType } = seriesRecord(0);
  const signals = RATES.map((_, commandId) => ({ componentType, componentId, commandId }));
  const fromUs = START_US + fromS * SECOND_US;
  const toUs = START_US + toS * SECOND_US;
  return JSON.parse(new TextDecoder().decode(reader.series({ signals, messageType, fromUs, toUs, points })));
}

test('a block is quarantined if it cannot be read, and forgotten with its segment', (t) => {
  const { database, writer, drive } = open(t, { maxSamples: 20_000 });
  drive(0, 100);
  const [damaged, healthy] = database
    .prepare('SELECT id FROM blocks WHERE leader IS NULL ORDER BY id LIMIT 2')
    .all()
    .map(({ id }) => Number(id)) as [number, number];
  database.prepare('UPDATE blocks SET bytes = 1 WHERE id = ?').run(damaged);
  for (const id of [damaged, healthy, 1_000_000]) writer.quarantine(id, 'something');
  writer.commit(START_US);
  assert.deepEqual(
    database
      .prepare('SELECT * FROM quarantined_blocks')
      .all()
      .map((row) => ({ ...row })),
    [{ id: damaged, found: 'something' }],
  );
  drive(100, 2000);
  assert.equal(count(database, 'blocks', `id = ${damaged}`), 0);
  assert.equal(count(database, 'quarantined_blocks'), 0);
});

test('a proper end leaves no room unused', (t) => {
  const { path, database, writer, drive, reader } = open(t, {});
  drive(0, 600);
  const before = plot(reader, 0, 600, 600);
  assert.ok(pragma(database, 'freelist_count') > 0);
  const pages = pragma(database, 'page_count');
  writer.shrink();
  assert.equal(pragma(database, 'freelist_count'), 0);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  assert.equal(statSync(path).size, pragma(database, 'page_count') * PAGE_BYTES);
  assert.ok(pragma(database, 'page_count') < pages);
  assert.deepEqual(plot(reader, 0, 600, 600), before);
  // Nothing is left to give.
  writer.shrink();
});

test('a plot says the same when samples have become seconds, and these minutes', (t) => {
  const whole = open(t, {});
  const driveS = 3600;
  whole.drive(0, driveS);
  const expectedBy10S = plot(whole.reader, 0, driveS, driveS / 10);
  const expectedByMinute = plot(whole.reader, 0, driveS, driveS / 60);
  assert.equal(expectedBy10S.signals[0]!.count[0], 200);

  const seconds = open(t, { maxAgeMs: 20 * MINUTE_MS });
  seconds.drive(0, driveS);
  assert.ok(count(seconds.database, 'segments') < count(whole.database, 'segments') / 2);
  assert.ok(count(seconds.database, 'rollups', 'span_s = 1 AND series = 1') > 30);
  assert.deepEqual(plot(seconds.reader, 0, driveS, driveS / 10), expectedBy10S);
  assert.deepEqual(plot(seconds.reader, 0, driveS, driveS / 60), expectedByMinute);

  const minutes = open(t, { maxAgeMs: 10 * MINUTE_MS, secondsMaxAgeMs: 20 * MINUTE_MS });
  minutes.drive(0, driveS);
  assert.ok(count(minutes.database, 'rollup_segments', 'span_s = 60') > 5);
  assert.deepEqual(plot(minutes.reader, 0, driveS, driveS / 60), expectedByMinute);
  // Seconds are gone, but for those that are young enough.
  const last = plot(minutes.reader, driveS - 600, driveS, 60);
  assert.deepEqual(last.signals[0]!.mean, expectedBy10S.signals[0]!.mean.slice(-60));

  // What is gone has left no page behind.
  for (const { database } of [whole, seconds, minutes]) {
    for (const { strings, pages } of Object.values(STORED)) {
      assert.ok(count(database, pages) > 0);
      const first = `first_byte / ${PAGE_CONTENT_BYTES}`;
      const last = `(first_byte + ${strings}.bytes - 1) / ${PAGE_CONTENT_BYTES}`;
      const orphans = `NOT EXISTS (SELECT 1 FROM ${strings} WHERE ${pages}.id BETWEEN ${first} AND ${last})`;
      assert.equal(count(database, pages, orphans), 0);
    }
  }
});

test('minutes are dropped at their age, and a segment of the future holds nothing back', (t) => {
  const { database, writer, drive, reader } = open(t, {
    maxAgeMs: 5 * MINUTE_MS,
    secondsMaxAgeMs: 10 * MINUTE_MS,
    minutesMaxAgeMs: 30 * MINUTE_MS,
  });
  // A clock that is years ahead, before it is set.
  drive(1e8, 1e8 + 120);
  drive(0, 3600);
  // The present isn't beyond what is young enough: what is of the future stays.
  assert.ok(count(database, 'segments', `min_timestamp_us > ${START_US + 1e7 * SECOND_US}`) > 0);
  const oldestUs = Number(
    database
      .prepare('SELECT min(min_timestamp_us) AS oldest FROM rollup_segments WHERE max_timestamp_us < ?')
      .get(START_US + 1e7 * SECOND_US)!.oldest,
  );
  const ageS = 3600 - (oldestUs - START_US) / SECOND_US;
  assert.ok(ageS > 30 * 60 && ageS < 36 * 60, `${ageS} s`);
  assert.ok(writer.size().samples < 21 * 60 * 12);
  assert.equal(plot(reader, 120, 600, 1).signals[0]!.count[0], 0);
});

test('the file stays within its bytes, the oldest samples making room, and rollups where they are many', (t) => {
  // Doubles of random bits take their 8 bytes.
  const { path, database, writer, reader } = open(t, { maxBytes: HISTORY_BYTES_MIN });
  let seed = 1;
  const next = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const samplesPerCommit = 20_000;
  let seq = 1;
  let mostBytes = 0;
  let allowedMost = 0;
  for (let commit = 0; commit < 300; commit++) {
    const samples = Array.from({ length: samplesPerCommit }, (_, index) => ({
      timestampUs: START_US + (commit * samplesPerCommit + index) * 1000,
      rawValue: next() * next(),
      series: index % 2,
    }));
    for (let at = 0; at < samplesPerCommit; at += 5000) {
      writer.append(batchOf(samples.slice(at, at + 5000), seq));
      seq += 5000;
    }
    for (let slice = 0; slice < 50 && writer.compact(); slice++) {
      // A slice of the work.
    }
    writer.commit(START_US);
    const walBytes = statSync(`${path}-wal`).size;
    mostBytes = Math.max(mostBytes, statSync(path).size + walBytes);
    allowedMost = Math.max(allowedMost, statSync(path).size);
  }
  assert.ok(mostBytes <= HISTORY_BYTES_MIN, `${mostBytes} bytes`);
  assert.ok(allowedMost > HISTORY_BYTES_MIN - 2 * HISTORY_BYTES_HEADROOM, `${allowedMost} bytes`);
  const { samples } = writer.size();
  assert.ok(samples > 1_000_000 && samples < seq - 1_000_000, `${samples} samples`);
  const page = reader.page({ limit: 1, offset: 0, order: 'desc', format: 'csv' });
  assert.match(new TextDecoder().decode(page.text), new RegExp(`^${seq - 1},`));
  assert.equal(database.prepare('PRAGMA integrity_check').get()!.integrity_check, 'ok');
});

test('a file that is too big already is made smaller, commit by commit', (t) => {
  const big = open(t, {});
  big.drive(0, COMMIT_EVERY_S);
  big.database.exec(
    `CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob(${HISTORY_BYTES_MIN})); DROP TABLE filler;`,
  );
  const writer = new HistoryWriter(big.database, big.path, {
    ...KEEP_EVERYTHING,
    maxBytes: HISTORY_BYTES_MIN,
  });
  writer.load();
  for (let commit = 0; commit < 20; commit++) {
    writer.append(batchOf(secondOf(COMMIT_EVERY_S + commit), 1000 + commit * 100));
    writer.commit(START_US);
  }
  big.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  assert.ok(statSync(big.path).size <= HISTORY_BYTES_MIN - HISTORY_BYTES_HEADROOM);
});
