import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';

import { isLog } from '../bus/bus-url.ts';
import { type InputText, resolveBuses } from './buses.ts';
import { absolutePath, type PathBase, parseSetting, type SettingValue } from './forms.ts';
import { didYouMean, found, ProblemList } from './problems.ts';
import { formatSetting, SETTINGS, type Setting } from './reference.ts';
import {
  type BusConfig,
  CONFIG_FILE_DEFAULT,
  CONFIG_FILE_INPUT,
  type CollectorConfig,
  type SettingInput,
} from './schema.ts';
import { formatSizeBytes } from './units.ts';
import { type FileSettings, parseConfigYaml, readConfigText } from './yaml-file.ts';

export type Flags = Readonly<Record<string, string | readonly string[] | undefined>>;
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigInputs {
  /** By name without dashes: `{ port: '5001', bus: ['sim:kart'] }`. */
  readonly flags?: Flags;
  readonly env?: Environment;
  /** The working directory. */
  readonly cwd?: string;
  /** The home directory. */
  readonly home?: string;
}

export interface LoadedConfig {
  readonly config: CollectorConfig;
  /** Where each setting's value came from, by its path: `flag --port`, `collector.yaml:12`, `default`. */
  readonly sources: Readonly<Record<string, string>>;
  /** The file that was read, as it was named; null where there was none. */
  readonly file: string | null;
}

/** One setting as it is in effect, as one would write it. */
export interface EffectiveSetting {
  readonly path: string;
  readonly value: string;
  readonly source: string;
}

const DATABASE_FILE = 'collector.db';
const LOG_FILE = 'collector.log';
const AUDIT_FILE = 'commands.log';
const TOKENS_FILE = 'tokens.json';
const STATE_FOLDER = 'telemetry-collector';

const NO_FILE: FileSettings = { texts: new Map() };

/**
 * The configuration: flags over environment variables over the file over the defaults. Reads the file
 * and touches nothing else. Throws InvalidConfigError, a ConfigError CONFIG_INVALID, with all mistakes
 * of all sources, also of those that another one overrides.
 */
export function loadConfig({
  flags = {},
  env = process.env,
  cwd = process.cwd(),
  home = homedir(),
}: ConfigInputs = {}): LoadedConfig {
  const problems = new ProblemList();
  const given = (input: SettingInput) => givenInputs(input, flags, env, problems);
  checkFlagNames(flags, problems);

  const working: PathBase = { directory: resolve(cwd), home };
  const { file, base, settings } = readFile(given(CONFIG_FILE_INPUT)[0], working, problems);
  const values = new Map<string, SettingValue>();
  const sources: Record<string, string> = {};
  for (const setting of SETTINGS.filter(({ form }) => form !== 'buses')) {
    const candidates = setting.inputs
      .flatMap((input) => (setting.isList === true ? joined(given(input)) : given(input)))
      .map((input) => ({ ...input, where: input.source, base: working }));
    const fileText = settings.texts.get(setting.path);
    const [first] = [...candidates, ...(fileText === undefined ? [] : [{ ...fileText, base }])].flatMap(
      ({ text, where, source, base }) => {
        const parsed = parseSetting(setting, text, base);
        if ('value' in parsed) return { value: parsed.value, source };
        problems.add(setting.path, where, parsed.problem);
        return [];
      },
    );
    values.set(setting.path, first ? first.value : defaultValue(setting, values, env, working));
    sources[setting.path] = first?.source ?? 'default';
  }

  const busSetting = SETTINGS.find(({ form }) => form === 'buses')!;
  const [urls = [], interfaces = [], bitrates = []] = busSetting.inputs.map(given);
  const isFlag = ({ source }: InputText) => source.startsWith('flag ');
  const { buses, source } = resolveBuses(
    {
      urls,
      interfaceFlag: interfaces.find(isFlag),
      interfaceVariable: interfaces.find((input) => !isFlag(input)),
      bitrateFlag: bitrates.find(isFlag),
      bitrateVariable: bitrates.find((input) => !isFlag(input)),
      file: settings.buses,
      defaultUrl: busSetting.default!,
    },
    { working, file: base },
    problems,
  );
  sources[busSetting.path] = source;
  checkOwnFiles(values, sources, problems);
  checkRecordingBytes(values, sources, problems);
  checkRecordingFolder(values, sources, buses, problems);
  checkHostSend(values, sources, buses, problems);
  checkCertificate(values, sources, problems);
  problems.throwIfAny();

  const config = assemble(values, { buses });
  // The checks of each setting imply the schema; a test holds them together.
  return deepFreeze({ config: config as CollectorConfig, sources, file });
}

