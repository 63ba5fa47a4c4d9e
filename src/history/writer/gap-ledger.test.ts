import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { GAP_MERGE_MS, GAPS_UNSTORED_MAX } from '../../shared/limits.ts';
import { openForWriting } from '../database/database.ts';
import { addGap, GAP_CAUSES, type Gap } from '../gap.ts';
import { GapReader } from '../reader/gap-reader.ts';
import { GapLedger } from './gap-ledger.ts';

const NOW_US = 1_764_000_000_000_000;
const SECOND_US = 1_000_000;
const YEAR_US = 365 * 86_400 * SECOND_US;

function openDatabase(t: TestContext): DatabaseSync {
  const database = openForWriting(join(temporaryDirectory(t), 'collector.db'));
  database.exec('PRAGMA synchronous = OFF');
  t.after(() => database.isOpen && database.close());
  return database;
}

function commit(database: DatabaseSync, ledger: GapLedger): void {
  database.exec('BEGIN');
  ledger.write();
  database.exec('COMMIT');
  ledger.committed();
}

/** What the writer does when the disk refuses a commit. */
function failToCommit(database: DatabaseSync, ledger: GapLedger): void {
  database.exec('BEGIN');
  ledger.write();
  database.exec('ROLLBACK');
}

/** The rows of the table, in the order in which they were recorded. */
function stored(database: DatabaseSync): Gap[] {
  return database
    .prepare('SELECT bus, cause, from_us AS fromUs, to_us AS toUs, count FROM gaps ORDER BY id')
    .all()
    .map((row) => ({ ...row }) as unknown as Gap);
}

/** Seconds after NOW_US. */
function gap(fromS: number, toS: number | null, more: Partial<Gap> = {}): Gap {
  const fromUs = NOW_US + fromS * SECOND_US;
  return {
    bus: 'can0',
    cause: 'kernel',
    fromUs,
    toUs: toS === null ? null : NOW_US + toS * SECOND_US,
    count: 1,
    ...more,
  };
}

const DOWN = { cause: 'bus_down', count: null } as const;
const SERVICE_DOWN = { bus: null, cause: 'service_down', count: null } as const;

describe('gaps of one bus and cause', () => {
  const near = GAP_MERGE_MS / 1000;
  const cases: [name: string, told: Gap[], kept: Gap[]][] = [
    ['that touch are one, and their counts add up', [gap(0, 1), gap(1, 3)], [gap(0, 3, { count: 2 })]],
    ['that are near are one', [gap(0, 1), gap(1 + near, 9)], [gap(0, 9, { count: 2 })]],
    ['that are further apart are two', [gap(0, 1), gap(1.1 + near, 9)], [gap(0, 1), gap(1.1 + near, 9)]],
    [
      'of which the second is near before the first are one',
      [gap(5, 6), gap(3, 4)],
      [gap(3, 6, { count: 2 })],
    ],
    ['of which the second lies long before are two', [gap(50, 60), gap(3, 4)], [gap(50, 60), gap(3, 4)]],
    ['of which the second lies within the first are one', [gap(0, 9), gap(3, 4)], [gap(0, 9, { count: 2 })]],
    [
      'of unknown count are of unknown count',
      [gap(0, 1), gap(1, 2, { count: null })],
      [gap(0, 2, { count: null })],
    ],
    ['that last end when they are told again', [gap(0, null, DOWN), gap(0, 7, DOWN)], [gap(0, 7, DOWN)]],
    [
      'that last again at once go on',
      [gap(0, null, DOWN), gap(0, 7, DOWN), gap(8, null, DOWN)],
      [gap(0, null, DOWN)],
    ],
    [
      'that last again later are two',
      [gap(0, 7, DOWN), gap(60, null, DOWN), gap(60, 61, DOWN)],
      [gap(0, 7, DOWN), gap(60, 61, DOWN)],
    ],
    [
      'that end before they begin, for the clock was set back, are a moment',
      [gap(0, null, DOWN), gap(0, -50, DOWN)],
      [gap(0, 0, DOWN)],
    ],
    ['told whole by a clock that was set back are a moment, too', [gap(9, 2)], [gap(9, 9, { count: null })]],
  ];
  for (const [name, told, kept] of cases) {
    test(name, (t) => {
      const database = openDatabase(t);
      const ledger = new GapLedger(database);
      for (const each of told) ledger.add(each);
      assert.equal(ledger.hasChanges, true);
      commit(database, ledger);
      assert.deepEqual(stored(database), kept);
      assert.deepEqual([ledger.count, ledger.hasChanges], [kept.length, false]);

      // It is the same where each is stored before the next is told, by a run of its own.
      const other = openDatabase(t);
      for (const each of told) {
        const next = new GapLedger(other);
        next.add(each);
        commit(other, next);
        assert.equal(next.count, stored(other).length);
      }
      assert.deepEqual(stored(other), kept);

      // And where they wait on the main thread.
      const waiting: Gap[] = [];
      for (const each of told) addGap(waiting, each);
      assert.deepEqual(waiting, kept);
    });
  }
});

