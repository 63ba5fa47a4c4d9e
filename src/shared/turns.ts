/** What takes what a source brings, and may be behind. */
export interface Taker {
  readonly hasRoom: boolean;
  whenRoom(callback: () => void): void;
}

/**
 * What sources that can wait have brought, in its order, for as long as a taker is behind: several logs together bring more
 * at once than there is room for. Each source has but few batches, which it gets back when they were taken.
 */
export class Turns {
  readonly #takers: readonly Taker[];
  readonly #waiting: (() => void)[] = [];

  constructor(takers: readonly (Taker | null)[]) {
    this.#takers = takers.filter((taker) => taker !== null);
  }

  /** Takes it at once if there is room and nothing waits. */
  add(take: () => void): void {
    this.#waiting.push(take);
    if (this.#waiting.length === 1) this.#takeWhileRoom();
  }

  #takeWhileRoom(): void {
    for (;;) {
      const [take] = this.#waiting;
      if (take === undefined) return;
      const behind = this.#takers.find(({ hasRoom }) => !hasRoom);
      if (behind !== undefined) {
        behind.whenRoom(() => this.#takeWhileRoom());
        return;
      }
      take();
      this.#waiting.shift();
    }
  }

  /** At the end, room or not. */
  takeAll(): void {
    for (const take of this.#waiting.splice(0)) take();
  }
}
