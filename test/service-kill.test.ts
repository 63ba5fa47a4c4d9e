import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SampleReply, SeriesReply } from '../src/api/schemas.ts';
import { seededRandom } from '../src/bus/simulated-kart/random.ts';
import { openForReading } from '../src/history/database/database.ts';
import { HistoryReader } from '../src/history/reader/history-reader.ts';
import { HISTORY_PAGE_SAMPLES_MAX } from '../src/shared/limits.ts';
import { integrityOf } from './support/numbered-writer.ts';
import { CHECKOUT, eventually, type Service, type ServiceOptions, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * The whole service is killed at random moments while it records and clients read: whatever a client has seen
 * under a number is there after the next start or gone, and never something else.
 */

const KILLS = 12;
const FLUSH_INTERVAL_MS = 200;
/** What an oldest missing sample may have waited beyond the flush interval, for a busy machine's disk. */
const COMMIT_PATIENCE_MS = 1500;
/** Twenty karts' worth: two thirds of what the fullest bus carries. */
const BUS = 'sim:kart?rate=20';
const LIFE_MS = { least: 50, most: 1000 };
/** Every so many lives there is a long one, in which a flush that doesn't come costs more than is allowed. */
const LONG_LIFE_EVERY = 6;
const LONG_LIFE_MS = 2500;
/** Every so many lives end before the service serves. */
const STILLBIRTH_EVERY = 5;
const START_MS = { least: 30, most: 500 };
const PAGE_SAMPLES = 1000;
const PAGES_AT_ONCE = 50;
const PAGES_BACK = 5;
const SIGNAL = 'MOTORS/MOTOR_LEFT_REAR/RPM';

/** What clients have seen, by number, over all lives of the service. */
class Seen {
  readonly #samples = new Map<number, string>();
  lastSeq = 0;

  /** Fails where a number has become another sample's. */
  add(sample: SampleReply): void {
    const told = tell(sample);
    const before = this.#samples.get(sample.seq);
    if (before === undefined) this.#samples.set(sample.seq, told);
    else if (before !== told) assert.fail(`sample ${sample.seq} was ${before} and is ${told} now`);
    this.lastSeq = Math.max(this.lastSeq, sample.seq);
  }

  has(seq: number): boolean {
    return this.#samples.has(seq);
  }

  after(seq: number): { seq: number; atMs: number }[] {
    return [...this.#samples]
      .filter(([each]) => each > seq)
      .map(([each, told]) => ({ seq: each, atMs: JSON.parse(told).timestamp * 1000 }));
  }
}

function tell({ seq: _, ...sample }: SampleReply): string {
  return JSON.stringify(sample);
}

/** A client's place in the history, which outlives the service. */
interface Follower {
  cursor: number;
  readonly seen: Seen;
}

interface Readers {
  readonly all: Seen;
  readonly follower: Follower;
  readonly startedMs: number;
}

/** Has clients at work until the service is killed; fails with what goes wrong before that. */
async function readUntil(killed: AbortSignal, service: Service, readers: Readers): Promise<void> {
  const loop = async (read: () => Promise<unknown>) => {
    while (!killed.aborted) {
      try {
        await read();
      } catch (error) {
        // A kill breaks connections off, wherever they are; an assertion is never its fault.
        if (!killed.aborted || error instanceof assert.AssertionError) throw error;
      }
    }
  };
  const { all, follower, startedMs } = readers;
  const lifeCursor = follower.cursor;
  let samplesOfSignal = 0;
  await Promise.all([
    loop(() => follow(service, readers)),
    loop(() => pageBack(service, all)),
    loop(() => stream(service, lifeCursor, all)),
    loop(async () => {
      const found = await countOfSignal(service, startedMs);
      assert.ok(found >= samplesOfSignal, `a series has ${found} samples after ${samplesOfSignal}`);
      samplesOfSignal = found;
    }),
  ]);
}

/** Takes the page after what the follower has, oldest first. */
async function follow(service: Service, { all, follower }: Readers): Promise<number> {
  const page = await service.history(`order=asc&limit=${PAGE_SAMPLES}&cursor=${follower.cursor}`);
  for (const sample of page) {
    assert.ok(sample.seq > follower.cursor, `sample ${sample.seq} follows ${follower.cursor}`);
    follower.cursor = sample.seq;
    follower.seen.add(sample);
    all.add(sample);
  }
  return page.length;
}

/** Pages back from the newest by the links that the answers give. */
async function pageBack(service: Service, all: Seen): Promise<void> {
  let path = `/api/state/history?limit=${PAGE_SAMPLES}`;
  let lastSeq = Number.POSITIVE_INFINITY;
  for (let page = 0; page < PAGES_BACK; page++) {
    const response = await fetch(service.url + path);
    assert.equal(response.status, 200);
    for (const sample of (await response.json()) as SampleReply[]) {
      assert.ok(sample.seq < lastSeq, `sample ${sample.seq} comes after ${lastSeq}`);
      lastSeq = sample.seq;
      all.add(sample);
    }
    const next = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
    if (next === undefined) return;
    path = next;
  }
}

/** Takes all after a number as a stream; what a broken one has brought counts as seen. */
async function stream(service: Service, cursor: number, all: Seen): Promise<void> {
  const response = await fetch(`${service.url}/api/state/history?order=asc&cursor=${cursor}`, {
    headers: { accept: 'application/x-ndjson' },
  });
  assert.equal(response.status, 200);
  let rest = '';
  let lastSeq = cursor;
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const sample: SampleReply = JSON.parse(line);
      assert.ok(sample.seq > lastSeq, `sample ${sample.seq} comes after ${lastSeq}`);
      lastSeq = sample.seq;
      all.add(sample);
    }
  }
}

