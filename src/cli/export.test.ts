import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { pino } from 'pino';
import { KEEP_EVERYTHING } from '../../src/history/retention.ts';
import {
  append,
  batchOf,
  type PlainSample,
  RPM,
  registry,
  seriesRecord,
} from '../../test/support/samples.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { openForReading, openForWriting } from '../history/database/database.ts';
import type { HistoryQuery } from '../history/history-query.ts';
import { PersistentTelemetryStore } from '../history/persistent-telemetry-store.ts';
import { HistoryReader } from '../history/reader/history-reader.ts';
import { CSV_HEADER } from '../history/reader/sample-writer.ts';
import { HistoryWriter } from '../history/writer/history-writer.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { COLUMN_PAGE_SAMPLES_MAX, PARQUET_ROW_GROUP_SAMPLES } from '../shared/limits.ts';
import { exportCommand } from './export.ts';

const ENTRY = fileURLToPath(new URL('./main.ts', import.meta.url));
const NOW_US = 1_764_000_000_000_000;
const SERIES = [
  seriesRecord(0),
  seriesRecord(1, { componentId: 1 }),
  seriesRecord(2, { commandId: 7, valueType: 3 }),
  seriesRecord(3, { bus: 'rear', nodeId: 9, componentType: 6, componentId: 42, commandId: 99 }),
];

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], cwd: string) {
  // No file of settings, no home: the flags alone say which database.
  const env = { PATH: process.env.PATH, HOME: cwd };
  return spawn(process.execPath, [ENTRY, 'export', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function run(args: readonly string[], cwd: string): Promise<Outcome> {
  const child = start(args, cwd);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
}

/** A database in a directory of its own, `collector.db`: so many samples, a millisecond apart, half of them in blocks. */
function madeHistory(t: TestContext, count: number): string {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'collector.db');
  const database = openForWriting(path);
  database.exec('PRAGMA synchronous = OFF');
  const segmentSamples = Math.ceil(count / 4);
  const writer = new HistoryWriter(database, path, KEEP_EVERYTHING, segmentSamples);
  writer.addSeries(SERIES);
  const batchSamples = Math.min(8192, Math.ceil(count / 8));
  for (let first = 0; first < count; first += batchSamples) {
    const batch = Array.from({ length: Math.min(batchSamples, count - first) }, (_, at) =>
      sampleAt(first + at),
    );
    writer.append(batchOf(batch, first + 1));
    writer.commit(NOW_US);
    if (first > count / 2) continue;
    while (writer.compact()) {
      // A slice of the work.
    }
  }
  database.close();
  return directory;
}

function sampleAt(place: number): PlainSample {
  return {
    timestampUs: NOW_US + place * 1000,
    rawValue: (place % 7) - (place % 5) / 2,
    series: place % SERIES.length,
  };
}

/** What the API streams. */
function streamed(directory: string, query: Partial<HistoryQuery> = {}): string {
  const database = openForReading(join(directory, 'collector.db'));
  const whole = { limit: 1e9, offset: 0, order: 'asc', format: 'csv', ...query } as const;
  const { text } = new HistoryReader(database).page(whole);
  database.close();
  return (whole.format === 'csv' ? CSV_HEADER : '') + new TextDecoder().decode(text);
}

test('csv and ndjson are what the API streams, of all samples or of some', async (t) => {
  const directory = madeHistory(t, 4000);
  const at = (place: number) => NOW_US + place * 1000;
  const motor = { componentType: 1, componentId: 0, commandId: 1 };
  // biome-ignore format: a table
  const cases: [args: string[], query: Partial<HistoryQuery>][] = [
    [[], {}],
    [['--format', 'ndjson'], { format: 'ndjson' }],
    [['--from', '1764000001', '--to', '2025-11-24T16:00:02Z'], { fromUs: at(1000), toUs: at(2000) - 1 }],
    [['--signal', 'MOTORS/motor_left_rear/RPM'], motor],
    [['--signal', '1/0/1', '--signal', 'TYPE_6/*/*'], {}],
    [['--signal', '*/*/RPM'], { commandId: 1 }],
    [['--signal', 'MOTORS/*_REAR/*', '--signal', 'MOTORS/MOTOR_RIGHT_REAR/RPM'], { componentType: 1 }],
    [['--bus', 'rear'], { bus: 'rear' }],
    [['--to', '2000-01-01'], { toUs: 0 }],
  ];
  for (const [args, query] of cases) {
    const { code, stdout, stderr } = await run(['--db', 'collector.db', ...args], directory);
    assert.deepEqual([code, stderr], [0, '']);
    let expected = streamed(directory, query);
    if (args.includes('TYPE_6/*/*'))
      expected = linesOf(expected, (line) => /MOTOR_LEFT_REAR,RPM|TYPE_6|^seq/.test(line));
    assert.equal(stdout, expected, args.join(' '));
  }
});

function linesOf(csv: string, isWanted: (line: string) => boolean): string {
  return csv
    .split(/(?<=\n)/)
    .filter(isWanted)
    .join('');
}

test('a file comes by its name when it is whole, in the format that its ending says', async (t) => {
  const directory = madeHistory(t, 1000);
  const { code, stdout, stderr } = await run(['--db', 'collector.db', '--output', 'drive.ndjson'], directory);
  assert.deepEqual([code, stdout], [0, '']);
  assert.equal(
    stderr,
    '1,000 samples from 2025-11-24T16:00:00.000Z to 2025-11-24T16:00:00.999Z in drive.ndjson\n',
  );
  assert.equal(
    readFileSync(join(directory, 'drive.ndjson'), 'utf8'),
    streamed(directory, { format: 'ndjson' }),
  );
  assert.equal(existsSync(join(directory, 'drive.ndjson.part')), false);
  const empty = await run(['--db', 'collector.db', '--to', '2000-01-01', '--output', 'none.csv'], directory);
  assert.deepEqual([empty.code, empty.stderr], [0, 'no samples in none.csv\n']);
  assert.equal(readFileSync(join(directory, 'none.csv'), 'utf8'), CSV_HEADER);
});

test('parquet has the samples of the csv, over pages and row groups', async (t) => {
  const count = 2 * PARQUET_ROW_GROUP_SAMPLES + 100;
  assert.ok(count > COLUMN_PAGE_SAMPLES_MAX);
  const directory = madeHistory(t, count);
  const { code, stderr } = await run(['--db', 'collector.db', '--output', 'drive.parquet'], directory);
  assert.equal(code, 0, stderr);
  assert.ok(stderr.startsWith(`${count.toLocaleString('en')} samples from `), stderr);
  assert.match(stderr, / in drive\.parquet\n$/);

  const file = await asyncBufferFromFile(join(directory, 'drive.parquet'));
  const metadata = await parquetMetadataAsync(file);
  assert.deepEqual(
    metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
    [PARQUET_ROW_GROUP_SAMPLES, PARQUET_ROW_GROUP_SAMPLES, 100],
  );
  const columns = metadata.row_groups[0]!.columns.map(({ meta_data }) => meta_data!);
  for (const { type, path_in_schema, encodings } of columns) {
    if (type === 'BYTE_ARRAY') assert.ok(encodings.includes('RLE_DICTIONARY'), path_in_schema.join());
  }
  assert.deepEqual(metadata.schema[2]?.logical_type, {
    type: 'TIMESTAMP',
    isAdjustedToUTC: true,
    unit: 'MICROS',
  });

  const rows = await parquetReadObjects({
    file,
    compressors: { ZSTD: (bytes) => zstdDecompressSync(bytes) },
    // As they are: a Date has milliseconds only.
    parsers: { timestampFromMicroseconds: (microseconds: bigint) => microseconds },
  });
  const csv = streamed(directory).trimEnd().split('\n').slice(1);
  assert.equal(rows.length, csv.length);
  for (const [index, row] of rows.entries()) {
    const { timestamp, ...rest } = row;
    const digits = String(timestamp);
    const fields = { ...rest, seq: row.seq, timestamp: `${digits.slice(0, -6)}.${digits.slice(-6)}` };
    const names = CSV_HEADER.trimEnd().split(',') as (keyof typeof fields)[];
    const line = names.map((name) => String(fields[name] ?? '')).join(',');
    if (line !== csv[index]) assert.equal(line, csv[index]);
  }
});

test('what is no plain file is written to as it is, and a link stays one', async (t) => {
  const directory = madeHistory(t, 800);
  // A link to the pipe that a shell makes: opening it never waits for somebody.
  symlinkSync('/dev/stdout', join(directory, 'pipe'));
  const command = `'${process.execPath}' '${ENTRY}' export --db collector.db --output pipe | cat`;
  const { stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, encoding: 'utf8' });
  assert.match(stderr, / in pipe\n$/);
  assert.equal(stdout, streamed(directory));
  assert.ok(lstatSync(join(directory, 'pipe')).isSymbolicLink());

  writeFileSync(join(directory, 'real.csv'), '');
  symlinkSync('real.csv', join(directory, 'link.csv'));
  assert.equal((await run(['--db', 'collector.db', '--output', 'link.csv'], directory)).code, 0);
  assert.ok(lstatSync(join(directory, 'link.csv')).isSymbolicLink());
  assert.equal(readFileSync(join(directory, 'real.csv'), 'utf8'), streamed(directory));
});

test('one that is interrupted leaves nothing behind', async (t) => {
  const directory = madeHistory(t, 300_000);
  for (const [name, signal] of [
    ['drive.csv', 'SIGINT'],
    ['drive.parquet', 'SIGTERM'],
  ] as const) {
    const child = start(['--db', 'collector.db', '--output', name], directory);
    while (!existsSync(join(directory, `${name}.part`))) {
      assert.equal(child.exitCode, null, 'it was too quick to be interrupted');
      await sleep(1);
    }
    child.kill(signal);
    const [code, killedBy] = await once(child, 'close');
    assert.deepEqual([code, killedBy], [null, signal]);
    assert.deepEqual(
      readdirSync(directory).filter((file) => file.startsWith('drive')),
      [],
    );
  }
});

test('whoever has seen enough ends it in peace', async (t) => {
  const directory = madeHistory(t, 100_000);
  const child = start(['--db', 'collector.db'], directory);
  const stderr = text(child.stderr);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [code] = await once(child, 'close');
  assert.deepEqual([code, await stderr], [0, '']);
});

describe('beside a collector', () => {
  test('an export gets every sample up to its start, and the collector loses none', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'collector.db');
    const table = new SeriesTable(registry);
    const log = pino({ enabled: false });
    const options = { path, flushIntervalMs: 1_000_000, ...KEEP_EVERYTHING, log };
    const store = new PersistentTelemetryStore(options, table);
    await store.open();
    t.after(() => store.close());
    table.add(RPM);
    let given = 0;
    const write = async (count: number) => {
      for (let end = given + count; given < end; given++) {
        append(store.samples, { timestampUs: NOW_US + given, rawValue: given, series: 0 });
        if (store.samples.isFull) store.handOver();
      }
      await store.flush();
    };
    await write(20_000);
    const durable = given;
    let isEnded = false;
    const ended = run(['--db', 'collector.db', '--output', 'drive.csv'], directory).finally(() => {
      isEnded = true;
    });
    while (!isEnded) await write(1000);
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
    const samples = Number(/^([\d,]+) samples/.exec(stderr)?.[1]?.replaceAll(',', ''));
    assert.ok(samples >= durable && samples <= given, `${durable}, ${samples}, ${given}`);
    const seqs = readFileSync(join(directory, 'drive.csv'), 'utf8').trimEnd().split('\n').slice(1);
    assert.deepEqual(
      seqs.map((line) => Number(line.split(',', 1)[0])),
      Array.from({ length: samples }, (_, index) => index + 1),
    );
    const { samplesLost, problem, samplesStored } = store.status();
    assert.deepEqual([samplesLost, problem, samplesStored], [{ queue: 0, write: 0 }, null, given]);
  });

  test('an export that waits for its reader holds no snapshot: the log can be taken over', async (t) => {
    const directory = madeHistory(t, COLUMN_PAGE_SAMPLES_MAX + 10_000);
    const writer = openForWriting(join(directory, 'collector.db'));
    t.after(() => writer.close());
    const child = start(['--db', 'collector.db'], directory);
    t.after(() => child.kill());
    // The first page was read when its first line comes, and the second isn't before most of it is taken.
    let output = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      output += chunk;
      if (output.length > CSV_HEADER.length) break;
    }
    writer.exec('UPDATE totals SET samples = samples + 1');
    const checkpoint = { ...writer.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() };
    assert.deepEqual(checkpoint, { busy: 0, log: 0, checkpointed: 0 });
    const rest = await text(child.stdout);
    assert.equal((output + rest).split('\n').length, COLUMN_PAGE_SAMPLES_MAX + 10_000 + 2);
  });
});

