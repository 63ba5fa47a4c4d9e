import { parse as parsePath } from 'node:path';

import { BusError } from '../shared/errors.ts';
import {
  CAN_FILTER_FORM,
  CanFilterError,
  type CanFilters,
  formatCanFilters,
  parseCanFilters,
} from './can-filter.ts';

/**
 * A bus is named by a URL: a scheme that says which driver reads it, a target, and options.
 *
 *   socketcan:can0?bitrate=500000&fd=off&configure=on
 *   candump:drive.log?speed=1&loop&time=now
 *   asc:drive.asc?speed=1&loop&time=now
 *   sim:kart?seed=1&rate=1
 *
 * Options are separated by `&` and each may stand once. Targets and values are percent-decoded, so a
 * path that holds `?` or `%` writes them as `%3F` and `%25`, and one that holds what looks like an option
 * (`a&loop`) writes `%26`; `#` has no meaning of its own.
 */
export type BusUrl = SocketCanUrl | LogUrl | SimUrl;

/** How a CAN interface is to be; what isn't said may be as it is. */
export interface LinkSettings {
  readonly bitrateBitPerS?: number;
  /** Where in a bit it is sampled, as a part of its length: above 0 and below 1. */
  readonly samplePoint?: number;
  /** Of the data phase of CAN FD. */
  readonly dataBitrateBitPerS?: number;
  readonly dataSamplePoint?: number;
  /** How long after a bus-off the kernel starts the controller again; 0 for never. */
  readonly restartMs?: number;
  /** Frames that wait in the kernel to be sent. */
  readonly txQueueFrames?: number;
}

/** CAN FD: `on` wants an interface that has it, `off` leaves its frames unread, `auto` reads them where there are any. */
export type FdMode = 'on' | 'off' | 'auto';

/** A CAN interface of this machine's kernel. */
export interface SocketCanUrl extends LinkSettings {
  readonly kind: 'socketcan';
  readonly interfaceName: string;
  readonly fd: FdMode;
  /** Given where this bus's nodes aren't to be told the time, whatever the configuration says. */
  readonly timeSync?: 'off';
  /** Which frames are wanted; without it, all. */
  readonly filters?: CanFilters;
  /** Whether the service brings the interface up and sets it as above; else it only says how. */
  readonly configure: boolean;
}

/** A log, or a folder of logs, replayed: as candump -l writes it, or in Vector's ASC format. */
export interface LogUrl {
  readonly kind: 'candump' | 'asc';
  readonly path: string;
  /** Times the recorded pace, or `max`: as fast as it goes. */
  readonly speed: number | 'max';
  readonly loop: boolean;
  /** Whether frames carry the log's timestamps or those of the replay. */
  readonly time: 'log' | 'now';
}

/** The simulated kart. */
export interface SimUrl {
  readonly kind: 'sim';
  readonly model: 'kart';
  readonly seed: number;
  /** Times the pace of real time. */
  readonly rate: number;
}

export const BITRATE_BIT_PER_S_DEFAULT = 500_000;

/** The lowest bitrate CAN transceivers are made for, and the highest of classic CAN (ISO 11898-1). */
export const BITRATE_BIT_PER_S_MIN = 5_000;
export const BITRATE_BIT_PER_S_MAX = 1_000_000;

/** The highest bitrate that CAN FD transceivers are made for (CAN SIC, ISO 11898-2:2024). */
const DATA_BITRATE_BIT_PER_S_MAX = 8_000_000;

/** Longer than a minute nobody waits for a bus; what is meant is 0: never. */
const RESTART_MS_MAX = 60_000;
const TX_QUEUE_FRAMES_MAX = 100_000;

const SIM_RATE_MAX = 1_000;
const SIM_SEED_MAX = 2 ** 32 - 1;

/** IFNAMSIZ of linux/if.h is 16, of which the last byte is the terminating zero. */
const INTERFACE_NAME_BYTES_MAX = 15;

/** What other parts may rely on for a bus name: it stands in URLs, file names and metric labels. */
export const BUS_NAME_CHARS_MAX = 32;

/** How much of a wrong text a message repeats. */
const FOUND_CHARS_MAX = 80;

