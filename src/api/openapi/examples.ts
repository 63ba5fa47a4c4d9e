import type {
  ComponentTypeReply,
  GapsReply,
  ProtocolReply,
  ReadinessReply,
  SampleReply,
  SeriesReply,
  SignalStateReply,
  StateReply,
  StatusReply,
} from '../schemas.ts';

/** Answers as the document shows them. */

const RPM: SignalStateReply = {
  value: 1200,
  raw_value: 1200,
  value_name: null,
  unit: 'rpm',
  value_type: 'UINT16',
  message_type: 'STATUS',
  timestamp: 1764000000.123456,
  age_s: 0.377,
  stale: false,
  count: 4711,
  rate_hz: 20,
  bus: 'can0',
  node_id: 2,
};

export const STATE_EXAMPLE: StateReply = {
  timestamp: 1764000000.5,
  simulated: false,
  components: {
    MOTORS: { MOTOR_LEFT_REAR: { RPM } },
    LIGHTS: {
      FRONT: {
        MODE: {
          ...RPM,
          value: 3,
          raw_value: 3,
          value_name: 'DIM',
          unit: null,
          value_type: 'UINT8',
          timestamp: 1764000000.25,
          age_s: 0.25,
          count: 236,
          rate_hz: 1,
          node_id: 1,
        },
      },
    },
  },
};

export const COMPONENT_STATE_EXAMPLE: StateReply = {
  ...STATE_EXAMPLE,
  components: { MOTORS: { MOTOR_LEFT_REAR: { RPM } } },
};

export const SAMPLES_EXAMPLE: SampleReply[] = [
  {
    seq: 1042,
    timestamp: 1764000000.123456,
    bus: 'can0',
    node_id: 2,
    message_type: 'STATUS',
    component_type: 'MOTORS',
    component_id: 'MOTOR_LEFT_REAR',
    command_id: 'RPM',
    value_type: 'UINT16',
    value: 1200,
    raw_value: 1200,
    value_name: null,
    unit: 'rpm',
  },
];

export const SAMPLES_NDJSON_EXAMPLE = SAMPLES_EXAMPLE.map((sample) => `${JSON.stringify(sample)}\n`).join('');

export const SAMPLES_CSV_EXAMPLE =
  'seq,timestamp,bus,node_id,message_type,component_type,component_id,command_id,value_type,value,raw_value,value_name,unit\n' +
  '1042,1764000000.123456,can0,2,STATUS,MOTORS,MOTOR_LEFT_REAR,RPM,UINT16,1200,1200,,rpm\n';

export const GAPS_EXAMPLE: GapsReply = {
  gaps: [
    {
      bus: 'can0',
      cause: 'bus_down',
      from: 1767225630.123,
      to: 1767225642.5,
      count: null,
      ongoing: false,
    },
  ],
};

export const SERIES_EXAMPLE: SeriesReply = {
  from: 1767225600,
  to: 1767225720,
  step_s: 40,
  timestamps: [1767225600, 1767225640, 1767225680],
  signals: [
    {
      unit: 'rpm',
      value_names: null,
      count: [800, 800, 0],
      min: [0, 310, null],
      max: [812, 805, null],
      mean: [611.2, 640.9, null],
      last: [742, 731, null],
    },
  ],
  gaps: GAPS_EXAMPLE.gaps,
};

const MOTORS: ComponentTypeReply = {
  id: 1,
  name: 'MOTORS',
  components: [
    { id: 0, name: 'MOTOR_LEFT_REAR' },
    { id: 255, name: 'ALL' },
  ],
  commands: [
    {
      id: 1,
      name: 'RPM',
      unit: 'rpm',
      scale: 1,
      value_type: 'UINT16',
      values: null,
      values_by_component: {},
    },
    {
      id: 2,
      name: 'DIRECTION',
      unit: null,
      scale: 1,
      value_type: 'UINT8',
      values: { 0: 'FORWARD', 1: 'REVERSE', 2: 'NEUTRAL' },
      values_by_component: {},
    },
  ],
  error_values: { 0: 'STATUS_OK', 1: 'ERROR_OVERCURRENT' },
};

export const COMPONENT_TYPE_EXAMPLE: ComponentTypeReply = MOTORS;

export const PROTOCOL_EXAMPLE: ProtocolReply = {
  message_types: [
    { id: 0, name: 'COMMAND' },
    { id: 1, name: 'STATUS' },
    { id: 2, name: 'ACK' },
    { id: 3, name: 'ERROR' },
  ],
  value_types: [
    { id: 0, name: 'BOOLEAN' },
    { id: 4, name: 'UINT16' },
  ],
  component_types: { MOTORS },
};

export const READY_EXAMPLE: ReadinessReply = { ready: true, history: 'open', buses: { can0: 'open' } };

export const NOT_READY_EXAMPLE: ReadinessReply = {
  ready: false,
  history: 'open',
  buses: { can0: 'unavailable' },
};