describe('is refused, with what to do:', () => {
  const directory = (t: TestContext) => madeHistory(t, 10);
  // biome-ignore format: a table
  const cases: [what: string, args: string[], code: number, message: RegExp][] = [
    ['a database that is not there', ['--db', 'none.db'], 1, /^There is no database .*none\.db: .*--db FILE\.\n$/],
    ['a file that is no database', ['--db', 'text.db'], 1, /text\.db can't be the history: it is not an SQLite/],
    ['an empty file', ['--db', 'empty.db'], 1, /empty\.db has version 0, which is older than \d/],
    ['parquet without a file', ['--format', 'parquet'], 2, /^Parquet needs a file .*--output FILE\.\n$/],
    ['a span that ends before it begins', ['--from', '2', '--to', '1'], 2, /--from to be before --to/],
    ['a time that is none', ['--from', 'noon'], 2, /Expected --from as seconds since the epoch.*found "noon"/],
    ['an unknown format', ['--format', 'xml'], 2, /Allowed choices are csv, ndjson, parquet/],
    ['half a signal', ['--signal', 'MOTORS'], 2, /Expected a signal as .*found "MOTORS"\./],
    ['a signal that was never heard', ['--signal', 'MOTORS/*/RPN'], 1, /no signal MOTORS\/\*\/RPN\. It has: MOTORS\/MOTOR_LEFT_REAR\/RPM, /],
    ['a bus that there is not', ['--bus', 'can7'], 1, /^The history has no bus can7\. It has: can0, rear\.\n$/],
    ['a file in no folder', ['--output', 'no/where.csv'], 1, /^no\/where\.csv can't be written: ENOENT/],
    ['a folder as the file', ['--output', '.'], 1, /^\. is a folder: give a file with --output FILE\.\n$/],
    ['the database as the file', ['--output', 'collector.db'], 1, /collector\.db is the database that is read/],
    ['a link to it as the file', ['--output', 'link.csv'], 1, /collector\.db is the database that is read/],
  ];
  for (const [what, args, exitCode, message] of cases) {
    test(what, async (t) => {
      const cwd = directory(t);
      writeFileSync(join(cwd, 'text.db'), 'x'.repeat(200));
      writeFileSync(join(cwd, 'empty.db'), '');
      symlinkSync('collector.db', join(cwd, 'link.csv'));
      const before = readdirSync(cwd).filter((name) => !/-(wal|shm)$/.test(name));
      const flags = args.includes('--db') ? args : ['--db', 'collector.db', ...args];
      const { code, stdout, stderr } = await run(flags, cwd);
      assert.match(stderr, message);
      assert.deepEqual([code, stdout], [exitCode, '']);
      assert.deepEqual(
        readdirSync(cwd).filter((name) => !/-(wal|shm)$/.test(name)),
        before,
      );
    });
  }
});

test('what is damaged is told of and passed over', async (t) => {
  const directory = madeHistory(t, 800);
  const database = new DatabaseSync(join(directory, 'collector.db'));
  database.exec("UPDATE chunks SET samples = x'01' WHERE first_seq = (SELECT max(first_seq) FROM chunks)");
  database.close();
  const { code, stdout, stderr } = await run(['--db', 'collector.db'], directory);
  assert.equal(code, 0);
  assert.match(stderr, /^passed over, as it can't be read: the chunk of samples 701 to 800: .*\n$/);
  assert.equal(stdout.split('\n').length, 1 + 700 + 1);
});

test('the help explains every flag', () => {
  const help = exportCommand().helpInformation();
  for (const flag of ['db', 'config', 'from', 'to', 'signal', 'bus', 'format', 'output']) {
    assert.match(help, new RegExp(`--${flag} <[^>]+>\\s+\\w`));
  }
});