test('gaps of other buses and causes are kept apart', (t) => {
  const database = openDatabase(t);
  const ledger = new GapLedger(database);
  const told = [
    gap(0, 1),
    gap(0, 1, { bus: 'can1' }),
    gap(0, 1, { bus: null }),
    gap(0, 1, { cause: 'disk' }),
  ];
  for (const each of told) ledger.add(each);
  commit(database, ledger);
  assert.deepEqual(stored(database), told);
});

const anyCause = fc.constantFrom(...GAP_CAUSES);
const anyGap = fc
  .record({
    bus: fc.constantFrom('can0', 'can1', null),
    cause: anyCause,
    fromMs: fc.integer({ min: 0, max: 60_000 }),
    lengthMs: fc.integer({ min: 0, max: 3000 }),
    count: fc.integer({ min: 1, max: 1e6 }),
  })
  .map(({ bus, cause, fromMs, lengthMs, count }): Gap => {
    const fromUs = NOW_US + fromMs * 1000;
    return { bus, cause, fromUs, toUs: fromUs + lengthMs * 1000, count };
  });

test('whatever is told, however often it is stored, fails to be or the service starts anew: nothing is forgotten', (t) => {
  const anyStep = fc.oneof(
    { weight: 6, arbitrary: anyGap },
    fc.constantFrom('commit' as const, 'fail' as const, 'restart' as const),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const database = openDatabase(t);
      let ledger = new GapLedger(database);
      const told: Gap[] = [];
      for (const step of steps) {
        if (step === 'fail') {
          failToCommit(database, ledger);
        } else if (typeof step === 'string') {
          commit(database, ledger);
          if (step === 'restart') ledger = new GapLedger(database);
        } else {
          ledger.add(step);
          told.push(step);
        }
      }
      commit(database, ledger);
      const kept = stored(database);
      database.close();
      const isSame = (one: Gap) => (other: Gap) => one.bus === other.bus && one.cause === other.cause;
      const sum = (gaps: readonly Gap[]) => gaps.reduce((total, { count }) => total + count!, 0);
      for (const one of told) {
        assert.equal(sum(kept.filter(isSame(one))), sum(told.filter(isSame(one))));
        assert.ok(kept.some((row) => isSame(one)(row) && row.fromUs <= one.fromUs && row.toUs! >= one.toUs!));
      }
      // Nor is anything invented.
      for (const row of kept) {
        for (const edge of [row.fromUs, row.toUs]) {
          assert.ok(told.filter(isSame(row)).some(({ fromUs, toUs }) => edge === fromUs || edge === toUs));
        }
      }
      assert.equal(ledger.count, kept.length);
    }),
    { numRuns: 60 },
  );
});