async function countOfSignal(service: Service, fromMs: number): Promise<number> {
  const response = await fetch(`${service.url}/api/series?signal=${SIGNAL}&from=${fromMs / 1000}&points=100`);
  assert.equal(response.status, 200);
  const { signals } = (await response.json()) as SeriesReply;
  return signals[0]!.count.reduce((sum, count) => sum + count, 0);
}

/** What is stored after a number, read while no service runs. */
function storedAfter(path: string, cursor: number): SampleReply[] {
  const database = openForReading(path);
  const reader = new HistoryReader(database);
  const samples: SampleReply[] = [];
  let after: number | null = cursor;
  while (after !== null) {
    const page = reader.page({
      limit: HISTORY_PAGE_SAMPLES_MAX,
      offset: 0,
      order: 'asc',
      format: 'json',
      cursor: after,
    });
    for (const sample of JSON.parse(new TextDecoder().decode(page.text))) samples.push(sample);
    after = page.nextCursor;
  }
  database.close();
  return samples;
}

/** Kills a service that has served clients for so long; gives when. */
async function serveAndDie(t: TestContext, options: ServiceOptions, readers: Readers, lifeMs: number) {
  const service = await startService(options);
  t.after(() => service.child.kill('SIGKILL'));
  const killing = new AbortController();
  const reading = readUntil(killing.signal, service, readers);
  await Promise.race([sleep(lifeMs), reading]);
  killing.abort();
  const killedMs = Date.now();
  assert.deepEqual([service.child.exitCode, service.child.signalCode], [null, null], service.output());
  await service.stop('SIGKILL');
  await reading;
  return killedMs;
}

/** Kills a service so long after its beginning, most often before it serves; gives when. */
async function startAndDie(t: TestContext, { args = [], cwd }: ServiceOptions, lifeMs: number) {
  const child = spawn(process.execPath, [join(CHECKOUT, 'src/cli/main.ts'), ...args], {
    cwd,
    stdio: 'ignore',
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await Promise.race([sleep(lifeMs), ended]);
  const killedMs = Date.now();
  child.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  return killedMs;
}

test('a service that is killed loses what came since the last flush, and gives no number to another sample', async (t) => {
  const cwd = temporaryDirectory(t);
  const path = join(cwd, 'collector.db');
  const limits = ['--flush-interval', `${FLUSH_INTERVAL_MS}ms`, '--max-age', 'unlimited'];
  const options = { cwd, args: ['--db', path, '--port', '0', '--bus', BUS, ...limits] };
  const random = seededRandom(5, 0);
  const between = ({ least, most }: { least: number; most: number }) => least + random() * (most - least);
  const all = new Seen();
  const follower: Follower = { cursor: 0, seen: new Seen() };
  const readers: Readers = { all, follower, startedMs: Date.now() };
  const missingMs: number[] = [];
  let storedSeq = 0;
  let samplesGone = 0;

  for (let kill = 1; kill <= KILLS; kill++) {
    const seenBefore = all.lastSeq;
    const lifeMs = kill % LONG_LIFE_EVERY === 0 ? LONG_LIFE_MS : between(LIFE_MS);
    const killedMs =
      kill % STILLBIRTH_EVERY === 0
        ? await startAndDie(t, options, between(START_MS))
        : await serveAndDie(t, options, readers, lifeMs);
    assert.equal(integrityOf(path), 'ok');

    // All of this life but its end, without a gap, and under numbers that were not seen before it.
    const stored = storedAfter(path, storedSeq);
    const firstSeq = stored[0]?.seq ?? Number.POSITIVE_INFINITY;
    assert.ok(firstSeq > seenBefore, `number ${firstSeq} is given again: ${seenBefore} was seen`);
    for (const [index, sample] of stored.entries()) {
      assert.equal(sample.seq, firstSeq + index);
      all.add(sample);
    }
    storedSeq = stored.at(-1)?.seq ?? storedSeq;
    let missing = stored.length === 0 ? 0 : killedMs - stored.at(-1)!.timestamp * 1000;
    for (const { seq, atMs } of all.after(seenBefore)) {
      if (seq <= storedSeq) {
        assert.ok(seq >= firstSeq, `sample ${seq} was seen, but the first that is stored is ${firstSeq}`);
      } else {
        samplesGone++;
        missing = Math.max(missing, killedMs - atMs);
      }
    }
    assert.ok(missing <= FLUSH_INTERVAL_MS + COMMIT_PATIENCE_MS, `${missing} ms are missing`);
    missingMs.push(missing);
  }

  // The last one is left alone: a client that has followed all the time has all that is stored.
  const service = await startService(options);
  t.after(() => service.child.kill('SIGKILL'));
  await eventually(
    async () => {
      // Page after page: a pause after each would let a busy machine fall behind the bus for ever.
      for (let page = 1; page < PAGES_AT_ONCE; page++) {
        const samples = await follow(service, readers);
        if (samples < PAGE_SAMPLES) return samples;
      }
      return await follow(service, readers);
    },
    (samples) => samples > 0 && samples < PAGE_SAMPLES,
  );
  assert.equal((await service.stop()).code, 0, service.output());
  const stored = storedAfter(path, 0);
  for (const sample of stored) {
    all.add(sample);
    const isFollowed = sample.seq > follower.cursor || follower.seen.has(sample.seq);
    assert.ok(isFollowed, `sample ${sample.seq} was passed over by a client that followed`);
  }
  assert.equal(new Set(stored.map(({ seq }) => seq)).size, stored.length);
  assert.ok(follower.cursor > storedSeq && stored.length > 0);
  t.diagnostic(
    `${KILLS} kills, ${stored.length} samples stored, ${samplesGone} seen that are gone; after a kill the last ` +
      `${Math.round(Math.max(...missingMs))} ms at most were missing`,
  );
});
