import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { SampleReply } from '../../api/schemas.ts';
import { physicalConversion } from '../../protocol/physical-value.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { HistoryReader } from '../reader/history-reader.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { openForWriting } from './database.ts';

const NOW_US = 1_764_000_000_123_456;
/** All kinds of scale that the kart's protocol has, and one that no division undoes. */
const SCALES = [1, 0.1, 0.01, 0.001, 1e-7, 0.000021457672119140625, 1024, 0.3];
/** More than a byte tells apart. */
const SERIES: SeriesRecord[] = Array.from({ length: 300 }, (_, index) => {
  const scale = SCALES[index % SCALES.length]!;
  const series = seriesRecord(index, { nodeId: index % 128, bus: `"bus" ${index}, it's` });
  return { ...series, definition: { ...series.definition, scale, unit: index % 2 === 0 ? null : 'm/s²' } };
});
const valueNames = { 0: 'OFF', 1: 'ON', 70000: 'it\'s "far"' };
const named = seriesRecord(SERIES.length, { commandId: 99 });
SERIES.push({ ...named, definition: { ...named.definition, valueNames } });

const CLI = 'sqlite3';
const cliMissing = spawnSync(CLI, ['--version']).error !== undefined;

/** Numbers of the narrower forms of a chunk, and of the widest. */
const anyInt24 = fc.integer({ min: -0x80_0000, max: 0x7f_ffff });
const anyInt32 = fc.oneof(fc.constantFrom(0, 1, -1, 70_000, 0x7fff_ffff, -0x8000_0000), fc.integer());
const anyNumber = fc.oneof(
  anyInt32,
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 }),
  fc
    .integer({ min: -2047, max: 1013 })
    .map((power) => 2 ** Math.max(power, -1074) * (power < -1074 ? -3 : 1)),
  fc.constantFrom(-0, 0.1, -0.5, 5e-324, -5e-324, 2.225073858507201e-308, 2.2250738585072014e-308),
  fc.constantFrom(1e300, 2 ** 53, 2 ** 53 - 1, -(2 ** 53), 2 ** 63, -(2 ** 63), 2 ** 64, 1e18, 123456789.123),
);
const anyNearTimeUs = fc.integer({ min: NOW_US, max: NOW_US + 16_000_000 });
const anyTimeUs = fc.integer({ min: NOW_US, max: NOW_US + 3_000_000_000 });
const anyFarTimeUs = fc.oneof(
  fc.constantFrom(0, 1, 999_999, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
  anyTimeUs,
);

const anyChunk = fc
  .tuple(
    fc.constantFrom(anyNearTimeUs, anyTimeUs, anyFarTimeUs),
    fc.constantFrom(anyInt24, anyInt32, anyNumber),
    fc.constantFrom(9, SERIES.length - 1),
    fc.integer({ min: 1, max: 40 }),
  )
  .chain(([timestampUs, rawValue, seriesMax, count]) =>
    fc.array(fc.record({ timestampUs, rawValue, series: fc.nat({ max: seriesMax }) }), {
      minLength: 1,
      maxLength: count,
    }),
  );
const anyChunks = fc.array(anyChunk, { maxLength: 6 });

function withHistory<T>(
  t: TestContext,
  chunks: readonly (readonly PlainSample[])[],
  body: (database: DatabaseSync, path: string) => T,
): T {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  try {
    database.exec('PRAGMA synchronous = OFF');
    const writer = new HistoryWriter(database, path, KEEP_EVERYTHING);
    writer.addSeries(SERIES);
    let nextSeq = 1;
    for (const chunk of chunks) {
      writer.append(batchOf(chunk, nextSeq));
      // A sample is lost after each.
      nextSeq += chunk.length + 1;
    }
    writer.commit(NOW_US);
    return body(database, path);
  } finally {
    database.close();
  }
}

function answerOf(database: DatabaseSync): SampleReply[] {
  const query = { limit: 10_000, offset: 0, order: 'desc', format: 'json' } as const;
  return JSON.parse(new TextDecoder().decode(new HistoryReader(database).page(query).text));
}

/** A sample as the view says it; a time to the microsecond, which a double has room for. */
function expectedRow(sample: SampleReply, timestampUs: number): object {
  const milliseconds = new Date(Math.floor(timestampUs / 1000)).toISOString().slice(0, -1);
  const time = `${milliseconds}${String(timestampUs % 1000).padStart(3, '0')}Z`;
  const { seq, timestamp, ...rest } = sample;
  return { seq, timestamp, time, ...rest };
}

test("the view's rows are the reader's answer, for any samples", (t) => {
  fc.assert(
    fc.property(anyChunks, (chunks) => {
      withHistory(t, chunks, (database) => {
        const samples = chunks.flat().toReversed();
        const expected = answerOf(database).map((sample, at) =>
          expectedRow(sample, samples[at]!.timestampUs),
        );
        assert.equal(expected.length, samples.length);
        const rows = database.prepare('SELECT * FROM telemetry_history').all();
        // No format tells -0 from 0.
        assert.deepEqual(
          rows.map((row) => ({ ...row, value: Number(row.value) + 0 })),
          expected,
        );
      });
    }),
    { numRuns: 150 },
  );
});

test('a chunk as large as they come, and the newest come first', (t) => {
  const chunk = Array.from({ length: 8192 }, (_, at) => ({
    timestampUs: NOW_US + at,
    rawValue: at,
    series: at % 2,
  }));
  withHistory(t, [chunk, chunk], (database) => {
    const column = (sql: string) => {
      const statement = database.prepare(sql);
      statement.setReturnArrays(true);
      return (statement.all() as unknown as number[][]).flat();
    };
    assert.deepEqual(column('SELECT seq FROM telemetry_history LIMIT 2'), [16_385, 16_384]);
    assert.deepEqual(column('SELECT seq FROM telemetry_history ORDER BY seq LIMIT 2'), [1, 2]);
    assert.deepEqual(column('SELECT count(*), sum(raw_value) FROM telemetry_history'), [16_384, 8191 * 8192]);
    assert.deepEqual(
      column('SELECT raw_value FROM telemetry_history WHERE seq BETWEEN 8191 AND 8194'),
      [0, 8191, 8190],
    );
  });
});

test('what is in blocks is not in the view', (t) => {
  const chunk = Array.from({ length: 10 }, (_, at) => ({
    timestampUs: NOW_US + at,
    rawValue: at,
    series: 0,
  }));
  withHistory(t, [chunk], (database, path) => {
    const writer = new HistoryWriter(database, path, KEEP_EVERYTHING, 1);
    writer.load();
    while (writer.compact()) {
      // A slice of the work.
    }
    writer.commit(NOW_US);
    assert.equal(answerOf(database).length, 10);
    assert.deepEqual(database.prepare('SELECT * FROM telemetry_history').all(), []);
  });
});

test('the latest values have names, too', (t) => {
  withHistory(t, [[{ timestampUs: NOW_US, rawValue: 70_000, series: SERIES.length - 1 }]], (database) => {
    const row = database
      .prepare(
        `SELECT component_type, component_id, raw_value * scale AS value, unit FROM series_state
         JOIN telemetry_series ON id = series`,
      )
      .get();
    assert.deepEqual(
      { ...row },
      {
        component_type: 'MOTORS',
        component_id: 'MOTOR_LEFT_REAR',
        value: 70_000,
        unit: null,
      },
    );
  });
});

describe('in the sqlite3 shell', { skip: cliMissing && 'missing: apt-get install sqlite3' }, () => {
  /** The shell's answer as objects; doubles as the 8 bytes that they are. */
  function ask(path: string): Record<string, unknown>[] {
    const bits = (name: string) => `hex(ieee754_to_blob(${name} + 0.0)) AS ${name}`;
    const sql = `SELECT seq, time, bus, node_id, component_id, value_name, unit, series.scale AS scale,
      ${bits('timestamp')}, ${bits('value')}, ${bits('raw_value')}
      FROM telemetry_history JOIN (SELECT bus AS series_bus, command_id AS command, scale FROM telemetry_series) AS series
      ON series_bus = bus AND command = command_id`;
    const { stdout, stderr, status } = spawnSync(CLI, ['-batch', '-json', '-readonly', path, sql], {
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return stdout === '' ? [] : JSON.parse(stdout);
  }

  function bitsOf(number: number): string {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, number);
    return Buffer.from(view.buffer).toString('hex').toUpperCase();
  }

  test("the rows are the reader's answer, bit for bit", (t) => {
    fc.assert(
      fc.property(anyChunks, (chunks) => {
        withHistory(t, chunks, (database, path) => {
          const expected = answerOf(database).map((sample, at) => {
            const { timestampUs, rawValue, series } = chunks.flat().at(-1 - at)!;
            const { scale } = SERIES[series]!.definition;
            const { time } = expectedRow(sample, timestampUs) as { time: string };
            const { seq, bus, node_id, component_id, value_name, unit } = sample;
            const value = physicalConversion(scale).toPhysical(rawValue) + 0;
            const bits = {
              timestamp: bitsOf(timestampUs / 1e6),
              value: bitsOf(value),
              raw_value: bitsOf(rawValue + 0),
            };
            return { seq, time, bus, node_id, component_id, value_name, unit, scale, ...bits };
          });
          assert.deepEqual(ask(path), expected);
        });
      }),
      { numRuns: 25 },
    );
  });
});
