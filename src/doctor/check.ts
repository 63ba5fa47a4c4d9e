import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * ok        as it should be
 * warning   works, but something is or may be lost
 * problem   doesn't work
 */
export type Outcome = 'ok' | 'warning' | 'problem';

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  readonly outcome: Outcome;
  readonly found: string;
  /** Null where that is what was found. */
  readonly expected: string | null;
  /** What to do about it, one step each: a command as one types it, or a sentence. */
  readonly remedies: readonly string[];
}

/** The checks of one part of the way from the bus to the API. */
export interface Section {
  readonly title: string;
  readonly checks: readonly Check[];
}

export function ok(name: string, found: string): Check {
  return { name, outcome: 'ok', found, expected: null, remedies: [] };
}

export function warning(name: string, found: string, expected: string, ...remedies: string[]): Check {
  return { name, outcome: 'warning', found, expected, remedies };
}

export function problem(name: string, found: string, expected: string, ...remedies: string[]): Check {
  return { name, outcome: 'problem', found, expected, remedies };
}

/**
 * What the system's files say, below `root`: '/' but in tests. Null where there is no such file, or none that
 * may be read.
 */
export function readSystemFile(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8').trim();
  } catch {
    return null;
  }
}

export function isSystemFile(root: string, path: string): boolean {
  return existsSync(join(root, path));
}

/** Bytes for people: `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
