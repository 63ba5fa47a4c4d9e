import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Signal } from './signal-store.ts';
import { findWarnings, type WarningSources } from './warnings.ts';

const NOW_S = 1_764_000_000;
const NOW_MS = 50_000;
const NONE: WarningSources = {
  status: null,
  isConnected: true,
  gaps: [],
  errors: {},
  signals: [],
  nowMs: NOW_MS,
  nowS: NOW_S,
  units: { speed: 'km/h', temperature: '°C' },
};

function signal(key: string, value: number, parts: Partial<Signal> = {}): Signal {
  const [type, component, command] = key.split('/') as [string, string, string];
  const made = new Signal(type, component, command);
  made.take(NOW_S, value, value, null, NOW_MS);
  return Object.assign(made, { rateHz: 10, hasRate: true }, parts);
}

const titles = (sources: Partial<WarningSources>) =>
  findWarnings({ ...NONE, ...sources }).map(({ level, title }) => `${level}: ${title}`);

test('nothing is wrong where nothing is', () => assert.deepEqual(titles({}), []));

test('faults come before warnings', () => {
  const signals = [
    signal('BATTERIES/ACCESSORY/TEMPERATURE', 52, { unit: '°C' }),
    signal('MOTORS/MOTOR_LEFT_REAR/TEMPERATURE', 120, { unit: '°C' }),
  ];
  assert.deepEqual(titles({ signals }), [
    'fault: Motors: Left rear is hot: 120 °C',
    'warning: Batteries: Accessory is hot: 52 °C',
  ]);
});

test('temperatures are told in the unit that was chosen', () => {
  const signals = [signal('MOTORS/MOTOR_LEFT_REAR/TEMPERATURE', 90, { unit: '°C' })];
  const [warning] = findWarnings({ ...NONE, signals, units: { speed: 'km/h', temperature: '°F' } });
  assert.equal(warning?.title, 'Motors: Left rear is hot: 194 °F');
  assert.equal(warning?.detail, 'Temperature, from 185 °F on');
});

test('an emergency is a fault; a stale one is not', () => {
  const stop = signal('MOTORS/ALL/EMERGENCY', 1, { valueName: 'STOP' });
  const other = signal('MOTORS/MOTOR_LEFT_REAR/EMERGENCY', 1, { valueName: 'STOP' });
  const [warning, ...more] = findWarnings({ ...NONE, signals: [stop, other] });
  assert.deepEqual([warning?.level, warning?.title], ['fault', 'Motors: Stop']);
  assert.match(warning!.detail, /all, left rear/);
  assert.deepEqual(more, []);
  stop.arrivedMs = NOW_MS - 60_000;
  assert.ok(titles({ signals: [stop] }).every((title) => !title.includes('Stop')));
});

test('components that have become silent are told together; all of them is a fault', () => {
  const silent = signal('LIGHTS/FRONT/MODE', 0, { arrivedMs: NOW_MS - 9000 });
  const live = signal('LIGHTS/REAR/MODE', 0);
  assert.deepEqual(titles({ signals: [silent, live] }), ['warning: Silent: Lights front']);
  assert.deepEqual(titles({ signals: [silent] }), ['fault: Nothing comes any more']);
  assert.deepEqual(titles({ signals: [silent], isConnected: false }), [], 'nobody is known to be silent');
  // As the collector says of it from then on.
  const known = Object.assign(silent, { rateHz: 0, staleAtSource: true });
  assert.deepEqual(titles({ signals: [known, live] }), ['warning: Silent: Lights front']);
  const rare = signal('LIGHTS/FRONT/MODE', 0, { rateHz: 0, hasRate: false, staleAtSource: true });
  assert.deepEqual(titles({ signals: [rare, live] }), [], 'what only tells changes');
});

test('a log that was read to its end is told as that', () => {
  const status = {
    buses: [
      {
        name: 'drive',
        state: 'ended',
        problem: null,
        silent_since: null,
        controller: { state: null, last_error: null },
      },
    ],
    history: { problem: null, state: 'open', samples_lost: { queue: 0, write: 0 } },
    recording: null,
    host: { disk_free_bytes: null, disk_total_bytes: null, temperature_c: null },
  } as unknown as NonNullable<WarningSources['status']>;
  const known = signal('LIGHTS/FRONT/MODE', 0, { rateHz: 0, staleAtSource: true });
  assert.deepEqual(titles({ signals: [known], status }), ['warning: The log has ended']);
});

test('an address for all components of a type is no component that could be silent', () => {
  const all = signal('MOTORS/ALL/MODE', 2, { arrivedMs: NOW_MS - 9000 });
  assert.deepEqual(titles({ signals: [all, signal('LIGHTS/REAR/MODE', 0)] }), []);
});

test('of buses their status tells, not that their figures come no more', () => {
  const load = signal('CAN_BUS/can0/LOAD', 0, { arrivedMs: NOW_MS - 60_000 });
  assert.deepEqual(titles({ signals: [load] }), []);
  assert.deepEqual(titles({ signals: [load, signal('LIGHTS/REAR/MODE', 0)] }), []);
  // Nor are they something that still comes.
  const silent = signal('LIGHTS/FRONT/MODE', 0, { arrivedMs: NOW_MS - 9000 });
  const still = signal('CAN_BUS/can0/LOAD', 0);
  assert.deepEqual(titles({ signals: [silent, still] }), ['fault: Nothing comes any more']);
});

test("a motor's error is shown for a minute, and a status that is ok never", () => {
  const error = (valueName: string, ageS: number) =>
    ({
      MOTORS: {
        MOTOR_LEFT_REAR: {
          RPM: { message_type: 'ERROR', timestamp: NOW_S - ageS, value_name: valueName, raw_value: 4 },
        },
      },
    }) as unknown as WarningSources['errors'];
  assert.deepEqual(titles({ errors: error('ERROR_OVERTEMP', 5) }), [
    'fault: Motors: Left rear reports overtemp',
  ]);
  assert.deepEqual(titles({ errors: error('ERROR_OVERTEMP', 90) }), []);
  assert.deepEqual(titles({ errors: error('STATUS_OK', 5) }), []);
});

test('gaps are told for two minutes after they ended', () => {
  const gap = {
    bus: null,
    cause: 'service_down' as const,
    from: NOW_S - 100,
    to: NOW_S - 60,
    count: null,
    ongoing: false,
  };
  assert.deepEqual(titles({ gaps: [gap] }), ['warning: Gap of 40 s']);
  assert.deepEqual(titles({ gaps: [{ ...gap, to: NOW_S - 121 }] }), []);
  const last = { ...gap, from: NOW_S - 12, to: NOW_S - 10 };
  assert.deepEqual(titles({ gaps: [last, gap] }), ['warning: Gap of 2.0 s']);
});
