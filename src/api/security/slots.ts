/** So many of a thing at once. */
export class Slots {
  readonly max: number;
  #used = 0;

  constructor(max: number) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether so many more were free, which are then taken. */
  take(count = 1): boolean {
    if (this.#used + count > this.max) return false;
    this.#used += count;
    return true;
  }

  give(count = 1): void {
    this.#used -= count;
  }
}
