import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { type ClockState, NO_CLOCK } from '../../shared/clock.ts';
import { CLOCK_SPANS_MAX, CLOCK_STEPS_KEPT } from '../../shared/limits.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import { HistoryReader } from '../reader/history-reader.ts';
import { KEEP_EVERYTHING, type Retention } from '../retention.ts';
import { HistoryWriter } from './history-writer.ts';

const NOW_US = 1_764_000_000_000_000;
const SECOND_US = 1_000_000;
const HOUR_US = 3600 * SECOND_US;
const SEGMENT_SAMPLES = 100;
/** Enough of them that a segment is made. */
const READY = SEGMENT_SAMPLES + 30;
const SERIES = [seriesRecord(0), seriesRecord(1, { commandId: 2 }), seriesRecord(2, { componentId: 1 })];
const SIGNALS = [0, 1].map((componentId) => ({ componentType: 1, componentId, commandId: 1 }));
const UNSURE: ClockState = { bootId: 'a3c8', offsetUs: 50_000, isSynchronized: false };
const SURE: ClockState = { ...UNSURE, isSynchronized: true };
const NEVER_US = Number.MAX_SAFE_INTEGER;

interface Options {
  readonly clock?: ClockState;
  readonly retention?: Retention;
  readonly path?: string;
  readonly isLive?: boolean;
}

/** A history with a clock, as the writer's thread has it. */
class History {
  readonly path: string;
  readonly writer: HistoryWriter;
  readonly database: DatabaseSync;
  readonly missed: ReturnType<HistoryWriter['catchUpWithClock']>;
  readonly states: ReturnType<HistoryWriter['load']>['states'];
  nextSeq: number;
  /** As it was set so far. */
  #offsetUs: number;
  readonly #reading: DatabaseSync;
  readonly #reader: HistoryReader;

  constructor(t: TestContext, { clock = UNSURE, retention = KEEP_EVERYTHING, path, isLive }: Options = {}) {
    this.#offsetUs = clock.offsetUs;
    this.path = path ?? join(temporaryDirectory(t), 'collector.db');
    this.database = openForWriting(this.path);
    this.writer = new HistoryWriter(this.database, this.path, retention, SEGMENT_SAMPLES, undefined, clock);
    this.missed = this.writer.catchUpWithClock(NOW_US);
    const { series, states, nextSeq } = this.writer.load();
    this.states = states;
    this.nextSeq = nextSeq;
    if (isLive) this.writer.beginLive(NOW_US);
    this.writer.beginClock(NOW_US);
    this.writer.reserve();
    if (series.length === 0) this.writer.addSeries(SERIES);
    this.writer.commit(NOW_US);
    this.#reading = openForReading(this.path);
    this.#reader = new HistoryReader(this.#reading);
    t.after(() => this.close());
  }

  append(samples: readonly PlainSample[]): void {
    this.writer.append(batchOf(samples, this.nextSeq));
    this.nextSeq += samples.length;
    this.commit();
  }

  commit(): void {
    this.writer.commit(NOW_US);
  }

  /** Makes a segment of what is ready. */
  compact(): void {
    while (this.writer.compact()) {
      // A slice of the work.
    }
    this.commit();
  }