export const STATUS_EXAMPLE: StatusReply = {
  version: '0.1.0',
  timestamp: 1764000000.5,
  started: 1763996400.25,
  uptime_s: 3600.25,
  simulated: false,
  clock: {
    synchronised: true,
    step_count: 1,
    steps: [{ timestamp: 1763996420, step_s: 86400.5, corrects: true }],
    samples_corrected: 13200,
    last_correction: 1763996420.1,
    corrections: [
      { timestamp: 1763996420.1, from_seq: 1, to_seq: 13200, moved_by_s: 86400.5, samples: 13200 },
    ],
    corrected: [{ from_seq: 1, to_seq: 13200, moved_by_s: 86400.5 }],
  },
  buses: [
    {
      name: 'can0',
      url: 'socketcan:can0?bitrate=500000',
      kind: 'socketcan',
      simulated: false,
      state: 'open',
      since: 1763996400.5,
      problem: null,
      silent_since: null,
      frames: 2376000,
      frames_per_s: 660.1,
      bytes: 19008000,
      bytes_per_s: 5280.8,
      bus_load_percent: 15.8,
      figures_interval_s: 5,
      frames_lost: { interface: 0, kernel: 0 },
      frames_sent: 0,
      send_failures: 0,
      send_queue: { used: 0, max: 256 },
      reopened: 0,
      outcomes: {
        decoded: 2375999,
        unknown_component: 0,
        unknown_command: 0,
        reserved_component_type: 0,
        reserved_value_type: 0,
        wrong_length: 1,
        extended_id: 0,
        remote_frame: 0,
        error_frame: 0,
        can_fd: 0,
        series_limit: 0,
      },
      can_ids: [
        {
          can_id: 2,
          extended: false,
          frames: 391680,
          outcomes: { decoded: 391679, wrong_length: 1 },
          rate_hz: 108.8,
          last_seen: 1764000000.49,
          last_payload: '48000001400004b0',
        },
      ],
      frames_of_other_ids: 0,
      time_sync: {
        enabled: true,
        interval_s: 1,
        pings: 3600,
        send_failures: 0,
        pongs_passed_over: { late: 0, doubled: 0, foreign: 0, unasked: 0, untracked: 0 },
        nodes: [
          {
            node_id: 2,
            round_trip_ms: { last: 1.6, min: 1.1, mean: 1.7, max: 4.9 },
            last_pong: 1764000000.001,
            pings: 3600,
            pongs: 3599,
            missed: 1,
          },
        ],
        nodes_max: 64,
        nodes_dated: 1,
        frames_redated: 12,
      },
      controller: {
        state: 'error_active',
        tx_errors: 0,
        rx_errors: 0,
        errors: { protocol: 2 },
        last_error: { timestamp: 1763998000, message: 'protocol violation: bit stuffing' },
        changes: [{ timestamp: 1763996400.5, state: 'error_active' }],
      },
      driver: { interface_drops: 0, kernel_drops: 0, timestamp_source: 'kernel', sends_delayed: 0 },
    },
  ],
  state: { signals: 121, series: 124, series_max: 65536 },
  history: {
    path: '/var/lib/telemetry-collector/collector.db',
    state: 'open',
    samples: 41_000_000,
    first_timestamp: 1763900000.25,
    last_timestamp: 1764000000.49,
    bytes: 82_000_000,
    wal_bytes: 4_200_000,
    samples_stored: 2_375_400,
    samples_lost: { queue: 0, write: 0 },
    commits: 3600,
    last_commit_ms: 3.2,
    problem: null,
    set_aside: null,
    damages: 0,
    gaps: { count: 3, max: 10000 },
    max_samples: null,
    max_age_s: 2592000,
    max_bytes: null,
    flush_interval_s: 1,
    durability: 'full',
    sample_batches: { used: 1, max: 64 },
    queries: { used: 0, max: 64 },
  },
  recording: null,
  api: {
    clients: { used: 2, max: 4096 },
    requests: 21_400,
    refused: {
      token: 3,
      scope: 0,
      host: 0,
      origin: 0,
      rate: 0,
      overload: 0,
      too_large: 0,
      too_slow: 0,
      malformed: 1,
    },
    sockets: { used: 3, max: 512, refused: 0, displaced: 0, stalled: 0, revoked: 0 },
    exports: { used: 1, max: 8 },
    unsent_bytes: { used: 0, max: 33_554_432 },
    anonymous: ['read', 'export'],
    tokens: 1,
    tls: null,
    problem: null,
    compression: { answers: { used: 0, max: 8 }, streams: { used: 1, max: 4 }, passed_over: 0 },
  },
  stream: {
    clients: 2,
    clients_max: 256,
    clients_behind: 0,
    subscriptions: 3,
    selections: { used: 2, max: 1024 },
    bytes_waiting: 0,
    clients_accepted: 5,
    clients_refused: 0,
    clients_stalled: 0,
    clients_silent: 1,
    clients_abusive: 0,
    messages_sent: 18_240,
    bytes_sent: 9_402_113,
    samples_sent: 30_112,
    samples_resumed: 840,
    samples_missed: 0,
    gaps: 0,
  },
  commands: {
    enabled: true,
    sent: 42,
    acknowledged: 41,
    timed_out: 1,
    refused_by_node: 0,
    refused: 2,
    failed: 0,
    stops_joined: 0,
    waiting: 0,
    waiting_max: 80,
    audit: {
      path: '/var/lib/telemetry-collector/commands.log',
      failures: 0,
      lines_waiting: 0,
      lines_waiting_max: 256,
      lines_lost: 0,
      refusals_left_out: 0,
      problem: null,
    },
  },
  process: {
    pid: 712,
    node: 'v24.21.0',
    cpu_s: 151.4,
    memory_bytes: 121_000_000,
    heap_bytes: 18_400_000,
    event_loop_busy: 0.031,
    threads: ['main', 'history writer', 'history reader', 'bus can0'],
  },
  host: {
    name: 'kart',
    platform: 'linux arm64',
    cpus: 4,
    load_1min: 0.21,
    memory_total_bytes: 4_000_000_000,
    memory_free_bytes: 2_900_000_000,
    disk_total_bytes: 31_000_000_000,
    disk_free_bytes: 22_000_000_000,
    temperature_c: 51.2,
    uptime_s: 3640.5,
    health: { interval_s: 5, samples: 5040, frames_sent: 0, send_failures: 0 },
  },
};
