import { STANDARD_CAN_ID_MAX } from '../bus/can-frame.ts';
import { CAN_IDS_COUNTED_MAX } from '../shared/limits.ts';
import { FRAME_OUTCOMES, type FrameOutcome, OUTCOME, OUTCOME_COUNT } from './frame-outcome.ts';

export type OutcomeCounts = Partial<Record<FrameOutcome, number>>;

export interface CanIdCounts {
  readonly canId: number;
  readonly isExtended: boolean;
  readonly frames: number;
  readonly outcomes: OutcomeCounts;
}

const STANDARD_IDS = STANDARD_CAN_ID_MAX + 1;
const EXTENDED_IDS_MAX = CAN_IDS_COUNTED_MAX - STANDARD_IDS;

/**
 * Counts what became of a bus's frames, per CAN id. Every 11-bit id has a place; 29-bit ids get one
 * each until CAN_IDS_COUNTED_MAX, and those beyond are counted together. Error frames, whose id is not a
 * sender's, are counted for the bus alone.
 */
export class OutcomeCounters {
  /** Indexed by canId * OUTCOME_COUNT + outcome; the decoder counts into it directly. */
  readonly standard = new Float64Array(STANDARD_IDS * OUTCOME_COUNT);
  readonly #extended = new Map<number, Float64Array>();
  readonly #otherExtended = new Float64Array(OUTCOME_COUNT);
  #errorFrames = 0;

  countStandard(canId: number, outcome: number): void {
    this.standard[canId * OUTCOME_COUNT + outcome]!++;
  }

  countExtended(canId: number, outcome: number): void {
    let counts = this.#extended.get(canId);
    if (counts === undefined) {
      if (this.#extended.size >= EXTENDED_IDS_MAX) {
        this.#otherExtended[outcome]!++;
        return;
      }
      counts = new Float64Array(OUTCOME_COUNT);
      this.#extended.set(canId, counts);
    }
    counts[outcome]!++;
  }

  countErrorFrame(): void {
    this.#errorFrames++;
  }

  /** Frames by outcome over the whole bus; every outcome is named, those that never came with 0. */
  totals(): Record<FrameOutcome, number> {
    const sums = new Float64Array(OUTCOME_COUNT);
    for (let index = 0; index < this.standard.length; index++) {
      sums[index % OUTCOME_COUNT]! += this.standard[index]!;
    }
    for (const counts of [...this.#extended.values(), this.#otherExtended]) {
      for (let outcome = 0; outcome < OUTCOME_COUNT; outcome++) sums[outcome]! += counts[outcome]!;
    }
    sums[OUTCOME.error_frame]! += this.#errorFrames;
    return Object.fromEntries(FRAME_OUTCOMES.map((name, index) => [name, sums[index]!])) as Record<
      FrameOutcome,
      number
    >;
  }

  /** The CAN ids seen, by number, 11-bit ones first. */
  perCanId(): CanIdCounts[] {
    const seen: CanIdCounts[] = [];
    for (let canId = 0; canId < STANDARD_IDS; canId++) {
      const counts = this.standard.subarray(canId * OUTCOME_COUNT, (canId + 1) * OUTCOME_COUNT);
      addSeen(seen, canId, false, counts);
    }
    for (const canId of [...this.#extended.keys()].sort((left, right) => left - right)) {
      addSeen(seen, canId, true, this.#extended.get(canId)!);
    }
    return seen;
  }

  /** Frames of 29-bit ids beyond those counted one by one. */
  get framesOfOtherIds(): number {
    return this.#otherExtended.reduce((sum, count) => sum + count, 0);
  }
}

function addSeen(seen: CanIdCounts[], canId: number, isExtended: boolean, counts: Float64Array): void {
  let frames = 0;
  const outcomes: OutcomeCounts = {};
  for (let outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
    const count = counts[outcome]!;
    if (count === 0) continue;
    frames += count;
    outcomes[FRAME_OUTCOMES[outcome]!] = count;
  }
  if (frames > 0) seen.push({ canId, isExtended, frames, outcomes });
}
