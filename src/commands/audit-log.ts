import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { CollectorError, errorCode, errorMessage } from '../shared/errors.ts';
import {
  AUDIT_ENTRIES_KEPT,
  AUDIT_LINES_WAITING_MAX,
  AUDIT_REFUSALS_BURST,
  AUDIT_REFUSALS_PER_SECOND,
  AUDIT_RETRY_MS,
  AUDIT_WAIT_MS,
} from '../shared/limits.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import { makeFolder } from '../shared/make-folder.ts';
import { AuditFile } from './audit-file.ts';
import { COMMAND_OUTCOMES, type CommandRecord, draftOf } from './command-record.ts';
import { TokenBucket } from './token-bucket.ts';

export interface AuditLogOptions {
  readonly path: string;
  readonly log: Logger;
  /** Size at which it is rotated; AUDIT_FILE_BYTES_MAX unless told. */
  readonly fileBytesMax?: number;
}

export interface AuditLogStatus {
  readonly path: string;
  /** Writes that the disk refused, or that took longer than anybody waits for. */
  readonly failures: number;
  /** Lines that wait for the disk. */
  readonly linesWaiting: number;
  /** Lines that were given up, as more waited than there is room for. */
  readonly linesLost: number;
  /** Refused attempts that have no line of their own. */
  readonly refusalsLeftOut: number;
  /** Why the last write came to nothing; null where it didn't. */
  readonly problem: { readonly code: string; readonly message: string } | null;
}

interface Line {
  readonly text: string;
  readonly isDurable: boolean;
  /** Once; a line that is tried again has been answered. */
  readonly settle: PromiseWithResolvers<void> | null;
}

class DiskTimeout extends Error {}

/** How long stop() waits for the disk. */
const STOP_WAIT_MS = 500;

