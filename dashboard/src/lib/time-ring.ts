/** The newest samples of one signal: two columns that are used round and round, so that a live plot allocates nothing. */
export class TimeRing {
  readonly #capacity: number;
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#times = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get firstTime(): number {
    return this.#length === 0 ? Number.NaN : this.#times[this.#start]!;
  }

  get lastTime(): number {
    return this.#length === 0 ? Number.NaN : this.timeAt(this.#length - 1);
  }

  /** Samples come in their order; one that isn't newer than the last is known already. */
  push(timeS: number, value: number): boolean {
    if (this.#length > 0 && timeS <= this.lastTime) return false;
    if (this.#length === this.#capacity) {
      this.#start = (this.#start + 1) % this.#capacity;
      this.#length--;
    }
    const at = (this.#start + this.#length) % this.#capacity;
    this.#times[at] = timeS;
    this.#values[at] = value;
    this.#length++;
    return true;
  }

  clear(): void {
    this.#start = 0;
    this.#length = 0;
  }

  timeAt(index: number): number {
    return this.#times[(this.#start + index) % this.#capacity]!;
  }

  valueAt(index: number): number {
    return this.#values[(this.#start + index) % this.#capacity]!;
  }

  /** The index of the first sample at `timeS` or later; `length` where there is none. */
  indexFrom(timeS: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.timeAt(middle) < timeS) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
