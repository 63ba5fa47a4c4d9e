import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { batchOf, type PlainSample, seriesRecord } from '../../test/support/samples.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { SampleReply, SeriesReply } from '../api/schemas.ts';
import { seededRandom } from '../bus/simulated-kart/random.ts';
import { openForReading, openForWriting } from './database/database.ts';
import type { HistorySize } from './history-query.ts';
import { HistoryReader } from './reader/history-reader.ts';
import { KEEP_EVERYTHING, type Retention } from './retention.ts';
import { HistoryWriter } from './writer/history-writer.ts';

/**
 * A month of a vehicle that drives by day, with few samples and small segments, so that a history stands at
 * its limits for hundreds of times what it may keep; between the commits it is read.
 */

const START_US = 1_764_000_000_000_000;
const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;
const DAYS = 30;
const COMMIT_INTERVAL_US = HOUR_US / 2;
const COMMITS = (DAYS * DAY_US) / COMMIT_INTERVAL_US;
/** By day, when it drives, a commit has up to so many samples, and by night so few. */
const SAMPLES_PER_COMMIT_MAX = 800;
const SAMPLES_PER_COMMIT_BY_NIGHT = 4;
const DRIVING_HOURS = { from: 8, to: 18 };
const SEGMENT_SAMPLES = 1500;
/** Slices of compaction between two commits. */
const SLICES = 4;
/** So often a signal is asked for over all that is kept; pages are asked for with every commit. */
const COMMITS_PER_PLOT = 4;
/** So often the writer ends, every second time without warning. */
const COMMITS_PER_LIFE = 151;
/** So often everything that is kept is read, and not only a page on. */
const COMMITS_PER_WHOLE_READ = 120;
const PAGE_SAMPLES = 900;
/** What the second half of the month may add to the file: chance, not growth. */
const GROWTH_MAX = 1.25;

const SERIES = Array.from({ length: 5 }, (_, index) =>
  seriesRecord(index, { nodeId: 2 + (index % 2), componentId: index }),
);
/** The series whose samples are asked for as a plot. */
const PLOTTED = SERIES[3]!;

/** What samples come to outlives them by some days, or the file would grow for as long. */
const ROLLUPS: Retention = {
  ...KEEP_EVERYTHING,
  secondsMaxAgeMs: (4 * DAY_US) / 1000,
  minutesMaxAgeMs: (8 * DAY_US) / 1000,
};

function samplesPerCommit(commit: number, random: () => number): number {
  const hour = ((commit * COMMIT_INTERVAL_US) % DAY_US) / HOUR_US;
  const isDriving = hour >= DRIVING_HOURS.from && hour < DRIVING_HOURS.to;
  return isDriving ? Math.ceil(random() * SAMPLES_PER_COMMIT_MAX) : SAMPLES_PER_COMMIT_BY_NIGHT;
}

/** Samples have places: those of the month in their order, without the gaps of the sequence numbers. */
interface Kept {
  readonly firstPlace: number;
  readonly lastPlace: number;
}

class Month {
  readonly path: string;
  readonly #retention: Retention;
  readonly #random = seededRandom(6, 0);
  #database: DatabaseSync;
  #writer: HistoryWriter;
  #nextSeq = 1;
  /** By place. */
  readonly timestampsUs: number[] = [];