/** The settings in effect, as a person would write them, in the schema's order. */
export function effectiveSettings({ config, sources }: LoadedConfig): EffectiveSetting[] {
  return SETTINGS.flatMap((setting) => {
    const source = sources[setting.path] ?? 'default';
    if (setting.form === 'buses') {
      return config.buses.map(({ name, url }) => ({ path: `buses ${name}`, value: url, source }));
    }
    const value = setting.properties.reduce<unknown>(
      (parent, property) => (parent as Record<string, unknown>)[property],
      config,
    );
    return { path: setting.path, value: formatSetting(setting, value as SettingValue), source };
  });
}

function checkOwnFiles(
  values: ReadonlyMap<string, SettingValue>,
  sources: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  const others = [['history.path', 'the path of the database']];
  for (const path of ['log.file', 'commands.audit', 'api.tokens']) {
    const same = others.find(
      ([other]) => values.get(path) !== null && values.get(other!) === values.get(path),
    );
    if (same !== undefined) {
      const where = sources[path] === 'default' ? sources[same[0]!]! : sources[path]!;
      problems.add(path, where, `expected a file of its own; found ${same[1]}`);
    }
    others.push([path, 'the path of the log file']);
  }
}

/** A certificate is of no use without its key. */
function checkCertificate(
  values: ReadonlyMap<string, SettingValue>,
  sources: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  const [cert, key] = ['api.tls_cert', 'api.tls_key'];
  const [given, missing] = values.get(cert!) === null ? [key, cert] : [cert, key];
  if (values.get(given!) === null || values.get(missing!) !== null) return;
  problems.add(missing!, sources[given!]!, `expected a file beside ${given}; found none`);
}

/** Else the only file would be the oldest, and what is deleted everything. */
function checkRecordingBytes(
  values: ReadonlyMap<string, SettingValue>,
  sources: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  const [fileBytes, allBytes] = ['recording.max_file_bytes', 'recording.max_bytes'].map((path) =>
    values.get(path),
  );
  if (typeof fileBytes !== 'number' || typeof allBytes !== 'number' || 2 * fileBytes <= allBytes) return;
  const path =
    sources['recording.max_file_bytes'] === 'default' ? 'recording.max_bytes' : 'recording.max_file_bytes';
  problems.add(
    path,
    sources[path]!,
    `expected recording.max_bytes to be twice recording.max_file_bytes at least; found ${formatSizeBytes(allBytes)} and ${formatSizeBytes(fileBytes)}`,
  );
}

/** A recording that is replayed would be recorded once more, and the oldest of it deleted for that. */
function checkRecordingFolder(
  values: ReadonlyMap<string, SettingValue>,
  sources: Readonly<Record<string, string>>,
  buses: readonly BusConfig[],
  problems: ProblemList,
): void {
  const path = 'recording.path';
  const folder = values.get(path);
  if (typeof folder !== 'string') return;
  const replayed = buses.find(({ spec }) => isLog(spec) && resolve(spec.path) === resolve(folder));
  if (replayed === undefined) return;
  const expected = `another folder than the one whose logs the bus ${replayed.name} replays, or none`;
  problems.add(path, sources[path]!, `expected ${expected}; found ${found(folder)}`);
}

/** The health can be sent only where it is read, and on buses that take frames. */
function checkHostSend(
  values: ReadonlyMap<string, SettingValue>,
  sources: Readonly<Record<string, string>>,
  buses: readonly BusConfig[],
  problems: ProblemList,
): void {
  const path = 'host.send';
  const names = values.get(path);
  // Of buses that are told wrong nobody knows what they are called.
  if (!Array.isArray(names) || names.length === 0 || !problems.isEmpty) return;
  const where = sources[path]!;
  if (values.get('host.interval') === null) {
    problems.add(path, where, 'expected host.interval beside it; found that it is off');
  }
  const sendable = buses.filter(({ spec }) => !isLog(spec)).map(({ name }) => name);
  for (const name of names) {
    if (sendable.includes(name)) continue;
    const isOfLog = buses.some((bus) => bus.name === name);
    const expected = sendable.length === 0 ? 'none, as no bus can be sent on' : sendable.join(', ');
    const why = isOfLog ? ', a log that is replayed' : didYouMean(name, sendable);
    problems.add(path, where, `expected buses that can be sent on (${expected}); found ${found(name)}${why}`);
  }
}

