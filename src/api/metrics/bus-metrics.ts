import type { StatusReply } from '../schemas.ts';
import { counter, gauge, type Labels, type MetricFamily, stateSet } from './metric-family.ts';

type BusReply = StatusReply['buses'][number];

const BUS_STATES = ['starting', 'open', 'unavailable', 'ended', 'stopped'];
const CONTROLLER_STATES = ['error_active', 'error_warning', 'error_passive', 'bus_off', 'unknown'];

/** What the buses say of themselves. */
export function busMetrics(buses: StatusReply['buses']): MetricFamily[] {
  /** One value for each bus. */
  const each = (toValue: (bus: BusReply) => number | null) =>
    buses.map((bus) => [{ bus: bus.name }, toValue(bus)] as const);
  /** One for each of the names that a bus counts by. */
  const eachOf = (label: string, countsOf: (bus: BusReply) => Readonly<Record<string, number | null>>) =>
    buses.flatMap((bus) =>
      Object.entries(countsOf(bus)).map(([name, value]): readonly [Labels, number | null] => [
        { bus: bus.name, [label]: name },
        value,
      ]),
    );
  const statesOf = (stateOf: (bus: BusReply) => string) =>
    buses.map((bus) => [{ bus: bus.name }, stateOf(bus)] as const);

  return [
    gauge(
      'collector_bus_info',
      'What kind of bus it is: socketcan, sim, or the format of a log that is replayed.',
      buses.map(({ name, kind }) => [{ bus: name, kind }, 1]),
    ),
    stateSet(
      'collector_bus_state',
      'State of the bus.',
      BUS_STATES,
      statesOf(({ state }) => state),
    ),
    gauge(
      'collector_bus_silent',
      'Whether nothing has come for long on a bus that used to be busier.',
      each(({ silent_since }) => (silent_since === null ? 0 : 1)),
    ),
    counter(
      'collector_bus_frames_total',
      'Frames read.',
      each(({ frames }) => frames),
    ),
    counter(
      'collector_bus_payload_bytes_total',
      'Payload of the frames read.',
      each(({ bytes }) => bytes),
    ),
    gauge(
      'collector_bus_load_ratio',
      'Part of the time that frames took on the bus, over the last second or so; where the bitrate is known.',
      each(({ bus_load_percent }) => (bus_load_percent === null ? null : bus_load_percent / 100)),
    ),
    counter(
      'collector_bus_frames_lost_total',
      'Frames lost before they were read, by the reason.',
      eachOf('reason', ({ frames_lost }) => frames_lost),
    ),
    counter(
      'collector_bus_frame_outcomes_total',
      'What became of the frames read: decoded, or what is wrong with them.',
      eachOf('outcome', ({ outcomes }) => outcomes),
    ),
    counter(
      'collector_bus_reopened_total',
      'Times that the bus was opened again.',
      each(({ reopened }) => reopened),
    ),
    counter(
      'collector_bus_frames_sent_total',
      'Frames sent.',
      each(({ frames_sent }) => frames_sent),
    ),
    counter(
      'collector_bus_send_failures_total',
      'Frames that were to be sent and were not.',
      each(({ send_failures }) => send_failures),
    ),
    gauge(
      'collector_bus_send_queue_frames',
      'Frames that wait to be sent.',
      each(({ send_queue }) => send_queue.used),
    ),
    gauge(
      'collector_bus_send_queue_limit_frames',
      'Frames that may wait to be sent.',
      each(({ send_queue }) => send_queue.max),
    ),
    stateSet(
      'collector_bus_controller_state',
      'State of the CAN controller, as far as it has told.',
      CONTROLLER_STATES,
      statesOf(({ controller }) => controller.state ?? 'unknown'),
    ),
    gauge(
      'collector_bus_controller_errors',
      "The controller's own error counters, which go up and down (ISO 11898-1), as far as it has told.",
      eachOf('direction', ({ controller }) => ({ tx: controller.tx_errors, rx: controller.rx_errors })),
    ),
    counter(
      'collector_bus_controller_reports_total',
      'What the controller has reported, by error frames.',
      eachOf('kind', ({ controller }) => controller.errors),
    ),
    ...timeSyncMetrics(each, eachOf),
  ];
}

function timeSyncMetrics(
  each: (toValue: (bus: BusReply) => number | null) => (readonly [Labels, number | null])[],
  eachOf: (
    label: string,
    countsOf: (bus: BusReply) => Readonly<Record<string, number | null>>,
  ) => (readonly [Labels, number | null])[],
): MetricFamily[] {
  return [
    gauge(
      'collector_time_sync_nodes',
      'Nodes whose time is kept.',
      each(({ time_sync }) => time_sync.nodes.length),
    ),
    counter(
      'collector_time_sync_pings_total',
      'PINGs sent.',
      each(({ time_sync }) => time_sync.pings),
    ),
    counter(
      'collector_time_sync_send_failures_total',
      'PINGs and SET_TIMEs that could not be sent.',
      each(({ time_sync }) => time_sync.send_failures),
    ),
    counter(
      'collector_time_sync_pongs_passed_over_total',
      'PONGs that nothing came of, by the reason.',
      eachOf('reason', ({ time_sync }) => time_sync.pongs_passed_over),
    ),
  ];
}
