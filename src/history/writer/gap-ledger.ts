import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { GAP_MERGE_MS, GAPS_MAX } from '../../shared/limits.ts';
import { type Gap, type GapCause, gapKey, merged, mergeWithinUs, ordered } from '../gap.ts';

interface GapRow {
  readonly id: number;
  gap: Gap;
  isStored: boolean;
}

/** Gaps that were told of in one span of time, by their rows. */
export interface GapSpan {
  readonly firstId: number;
  /** Exclusive. */
  readonly endId: number;
  /** The one before the span that ends as it begins, at `beganUs`; null where there is none. */
  readonly startId: number | null;
  readonly beganUs: number;
}

interface StoredGap {
  id: number;
  bus: string | null;
  cause: GapCause;
  from_us: number;
  to_us: number | null;
  count: number | null;
}

/**
 * Where samples are missing, and why: a table that is written along with the writer's commits. What belongs
 * together is one row that grows, over restarts too. Rows of a commit that fails go with the next. Of more
 * than `gapsMax` rows those recorded first are dropped, but for what still lasts; retention has no part in it.
 */
export class GapLedger {
  readonly #gapsMax: number;
  readonly #upsert: StatementSync;
  readonly #dropFirst: StatementSync;
  readonly #shift: StatementSync;
  readonly #shiftStart: StatementSync;
  /** The last row of each bus and cause, which the next gap may belong to. */
  readonly #last = new Map<string, GapRow>();
  /** Rows that are new or have grown since the last commit. */
  readonly #unstored = new Set<GapRow>();
  #nextId: number;
  /** Rows in the table, and what they will be with the commit under way, which drops some. */
  #count: number;
  #countNext = 0;
  #dropped: readonly number[] = [];
  /** Until when earlier runs have recorded; null before beginRun() and where nothing is known of one. */
  #recordedUntilUs: number | null = null;
  /** The wall clock less a clock that never jumps; null before beginRun(). */
  #clockOffsetUs: number | null = null;

