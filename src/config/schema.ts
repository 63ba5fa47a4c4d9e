import { type Static, Type } from 'typebox';

import { BUS_NAME_CHARS_MAX, type BusUrl } from '../bus/bus-url.ts';
import { STANDARD_CAN_ID_MAX } from '../bus/can-frame.ts';
import {
  API_RATE_PER_S_MAX,
  COMMAND_TIMEOUT_MAX_MS,
  COMMAND_TIMEOUT_MIN_MS,
  HISTORY_BYTES_MIN,
  HOST_INTERVAL_MAX_MS,
  HOST_INTERVAL_MIN_MS,
  RECORDING_FILE_BYTES_MIN,
  TIME_SYNC_INTERVAL_MAX_MS,
  TIME_SYNC_INTERVAL_MIN_MS,
} from '../shared/limits.ts';
import { DURATION_UNITS_MS, FINE_DURATION_UNITS_US, SIZE_UNITS_BYTES } from './units.ts';

/**
 * The configuration, said once. The types of the running service, the keys of the file, the flags, the
 * environment variables, the defaults, the checks, the help text and docs/configuration.md all come
 * from the schema at the end of this file.
 *
 * The schema describes what the service is given (`flushIntervalMs: 1000`); the `setting` annotation of
 * each leaf says how people write it (`flush_interval: 1s`).
 */

/** How a setting is written; forms.ts reads and writes each. */
export type SettingForm =
  | 'buses'
  | 'busName'
  | 'canId'
  | 'choice'
  | 'duration'
  | 'file'
  | 'fineDuration'
  | 'folder'
  | 'host'
  | 'hostName'
  | 'integer'
  | 'level'
  | 'origin'
  | 'size';

/** A flag, an environment variable or both, that give one setting. */
export interface SettingInput {
  /** Without the leading dashes. */
  readonly flag?: string;
  readonly env?: string;
  /** Stands for the value in the help text. */
  readonly placeholder: string;
  readonly description: string;
  readonly isRepeatable?: boolean;
}

