/**
 * What the client throws. `code` is stable, for programs: the service's own (QUERY_INVALID, TOKEN_MISSING, ...;
 * docs/http-api.md), or one of these:
 *
 *   UNREACHABLE      no answer: the service isn't there, or the connection broke
 *   TIMEOUT          no answer in time
 *   REPLY_INVALID    an answer that isn't the service's: another program's, or a proxy's
 *   STREAM_SILENT    a stream on which not even a heartbeat came
 *   STREAM_CLOSED    a stream that the service has closed
 *
 * Where the caller's AbortSignal ends a call, it is the signal's reason that is thrown.
 */
export class CollectorClientError extends Error {
  /** Of the HTTP answer; 0 where there was none. */
  readonly statusCode: number;
  readonly code: string;
  /** When it makes sense to try again, where the service says so. */
  readonly retryAfterS: number | null;

  constructor(
    statusCode: number,
    code: string,
    message: string,
    options: ErrorOptions & { readonly retryAfterS?: number | null } = {},
  ) {
    super(message, options);
    this.name = 'CollectorClientError';
    this.statusCode = statusCode;
    this.code = code;
    this.retryAfterS = options.retryAfterS ?? null;
  }
}

/** What is known of the reason: fetch() says "fetch failed", and why in its cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}

/** Has an error of somebody else's function end as uncaught, as one of an event listener does, and not here. */
export function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
