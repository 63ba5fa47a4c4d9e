import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import fc from 'fast-check';
import { Value } from 'typebox/value';

import { ConfigError } from '../shared/errors.ts';
import { type ConfigInputs, effectiveSettings, type LoadedConfig, loadConfig } from './load-config.ts';
import { type ConfigProblem, InvalidConfigError, PROBLEMS_MAX } from './problems.ts';
import { SETTINGS } from './reference.ts';
import { CollectorConfigSchema } from './schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'load-config-'));
after(() => rmSync(folder, { recursive: true }));

const file = join(folder, 'collector.yaml');
const home = '/home/driver';

/** Loads with `yaml` as the default file of an otherwise empty world. */
function load(yaml: string, inputs: ConfigInputs = {}): LoadedConfig {
  writeFileSync(file, yaml);
  return loadConfig({ flags: {}, env: {}, cwd: folder, home, ...inputs });
}

function problemsOf(yaml: string, inputs: ConfigInputs = {}): readonly ConfigProblem[] {
  try {
    load(yaml, inputs);
  } catch (error) {
    assert.ok(error instanceof InvalidConfigError, `${error}`);
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.problems;
  }
  return [];
}

test('without any input the defaults hold, and the result is frozen throughout', () => {
  const state = '/home/driver/.local/state/telemetry-collector';
  const { config, sources, file: name } = loadConfig({ env: {}, cwd: '/nowhere', home });
  assert.deepEqual(config, {
    buses: [{ name: 'sim', url: 'sim:kart', spec: { kind: 'sim', model: 'kart', seed: 1, rate: 1 } }],
    nodeId: 0,
    timeSync: { interval: 'simulated' },
    host: { intervalMs: 5_000, send: [] },
    history: {
      path: `${state}/collector.db`,
      flushIntervalMs: 1_000,
      maxAgeMs: 31_536_000_000,
      maxSamples: null,
      maxBytes: 2_147_483_648,
      secondsMaxAgeMs: 63_072_000_000,
      minutesMaxAgeMs: 315_360_000_000,
      durability: 'full',
      timestampResolutionUs: 1,
    },
    recording: {
      path: null,
      maxFileBytes: 67_108_864,
      maxFileAgeMs: 3_600_000,
      maxBytes: 2_147_483_648,
      compress: 'zstd',
    },
    api: {
      host: '127.0.0.1',
      port: 5001,
      anonymous: 'local',
      tokensPath: `${state}/tokens.json`,
      origins: [],
      hosts: [],
      ratePerS: 500,
      tlsCertPath: null,
      tlsKeyPath: null,
    },
    commands: { enabled: 'off', audit: `${state}/commands.log`, timeoutMs: 1_000 },
    log: { level: 'info', file: `${state}/collector.log`, maxBytes: 10_485_760, maxFiles: 5 },
  });
  assert.ok(Value.Check(CollectorConfigSchema, config));
  assert.equal(name, null);
  assert.deepEqual(new Set(Object.values(sources)), new Set(['default']));
  assert.deepEqual(Object.keys(sources).sort(), SETTINGS.map(({ path }) => path).sort());
  for (const part of [config, sources, config.buses, config.buses[0], config.buses[0]?.spec, config.api]) {
    assert.ok(Object.isFrozen(part));
  }
});

