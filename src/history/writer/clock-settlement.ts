import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ClockChange, ClockState } from '../../shared/clock.ts';
import { CLOCK_STEPS_KEPT } from '../../shared/limits.ts';
import type { OnDamage } from '../database/damage.ts';
import type { CorrectionDone } from '../history-messages.ts';
import { ClockLedger, type ClockSpan, type CorrectedSpan } from './clock-ledger.ts';
import type { GapLedger } from './gap-ledger.ts';
import { correctTimes } from './time-correction.ts';

/** What has happened to the clock, until it is stored. */
interface ClockEvent {
  /** Samples from its first on are stamped by this clock; null at the start, which writes its span by itself. */
  readonly span: ClockSpan | null;
  /** Samples before are what a correction moves. */
  readonly seq: number;
  readonly gapsEnd: number;
  readonly stepUs: number;
  readonly correctionUs: number;
}

/** A correction that is durable, and what it has left. */
export interface Settled {
  readonly done: CorrectionDone;
  /** The newest timestamp of all samples; null where there are none. */
  readonly newestUs: number | null;
  /** Until when there was a recording. */
  readonly recordedUntilUs: number | null;
}

export interface ClockSettlementOptions {
  readonly database: DatabaseSync;
  readonly gaps: GapLedger;
  /** What samples are stamped by now. */
  readonly now: ClockState;
  /** Until when there was a recording, once timestamps are moved. */
  readonly recordedAfter: (correctionUs: number, wallClockUs: number) => number | null;
  readonly onDamage: OnDamage;
}

/**
 * Stores what happens to the clock, and corrects what is stored: samples, the latest ones of their series, gaps, totals. Each
 * event is a transaction of its own, so that after a power cut either all is corrected or nothing.
 */
export class ClockSettlement {
  readonly #options: ClockSettlementOptions;
  readonly #ledger: ClockLedger;
  readonly #correctStates: StatementSync;
  readonly #newestTimestamp: StatementSync;
  readonly #updateTimes: StatementSync;
  readonly #events: ClockEvent[] = [];
  /** The span of this run's first samples, until it is stored. */
  #firstSpan: ClockSpan | null = null;

