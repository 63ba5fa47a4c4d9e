import type { DatabaseSync } from 'node:sqlite';
import { VIEWS } from './schema-views.ts';
import { addDefinitionFunctions } from './series-rows.ts';

/** Counts up with every change of the schema. */
export const SCHEMA_VERSION = 2;

export const PAGE_BYTES = 4096;

/**
 * series        what the samples of one signal of one node have in common; id is the series' index
 * series_state  the latest sample of each series, for the state at the next start; seq is 0 where it isn't known
 * chunks        the latest samples in the order of their arrival, a run of all series a row (chunk-codec.ts)
 * segments      older samples, from which the compactor has made
 * blocks        one series' samples of a segment, with what they come to: raw values' least, greatest, sum and last.
 *               A segment's blocks have the ids from first_block to last_block; `leader` is the block of the
 *               segment whose clock this one's is told by; shift_us is to be added to the timestamps in its bytes
 * block_pages   the samples of blocks (block-codec.ts): the bytes from first_byte on of all of these, one after the other
 *               (byte-pages.ts)
 * rollups       what one series' samples come to in spans of so many seconds (rollup-codec.ts), for the run of
 *               the history that begins with first_seq: of
 * rollup_segments  all of them are of one, a segment or what was several
 * quarantine    what couldn't be read, as it was: kept, and passed over
 * quarantined_blocks  blocks that can't be read, and what was found: they stay as they are, and are passed over
 * gaps          where samples are missing, and why (gap.ts); bus is NULL for all, to_us while it lasts, count where
 *               it isn't known
 * definitions   what the protocol said of a signal when a series began, as JSON by its hash: series.definition
 * protocols     the .proto files that samples were recorded under, as a JSON object of their texts by name
 * totals        one row: what would otherwise be counted anew at each start. Numbers from next_seq up to reserved_seq
 *               may have been seen although they aren't stored; recorded_until_us is the wall clock at the last
 *               commit of a run that had live buses
 * clock_spans   which clock samples were stamped by, from first_seq to the next row's (clock-ledger.ts): offset_us is the
 *               wall clock less the time since the machine's start boot_id (NULL where timestamps aren't the system's),
 *               synchronized what the kernel said of it (NULL where nothing), corrected_us what was added to the
 *               timestamps since. began_us is the wall clock at its beginning. Gaps from first_gap on are of it or later
 *               ones; start_gap is one of before that ends with it. Where it settles what came before, a later step doesn't move that
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
    first_byte INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE block_pages (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE INDEX blocks_of_series ON blocks (series, id);
  CREATE TABLE quarantine (
    first_seq INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    base_timestamp_us INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    samples BLOB NOT NULL
  ) STRICT;
  CREATE INDEX segments_by_age ON segments (max_timestamp_us);
  CREATE TABLE rollup_segments (
    span_s INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    min_timestamp_us INTEGER NOT NULL,
    max_timestamp_us INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (span_s, first_seq)
  ) STRICT;
  CREATE TABLE rollups (
    id INTEGER PRIMARY KEY,
    span_s INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series,
    count INTEGER NOT NULL,
    first_byte INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE rollup_pages (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE UNIQUE INDEX rollups_of_segment ON rollups (span_s, first_seq, series);
  ALTER TABLE totals ADD COLUMN reserved_seq INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    bus TEXT,
    cause TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER,
    count INTEGER
  ) STRICT;
  CREATE INDEX gaps_by_time ON gaps (from_us);
  ALTER TABLE totals ADD COLUMN recorded_until_us INTEGER;
  CREATE TABLE definitions (hash TEXT PRIMARY KEY, definition TEXT NOT NULL) STRICT;
  INSERT OR IGNORE INTO definitions
    SELECT text_hash(text), text FROM (SELECT canonical_definition(definition) AS text FROM series);
  UPDATE series SET definition = text_hash(canonical_definition(definition));
  CREATE TABLE quarantined_blocks (id INTEGER PRIMARY KEY, found TEXT NOT NULL) STRICT;
  CREATE TABLE protocols (hash TEXT PRIMARY KEY, first_used_us INTEGER NOT NULL, files TEXT NOT NULL) STRICT;
  ${VIEWS}
  CREATE TABLE clock_spans (
    first_seq INTEGER PRIMARY KEY,
    began_us INTEGER NOT NULL,
    boot_id TEXT,
    offset_us INTEGER NOT NULL,
    synchronized INTEGER,
    corrected_us INTEGER NOT NULL,
    first_gap INTEGER NOT NULL,
    start_gap INTEGER,
    settles INTEGER NOT NULL
  ) STRICT;
  ALTER TABLE series_state ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE blocks ADD COLUMN shift_us INTEGER NOT NULL DEFAULT 0;
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
  if (fromVersion === 0) {
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
  }
  if (fromVersion < SCHEMA_VERSION) addDefinitionFunctions(database);
  for (let version = fromVersion; version < SCHEMA_VERSION; version++) {
    database.exec(
      `BEGIN; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version + 1}; ${MIGRATIONS[version]} COMMIT`,
    );
  }
}
