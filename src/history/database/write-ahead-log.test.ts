import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { append, batchOf, RPM, registry, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import {
  SAMPLE_BATCH_SAMPLES_MAX,
  WAL_BYTES_MAX,
  WAL_KEPT_BYTES,
  WAL_TRUNCATE_INTERVAL_MS,
} from '../../shared/limits.ts';
import { PersistentTelemetryStore } from '../persistent-telemetry-store.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { BUSY_TIMEOUT_MS, openForWriting } from './database.ts';
import { fileBytes, logPath, WriteAheadLog } from './write-ahead-log.ts';

const NOW_US = 1_764_000_000_000_000;
const BYTES_MAX = 64 * 1024;

/** What somebody at a prompt does who has begun a transaction and looked at something. */
function openTransaction(t: TestContext, path: string): DatabaseSync {
  const reader = new DatabaseSync(path, { readOnly: true });
  t.after(() => reader.isOpen && reader.close());
  reader.exec('BEGIN');
  reader.prepare('SELECT * FROM totals').get();
  return reader;
}

/** No two alike, so that no codec makes them small. */
function samples(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    timestampUs: NOW_US + index,
    rawValue: Math.random(),
    series: 0,
  }));
}

test('a log that a reader lets grow is emptied when the reader has gone, and not tried too often', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  t.after(() => database.close());
  const writer = new HistoryWriter(database, path, KEEP_EVERYTHING);
  const log = new WriteAheadLog(database, path, BYTES_MAX);
  writer.addSeries([seriesRecord(0)]);
  let seq = 1;
  const commit = () => {
    writer.append(batchOf(samples(5000), seq));
    seq += 5000;
    writer.commit(NOW_US);
    return fileBytes(logPath(path));
  };

  const reader = openTransaction(t, path);
  while (commit() <= BYTES_MAX);
  const grown = fileBytes(logPath(path));
  log.trim(0);
  assert.equal(fileBytes(logPath(path)), grown);
  assert.deepEqual({ ...database.prepare('PRAGMA busy_timeout').get() }, { timeout: BUSY_TIMEOUT_MS });

  reader.close();
  log.trim(WAL_TRUNCATE_INTERVAL_MS - 1);
  assert.equal(fileBytes(logPath(path)), grown);
  log.trim(WAL_TRUNCATE_INTERVAL_MS);
  assert.equal(fileBytes(logPath(path)), 0);
  assert.deepEqual({ ...database.prepare('PRAGMA busy_timeout').get() }, { timeout: BUSY_TIMEOUT_MS });

  // One that isn't too large is left alone.
  writer.addSeries([seriesRecord(1, { nodeId: 3 })]);
  writer.commit(NOW_US);
  const small = fileBytes(logPath(path));
  assert.ok(small > 0 && small <= BYTES_MAX, String(small));
  log.trim(3 * WAL_TRUNCATE_INTERVAL_MS);
  assert.equal(fileBytes(logPath(path)), small);
  assert.equal(writer.size().walBytes, small);
});

test('a history that is written to while somebody reads on and on has a small log soon after', async (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const table = new SeriesTable(registry);
  const log = pino({ enabled: false });
  const options = { path, flushIntervalMs: 1_000_000, ...KEEP_EVERYTHING, log };
  const store = new PersistentTelemetryStore(options, table);
  await store.open();
  t.after(() => store.close());
  table.add(RPM);
  const batch = samples(SAMPLE_BATCH_SAMPLES_MAX);
  const commit = async (batches: number) => {
    for (let count = 0; count < batches; count++) {
      for (const sample of batch) append(store.samples, sample);
      store.handOver();
    }
    await store.flush();
    return store.status().size.walBytes;
  };
  await commit(1);

  const reader = openTransaction(t, path);
  while ((await commit(20)) <= WAL_BYTES_MAX);
  assert.equal(fileBytes(logPath(path)), store.status().size.walBytes);
  reader.close();
  // One takes the log over, the next begins it anew, and the third shows what is left.
  await commit(1);
  await commit(1);
  assert.ok((await commit(1)) <= WAL_KEPT_BYTES, String(store.status().size.walBytes));
  assert.equal(store.status().problem, null);
  assert.deepEqual(store.status().samplesLost, { queue: 0, write: 0 });
});