test('reads every setting from the file and knows its line', () => {
  const { config, sources } = load(`
buses:
  - name: front
    url: socketcan:can0?bitrate=250000
  - url: candump:logs/drive.log?speed=max
node_id: 0x10
time_sync: {interval: 0.5s}
host: {interval: 1min, send: [front]}
history: {path: ~/kart.db, flush_interval: 250ms, durability: relaxed, timestamp_resolution: 0.5ms, max_age: unlimited, max_samples: 5000, max_bytes: 128MiB, seconds_max_age: 60d, minutes_max_age: unlimited}
recording: {path: logs/can/, max_file_bytes: 8MiB, max_file_age: 10min, max_bytes: unlimited, compress: none}
api:
  host: '::1'
  port: "0"
  anonymous: none
  tokens: tokens/kart.json
  origins: [http://kart.local:3000, 'HTTPS://Pit.example:443/', http://kart.local:3000]
  hosts: Pit.example
  rate_limit: unlimited
  tls_cert: cert.pem
  tls_key: key.pem
commands: {enabled: on, audit: audit/commands.log, timeout: 250ms}
log:
  level: Warning
  file: ~
  max_bytes: 500kB
  max_files: 2
`);
  assert.deepEqual(config, {
    buses: [
      {
        name: 'front',
        url: 'socketcan:can0?bitrate=250000',
        spec: {
          kind: 'socketcan',
          interfaceName: 'can0',
          bitrateBitPerS: 250_000,
          fd: 'auto',
          configure: false,
        },
      },
      {
        name: 'drive',
        url: 'candump:logs/drive.log?speed=max',
        spec: {
          kind: 'candump',
          path: join(folder, 'logs/drive.log'),
          speed: 'max',
          loop: false,
          time: 'log',
        },
      },
    ],
    nodeId: 16,
    timeSync: { interval: 500 },
    host: { intervalMs: 60_000, send: ['front'] },
    history: {
      path: '/home/driver/kart.db',
      flushIntervalMs: 250,
      durability: 'relaxed',
      timestampResolutionUs: 500,
      maxAgeMs: null,
      maxSamples: 5000,
      maxBytes: 134_217_728,
      secondsMaxAgeMs: 5_184_000_000,
      minutesMaxAgeMs: null,
    },
    recording: {
      path: join(folder, 'logs/can'),
      maxFileBytes: 8_388_608,
      maxFileAgeMs: 600_000,
      maxBytes: null,
      compress: 'none',
    },
    api: {
      host: '::1',
      port: 0,
      anonymous: 'none',
      tokensPath: join(folder, 'tokens/kart.json'),
      origins: ['http://kart.local:3000', 'https://pit.example'],
      hosts: ['pit.example'],
      ratePerS: null,
      tlsCertPath: join(folder, 'cert.pem'),
      tlsKeyPath: join(folder, 'key.pem'),
    },
    commands: { enabled: 'on', audit: join(folder, 'audit/commands.log'), timeoutMs: 250 },
    log: { level: 'warn', file: null, maxBytes: 500_000, maxFiles: 2 },
  });
  assert.equal(sources['api.port'], 'collector.yaml:13');
  assert.equal(sources['history.path'], 'collector.yaml:9');
  assert.equal(sources.buses, 'collector.yaml:3');
});

test('an empty file, empty sections and anchors are fine', () => {
  for (const yaml of ['', '# nothing', '---\n', 'api:\nlog:\n', '\uFEFFapi:\n  port: 1\n']) load(yaml);
  const { config } = load('history: {path: &name kart.db}\napi: {host: *name}');
  assert.equal(config.api.host, 'kart.db');
});

