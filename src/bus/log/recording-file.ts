/**
 * The names of the files of a recording: the time of the first frame, and a number that counts the files of the
 * folder over all runs.
 *
 *   20261124T034647Z-000042.log.zst
 *
 * A clock that stands in the past makes a name that sorts wrong, but no number that was there before.
 */
const NAME = /^\d{8}T\d{6}Z-(\d{6,15})\.log(\.zst)?$/;

const NUMBER_DIGITS_MIN = 6;

export function recordingFileName(firstFrameUs: number, number: number, isCompressed: boolean): string {
  const time = new Date(Math.floor(firstFrameUs / 1_000_000) * 1000).toISOString().replace(/\.000|[-:]/g, '');
  return `${time}-${String(number).padStart(NUMBER_DIGITS_MIN, '0')}.log${isCompressed ? '.zst' : ''}`;
}

/** The number in the name of a recording's file; null where the name is no such. */
export function recordingFileNumber(name: string): number | null {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}
