/**
 * What became of a frame. Each is counted per bus and CAN id. The first five are samples: an unknown id
 * is recorded like any other, under its number.
 */
export const FRAME_OUTCOMES = [
  'decoded',
  'unknown_component',
  'unknown_command',
  'reserved_component_type',
  'reserved_value_type',
  'wrong_length',
  'extended_id',
  'remote_frame',
  'error_frame',
  'can_fd',
  'series_limit',
  'own_health',
] as const;

export type FrameOutcome = (typeof FRAME_OUTCOMES)[number];

export const OUTCOME_COUNT = FRAME_OUTCOMES.length;

/** The place of each outcome in FRAME_OUTCOMES, for counting in a typed array. */
export const OUTCOME = Object.fromEntries(FRAME_OUTCOMES.map((name, index) => [name, index])) as Readonly<
  Record<FrameOutcome, number>
>;
