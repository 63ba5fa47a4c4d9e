import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type ClockState, isCorrection, uncertainAfter } from '../../shared/clock.ts';
import { CLOCK_SPANS_MAX, CLOCK_STEP_US, CLOCK_STEPS_KEPT } from '../../shared/limits.ts';

/** The beginning of a span of samples that are stamped by one clock. */
export interface ClockSpan extends ClockState {
  readonly firstSeq: number;
  /** The wall clock then. */
  readonly beganUs: number;
  /** The first gap that is told of later. */
  readonly firstGap: number;
  /** A gap of before that ends with the span; null where there is none. */
  readonly startGap: number | null;
}

/** Samples whose timestamps aren't those that they were recorded with. */
export interface CorrectedSpan {
  readonly fromSeq: number;
  /** Exclusive; null where the span hasn't ended. */
  readonly toSeq: number | null;
  /** What was added, all in all. */
  readonly shiftUs: number;
}

interface SpanRow {
  first_seq: number;
  began_us: number;
  boot_id: string | null;
  offset_us: number;
  synchronized: 0 | 1 | null;
  corrected_us: number;
  first_gap: number;
  start_gap: number | null;
  settles: 0 | 1;
}

/**
 * Which clock stored samples were stamped by, span by span: a start begins one, and so does whatever happens to the clock
 * (the table clock_spans). Their last ones, as long as the clock isn't known to be right, are uncertain: a later step
 * may correct their samples, in this run or, if the machine wasn't started since, in the next.
 */
export class ClockLedger {
  readonly #insert: StatementSync;
  readonly #drop: StatementSync;
  readonly #correct: StatementSync;
  readonly #corrected: StatementSync;
  readonly #bootId: string | null;
  /** The first of the uncertain spans. */
  #uncertain: ClockSpan | null = null;

  constructor(database: DatabaseSync, now: ClockState) {
    this.#bootId = now.bootId;
    this.#insert = database.prepare('INSERT OR REPLACE INTO clock_spans VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)');
    this.#drop = database.prepare(
      'DELETE FROM clock_spans WHERE first_seq < (SELECT min(first_seq) FROM (SELECT first_seq FROM clock_spans ORDER BY first_seq DESC LIMIT ?))',
    );
    this.#correct = database.prepare(
      `UPDATE clock_spans SET began_us = began_us + :shift, corrected_us = corrected_us + :shift
       WHERE first_seq >= :from AND first_seq < :to`,
    );
    this.#corrected = database.prepare(
      `SELECT * FROM (
        SELECT first_seq AS fromSeq, lead(first_seq) OVER (ORDER BY first_seq) AS toSeq, corrected_us AS shiftUs
        FROM clock_spans
      ) WHERE shiftUs != 0 ORDER BY fromSeq DESC LIMIT ?`,
    );
    const newestFirst = database
      .prepare('SELECT * FROM clock_spans ORDER BY first_seq DESC')
      .all() as unknown as SpanRow[];
    let offsetUs: number | null = null;
    for (const row of newestFirst) {
      const span = spanOf(row);
      if (span.bootId === null || span.bootId !== this.#bootId || span.isSynchronized === true) break;
      offsetUs ??= span.offsetUs;
      this.#uncertain = span;
      if (row.settles === 1) break;
    }
    this.#stepUs = offsetUs === null ? 0 : now.offsetUs - offsetUs;
    this.#wasSynchronized = newestFirst[0]?.synchronized === 0 ? false : null;
  }

  readonly #stepUs: number;
  readonly #wasSynchronized: boolean | null;

  /** What the clock was set by since an earlier run of this machine's start, whose samples that corrects; else 0. */
  get missedCorrectionUs(): number {
    return isCorrection(this.#stepUs, this.#wasSynchronized) ? this.#stepUs : 0;
  }

  /** What was set since without being a correction: it settles what is stored. */
  get missedStepUs(): number {
    return Math.abs(this.#stepUs) < CLOCK_STEP_US ? 0 : this.#stepUs;
  }

  /** Where the samples begin that a step may correct; null where there are none. */
  get uncertain(): ClockSpan | null {
    return this.#uncertain;
  }

  /** Within a transaction: samples from the span's first on are stamped by its clock; then committed() is to follow. */
  write(span: ClockSpan, stepUs: number, correctionUs: number): void {
    const { firstSeq, beganUs, bootId, offsetUs, isSynchronized, firstGap, startGap } = span;
    const synchronized = isSynchronized === null ? null : Number(isSynchronized);
    const settles = Number((this.#uncertainFrom(span, stepUs, correctionUs) ?? firstSeq) >= firstSeq);
    this.#insert.run(firstSeq, beganUs, bootId, offsetUs, synchronized, firstGap, startGap, settles);
    this.#drop.run(CLOCK_SPANS_MAX);
  }

  /** Within a transaction: the spans before `toSeq` that are uncertain have been moved. */
  writeCorrection(toSeq: number, shiftUs: number): void {
    this.#correct.run({ shift: shiftUs, from: this.#uncertain!.firstSeq, to: toSeq });
  }

  /** The last spans that are corrected, the newest first. */
  corrected(): CorrectedSpan[] {
    return this.#corrected.all(CLOCK_STEPS_KEPT).map((row) => ({ ...row }) as unknown as CorrectedSpan);
  }

  /** It is durable: `span` has begun, after a step of `stepUs`, which has moved what was uncertain by `correctionUs`. */
  committed(span: ClockSpan, stepUs: number, correctionUs: number): void {
    const before = this.#uncertain;
    const fromSeq = this.#uncertainFrom(span, stepUs, correctionUs);
    if (fromSeq === null) this.#uncertain = null;
    else if (before === null || fromSeq !== before.firstSeq) this.#uncertain = span;
    else this.#uncertain = { ...before, beganUs: before.beganUs + correctionUs };
  }

  /** The first sample that is uncertain once `span` has begun; null where there is none. */
  #uncertainFrom(span: ClockSpan, stepUs: number, correctionUs: number): number | null {
    const change = { ...span, stepUs, correctionUs };
    return uncertainAfter(this.#uncertain?.firstSeq ?? null, change, span.firstSeq);
  }
}

/** The span as it is by now: with the offset of the clock that its samples have been moved to. */
function spanOf(row: SpanRow): ClockSpan {
  return {
    firstSeq: row.first_seq,
    beganUs: row.began_us,
    bootId: row.boot_id,
    offsetUs: row.offset_us + row.corrected_us,
    isSynchronized: row.synchronized === null ? null : row.synchronized === 1,
    firstGap: row.first_gap,
    startGap: row.start_gap,
  };
}
