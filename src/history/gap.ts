import { GAP_MERGE_MS, GAPS_UNSTORED_MAX } from '../shared/limits.ts';

/**
 * interface     frames that the interface lost, because the buffer of its controller, or of its driver, was full
 * kernel        frames that the kernel dropped, because its buffer was full
 * queue         samples that came while no batch was free: the writer was too far behind
 * disk          samples of a commit that failed
 * bus_down      a live bus wasn't being read: its interface was missing, down or deleted, or its thread had died
 * bus_off       the controller of a live bus took no part in it: too many of what it sent were errors
 * service_down  no live bus was being recorded: the service wasn't running, or the machine slept, or its clock
 *               was set forward
 */
export const GAP_CAUSES = [
  'interface',
  'kernel',
  'queue',
  'disk',
  'bus_down',
  'bus_off',
  'service_down',
] as const;

export type GapCause = (typeof GAP_CAUSES)[number];

/** A span of time in which something is missing. Other samples may lie in it. */
export interface Gap {
  /** Null where all buses have it in common. */
  readonly bus: string | null;
  readonly cause: GapCause;
  /** By the wall clock, as samples are: integer microseconds since the epoch. */
  readonly fromUs: number;
  /** Null while it lasts; the next one told of the same bus and cause ends it. */
  readonly toUs: number | null;
  /** Frames (interface, kernel) or samples that are missing; null where nobody knows. */
  readonly count: number | null;
}

/** Null lets everything pass. */
export interface GapQuery {
  /** Gaps of this bus and those that all have in common. */
  readonly bus?: string | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs?: number | undefined;
  /** Inclusive, microseconds since the epoch. */
  readonly toUs?: number | undefined;
  readonly limit: number;
}

/** Which gaps may become one. */
export function gapKey({ bus, cause }: Gap): string {
  return `${cause} ${bus ?? ''}`;
}

/**
 * The same gap, no longer than nothing where a clock that was set back has it end before it begins: there it
 * is a moment, the later one, and how many are missing isn't known.
 */
export function ordered(gap: Gap): Gap {
  return gap.toUs === null || gap.toUs >= gap.fromUs ? gap : { ...gap, toUs: gap.fromUs, count: null };
}

/** Two gaps of one bus and cause as one, where they are no more than `withinUs` apart; null where they aren't. */
export function merged(first: Gap, second: Gap, withinUs: number = GAP_MERGE_MS * 1000): Gap | null {
  const count = first.count === null || second.count === null ? null : first.count + second.count;
  if (first.toUs === null) {
    return { ...first, toUs: second.toUs === null ? null : Math.max(first.fromUs, second.toUs), count };
  }
  const secondToUs = second.toUs ?? Number.POSITIVE_INFINITY;
  if (second.fromUs - first.toUs > withinUs || first.fromUs - secondToUs > withinUs) return null;
  return {
    ...first,
    fromUs: Math.min(first.fromUs, second.fromUs),
    toUs: second.toUs === null ? null : Math.max(first.toUs, second.toUs),
    count,
  };
}

/**
 * How far apart gaps may be to become one, where so many aren't stored yet. Past GAPS_UNSTORED_MAX it is any
 * distance: memory stays bounded, and what is told is coarser but not less.
 */
export function mergeWithinUs(unstored: number): number {
  return unstored < GAPS_UNSTORED_MAX ? GAP_MERGE_MS * 1000 : Number.POSITIVE_INFINITY;
}

/** Adds a gap to a list, or to the last one of the same bus and cause where they belong together. */
export function addGap(gaps: Gap[], gap: Gap): void {
  const added = ordered(gap);
  const key = gapKey(added);
  const lastAt = gaps.findLastIndex((other) => gapKey(other) === key);
  const joined = lastAt < 0 ? null : merged(gaps[lastAt]!, added, mergeWithinUs(gaps.length));
  if (joined === null) gaps.push(added);
  else gaps[lastAt] = joined;
}

/** From the least to the greatest timestamp of some columns of them, none of which is empty. */
export function spanOf(columns: readonly Float64Array[]): { fromUs: number; toUs: number } {
  let fromUs = Number.POSITIVE_INFINITY;
  let toUs = Number.NEGATIVE_INFINITY;
  for (const timestampsUs of columns) {
    for (const timestampUs of timestampsUs) {
      if (timestampUs < fromUs) fromUs = timestampUs;
      if (timestampUs > toUs) toUs = timestampUs;
    }
  }
  return { fromUs, toUs };
}
