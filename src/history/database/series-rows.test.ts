import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { append, batchOf, RPM, registry, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { makeVersion1 } from '../../../test/support/version-1.ts';
import type { SampleReply } from '../../api/schemas.ts';
import { ProtocolRegistry } from '../../protocol/protocol-registry.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import { PersistentTelemetryStore } from '../persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { openForWriting } from './database.ts';
import { canonicalJson, textHash } from './series-rows.ts';

const NOW_US = 1_764_000_000_000_000;
const KART_FILES = join(import.meta.dirname, '../../../protocol/kart');
const SERIES = [
  seriesRecord(0),
  seriesRecord(1, { nodeId: 3 }),
  seriesRecord(2, { componentType: 0, commandId: 1 }),
];

function databasePath(t: TestContext): string {
  return join(temporaryDirectory(t), 'collector.db');
}

function open(t: TestContext, path: string): { database: DatabaseSync; writer: HistoryWriter } {
  const database = openForWriting(path);
  t.after(() => database.isOpen && database.close());
  return { database, writer: new HistoryWriter(database, path, KEEP_EVERYTHING) };
}

/** A database with the SERIES, a sample of each. */
function madeDatabase(t: TestContext): string {
  const path = databasePath(t);
  const { database, writer } = open(t, path);
  writer.addSeries(SERIES);
  writer.append(
    batchOf(
      SERIES.map(({ index }) => ({ timestampUs: NOW_US, rawValue: index, series: index })),
      1,
    ),
  );
  writer.commit(NOW_US);
  database.close();
  return path;
}

function rows(path: string, query: string): unknown[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const all = database.prepare(query).all();
  database.close();
  return all.map((row) => ({ ...row }));
}

const DEFINITIONS = 'SELECT * FROM definitions ORDER BY hash';
const HASHES = 'SELECT definition FROM series ORDER BY id';

/** The kart's protocol with something else in one of its files. */
function protocolWith(t: TestContext, file: string, text: string, replacement: string): ProtocolRegistry {
  const directory = temporaryDirectory(t);
  cpSync(KART_FILES, directory, { recursive: true });
  const before = readFileSync(join(directory, file), 'utf8');
  assert.ok(before.includes(text));
  writeFileSync(join(directory, file), before.replace(text, replacement));
  return ProtocolRegistry.load(directory);
}

interface Opened {
  readonly store: PersistentTelemetryStore;
  readonly table: SeriesTable;
}

async function openStore(t: TestContext, path: string, protocol: ProtocolRegistry): Promise<Opened> {
  const table = new SeriesTable(protocol);
  const log = pino({ enabled: false });
  const options = { path, flushIntervalMs: 1_000_000, ...KEEP_EVERYTHING, log };
  const store = new PersistentTelemetryStore(options, table);
  const { series } = await store.open();
  t.after(() => store.close());
  for (const record of series) table.restore(record);
  return { store, table };
}

describe('definitions', () => {
  test('are stored once each, by the hash of their text', (t) => {
    const path = madeDatabase(t);
    const texts = [...new Set(SERIES.map(({ definition }) => canonicalJson(definition)))];
    assert.equal(texts.length, 2);
    const expected = texts.map((definition) => ({ hash: textHash(definition), definition }));
    assert.deepEqual(
      rows(path, DEFINITIONS),
      expected.toSorted((left, right) => (left.hash < right.hash ? -1 : 1)),
    );
    assert.deepEqual(
      rows(path, HASHES),
      [0, 0, 1].map((text) => ({ definition: expected[text]!.hash })),
    );
    assert.match(expected[0]!.hash, /^[0-9a-f]{16}$/);
    assert.deepEqual(open(t, path).writer.load().series, SERIES);
  });

  test('have one text whatever the order of their keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
        assert.equal(canonicalJson(reversed(value)), canonicalJson(value));
      }),
    );
    assert.equal(canonicalJson({ b: [{ d: null, c: 1 }], a: 'text' }), '{"a":"text","b":[{"c":1,"d":null}]}');
  });

  test('of version 1 are taken over', (t) => {
    const path = madeDatabase(t);
    const [definitions, hashes] = [rows(path, DEFINITIONS), rows(path, HASHES)];
    makeVersion1(path);
    assert.notDeepEqual(rows(path, HASHES), hashes);

    const { database, writer } = open(t, path);
    assert.deepEqual(writer.load().series, SERIES);
    assert.deepEqual(rows(path, DEFINITIONS), definitions);
    assert.deepEqual(rows(path, HASHES), hashes);
    assert.equal(database.prepare('PRAGMA integrity_check').get()!.integrity_check, 'ok');
  });

  test('of version 1 stay as they were when one of them stops the migration', (t) => {
    const path = madeDatabase(t);
    makeVersion1(path);
    const database = new DatabaseSync(path);
    const { definition } = database.prepare('SELECT definition FROM series WHERE id = 2').get()!;
    database.exec("UPDATE series SET definition = 'no JSON' WHERE id = 2");
    const before = rows(path, HASHES);
    assert.throws(() => openForWriting(path), { code: 'HISTORY_DAMAGED', message: /no JSON/ });
    assert.deepEqual(rows(path, HASHES), before);
    assert.deepEqual(rows(path, 'PRAGMA user_version'), [{ user_version: 1 }]);

    database.prepare('UPDATE series SET definition = ? WHERE id = 2').run(definition!);
    database.close();
    assert.deepEqual(open(t, path).writer.load().series, SERIES);
  });

  test('that are gone are damage', (t) => {
    const { database, writer } = open(t, madeDatabase(t));
    database.exec('DELETE FROM definitions');
    assert.throws(() => writer.load(), { code: 'HISTORY_DAMAGED', message: /no definition/ });
  });
});

