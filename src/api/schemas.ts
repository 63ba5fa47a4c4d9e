import { type Static, Type } from 'typebox';
import { GAP_CAUSES } from '../history/gap.ts';
import { CommandsStatusSchema } from './command/status-schema.ts';
import { Nullable, nullable } from './nullable.ts';
import { AccessStatusSchema } from './security/schemas.ts';

export type { ComponentTypeReply, ProtocolReply } from './protocol-schemas.ts';

/** What goes over the wire. The types of clients and of the dashboard come from here. */

export const ErrorSchema = Type.Object(
  {
    statusCode: Type.Integer({ description: 'that of the answer' }),
    code: Type.String({ description: 'stable, for programs' }),
    error: Type.String({ description: 'the name of the status code' }),
    message: Type.String({ description: 'what was expected, what was found and what to do' }),
  },
  { title: 'Error' },
);

const SignalFields = {
  value: Type.Number({ description: 'physical value, in `unit`' }),
  raw_value: Type.Number({ description: 'what the wire carried' }),
  value_name: { ...Nullable.string, description: 'the name of the value, where the command has names' },
  unit: { ...Nullable.string, description: 'null for a bare number, a boolean or a named value' },
  value_type: Type.String({ description: 'how the wire carried it: BOOLEAN, INT8 to UINT24' }),
  message_type: Type.String({ description: 'COMMAND, STATUS, ACK or ERROR' }),
  timestamp: Type.Number({ description: 'seconds since the epoch, with microseconds' }),
  bus: Type.String({ description: 'by its name in the configuration' }),
  node_id: Type.Integer({ description: 'CAN id of the sending node' }),
};

export const SignalStateSchema = Type.Object(
  {
    ...SignalFields,
    age_s: Type.Number({ description: 'since it arrived, by a clock that never jumps' }),
    stale: Type.Boolean({ description: 'silent for three times its usual interval, at least 1 s' }),
    count: Type.Integer({ description: 'samples so far, of earlier runs too' }),
    rate_hz: Type.Number({ description: 'how often it comes, by the last intervals; 0 while it is stale' }),
  },
  { title: 'SignalState' },
);

export const StateSchema = Type.Object(
  {
    timestamp: Type.Number({ description: 'now, in seconds since the epoch' }),
    simulated: Type.Boolean({ description: 'whether any bus is simulated' }),
    components: Type.Record(
      Type.String(),
      Type.Record(Type.String(), Type.Record(Type.String(), SignalStateSchema)),
      { description: 'component type, component id, command id' },
    ),
  },
  { title: 'State' },
);

export const SampleSchema = Type.Object(
  {
    seq: Type.Integer({ description: 'counts every sample, over restarts too' }),
    timestamp: SignalFields.timestamp,
    bus: SignalFields.bus,
    node_id: SignalFields.node_id,
    message_type: SignalFields.message_type,
    component_type: Type.String({ description: 'what has no name keeps its number: TYPE_6' }),
    component_id: Type.String({ description: 'or COMPONENT_42' }),
    command_id: Type.String({ description: 'which quantity; or COMMAND_99' }),
    value_type: SignalFields.value_type,
    value: SignalFields.value,
    raw_value: SignalFields.raw_value,
    value_name: SignalFields.value_name,
    unit: SignalFields.unit,
  },
  { title: 'Sample' },
);

export const GapSchema = Type.Object(
  {
    bus: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null for all buses' }),
    cause: Type.Enum([...GAP_CAUSES], { type: 'string', description: 'why' }),
    from: Type.Number({ description: 'seconds since the epoch' }),
    to: Type.Number({ description: 'while it lasts, the moment of the answer' }),
    count: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'frames (kernel) or samples that are missing; null where nobody knows',
    }),
    ongoing: Type.Boolean({ description: 'whether it lasts' }),
  },
  { title: 'Gap' },
);

export const GapsSchema = Type.Object(
  { gaps: Type.Array(GapSchema, { description: 'in the order of their beginnings' }) },
  { title: 'Gaps' },
);

const SpanColumn = Type.Array(Nullable.number);

export const SeriesSchema = Type.Object(
  {
    from: Type.Number({ description: 'seconds since the epoch, inclusive' }),
    to: Type.Number({ description: 'exclusive' }),
    step_s: Type.Number({ description: 'length of each of the equal spans of time' }),
    timestamps: Type.Array(Type.Number(), { description: 'where each span begins' }),
    signals: Type.Array(
      Type.Object({
        unit: { ...Nullable.string, description: 'the last that it had in that time' },
        value_names: Type.Unsafe<Record<string, string> | null>({
          type: ['object', 'null'],
          additionalProperties: { type: 'string' },
          description: 'names by raw value, where the command has names',
        }),
        count: Type.Array(Type.Integer(), { description: 'samples in each span' }),
        min: SpanColumn,
        max: SpanColumn,
        mean: SpanColumn,
        last: SpanColumn,
      }),
      { description: 'in the order in which they were asked for; null where a span has no sample' },
    ),
    gaps: Type.Array(GapSchema, { description: 'where samples are missing: those that touch the span' }),
  },
  { title: 'Series' },
);

