/** What the history keeps, whichever is met first; the oldest goes first. Null is for no limit. */
export interface Retention {
  /** Of samples. */
  readonly maxAgeMs: number | null;
  /** Of samples. */
  readonly maxSamples: number | null;
  /** The database file and its write-ahead log; at least HISTORY_BYTES_MIN. */
  readonly maxBytes: number | null;
  /** Of what samples come to by the second, which outlives them. */
  readonly secondsMaxAgeMs: number | null;
  /** Of what they come to by the minute, which outlives that. */
  readonly minutesMaxAgeMs: number | null;
}

export const KEEP_EVERYTHING: Retention = {
  maxAgeMs: null,
  maxSamples: null,
  maxBytes: null,
  secondsMaxAgeMs: null,
  minutesMaxAgeMs: null,
};