test('an old drive is read as it was meant when the protocol has moved on', async (t) => {
  const path = databasePath(t);
  const old = await openStore(t, path, registry);
  old.table.add(RPM);
  append(old.store.samples, { timestampUs: NOW_US, rawValue: 1200, series: 0 });
  await old.store.close();

  const moved = protocolWith(
    t,
    'motors.proto',
    'RPM = 1 [(unit) = "rpm",',
    'SPEED = 1 [(unit) = "rad/s", (scale) = 0.1,',
  );
  const { store, table } = await openStore(t, path, moved);
  assert.equal(table.at(0).isCurrent, false);
  assert.equal(table.add(RPM)?.index, 1);
  append(store.samples, { timestampUs: NOW_US + 1, rawValue: 1200, series: 1 });
  await store.close();

  const { store: again } = await openStore(t, path, moved);
  const { text } = await again.query({ limit: 10, offset: 0, order: 'asc', format: 'json' });
  const samples: SampleReply[] = JSON.parse(new TextDecoder().decode(text));
  assert.deepEqual(
    samples.map(({ command_id, value, unit, raw_value }) => ({ command_id, value, unit, raw_value })),
    [
      { command_id: 'RPM', value: 1200, unit: 'rpm', raw_value: 1200 },
      { command_id: 'SPEED', value: 120, unit: 'rad/s', raw_value: 1200 },
    ],
  );
});

test('every protocol that samples were recorded under is stored whole, once', async (t) => {
  const path = databasePath(t);
  const moved = protocolWith(t, 'motors.proto', '(unit) = "rpm"', '(unit) = "1/min"');
  for (const protocol of [registry, registry, moved, registry]) {
    const { store, table } = await openStore(t, path, protocol);
    if (table.count === 0) table.add(RPM);
    append(store.samples, { timestampUs: NOW_US, rawValue: 1, series: 0 });
    await store.close();
  }
  // Nothing was recorded under it.
  await (await openStore(t, path, protocolWith(t, 'motors.proto', '"rpm"', '"Hz"'))).store.close();

  const protocols = rows(path, 'SELECT * FROM protocols ORDER BY rowid') as {
    hash: string;
    first_used_us: number;
    files: string;
  }[];
  assert.deepEqual(
    protocols.map(({ hash, files }) => ({ hash, files: JSON.parse(files) })),
    [registry, moved].map(({ files }) => ({ hash: textHash(canonicalJson(files)), files })),
  );
  assert.equal(registry.files['motors.proto'], readFileSync(join(KART_FILES, 'motors.proto'), 'utf8'));
  assert.ok(protocols.every(({ first_used_us }) => first_used_us > NOW_US));
});

/** The same value with the keys of its objects the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, part]) => [key, reversed(part)]),
  );
}