const mistakes: [yaml: string, source: string, path: string, message: RegExp][] = [
  ['commands: {enabled: true}', '1:21', 'commands.enabled', /^expected one of off, on; found "true"$/],
  ['commands: {timeout: 1min}', '1:21', 'commands.timeout', /from 10ms to 30s, such as 1s; found "1min"$/],
  [
    'commands: {audit: a.log}\nlog: {file: a.log}',
    '1',
    'commands.audit',
    /expected a file of its own; found the path of the log file/,
  ],
  [
    'time_sync: {interval: on}',
    '1:23',
    'time_sync.interval',
    /^expected a duration from 100ms to 5s, such as 1s, or simulated, or off; found "on"$/,
  ],
  ['time_sync: {interval: 50ms}', '1:23', 'time_sync.interval', /found "50ms"$/],
  ['time_sync: {interval: 1}', '1:23', 'time_sync.interval', /a number alone has no unit/],
  ['api:\n  port: 70000', '2:9', 'api.port', /^expected an integer from 0 to 65535; found "70000"$/],
  ['api:\n  port: 80.5', '2:9', 'api.port', /expected an integer/],
  ['api:\n  port:', '2:8', 'api.port', /found nothing/],
  ['api: [1]', '1:6', 'api', /expected keys and values; found a list/],
  ['api: {host: "[::1]"}', '1:13', 'api.host', /without brackets/],
  ['api: {host: {a: 1}}', '1:13', 'api.host', /found keys and values/],
  [
    'api:\n  prot: 1',
    '2:3',
    'api',
    /unknown key: expected host, port, .*; found "prot"; did you mean "port"\?/,
  ],
  ['api: {anonymous: write}', '1:18', 'api.anonymous', /^expected one of local, read, none; found "write"$/],
  [
    'api:\n  origins: [http://a, kart.local:3000]',
    '2:12',
    'api.origins',
    /^expected an origin, which is scheme, name and port, such as http:\/\/kart\.local:3000; found "kart\.local:3000"$/,
  ],
  ['api: {origins: "*"}', '1:16', 'api.origins', /found "\*"$/],
  ['api: {origins: http://a/dashboard}', '1:16', 'api.origins', /found "http:\/\/a\/dashboard"$/],
  ['api: {origins: "http://a:b@c"}', '1:16', 'api.origins', /expected an origin/],
  ['api: {origins: "http://a,,http://b"}', '1:16', 'api.origins', /found ""$/],
  ['api: {origins: [[a]]}', '1:17', 'api.origins', /expected an origin.*; found a list/],
  ['api: {origins: {a: b}}', '1:16', 'api.origins', /found keys and values/],
  ['api: {hosts: "kart.local:5001"}', '1:14', 'api.hosts', /^expected a host name without a port/],
  ['api: {hosts: "-a"}', '1:14', 'api.hosts', /expected a host name/],
  [`api: {hosts: [${'a,'.repeat(65)}]}`, '1:14', 'api.hosts', /^expected at most 64 items; found 65$/],
  ['api: {rate_limit: 0}', '1:19', 'api.rate_limit', /expected an integer from 1 to 100000, or unlimited/],
  ['api: {tls_cert: a.pem}', '1', 'api.tls_key', /^expected a file beside api\.tls_cert; found none$/],
  ['api: {tls_key: a.pem}', '1', 'api.tls_cert', /^expected a file beside api\.tls_key; found none$/],
  ['api: {tokens: a/b}\nhistory: {path: a/b}', '1', 'api.tokens', /found the path of the database/],
  ['api: {tokens: a/b}\nlog: {file: a/b}', '1', 'api.tokens', /found the path of the log file/],
  ['port: 1', '1:1', '', /unknown key.*did you mean "api\.port"\?/],
  ['Buses: []', '1:1', '', /did you mean "buses"\?/],
  ['history: {max_size: 1GB}', '1:11', 'history', /unknown key/],
  [
    'history: {durability: none}',
    '1:23',
    'history.durability',
    /^expected one of full, relaxed; found "none"$/,
  ],
  [
    'history: {timestamp_resolution: 2s}',
    '1:33',
    'history.timestamp_resolution',
    /^expected a duration from 1us to 1s, such as 1us; found "2s"$/,
  ],
  ['history: {max-age: 1d}', '1:11', 'history', /did you mean "max_age"\?/],
  ['__proto__: {a: 1}', '1:1', '', /unknown key/],
  ['<<: {api: 1}', '1:1', '', /unknown key/],
  ['constructor: 1', '1:1', '', /unknown key/],
  ['? [a]\n: 1', '1:3', '', /expected a key of text/],
  ['node_id: 2048', '1:10', 'node_id', /expected a CAN id from 0 to 0x7FF, decimal or as 0x10; found "2048"/],
  ['node_id: true', '1:10', 'node_id', /found "true"/],
  ['api: {port: 1}\napi: {port: 2}', '2:1', 'api', /expected each key once; found it in line 1 too/],
  [
    'history: {flush_interval: 1000}',
    '1:27',
    'history.flush_interval',
    /a number alone has no unit \(ms, s, min/,
  ],
  [
    'history: {flush_interval: 50ms}',
    '1:27',
    'history.flush_interval',
    /expected a duration from 100ms to 1min/,
  ],
  ['history: {max_age: none}', '1:20', 'history.max_age', /such as 365d, or unlimited; found "none"/],
  ['history: {max_age: }', '1:20', 'history.max_age', /found nothing/],
  ['history: {max_samples: 0}', '1:24', 'history.max_samples', /expected an integer from 1 to/],
  ['history: {path: ":memory:"}', '1:17', 'history.path', /a database in memory rules out/],
  ['history: {path: ""}', '1:17', 'history.path', /expected the path of a file; found ""/],
  ['history: {path: data/}', '1:17', 'history.path', /expected the path of a file/],
  ['history: {path: "a\\0"}', '1:17', 'history.path', /expected the path of a file/],
  ['log: {level: loud}', '1:14', 'log.level', /expected one of trace, debug.*found "loud"/],
  ['log: {level: toString}', '1:14', 'log.level', /expected one of/],
  ['log: {max_bytes: 100000}', '1:18', 'log.max_bytes', /a number alone has no unit \(B, kB/],
  [
    'recording: {max_bytes: 64MiB, max_file_bytes: 40MiB}',
    '1',
    'recording.max_file_bytes',
    /twice recording.max_file_bytes at least; found 64MiB and 40MiB/,
  ],
  ['recording: {max_bytes: 100MiB}', '1', 'recording.max_bytes', /found 100MiB and 64MiB/],
  [
    'recording: {path: can/}\nbuses: [{name: old, url: "candump:can?speed=max"}]',
    '1',
    'recording.path',
    /expected another folder than the one whose logs the bus old replays, or none; found ".*can"/,
  ],
  ['recording: {path: ""}', '1:19', 'recording.path', /expected the path of a folder, or none/],
  ['log: {file: a/b.log}\nhistory: {path: a/b.log}', '1', 'log.file', /expected a file of its own/],
  ['buses: sim:kart', '1:8', 'buses', /expected a list of buses, each with a url; found "sim:kart"/],
  ['buses: []', '1:8', 'buses', /found an empty list/],
  ['buses:', '1:7', 'buses', /found nothing/],
  ['buses: [sim:kart]', '1:9', 'buses[0]', /expected a bus as "url: socketcan:can0"; found "sim:kart"/],
  ['buses: [{name: a}]', '1:9', 'buses[0]', /expected a url; found none/],
  ['buses: [{url: }]', '1:15', 'buses[0].url', /expected a bus URL/],
  ['buses: [{url: [a]}]', '1:15', 'buses[0].url', /expected text; found a list/],
  ['buses: [{url: sim:kart, speed: 1}]', '1:25', 'buses[0]', /unknown key: expected name, url/],
  ['buses: [{url: "sim:boat"}]', '1:15', 'buses[0].url', /simulated vehicle: kart/],
  ['buses: [{url: sim:kart, name: a b}]', '1:31', 'buses[0].name', /expected 1 to 32 letters/],
  [
    'buses:\n- {url: sim:kart, name: a}\n- {url: sim:kart, name: a}',
    '3:9',
    'buses[1].url',
    /a name of its own/,
  ],
  [
    'buses: [{url: sim:kart, name: host}]',
    '1:15',
    'buses[0].url',
    /another name.*found "host": .*own health/,
  ],
  ['host: {interval: 10ms}', '1:18', 'host.interval', /expected a duration from 100ms to 1h.*or off/],
  ['host: {send: [a b]}', '1', 'host.send', /expected the name of a bus, such as can0; found "a b"/],
  ['host: {send: [sim, {}]}', '1:20', 'host.send', /found keys and values/],
  ['host: {send: [sin]}', '1', 'host.send', /can be sent on \(sim\); found "sin"; did you mean "sim"\?/],
  ['host: {interval: off, send: sim}', '1', 'host.send', /expected host.interval beside it/],
  [
    'buses: [{url: "candump:a.log"}]\nhost: {send: a}',
    '2',
    'host.send',
    /\(none, as no bus can be sent on\); found "a", a log that is replayed/,
  ],
  ['buses:\n- url: socketcan:can0\n- url: socketcan:can0', '3:8', 'buses[1].url', /each CAN interface once/],
  ['a: "', '1:5', '', /YAML: Missing closing/],
  ['a: 1\n---\nb: 1', '2:1', '', /YAML: .*multiple documents/],
  ['api: {host: !secret a}', '1:13', '', /YAML: Unresolved tag/],
  ['api: {host: *nobody}', '1:13', '', /anchor above; found "\*nobody"/],
  ['- a', '1:1', '', /expected keys and values; found a list/],
  ['hello', '1:1', '', /expected keys and values; found "hello"/],
  ['['.repeat(100_000), '1', '', /too many levels of nesting/],
];

test('says where each mistake of a file is, what was expected and what was found', () => {
  for (const [yaml, position, path, message] of mistakes) {
    const problems = problemsOf(yaml);
    const shown = `${yaml.slice(0, 80)}\n${JSON.stringify(problems.slice(0, 3), null, 1)}`;
    const problem = problems.find((candidate) => message.test(candidate.message));
    assert.ok(problem, shown);
    assert.equal(problem.path, path, shown);
    assert.ok(`${problem.source}:`.startsWith(`collector.yaml:${position}:`), shown);
  }
});

test('all mistakes of the file, the environment and the flags are told at once', () => {
  const inputs = {
    env: { API_PORT: 'many', CAN_BAUDRATE: '1', LOG_LEVEL: 'loud', DB_PATH: ':memory:' },
    flags: { port: '-1', 'max-age': '30', bus: ['can0'], can: 'can1', color: 'red', prot: '1' },
  };
  const problems = problemsOf('api:\n  port: x\n  hsot: y\nlog: {level: z}\n', inputs);
  assert.deepEqual(
    problems.map(({ source, path }) => `${source} ${path}`).sort(),
    [
      'collector.yaml:2:9 api.port',
      'collector.yaml:3:3 api',
      'collector.yaml:4:14 log.level',
      'env API_PORT api.port',
      'env CAN_BAUDRATE buses',
      'env DB_PATH history.path',
      'env LOG_LEVEL log.level',
      'flag --bus buses',
      'flag --can buses',
      'flag --color ',
      'flag --max-age history.max_age',
      'flag --port api.port',
      'flag --prot ',
    ].sort(),
  );
});

test('the message of the error is a list that names every place', () => {
  assert.throws(() => load('api:\n  port: x\nlgo: 1', { env: { API_HOST: 'a b' } }), {
    message: [
      "the configuration can't be used:",
      'collector.yaml:3:1: unknown key: expected buses, node_id, time_sync, host, history, recording, api, commands, log; found "lgo"; did you mean "log"?',
      'env API_HOST: api.host: expected a host name or an IP address without brackets, such as 127.0.0.1 or ::1; found "a b"',
      'collector.yaml:2:9: api.port: expected an integer from 0 to 65535; found "x"',
    ].join('\n  '),
  });
});

/** For each setting with inputs: three values as text and as the service is given them. */
const values: Record<string, [string, unknown][]> = {
  node_id: [
    ['1', 1],
    ['0x7ff', 2047],
    ['3', 3],
  ],
  'history.path': [
    ['/a.db', '/a.db'],
    ['/b.db', '/b.db'],
    ['/c.db', '/c.db'],
  ],
  'history.flush_interval': [
    ['1min', 60_000],
    ['2s', 2_000],
    ['100ms', 100],
  ],
  'history.durability': [
    ['full', 'full'],
    ['relaxed', 'relaxed'],
    ['full', 'full'],
  ],
  'history.timestamp_resolution': [
    ['1ms', 1_000],
    ['0.5ms', 500],
    ['1s', 1_000_000],
  ],
  'history.max_age': [
    ['1d', 86_400_000],
    ['unlimited', null],
    ['2h', 7_200_000],
  ],
  'history.max_bytes': [
    ['64MiB', 67_108_864],
    ['1GB', 1_000_000_000],
    ['unlimited', null],
  ],
  'history.seconds_max_age': [
    ['1d', 86_400_000],
    ['36500d', 3_153_600_000_000],
    ['unlimited', null],
  ],
  'history.minutes_max_age': [
    ['1d', 86_400_000],
    ['2h', 7_200_000],
    ['unlimited', null],
  ],
  'history.max_samples': [
    ['1', 1],
    ['unlimited', null],
    ['3', 3],
  ],
  'api.host': [
    ['a', 'a'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
  ],
  'api.port': [
    ['1', 1],
    ['2', 2],
    ['3', 3],
  ],
  'api.anonymous': [
    ['local', 'local'],
    ['read', 'read'],
    ['none', 'none'],
  ],
  'api.tokens': [
    ['/a.json', '/a.json'],
    ['/b', '/b'],
    ['/c', '/c'],
  ],
  'api.origins': [
    ['http://a:1', ['http://a:1']],
    ['http://a, https://b:443', ['http://a', 'https://b']],
    ['none', []],
  ],
  'api.hosts': [
    ['kart.local', ['kart.local']],
    ['a,B', ['a', 'b']],
    ['none', []],
  ],
  'api.rate_limit': [
    ['1', 1],
    ['unlimited', null],
    ['3', 3],
  ],
  // One alone is a mistake.
  'api.tls_cert': [
    ['none', null],
    ['none', null],
    ['none', null],
  ],
  'api.tls_key': [
    ['none', null],
    ['none', null],
    ['none', null],
  ],
  'commands.enabled': [
    ['on', 'on'],
    ['off', 'off'],
    ['on', 'on'],
  ],
  'commands.audit': [
    ['/a.log', '/a.log'],
    ['/b.log', '/b.log'],
    ['/c.log', '/c.log'],
  ],
  'commands.timeout': [
    ['10ms', 10],
    ['2s', 2_000],
    ['30s', 30_000],
  ],
  'log.level': [
    ['INFO', 'info'],
    ['critical', 'fatal'],
    ['Trace', 'trace'],
  ],
  'recording.path': [
    ['/a', '/a'],
    ['none', null],
    ['/c/', '/c'],
  ],
  'recording.max_file_bytes': [
    ['4MiB', 4_194_304],
    ['10MB', 10_000_000],
    ['1GiB', 1_073_741_824],
  ],
  'recording.max_file_age': [
    ['1s', 1_000],
    ['1d', 86_400_000],
    ['10min', 600_000],
  ],
  'recording.max_bytes': [
    ['4GiB', 4_294_967_296],
    ['unlimited', null],
    ['200MB', 200_000_000],
  ],
  'time_sync.interval': [
    ['100ms', 100],
    ['off', null],
    ['simulated', 'simulated'],
  ],
  'host.interval': [
    ['100ms', 100],
    ['off', null],
    ['1h', 3_600_000],
  ],
  'host.send': [
    ['sim', ['sim']],
    ['none', []],
    ['sim, sim', ['sim']],
  ],
  'recording.compress': [
    ['zstd', 'zstd'],
    ['none', 'none'],
    ['zstd', 'zstd'],
  ],
  'log.file': [
    ['/a.log', '/a.log'],
    ['none', null],
    ['/c.log', '/c.log'],
  ],
  'log.max_bytes': [
    ['4KiB', 4_096],
    ['1MB', 1_000_000],
    ['5kB', 5_000],
  ],
  'log.max_files': [
    ['1', 1],
    ['2', 2],
    ['3', 3],
  ],
};

test('flags go over the environment, that over the file, and that over the default', () => {
  for (const setting of SETTINGS.filter(({ form }) => form !== 'buses')) {
    const three = values[setting.path]!;
    const { flag, env: variable } = setting.inputs[0] ?? {};
    const keys = setting.path.split('.');
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), fc.nat(7), (order, given) => {
        const [byFlag, byVariable, byFile] = order.map((index) => three[index]!);
        const hasFlag = flag !== undefined && (given & 1) !== 0;
        const hasVariable = variable !== undefined && (given & 2) !== 0;
        const hasFile = (given & 4) !== 0;
        const yaml = hasFile ? `${keys.join(': {')}: "${byFile![0]}"${'}'.repeat(keys.length - 1)}` : '';
        const loaded = load(yaml, {
          flags: hasFlag ? { [flag]: byFlag![0] } : {},
          env: variable === undefined ? {} : { [variable]: hasVariable ? byVariable![0] : '' },
        });

        const source = loaded.sources[setting.path]!;
        const [expectedSource, expected] = hasFlag
          ? [`flag --${flag}`, byFlag![1]]
          : hasVariable
            ? [`env ${variable}`, byVariable![1]]
            : hasFile
              ? ['collector.yaml:1', byFile![1]]
              : [
                  'default',
                  valueAt(loadConfig({ env: {}, cwd: '/nowhere', home }).config, setting.properties),
                ];
        assert.equal(source, expectedSource);
        assert.deepEqual(valueAt(loaded.config, setting.properties), expected, setting.path);
      }),
      { numRuns: 30 },
    );
  }
});

