/** Why a request was refused. */
export const REFUSAL_REASONS = [
  /** No token where one is needed, or none that is known. */
  'token',
  /** A token that may not do this. */
  'scope',
  /** The API was called by a name that isn't its own. */
  'host',
  /** A web page of another origin. */
  'origin',
  /** More requests than one client may make, or than may come over one connection ahead of their answers. */
  'rate',
  /** No room: exports, queries, or bytes that clients haven't taken. */
  'overload',
  /** A head or a body that is too large. */
  'too_large',
  /** A request that didn't come to its end in time. */
  'too_slow',
  /** No HTTP. */
  'malformed',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** What the API has done since the start, for /api/status and /metrics. */
export class ApiCounters {
  /** Requests whose head was understood, refused or not. */
  requests = 0;
  /** Requests that were refused, by the reason. */
  readonly refused: Record<RefusalReason, number> = {
    token: 0,
    scope: 0,
    host: 0,
    origin: 0,
    rate: 0,
    overload: 0,
    too_large: 0,
    too_slow: 0,
    malformed: 0,
  };
  /** Sockets that were closed as they came, since there were API_SOCKETS_MAX already, or this client had as many as one may. */
  socketsRefused = 0;
  /** Sockets that were closed to make room for others: nothing was asked over them at the time. */
  socketsDisplaced = 0;
  /** Sockets that were closed since their client took nothing of its answer. */
  socketsStalled = 0;
  /** Sockets that were closed since the token they were opened with was revoked or has expired. */
  socketsRevoked = 0;
}
