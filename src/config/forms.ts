import { resolve } from 'node:path';

import { found } from './problems.ts';
import { rangeText } from './reference.ts';
import { BUS_NAME_PATTERN, LOG_LEVELS, type SettingAnnotation } from './schema.ts';
import {
  DURATION_UNITS_MS,
  FINE_DURATION_UNITS_US,
  parseDurationMs,
  parseDurationUs,
  parseSizeBytes,
  SIZE_UNITS_BYTES,
} from './units.ts';

/** What a relative path and a `~` in a setting refer to. */
export interface PathBase {
  readonly directory: string;
  readonly home: string;
}

export type SettingValue = string | number | readonly string[] | null;
export type Parsed = { readonly value: SettingValue } | { readonly problem: string };

/** What Python's logging calls the same levels. */
const PYTHON_LOG_LEVELS: Readonly<Record<string, string>> = { warning: 'warn', critical: 'fatal' };

const PATH_BYTES_MAX = 4_095;

const LIST_ITEMS_MAX = 64;

/** A name without its port, as it stands in a URL. */
const HOST_NAME = /^(?=.{1,253}$)[a-z\d_]([\w-]{0,62})(\.[a-z\d_][\w-]{0,62})*$/i;

/**
 * Reads the text of a setting other than `buses`. The file's values arrive as the text that stands there
 * too, so that a setting is written the same way everywhere; null is the file's empty value.
 */
export function parseSetting(setting: SettingAnnotation, text: string | null, base: PathBase): Parsed {
  return setting.isList === true ? parseList(setting, text, base) : parseOne(setting, text, base);
}

/** An empty text, and the word that turns the setting off, are the empty list. */
function parseList(setting: SettingAnnotation, text: string | null, base: PathBase): Parsed {
  const { nullWord: word, ...item } = setting;
  if (text === null || text.trim() === '' || text === word) return { value: [] };
  const texts = text.split(',').map((part) => part.trim());
  if (texts.length > LIST_ITEMS_MAX) {
    return { problem: `expected at most ${LIST_ITEMS_MAX} items; found ${texts.length}` };
  }
  const values = new Set<string>();
  for (const part of texts) {
    const parsed = parseOne(item, part, base);
    if ('problem' in parsed) return parsed;
    values.add(String(parsed.value));
  }
  return { value: [...values] };
}

function parseOne(setting: SettingAnnotation, text: string | null, base: PathBase): Parsed {
  if (setting.nullWord !== undefined && text === setting.nullWord) return { value: null };
  // `file:` without a value in YAML says what `file: none` says.
  if (text === null) return setting.nullWord === 'none' ? { value: null } : wrong(setting, text);

  if (setting.choices?.includes(text)) return { value: text };

  switch (setting.form) {
    case 'integer':
      return inRange(setting, text, /^\d{1,16}$/.test(text) ? Number(text) : undefined);
    case 'canId':
      return inRange(setting, text, /^(\d{1,10}|0x[\dA-F]{1,8})$/i.test(text) ? Number(text) : undefined);
    case 'duration':
      return inRange(setting, text, parseDurationMs(text), DURATION_UNITS_MS);
    case 'fineDuration':
      return inRange(setting, text, parseDurationUs(text), FINE_DURATION_UNITS_US);
    case 'size':
      return inRange(setting, text, parseSizeBytes(text), SIZE_UNITS_BYTES);
    case 'choice':
      return wrong(setting, text);
    case 'busName':
      return new RegExp(BUS_NAME_PATTERN).test(text) ? { value: text } : wrong(setting, text);
    case 'level':
      return level(setting, text);
    case 'host':
      return /^[\w.:%-]{1,253}$/.test(text) ? { value: text } : wrong(setting, text);
    case 'hostName':
      return HOST_NAME.test(text) ? { value: text.toLowerCase() } : wrong(setting, text);
    case 'origin':
      return origin(setting, text);
    case 'file':
      return file(setting, text, base);
    case 'folder':
      return folder(setting, text, base);
    case 'buses':
      return wrong(setting, text);
  }
}

