import { counter, gauge, type MetricsSource } from './metric-family.ts';

/** What is told of commands in /api/status. */
export interface CommandStats {
  readonly enabled: boolean;
  readonly sent: number;
  readonly acknowledged: number;
  readonly timed_out: number;
  readonly refused_by_node: number;
  readonly refused: number;
  readonly failed: number;
  readonly stops_joined: number;
  readonly waiting: number;
  readonly waiting_max: number;
  readonly audit: {
    readonly failures: number;
    readonly lines_waiting: number;
    readonly lines_waiting_max: number;
    readonly lines_lost: number;
    readonly refusals_left_out: number;
  };
}

/** Has commands shown, and their audit log. */
export function commandMetrics(stats: () => CommandStats): MetricsSource {
  return () => {
    const { audit, ...commands } = stats();
    const outcomes = [
      [{ outcome: 'acknowledged' }, commands.acknowledged],
      [{ outcome: 'timed_out' }, commands.timed_out],
      [{ outcome: 'refused_by_node' }, commands.refused_by_node],
      [{ outcome: 'refused' }, commands.refused],
      [{ outcome: 'failed' }, commands.failed],
      [{ outcome: 'joined' }, commands.stops_joined],
    ] as const;
    return [
      gauge('collector_commands_enabled', 'Whether commands may be sent.', commands.enabled ? 1 : 0),
      counter('collector_commands_sent_total', 'Frames of commands sent.', commands.sent),
      counter(
        'collector_commands_total',
        'What became of commands; joined are emergency stops that the frame of another stood for.',
        outcomes,
      ),
      gauge('collector_commands_waiting', 'Commands that wait to be acknowledged.', commands.waiting),
      gauge('collector_commands_waiting_limit', 'Commands that may wait.', commands.waiting_max),
      counter(
        'collector_command_audit_failures_total',
        'Writes to the audit log that the disk refused, or did not answer in time.',
        audit.failures,
      ),
      gauge('collector_command_audit_lines', 'Lines that wait for the disk.', audit.lines_waiting),
      gauge('collector_command_audit_lines_limit', 'Lines that may wait.', audit.lines_waiting_max),
      counter('collector_command_audit_lines_lost_total', 'Lines beyond that.', audit.lines_lost),
      counter(
        'collector_command_audit_refusals_left_out_total',
        'Refused attempts that have no line of their own.',
        audit.refusals_left_out,
      ),
    ];
  };
}
