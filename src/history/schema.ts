import type { DatabaseSync } from 'node:sqlite';
import { VIEWS } from './schema-views.ts';

/** Counts up with every change of the schema. */
export const SCHEMA_VERSION = 2;

/**
 * series        what the samples of one signal of one node have in common; id is the series' index
 * series_state  the latest sample of each series, for the state at the next start
 * chunks        the latest samples in the order of their arrival, a run of all series a row (chunk-codec.ts)
 * segments      older samples, from which the compactor has made
 * blocks        one series' samples of a segment (block-codec.ts), with what they come to: raw values' least,
 *               greatest, sum and last. A segment's blocks have the ids from first_block to last_block;
 *               `leader` is the block of the segment whose clock this one's is told by
 * quarantine    what couldn't be read, as it was: kept, and passed over
 * totals        one row: what would otherwise be counted anew at each start
 * telemetry_... views for people (schema-views.ts)
 *
 * Timestamps are integer microseconds since the epoch. Segments hold lower sequence numbers than chunks.
 */
const VERSION_1 = `
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    bus TEXT NOT NULL,
    node_id INTEGER NOT NULL,
    message_type INTEGER NOT NULL,
    component_type INTEGER NOT NULL,
    component_id INTEGER NOT NULL,
    command_id INTEGER NOT NULL,
    value_type INTEGER NOT NULL,
    definition TEXT NOT NULL
  ) STRICT;
  CREATE TABLE series_state (
    series INTEGER PRIMARY KEY REFERENCES series,
    timestamp_us INTEGER NOT NULL,
    raw_value REAL NOT NULL,
    count INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE chunks (
    first_seq INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    base_timestamp_us INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    samples BLOB NOT NULL
  ) STRICT;
  CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_seq INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    newest_timestamp_us INTEGER
  ) STRICT;
  INSERT INTO totals VALUES (1, 1, 0, NULL);
`;

const VERSION_2 = `
  CREATE TABLE segments (
    first_seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    first_block INTEGER NOT NULL,
    last_block INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series,
    count INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    min_value REAL NOT NULL,
    max_value REAL NOT NULL,
    sum_value REAL NOT NULL,
    last_value REAL NOT NULL,
    leader INTEGER,
    samples BLOB NOT NULL
  ) STRICT;
  CREATE INDEX blocks_of_series ON blocks (series, id);
  CREATE TABLE quarantine (
    first_seq INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    base_timestamp_us INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    samples BLOB NOT NULL
  ) STRICT;
  ${VIEWS}
`;

/** What takes a database from one version to the next, by the version it starts from. */
const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];

/**
 * Brings a database, new (version 0) or older, to the present version; each step is a transaction that a
 * power cut leaves either done or undone. Samples stay where they are: the compactor turns the chunks of
 * version 1 into blocks as it does with any.
 */
export function migrate(database: DatabaseSync, fromVersion: number, applicationId: number): void {
  // The page size and vacuum mode can only be chosen before the first table is made.
  if (fromVersion === 0) database.exec('PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL');
  for (let version = fromVersion; version < SCHEMA_VERSION; version++) {
    database.exec(
      `BEGIN; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version + 1}; ${MIGRATIONS[version]} COMMIT`,
    );
  }
}
