import { counter, gauge, type MetricsSource } from './metric-family.ts';

interface Used {
  readonly used: number;
  readonly max: number;
}

/** What the API tells in /api/status of who came in and who did not. */
export interface AccessStats {
  readonly clients: Used;
  readonly requests: number;
  /** By reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly sockets: Used & {
    readonly refused: number;
    readonly displaced: number;
    readonly stalled: number;
    readonly revoked: number;
  };
  readonly exports: Used;
  readonly unsent_bytes: Used;
  readonly tokens: number;
  /** Null where the API is served by HTTP. */
  readonly tls: { readonly expires: number } | null;
  /** Null where tokens and certificate are as they should be. */
  readonly problem: object | null;
}

/** Has shown who is let in, who is refused, and when the certificate ends. */
export function accessMetrics(stats: () => AccessStats): MetricsSource {
  return () => {
    const { clients, requests, refused, sockets, exports, unsent_bytes, tokens, tls, problem } = stats();
    const closed = [
      [{ reason: 'refused' }, sockets.refused],
      [{ reason: 'displaced' }, sockets.displaced],
      [{ reason: 'stalled' }, sockets.stalled],
      [{ reason: 'revoked' }, sockets.revoked],
    ] as const;
    return [
      gauge('collector_api_clients', 'Clients that asked within a minute, by their addresses.', clients.used),
      gauge('collector_api_clients_limit', 'Such clients that are told apart.', clients.max),
      counter('collector_api_requests_total', 'Requests that came in, refused or not.', requests),
      counter(
        'collector_api_requests_refused_total',
        'Requests that were refused, by the reason.',
        Object.entries(refused).map(([reason, count]) => [{ reason }, count]),
      ),
      gauge('collector_api_sockets', 'Connections of clients.', sockets.used),
      gauge('collector_api_sockets_limit', 'Connections that there may be.', sockets.max),
      counter(
        'collector_api_sockets_closed_total',
        'Connections that the service closed by itself, by the reason.',
        closed,
      ),
      gauge('collector_api_exports', 'Exports under way.', exports.used),
      gauge('collector_api_exports_limit', 'Exports that there may be.', exports.max),
      gauge('collector_api_unsent_bytes', 'Answers that clients have yet to take.', unsent_bytes.used),
      gauge('collector_api_unsent_limit_bytes', 'What of that there may be.', unsent_bytes.max),
      gauge('collector_api_tokens', "Tokens that haven't expired.", tokens),
      gauge(
        'collector_api_certificate_expiry_timestamp_seconds',
        'When the certificate expires; where there is one.',
        tls?.expires ?? null,
      ),
      gauge(
        'collector_api_credentials_unreadable',
        'Whether tokens or certificate could not be read again.',
        problem === null ? 0 : 1,
      ),
    ];
  };
}