  constructor(options: ClockSettlementOptions) {
    const { database, now } = options;
    this.#options = options;
    this.#ledger = new ClockLedger(database, now);
    this.#correctStates = database.prepare(
      'UPDATE series_state SET timestamp_us = timestamp_us + ? WHERE seq >= ? AND seq < ?',
    );
    this.#newestTimestamp = database.prepare(
      `SELECT max(newest_us) AS newest_us FROM (
        SELECT max(max_timestamp_us) AS newest_us FROM segments
        UNION ALL SELECT max(max_timestamp_us) FROM chunks
      )`,
    );
    this.#updateTimes = database.prepare('UPDATE totals SET newest_timestamp_us = ?, recorded_until_us = ?');
  }

  /** The first of the samples that a step of the clock may correct; null where there are none. */
  get uncertainFromSeq(): number | null {
    return this.#ledger.uncertain?.firstSeq ?? null;
  }

  /** The last spans of samples whose timestamps were corrected, in this run or before it; the newest first. */
  corrected(): CorrectedSpan[] {
    return this.#ledger.corrected();
  }

  /**
   * Ahead of everything else: where an earlier run of this machine's start has left samples of a clock that wasn't known
   * to be right, and it was set since, corrects them. `seq` is the next sample's.
   */
  catchUp(seq: number, wallClockUs: number): Settled | null {
    const correctionUs = this.#ledger.missedCorrectionUs;
    if (correctionUs === 0) return null;
    const gapsEnd = this.#options.gaps.nextId;
    return this.#store({ span: null, seq, gapsEnd, stepUs: correctionUs, correctionUs }, wallClockUs);
  }

  /** What comes is stamped by the clock that it is now; writeFirst() is to follow. `startGap` ends as it begins. */
  begin(wallClockUs: number, startGap: number | null): void {
    const { now, gaps } = this.#options;
    // Gaps that the start itself has told of are of the time before.
    this.#firstSpan = { ...now, firstSeq: 0, beganUs: wallClockUs, firstGap: gaps.nextId, startGap };
  }

  /** Within a transaction: stores the span that has begun, if that isn't done yet. */
  writeFirst(nextSeq: number): void {
    if (this.#firstSpan === null) return;
    this.#firstSpan = { ...this.#firstSpan, firstSeq: nextSeq };
    this.#ledger.write(this.#firstSpan, this.#stepLeft(), 0);
  }

  /** That transaction is durable. */
  firstCommitted(): void {
    if (this.#firstSpan === null) return;
    this.#ledger.committed(this.#firstSpan, this.#stepLeft(), 0);
    this.#firstSpan = null;
  }

  /** What was set while no service ran, if it wasn't a correction: that is made by now. */
  #stepLeft(): number {
    const { missedCorrectionUs, missedStepUs } = this.#ledger;
    return missedCorrectionUs === 0 ? missedStepUs : 0;
  }

  /** Takes note of what has happened ahead of the sample `firstSeq`; settle() is to follow. */
  change(change: ClockChange, firstSeq: number, wallClockUs: number): void {
    const { stepUs, correctionUs, ...state } = change;
    const { gaps } = this.#options;
    const gapsEnd = gaps.nextId;
    const span = { ...state, firstSeq, beganUs: wallClockUs, firstGap: gapsEnd, startGap: null };
    this.#events.push({ span, seq: firstSeq, gapsEnd, stepUs, correctionUs });
    if (this.#events.length > CLOCK_STEPS_KEPT) this.#events.shift();
    gaps.clockWasSet(correctionUs);
  }

  /** Whether something has happened that isn't stored yet. */
  get hasEvents(): boolean {
    return this.#events.length > 0;
  }

  /**
   * Stores what has happened, after a commit; gives for each event what it has corrected. Throws what SQLite throws;
   * then it is to be tried again.
   */
  *settle(wallClockUs: number): Generator<Settled | null> {
    for (;;) {
      const [event] = this.#events;
      if (event === undefined) return;
      const settled = this.#store(event, wallClockUs);
      this.#events.shift();
      yield settled;
    }
  }

  #store(event: ClockEvent, wallClockUs: number): Settled | null {
    const { span, stepUs, correctionUs } = event;
    const { database } = this.#options;
    database.exec('BEGIN IMMEDIATE');
    const settled = this.#correct(event, wallClockUs);
    if (span !== null) this.#ledger.write(span, stepUs, correctionUs);
    database.exec('COMMIT');
    settled?.committed();
    if (span !== null) this.#ledger.committed(span, stepUs, correctionUs);
    return settled;
  }

  /** Within a transaction; committed() is to follow it. */
  #correct(event: ClockEvent, wallClockUs: number): (Settled & { committed(): void }) | null {
    const { seq, gapsEnd, correctionUs } = event;
    const { uncertain } = this.#ledger;
    if (correctionUs === 0 || uncertain === null) return null;
    const { database, gaps, recordedAfter, onDamage } = this.#options;
    const { firstSeq: fromSeq, firstGap: firstId, startGap: startId, beganUs } = uncertain;
    const correction = { fromSeq, toSeq: seq, shiftUs: correctionUs };
    const gapSpan = { firstId, endId: gapsEnd, startId, beganUs };
    const samples = correctTimes(database, correction, onDamage);
    this.#correctStates.run(correctionUs, fromSeq, seq);
    gaps.correct(gapSpan, correctionUs);
    this.#ledger.writeCorrection(seq, correctionUs);
    const { newest_us: newestUs } = this.#newestTimestamp.get() as { newest_us: number | null };
    const recordedUntilUs = recordedAfter(correctionUs, wallClockUs);
    this.#updateTimes.run(newestUs, recordedUntilUs);
    return {
      done: { ...correction, samples, atUs: wallClockUs },
      newestUs,
      recordedUntilUs,
      committed: () => gaps.corrected(gapSpan, correctionUs),
    };
  }
}
