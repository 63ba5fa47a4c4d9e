import type { SampleReply } from '../api/schemas.ts';
import type { UpdateInfo } from './sample-columns.ts';

/** One message of a stream, with its samples. */
export interface SamplesUpdate extends UpdateInfo {
  readonly samples: SampleReply[];
}

/** Updates that wait for their reader. Who fills it looks at `samples`: it takes whatever is pushed. */
export class UpdatesQueue {
  readonly #updates: SamplesUpdate[] = [];
  #samples = 0;
  #end: { readonly error: unknown } | null = null;
  #wake: () => void = () => undefined;

  get samples(): number {
    return this.#samples;
  }

  push(update: SamplesUpdate): void {
    this.#updates.push(update);
    this.#samples += update.samples.length;
    this.#wake();
  }

  /** Nothing more comes: the reader gets what is there, then `error` is thrown if it isn't null. */
  end(error: unknown = null): void {
    this.#end ??= { error };
    this.#wake();
  }

  /** The next one, for one reader; null at the end. */
  async next(): Promise<SamplesUpdate | null> {
    for (;;) {
      const update = this.#updates.shift();
      if (update !== undefined) {
        this.#samples -= update.samples.length;
        return update;
      }
      if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        return null;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
