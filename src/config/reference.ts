import { type TSchema, Type } from 'typebox';
import { BITRATE_BIT_PER_S_DEFAULT } from '../bus/bus-url.ts';

import {
  CONFIG_FILE_DEFAULT,
  CONFIG_FILE_INPUT,
  CollectorConfigSchema,
  type SettingAnnotation,
  type SettingInput,
} from './schema.ts';
import { formatDurationMs, formatDurationUs, formatSizeBytes } from './units.ts';

/** One setting of the schema, with its place in the file and in CollectorConfig. */
export interface Setting extends SettingAnnotation {
  /** Place in the file: `history.flush_interval`. */
  readonly path: string;
  /** Place in CollectorConfig: `['history', 'flushIntervalMs']`. */
  readonly properties: readonly string[];
}

/** Every setting, in the schema's order. */
export const SETTINGS: readonly Setting[] = [...settingsOf(CollectorConfigSchema, [])];

/** The default as one would write it, or what it follows from. */
export function defaultText(setting: Setting): string {
  return setting.defaultNote ?? setting.default ?? '';
}

/** The description of a flag with its default and environment variable, for --help. */
export function inputHelp(input: SettingInput, setting: Setting): string {
  const facts: string[] = [];
  if (input === setting.inputs[0]) facts.push(`default: ${defaultText(setting)}`);
  if (input.env !== undefined) facts.push(`env: ${input.env}`);
  return facts.length === 0 ? input.description : `${input.description} (${facts.join('; ')})`;
}

/** How a value of the service is written: 86400000 as `1d`, null as `unlimited`. */
export function formatSetting(
  setting: SettingAnnotation,
  value: string | number | readonly string[] | null,
): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return setting.nullWord ?? '';
  if (typeof value === 'object') return value.join(', ');
  if (typeof value === 'string') return value;
  if (setting.form === 'duration') return formatDurationMs(value);
  if (setting.form === 'fineDuration') return formatDurationUs(value);
  if (setting.form === 'size') return formatSizeBytes(value);
  if (setting.form === 'canId' && value !== 0) return `0x${value.toString(16).toUpperCase()}`;
  return String(value);
}

/** What a setting may be, for its row of the table. */
function rangeCell(setting: SettingAnnotation): string {
  const or = setting.nullWord && `or ${code(setting.nullWord)}`;
  const list = setting.isList === true ? 'a list' : '';
  const values = [list, rangeText(setting), ...(setting.choices ?? []).map(code)].filter(Boolean).join(', ');
  return [values, or].filter(Boolean).join(' ');
}

/** The range of a setting in words, as `100ms to 1min`; empty where it has none. */
export function rangeText(setting: SettingAnnotation): string {
  if (setting.minimum === undefined || setting.maximum === undefined) return '';
  return `${formatSetting(setting, setting.minimum)} to ${formatSetting(setting, setting.maximum)}`;
}

/** docs/configuration.md. */
export function configurationPage(): string {
  const rows = SETTINGS.map((setting) => [
    code(setting.path),
    setting.description,
    setting.defaultNote ?? code(setting.default ?? ''),
    rangeCell(setting),
    setting.inputs
      .flatMap(({ flag, placeholder }) => (flag ? code(`--${flag} ${placeholder}`) : []))
      .join(', '),
    setting.inputs.flatMap(({ env }) => (env ? code(env) : [])).join(', '),
  ]);
  return [
    ...INTRODUCTION,
    '| key | what it is | default | range | flag | environment |',
    '|---|---|---|---|---|---|',
    ...rows.map((cells) => `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`),
    ...FORMS,
    '',
  ].join('\n');
}

const INTRODUCTION = [
  '# Configuration',
  '',
  '<!-- Written from src/config/schema.ts: node --test --test-update-snapshots src/config/reference.test.ts -->',
  '',
  'Flags go over environment variables, those over the file, and the file over the defaults. The file is',
  `YAML: \`${CONFIG_FILE_DEFAULT}\` in the working directory if it exists, or the one that \`--${CONFIG_FILE_INPUT.flag} FILE\` or`,
  `\`${CONFIG_FILE_INPUT.env}\` names. Unknown keys are errors, an empty environment variable counts as unset, and`,
  'all mistakes are told at once, each with its place. `telemetry-collector config check FILE` tells them',
  'without starting the service, and shows where each effective value comes from.',
  '',
  '```yaml',
  'buses:',
  '  - url: socketcan:can0?bitrate=500000&restart_ms=100&configure=on',
  '  - name: rear',
  '    url: socketcan:can1',
  'history:',
  '  flush_interval: 500ms',
  '  max_age: 90d',
  'recording:',
  '  path: /var/lib/telemetry-collector/can',
  '  max_bytes: 8GiB',
  'api:',
  '  host: 0.0.0.0',
  '  anonymous: read',
  '  origins: [http://kart.local:3000]',
  'log:',
  '  level: debug',
  '```',
  '',
];