/**
 * The audit log: a line of JSON for each attempt to send a command, in a file that is rotated.
 *
 * A write that fails is told to whoever waits for it, counted, taken back where half of it was written, and tried
 * again; lines that came meanwhile go along. So an audit log of a disk that was full has all lines once it has room
 * again, but for those beyond AUDIT_LINES_WAITING_MAX, which are counted.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #logFault: FaultLog;
  readonly #file: AuditFile;
  readonly #refusals = new TokenBucket(AUDIT_REFUSALS_PER_SECOND, AUDIT_REFUSALS_BURST);
  /** The newest entries, by id, in the order of their first lines. */
  readonly #newest = new Map<string, CommandRecord>();
  #lines: Line[] = [];
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #linesLost = 0;
  #refusalsLeftOut = 0;
  #refusalsUntold = 0;
  #problem: AuditLogStatus['problem'] = null;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#file = new AuditFile(options.path, options.fileBytesMax);
    this.#logFault = rateLimited(options.log);
  }

  /** Reads the newest entries of earlier runs. What can't be read is told, and no reason not to start. */
  async start(): Promise<void> {
    const { path } = this.#options;
    try {
      makeFolder(dirname(path));
      for (const line of await this.#file.lastLines()) {
        const record = recordOf(line);
        if (record !== null) this.#remember(record);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Writes what waits, and what is still to be told; gives up after STOP_WAIT_MS. */
  async stop(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#refusalsUntold > 0) this.#append(leftOutRecord(this.#takeUntold()), true).catch(() => {});
    this.#writeWaiting();
    await within(STOP_WAIT_MS, this.#writing).catch(() => {});
    clearTimeout(this.#retry);
  }

  /**
   * Appends an entry; resolves when the file has it, or, if it is to be durable, the disk. Rejects with CollectorError
   * AUDIT_UNWRITTEN where the disk refuses it or doesn't answer within AUDIT_WAIT_MS; it is written then when it can be.
   */
  async write(record: CommandRecord, isDurable: boolean): Promise<void> {
    const line = { ...record, refusals_left_out: this.#takeUntold() };
    this.#remember(line);
    try {
      await within(AUDIT_WAIT_MS, this.#append(line, isDurable));
    } catch (error) {
      if (error instanceof DiskTimeout) this.#fail(error);
      throw new CollectorError('AUDIT_UNWRITTEN', unwritten(this.#options.path, error), { cause: error });
    }
  }

  /** Appends a refused attempt, unless there are too many of them; never rejects. */
  async noteRefusal(record: CommandRecord): Promise<void> {
    if (this.#refusals.take()) {
      await this.write(record, true).catch(() => {});
    } else {
      this.#refusalsLeftOut++;
      this.#refusalsUntold++;
    }
  }

  /** The newest entries, the newest first. */
  newest(limit: number): CommandRecord[] {
    return [...this.#newest.values()].slice(-limit).reverse();
  }

  status(): AuditLogStatus {
    return {
      path: this.#options.path,
      failures: this.#failures,
      linesWaiting: this.#lines.length,
      linesLost: this.#linesLost,
      refusalsLeftOut: this.#refusalsLeftOut,
      problem: this.#problem,
    };
  }

  #takeUntold(): number {
    const untold = this.#refusalsUntold;
    this.#refusalsUntold = 0;
    return untold;
  }

  #remember(record: CommandRecord): void {
    const before = this.#newest.get(record.id);
    const leftOut = (before?.refusals_left_out ?? 0) + record.refusals_left_out;
    this.#newest.set(record.id, { ...record, refusals_left_out: leftOut });
    if (this.#newest.size <= AUDIT_ENTRIES_KEPT) return;
    const [oldest] = this.#newest.keys();
    this.#newest.delete(oldest!);
  }

  #append(record: CommandRecord, isDurable: boolean): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#lines.push({ text: `${JSON.stringify(record)}\n`, isDurable, settle });
    this.#dropExcess();
    this.#writeWaiting();
    return settle.promise;
  }

  #writeWaiting(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#writeLines();
  }

  /** One write after the other, each of all lines that wait. */
  async #writeLines(): Promise<void> {
    clearTimeout(this.#retry);
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      const text = lines.map((line) => line.text).join('');
      try {
        const isDurable = lines.some((line) => line.isDurable);
        await this.#file.append(text, isDurable);
      } catch (error) {
        this.#fail(error);
        // Those that came meanwhile share its fate: nobody waits for the next attempt.
        const refused = [...lines, ...this.#lines];
        this.#lines = refused.map((line) => ({ ...line, settle: null }));
        this.#dropExcess();
        for (const { settle } of refused) settle?.reject(error);
        this.#retry = setTimeout(() => this.#writeWaiting(), AUDIT_RETRY_MS);
        this.#retry.unref();
        break;
      }
      this.#problem = null;
      for (const { settle } of lines) settle?.resolve();
    }
    this.#isWriting = false;
  }

  #dropExcess(): void {
    const excess = this.#lines.splice(0, Math.max(0, this.#lines.length - AUDIT_LINES_WAITING_MAX));
    this.#linesLost += excess.length;
    for (const { settle } of excess) settle?.reject(new Error('too many lines wait for the disk'));
  }

  #fail(error: unknown): void {
    const { path } = this.#options;
    this.#failures++;
    this.#problem = { code: errorCode(error), message: unwritten(path, error) };
    this.#logFault(
      'error',
      'audit',
      { file: path, reason: errorMessage(error) },
      "can't write the audit log",
    );
  }
}

function unwritten(path: string, error: unknown): string {
  return `The audit log ${path} can't be written: ${errorMessage(error)}. It needs room on its disk, and a folder that the service may write to.`;
}

/** What a line says; null for one that isn't ours, or is torn. */
function recordOf(line: string): CommandRecord | null {
  if (line === '') return null;
  try {
    const { id, time, outcome, refusals_left_out } = JSON.parse(line);
    const isRecord =
      typeof id === 'string' &&
      !Number.isNaN(Date.parse(time)) &&
      COMMAND_OUTCOMES.includes(outcome) &&
      Number.isInteger(refusals_left_out);
    return isRecord ? JSON.parse(line) : null;
  } catch {
    return null;
  }
}

/** Tells of refused attempts that no other line tells of. */
function leftOutRecord(count: number): CommandRecord {
  const draft = draftOf(null, { principal: '', address: '' });
  return { ...draft, code: 'COMMANDS_REFUSED', refusals_left_out: count };
}

/** Rejects where it takes longer; the work goes on. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new DiskTimeout(`the disk didn't answer for ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