function valueAt(root: unknown, properties: readonly string[]): unknown {
  return properties.reduce((value, property) => (value as Record<string, unknown>)[property], root);
}

test('buses come from --bus or --can, else CAN_INTERFACE, else the file, else the simulated kart', () => {
  const yaml = 'buses: [{url: socketcan:can7}]';
  const cases: [ConfigInputs, string[], string][] = [
    [{}, ['can7 socketcan:can7'], 'collector.yaml:1'],
    [{ env: { CAN_INTERFACE: '' } }, ['can7 socketcan:can7'], 'collector.yaml:1'],
    [{ env: { CAN_INTERFACE: 'vcan0' } }, ['vcan0 socketcan:vcan0'], 'env CAN_INTERFACE'],
    [
      { env: { CAN_INTERFACE: 'vcan0', CAN_BAUDRATE: '250000' } },
      ['vcan0 socketcan:vcan0?bitrate=250000'],
      'env CAN_INTERFACE',
    ],
    [
      { env: { CAN_INTERFACE: 'vcan0', CAN_BAUDRATE: '250000' }, flags: { bitrate: '125000' } },
      ['vcan0 socketcan:vcan0?bitrate=125000'],
      'env CAN_INTERFACE',
    ],
    [
      { env: { CAN_INTERFACE: 'vcan0', CAN_BAUDRATE: '250000' }, flags: { can: 'can1' } },
      ['can1 socketcan:can1?bitrate=250000'],
      'flag --can',
    ],
    [{ env: { CAN_INTERFACE: 'sim:kart?seed=2' } }, ['sim sim:kart?seed=2'], 'env CAN_INTERFACE'],
    [{ env: { CAN_INTERFACE: 'sim:kart', CAN_BAUDRATE: '5000' } }, ['sim sim:kart'], 'env CAN_INTERFACE'],
    [
      { env: { CAN_INTERFACE: 'socketcan:can1?bitrate=125000', CAN_BAUDRATE: '500000' } },
      ['can1 socketcan:can1?bitrate=125000'],
      'env CAN_INTERFACE',
    ],
    [{ env: { CAN_BAUDRATE: '250000' } }, ['can7 socketcan:can7?bitrate=250000'], 'collector.yaml:1'],
    [
      { env: { CAN_INTERFACE: 'vcan0' }, flags: { bus: ['sim:kart', 'sim:kart?seed=2', 'socketcan:can0'] } },
      ['sim sim:kart', 'sim-2 sim:kart?seed=2', 'can0 socketcan:can0'],
      'flag --bus',
    ],
    [{ flags: { bus: 'sim:kart' } }, ['sim sim:kart'], 'flag --bus'],
  ];
  for (const [inputs, expected, source] of cases) {
    const { config, sources } = load(yaml, inputs);
    assert.deepEqual(
      config.buses.map(({ name, url }) => `${name} ${url}`),
      expected,
    );
    assert.equal(sources.buses, source);
  }
});

