import type { LogUrl } from '../bus-url.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { AscParser } from './asc-parser.ts';
import { CandumpParser } from './candump-parser.ts';

/** Reads frames out of the text of one log file. Any bytes whatever are read without an error. */
export interface LogParser {
  readonly linesRead: number;
  readonly linesBroken: number;
  /** Line numbers, from 1, of the first broken lines. */
  readonly firstBrokenLines: readonly number[];
  /** How the first of them begins, or, where it is too long, a part of it goes; null where there is none. */
  readonly brokenExample: string | null;

  /**
   * Appends the frames of the whole lines in bytes[start, end) to the batch until it is full.
   * Returns where the next call is to start: at the first line that wasn't read.
   */
  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number;

  /** Reads the last line of a file, which lacks a newline, into a batch that has room. */
  parseLastLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): void;
}

/** What the lines of each kind of log are to look like. */
export const LINE_FORMS = {
  candump: 'what candump -l or -L writes, such as (1436509052.249713) can0 123#DEADBEEF',
  asc: "what Vector's ASC format has, such as 0.001000 1 123 Rx d 4 DE AD BE EF",
} as const;

export function createLogParser(kind: LogUrl['kind']): LogParser {
  return kind === 'asc' ? new AscParser() : new CandumpParser();
}
