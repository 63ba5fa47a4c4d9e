import { Channel, type ChannelMember } from './channel.ts';
import type { SelectionFilter, Selections } from './selection.ts';
import type { StreamContext } from './stream-context.ts';

/** The channels of all subscriptions, in an order in which they take turns. */
export class Channels {
  readonly #selections: Selections;
  readonly #byKey = new Map<string, Channel>();
  readonly #inTurn: Channel[] = [];
  #next = 0;

  constructor(selections: Selections) {
    this.#selections = selections;
  }

  /**
   * The channel of a filter and a rate, which may be without members; then it is to be left again.
   * Throws QueryError 400 SIGNAL_INVALID, and 503 STREAM_FULL.
   */
  find(filter: SelectionFilter, periodMs: number, context: StreamContext): Channel {
    const selection = this.#selections.take(filter);
    const key = `${periodMs} ${selection.key}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      this.#selections.drop(selection);
      return known;
    }
    const channel = new Channel(key, selection, periodMs, context);
    this.#byKey.set(key, channel);
    this.#inTurn.push(channel);
    return channel;
  }

  leave(channel: Channel, member: ChannelMember): void {
    channel.members.delete(member);
    if (channel.members.size > 0) return;
    this.#byKey.delete(channel.key);
    this.#inTurn.splice(this.#inTurn.indexOf(channel), 1);
    this.#selections.drop(channel.selection);
  }

  /** Tells what is due, in turn from where the last call stopped, as long as there is time; false if that was too short. */
  flush(nowMs: number, isTimeLeft: () => boolean): boolean {
    this.#selections.learn();
    for (let count = this.#inTurn.length; count > 0; count--) {
      const channel = this.#inTurn[this.#next % this.#inTurn.length]!;
      this.#next = (this.#next + 1) % this.#inTurn.length;
      const { dueMs } = channel;
      if (dueMs === null || dueMs > nowMs) continue;
      channel.flush(nowMs);
      if (!isTimeLeft()) return count === 1;
    }
    return true;
  }

  /** When the next is due that has something to tell; null where none has. */
  get dueMs(): number | null {
    let earliest: number | null = null;
    for (const { dueMs } of this.#inTurn) {
      if (dueMs !== null && (earliest === null || dueMs < earliest)) earliest = dueMs;
    }
    return earliest;
  }
}
