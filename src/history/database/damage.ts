import { HistoryError } from '../../shared/errors.ts';

/** Told what can't be read; it is passed over, and the rest is served. `block` where it is one, by its id. */
export type OnDamage = (message: string, block?: number) => void;

/** What `decode` gives; null where it finds damage, which is told. */
export function readable<T>(what: string, onDamage: OnDamage, decode: () => T, block?: number): T | null {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof HistoryError)) throw error;
    onDamage(`${what}: ${error.message}`, block);
    return null;
  }
}