describe('the bound', () => {
  /** Too far apart to become one. */
  const apart = (index: number, more: Partial<Gap> = {}): Gap => gap(10 * index, 10 * index + 1, more);

  test('is never exceeded: those recorded first go, but not what lasts', (t) => {
    const database = openDatabase(t);
    const ledger = new GapLedger(database, 5);
    ledger.add(gap(0, null, DOWN));
    for (let index = 0; index < 20; index++) {
      ledger.add(apart(index));
      if (index % 3 !== 0) continue;
      commit(database, ledger);
      assert.ok(ledger.count <= 5);
      assert.equal(ledger.count, stored(database).length);
    }
    commit(database, ledger);
    assert.deepEqual(stored(database), [
      gap(0, null, DOWN),
      ...[16, 17, 18, 19].map((index) => apart(index)),
    ]);
    // What ends can go.
    ledger.add(gap(0, 300, DOWN));
    ledger.add(apart(20));
    commit(database, ledger);
    assert.deepEqual(
      stored(database),
      [16, 17, 18, 19, 20].map((index) => apart(index)),
    );
  });

  test('lets what is dropped begin anew instead of growing on', (t) => {
    const database = openDatabase(t);
    const ledger = new GapLedger(database, 2);
    ledger.add(gap(0, 1, { cause: 'disk' }));
    for (let index = 0; index < 3; index++) ledger.add(apart(index));
    commit(database, ledger);
    ledger.add(gap(1, 2, { cause: 'disk' }));
    commit(database, ledger);
    assert.deepEqual(stored(database), [apart(2), gap(1, 2, { cause: 'disk' })]);
    assert.equal(ledger.count, 2);
  });

  test('that was lowered is reached with the next commit', (t) => {
    const database = openDatabase(t);
    const first = new GapLedger(database, 10);
    for (let index = 0; index < 10; index++) first.add(apart(index));
    commit(database, first);
    const second = new GapLedger(database, 4);
    second.add(apart(10));
    commit(database, second);
    assert.deepEqual(
      stored(database),
      [7, 8, 9, 10].map((index) => apart(index)),
    );
  });

  test('of what waits to be stored makes gaps coarser, and loses no count', (t) => {
    const database = openDatabase(t);
    const ledger = new GapLedger(database);
    const waiting: Gap[] = [];
    const count = 3 * GAPS_UNSTORED_MAX;
    for (let index = 0; index < count; index++) {
      ledger.add(apart(index));
      addGap(waiting, apart(index));
      failToCommit(database, ledger);
    }
    commit(database, ledger);
    for (const gaps of [stored(database), waiting]) {
      assert.equal(gaps.length, GAPS_UNSTORED_MAX);
      assert.equal(
        gaps.reduce((total, each) => total + each.count!, 0),
        count,
      );
      assert.equal(gaps.at(-1)!.toUs, apart(count - 1).toUs);
    }
  });
});

test('a commit that fails is made up for by the next', (t) => {
  const database = openDatabase(t);
  const ledger = new GapLedger(database);
  ledger.add(gap(0, 1));
  commit(database, ledger);
  ledger.add(gap(1, 2));
  ledger.add(gap(50, 51));
  failToCommit(database, ledger);
  assert.deepEqual(stored(database), [gap(0, 1)]);
  assert.deepEqual([ledger.count, ledger.hasChanges], [1, true]);
  failToCommit(database, ledger);
  commit(database, ledger);
  assert.deepEqual(stored(database), [gap(0, 2, { count: 2 }), gap(50, 51)]);
  assert.equal(ledger.count, 2);
});

describe('what lasted when a run was killed', () => {
  const cases: [name: string, endedUs: number | null, toUs: number][] = [
    ['ends where that run was known to live last', NOW_US + 8 * SECOND_US, NOW_US + 8 * SECOND_US],
    ['is a moment where the clock was set back', NOW_US - YEAR_US, NOW_US],
    ['is a moment where nothing is known of it', null, NOW_US],
  ];
  for (const [name, endedUs, toUs] of cases) {
    test(name, (t) => {
      const database = openDatabase(t);
      const first = new GapLedger(database);
      first.add(gap(0, null, DOWN));
      first.add(gap(0, 1, { bus: 'can1' }));
      commit(database, first);
      const second = new GapLedger(database);
      second.endLasting(endedUs);
      commit(database, second);
      assert.deepEqual(stored(database), [{ ...gap(0, null, DOWN), toUs }, gap(0, 1, { bus: 'can1' })]);
    });
  }
});