test('a bus that would be called host after what it reads is called otherwise', () => {
  const { config } = load('buses: [{url: "candump:host.log"}, {url: socketcan:host}, {url: sim:kart}]');
  assert.deepEqual(
    config.buses.map(({ name }) => name),
    ['host-2', 'host-3', 'sim'],
  );
});

test('a list is one of the source with the highest precedence, whose flag may be repeated', () => {
  const yaml = 'api:\n  origins:\n  - http://file:1\n  - http://file:2\n  hosts: []';
  const cases: [ConfigInputs, string[], string][] = [
    [{}, ['http://file:1', 'http://file:2'], 'collector.yaml:3'],
    [
      { env: { API_ORIGINS: 'http://env:1, http://env:2' } },
      ['http://env:1', 'http://env:2'],
      'env API_ORIGINS',
    ],
    [{ env: { API_ORIGINS: 'none' } }, [], 'env API_ORIGINS'],
    [
      { flags: { origin: ['http://flag:1', 'http://flag:2'] }, env: { API_ORIGINS: 'http://env:1' } },
      ['http://flag:1', 'http://flag:2'],
      'flag --origin',
    ],
  ];
  for (const [inputs, origins, source] of cases) {
    const loaded = load(yaml, inputs);
    assert.deepEqual(loaded.config.api.origins, origins);
    assert.deepEqual(loaded.config.api.hosts, []);
    assert.equal(loaded.sources['api.origins'], source);
    const shown = effectiveSettings(loaded).find(({ path }) => path === 'api.origins')?.value;
    assert.equal(shown, origins.join(', ') || 'none');
  }
});

