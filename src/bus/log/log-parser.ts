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

  /**
   * Appends the frames of the whole lines in bytes[start, end) to the batch until it is full.
   * Returns where the next call is to start: at the first line that wasn't read.
   */
  parse(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): number;

  /** Reads the last line of a file, which lacks a newline, into a batch that has room. */
  parseLastLine(bytes: Uint8Array, start: number, end: number, batch: FrameBatch): void;
}

export function createLogParser(kind: LogUrl['kind']): LogParser {
  return kind === 'asc' ? new AscParser() : new CandumpParser();
}
