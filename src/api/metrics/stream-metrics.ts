import { counter, gauge, type MetricsSource } from './metric-family.ts';

/** What the live stream tells of itself in /api/status. */
export interface StreamStats {
  readonly clients: number;
  readonly clients_max: number;
  readonly clients_behind: number;
  readonly subscriptions: number;
  readonly selections: { readonly used: number; readonly max: number };
  readonly bytes_waiting: number;
  readonly clients_accepted: number;
  readonly clients_refused: number;
  readonly clients_stalled: number;
  readonly clients_silent: number;
  readonly clients_abusive: number;
  readonly messages_sent: number;
  readonly bytes_sent: number;
  readonly samples_sent: number;
  readonly samples_resumed: number;
  readonly samples_missed: number;
  readonly gaps: number;
}

/** Has the clients of the live stream shown. */
export function streamMetrics(stats: () => StreamStats): MetricsSource {
  return () => {
    const stream = stats();
    const closed = [
      [{ reason: 'stalled' }, stream.clients_stalled],
      [{ reason: 'silent' }, stream.clients_silent],
      [{ reason: 'abusive' }, stream.clients_abusive],
    ] as const;
    return [
      gauge('collector_stream_clients', 'Clients of the live stream.', stream.clients),
      gauge('collector_stream_clients_limit', 'Clients that there may be.', stream.clients_max),
      gauge(
        'collector_stream_clients_behind',
        'Clients that take less than there is for them.',
        stream.clients_behind,
      ),
      gauge('collector_stream_subscriptions', 'Subscriptions of all clients.', stream.subscriptions),
      gauge(
        'collector_stream_selections',
        'Selections of signals that clients have, each counted once.',
        stream.selections.used,
      ),
      gauge('collector_stream_selections_limit', 'Such selections that there may be.', stream.selections.max),
      gauge('collector_stream_waiting_bytes', 'What clients have yet to take.', stream.bytes_waiting),
      counter(
        'collector_stream_clients_accepted_total',
        'Clients that were let in.',
        stream.clients_accepted,
      ),
      counter(
        'collector_stream_clients_refused_total',
        'Clients that were not, as there were too many.',
        stream.clients_refused,
      ),
      counter(
        'collector_stream_clients_closed_total',
        'Clients that were cut off, by the reason: they took nothing, gave no sign of life, or sent too much.',
        closed,
      ),
      counter('collector_stream_messages_sent_total', 'Messages sent to clients.', stream.messages_sent),
      counter('collector_stream_sent_bytes_total', 'Bytes of these.', stream.bytes_sent),
      counter('collector_stream_samples_sent_total', 'Samples sent to clients.', stream.samples_sent),
      counter(
        'collector_stream_samples_resumed_total',
        'What of these came from the history, for clients that had been away.',
        stream.samples_resumed,
      ),
      counter(
        'collector_stream_samples_missed_total',
        'Samples left out, as a client was too slow for them.',
        stream.samples_missed,
      ),
      counter(
        'collector_stream_gaps_total',
        'Gaps told to clients that had been away for too long.',
        stream.gaps,
      ),
    ];
  };
}