test('a bus flag that has no effect is a mistake', () => {
  const cases: [ConfigInputs, string, RegExp][] = [
    [{ flags: { bitrate: '250000' } }, 'flag --bitrate', /no bitrate of its own; found none/],
    [{ flags: { bitrate: '250000', bus: ['sim:kart'] } }, 'flag --bitrate', /found none/],
    [
      { flags: { bitrate: 'fast', can: 'can0' } },
      'flag --bitrate',
      /5000 to 1000000 \(bit\/s\); found "fast"/,
    ],
    [{ flags: { bus: ['sim:kart'], can: 'can0' } }, 'flag --can', /either --bus or --can/],
    [{ flags: { can: 'a/b' } }, 'flag --can', /name of a CAN interface/],
    [{ flags: { port: ['1', '2'] } }, 'flag --port', /expected it once; found it 2 times/],
    [{ flags: { bus: Array<string>(17).fill('sim:kart') } }, 'flag --bus', /at most 16 buses; found 17/],
    [{ env: { CAN_INTERFACE: 'can 0' } }, 'env CAN_INTERFACE', /name of a CAN interface/],
  ];
  for (const [inputs, source, message] of cases) {
    const problems = problemsOf('', inputs);
    assert.equal(problems.length, 1, JSON.stringify(problems));
    assert.equal(problems[0]?.source, source);
    assert.match(problems[0]?.message ?? '', message);
  }
});