  constructor(t: TestContext, retention: Retention) {
    this.path = join(temporaryDirectory(t), 'collector.db');
    this.#retention = retention;
    [this.#database, this.#writer] = this.#open();
    t.after(() => this.#database.close());
    this.#writer.addSeries(SERIES);
  }

  #open(): [DatabaseSync, HistoryWriter] {
    const database = openForWriting(this.path);
    database.exec('PRAGMA synchronous = OFF');
    const writer = new HistoryWriter(database, this.path, this.#retention, SEGMENT_SAMPLES);
    writer.reserve();
    this.#nextSeq = writer.load().nextSeq;
    return [database, writer];
  }

  /** Ends the writer, properly or not, and starts the next. */
  restart({ isCrash }: { isCrash: boolean }): void {
    if (!isCrash) this.#writer.release(this.#nextSeq);
    this.#database.close();
    [this.#database, this.#writer] = this.#open();
  }

  /** Writes half an hour, with what compaction has got ready since the last one. */
  commit(commit: number): void {
    const count = samplesPerCommit(commit, this.#random);
    const samples = Array.from({ length: count }, (_, index): PlainSample => {
      const place = this.timestampsUs.length;
      const timestampUs =
        START_US + Math.floor((commit + (index + this.#random()) / count) * COMMIT_INTERVAL_US);
      this.timestampsUs.push(timestampUs);
      return { timestampUs, rawValue: place, series: place % SERIES.length };
    });
    this.#writer.append(batchOf(samples, this.#nextSeq));
    this.#nextSeq += count;
    this.#writer.commit(this.newestUs);
    for (let slice = 0; slice < SLICES && this.#writer.compact(); slice++) {
      // The next commit writes what gets ready.
    }
  }

  get newestUs(): number {
    return this.timestampsUs.at(-1)!;
  }

  size(): HistorySize {
    return this.#writer.size();
  }

  /** What is kept, by the writer's own account, which is that of the tables. */
  get kept(): Kept {
    const { samples } = this.size();
    const row = this.#database
      .prepare('SELECT (SELECT total(count) FROM segments) + (SELECT total(count) FROM chunks) AS samples')
      .get()!;
    assert.equal(row.samples, samples);
    return { firstPlace: this.timestampsUs.length - samples, lastPlace: this.timestampsUs.length - 1 };
  }

  /** Fails where more is kept than may be, or less than a run of samples less. */
  checkLimits({ firstPlace, lastPlace }: Kept): void {
    const { maxAgeMs, maxSamples } = this.#retention;
    const samples = lastPlace - firstPlace + 1;
    const runSamples = SEGMENT_SAMPLES + SAMPLES_PER_COMMIT_MAX;
    let samplesDue = lastPlace + 1;
    if (maxSamples !== null) {
      assert.ok(samples <= maxSamples, `${samples} samples are kept of ${maxSamples}`);
      samplesDue = Math.min(samplesDue, maxSamples - runSamples);
    }
    if (maxAgeMs !== null) {
      const cutoffUs = this.newestUs - maxAgeMs * 1000;
      const lastOfOldestUs = this.timestampsUs[Math.min(lastPlace, firstPlace + runSamples - 1)]!;
      assert.ok(
        lastOfOldestUs >= cutoffUs,
        `what was there at ${lastOfOldestUs} is kept at ${this.newestUs}`,
      );
      const youngPlace = this.timestampsUs.findIndex((timestampUs) => timestampUs >= cutoffUs);
      samplesDue = Math.min(samplesDue, lastPlace - youngPlace + 1);
    }
    assert.ok(samples >= samplesDue, `${samples} samples are kept, ${samplesDue} are due`);
  }
}

/** A client that has got so far through the history. */
interface Walk {
  readonly order: 'asc' | 'desc';
  cursor: number | undefined;
  place: number | undefined;
}

/** Reads what a month has kept, and fails where anything is missing or there twice. */
class Client {
  readonly #month: Month;
  readonly #reader: HistoryReader;

  constructor(t: TestContext, month: Month) {
    this.#month = month;
    const database = openForReading(month.path);
    t.after(() => database.close());
    this.#reader = new HistoryReader(database);
  }

  /** Goes on by a page, or begins anew after the last; gives how many samples it had. */
  walk(walk: Walk, { firstPlace, lastPlace }: Kept): number {
    const { order, cursor } = walk;
    const page = this.#reader.page({ order, cursor, limit: PAGE_SAMPLES, offset: 0, format: 'json' });
    const samples: SampleReply[] = JSON.parse(new TextDecoder().decode(page.text));
    const step = order === 'asc' ? 1 : -1;
    const before = walk.place ?? (order === 'asc' ? -1 : lastPlace + 1);
    // What has been dropped since the page before is passed over, and nothing else.
    const begin = Math.max(before + step, order === 'asc' ? firstPlace : Number.NEGATIVE_INFINITY);
    let lastSeq = cursor ?? (order === 'asc' ? 0 : Number.POSITIVE_INFINITY);
    for (const [index, { seq, raw_value, timestamp }] of samples.entries()) {
      const place = begin + index * step;
      const isNext = raw_value === place && (seq - lastSeq) * step > 0;
      // The message of an assertion is too slow for millions.
      if (!isNext || timestamp !== this.#month.timestampsUs[place]! / 1_000_000) {
        assert.fail(
          `${order}: ${seq} at ${timestamp} (place ${raw_value}) after ${lastSeq} (${place - step})`,
        );
      }
      lastSeq = seq;
    }
    const isEnd = page.nextCursor === null;
    const end = begin + (samples.length - 1) * step;
    if (!isEnd) assert.equal(samples.length, PAGE_SAMPLES);
    else if (order === 'asc') assert.equal(end, lastPlace);
    else
      assert.ok(end === firstPlace || (samples.length === 0 && begin < firstPlace), `${end}, ${firstPlace}`);
    walk.cursor = page.nextCursor ?? undefined;
    walk.place = isEnd ? undefined : end;
    return samples.length;
  }

  readWhole(order: 'asc' | 'desc', kept: Kept): void {
    const walk: Walk = { order, cursor: undefined, place: undefined };
    let count = 0;
    do count += this.walk(walk, kept);
    while (walk.cursor !== undefined);
    assert.equal(count, kept.lastPlace - kept.firstPlace + 1);
  }

  /** A signal over all that is kept, from a whole hour on: every sample counts once. */
  plot({ firstPlace: keptPlace, lastPlace }: Kept): void {
    const fromUs = Math.ceil(this.#month.timestampsUs[keptPlace]! / HOUR_US) * HOUR_US;
    let firstPlace = keptPlace;
    while (firstPlace < lastPlace && this.#month.timestampsUs[firstPlace]! < fromUs) firstPlace++;
    if (fromUs > this.#month.newestUs) return;
    const { componentType, componentId, commandId, messageType } = PLOTTED;
    const text = this.#reader.series({
      signals: [{ componentType, componentId, commandId }],
      messageType,
      fromUs,
      toUs: this.#month.newestUs + 1,
      points: 50,
    });
    const { signals }: SeriesReply = JSON.parse(new TextDecoder().decode(text));
    const { count, min, max } = signals[0]!;
    const firstPlotted =
      firstPlace + ((((PLOTTED.index - firstPlace) % SERIES.length) + SERIES.length) % SERIES.length);
    const expected = Math.max(0, Math.floor((lastPlace - firstPlotted) / SERIES.length) + 1);
    assert.equal(
      count.reduce((sum, each) => sum + each, 0),
      expected,
    );
    if (expected === 0) return;
    assert.equal(
      min.find((value) => value !== null),
      firstPlotted,
    );
    assert.equal(
      max.findLast((value) => value !== null),
      firstPlotted + (expected - 1) * SERIES.length,
    );
  }
}

describe('over a month at its limits a history keeps what it should, and no more, and its file stops growing', () => {
  const cases: [name: string, retention: Retention][] = [
    ['by number', { ...ROLLUPS, maxSamples: 24_000 }],
    ['by age', { ...ROLLUPS, maxAgeMs: (2.5 * DAY_US) / 1000 }],
    // A day's drive is about as much as may be kept: by day one limit holds, by night the other.
    ['by both', { ...ROLLUPS, maxAgeMs: DAY_US / 1000, maxSamples: 7_000 }],
  ];
  for (const [name, retention] of cases) {
    test(name, (t) => {
      const month = new Month(t, retention);
      const client = new Client(t, month);
      const back: Walk = { order: 'desc', cursor: undefined, place: undefined };
      const ahead: Walk = { order: 'asc', cursor: undefined, place: undefined };
      /** The largest of the file, and of it with its log, in each half of the month. */
      const largest = [
        { file: 0, bytes: 0 },
        { file: 0, bytes: 0 },
      ];
      for (let commit = 0; commit < COMMITS; commit++) {
        if (commit % COMMITS_PER_LIFE === COMMITS_PER_LIFE - 1) {
          month.restart({ isCrash: commit % (2 * COMMITS_PER_LIFE) < COMMITS_PER_LIFE });
        }
        month.commit(commit);
        const { kept } = month;
        month.checkLimits(kept);
        client.walk(commit % 2 === 0 ? back : ahead, kept);
        if (commit % COMMITS_PER_PLOT === 0) client.plot(kept);
        if (commit % COMMITS_PER_WHOLE_READ === 0) {
          client.readWhole('asc', kept);
          client.readWhole('desc', kept);
        }
        const half = largest[Math.floor((2 * commit) / COMMITS)]!;
        half.file = Math.max(half.file, statSync(month.path).size);
        half.bytes = Math.max(half.bytes, month.size().bytes);
      }
      const [first, second] = largest as [(typeof largest)[0], (typeof largest)[0]];
      const told = JSON.stringify(largest);
      assert.ok(second.file <= first.file * GROWTH_MAX && second.bytes <= first.bytes * GROWTH_MAX, told);
      const { kept } = month;
      t.diagnostic(
        `${month.timestampsUs.length} samples written, ${kept.lastPlace - kept.firstPlace + 1} kept; ${told}`,
      );
    });
  }
});