const ProblemSchema = nullable(
  Type.Object(
    {
      code: Type.String({ description: 'stable, for programs' }),
      message: Type.String({ description: 'what is wrong, and what mends it' }),
    },
    { title: 'Problem' },
  ),
  'null where nothing is wrong',
);

const PathSchema = {
  ...Nullable.string,
  description: 'null for those who need not know: see docs/security.md',
};

/** A damaged database. */
const SetAsideSchema = nullable(
  Type.Object(
    {
      path: PathSchema,
      reason: Type.String({ description: 'what was found' }),
      at: Type.Number(),
    },
    { title: 'SetAside' },
  ),
  'the database that was damaged and renamed in this run; the history begins after it',
);

const QueueSchema = Type.Object({ used: Type.Integer(), max: Type.Integer() }, { title: 'Queue' });

const FrameCountsSchema = Type.Record(Type.String(), Type.Integer());

/** What a bus's controller has told of itself, by error frames. */
const ControllerSchema = Type.Object(
  {
    state: {
      ...Nullable.string,
      description: 'error_active, error_warning, error_passive or bus_off; null until it tells',
    },
    tx_errors: Nullable.integer,
    rx_errors: Nullable.integer,
    errors: Type.Record(Type.String(), Type.Integer(), { description: 'how often it told of each kind' }),
    last_error: nullable(Type.Object({ timestamp: Type.Number(), message: Type.String() })),
    changes: Type.Array(Type.Object({ timestamp: Type.Number(), state: Type.String() }), {
      description: 'when it entered which state, the latest last',
    }),
  },
  { title: 'Controller' },
);

const TimeSyncSchema = Type.Object(
  {
    enabled: Type.Boolean({ description: 'whether frames are sent that keep the time of its nodes' }),
    interval_s: Nullable.number,
    pings: Type.Integer({ description: 'PINGs sent' }),
    send_failures: Type.Integer({ description: 'PINGs and SET_TIMEs that could not be sent' }),
    pongs_passed_over: Type.Object(
      {
        late: Type.Integer(),
        doubled: Type.Integer(),
        foreign: Type.Integer(),
        unasked: Type.Integer(),
        untracked: Type.Integer(),
      },
      { description: 'PONGs that nothing came of, by the reason' },
    ),
    nodes: Type.Array(
      Type.Object({
        node_id: Type.Integer(),
        round_trip_ms: Type.Object({
          last: Type.Number(),
          min: Type.Number(),
          mean: Type.Number(),
          max: Type.Number(),
        }),
        last_pong: Type.Number({ description: 'its timestamp' }),
        pings: Type.Integer({ description: 'PINGs sent since the node was first heard' }),
        pongs: Type.Integer({ description: 'those it answered in time' }),
        missed: Type.Integer({ description: "those it didn't" }),
      }),
    ),
    nodes_max: Type.Integer(),
    nodes_dated: Type.Integer({ description: 'nodes whose late frames are dated by their byte 1' }),
    frames_redated: Type.Integer({ description: 'frames that were' }),
  },
  { title: 'TimeSync' },
);

const BusStatusSchema = Type.Object(
  {
    name: Type.String(),
    url: Type.String(),
    kind: Type.String(),
    simulated: Type.Boolean(),
    state: Type.String({ description: 'starting, open, unavailable, ended or stopped' }),
    since: Type.Number(),
    problem: ProblemSchema,
    silent_since: {
      ...Nullable.number,
      description: 'since when nothing has come on a bus that used to be busier; null where it is not silent',
    },
    frames: Type.Integer(),
    frames_per_s: Type.Number({ description: 'over the last second or so, as are the next two' }),
    bytes: Type.Integer({ description: 'of payload' }),
    bytes_per_s: Type.Number(),
    bus_load_percent: {
      ...Nullable.number,
      description: 'part of the time that frames take; null where the bitrate is not known',
    },
    figures_interval_s: {
      ...Nullable.number,
      description: 'how often these are signals, as CAN_BUS/can0/LOAD, over that time; null for never',
    },
    frames_lost: Type.Object(
      { interface: Type.Integer(), kernel: Type.Integer() },
      {
        description:
          "before they were read. interface: the controller's buffer was full, or its driver's; kernel: the socket's was",
      },
    ),
    frames_sent: Type.Integer(),
    send_failures: Type.Integer({ description: 'frames that were to be sent, and were not' }),
    send_queue: QueueSchema,
    reopened: Type.Integer(),
    outcomes: FrameCountsSchema,
    can_ids: Type.Array(
      Type.Object({
        can_id: Type.Integer(),
        extended: Type.Boolean(),
        frames: Type.Integer(),
        outcomes: FrameCountsSchema,
        rate_hz: Nullable.number,
        last_seen: Nullable.number,
        last_payload: { ...Nullable.string, description: 'hexadecimal' },
      }),
    ),
    frames_of_other_ids: Type.Integer({ description: 'of 29-bit ids beyond those counted one by one' }),
    time_sync: TimeSyncSchema,
    controller: ControllerSchema,
    driver: Type.Record(
      Type.String(),
      Type.Unsafe<number | string | boolean | null>({ type: ['number', 'string', 'boolean', 'null'] }),
      { description: 'what the driver of this kind of bus tells beyond that' },
    ),
  },
  { title: 'BusStatus' },
);

