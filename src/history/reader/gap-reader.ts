import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { GapCause, GapQuery } from '../gap.ts';

/** A gap as answers have it. */
export interface GapEntry {
  readonly bus: string | null;
  readonly cause: GapCause;
  /** Seconds since the epoch. */
  readonly from: number;
  /** Of one that lasts, the moment of the answer. */
  readonly to: number;
  readonly count: number | null;
  readonly ongoing: boolean;
}

interface GapRow {
  bus: string | null;
  cause: GapCause;
  from_us: number;
  to_us: number | null;
  count: number | null;
}

/** Finds gaps among those that are stored. */
export class GapReader {
  readonly #touching: StatementSync;

  constructor(database: DatabaseSync) {
    this.#touching = database.prepare(
      `SELECT bus, cause, from_us, to_us, count FROM gaps
        WHERE from_us <= :to AND (to_us IS NULL OR to_us >= :from) AND (:bus IS NULL OR bus IS NULL OR bus = :bus)
        ORDER BY from_us, id LIMIT :limit`,
    );
  }

  /** Those that touch the query's span, in the order of their beginnings. */
  read(query: GapQuery, nowUs: number): GapEntry[] {
    const rows = this.#touching.all({
      from: query.fromUs ?? Number.MIN_SAFE_INTEGER,
      to: query.toUs ?? Number.MAX_SAFE_INTEGER,
      bus: query.bus ?? null,
      limit: query.limit,
    }) as unknown as GapRow[];
    return rows.map(({ bus, cause, from_us, to_us, count }) => ({
      bus,
      cause,
      from: from_us / 1_000_000,
      to: (to_us ?? Math.max(from_us, nowUs)) / 1_000_000,
      count,
      ongoing: to_us === null,
    }));
  }
}
