import { DatabaseSync } from 'node:sqlite';
import type { SampleReply } from '../src/api/schemas.ts';
import { ProtocolRegistry } from '../src/protocol/protocol-registry.ts';
import { SampleBatch } from '../src/protocol/sample-batch.ts';
import { SeriesTable } from '../src/protocol/series-table.ts';
import { type Recorder, recordDrive, SIGNAL } from './history-drive.ts';
import {
  answer,
  databaseBytes,
  middleHour,
  NEWEST_SAMPLES,
  POINTS,
  type Queries,
  type TrialOptions,
  timed,
  trialOptions,
  wholeDrive,
} from './history-trial.ts';

/**
 * The reference: a row per sample, in the way one would do it with SQLite alone. WAL with FULL syncs, as
 * with the collector; a transaction per second of the drive.
 */

const SCHEMA = `
  CREATE TABLE samples (id INTEGER PRIMARY KEY, signal INTEGER, timestamp_us INTEGER, value REAL);
  CREATE INDEX samples_of_signal ON samples (signal, timestamp_us);
`;

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return database;
}

function recorder(database: DatabaseSync, table: SeriesTable, ask: () => Promise<void>): Recorder {
  const insert = database.prepare('INSERT INTO samples (signal, timestamp_us, value) VALUES (?, ?, ?)');
  const samples = SampleBatch.allocate();

  function handOver(): void {
    if (!database.isTransaction) database.exec('BEGIN');
    for (let at = 0; at < samples.count; at++) {
      insert.run(samples.series[at]!, samples.timestampUs[at]!, samples.rawValue[at]!);
    }
    samples.count = 0;
  }

  return {
    table,
    samples,
    handOver,
    commit() {
      handOver();
      database.exec('COMMIT');
    },
    settle() {},
    ask,
    close: () => database.close(),
  };
}

async function measureQueries(
  database: DatabaseSync,
  { hours }: TrialOptions,
  table: SeriesTable,
): Promise<Queries> {
  const signal = table
    .since(0)
    .find((series) =>
      Object.entries(SIGNAL).every(([key, value]) => series[key as keyof typeof SIGNAL] === value),
    )!.index;

  const hour = middleHour(hours);
  const selectHour = database.prepare(
    'SELECT timestamp_us, value FROM samples WHERE signal = ? AND timestamp_us BETWEEN ? AND ? ORDER BY timestamp_us',
  );
  selectHour.setReturnArrays(true);

  const whole = wholeDrive(hours);
  const widthUs = Math.ceil((whole.toUs + 1 - whole.fromUs) / POINTS);
  // Integers as BigInt: SQLite divides integers as integers, and numbers would be bound as doubles.
  const selectPoints = database.prepare(`
    WITH buckets AS (
      SELECT (timestamp_us - :from) / :width AS bucket, min(value) AS min, max(value) AS max, avg(value) AS mean,
        count(*) AS count, max(timestamp_us) AS last_us
      FROM samples WHERE signal = :signal AND timestamp_us BETWEEN :from AND :to GROUP BY bucket
    )
    SELECT count, bucket, min, max, mean,
      (SELECT value FROM samples WHERE signal = :signal AND timestamp_us = last_us ORDER BY id DESC LIMIT 1) AS last
    FROM buckets ORDER BY bucket
  `);
  selectPoints.setReturnArrays(true);

  const selectNewest = database.prepare(
    `SELECT id, signal, timestamp_us, value FROM samples ORDER BY id DESC LIMIT ${NEWEST_SAMPLES}`,
  );

  return {
    signalHour: await timed(() => selectHour.all(signal, hour.fromUs, hour.toUs).length),
    signalWhole: await timed(() => {
      const [from, to, width] = [BigInt(whole.fromUs), BigInt(whole.toUs), BigInt(widthUs)];
      const rows = selectPoints.all({ signal, from, to, width }) as unknown as [count: number][];
      return rows.reduce((sum, [count]) => sum + count, 0);
    }),
    // The collector's answer is the text that the API sends, so this is to be the same.
    newest: await timed(() => {
      const rows = selectNewest.all() as unknown as SampleRow[];
      const text = JSON.stringify(rows.map((row) => reply(row, table)));
      return text.length > 0 ? rows.length : 0;
    }),
  };
}

interface SampleRow {
  readonly id: number;
  readonly signal: number;
  readonly timestamp_us: number;
  readonly value: number;
}

function reply(row: SampleRow, table: SeriesTable): SampleReply {
  const { bus, nodeId, definition, conversion } = table.at(row.signal);
  return {
    seq: row.id,
    timestamp: row.timestamp_us / 1e6,
    bus,
    node_id: nodeId,
    message_type: definition.messageType,
    component_type: definition.componentType,
    component_id: definition.componentId,
    command_id: definition.commandId,
    value_type: definition.valueType,
    value: conversion.toPhysical(row.value),
    raw_value: row.value,
    value_name: definition.valueNames?.[row.value] ?? null,
    unit: definition.unit,
  };
}

const options = trialOptions();
const registry = ProtocolRegistry.load();
const table = new SeriesTable(registry);
const database = open(options.path);
database.exec(SCHEMA);
let queries: Queries | null = null;
const recorded = await recordDrive(
  options,
  registry,
  recorder(database, table, async () => {
    if (options.withQueries) queries = await measureQueries(database, options, table);
  }),
);
answer({ ...recorded, fileBytes: databaseBytes(options.path), queries });
