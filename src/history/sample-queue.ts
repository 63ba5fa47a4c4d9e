import { SampleBatch } from '../protocol/sample-batch.ts';
import { SAMPLE_BATCHES_FREE_LOW, SAMPLE_BATCHES_MAX } from '../shared/limits.ts';

/**
 * The batches that samples go to the writer in: memory that all threads share. Their pool is the queue between the threads, so
 * there is nothing to overflow: one that isn't given back can't be filled.
 *
 * Samples are numbered as they come, and are to be seen ahead of their commit only under a number that is reserved:
 * after a crash others would be given again.
 */
export class SampleQueue {
  /** Memory that isn't written to isn't there yet: what is seldom used costs nothing. */
  readonly #batches = Array.from({ length: SAMPLE_BATCHES_MAX }, () => SampleBatch.allocate());
  /** Places of batches; the last given back is the first to be used again. */
  readonly #free = this.#batches.map((_, place) => place).reverse();
  #place = this.#free.pop()!;
  #nextSeq = 1;
  #reservedSeq = 0;
  readonly #waitingForRoom: (() => void)[] = [];

  get buffers(): SharedArrayBuffer[] {
    return this.#batches.map(({ buffer }) => buffer);
  }

  /** The batch to append to. Another one after every advance(). */
  get current(): SampleBatch {
    return this.#batches[this.#place]!;
  }

  /** Where the writer finds the current batch. */
  get place(): number {
    return this.#place;
  }

  /** The number of the current batch's first sample. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** The number of the next sample to come. */
  get endSeq(): number {
    return this.#nextSeq + this.current.count;
  }

  get batchesInUse(): number {
    return SAMPLE_BATCHES_MAX - this.#free.length;
  }

  get hasAnother(): boolean {
    return this.#free.length > 0;
  }

  /** Whether there is room for all that a source can have on the way. */
  get hasRoom(): boolean {
    return this.#free.length >= SAMPLE_BATCHES_FREE_LOW;
  }

  /** Calls back, once, when hasRoom has become true again, or stopWaiting() is called. */
  whenRoom(callback: () => void): void {
    this.#waitingForRoom.push(callback);
  }

  stopWaiting(): void {
    for (const callback of this.#waitingForRoom.splice(0)) callback();
  }

  /** The current batch, which is empty, begins with this number. */
  begin(nextSeq: number): void {
    this.#nextSeq = nextSeq;
    this.current.begin(nextSeq);
  }

  /** Begins another batch; the current one is the writer's. There has to be another. */
  advance(): void {
    const nextSeq = this.endSeq;
    this.#place = this.#free.pop()!;
    this.begin(nextSeq);
  }

  /** Empties the current batch: its samples are lost, and so are their numbers. */
  drop(): void {
    this.begin(this.endSeq);
  }

  /** What the writer is done with. */
  giveBack(places: readonly number[]): void {
    for (const place of places) {
      // Emptied at once: what was lost must not be found any more.
      this.#batches[place]!.begin(0);
      this.#free.push(place);
    }
    while (this.#waitingForRoom.length > 0 && this.hasRoom) this.#waitingForRoom.shift()!();
  }

  /** Whether all of the current batch may be seen. */
  get mayBeSeen(): boolean {
    return this.#mayBeSeen(this.current);
  }

  /** Lets queries see what the current batch holds by now, if it may be seen. */
  publish(): void {
    this.#publish(this.current);
  }

  /**
   * Numbers below this may be seen. Batches that wait for the writer unseen are seen ahead of the current one: there is never
   * a gap to see.
   */
  reserve(reservedSeq: number): void {
    this.#reservedSeq = reservedSeq;
    const inOrder = this.#batches.toSorted((left, right) => left.firstSeq - right.firstSeq);
    for (const batch of inOrder) this.#publish(batch);
  }

  #publish(batch: SampleBatch): void {
    if (this.#mayBeSeen(batch)) batch.publish();
  }

  #mayBeSeen({ firstSeq, count }: SampleBatch): boolean {
    return firstSeq + count <= this.#reservedSeq;
  }
}
