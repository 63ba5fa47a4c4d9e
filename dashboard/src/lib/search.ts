import { readableName } from './names.ts';

export interface Searchable {
  readonly key: string;
  readonly unit: string | null;
  readonly bus: string;
}

/** Whether all words of a query are somewhere in the names, the unit or the bus; a word with * stands for any letters. */
export function matches(query: string, signal: Searchable): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = textOf(signal);
  return words.every((word) => (word.includes('*') ? patternOf(word).test(text) : text.includes(word)));
}

const patterns = new Map<string, RegExp>();
const PATTERNS_KEPT = 64;

function patternOf(word: string): RegExp {
  let pattern = patterns.get(word);
  if (pattern === undefined) {
    if (patterns.size >= PATTERNS_KEPT) patterns.clear();
    const escaped = word.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    pattern = new RegExp(escaped.join('[^\\s]*'));
    patterns.set(word, pattern);
  }
  return pattern;
}

/** Made once a signal: ten thousand are searched with each letter that is typed. */
const texts = new WeakMap<Searchable, string>();

function textOf(signal: Searchable): string {
  let text = texts.get(signal);
  if (text === undefined) {
    const { key, unit, bus } = signal;
    text = `${key} ${key.split('/').map(readableName).join(' ')} ${unit ?? ''} ${bus}`.toLowerCase();
    texts.set(signal, text);
  }
  return text;
}
