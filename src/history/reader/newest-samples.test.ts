import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { append, batchOf, RPM, registry } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { SampleReply } from '../../api/schemas.ts';
import { type SeriesKey, SeriesTable } from '../../protocol/series-table.ts';
import { NEWEST_SAMPLES_KEPT, SAMPLE_BATCH_SAMPLES_MAX } from '../../shared/limits.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import type { HistoryQuery } from '../history-query.ts';
import { type HistoryOptions, PersistentTelemetryStore } from '../persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { HistoryReader } from './history-reader.ts';
import { NewestSamples, readNewest } from './newest-samples.ts';

const NOW_US = 1_764_000_000_000_000;
const KEPT = 50;
const NEVER_MS = 1_000_000;
const NEWEST: HistoryQuery = { limit: 100, offset: 0, order: 'desc', format: 'json' };

const KEYS: readonly SeriesKey[] = [RPM, { ...RPM, commandId: 0 }, { ...RPM, bus: 'can1', messageType: 0 }];

const nothing = { firstSeq: 0, count: 0, ...columns([]) };

/** Any samples, in any order of their timestamps; a sample's number may be some after that of the one before. */
const anyBatch = fc.record({
  skipped: fc.constantFrom(0, 0, 0, 7),
  samples: fc.array(
    fc.record({
      timestampUs: fc.integer({ min: NOW_US, max: NOW_US + 1000 }),
      rawValue: fc.integer({ min: 0, max: 3 }),
      series: fc.nat({ max: KEYS.length - 1 }),
    }),
    { minLength: 1, maxLength: 3 * KEPT },
  ),
});

const optional = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary, weight: 1 });

const anyQuery: fc.Arbitrary<HistoryQuery> = fc.record({
  limit: fc.integer({ min: 1, max: KEPT / 2 }),
  offset: fc.oneof(fc.constant(0), fc.nat({ max: KEPT })),
  order: fc.constantFrom('desc' as const, 'desc' as const, 'asc' as const),
  format: fc.constantFrom('json' as const, 'ndjson' as const, 'csv' as const),
  cursor: optional(fc.nat({ max: 400 })),
  lastSeq: optional(fc.nat({ max: 400 })),
  series: optional(fc.constantFrom(Uint8Array.of(0, 1, 1), Uint8Array.of(1, 1))),
  commandId: optional(fc.constantFrom(0, 1)),
  messageType: optional(fc.constantFrom(0, 1)),
  bus: optional(fc.constantFrom('can0', 'can1', 'can2')),
  fromUs: optional(fc.integer({ min: NOW_US, max: NOW_US + 500 })),
  toUs: optional(fc.integer({ min: NOW_US + 500, max: NOW_US + 1000 })),
});

function columns(samples: readonly { timestampUs: number; rawValue: number; series: number }[]) {
  const { timestampUs, rawValue, series } = batchOf(samples, 1);
  const { length } = samples;
  return {
    timestampUs: timestampUs.subarray(0, length),
    rawValue: rawValue.subarray(0, length),
    series: series.subarray(0, length),
  };
}

