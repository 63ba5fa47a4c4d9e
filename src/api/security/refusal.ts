import { QueryError } from '../../shared/errors.ts';
import type { RefusalReason } from './counters.ts';

/** A request that isn't answered, although it may be right; the reason is counted. */
export class Refusal extends QueryError {
  readonly reason: RefusalReason;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    statusCode: number,
    code: string,
    reason: RefusalReason,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(statusCode, code, message);
    this.reason = reason;
    this.headers = headers;
  }
}

/** Too much at once: the client is to try again after so many seconds. */
export function overloaded(code: string, message: string, retryAfterS = 1): Refusal {
  return new Refusal(503, code, 'overload', message, { 'retry-after': String(retryAfterS) });
}