const OPTION_FORMS = {
  socketcan: {
    bitrate: 'bitrate=500000',
    sample_point: 'sample_point=0.875',
    fd: 'fd=on (or off, auto)',
    dbitrate: 'dbitrate=2000000',
    dsample_point: 'dsample_point=0.75',
    restart_ms: 'restart_ms=100',
    txqueuelen: 'txqueuelen=1000',
    configure: 'configure=on (or off)',
    filter: 'filter=123:7FF,200~700',
    time_sync: 'time_sync=off',
  },
  candump: { speed: 'speed=1 (or max)', loop: 'loop', time: 'time=now (or log)' },
  asc: { speed: 'speed=1 (or max)', loop: 'loop', time: 'time=now (or log)' },
  sim: { seed: 'seed=1', rate: 'rate=1' },
} as const;

/** How the names of such logs in a folder end. */
export const LOG_ENDING = { candump: 'log', asc: 'asc' } as const;

const SCHEME_FORMS = 'socketcan:can0, candump:drive.log, asc:drive.asc or sim:kart';

type Scheme = keyof typeof OPTION_FORMS;
type SocketCanOption = keyof (typeof OPTION_FORMS)['socketcan'];
type Options = ReadonlyMap<string, string | true>;

/** Whether what isn't read of a bus is lost. A log that is replayed, at whatever pace, is still there. */
export function isLive(bus: BusUrl): boolean {
  return !isLog(bus);
}

export function isLog(bus: BusUrl): bus is LogUrl {
  return bus.kind === 'candump' || bus.kind === 'asc';
}

/** Reads a bus URL; throws BusError BUS_URL_INVALID. */
export function parseBusUrl(url: string): BusUrl {
  const colonIndex = url.indexOf(':');
  const scheme = url.slice(0, Math.max(colonIndex, 0));
  if (colonIndex < 0 || !isScheme(scheme)) throw invalid(url, `expected a bus URL such as ${SCHEME_FORMS}`);

  const rest = url.slice(colonIndex + 1);
  const queryIndex = rest.indexOf('?');
  const targetText = queryIndex < 0 ? rest : rest.slice(0, queryIndex);
  const stray = strayOption(scheme, targetText);
  if (stray !== null) throw invalid(url, "expected options behind a '?', with '&' between them", stray);
  const target = decoded(url, targetText);
  const options = queryIndex < 0 ? new Map() : parseOptions(url, scheme, rest.slice(queryIndex + 1));
  switch (scheme) {
    case 'socketcan':
      return parseSocketCan(url, target, options);
    case 'candump':
    case 'asc':
      return parseLog(url, scheme, target, options);
    case 'sim':
      return parseSim(url, target, options);
  }
}

/** The URL of `bus` with every option spelled out; parseBusUrl gives the same bus back. */
export function formatBusUrl(bus: BusUrl): string {
  switch (bus.kind) {
    case 'socketcan':
      return `socketcan:${encoded(bus.interfaceName)}?configure=${bus.configure ? 'on' : 'off'}&fd=${bus.fd}${linkOptions(bus)}${bus.timeSync === 'off' ? '&time_sync=off' : ''}${filterOption(bus)}`;
    case 'candump':
    case 'asc':
      return `${bus.kind}:${encoded(bus.path)}?speed=${bus.speed}${bus.loop ? '&loop' : ''}&time=${bus.time}`;
    case 'sim':
      return `sim:${bus.model}?seed=${bus.seed}&rate=${bus.rate}`;
  }
}

/** What a bus is called where nobody named it: 1 to 32 characters of A-Z, a-z, 0-9, '.', '_' and '-'. */
export function defaultBusName(bus: BusUrl): string {
  const name = bus.kind === 'socketcan' ? bus.interfaceName : isLog(bus) ? logName(bus.path) : 'sim';
  return name.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, BUS_NAME_CHARS_MAX) || bus.kind;
}

/** Of `drive.log.zst`, drive. */
function logName(path: string): string {
  return parsePath(path).name.replace(/\.(log|asc)(\.\d+)?$/i, '');
}