/** What a flag and its variable give, the flag first. An empty variable counts as unset. */
function givenInputs(
  input: SettingInput,
  flags: Flags,
  env: Environment,
  problems: ProblemList,
): InputText[] {
  const inputs: InputText[] = [];
  if (input.flag !== undefined && Object.hasOwn(flags, input.flag)) {
    const source = `flag --${input.flag}`;
    const texts = [flags[input.flag] ?? []].flat();
    if (texts.length > 1 && !input.isRepeatable) {
      problems.add('', source, `expected it once; found it ${texts.length} times`);
    }
    inputs.push(...texts.map((text) => ({ text, source })));
  }
  const variable = input.env !== undefined && Object.hasOwn(env, input.env) ? env[input.env] : undefined;
  if (variable !== undefined && variable !== '') inputs.push({ text: variable, source: `env ${input.env}` });
  return inputs;
}

/** What a list is given by one source: its flag may stand there several times. */
function joined(inputs: readonly InputText[]): InputText[] {
  const bySource = Map.groupBy(inputs, ({ source }) => source);
  return [...bySource].map(([source, texts]) => ({ source, text: texts.map(({ text }) => text).join(',') }));
}

function checkFlagNames(flags: Flags, problems: ProblemList): void {
  const known = SETTINGS.flatMap(({ inputs }) => inputs.flatMap(({ flag }) => flag ?? []));
  known.push(CONFIG_FILE_INPUT.flag);
  for (const name of Object.keys(flags)) {
    if (known.includes(name)) continue;
    const hint = didYouMean(name, known);
    problems.add('', `flag --${name}`, `expected a known flag; found ${found(`--${name}`)}${hint}`);
  }
}

interface ReadFile {
  readonly file: string | null;
  readonly base: PathBase;
  readonly settings: FileSettings;
}

/** The named file, or the default one if it exists. */
function readFile(named: InputText | undefined, working: PathBase, problems: ProblemList): ReadFile {
  const file = named?.text ?? CONFIG_FILE_DEFAULT;
  const path = file === '' || file.includes('\0') ? undefined : absolutePath(file, working);
  const text =
    path === undefined
      ? { problem: `expected the path of a file; found ${found(file)}` }
      : readConfigText(path);
  const base = path === undefined ? working : { ...working, directory: dirname(path) };

  if (text === undefined) {
    if (named !== undefined)
      problems.add('', named.source, `expected an existing file; found no ${found(file)}`);
    return { file: null, base, settings: NO_FILE };
  }
  if ('problem' in text) {
    const source = named === undefined ? file : `${named.source} ${file}`;
    problems.add('', source, text.problem);
    return { file, base, settings: NO_FILE };
  }
  return { file, base, settings: parseConfigYaml(text.text, file, SETTINGS, problems) };
}

function defaultValue(
  setting: Setting,
  values: ReadonlyMap<string, SettingValue>,
  env: Environment,
  base: PathBase,
): SettingValue {
  if (setting.default !== null) {
    const parsed = parseSetting(setting, setting.default, base);
    assert.ok('value' in parsed, `the default of ${setting.path} is one of its values`);
    return parsed.value;
  }
  if (setting.path === 'history.path') return join(stateDirectory(env, base), DATABASE_FILE);
  // The schema has the database before what stands next to it.
  const besideDatabase = {
    'log.file': LOG_FILE,
    'commands.audit': AUDIT_FILE,
    'api.tokens': TOKENS_FILE,
  }[setting.path];
  assert.ok(besideDatabase !== undefined, `${setting.path} has a default`);
  return join(dirname(String(values.get('history.path'))), besideDatabase);
}

/**
 * systemd sets STATE_DIRECTORY to what StateDirectory= names, several separated by colons. The XDG base
 * directory specification says that a relative XDG_STATE_HOME is to be ignored.
 */
function stateDirectory(env: Environment, { directory, home }: PathBase): string {
  const fromSystemd = env.STATE_DIRECTORY?.split(':')[0];
  if (fromSystemd) return resolve(directory, fromSystemd);
  const xdg = env.XDG_STATE_HOME;
  return xdg && isAbsolute(xdg)
    ? join(xdg, STATE_FOLDER)
    : resolve(directory, home, '.local/state', STATE_FOLDER);
}

/** Nests the settings' values as CollectorConfig has them. */
function assemble(values: ReadonlyMap<string, SettingValue>, rest: Record<string, unknown>): unknown {
  const root: Record<string, unknown> = { ...rest };
  for (const { path, properties } of SETTINGS) {
    const value = values.get(path);
    if (value === undefined) continue;
    let parent = root;
    for (const section of properties.slice(0, -1)) {
      parent[section] ??= {};
      parent = parent[section] as Record<string, unknown>;
    }
    parent[properties.at(-1)!] = value;
  }
  return root;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
