import { HistoryError } from '../shared/errors.ts';

/** Told what can't be read; it is passed over, and the rest is served. */
export type OnDamage = (message: string) => void;

/** What `decode` gives; null where it finds damage, which is told. */
export function readable<T>(what: string, onDamage: OnDamage, decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof HistoryError)) throw error;
    onDamage(`${what}: ${error.message}`);
    return null;
  }
}
