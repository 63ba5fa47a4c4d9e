import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../src/bus/simulated-kart/random.ts';
import { checkHistory, checkQuantity, type Life } from './support/numbered-samples.ts';
import {
  integrityOf,
  openNumbered,
  WRITER_FLUSH_INTERVAL_MS,
  WriterReport,
} from './support/numbered-writer.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * Processes that are killed in the middle of their work. What a power cut does, which also takes what the
 * kernel has not yet written, is in power-cut.test.ts.
 */

const WRITER = fileURLToPath(new URL('./support/numbered-writer.ts', import.meta.url));
const KILLS_PER_TEST = 25;
const SHORT_LIFE_MS = { least: 50, most: 400 };
/** Every so many lives there is a long one, in which a flush that doesn't come costs more than a life. */
const LONG_LIFE_EVERY = 6;
const LONG_LIFE_MS = 2200;
/** What an oldest missing sample may have waited beyond the flush interval, for a busy machine's disk. */
const COMMIT_PATIENCE_MS = 1500;

/** Lets a writer live for so long after it has opened the history, and kills it. */
async function liveAndDie(
  t: TestContext,
  path: string,
  maxSamples: number | null,
  lifeMs: number,
): Promise<{ report: WriterReport; killedAtMs: number }> {
  const writer = spawn(process.execPath, [WRITER, path, String(maxSamples ?? 'unlimited')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => writer.kill('SIGKILL'));
  let stderr = '';
  writer.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const report = new WriterReport();
  writer.stdout.on('data', (chunk: Buffer) => report.take(chunk));
  const closed = once(writer, 'close');
  await Promise.race([report.opened, closed]);
  await Promise.race([sleep(lifeMs), closed]);
  const killedAtMs = Date.now();
  writer.kill('SIGKILL');
  const [code, signal] = await closed;
  assert.equal(report.wrong, null);
  assert.deepEqual([code, signal], [null, 'SIGKILL'], stderr);
  return { report, killedAtMs };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!;
}

/** Kills writers of one history, one after the other, and checks after each what is there. */
async function killWriters(t: TestContext, seed: number, maxSamples: number | null): Promise<void> {
  const path = join(temporaryDirectory(t), 'collector.db');
  const random = seededRandom(seed, 0);
  const isOldestDropped = maxSamples !== null;
  const lives: Life[] = [];
  const missingMs: number[] = [];
  let checkedSeq = 0;
  for (let kill = 1; kill <= KILLS_PER_TEST; kill++) {
    const { least, most } = SHORT_LIFE_MS;
    const lifeMs = kill % LONG_LIFE_EVERY === 0 ? LONG_LIFE_MS : least + random() * (most - least);
    const { report, killedAtMs } = await liveAndDie(t, path, maxSamples, lifeMs);
    lives.push(report.life!);
    assert.equal(integrityOf(path), 'ok');
    // Half of the writers find the history as the one before has left it, the others as it is after a proper end.
    if (random() < 0.5 && kill < KILLS_PER_TEST) continue;

    const store = await openNumbered(path, maxSamples);
    // A store that is left open would keep the test's process alive after a failure.
    t.after(() => store.close());
    const kept = await checkHistory(store, lives, { cursor: checkedSeq, isOldestDropped });
    checkedSeq = isOldestDropped ? 0 : kept.lastSeq;
    await store.close();
    const missing = report.missingMs(kept.lastSeq, killedAtMs);
    assert.ok(missing <= WRITER_FLUSH_INTERVAL_MS + COMMIT_PATIENCE_MS, `${missing} ms are missing`);
    missingMs.push(missing);
  }
  assert.ok(median(missingMs) <= 2 * WRITER_FLUSH_INTERVAL_MS, `missing: ${missingMs.join(', ')} ms`);

  // All of it once more, by another way through the database: a quantity alone.
  const store = await openNumbered(path, maxSamples);
  t.after(() => store.close());
  const kept = await checkHistory(store, lives, { isOldestDropped });
  const { samples } = store.status().size;
  assert.equal(samples, kept.count);
  if (maxSamples === null) assert.equal(kept.firstSeq, 1);
  else assert.ok(samples > maxSamples * 0.8 && samples < maxSamples * 1.2, `${samples} of ${maxSamples}`);
  await checkQuantity(store, 1, kept);
  await store.close();
  t.diagnostic(
    `${lives.length} kills, ${kept.lastSeq} samples, ${samples} kept; after a kill the last ${median(missingMs)} ms ` +
      `were missing (median), ${Math.max(...missingMs)} ms at most`,
  );
}

describe('a writer that is killed', { concurrency: 2 }, () => {
  test('loses no durable sample, and at most the last flush interval', async (t) => {
    await killWriters(t, 1, null);
  });

  test('nor does it where retention drops the oldest all the time', async (t) => {
    await killWriters(t, 2, 40_000);
  });
});