  constructor(database: DatabaseSync, gapsMax: number = GAPS_MAX) {
    this.#gapsMax = gapsMax;
    this.#upsert = database.prepare(
      `INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id)
        DO UPDATE SET from_us = excluded.from_us, to_us = excluded.to_us, count = excluded.count`,
    );
    this.#dropFirst = database.prepare(
      `DELETE FROM gaps WHERE id IN (SELECT id FROM gaps WHERE to_us IS NOT NULL ORDER BY id LIMIT ?)
        RETURNING id`,
    );
    this.#shift = database.prepare(
      `UPDATE gaps SET from_us = from_us + :shift, to_us = to_us + :shift
        WHERE id >= :first AND id < :end AND id IS NOT :start`,
    );
    this.#shiftStart = database.prepare('UPDATE gaps SET to_us = max(from_us, :began) WHERE id = :start');
    const stored = database
      .prepare('SELECT count(*) AS count, coalesce(max(id), 0) AS last_id FROM gaps')
      .get() as { count: number; last_id: number };
    this.#count = stored.count;
    this.#nextId = stored.last_id + 1;
    // SQLite takes the other columns from the row that has the greatest id.
    const last = database.prepare(
      'SELECT max(id) AS id, bus, cause, from_us, to_us, count FROM gaps GROUP BY bus, cause',
    );
    for (const row of last.all() as unknown as StoredGap[]) {
      const { id, bus, cause, from_us: fromUs, to_us: toUs, count } = row;
      const gap: Gap = { bus, cause, fromUs, toUs, count };
      this.#last.set(gapKey(gap), { id, gap, isStored: true });
    }
  }

  /** Rows in the table. */
  get count(): number {
    return this.#count;
  }

  /** Whether there is something for a commit to write. */
  get hasChanges(): boolean {
    return this.#unstored.size > 0;
  }

  /** The number of the next row. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Returns the number of its row. */
  add(gap: Gap): number {
    const added = ordered(gap);
    const key = gapKey(added);
    const last = this.#last.get(key);
    const joined = last === undefined ? null : merged(last.gap, added, mergeWithinUs(this.#unstored.size));
    if (last !== undefined && joined !== null) {
      last.gap = joined;
      this.#unstored.add(last);
      return last.id;
    }
    const row: GapRow = { id: this.#nextId++, gap: added, isStored: false };
    this.#last.set(key, row);
    this.#unstored.add(row);
    return row.id;
  }

  /** Ends what lasted when an earlier run ended, at `endedUs`: a run that was killed could not do so itself. */
  endLasting(endedUs: number | null): void {
    for (const row of this.#last.values()) {
      const { fromUs, toUs } = row.gap;
      if (toUs !== null) continue;
      row.gap = { ...row.gap, toUs: Math.max(fromUs, endedUs ?? fromUs) };
      this.#unstored.add(row);
    }
  }

  /**
   * Begins to record live buses. Since `recordedUntilUs`, when an earlier run was known to do so last, the
   * service wasn't running. A Pi that has booted with a clock of the past can't tell for how long: there the
   * gap is the moment `recordedUntilUs`, until the clock is set right (correct, observeClock). Returns the gap's row.
   */
  beginRun(recordedUntilUs: number | null, wallClockUs: number, monotonicMs: number): number | null {
    this.#recordedUntilUs = recordedUntilUs;
    this.#clockOffsetUs = wallClockUs - monotonicMs * 1000;
    return recordedUntilUs === null ? null : this.#addServiceDown(recordedUntilUs, wallClockUs);
  }

  /**
   * Looks whether the clock was set forward since it was looked at last, or the machine slept: no sample can
   * bear a time between. What earlier runs have recorded isn't covered by it: after a boot in 1970 the gap
   * begins where they ended. A clock that is set back leaves no gap.
   */
  observeClock(wallClockUs: number, monotonicMs: number): void {
    if (this.#clockOffsetUs === null) return;
    const offsetUs = wallClockUs - monotonicMs * 1000;
    const stepUs = Math.round(offsetUs - this.#clockOffsetUs);
    // Each time anew, so that a clock that is led to the right time by and by makes no step.
    this.#clockOffsetUs = offsetUs;
    if (stepUs <= GAP_MERGE_MS * 1000) return;
    const fromUs = wallClockUs - stepUs;
    this.#addServiceDown(Math.max(fromUs, this.#recordedUntilUs ?? fromUs), wallClockUs);
  }

  /** The clock was set, and what was recorded before is moved along: no time is missing. */
  clockWasSet(stepUs: number): void {
    if (this.#clockOffsetUs !== null) this.#clockOffsetUs += stepUs;
  }

  /**
   * Within a transaction: moves the gaps of a span of time, and the end of the one before it, as its samples are moved;
   * corrected() is to follow, or nothing where it fails.
   */
  correct(span: GapSpan, shiftUs: number): void {
    const { firstId, endId, startId, beganUs } = span;
    this.#shift.run({ shift: shiftUs, first: firstId, end: endId, start: startId });
    if (startId !== null) this.#shiftStart.run({ began: beganUs + shiftUs, start: startId });
  }

  corrected({ firstId, endId, startId, beganUs }: GapSpan, shiftUs: number): void {
    for (const row of new Set([...this.#last.values(), ...this.#unstored])) {
      const { fromUs, toUs } = row.gap;
      if (row.id === startId) row.gap = { ...row.gap, toUs: Math.max(fromUs, beganUs + shiftUs) };
      else if (row.id >= firstId && row.id < endId) {
        row.gap = { ...row.gap, fromUs: fromUs + shiftUs, toUs: toUs === null ? null : toUs + shiftUs };
      }
    }
  }

  #addServiceDown(fromUs: number, toUs: number): number {
    return this.add({ bus: null, cause: 'service_down', fromUs, toUs, count: null });
  }

  /** Writes what has changed into the open transaction; committed() is to follow, or nothing where it fails. */
  write(): void {
    let added = 0;
    for (const { id, gap, isStored } of this.#unstored) {
      this.#upsert.run(id, gap.bus, gap.cause, gap.fromUs, gap.toUs, gap.count);
      if (!isStored) added++;
    }
    const excess = this.#count + added - this.#gapsMax;
    this.#dropped = excess > 0 ? this.#dropFirst.all(excess).map((row) => (row as { id: number }).id) : [];
    this.#countNext = this.#count + added - this.#dropped.length;
  }

  committed(): void {
    for (const row of this.#unstored) row.isStored = true;
    this.#unstored.clear();
    this.#count = this.#countNext;
    // What is gone can't grow any more.
    for (const [key, { id }] of this.#last) if (this.#dropped.includes(id)) this.#last.delete(key);
    this.#dropped = [];
  }
}