test('the state directory is of systemd, else of XDG, else in the home directory', () => {
  const cases: [Record<string, string>, string][] = [
    [{}, '/home/driver/.local/state/telemetry-collector'],
    [{ XDG_STATE_HOME: '/xdg' }, '/xdg/telemetry-collector'],
    [{ XDG_STATE_HOME: 'relative' }, '/home/driver/.local/state/telemetry-collector'],
    [{ XDG_STATE_HOME: '/xdg', STATE_DIRECTORY: '/var/lib/kart:/var/lib/other' }, '/var/lib/kart'],
  ];
  for (const [env, expected] of cases) {
    const { config } = load('', { env });
    assert.equal(config.history.path, `${expected}/collector.db`);
    assert.equal(config.log.file, `${expected}/collector.log`);
    assert.equal(config.commands.audit, `${expected}/commands.log`);
  }
  const { config } = load('', { flags: { db: 'data/kart.db' } });
  assert.equal(config.history.path, join(folder, 'data/kart.db'));
  assert.equal(config.log.file, join(folder, 'data/collector.log'));
});

test('a relative path in a file starts at the folder of the file', () => {
  mkdirSync(join(folder, 'etc'), { recursive: true });
  writeFileSync(join(folder, 'etc/kart.yaml'), 'history: {path: kart.db}');
  const { config, sources, file: name } = load('', { env: { COLLECTOR_CONFIG: 'etc/kart.yaml' } });
  assert.equal(config.history.path, join(folder, 'etc/kart.db'));
  assert.equal(sources['history.path'], 'etc/kart.yaml:1');
  assert.equal(name, 'etc/kart.yaml');
});