describe('the time without the service', () => {
  /** The gaps of a run that begins with one clock and sees another later. */
  function gapsOf(
    t: TestContext,
    recordedUntilUs: number | null,
    beginUs: number,
    observed: readonly [wallClockUs: number, monotonicMs: number][] = [],
  ): Gap[] {
    const database = openDatabase(t);
    const ledger = new GapLedger(database);
    ledger.beginRun(recordedUntilUs, beginUs, 5000);
    for (const [wallClockUs, monotonicMs] of observed) ledger.observeClock(wallClockUs, monotonicMs);
    commit(database, ledger);
    return stored(database);
  }
  const at = (second: number) => NOW_US + second * SECOND_US;

  test('is a gap of all buses, from the end of the run before to the beginning of this one', (t) => {
    assert.deepEqual(gapsOf(t, NOW_US, at(60)), [gap(0, 60, SERVICE_DOWN)]);
  });

  test('is none before the first run', (t) => {
    assert.deepEqual(gapsOf(t, null, NOW_US), []);
  });

  test('is the moment of its beginning where the clock starts in the past', (t) => {
    assert.deepEqual(gapsOf(t, NOW_US, 1000), [gap(0, 0, SERVICE_DOWN)]);
  });

  test('is told in full once that clock is set, and covers nothing from before', (t) => {
    // A boot in 1970; the network comes 20 s later.
    const observed: [number, number][] = [
      [11 * SECOND_US, 15_000],
      [at(3600), 25_000],
      [at(3601), 26_000],
    ];
    assert.deepEqual(gapsOf(t, NOW_US, SECOND_US, observed), [gap(0, 3600, SERVICE_DOWN)]);
  });

  test('goes on where the clock began shortly after the end and is set forward later', (t) => {
    const observed: [number, number][] = [
      [at(30), 15_000],
      [at(7200), 25_000],
    ];
    assert.deepEqual(gapsOf(t, NOW_US, at(20), observed), [
      gap(0, 20, SERVICE_DOWN),
      gap(40, 7200, SERVICE_DOWN),
    ]);
  });

  test('is also the time for which the machine slept, even in the first run', (t) => {
    assert.deepEqual(gapsOf(t, null, NOW_US, [[at(600), 10_000]]), [gap(5, 600, SERVICE_DOWN)]);
  });

  test('is not where the clock is set back, or is led to the right time by and by', (t) => {
    assert.deepEqual(gapsOf(t, null, NOW_US, [[at(-600), 10_000]]), []);
    const slow = Array.from({ length: 100 }, (_, step): [number, number] => [
      at(step * 1.01),
      5000 + step * 1000,
    ]);
    assert.deepEqual(gapsOf(t, null, NOW_US, slow), []);
  });

  test('of a service that starts over and over is one gap while it lives for moments only', (t) => {
    const database = openDatabase(t);
    for (let start = 0; start < 30; start++) {
      const ledger = new GapLedger(database);
      ledger.beginRun(at(10 * start), at(10 * start + 9), 0);
      commit(database, ledger);
    }
    assert.deepEqual(stored(database), [gap(0, 299, SERVICE_DOWN)]);
  });
});

test('gaps are found by time, touching it included, and by bus', (t) => {
  const database = openDatabase(t);
  const ledger = new GapLedger(database);
  const told = [
    gap(500, null, { bus: 'can1', ...DOWN }),
    gap(100, 200),
    gap(0, 10),
    gap(150, 150, { bus: null, cause: 'disk', count: 7 }),
  ];
  for (const each of told) ledger.add(each);
  commit(database, ledger);
  const reader = new GapReader(database);
  const found = (query: { fromS?: number; toS?: number; bus?: string; limit?: number }) =>
    reader
      .read(
        {
          fromUs: query.fromS === undefined ? undefined : NOW_US + query.fromS * SECOND_US,
          toUs: query.toS === undefined ? undefined : NOW_US + query.toS * SECOND_US,
          bus: query.bus,
          limit: query.limit ?? 100,
        },
        NOW_US + 777 * SECOND_US,
      )
      .map(({ from }) => from - NOW_US / SECOND_US);
  assert.deepEqual(found({}), [0, 100, 150, 500]);
  assert.deepEqual(found({ limit: 2 }), [0, 100]);
  assert.deepEqual(found({ fromS: 10, toS: 100 }), [0, 100]);
  assert.deepEqual(found({ fromS: 11, toS: 99 }), []);
  assert.deepEqual(found({ fromS: 120, toS: 130 }), [100]);
  assert.deepEqual(found({ fromS: 200 }), [100, 500]);
  assert.deepEqual(found({ fromS: 100_000 }), [500]);
  assert.deepEqual(found({ toS: 499 }), [0, 100, 150]);
  assert.deepEqual(found({ bus: 'can0' }), [0, 100, 150]);
  assert.deepEqual(found({ bus: 'can9' }), [150]);
  assert.deepEqual(reader.read({ fromUs: told[0]!.fromUs, limit: 1 }, NOW_US + 777 * SECOND_US), [
    {
      bus: 'can1',
      cause: 'bus_down',
      from: told[0]!.fromUs / SECOND_US,
      to: NOW_US / SECOND_US + 777,
      count: null,
      ongoing: true,
    },
  ]);
});
