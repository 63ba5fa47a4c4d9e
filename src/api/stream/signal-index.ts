import { MESSAGE_TYPE } from '../../protocol/kart-codec.ts';
import type { FeedSource } from '../sources.ts';

/** Which series tell of the same signal, as component type, component and command. */
export class SignalIndex {
  readonly #feed: FeedSource;
  readonly #signals = new Map<number, number>();
  /** By signal: its series that samples may still come of. */
  readonly #seriesOf: number[][] = [];
  /** By series. */
  readonly #signalOf: number[] = [];
  readonly #isStatus: boolean[] = [];

  constructor(feed: FeedSource) {
    this.#feed = feed;
  }

  /** Takes in the series that are new. */
  learn(): void {
    while (this.#signalOf.length < this.#feed.seriesCount) {
      const series = this.#feed.seriesAt(this.#signalOf.length);
      const { componentType, componentId, commandId, messageType, isCurrent } = series;
      const key = (componentType << 16) | (componentId << 8) | commandId;
      let signal = this.#signals.get(key);
      if (signal === undefined) {
        signal = this.#signals.size;
        this.#signals.set(key, signal);
        this.#seriesOf.push([]);
      }
      if (isCurrent) this.#seriesOf[signal]!.push(series.index);
      this.#signalOf.push(signal);
      this.#isStatus.push(messageType === MESSAGE_TYPE.STATUS);
    }
  }

  get signalCount(): number {
    return this.#seriesOf.length;
  }

  signalOf(series: number): number {
    return this.#signalOf[series]!;
  }

  seriesOf(signal: number): readonly number[] {
    return this.#seriesOf[signal]!;
  }

  isStatus(series: number): boolean {
    return this.#isStatus[series]!;
  }
}