function parseSocketCan(url: string, interfaceName: string, options: Options): SocketCanUrl {
  if (!isInterfaceName(interfaceName)) {
    throw invalid(
      url,
      `expected the name of a CAN interface, 1 to ${INTERFACE_NAME_BYTES_MAX} characters without '/', ':' or spaces, such as can0`,
      interfaceName,
    );
  }
  const fd = options.get('fd') ?? 'auto';
  if (fd !== 'on' && fd !== 'off' && fd !== 'auto') {
    throw invalidOption(url, 'socketcan', 'fd', 'on, off or auto', fd);
  }
  const configure = options.get('configure') ?? 'off';
  if (configure !== 'on' && configure !== 'off') {
    throw invalidOption(url, 'socketcan', 'configure', 'on or off', configure);
  }
  const timeSync = options.get('time_sync');
  // What is sent on a vehicle's bus is not switched on in passing: that says the configuration for all.
  if (timeSync !== undefined && timeSync !== 'off') {
    throw invalidOption(url, 'socketcan', 'time_sync', 'off', timeSync);
  }
  // What ip and the kernel make of one without the other is nothing, in silence.
  for (const [name, other] of [
    ['sample_point', 'bitrate'],
    ['dbitrate', 'bitrate'],
    ['dsample_point', 'dbitrate'],
  ] as const) {
    if (options.has(name) && !options.has(other)) {
      throw invalid(url, `${name} needs ${other} beside it: expected ${OPTION_FORMS.socketcan[other]}, too`);
    }
  }
  const link: { -readonly [name in keyof LinkSettings]: LinkSettings[name] } = {};
  for (const [property, option, form] of LINK_OPTIONS) {
    if (options.has(option)) link[property] = numberOption(url, 'socketcan', options, option, form);
  }
  const filters = filtersOption(url, options.get('filter'));
  return {
    kind: 'socketcan',
    interfaceName,
    ...link,
    fd,
    configure: configure === 'on',
    ...(timeSync === 'off' && { timeSync }),
    ...filters,
  };
}

function filtersOption(url: string, text: string | true | undefined): Pick<SocketCanUrl, 'filters'> {
  if (text === undefined) return {};
  if (text === true) throw invalidOption(url, 'socketcan', 'filter', CAN_FILTER_FORM, text);
  try {
    return { filters: parseCanFilters(text) };
  } catch (error) {
    if (!(error instanceof CanFilterError)) throw error;
    throw invalid(url, `filter: ${error.message}`, error.found, error);
  }
}

function filterOption({ filters }: SocketCanUrl): string {
  return filters === undefined ? '' : `&filter=${formatCanFilters(filters)}`;
}

/** Whether anything is said of how the interface is to be. */
export function hasLinkSettings(settings: LinkSettings): boolean {
  return LINK_OPTIONS.some(([property]) => settings[property] !== undefined);
}

function linkOptions(settings: LinkSettings): string {
  return LINK_OPTIONS.map(([property, option]) => {
    const value = settings[property];
    return value === undefined ? '' : `&${option}=${value}`;
  }).join('');
}

function parseLog(url: string, kind: LogUrl['kind'], path: string, options: Options): LogUrl {
  if (path === '' || path.includes('\0')) {
    throw invalid(
      url,
      `expected the path of a log file or of a folder of them, such as ${kind}:drive.${LOG_ENDING[kind]}`,
      path,
    );
  }
  const speed =
    options.get('speed') === 'max'
      ? 'max'
      : numberOption(url, kind, options, 'speed', {
          fallback: 1,
          expected: 'a number above 0, or max',
          accepts: (value) => value > 0,
        });

  const loop = options.get('loop') ?? 'off';
  if (loop !== true && loop !== 'on' && loop !== 'off') {
    throw invalidOption(url, kind, 'loop', 'no value, on or off', loop);
  }
  // A replay at full speed is an import, which is to keep the times of the drive; any other replay
  // stands for a live bus, whose frames are of now.
  const time = options.get('time') ?? (speed === 'max' ? 'log' : 'now');
  if (time !== 'log' && time !== 'now') throw invalidOption(url, kind, 'time', 'log or now', time);

  return { kind: kind, path, speed, loop: loop !== 'off', time };
}

function parseSim(url: string, model: string, options: Options): SimUrl {
  if (model !== 'kart') throw invalid(url, 'expected the model of a simulated vehicle: kart', model);

  const seed = numberOption(url, 'sim', options, 'seed', {
    fallback: 1,
    expected: `an integer from 0 to ${SIM_SEED_MAX}`,
    accepts: (value) => Number.isInteger(value) && value <= SIM_SEED_MAX,
  });
  const rate = numberOption(url, 'sim', options, 'rate', {
    fallback: 1,
    expected: `a number above 0, at most ${SIM_RATE_MAX}`,
    accepts: (value) => value > 0 && value <= SIM_RATE_MAX,
  });
  return { kind: 'sim', model, seed, rate };
}

