import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProtocolRegistry } from '../../../src/protocol/protocol-registry.ts';
import { bytesOf, decodePayload } from './bus/decode.ts';
import { commandBuses, emergencyStop, fieldOf, moves } from './commands.ts';
import { readableComponent, readableName, readableSignal } from './names.ts';
import { findRoles } from './roles.ts';
import { matches } from './search.ts';
import { listSignals } from './signal-list.ts';
import { Signal } from './signal-store.ts';
import { Trail } from './trail.ts';
import {
  formatAge,
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatShown,
  formatValue,
  shownUnit,
} from './units.ts';

const METRIC = { speed: 'km/h', temperature: '°C' } as const;
const IMPERIAL = { speed: 'mph', temperature: '°F' } as const;
const protocol = ProtocolRegistry.load().catalog();

describe('values are shown', () => {
  // biome-ignore format: a table
  const cases: [value: number, unit: string | null, metric: string, imperial: string][] = [
    [51_546, 'mV', '51.55 V', '51.55 V'],
    [-20_903, 'mA', '−20.90 A', '−20.90 A'],
    [100, 'km/h', '100.0 km/h', '62.1 mph'],
    [100, '°C', '100.0 °C', '212 °F'],
    [-0.01, '°C', '0.0 °C', '32 °F'],
    [1200, 'rpm', '1200 rpm', '1200 rpm'],
    [7, null, '7', '7'],
    [1.23456789, null, '1.23457', '1.23457'],
    [Number.NaN, 'rpm', '– rpm', '– rpm'],
    [3, 'records', '3 records', '3 records'],
  ];
  for (const [value, unit, metric, imperial] of cases) {
    test(`${value} ${unit} as ${metric} and as ${imperial}`, () => {
      const text = (choice: typeof METRIC | typeof IMPERIAL) => {
        const shown = shownUnit(unit, choice);
        return `${formatValue(value, shown)} ${shown.unit}`.trim();
      };
      assert.equal(text(METRIC), metric);
      assert.equal(text(IMPERIAL), imperial);
    });
  }

  test('and lengths of time, ages and sizes in the units that fit', () => {
    assert.deepEqual([0.25, 5, 75, 3600, 90_000].map(formatDuration), [
      '250 ms',
      '5.0 s',
      '1 min 15 s',
      '1 h',
      '1 d 1 h',
    ]);
    assert.deepEqual([0.34, 12.9, 700].map(formatAge), ['0.3 s', '12 s', '11 min 40 s']);
    assert.deepEqual([512, 1536, 5 * 1024 ** 3].map(formatBytes), ['512 B', '1.5 KiB', '5.0 GiB']);
    assert.deepEqual([9999, 22_000, 67_224, 12_345_678].map(formatCount), [
      '9,999',
      '22.0K',
      '67.2K',
      '12.3M',
    ]);
  });
});

test('bytes and long times are shown in the units that fit, with which they stand', () => {
  const shown = (value: number, unit: string) => {
    const { text, unit: of } = formatShown(value, shownUnit(unit, METRIC));
    return `${text} ${of}`.trim();
  };
  assert.equal(shown(17_179_868_160, 'B'), '16.0 GiB');
  assert.equal(shown(40_279, 's'), '11 h 11 min');
  assert.equal(shown(12.34, 's'), '12.34 s');
  assert.equal(shown(-1.5, 's'), '−1.5 s');
  assert.equal(shown(1200, 'rpm'), '1200 rpm');
  assert.equal(shown(Number.NaN, 'B'), '– B');
});

test('a clock rounds seconds and their fraction together, and knows midnight', () => {
  const midnightS = new Date(2026, 0, 2).getTime() / 1000;
  assert.equal(formatClock(midnightS + 0.25), '00:00:00.2500');
  assert.equal(formatClock(midnightS - 0.000_04), '00:00:00.0000');
  assert.equal(formatClock(midnightS - 0.000_06), '23:59:59.9999');
});

test('names are read as people write them', () => {
  assert.equal(readableName('IMU_TEMPERATURE'), 'IMU temperature');
  assert.equal(readableName('WIFI_RSSI_DBM'), 'Wi-Fi RSSI');
  assert.equal(readableComponent('MOTORS', 'MOTOR_LEFT_REAR'), 'Left rear');
  assert.equal(readableSignal('MOTORS/MOTOR_LEFT_REAR/RPM'), 'Motors left rear · RPM');
  assert.equal(readableSignal('NAVIGATION/GPS_PRIMARY/SPEED'), 'Navigation GPS primary · Speed');
});

function signalOf(key: string, unit: string | null = null): Signal {
  const [type, component, command] = key.split('/') as [string, string, string];
  return Object.assign(new Signal(type, component, command), { unit, bus: 'can0' });
}

test('a search finds words of names, units and buses, in any order, and patterns', () => {
  const rpm = signalOf('MOTORS/MOTOR_LEFT_REAR/RPM', 'rpm');
  for (const query of ['', 'rpm left', 'motor*rear', 'MOTORS/*/RPM', 'can0', 'left rear'])
    assert.ok(matches(query, rpm), query);
  for (const query of ['right', 'MOTORS/*/TORQUE', 'rpm right']) assert.ok(!matches(query, rpm), query);
  assert.ok(matches('[x', signalOf('A/[X/B')), 'no pattern breaks it');
});