/** What a setting takes, for messages. */
export function expectedText(setting: SettingAnnotation): string {
  const range = rangeText(setting);
  const forms = {
    buses: 'a list of buses, each with a url',
    busName: 'the name of a bus, such as can0',
    choice: `one of ${setting.choices?.join(', ')}`,
    canId: `a CAN id from ${range}, decimal or as 0x10`,
    duration: `a duration from ${range}, such as ${example(setting)}`,
    file: 'the path of a file',
    folder: 'the path of a folder',
    fineDuration: `a duration from ${range}, such as ${setting.default}`,
    host: 'a host name or an IP address without brackets, such as 127.0.0.1 or ::1',
    hostName: 'a host name without a port, such as kart.local',
    integer: `an integer from ${range}`,
    level: `one of ${LOG_LEVELS.join(', ')}`,
    origin: 'an origin, which is scheme, name and port, such as http://kart.local:3000',
    size: `a size from ${range}, such as ${setting.default}`,
  };
  const words = setting.form === 'choice' ? [] : (setting.choices ?? []);
  return [forms[setting.form], ...words, setting.nullWord].filter((word) => word !== undefined).join(', or ');
}

/** A duration; the default where it is one. */
function example({ default: text, choices }: SettingAnnotation): string {
  return text === null || choices?.includes(text) ? '1s' : text;
}

/** A path made absolute, with a leading `~` for the home directory. */
export function absolutePath(path: string, { directory, home }: PathBase): string {
  return path === '~' || path.startsWith('~/') ? resolve(home, path.slice(2)) : resolve(directory, path);
}

function inRange(
  setting: SettingAnnotation,
  text: string,
  value: number | undefined,
  units: Readonly<Record<string, number>> = {},
): Parsed {
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = setting;
  if (value !== undefined && value >= minimum && value <= maximum) return { value };
  const needsUnit = Object.keys(units).length > 0 && /^\d+(\.\d+)?$/.test(text);
  return wrong(
    setting,
    text,
    needsUnit ? `: a number alone has no unit (${Object.keys(units).join(', ')})` : '',
  );
}

function level(setting: SettingAnnotation, text: string): Parsed {
  const lower = text.toLowerCase();
  const name = Object.hasOwn(PYTHON_LOG_LEVELS, lower) ? PYTHON_LOG_LEVELS[lower] : lower;
  const value = LOG_LEVELS.find((candidate) => candidate === name);
  return value === undefined ? wrong(setting, text) : { value };
}

/** As browsers send it: without a default port, and without what follows it. */
function origin(setting: SettingAnnotation, text: string): Parsed {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null || url.href !== `${url.origin}/`) return wrong(setting, text);
  return { value: url.origin };
}

function file(setting: SettingAnnotation, text: string, base: PathBase): Parsed {
  if (text === ':memory:') {
    return wrong(setting, text, ': several threads use it, which a database in memory rules out');
  }
  const isFilePath = text !== '' && !text.includes('\0') && !/(^|\/)\.{0,2}$/.test(text) && text !== '~';
  const path = isFilePath ? absolutePath(text, base) : '';
  return isFilePath && Buffer.byteLength(path) <= PATH_BYTES_MAX ? { value: path } : wrong(setting, text);
}

function folder(setting: SettingAnnotation, text: string, base: PathBase): Parsed {
  const path = text === '' || text.includes('\0') ? '' : absolutePath(text, base);
  return path !== '' && Buffer.byteLength(path) <= PATH_BYTES_MAX ? { value: path } : wrong(setting, text);
}

function wrong(setting: SettingAnnotation, text: string | null, why = ''): Parsed {
  return { problem: `expected ${expectedText(setting)}; found ${found(text)}${why}` };
}