function parseOptions(url: string, scheme: Scheme, query: string): Options {
  const options = new Map<string, string | true>();
  for (const part of query.split('&')) {
    const equalsIndex = part.indexOf('=');
    const name = decoded(url, equalsIndex < 0 ? part : part.slice(0, equalsIndex));
    if (!Object.hasOwn(OPTION_FORMS[scheme], name)) {
      throw invalid(url, `unknown option: expected ${optionForms(scheme)}`, name);
    }
    if (options.has(name)) throw invalid(url, `expected each option once: ${optionForms(scheme)}`, name);
    options.set(name, equalsIndex < 0 ? true : decoded(url, part.slice(equalsIndex + 1)));
  }
  return options;
}

/** An option that stands behind the target as if that were one: the name of an interface may hold nearly anything. */
function strayOption(scheme: Scheme, target: string): string | null {
  const names = Object.keys(OPTION_FORMS[scheme]).join('|');
  return new RegExp(`[&,;](?:${names})(?:[=&,;].*)?$`).exec(target)?.[0] ?? null;
}

function integerForm(minimum: number, maximum: number, unit: string): NumberForm {
  return {
    fallback: minimum,
    expected: `an integer from ${minimum} to ${maximum} (${unit})`,
    accepts: (value) => Number.isInteger(value) && value >= minimum && value <= maximum,
  };
}

const SAMPLE_POINT_FORM: NumberForm = {
  fallback: 0,
  expected: 'a part of a bit from 0.001 to 0.999',
  accepts: (value) => value >= 0.001 && value <= 0.999,
};

interface NumberForm {
  readonly fallback: number;
  readonly expected: string;
  readonly accepts: (value: number) => boolean;
}

function numberOption(url: string, scheme: Scheme, options: Options, name: string, form: NumberForm): number {
  const text = options.get(name);
  if (text === undefined) return form.fallback;

  // Number() alone would take '', ' 1', '0x1' and 'Infinity' for numbers.
  const value =
    text !== true && /^\d{1,400}(\.\d{1,400})?(e[+-]?\d{1,3})?$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value) || !form.accepts(value)) {
    throw invalidOption(url, scheme, name, form.expected, text);
  }
  return value;
}

/** The options that say how the interface is to be, in their order in a URL. */
const LINK_OPTIONS: readonly (readonly [keyof LinkSettings, SocketCanOption, NumberForm])[] = [
  ['bitrateBitPerS', 'bitrate', integerForm(BITRATE_BIT_PER_S_MIN, BITRATE_BIT_PER_S_MAX, 'bit/s')],
  ['samplePoint', 'sample_point', SAMPLE_POINT_FORM],
  ['dataBitrateBitPerS', 'dbitrate', integerForm(BITRATE_BIT_PER_S_MIN, DATA_BITRATE_BIT_PER_S_MAX, 'bit/s')],
  ['dataSamplePoint', 'dsample_point', SAMPLE_POINT_FORM],
  ['restartMs', 'restart_ms', integerForm(0, RESTART_MS_MAX, 'ms')],
  ['txQueueFrames', 'txqueuelen', integerForm(1, TX_QUEUE_FRAMES_MAX, 'frames')],
];

/** What dev_valid_name of the kernel's net/core/dev.c takes, less the characters no terminal shows. */
function isInterfaceName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    Buffer.byteLength(name) <= INTERFACE_NAME_BYTES_MAX &&
    name.isWellFormed() &&
    !/[/:\s\p{Cc}]/u.test(name)
  );
}

function isScheme(text: string): text is Scheme {
  return Object.hasOwn(OPTION_FORMS, text);
}

function decoded(url: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw invalid(url, "expected '%' before two hexadecimal digits only (write %25 for '%')", text, error);
  }
}

function encoded(text: string): string {
  return text.replace(/[%?&,;]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function optionForms(scheme: Scheme): string {
  return Object.values(OPTION_FORMS[scheme]).join(', ');
}

function invalidOption(
  url: string,
  scheme: Scheme,
  name: string,
  expected: string,
  found: string | true,
): BusError {
  return found === true
    ? invalid(url, `${name}: expected ${expected}, found no value; the options are ${optionForms(scheme)}`)
    : invalid(url, `${name}: expected ${expected}; the options are ${optionForms(scheme)}`, found);
}

function invalid(url: string, message: string, found?: string, cause?: unknown): BusError {
  const where = found === undefined ? quoted(url) : `${quoted(found)} in ${quoted(url)}`;
  return new BusError('BUS_URL_INVALID', `${message}; found ${where}`, { cause });
}

function quoted(text: string): string {
  return JSON.stringify(text.length <= FOUND_CHARS_MAX ? text : `${text.slice(0, FOUND_CHARS_MAX)}…`);
}