test('a list is ordered by what is asked, and by name among equals', () => {
  const signals = [
    ['C', 2],
    ['A', 1],
    ['B', 2],
  ].map(([name, value]) => {
    const signal = signalOf(`T/${name}/X`);
    signal.take(1, Number(value), 0, null, 0);
    return signal;
  });
  const options = { query: '', type: null, isStaleOnly: false, nowMs: 0 } as const;
  const order = (sort: 'name' | 'value', isDescending: boolean) =>
    listSignals(signals, { ...options, sort, isDescending })
      .map(({ component }) => component)
      .join('');
  assert.equal(order('name', false), 'ABC');
  assert.equal(order('name', true), 'CBA');
  assert.equal(order('value', true), 'BCA');
});

test('the parts of a kart are found by what they are called and measured in', () => {
  const roles = findRoles([
    signalOf('MOTORS/MOTOR_LEFT_REAR/RPM', 'rpm'),
    signalOf('MOTORS/MOTOR_LEFT_REAR/TEMPERATURE', '°C'),
    signalOf('MOTORS/MOTOR_RIGHT_REAR/RPM', 'rpm'),
    signalOf('BATTERIES/MOTOR_LEFT_REAR/VOLTAGE', 'mV'),
    signalOf('NAVIGATION/GPS_PRIMARY/LATITUDE', '°'),
    signalOf('NAVIGATION/GPS_PRIMARY/LONGITUDE', '°'),
    signalOf('NAVIGATION/GPS_PRIMARY/SPEED', 'km/h'),
    signalOf('CONTROLS/THROTTLE/POSITION'),
    signalOf('SYSTEM_MONITOR/RASPBERRY_PI/CPU_LOAD_PERCENT', '%'),
  ]);
  assert.equal(roles.speed, 'NAVIGATION/GPS_PRIMARY/SPEED');
  assert.equal(roles.throttle, 'CONTROLS/THROTTLE/POSITION');
  assert.equal(roles.longitude, 'NAVIGATION/GPS_PRIMARY/LONGITUDE');
  assert.deepEqual(
    roles.motors.map(({ corner, temperature }) => [corner, temperature]),
    [
      ['rear-left', 'MOTORS/MOTOR_LEFT_REAR/TEMPERATURE'],
      ['rear-right', null],
    ],
  );
  assert.equal(roles.batteries.length, 1);
  assert.deepEqual(
    roles.rest.map(({ type }) => type),
    ['SYSTEM_MONITOR'],
  );
});

test('of another vehicle all signals are shown, by component', () => {
  const ofBus = signalOf('CAN_BUS/can0/LOAD', '%');
  const roles = findRoles([
    signalOf('PUMPS/COOLANT/FLOW', 'l/min'),
    ofBus,
    signalOf('PUMPS/OIL/PRESSURE', 'kPa'),
  ]);
  assert.equal(roles.speed, null);
  assert.deepEqual(roles.rest, [
    {
      type: 'PUMPS',
      components: [
        { component: 'COOLANT', keys: ['PUMPS/COOLANT/FLOW'] },
        { component: 'OIL', keys: ['PUMPS/OIL/PRESSURE'] },
      ],
    },
  ]);
});

test('payloads say what the worked examples of the protocol say', () => {
  const valuesIn = (hex: string) => decodePayload(bytesOf(hex), protocol).map(({ value }) => value);
  assert.deepEqual(valuesIn('48000001400004B0'), ['Status', 'Motors', 'Motor left rear', 'RPM', '1200 rpm']);
  assert.deepEqual(valuesIn('5000010130FFFC18').at(-1), '-1000 mA');
  assert.deepEqual(valuesIn('0000000020000001'), ['Command', 'Lights', 'Front', 'Mode', 'On (1)']);
  assert.deepEqual(valuesIn('7800110120000001').slice(1, 4), ['Type 7', 'Component 17', 'Command 1']);
  assert.deepEqual(valuesIn('4800'), [], 'no message of the protocol');
});

test('commands go to buses, not to logs that are replayed', () => {
  const buses = ['socketcan', 'sim', 'candump', 'asc'].map((kind) => ({ name: kind, kind }));
  assert.deepEqual(commandBuses({ buses }), ['socketcan', 'sim']);
  assert.deepEqual(commandBuses(null), []);
});

test('a form knows what a command takes, and what may move the kart', () => {
  const types = protocol.component_types;
  const command = (type: string, name: string) => types[type]!.commands.find((each) => each.name === name)!;
  assert.deepEqual(fieldOf(command('LIGHTS', 'SIGNAL'), 'FRONT'), {
    kind: 'names',
    names: ['NONE', 'LEFT', 'RIGHT'],
  });
  assert.deepEqual(fieldOf(command('LIGHTS', 'INTENSITY'), 'FRONT'), {
    kind: 'number',
    min: 0,
    max: 100,
    step: 1,
    unit: '%',
  });
  assert.deepEqual(fieldOf(command('MOTORS', 'ENABLE'), 'ALL'), { kind: 'boolean' });
  assert.equal(fieldOf(command('LIGHTS', 'TOGGLE'), 'FRONT'), null);
  assert.deepEqual(
    [moves('LIGHTS'), moves('MOTORS'), moves('CONTROLS'), moves('WINCHES')],
    [false, true, true, true],
  );
  assert.deepEqual(emergencyStop(types), {
    componentType: 'MOTORS',
    componentId: 'ALL',
    commandId: 'EMERGENCY',
    value: 'STOP',
  });
});

test('a trail begins anew after a jump, and forgets its oldest positions', () => {
  const trail = new Trail(100);
  trail.push(0, 0, 1);
  assert.equal(trail.length, 0, 'what a receiver without a fix tells');
  for (let at = 0; at < 250; at++) trail.push(40 + at * 1e-6, -113, 1);
  assert.ok(trail.length <= 100 && trail.length > 50);
  trail.push(41, -113, 1);
  assert.equal(trail.isStart[trail.length - 1], 1);
  assert.equal(trail.isStart[trail.length - 2], 0);
});