const RecordingStatusSchema = Type.Object(
  {
    path: PathSchema,
    state: Type.String({ description: 'recording, paused (its folder refuses it), failed or stopped' }),
    problem: ProblemSchema,
    file: { ...Nullable.string, description: 'the one that is written to' },
    frames: Type.Integer({ description: 'that are on the disk, since the start' }),
    frames_lost: Type.Object({ queue: Type.Integer(), write: Type.Integer(), failed: Type.Integer() }),
    bytes_written: Type.Integer({ description: 'since the start' }),
    files: Type.Integer({ description: 'in the folder' }),
    bytes: Type.Integer({ description: 'of all of them' }),
    files_deleted: Type.Integer({ description: 'to stay within max_bytes, since the start' }),
    bytes_deleted: Type.Integer(),
    max_bytes: Nullable.integer,
    max_file_bytes: Type.Integer(),
    max_file_age_s: Type.Number(),
    compress: Type.String(),
    queue_bytes: QueueSchema,
  },
  { title: 'RecordingStatus' },
);

const ClockStatusSchema = Type.Object(
  {
    synchronised: {
      ...Nullable.boolean,
      description:
        "whether the kernel says that its clock is kept to the right time; null where it doesn't say",
    },
    step_count: Type.Integer({ description: 'times that the clock was set, since the start' }),
    steps: Type.Array(
      Type.Object({
        timestamp: Type.Number({ description: 'by the clock as it is since' }),
        step_s: Type.Number({ description: 'how far it was set: forward, or below 0 back' }),
        corrects: Type.Boolean({ description: 'whether samples recorded before are corrected' }),
      }),
      { description: 'the last ones' },
    ),
    samples_corrected: Type.Integer({ description: 'since the start' }),
    last_correction: { ...Nullable.number, description: 'when timestamps were corrected last' },
    corrections: Type.Array(
      Type.Object({
        timestamp: Type.Number(),
        from_seq: Type.Integer(),
        to_seq: Type.Integer({ description: 'inclusive' }),
        moved_by_s: Type.Number({ description: 'what was added to the timestamps of these samples' }),
        samples: Type.Integer(),
      }),
      { description: 'the last ones, since the start' },
    ),
    corrected: Type.Array(
      Type.Object({
        from_seq: Type.Integer(),
        to_seq: { ...Nullable.integer, description: 'inclusive; null where samples are still added' },
        moved_by_s: Type.Number({
          description: 'what was added to the timestamps of these samples, all in all',
        }),
      }),
      {
        description:
          'which samples of the history do not have the timestamps that they were recorded with, by their seq; ' +
          'of earlier runs too; the last ones, the newest first',
      },
    ),
  },
  { title: 'ClockStatus' },
);

const StreamStatusSchema = Type.Object(
  {
    clients: Type.Integer({ description: 'connected now, over WebSocket and as event streams' }),
    clients_max: Type.Integer(),
    clients_behind: Type.Integer({ description: 'of those, that take less than there is for them' }),
    subscriptions: Type.Integer(),
    selections: QueueSchema,
    bytes_waiting: Type.Integer({ description: 'for clients, besides what the kernel has taken' }),
    clients_accepted: Type.Integer({ description: 'since the start, as all that follow' }),
    clients_refused: Type.Integer({ description: 'as there were too many' }),
    clients_stalled: Type.Integer({ description: 'closed as they took nothing for too long' }),
    clients_silent: Type.Integer({ description: 'closed as they gave no sign of life' }),
    clients_abusive: Type.Integer({
      description: 'closed as they sent too much, or too much that was wrong',
    }),
    messages_sent: Type.Integer(),
    bytes_sent: Type.Integer(),
    samples_sent: Type.Integer(),
    samples_resumed: Type.Integer({ description: 'of those, from the history' }),
    samples_missed: Type.Integer({ description: 'by clients that were behind' }),
    gaps: Type.Integer({ description: 'told to clients that resumed from too long ago' }),
  },
  { title: 'StreamStatus' },
);

