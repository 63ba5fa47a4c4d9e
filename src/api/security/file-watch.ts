import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { errorCode } from '../../shared/errors.ts';
import { API_FILE_CHECK_MS } from '../../shared/limits.ts';

/**
 * Tells when files have changed, are there or are gone. It looks every API_FILE_CHECK_MS rather than to be told by the kernel
 * (inotify): a folder that is a mount of a container, or on another machine, tells nothing.
 */
export class FileWatch {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #onLook: () => void;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #isLooking = false;
  #isStopped = false;

  /** Files are to be read after this. `onLook` is called at each look, also where nothing has changed. */
  constructor(paths: readonly string[], onChange: () => void, onLook = () => {}) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#onLook = onLook;
    this.#seen = paths.map((path) => stateOf(() => statSync(path, { bigint: true }))).join();
    this.#timer = setInterval(() => void this.#look(), API_FILE_CHECK_MS).unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // A disk that stands still answers late; the looks don't pile up.
    if (this.#isLooking) return;
    this.#isLooking = true;
    const states = await Promise.all(
      this.#paths.map((path) =>
        stat(path, { bigint: true }).then(
          (stats) => stateOf(() => stats),
          (error: unknown) => errorCode(error),
        ),
      ),
    );
    this.#isLooking = false;
    if (this.#isStopped) return;
    const seen = states.join();
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#onChange();
    }
    this.#onLook();
  }
}

/** What differs once a file was written or replaced. */
function stateOf(read: () => BigIntStats): string {
  try {
    const { dev, ino, size, mode, mtimeNs, ctimeNs } = read();
    return [dev, ino, size, mode, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return errorCode(error);
  }
}
