import { RETRY_FIRST_MS, RETRY_LONGEST_MS } from './limits.ts';

/** How long to wait before another attempt, after so many that failed; `random` is from 0 to 1. */
export function retryDelayMs(failures: number, random: number): number {
  const wholeMs = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** failures);
  return (wholeMs * (1 + random)) / 2;
}
