import type { HistoryTimings } from '../../history/persistent-telemetry-store.ts';
import type { StatusReply } from '../schemas.ts';
import { counter, gauge, histogram, type Labels, type MetricFamily, stateSet } from './metric-family.ts';

const HISTORY_STATES = ['open', 'failed', 'closed'];
const RECORDING_STATES = ['off', 'recording', 'paused', 'failed', 'stopped'];

/** What the history has, what it lost, and how long its threads took. */
export function historyMetrics(history: StatusReply['history'], timings: HistoryTimings): MetricFamily[] {
  const { first_timestamp: first, last_timestamp: last } = history;
  return [
    stateSet('collector_history_state', 'State of the history.', HISTORY_STATES, [[{}, history.state]]),
    gauge('collector_history_samples', 'Samples that are stored.', history.samples),
    gauge(
      'collector_history_samples_limit',
      'Samples that are kept at most; where there is such a limit.',
      history.max_samples,
    ),
    gauge('collector_history_oldest_timestamp_seconds', 'Timestamp of the oldest sample.', first),
    gauge('collector_history_newest_timestamp_seconds', 'Timestamp of the newest sample.', last),
    gauge(
      'collector_history_span_seconds',
      'Time from the oldest sample to the newest.',
      first === null || last === null ? 0 : last - first,
    ),
    gauge('collector_history_size_bytes', 'Size of the database, its log included.', history.bytes),
    gauge(
      'collector_history_size_limit_bytes',
      'Size that the database stays within; where there is such a limit.',
      history.max_bytes,
    ),
    gauge('collector_history_wal_bytes', "Size of the database's write-ahead log.", history.wal_bytes),
    counter('collector_history_samples_stored_total', 'Samples made durable.', history.samples_stored),
    counter(
      'collector_history_samples_lost_total',
      'Samples that were not stored: as too many waited (queue), or as the database refused them (write).',
      byName('reason', history.samples_lost),
    ),
    gauge(
      'collector_history_gaps',
      'Spans known in which samples are missing, of earlier runs, too.',
      history.gaps.count,
    ),
    gauge('collector_history_gaps_limit', 'Such spans that are kept at most.', history.gaps.max),
    counter(
      'collector_history_damages_total',
      'Times that something stored could not be read.',
      history.damages,
    ),
    gauge(
      'collector_history_set_aside',
      'Whether a damaged database was set aside in this run, and another begun.',
      history.set_aside === null ? 0 : 1,
    ),
    gauge(
      'collector_history_sample_batches',
      'Batches of samples that are filled or wait for the writer.',
      history.sample_batches.used,
    ),
    gauge(
      'collector_history_sample_batches_limit',
      'Such batches that there are; with none left samples are lost.',
      history.sample_batches.max,
    ),
    histogram('collector_history_commit_duration_seconds', 'How long it took to make samples durable.', [
      [{}, timings.commits],
    ]),
    ...queryMetrics(history, timings),
  ];
}

function queryMetrics({ queries }: StatusReply['history'], timings: HistoryTimings): MetricFamily[] {
  const { durations, refused, failed } = timings.queries;
  return [
    gauge('collector_history_queries', 'Queries that wait for an answer.', queries.used),
    gauge('collector_history_queries_limit', 'Queries that may wait.', queries.max),
    histogram(
      'collector_history_query_duration_seconds',
      'How long queries took, the wait for those before included; newest is answered from memory.',
      Object.entries(durations).map(([kind, counts]) => [{ kind }, counts]),
    ),
    counter('collector_history_queries_refused_total', 'Queries refused, as too many waited.', refused),
    counter('collector_history_queries_failed_total', 'Queries that were not answered.', failed),
  ];
}

/** What the recording of frames has; zeros where nothing is recorded. */
export function recordingMetrics(recording: StatusReply['recording']): MetricFamily[] {
  return [
    stateSet('collector_recording_state', 'State of the recording of frames.', RECORDING_STATES, [
      [{}, recording?.state ?? 'off'],
    ]),
    counter('collector_recording_frames_total', 'Frames recorded, on the disk.', recording?.frames ?? 0),
    counter(
      'collector_recording_frames_lost_total',
      'Frames that were not recorded, by the reason.',
      byName('reason', recording?.frames_lost ?? { queue: 0, write: 0, failed: 0 }),
    ),
    counter('collector_recording_written_bytes_total', 'Bytes written.', recording?.bytes_written ?? 0),
    gauge('collector_recording_files', 'Files in the folder.', recording?.files ?? 0),
    gauge('collector_recording_size_bytes', 'Size of all files.', recording?.bytes ?? 0),
    gauge(
      'collector_recording_size_limit_bytes',
      'Size that all files stay within; where there is such a limit.',
      recording?.max_bytes ?? null,
    ),
    counter(
      'collector_recording_files_deleted_total',
      'Files deleted, to stay within that.',
      recording?.files_deleted ?? 0,
    ),
    gauge(
      'collector_recording_queue_bytes',
      'Frames that wait to be recorded.',
      recording?.queue_bytes.used ?? 0,
    ),
    gauge(
      'collector_recording_queue_limit_bytes',
      'Frames that may wait to be recorded.',
      recording?.queue_bytes.max ?? 0,
    ),
  ];
}

function byName(label: string, counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([name, value]): readonly [Labels, number] => [{ [label]: name }, value]);
}