/** What the API tells of itself. */
const ApiStatusSchema = Type.Object(
  {
    ...AccessStatusSchema.properties,
    compression: Type.Object({
      answers: QueueSchema,
      streams: QueueSchema,
      passed_over: Type.Integer({
        description: 'answers and streams that were sent as they are, as too many were being compressed',
      }),
    }),
  },
  { title: 'ApiStatus' },
);

export const StatusSchema = Type.Object(
  {
    version: Type.String(),
    timestamp: Type.Number(),
    started: Type.Number(),
    uptime_s: Type.Number(),
    simulated: Type.Boolean(),
    clock: ClockStatusSchema,
    buses: Type.Array(BusStatusSchema),
    state: Type.Object({ signals: Type.Integer(), series: Type.Integer(), series_max: Type.Integer() }),
    history: Type.Object({
      path: PathSchema,
      state: Type.String({ description: 'open, failed or closed' }),
      samples: Type.Integer(),
      first_timestamp: Nullable.number,
      last_timestamp: Nullable.number,
      bytes: Type.Integer({ description: 'the database and its write-ahead log' }),
      wal_bytes: Type.Integer({ description: 'the write-ahead log alone' }),
      samples_stored: Type.Integer({ description: 'since the start' }),
      samples_lost: Type.Object({ queue: Type.Integer(), write: Type.Integer() }),
      commits: Type.Integer(),
      last_commit_ms: Nullable.number,
      problem: ProblemSchema,
      set_aside: SetAsideSchema,
      damages: Type.Integer({ description: 'times that something stored could not be read' }),
      gaps: Type.Object({ count: Type.Integer(), max: Type.Integer() }),
      max_samples: Nullable.integer,
      max_age_s: Nullable.number,
      max_bytes: Nullable.integer,
      flush_interval_s: Type.Number(),
      durability: { ...Nullable.string, description: 'full or relaxed' },
      sample_batches: QueueSchema,
      queries: QueueSchema,
    }),
    recording: nullable(RecordingStatusSchema, 'null where nothing is recorded'),
    api: ApiStatusSchema,
    stream: StreamStatusSchema,
    commands: CommandsStatusSchema,
    process: Type.Object({
      pid: Type.Integer(),
      node: Type.String(),
      cpu_s: Type.Number({ description: 'all threads, since the start' }),
      memory_bytes: Type.Integer(),
      heap_bytes: Type.Integer(),
      event_loop_busy: Type.Number({ description: 'share of the time since the start, 0 to 1' }),
      threads: Type.Array(Type.String()),
    }),
    host: Type.Object({
      name: Type.String(),
      platform: Type.String(),
      cpus: Type.Integer(),
      load_1min: Type.Number(),
      memory_total_bytes: Type.Integer(),
      memory_free_bytes: Type.Integer(),
      disk_total_bytes: Nullable.integer,
      disk_free_bytes: Nullable.integer,
      temperature_c: Nullable.number,
      uptime_s: Type.Number(),
      health: Type.Object(
        {
          interval_s: { ...Nullable.number, description: 'null where it is not recorded' },
          samples: Type.Integer(),
          frames_sent: Type.Integer(),
          send_failures: Type.Integer(),
        },
        { description: "this machine's own health as signals, since the start" },
      ),
    }),
  },
  { title: 'Status' },
);

export const HealthSchema = Type.Object({ status: Type.String({ description: 'ok' }) }, { title: 'Health' });

export const ReadinessSchema = Type.Object(
  {
    ready: Type.Boolean({ description: 'whether the history and every bus are' }),
    history: Type.String({ description: 'open, failed or closed' }),
    buses: Type.Record(Type.String(), Type.String(), {
      description: 'by name: starting, open, unavailable, ended or stopped',
    }),
  },
  { title: 'Readiness' },
);

export type ErrorReply = Static<typeof ErrorSchema>;
export type SignalStateReply = Static<typeof SignalStateSchema>;
export type StateReply = Static<typeof StateSchema>;
export type SeriesReply = Static<typeof SeriesSchema>;
export type GapReply = Static<typeof GapSchema>;
export type GapsReply = Static<typeof GapsSchema>;
export type SampleReply = Static<typeof SampleSchema>;
export type StatusReply = Static<typeof StatusSchema>;
export type StreamStatus = Static<typeof StreamStatusSchema>;
/** What the service tells of itself to its API, which adds how that is. */
export type ServiceStatus = Omit<StatusReply, 'api' | 'stream'>;
export type ReadinessReply = Static<typeof ReadinessSchema>;
