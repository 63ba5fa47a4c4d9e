import type { ServiceStatus } from '../schemas.ts';
import { counter, gauge, type MetricFamily } from './metric-family.ts';

/** What the service as a whole says of itself: its version, its state, its clock. */
export function serviceMetrics({ version, process, simulated, state, clock }: ServiceStatus): MetricFamily[] {
  return [
    gauge('collector_build_info', 'The version that runs, and the Node.js under it.', [
      [{ version, node: process.node }, 1],
    ]),
    gauge('collector_simulated', 'Whether any bus is simulated.', simulated ? 1 : 0),
    gauge('collector_signals', 'Signals that have been heard.', state.signals),
    gauge('collector_series', 'Series known: signals as one node sends them, on one bus.', state.series),
    gauge('collector_series_limit', 'Series that there may be.', state.series_max),
    gauge(
      'collector_clock_synchronized',
      'Whether the kernel says that its clock is kept to the right time; where it says anything.',
      clock.synchronised === null ? null : Number(clock.synchronised),
    ),
    counter('collector_clock_steps_total', 'Times that the clock was set.', clock.step_count),
    counter(
      'collector_clock_samples_corrected_total',
      'Samples whose timestamps were moved, as the clock was set.',
      clock.samples_corrected,
    ),
  ];
}

/** How the machine is. */
export function hostMetrics({ host }: ServiceStatus): MetricFamily[] {
  return [
    gauge(
      'collector_host_temperature_celsius',
      "Temperature of the machine's processor.",
      host.temperature_c,
    ),
    gauge('collector_host_disk_size_bytes', "Size of the history's disk.", host.disk_total_bytes),
    gauge('collector_host_disk_free_bytes', 'What of it is free.', host.disk_free_bytes),
    gauge('collector_host_memory_size_bytes', 'Memory of the machine.', host.memory_total_bytes),
    gauge('collector_host_memory_free_bytes', 'What of it programs may have.', host.memory_free_bytes),
    gauge('collector_host_load1', 'Load average of the last minute.', host.load_1min),
    gauge('collector_host_cpus', 'Processors that the service may use.', host.cpus),
    gauge('collector_host_uptime_seconds', "Time since the machine's start.", host.uptime_s),
    counter(
      'collector_host_health_samples_total',
      "Samples of the machine's own health.",
      host.health.samples,
    ),
    counter('collector_host_health_frames_sent_total', 'Frames sent of it.', host.health.frames_sent),
    counter(
      'collector_host_health_send_failures_total',
      'Frames of it that could not be sent.',
      host.health.send_failures,
    ),
  ];
}
