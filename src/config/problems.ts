import { ConfigError } from '../shared/errors.ts';

/** One mistake in the configuration. */
export interface ConfigProblem {
  /** Key of the setting, as `api.port` or `buses[1].url`; empty where the mistake is in no setting. */
  readonly path: string;
  /** Where it stands: `collector.yaml:3:9`, `env API_PORT` or `flag --port`. */
  readonly source: string;
  /** What was expected and what was found. */
  readonly message: string;
}

/** A file of nonsense has a mistake in every line; past this many they are only counted. */
export const PROBLEMS_MAX = 100;

const FOUND_CHARS_MAX = 80;

/** Every mistake of a configuration at once; the message is the readable list. */
export class InvalidConfigError extends ConfigError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ path, source, message }) =>
      [source, path, message].filter((part) => part !== '').join(': '),
    );
    super('CONFIG_INVALID', ["the configuration can't be used:", ...lines].join('\n  '));
    this.problems = problems;
  }
}

/** Gathers mistakes so that all of them are told in one go. */
export class ProblemList {
  readonly #problems: ConfigProblem[] = [];
  #uncounted = 0;

  add(path: string, source: string, message: string): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push({ path, source, message });
    else this.#uncounted++;
  }

  get isEmpty(): boolean {
    return this.#problems.length === 0;
  }

  get isFull(): boolean {
    return this.#problems.length >= PROBLEMS_MAX;
  }

  /** Throws InvalidConfigError if there are any. */
  throwIfAny(): void {
    if (this.#problems.length === 0) return;
    const more = { path: '', source: '', message: `... and ${this.#uncounted} more` };
    throw new InvalidConfigError(this.#uncounted === 0 ? this.#problems : [...this.#problems, more]);
  }
}

/** How a message shows the text that was found; null is the file's empty value. */
export function found(text: string | null): string {
  if (text === null) return 'nothing';
  return JSON.stringify(text.length <= FOUND_CHARS_MAX ? text : `${text.slice(0, FOUND_CHARS_MAX)}…`);
}

/** `; did you mean "port"?` where one of `candidates` is near to what was written, else nothing. */
export function didYouMean(written: string, candidates: readonly string[]): string {
  let nearest: string | undefined;
  // A third of the letters may be wrong; two words that differ by more are different words.
  let nearestDistance = Math.floor(written.length / 3) + 0.5;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - written.length) > nearestDistance) continue;
    const distance = editDistance(comparable(written), comparable(candidate));
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`;
}

function comparable(word: string): string {
  return word.toLowerCase().replaceAll('-', '_');
}

/** Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let distance = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      }
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