const FORMS = [
  '',
  '## How values are written',
  '',
  '- Durations have a unit: `500ms`, `1s`, `5min`, `2h`, `30d`; a resolution `us`, `ms` or `s`. So have sizes:',
  '  `500kB`, `10MiB`, `1GB`. A number alone is an error.',
  '- CAN ids are decimal or hexadecimal: `16` or `0x10`.',
  '- A relative path in the file starts at the folder of the file, any other at the working directory;',
  '  `~/` is the home directory. The state directory is `$STATE_DIRECTORY` if set (systemd sets it), else',
  '  `$XDG_STATE_HOME/telemetry-collector`, else `~/.local/state/telemetry-collector`.',
  '- A list is one of YAML, or has commas between its items: `API_ORIGINS=http://a:3000,http://b`. Its flag may be repeated.',
  '- A log level may be written in any letter case, and as Python calls it (`WARNING`, `CRITICAL`).',
  '- `CAN_INTERFACE` and `--can` take the name of an interface or a whole bus URL.',
  '',
  '## Buses',
  '',
  '| url | what it reads | options |',
  '|---|---|---|',
  '| `socketcan:can0` | a CAN interface of this machine | `configure`, `bitrate` and how else the interface is to be, see below; `fd=on`, `off` or `auto`; `filter`: which frames are wanted, see below |',
  '| `candump:drive.log` | a log file of `candump -l` or `-L`, replayed; or a folder of them | `speed`: times the recorded pace, or `max`; `loop`; `time=now` or `log` (at `speed=max`: `log`): whose timestamps the frames carry |',
  "| `asc:drive.asc` | a log in Vector's ASC format (CANalyzer, CANoe, python-can), replayed; or a folder of them | the same |",
  '| `sim:kart` | a simulated kart | `seed` (the same seed gives the same drive), `rate`: times the pace of real time |',
  '',
  'Options follow a `?` and are separated by `&`. A path that holds `?` or `%` writes them `%3F` and `%25`. A bus',
  'without a name is called after its interface or its file. With a name of its own it may be called',
  'anything of 1 to 32 letters, digits, dots, dashes and underscores.',
  '',
  '## Logs',
  '',
  'Logs are read compressed (zstd, gzip) or not; what they are is seen from their first bytes. Of a folder all files are',
  'read one after the other whose names end with `.log` (`.asc`), perhaps with a number and `.zst` or `.gz`. A folder of our',
  'own recording is read in the order in which it was recorded, whatever the clock said meanwhile; any other by the',
  'times of the first frames. What is torn or damaged of a compressed log, or what a disk gives no more, is passed over, counted',
  "(`damages` in the status) and told in the service's log, as are lines that are no frames (`lines_broken`). All channels of a",
  'log come as one bus. Between the words of a line there may be any blanks, and lines that begin with `#` are comments.',
  '',
  'An ASC file says when it begins (`date`, or `Begin Triggerblock`) without a time zone: it is taken for that of this machine.',
  'Its frames are those of classic CAN and CAN FD, remote and error frames; `TxRq`, the wish to send, is passed over, as',
  'are comments and other events. The format is documented by Vector with its tools; what is read here is what python-can 4.1',
  '(`can/io/asc.py`) and `log2asc` of can-utils write.',
  '',
  '## Recording',
  '',
  '`recording.path` names a folder, and every frame of every bus is written there as it came, whatever the protocol makes of it.',
  '[operating.md](operating.md#recording) has more.',
  '',
  '## Commands',
  '',
  'Nobody can send anything to the vehicle over HTTP until `commands.enabled: on`. Then `POST /api/command` does, for tokens',
  'with the scope `command`, under `node_id`; every attempt is noted down in `commands.audit`.',
  '[operating.md](operating.md#commands) has more.',
  '',
  '## The API on a network',
  '',
  'Without any of it the API serves this machine alone, and whoever is on it may read. With `api.host` it is on a network, and',
  'needs a token (`telemetry-collector token create`) or `anonymous: read`. [security.md](security.md) has all of it.',
  '',
  '## Time sync',
  '',
  'With `time_sync.interval: 1s` the service is the time master of every bus that is live: it sends PING and SET_TIME, as the',
  "kart's protocol wants it. Unless it is given, nothing is sent on a CAN interface; a simulated kart is asked each second. Give it",
  "only where a bus is the kart's, and no other time master is there; `time_sync=off` in the URL of another keeps it out. Logs are",
  'never sent to.',
  '[operating.md](operating.md#time-sync) has more.',
  '',
  '## This machine',
  '',
  "Where a bus is live, or a kart simulated, this machine's own health is recorded, too: each `host.interval` a sample of each",
  'quantity it tells, as SYSTEM_MONITOR/RASPBERRY_PI, of a bus called `host`; so no bus may be called that. Logs that are replayed',
  'are of another machine and time: beside them alone there is none.',
  '',
  'With it goes what each of these buses carries, as CAN_BUS/can0/LOAD and CAN_BUS/can0/FRAME_RATE: `off` is off for both.',
  '[operating.md](operating.md#the-load-of-the-buses) has more.',
  '',
  'With `host.send: [can0]` it goes out on these buses as well, as STATUS frames under `node_id`. Unless it is given, nothing is sent.',
  '[operating.md](operating.md#the-machines-own-health) has more.',
  '',
  '## CAN interfaces',
  '',
  "What the URL of a `socketcan` bus says of its interface, it is to be. What it doesn't say stays as it is; a",
  `controller that has no bitrate yet is given ${BITRATE_BIT_PER_S_DEFAULT} bit/s.`,
  '',
  '| option | what it is | range |',
  '|---|---|---|',
  '| `bitrate` | bit/s | 5000 to 1000000 |',
  '| `sample_point` | where in a bit it is sampled, as a part of its length; with `bitrate` | 0.001 to 0.999 |',
  '| `dbitrate`, `dsample_point` | the same of the data phase of CAN FD; switches the controller to it | 5000 to 8000000 |',
  '| `restart_ms` | after a bus-off the kernel starts the controller again; `0`: never | 0 to 60000 |',
  '| `txqueuelen` | frames that wait in the kernel to be sent | 1 to 100000 |',
  '| `time_sync` | `off`: nothing is sent that keeps the time, whatever `time_sync.interval` says | `off` |',
  '| `configure` | `on`: the service brings the interface up and sets it so; `off`: it says the command that does | `off` if not given |',
  '',
  'With `configure=on` the interface is looked at each time that the bus is opened: at the start, and when an adapter',
  'that was unplugged is back. Where it is down or differs it is set, through `ip` of iproute2. That needs',
  'CAP_NET_ADMIN, and takes the interface down for a moment, for other programs too. A virtual bus (`vcan0`) has a',
  '`txqueuelen` alone.',
  '',
  "`filter` keeps frames away that aren't wanted: the kernel doesn't hand them over, and nothing counts them. It is written",
  'as for `candump`, in hexadecimal, up to 512 of these with commas between them:',
  '',
  '| filter | frames that pass |',
  '|---|---|',
  '| `123:7FF` | those whose id has the bits of `123` where the mask `7FF` has ones |',
  '| `12345678:DFFFFFFF` | the same with 29 bits: an id of 8 digits |',
  '| `200~700` | those that `200:700` would keep away |',
  '| `j` | beside others: those that all filters let pass, rather than one of them |',
  '',
  'So `?filter=000:600,700:7F0` is 000 to 1FF and 700 to 70F. A mask that begins with `C` looks at the kind of frame, too:',
  '`123:7FF` lets any id of 29 bits pass that ends like it, `123:C00007FF` neither that nor a remote frame. Reports of the',
  'controller (error frames) always pass, except with `j` and several filters: then the kernel gives none, and the',
  "controller's state isn't known.",
];

/** A section is called in the file as in CollectorConfig, but as `time_sync`; a leaf's annotation says its key. */
function* settingsOf(schema: TSchema, sections: readonly string[]): Generator<Setting> {
  if (!Type.IsObject(schema)) return;
  for (const [property, child] of Object.entries(schema.properties)) {
    const { setting } = child as { setting?: SettingAnnotation };
    if (setting === undefined) {
      yield* settingsOf(child, [...sections, property]);
    } else {
      const path = [...sections.map(snakeCase), setting.key].join('.');
      yield { ...setting, path, properties: [...sections, property] };
    }
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function code(text: string): string {
  return `\`${text}\``;
}
