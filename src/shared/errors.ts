/**
 * Operating errors: what can go wrong while the program is right.
 *
 *   CollectorError
 *    ├─ ConfigError       before the start: the configuration can't be used
 *    ├─ ProtocolError     before the start: the protocol definitions can't be used
 *    ├─ BusError          opening or using a bus; the worker retries, the service goes on
 *    ├─ HistoryError      opening or using the database
 *    ├─ TokenError        reading or changing the file of tokens
 *    └─ QueryError        a request that can't be answered as it stands
 *
 * Every error has a stable `code` for programs and a message for people that says what was
 * expected, what was found and what to do. A broken assumption of the code itself is an assertion,
 * never one of these.
 */
export class CollectorError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

export class ConfigError extends CollectorError {}

export class ProtocolError extends CollectorError {}

export class BusError extends CollectorError {}

export class HistoryError extends CollectorError {}

export class TokenError extends CollectorError {}

/** A query that can't be answered as it stands; `statusCode` is the HTTP status that says so. */
export class QueryError extends CollectorError {
  readonly statusCode: number;

  constructor(statusCode: number, code: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.statusCode = statusCode;
  }
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The stable code of anything that was thrown: a CollectorError's or a system error's, else UNEXPECTED. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : 'UNEXPECTED';
}