  /** Sets the clock. */
  change(stepUs: number, correctionUs: number, clock = UNSURE) {
    this.#offsetUs += stepUs;
    const change = { ...clock, offsetUs: this.#offsetUs, stepUs, correctionUs };
    this.writer.changeClock(change, this.nextSeq, NOW_US);
    this.commit();
    return [...this.writer.settleClock(NOW_US)];
  }

  count(table: string): number {
    return Number(this.database.prepare(`SELECT count(*) AS count FROM ${table}`).get()!.count);
  }

  /** All samples, oldest first, as CSV lines. */
  lines(): string[] {
    const query = { limit: 100_000, offset: 0, order: 'asc', format: 'csv' } as const;
    return new TextDecoder().decode(this.#reader.page(query).text).split('\n').slice(0, -1);
  }

  plot(fromUs: number, toUs: number, points: number) {
    const query = { signals: SIGNALS, messageType: 1, fromUs, toUs, points };
    return JSON.parse(new TextDecoder().decode(this.#reader.series(query)));
  }

  timestampsUs(): number[] {
    return [...this.#reader.columnsOf(() => true, { fromUs: 0, toUs: NEVER_US }).timestampUs];
  }

  /** Everything that can be asked of it. */
  answers(): unknown {
    const { samples, lastTimestampUs } = this.writer.size();
    return {
      size: { samples, lastTimestampUs },
      lines: this.lines(),
      columns: this.timestampsUs(),
      plots: [
        [NOW_US - HOUR_US, NOW_US + HOUR_US, 1000],
        [NOW_US - 10 * SECOND_US, NOW_US + 100 * SECOND_US, 30],
        [NOW_US + 7 * SECOND_US, NOW_US + 8 * SECOND_US, 5],
      ].map(([fromUs, toUs, points]) => this.plot(fromUs!, toUs!, points!)),
    };
  }

  /** What SQL sees, of samples in chunks. */
  view(): unknown[] {
    return this.#reading.prepare('SELECT * FROM telemetry_history ORDER BY seq').all();
  }

  gaps() {
    return this.database
      .prepare('SELECT cause, from_us AS fromUs, to_us AS toUs FROM gaps ORDER BY id')
      .all()
      .map((row) => ({ ...row }));
  }

  integrity(): unknown {
    return this.database.prepare('PRAGMA integrity_check').get()?.integrity_check;
  }

  close(): void {
    for (const each of [this.#reading, this.database]) if (each.isOpen) each.close();
  }

  /** What the next start finds. */
  reopened(t: TestContext, options: Options = {}): History {
    this.writer.release(this.nextSeq);
    this.close();
    return new History(t, { path: this.path, clock: { ...UNSURE, offsetUs: this.#offsetUs }, ...options });
  }
}

function samples(count: number, fromUs = NOW_US, stepUs = 9000): PlainSample[] {
  return Array.from({ length: count }, (_, index) => ({
    timestampUs: fromUs + index * stepUs,
    rawValue: index % 50,
    series: index % SERIES.length,
  }));
}

/** As `samples` of a clock that went back among them, so that they bear whole timestamps. */
function backwards(all: readonly PlainSample[]): PlainSample[] {
  return all.map((sample, index) => ({
    ...sample,
    timestampUs: sample.timestampUs - (index > all.length / 2 ? 2 ** 40 : 0),
  }));
}

function moved(all: readonly PlainSample[], shiftUs: number): PlainSample[] {
  return all.map((sample) => ({ ...sample, timestampUs: sample.timestampUs + shiftUs }));
}

/** Any day: samples, compaction, and a clock that is set, right for once, or left alone. */
const anyDay = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ samples: fc.integer({ min: 1, max: 90 }), isBackwards: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.constant('compact' as const) },
    { weight: 2, arbitrary: fc.integer({ min: -3 * HOUR_US, max: 3 * HOUR_US }) },
    { weight: 1, arbitrary: fc.constant('settle' as const) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  ),
  { minLength: 5, maxLength: 30, size: 'max' },
);

describe('a history whose timestamps were corrected', () => {
  test('answers as one that was right from the start, in chunks, in segments and across starts', (t) => {
    let corrections = 0;
    let segments = 0;
    fc.assert(
      fc.property(anyDay, (day) => {
        let history = new History(t);
        // By sequence number what is right, as far as it is known by now, and since when it is unsure.
        let right: PlainSample[] = [];
        let unsureFrom = 0;
        let timeUs = NOW_US;
        for (const event of day) {
          if (event === 'compact') history.compact();
          else if (event === 'settle') {
            // The clock is said to be right, and then not any more.
            history.change(0, 0, SURE);
            history.change(0, 0);
            unsureFrom = right.length;
          } else if (event === 'restart') history = history.reopened(t);
          else if (typeof event === 'number') {
            const done = history.change(event, event);
            const before = right.length - unsureFrom;
            assert.deepEqual(
              done.map(({ shiftUs, samples: count }) => [shiftUs, count]),
              event === 0 ? [] : [[event, before]],
            );
            right = [...right.slice(0, unsureFrom), ...moved(right.slice(unsureFrom), event)];
            if (before > 0) corrections++;
          } else {
            const regular = samples(event.samples, timeUs);
            const batch = event.isBackwards ? backwards(regular) : regular;
            timeUs += event.samples * 9000;
            right.push(...batch);
            history.append(batch);
          }
        }
        segments += history.count('segments');
        const reference = new History(t);
        if (right.length > 0) reference.append(right);
        assert.deepEqual(history.answers(), reference.answers());
        const view = history.view();
        assert.deepEqual(view, reference.view().slice(right.length - view.length));
        assert.equal(history.integrity(), 'ok');
        for (const each of [history, reference]) each.close();
      }),
      { numRuns: 40 },
    );
    t.diagnostic(`${corrections} corrections, ${segments} segments`);
    assert.ok(corrections > 0 && segments > 0);
  });

  test('has the rollups of samples that are gone moved by whole spans', (t) => {
    const retention = { ...KEEP_EVERYTHING, maxSamples: SEGMENT_SAMPLES };
    const history = new History(t, { retention });
    for (let fromUs = NOW_US; history.count('rollup_segments') === 0; fromUs += 50 * SECOND_US) {
      history.append(samples(50, fromUs, SECOND_US));
      history.compact();
    }
    const gone = history.plot(NOW_US, NOW_US + 20 * SECOND_US, 20);
    assert.ok(gone.signals[0].count.some((count: number) => count > 0));
    const [{ samples: count = 0, shiftUs = 0 } = {}] = history.change(HOUR_US + 400_000, HOUR_US + 400_000);
    assert.equal(count, history.writer.samplesKept);
    assert.equal(shiftUs, HOUR_US + 400_000);
    const after = history.plot(NOW_US + HOUR_US, NOW_US + HOUR_US + 20 * SECOND_US, 20);
    assert.deepEqual(after.signals, gone.signals);
    assert.equal(history.integrity(), 'ok');
  });

  test('has the latest samples moved for the next start, but for those that came before', (t) => {
    const history = new History(t);
    history.append([{ timestampUs: NOW_US, rawValue: 1, series: 0 }]);
    history.change(0, 0, SURE);
    history.change(0, 0, UNSURE);
    history.append([{ timestampUs: NOW_US + 5, rawValue: 2, series: 1 }]);
    history.change(HOUR_US, HOUR_US);
    history.append([{ timestampUs: NOW_US + HOUR_US + 9, rawValue: 3, series: 2 }]);
    const { states } = history.reopened(t);
    assert.deepEqual(
      states.map(({ timestampUs }) => timestampUs - NOW_US),
      [0, HOUR_US + 5, HOUR_US + 9],
    );
  });

  test('has its gaps moved along, and the time before the start ends as it began', (t) => {
    const first = new History(t, { clock: SURE, isLive: true });
    first.append(samples(3, NOW_US - 100 * SECOND_US));
    const second = first.reopened(t, { clock: { ...UNSURE, bootId: 'b' }, isLive: true });
    second.append(samples(3));
    second.writer.addGap({ bus: 'can0', cause: 'bus_down', fromUs: NOW_US, toUs: NOW_US + 7, count: null });
    second.commit();
    const [down, lost] = second.gaps();
    assert.deepEqual([down?.cause, down?.toUs, lost?.cause], ['service_down', NOW_US, 'bus_down']);
    second.change(HOUR_US, HOUR_US);
    assert.deepEqual(second.gaps(), [
      { ...down, toUs: NOW_US + HOUR_US },
      { cause: 'bus_down', fromUs: NOW_US + HOUR_US, toUs: NOW_US + HOUR_US + 7 },
    ]);
  });

  test('says which samples they are, also at the next start, and no more than there is room for', (t) => {
    let history = new History(t, { clock: SURE });
    history.append(samples(10));
    history.change(0, 0);
    history.append(samples(20));
    history.change(HOUR_US, HOUR_US, SURE);
    history.append(samples(5));
    const expected = [{ fromSeq: 11, toSeq: 31, shiftUs: HOUR_US }];
    assert.deepEqual(history.writer.corrected(), expected);
    history = history.reopened(t, { clock: SURE });
    assert.deepEqual(history.writer.corrected(), expected);

    for (let step = 0; step < CLOCK_STEPS_KEPT + 2; step++) {
      history.change(0, 0, UNSURE);
      history.append(samples(1));
      history.change(HOUR_US + step, HOUR_US + step, SURE);
      history.append(samples(1));
    }
    const corrected = history.writer.corrected();
    assert.equal(corrected.length, CLOCK_STEPS_KEPT);
    assert.equal(corrected[0]!.shiftUs, HOUR_US + CLOCK_STEPS_KEPT + 1);
  });

  test('forgets the oldest clocks, at their limit', (t) => {
    const history = new History(t);
    for (let change = 0; change < CLOCK_SPANS_MAX + 5; change++) {
      history.append(samples(1));
      history.change(0, 0, change % 2 === 0 ? SURE : UNSURE);
    }
    assert.equal(history.count('clock_spans'), CLOCK_SPANS_MAX);
    assert.equal(history.change(HOUR_US, HOUR_US)[0]?.samples ?? 0, 0);
  });
});

describe('a correction', () => {
  test('that fails leaves everything as it was, and is made up for by the next', (t) => {
    const history = new History(t);
    history.append(samples(READY));
    history.compact();
    history.append(backwards(samples(20)));
    const before = history.answers();
    history.database.exec(
      "CREATE TEMP TRIGGER broken BEFORE UPDATE ON series_state BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END",
    );
    assert.throws(() => history.change(HOUR_US, HOUR_US), /the disk is on fire/);
    history.writer.rollback();
    assert.deepEqual(history.answers(), before);
    assert.ok(history.writer.hasClockEvents);
    // Nothing is compacted meanwhile: segments are to end where the clock changed.
    assert.equal(history.writer.compact(), false);
    history.database.exec('DROP TRIGGER broken');
    const [done] = [...history.writer.settleClock(NOW_US)];
    assert.deepEqual([done?.samples, history.writer.hasClockEvents], [READY + 20, false]);
    const reference = new History(t);
    reference.append(moved([...samples(READY), ...backwards(samples(20))], HOUR_US));
    assert.deepEqual(history.answers(), reference.answers());
  });

  test('that a power cut has interrupted is made at the next start, once', (t) => {
    const history = new History(t);
    history.append(samples(10));
    // The clock is set, and the machine's service dies before that is stored.
    const clock = { ...UNSURE, offsetUs: UNSURE.offsetUs + HOUR_US };
    let next = history.reopened(t, { clock });
    assert.deepEqual([next.missed?.samples, next.missed?.shiftUs, next.missed?.fromSeq], [10, HOUR_US, 1]);
    assert.deepEqual(
      next.timestampsUs(),
      samples(10).map(({ timestampUs }) => timestampUs + HOUR_US),
    );
    assert.deepEqual(
      next.states.map(({ timestampUs }) => timestampUs),
      [9, 7, 8].map((at) => NOW_US + at * 9000 + HOUR_US),
    );
    next = next.reopened(t, { clock });
    assert.equal(next.missed, null);
  });

  const others: [what: string, before: ClockState, after: ClockState][] = [
    ['the machine was started since', UNSURE, { ...UNSURE, bootId: 'b', offsetUs: HOUR_US }],
    ['the clock was right', SURE, { ...SURE, offsetUs: HOUR_US }],
    ['the clock was not set', UNSURE, { ...UNSURE, offsetUs: UNSURE.offsetUs + 50 }],
    ['nothing was known of the clock', NO_CLOCK, UNSURE],
    ['nothing is known of the clock', UNSURE, NO_CLOCK],
  ];
  for (const [what, before, after] of others) {
    test(`is not made at the start where ${what}`, (t) => {
      const history = new History(t, { clock: before });
      history.append(samples(10));
      const lines = history.lines();
      const next = history.reopened(t, { clock: after });
      assert.equal(next.missed, null);
      assert.deepEqual(next.lines(), lines);
    });
  }
});