export interface SettingAnnotation {
  /** Key within its section of the file. */
  readonly key: string;
  readonly form: SettingForm;
  readonly description: string;
  /** As one would write it, or null where it follows from another setting: `defaultNote` says how. */
  readonly default: string | null;
  readonly defaultNote?: string;
  readonly inputs: readonly SettingInput[];
  /** Whether it is a list: in the file one of YAML, elsewhere with commas between its items. */
  readonly isList?: boolean;
  /** The word that turns the setting off; the service is given null, or an empty list. */
  readonly nullWord?: 'none' | 'off' | 'unlimited';
  /** What a `choice` is from; words that a `duration` may be instead. */
  readonly choices?: readonly string[];
  /** In the unit of the service's value: milliseconds, microseconds, bytes, items. */
  readonly minimum?: number;
  readonly maximum?: number;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** What a power cut may cost: `full`, what came since the last commit; `relaxed`, commits since the last checkpoint. */
export const DURABILITIES = ['full', 'relaxed'] as const;

/**
 * What may be asked without a token. `local`: where the API serves this machine alone, reading and exports; elsewhere
 * nothing. `read`: reading, wherever it is asked from. `none`: nothing.
 */
export const ANONYMOUS_RIGHTS = ['local', 'read', 'none'] as const;

/** How the files of a recording are compressed. */
export const RECORDING_COMPRESSIONS = ['zstd', 'none'] as const;

/** Said instead of an interval: time is kept on simulated karts alone, where frames that are sent touch nothing. */
export const TIME_SYNC_SIMULATED = 'simulated';

/** How often the simulated kart's nodes are asked then. */
export const TIME_SYNC_SIMULATED_MS = 1000;

/** Whether anybody may send commands to the vehicle. */
export const COMMANDS_SWITCH = ['off', 'on'] as const;

export const BUSES_MAX = 16;
export const BUS_NAME_PATTERN = `^[A-Za-z0-9._-]{1,${BUS_NAME_CHARS_MAX}}$`;

/** The flag and the variable that name the file itself. */
export const CONFIG_FILE_INPUT = {
  flag: 'config',
  env: 'COLLECTOR_CONFIG',
  placeholder: 'FILE',
  description: 'configuration file (YAML)',
} as const;

/** Read where neither names a file, if it is there. */
export const CONFIG_FILE_DEFAULT = 'collector.yaml';

interface PlainSetting extends Omit<SettingAnnotation, 'inputs'> {
  readonly flag?: string;
  readonly env?: string;
  readonly placeholder?: string;
  readonly isRepeatable?: boolean;
}

const HistorySchema = Type.Object({
  path: Type.String(
    annotated({
      key: 'path',
      form: 'file',
      description: 'SQLite database of the history',
      default: null,
      defaultNote: 'collector.db in the state directory',
      flag: 'db',
      env: 'DB_PATH',
      placeholder: 'FILE',
    }),
  ),
  flushIntervalMs: Type.Integer(
    annotated({
      key: 'flush_interval',
      form: 'duration',
      description:
        'how often samples are committed; with full durability a power cut costs at most this much',
      default: '1s',
      minimum: 100,
      maximum: DURATION_UNITS_MS.min,
      flag: 'flush-interval',
      placeholder: 'DURATION',
    }),
  ),
  durability: Type.Enum(
    DURABILITIES,
    annotated({
      key: 'durability',
      form: 'choice',
      choices: DURABILITIES,
      description:
        'full: each commit is synced to the disk; relaxed: less wear, but a power cut may cost the last minutes. Neither harms what is older',
      default: 'full',
      flag: 'durability',
      placeholder: 'HOW',
    }),
  ),
  timestampResolutionUs: Type.Integer(
    annotated({
      key: 'timestamp_resolution',
      form: 'fineDuration',
      description:
        'stored timestamps are rounded to a multiple of this: at 1ms samples take two thirds of the room',
      default: '1us',
      minimum: 1,
      maximum: FINE_DURATION_UNITS_US.s,
      flag: 'timestamp-resolution',
      placeholder: 'DURATION',
    }),
  ),
  maxAgeMs: nullable(
    annotated({
      key: 'max_age',
      form: 'duration',
      description: 'samples older than this are deleted',
      default: '365d',
      nullWord: 'unlimited',
      minimum: DURATION_UNITS_MS.s,
      maximum: 36_500 * DURATION_UNITS_MS.d,
      flag: 'max-age',
      placeholder: 'DURATION',
    }),
  ),
  maxSamples: nullable(
    annotated({
      key: 'max_samples',
      form: 'integer',
      description: 'the oldest samples beyond this number are deleted',
      default: 'unlimited',
      nullWord: 'unlimited',
      minimum: 1,
      maximum: 1e12,
      flag: 'max-samples',
      env: 'MAX_HISTORY_RECORDS',
      placeholder: 'COUNT',
    }),
  ),
  maxBytes: nullable(
    annotated({
      key: 'max_bytes',
      form: 'size',
      description: 'size that the database stays within, its write-ahead log included',
      default: '2GiB',
      nullWord: 'unlimited',
      minimum: HISTORY_BYTES_MIN,
      maximum: 1024 * SIZE_UNITS_BYTES.GiB,
      flag: 'max-bytes',
      placeholder: 'SIZE',
    }),
  ),
  secondsMaxAgeMs: nullable(
    annotated({
      key: 'seconds_max_age',
      form: 'duration',
      description:
        "how long what a signal's samples come to by the second is kept: least, greatest, mean, last",
      default: '730d',
      nullWord: 'unlimited',
      minimum: DURATION_UNITS_MS.s,
      maximum: 36_500 * DURATION_UNITS_MS.d,
    }),
  ),
  minutesMaxAgeMs: nullable(
    annotated({
      key: 'minutes_max_age',
      form: 'duration',
      description: 'how long what they come to by the minute is kept',
      default: '3650d',
      nullWord: 'unlimited',
      minimum: DURATION_UNITS_MS.s,
      maximum: 36_500 * DURATION_UNITS_MS.d,
    }),
  ),
});

const RecordingSchema = Type.Object({
  path: Type.Union(
    [Type.String(), Type.Null()],
    annotated({
      key: 'path',
      form: 'folder',
      description: 'folder that every frame of every bus is recorded to, as candump logs',
      default: 'none',
      nullWord: 'none',
      flag: 'recording',
      env: 'RECORDING_PATH',
      placeholder: 'FOLDER',
    }),
  ),
  maxFileBytes: Type.Integer(
    annotated({
      key: 'max_file_bytes',
      form: 'size',
      description: 'size, as it is on the disk, at which another file is begun',
      default: '64MiB',
      minimum: RECORDING_FILE_BYTES_MIN,
      maximum: 64 * SIZE_UNITS_BYTES.GiB,
      flag: 'recording-max-file-bytes',
      placeholder: 'SIZE',
    }),
  ),
  maxFileAgeMs: Type.Integer(
    annotated({
      key: 'max_file_age',
      form: 'duration',
      description: 'how long one file is written to',
      default: '1h',
      minimum: DURATION_UNITS_MS.s,
      maximum: 366 * DURATION_UNITS_MS.d,
      flag: 'recording-max-file-age',
      placeholder: 'DURATION',
    }),
  ),
  maxBytes: nullable(
    annotated({
      key: 'max_bytes',
      form: 'size',
      description: 'what all files of the folder come to at most: the oldest are deleted first',
      default: '2GiB',
      nullWord: 'unlimited',
      minimum: 2 * RECORDING_FILE_BYTES_MIN,
      maximum: 1024 * SIZE_UNITS_BYTES.GiB,
      flag: 'recording-max-bytes',
      placeholder: 'SIZE',
    }),
  ),
  compress: Type.Enum(
    RECORDING_COMPRESSIONS,
    annotated({
      key: 'compress',
      form: 'choice',
      choices: RECORDING_COMPRESSIONS,
      description: 'zstd: a sixth of the room, and a torn end is known as such; none: plain text',
      default: 'zstd',
      flag: 'recording-compress',
      placeholder: 'HOW',
    }),
  ),
});

const TimeSyncSchema = Type.Object({
  interval: Type.Union(
    [Type.Integer(), Type.Literal(TIME_SYNC_SIMULATED), Type.Null()],
    annotated({
      key: 'interval',
      form: 'duration',
      choices: [TIME_SYNC_SIMULATED],
      description:
        "how often frames are sent that keep the nodes' time, on CAN interfaces, too; simulated: each second, to simulated karts alone; off: never",
      default: TIME_SYNC_SIMULATED,
      nullWord: 'off',
      minimum: TIME_SYNC_INTERVAL_MIN_MS,
      maximum: TIME_SYNC_INTERVAL_MAX_MS,
      flag: 'time-sync',
      env: 'TIME_SYNC_INTERVAL',
      placeholder: 'DURATION',
    }),
  ),
});

const HostSchema = Type.Object({
  intervalMs: nullable(
    annotated({
      key: 'interval',
      form: 'duration',
      description:
        "how often this machine's own health is recorded, beside a live bus or a simulated kart: load, memory, disk, temperature, network; and the load of its buses",
      default: '5s',
      nullWord: 'off',
      minimum: HOST_INTERVAL_MIN_MS,
      maximum: HOST_INTERVAL_MAX_MS,
      flag: 'host-interval',
      env: 'HOST_INTERVAL',
      placeholder: 'DURATION',
    }),
  ),
  send: Type.Array(
    Type.String(),
    annotated({
      key: 'send',
      form: 'busName',
      isList: true,
      description: 'buses that the same is sent on, as STATUS frames under node_id',
      default: 'none',
      nullWord: 'none',
      flag: 'host-send',
      isRepeatable: true,
      env: 'HOST_SEND',
      placeholder: 'NAME',
    }),
  ),
});

const ApiSchema = Type.Object({
  host: Type.String(
    annotated({
      key: 'host',
      form: 'host',
      description: 'address the HTTP server listens on; 0.0.0.0 or :: for all',
      default: '127.0.0.1',
      flag: 'host',
      env: 'API_HOST',
      placeholder: 'HOST',
    }),
  ),
  port: Type.Integer(
    annotated({
      key: 'port',
      form: 'integer',
      description: 'port the HTTP server listens on; 0 for any free one',
      default: '5001',
      minimum: 0,
      maximum: 65_535,
      flag: 'port',
      env: 'API_PORT',
      placeholder: 'PORT',
    }),
  ),
  anonymous: Type.Enum(
    ANONYMOUS_RIGHTS,
    annotated({
      key: 'anonymous',
      form: 'choice',
      choices: ANONYMOUS_RIGHTS,
      description:
        'what may be asked without a token. local: reading and exports while the API serves this machine alone, nothing once it is on a network; read: reading, on a network, too; none: nothing',
      default: 'local',
      flag: 'anonymous',
      env: 'API_ANONYMOUS',
      placeholder: 'RIGHTS',
    }),
  ),
  tokensPath: Type.String(
    annotated({
      key: 'tokens',
      form: 'file',
      description: 'file of the tokens, as hashes; `token create` writes it',
      default: null,
      defaultNote: 'tokens.json next to the database',
      flag: 'tokens',
      env: 'API_TOKENS',
      placeholder: 'FILE',
    }),
  ),
  origins: Type.Array(
    Type.String(),
    annotated({
      key: 'origins',
      form: 'origin',
      isList: true,
      description: 'web pages of other origins that may ask, such as http://kart.local:3000',
      default: 'none',
      nullWord: 'none',
      flag: 'origin',
      isRepeatable: true,
      env: 'API_ORIGINS',
      placeholder: 'ORIGIN',
    }),
  ),
  hosts: Type.Array(
    Type.String(),
    annotated({
      key: 'hosts',
      form: 'hostName',
      isList: true,
      description:
        "names that the API is called by, beside IP addresses, localhost, the machine's own name and the address that it listens on",
      default: 'none',
      nullWord: 'none',
      flag: 'host-name',
      isRepeatable: true,
      env: 'API_HOST_NAMES',
      placeholder: 'NAME',
    }),
  ),
  ratePerS: nullable(
    annotated({
      key: 'rate_limit',
      form: 'integer',
      description: 'requests that one client may make in a second',
      default: '500',
      nullWord: 'unlimited',
      minimum: 1,
      maximum: API_RATE_PER_S_MAX,
      flag: 'rate-limit',
      env: 'API_RATE_LIMIT',
      placeholder: 'COUNT',
    }),
  ),
  tlsCertPath: Type.Union(
    [Type.String(), Type.Null()],
    annotated({
      key: 'tls_cert',
      form: 'file',
      description: 'certificate (PEM, with those between it and its root): the API is then served by HTTPS',
      default: 'none',
      nullWord: 'none',
      flag: 'tls-cert',
      env: 'API_TLS_CERT',
      placeholder: 'FILE',
    }),
  ),
  tlsKeyPath: Type.Union(
    [Type.String(), Type.Null()],
    annotated({
      key: 'tls_key',
      form: 'file',
      description: 'private key of that certificate (PEM, without a passphrase)',
      default: 'none',
      nullWord: 'none',
      flag: 'tls-key',
      env: 'API_TLS_KEY',
      placeholder: 'FILE',
    }),
  ),
});

const CommandsSchema = Type.Object({
  enabled: Type.Enum(
    COMMANDS_SWITCH,
    annotated({
      key: 'enabled',
      form: 'choice',
      choices: COMMANDS_SWITCH,
      description: 'whether clients with the scope `command` may send commands to the vehicle',
      default: 'off',
      flag: 'commands',
      placeholder: 'ON',
    }),
  ),
  audit: Type.String(
    annotated({
      key: 'audit',
      form: 'file',
      description: 'audit log of the commands, as JSON lines: every attempt, by whom, and what came of it',
      default: null,
      defaultNote: 'commands.log next to the database',
    }),
  ),
  timeoutMs: Type.Integer(
    annotated({
      key: 'timeout',
      form: 'duration',
      description: 'how long a command waits for a node to echo it, unless it says so itself',
      default: '1s',
      minimum: COMMAND_TIMEOUT_MIN_MS,
      maximum: COMMAND_TIMEOUT_MAX_MS,
    }),
  ),
});

const LogSchema = Type.Object({
  level: Type.Enum(
    LOG_LEVELS,
    annotated({
      key: 'level',
      form: 'level',
      description: `least severe level that is logged: ${LOG_LEVELS.join(', ')}`,
      default: 'info',
      flag: 'log-level',
      env: 'LOG_LEVEL',
      placeholder: 'LEVEL',
    }),
  ),
  file: Type.Union(
    [Type.String(), Type.Null()],
    annotated({
      key: 'file',
      form: 'file',
      description: 'log file, as JSON lines, beside what goes to the standard output',
      default: null,
      defaultNote: 'collector.log next to the database',
      nullWord: 'none',
      flag: 'log-file',
      env: 'LOG_FILE',
      placeholder: 'FILE',
    }),
  ),
  maxBytes: Type.Integer(
    annotated({
      key: 'max_bytes',
      form: 'size',
      description: 'size at which the log file is rotated',
      default: '10MiB',
      minimum: 4 * SIZE_UNITS_BYTES.KiB,
      maximum: SIZE_UNITS_BYTES.GiB,
    }),
  ),
  maxFiles: Type.Integer(
    annotated({
      key: 'max_files',
      form: 'integer',
      description: 'rotated log files that are kept beside the active one',
      default: '5',
      minimum: 1,
      maximum: 100,
    }),
  ),
});

const BusesSchema = Type.Array(
  Type.Object({
    name: Type.String({ pattern: BUS_NAME_PATTERN, description: 'what the bus is called on the API' }),
    url: Type.String({ description: 'as it was written' }),
    // What `url` says, with a relative path made absolute. parseBusUrl has checked it.
    spec: Type.Unsafe<BusUrl>(Type.Object({ kind: Type.String() })),
  }),
  {
    minItems: 1,
    maxItems: BUSES_MAX,
    ...annotation({
      key: 'buses',
      form: 'buses',
      description: 'the buses to listen to, each with a url and, if it is to be called otherwise, a name',
      default: 'sim:kart',
      defaultNote: 'sim:kart, a simulated kart',
      inputs: [
        {
          flag: 'bus',
          placeholder: 'URL',
          description: "bus to listen to instead of the file's (repeatable)",
          isRepeatable: true,
        },
        {
          flag: 'can',
          env: 'CAN_INTERFACE',
          placeholder: 'IFACE',
          description: 'CAN interface to listen to, short for --bus socketcan:IFACE',
        },
        {
          flag: 'bitrate',
          env: 'CAN_BAUDRATE',
          placeholder: 'BITS',
          description: 'bitrate in bit/s of the CAN interfaces whose URL says none',
        },
      ],
    }),
  },
);

export const CollectorConfigSchema = Type.Object({
  buses: BusesSchema,
  nodeId: Type.Integer(
    annotated({
      key: 'node_id',
      form: 'canId',
      description: 'CAN id that our own frames are sent under',
      default: '0',
      minimum: 0,
      maximum: STANDARD_CAN_ID_MAX,
      flag: 'node-id',
      env: 'CAN_NODE_ID',
      placeholder: 'ID',
    }),
  ),
  timeSync: TimeSyncSchema,
  host: HostSchema,
  history: HistorySchema,
  recording: RecordingSchema,
  api: ApiSchema,
  commands: CommandsSchema,
  log: LogSchema,
});

export type CollectorConfig = DeepReadonly<Static<typeof CollectorConfigSchema>>;
export type BusConfig = CollectorConfig['buses'][number];
export type HistoryConfig = CollectorConfig['history'];
export type RecordingConfig = CollectorConfig['recording'];
export type TimeSyncConfig = CollectorConfig['timeSync'];
export type HostConfig = CollectorConfig['host'];
export type ApiConfig = CollectorConfig['api'];
export type CommandsConfig = CollectorConfig['commands'];
export type LogConfig = CollectorConfig['log'];
export type LogLevel = LogConfig['level'];

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** The options of a leaf's schema: what JSON Schema knows, and the whole annotation as `setting`. */
function annotated({ flag, env, placeholder = 'VALUE', isRepeatable, ...rest }: PlainSetting): LeafOptions {
  const inputs: SettingInput[] = [];
  if (flag !== undefined || env !== undefined) {
    inputs.push({
      placeholder,
      description: rest.description,
      ...(flag !== undefined && { flag }),
      ...(env !== undefined && { env }),
      ...(isRepeatable !== undefined && { isRepeatable }),
    });
  }
  return annotation({ ...rest, inputs });
}

// A type rather than an interface: TypeBox wants the index signature that only an alias implies.
type LeafOptions = {
  description: string;
  setting: SettingAnnotation;
  minimum?: number;
  maximum?: number;
};

function annotation(setting: SettingAnnotation): LeafOptions {
  return {
    description: setting.description,
    setting,
    ...(setting.minimum !== undefined && { minimum: setting.minimum }),
    ...(setting.maximum !== undefined && { maximum: setting.maximum }),
  };
}

/** An integer in the annotation's range, or null where its null word was written. */
function nullable(options: LeafOptions) {
  return Type.Union([Type.Integer(options), Type.Null()], {
    description: options.description,
    setting: options.setting,
  });
}