test('a file that cannot be read is a mistake', () => {
  mkdirSync(join(folder, 'folder'), { recursive: true });
  writeFileSync(join(folder, 'huge.yaml'), '');
  truncateSync(join(folder, 'huge.yaml'), 1_048_577);
  writeFileSync(join(folder, 'bytes.yaml'), Buffer.from([0x61, 0x3a, 0xff]));
  const cases: [string, RegExp][] = [
    ['missing.yaml', /expected an existing file; found no "missing\.yaml"/],
    ['folder', /expected a YAML file; found a directory/],
    ['huge.yaml', /expected a file of at most 1 MiB; found 1048577 bytes/],
    ['bytes.yaml', /expected UTF-8 text/],
    ['/dev/null', /expected a regular file/],
    ['collector.yaml/x', /can't be read: ENOTDIR/],
    ['', /expected the path of a file/],
    ['a\0b', /expected the path of a file/],
  ];
  for (const [config, message] of cases) {
    const problems = problemsOf('', { flags: { config, port: 'x' } });
    assert.equal(problems.length, 2, config);
    assert.match(problems[0]?.message ?? '', message);
    assert.match(problems[0]?.source ?? '', /^flag --config/);
    assert.equal(problems[1]?.source, 'flag --port');
  }
});

test('texts made to take long are answered soon', () => {
  const bomb = `a: &a [x]\n${Array.from({ length: 25 }, (_, i) => `b${i}: &b${i} [*a, *a]`).join('\n')}\n`;
  const hostile = [
    bomb,
    '*a :\n'.repeat(50_000),
    Array.from({ length: 100_000 }, (_, index) => `k${index}:`).join('\n'),
    `buses: [${'{url: sim:kart},'.repeat(50_000)}]`,
    `buses: &b [*b, *b]`,
    `"${'x'.repeat(1_000_000)}": 1`,
    '? '.repeat(100_000),
    '- '.repeat(100_000),
  ];
  for (const yaml of hostile) {
    const startMs = performance.now();
    const problems = problemsOf(yaml);
    assert.ok(problems.length > 0 && problems.length <= PROBLEMS_MAX + 1);
    assert.ok(performance.now() - startMs < 5_000, yaml.slice(0, 40));
  }
});

test('nothing that is read gets into the prototype of objects', () => {
  problemsOf(
    '__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\napi: {__proto__: {polluted: 1}}',
  );
  problemsOf('', { flags: JSON.parse('{"__proto__": "1"}') });
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('any text as a file, a flag or a variable loads or gives problems with messages', () => {
  const words = fc.constantFrom(
    ...[
      'api',
      'port',
      'buses',
      'url',
      'history',
      'sim:kart',
      '30d',
      '\n  ',
      '\n',
      ': ',
      '- ',
      '[',
      ']',
      '{',
      '}',
    ],
    ...[
      '&a ',
      '*a',
      '!x ',
      '"',
      "'",
      '? ',
      '|\n',
      '# ',
      '~',
      '<<',
      '__proto__',
      '---\n',
      '%YAML 1.1\n',
      ', ',
    ],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(words, fc.string({ maxLength: 4 })), { maxLength: 30 }).map((parts) => parts.join('')),
  );
  const flagNames = fc.constantFrom(
    ...SETTINGS.flatMap(({ inputs }) => inputs.flatMap(({ flag }) => flag ?? [])),
    ...['config', 'unknown', '__proto__'],
  );
  const variableNames = fc.constantFrom(
    ...SETTINGS.flatMap(({ inputs }) => inputs.flatMap(({ env }) => env ?? [])),
    ...['STATE_DIRECTORY', 'XDG_STATE_HOME'],
  );
  const flagValue = fc.oneof(text, fc.array(text, { maxLength: 3 }));
  fc.assert(
    fc.property(
      text,
      fc.dictionary(flagNames, flagValue, { maxKeys: 3 }),
      fc.dictionary(variableNames, text, { maxKeys: 3 }),
      (yaml, flags, env) => {
        try {
          const loaded = load(yaml, { flags, env });
          assert.ok(effectiveSettings(loaded).length >= SETTINGS.length);
          assert.ok(Value.Check(CollectorConfigSchema, loaded.config));
        } catch (error) {
          assert.ok(error instanceof InvalidConfigError, `${error}`);
          assert.ok(error.problems.length > 0);
          for (const { message } of error.problems) assert.ok(message.length > 0);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