test('what is answered is the answer of the reader', (t) => {
  let answered = 0;
  fc.assert(
    fc.property(
      fc.array(anyBatch, { minLength: 1, maxLength: 6 }),
      fc.array(anyQuery, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      (batches, queries, hasBegun) => {
        const path = join(temporaryDirectory(t), 'collector.db');
        const database = openForWriting(path);
        const table = new SeriesTable(registry);
        for (const key of KEYS) table.add(key);
        const writer = new HistoryWriter(database, path, KEEP_EVERYTHING);
        writer.load();
        writer.addSeries(table.since(0));
        let newest = new NewestSamples(KEPT, table);
        let seq = 1;
        batches.forEach(({ skipped, samples }, place) => {
          seq += skipped;
          writer.append(batchOf(samples, seq));
          newest.add(columns(samples), seq);
          seq += samples.length;
          writer.commit(NOW_US);
          if (!hasBegun || place !== 2) return;
          // A start finds what is stored.
          const stored = readNewest(database, KEPT, assert.fail);
          newest = new NewestSamples(KEPT, table);
          newest.add(stored, stored.seq);
        });
        const reading = openForReading(path);
        const reader = new HistoryReader(reading);
        for (const query of queries) {
          const page = newest.page(query, nothing);
          if (page === null) continue;
          assert.deepEqual(page, reader.page(query));
          answered++;
        }
        reading.close();
        database.close();
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(answered > 10, `${answered} answers`);
});

test('the newest ones are answered, and only while more are known to follow', () => {
  const table = new SeriesTable(registry);
  table.add(RPM);
  const newest = new NewestSamples(KEPT, table);
  const samples = Array.from({ length: 5 * KEPT }, (_, at) => ({
    timestampUs: NOW_US + at,
    rawValue: at,
    series: 0,
  }));
  newest.add(columns(samples), 1);
  assert.equal(newest.count, 2 * KEPT);
  const seqs = (query: Partial<HistoryQuery>, following = nothing) => {
    const page = newest.page({ ...NEWEST, ...query }, following);
    if (page === null) return null;
    return (JSON.parse(new TextDecoder().decode(page.text)) as SampleReply[]).map(({ seq }) => seq);
  };
  assert.deepEqual(seqs({ limit: 2 }), [250, 249]);
  assert.deepEqual(seqs({ limit: 2, offset: 3 }), [247, 246]);
  assert.deepEqual(seqs({ limit: 2, cursor: 249 }), [248, 247]);
  assert.deepEqual(seqs({ limit: 2 * KEPT - 1 })?.length, 2 * KEPT - 1);
  assert.equal(seqs({ limit: 2 * KEPT }), null);
  assert.equal(seqs({ limit: 2, cursor: 152 }), null);
  assert.equal(seqs({ limit: 2, order: 'asc' }), null);
  assert.equal(seqs({ limit: 1, commandId: 99 }), null);
  const following = { firstSeq: 251, count: 2, ...columns(samples.slice(0, 2)) };
  assert.deepEqual(seqs({ limit: 3 }, following), [252, 251, 250]);
  newest.forget();
  assert.equal(seqs({ limit: 1 }), null);
  assert.deepEqual(seqs({ limit: 1 }, following), [252]);
});

async function openStore(t: TestContext, options: Partial<HistoryOptions> = {}) {
  const path = options.path ?? join(temporaryDirectory(t), 'collector.db');
  const table = new SeriesTable(registry);
  const log = pino({ enabled: false });
  const store = new PersistentTelemetryStore(
    { path, flushIntervalMs: NEVER_MS, ...KEEP_EVERYTHING, log, ...options },
    table,
  );
  const { series } = await store.open();
  t.after(() => store.close());
  for (const record of series) table.restore(record);
  if (table.count === 0) table.add(RPM);
  return {
    path,
    store,
    add(count: number) {
      for (let at = 0; at < count; at++) {
        append(store.samples, { timestampUs: NOW_US + at, rawValue: at, series: 0 });
        if (store.samples.isFull) store.handOver();
      }
    },
    async newest(limit: number): Promise<number[]> {
      const { text } = await store.query({ ...NEWEST, limit });
      return (JSON.parse(new TextDecoder().decode(text)) as SampleReply[]).map(({ seq }) => seq);
    },
  };
}

test('the newest samples are there as soon as they came, and after a start', async (t) => {
  const first = await openStore(t);
  first.add(SAMPLE_BATCH_SAMPLES_MAX + 5);
  assert.deepEqual(await first.newest(3), [8197, 8196, 8195]);
  await first.store.close();
  const second = await openStore(t, { path: first.path });
  assert.deepEqual(await second.newest(3), [8197, 8196, 8195]);
  second.add(1);
  assert.deepEqual(await second.newest(3), [8198, 8197, 8196]);
});

test('samples that a failed write has lost are not among the newest', async (t) => {
  const { path, store, add, newest } = await openStore(t);
  add(3);
  await store.flush();
  const other = new DatabaseSync(path);
  other.exec("CREATE TRIGGER broken BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'no room'); END");
  add(3);
  assert.deepEqual(await newest(2), [6, 5]);
  await store.flush();
  assert.deepEqual(await newest(2), [3, 2]);
  other.exec('DROP TRIGGER broken');
  other.close();
  add(3);
  await store.flush();
  assert.deepEqual(await newest(4), [9, 8, 7, 3]);
});

test('samples that retention has dropped are not among the newest', async (t) => {
  const { store, add, newest } = await openStore(t, { maxSamples: 100 });
  add(90);
  await store.flush();
  add(90);
  await store.flush();
  const { samples } = store.status().size;
  assert.ok(samples <= 100);
  assert.equal((await newest(NEWEST_SAMPLES_KEPT)).length, samples);
  assert.equal((await newest(samples + 1)).length, samples);
  assert.deepEqual(await newest(2), [180, 179]);
});
