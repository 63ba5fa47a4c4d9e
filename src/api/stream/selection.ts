import { parseSignalPattern, type SignalPattern } from '../../protocol/signal-pattern.ts';
import { QueryError } from '../../shared/errors.ts';
import { STREAM_SELECTIONS_MAX } from '../../shared/limits.ts';
import type { FeedSource, StateReader } from '../sources.ts';
import type { SignalIndex } from './signal-index.ts';

/** Which samples are asked for. */
export interface SelectionFilter {
  readonly patterns: readonly string[];
  /** Null for all. */
  readonly messageType: number | null;
  readonly bus: string | null;
}

/**
 * The series that some patterns stand for, those that are still to come included. All subscriptions that ask for the
 * same share one. In the order in which they became known, so that one who walks through them may stop and go on.
 */
export class Selection {
  readonly key: string;
  readonly #filter: SelectionFilter;
  readonly #patterns: readonly SignalPattern[];
  readonly #state: StateReader;
  readonly #index: SignalIndex;
  /** 1 for those that are selected, by index, those of which no samples come any more included. */
  #isSelected = new Uint8Array(64);
  #seriesKnown = 0;
  /** Those that samples may come of. */
  readonly #series: number[] = [];
  /** The signals of these, in the order of their first series. */
  readonly #signals: number[] = [];
  readonly #hasSignal = new Set<number>();

  /** Throws QueryError 400 SIGNAL_INVALID. */
  constructor(key: string, filter: SelectionFilter, state: StateReader, index: SignalIndex) {
    this.key = key;
    this.#filter = filter;
    this.#patterns = filter.patterns.map(parseSignalPattern);
    this.#state = state;
    this.#index = index;
  }

  /** Takes in the series that are new. */
  learn(feed: FeedSource): void {
    const count = feed.seriesCount;
    if (this.#seriesKnown === count) return;
    if (this.#isSelected.length < count) {
      const larger = new Uint8Array(Math.max(count, 2 * this.#isSelected.length));
      larger.set(this.#isSelected);
      this.#isSelected = larger;
    }
    const { messageType, bus } = this.#filter;
    for (; this.#seriesKnown < count; this.#seriesKnown++) {
      const series = feed.seriesAt(this.#seriesKnown);
      const isSelected =
        (messageType ?? series.messageType) === series.messageType &&
        (bus ?? series.bus) === series.bus &&
        this.#patterns.some((isOf) => isOf(series));
      if (!isSelected) continue;
      this.#isSelected[series.index] = 1;
      if (!series.isCurrent) continue;
      this.#series.push(series.index);
      const signal = this.#index.signalOf(series.index);
      if (this.#hasSignal.has(signal)) continue;
      this.#hasSignal.add(signal);
      this.#signals.push(signal);
    }
  }

  /** 1 for each series that is selected, by index. */
  get isSelected(): Uint8Array {
    return this.#isSelected;
  }

  /** Those that samples may come of. */
  get series(): readonly number[] {
    return this.#series;
  }

  get signals(): readonly number[] {
    return this.#signals;
  }

  /** Signals that have been heard. */
  get heardCount(): number {
    return this.#signals.filter((signal) => this.speakerOf(signal) >= 0).length;
  }

  /**
   * The series that speaks for a signal, as /api/state/current has it: a STATUS before what others say, and of those the
   * one that came last. -1 while there is none.
   */
  speakerOf(signal: number): number {
    let speaker = -1;
    let isStatus = false;
    for (const series of this.#index.seriesOf(signal)) {
      if (this.#isSelected[series] !== 1 || this.#state.countOf(series) === 0) continue;
      const isLater = speaker < 0 || this.#state.seqOf(series) >= this.#state.seqOf(speaker);
      const goesBefore = this.#index.isStatus(series) ? !isStatus || isLater : !isStatus && isLater;
      if (!goesBefore) continue;
      speaker = series;
      isStatus = this.#index.isStatus(series);
    }
    return speaker;
  }

  /** How many samples there have been, of earlier runs too. */
  sampleCount(): number {
    let count = 0;
    for (const series of this.#series) count += this.#state.countOf(series);
    return count;
  }

  /** The same, of those series alone that may speak for their signals. */
  speakingSampleCount(): number {
    let count = 0;
    for (const signal of this.#signals) {
      const onlyStatus = this.#isToldByStatus(signal);
      for (const series of this.#index.seriesOf(signal)) {
        if (this.#isSelected[series] !== 1 || (onlyStatus && !this.#index.isStatus(series))) continue;
        count += this.#state.countOf(series);
      }
    }
    return count;
  }

  /** 1 for each selected series that may speak for its signal, or might have, by index. */
  speaking(): Uint8Array {
    const speaking = this.#isSelected.slice(0, this.#seriesKnown);
    const isToldByStatus = new Map<number, boolean>();
    for (let series = 0; series < speaking.length; series++) {
      if (speaking[series] !== 1 || this.#index.isStatus(series)) continue;
      const signal = this.#index.signalOf(series);
      let onlyStatus = isToldByStatus.get(signal);
      if (onlyStatus === undefined) {
        onlyStatus = this.#isToldByStatus(signal);
        isToldByStatus.set(signal, onlyStatus);
      }
      if (onlyStatus) speaking[series] = 0;
    }
    return speaking;
  }

  #isToldByStatus(signal: number): boolean {
    const speaker = this.speakerOf(signal);
    return speaker >= 0 && this.#index.isStatus(speaker);
  }
}

/** The selections of all subscriptions. */
export class Selections {
  readonly #feed: FeedSource;
  readonly #state: StateReader;
  readonly #index: SignalIndex;
  readonly #selections = new Map<string, { readonly selection: Selection; users: number }>();
  #seriesKnown = 0;

  constructor(feed: FeedSource, state: StateReader, index: SignalIndex) {
    this.#feed = feed;
    this.#state = state;
    this.#index = index;
  }

  get count(): number {
    return this.#selections.size;
  }

  /**
   * The selection of a filter, to be given back with drop().
   * Throws QueryError 400 SIGNAL_INVALID, and 503 STREAM_FULL past STREAM_SELECTIONS_MAX.
   */
  take(filter: SelectionFilter): Selection {
    const { messageType, bus } = filter;
    const patterns = [...new Set(filter.patterns.map((pattern) => pattern.toLowerCase()))].sort();
    const key = JSON.stringify([patterns, messageType, bus]);
    let entry = this.#selections.get(key);
    if (entry === undefined) {
      const selection = new Selection(key, filter, this.#state, this.#index);
      if (this.#selections.size >= STREAM_SELECTIONS_MAX) {
        throw new QueryError(
          503,
          'STREAM_FULL',
          `Clients have subscribed to ${STREAM_SELECTIONS_MAX} different sets of signals, which is all there may be: subscribe to the same as others, or try again later.`,
        );
      }
      entry = { selection, users: 0 };
      this.#selections.set(key, entry);
    }
    entry.users++;
    this.#index.learn();
    entry.selection.learn(this.#feed);
    return entry.selection;
  }

  drop({ key }: Selection): void {
    const entry = this.#selections.get(key)!;
    entry.users--;
    if (entry.users === 0) this.#selections.delete(key);
  }

  /** Takes in the series that are new; to be called ahead of looking at samples. */
  learn(): void {
    if (this.#seriesKnown === this.#feed.seriesCount) return;
    this.#seriesKnown = this.#feed.seriesCount;
    this.#index.learn();
    for (const { selection } of this.#selections.values()) selection.learn(this.#feed);
  }
}
