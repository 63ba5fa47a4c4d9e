import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { ProtocolError } from '../shared/errors.ts';
import { type CatalogEntry, ProtocolRegistry, type ValueNames } from './protocol-registry.ts';

/**
 * The kart's protocol page, written down a second time and not read from the .proto files, so that a
 * number can't change in one place alone. Values: 'NAME number, ...'; a key 'COMMAND of COMPONENT' is
 * for that component alone. Commands: 'NAME number type scale unit', '-' for what has none.
 */
const PAGE = {
  messageTypes: 'COMMAND 0, STATUS 1, ACK 2, ERROR 3',
  valueTypes: 'BOOLEAN 0, INT8 1, UINT8 2, INT16 3, UINT16 4, INT24 5, UINT24 6',
  componentTypes: {
    LIGHTS: {
      id: 0,
      components: 'FRONT 0, REAR 1, INTERIOR 4, AUXILIARY 8, UNDERGLOW 9, ALL 255',
      commands: `
        MODE 0 UINT8 1 -
        SIGNAL 1 UINT8 1 -
        INTENSITY 2 UINT8 1 %
        PATTERN 3 UINT8 1 -
        COLOR 4 UINT8 1 -
        DURATION 5 UINT24 1 ms
        TOGGLE 6 - 1 -
        SEQUENCE 7 UINT8 1 -
        BRAKE 8 BOOLEAN 1 -
        LOCATION 9 - 1 -
        VOLTAGE 10 UINT16 1 mV
        CURRENT 11 INT16 1 mA
        TEMPERATURE 12 INT16 0.1 °C
        PRESSURE 13 - 1 -`,
      values: {
        MODE: 'OFF 0, ON 1, AUTO 2, DIM 3, BRIGHT 4, FLASH 5, PULSE 6, FADE 7, HAZARD 8',
        SIGNAL: 'NONE 0, LEFT 1, RIGHT 2',
        PATTERN: 'SOLID 0, BLINK_SLOW 1, BLINK_FAST 2, STROBE 3, WAVE 4, CHASE 5, SOS 6',
        COLOR: 'WHITE 0, RED 1, GREEN 2, BLUE 3, AMBER 4, PURPLE 5, CYAN 6, CUSTOM 7',
        SEQUENCE: 'SEQ1 0, SEQ2 1, SEQ3 2, SEQ4 3, RANDOM 4',
      },
      errors: '',
    },
    MOTORS: {
      id: 1,
      components: 'MOTOR_LEFT_REAR 0, MOTOR_RIGHT_REAR 1, MOTOR_LEFT_FRONT 2, MOTOR_RIGHT_FRONT 3, ALL 255',
      commands: `
        THROTTLE 0 UINT8 1 %
        RPM 1 UINT16 1 rpm
        DIRECTION 2 UINT8 1 -
        BRAKE 3 UINT8 1 -
        MODE 4 UINT8 1 -
        ENABLE 5 BOOLEAN 1 -
        EMERGENCY 6 UINT8 1 -
        TORQUE 7 INT16 0.01 N·m
        CALIBRATE 8 UINT8 1 -
        TEMPERATURE 9 INT16 0.1 °C
        VOLTAGE 10 UINT16 1 mV
        CURRENT 11 INT16 1 mA
        PRESSURE 12 UINT16 1 kPa`,
      values: {
        DIRECTION: 'FORWARD 0, REVERSE 1, NEUTRAL 2',
        BRAKE: 'BRAKE_OFF 0, BRAKE_ON 1',
        MODE: 'LOW 0, MEDIUM 1, HIGH 2, ECO 3, SPORT 4, CUSTOM 5, OFF 6',
        EMERGENCY: 'NORMAL 0, STOP 1, LIMP_HOME 2, SHUTDOWN 3',
        CALIBRATE: 'CAL_START 0, CAL_STOP 1, CAL_RESET 2',
      },
      errors:
        'STATUS_OK 0, ERROR_OVERCURRENT 1, ERROR_OVERVOLTAGE 2, ERROR_UNDERVOLTAGE 3, ERROR_OVERTEMP 4, ' +
        'ERROR_HALL_SENSOR 5, ERROR_COMMUNICATION 6, ERROR_GENERAL 7, STATUS_UNKNOWN 8',
    },
    BATTERIES: {
      id: 2,
      components:
        'ACCESSORY 0, MOTOR_LEFT_REAR 1, MOTOR_RIGHT_REAR 2, MOTOR_LEFT_FRONT 3, MOTOR_RIGHT_FRONT 4, ALL 255',
      commands: `
        VOLTAGE 0 UINT16 1 mV
        CURRENT 1 INT16 1 mA
        TEMPERATURE 2 INT16 0.1 °C`,
      values: {},
      errors: '',
    },
    CONTROLS: {
      id: 3,
      components:
        'SYSTEM 0, THROTTLE 1, BRAKE 2, STEERING 3, TURN_SIGNAL_SWITCH 4, HAZARD_SWITCH 5, LIGHTS_SWITCH 6, ALL 255',
      commands: `
        ENABLE 0 - 1 -
        DISABLE 1 - 1 -
        RESET 2 - 1 -
        MODE 3 UINT8 1 -
        PARAMETER 4 - 1 -
        CALIBRATE 6 UINT8 1 -
        EMERGENCY 7 UINT8 1 -
        POSITION 10 UINT16 1 -
        STATE 11 UINT8 1 -
        VOLTAGE 20 UINT16 1 mV
        CURRENT 21 INT16 1 mA
        TEMPERATURE 22 INT16 0.1 °C`,
      values: {
        MODE: 'MANUAL 0, ASSISTED 1, AUTOMATIC 2, SPORT 3, ECO 4, SAFETY 5, TEST 6',
        'MODE of LIGHTS_SWITCH': 'LIGHTS_MODE_OFF 0, LIGHTS_MODE_ON 1, LIGHTS_MODE_LOW 2, LIGHTS_MODE_HIGH 3',
        CALIBRATE:
          'CAL_START 0, CAL_STOP 1, CAL_RESET 2, CAL_THROTTLE_MIN 10, CAL_THROTTLE_MAX 11, CAL_BRAKE_MIN 12, ' +
          'CAL_BRAKE_MAX 13, CAL_STEERING_CENTER 14, CAL_STEERING_LEFT_LIMIT 15, CAL_STEERING_RIGHT_LIMIT 16',
        EMERGENCY: 'NORMAL 0, STOP 1, LIMP_HOME 2',
        'STATE of TURN_SIGNAL_SWITCH': 'TURN_SIGNAL_OFF 0, TURN_SIGNAL_LEFT 1, TURN_SIGNAL_RIGHT 2',
        'STATE of HAZARD_SWITCH': 'HAZARD_OFF 0, HAZARD_ON 1',
      },
      errors: '',
    },
    NAVIGATION: {
      id: 4,
      components: 'IMU_PRIMARY 0, GPS_PRIMARY 1, ENVIRONMENT_PRIMARY 2, ALL 255',
      commands: `
        ACCEL_X 0 INT24 0.001 m/s²
        ACCEL_Y 1 INT24 0.001 m/s²
        ACCEL_Z 2 INT24 0.001 m/s²
        GYRO_X 3 INT24 0.001 rad/s
        GYRO_Y 4 INT24 0.001 rad/s
        GYRO_Z 5 INT24 0.001 rad/s
        IMU_TEMPERATURE 6 INT16 0.1 °C
        LATITUDE 10 INT24 ${360 / 2 ** 24} °
        LONGITUDE 11 INT24 ${360 / 2 ** 24} °
        ALTITUDE 12 INT24 0.1 m
        SPEED 13 UINT24 0.01 km/h
        COURSE 14 UINT24 0.01 °
        SATELLITES 15 UINT8 1 -
        HDOP 16 UINT24 0.01 -
        GPS_FIX_STATUS 17 UINT8 1 -
        TEMPERATURE_AMBIENT 20 INT16 0.1 °C
        HUMIDITY_RELATIVE 21 UINT8 1 %
        ACCELEROMETER_RANGE 50 UINT8 1 -
        GYROSCOPE_RANGE 51 UINT8 1 -
        FILTER_BANDWIDTH 52 UINT8 1 -
        TRIGGER_CALIBRATION 53 - 1 -
        GPS_UPDATE_RATE 60 UINT8 1 -
        GNSS_CONSTELLATION 61 UINT8 1 -
        NMEA_OUTPUT_CONFIG 62 UINT8 1 -
        STATIC_NAVIGATION_MODE 63 UINT8 1 -`,
      values: {
        GPS_FIX_STATUS: 'NO_FIX 0, FIX_ACQUIRED 1, DIFFERENTIAL_FIX 2',
        ACCELEROMETER_RANGE: 'RANGE_2_G 0, RANGE_4_G 1, RANGE_8_G 2, RANGE_16_G 3',
        GYROSCOPE_RANGE: 'RANGE_250_DEG 0, RANGE_500_DEG 1, RANGE_1000_DEG 2, RANGE_2000_DEG 3',
        FILTER_BANDWIDTH:
          'BAND_260_HZ 0, BAND_184_HZ 1, BAND_94_HZ 2, BAND_44_HZ 3, BAND_21_HZ 4, BAND_10_HZ 5, BAND_5_HZ 6',
        GPS_UPDATE_RATE: 'RATE_UNKNOWN 0, RATE_1_HZ 1, RATE_5_HZ 5, RATE_10_HZ 10',
        GNSS_CONSTELLATION: 'GPS_ONLY 0, GPS_GLONASS 1, GPS_BEIDOU 2, GPS_GALILEO 3, ALL_SUPPORTED 4',
        NMEA_OUTPUT_CONFIG: 'DEFAULT_OUTPUT 0, ESSENTIAL_OUTPUT 1, DEBUG_OUTPUT 2',
        STATIC_NAVIGATION_MODE: 'STATIC_MODE_OFF 0, STATIC_MODE_ON 1',
      },
      errors: '',
    },
    SYSTEM_MONITOR: {
      id: 5,
      components: 'RASPBERRY_PI 1, ESP32_MAIN 2, UPLINK_MANAGER 3, TIME_MASTER 4, ALL 255',
      commands: `
        UPLINK_STATUS 0 UINT8 1 -
        UPLINK_QUEUE_SIZE 1 UINT24 1 records
        UPLINK_AVG_LATENCY_MS 2 UINT24 1 ms
        UPLINK_AVG_THROUGHPUT_KBPS 3 UINT24 1 kbit/s
        PING 4 UINT24 1 ms
        PONG 5 UINT24 1 ms
        ROUNDTRIPTIME_MS 6 UINT24 1 ms
        SET_TIME 7 UINT24 1 ms
        COMPONENT_UPTIME_S 10 UINT24 1 s
        INTERNAL_TEMP_C 11 INT16 1 °C
        CPU_LOAD_PERCENT 12 UINT8 1 %
        MEMORY_FREE_BYTES 13 UINT24 1024 B
        DISK_USAGE_PERCENT 14 UINT8 1 %
        NETWORK_SENT_KBPS 15 UINT24 1 kbit/s
        NETWORK_RECV_KBPS 16 UINT24 1 kbit/s
        WIFI_RSSI_DBM 17 INT8 1 dBm
        TASK_STACK_HIGHWATER_BYTES 18 UINT24 1 B`,
      values: { UPLINK_STATUS: 'DISCONNECTED 0, CONNECTING 1, CONNECTED 2, ERROR 3' },
      errors: '',
    },
  },
};

const STATUS = 1;
const ERROR = 3;
const KART_DIRECTORY = fileURLToPath(new URL('../../protocol/kart', import.meta.url));

const registry = ProtocolRegistry.load();

/** 'OFF 0, ON 1' as entries. */
function entriesOf(text: string): CatalogEntry[] {
  return text === ''
    ? []
    : text.split(', ').map((entry) => ({ id: Number(entry.split(' ')[1]), name: entry.split(' ')[0]! }));
}

function valuesOf(text: string | undefined): ValueNames | null {
  return text === undefined || text === ''
    ? null
    : Object.fromEntries(entriesOf(text).map(({ id, name }) => [id, name]));
}

interface PageCommand extends CatalogEntry {
  valueType: string | null;
  scale: number;
  unit: string | null;
}

function commandsOf(text: string): PageCommand[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [name, id, valueType, scale, unit] = line.trim().split(' ');
      return {
        id: Number(id),
        name: name!,
        valueType: valueType === '-' ? null : valueType!,
        scale: Number(scale),
        unit: unit === '-' ? null : unit!,
      };
    });
}

const pageTypes = Object.entries(PAGE.componentTypes).map(([name, page]) => ({
  id: page.id,
  name,
  components: entriesOf(page.components),
  commands: commandsOf(page.commands),
  values: page.values as Record<string, string | undefined>,
  errorValues: valuesOf(page.errors),
}));

/** The letters of a name in an arbitrary mix of cases. */
function mixedCase(name: string): string {
  return Array.from(name, (letter, index) => (index % 2 === 0 ? letter.toLowerCase() : letter)).join('');
}

describe('the kart protocol', () => {
  it('has the message types and value types of the page', () => {
    for (const { id, name } of entriesOf(PAGE.messageTypes)) {
      assert.equal(registry.messageTypeName(id), name);
      assert.equal(registry.messageTypeNumber(mixedCase(name)), id);
    }
    for (const { id, name } of entriesOf(PAGE.valueTypes)) {
      assert.equal(registry.valueTypeName(id), name);
      assert.equal(registry.valueTypeNumber(mixedCase(name)), id);
    }
  });

  for (const page of pageTypes) {
    it(`has the components of ${page.name}, both ways`, () => {
      assert.equal(registry.componentTypeName(page.id), page.name);
      assert.equal(registry.componentTypeNumber(mixedCase(page.name)), page.id);
      assert.ok(registry.isKnownComponentType(page.id));
      for (const { id, name } of page.components) {
        assert.equal(registry.componentName(page.id, id), name);
        assert.equal(registry.componentNumber(page.id, mixedCase(name)), id);
        assert.ok(registry.isKnownComponent(page.id, id));
      }
    });

    it(`has the commands of ${page.name} with their units, scales and types`, () => {
      for (const { id, name, unit, scale, valueType } of page.commands) {
        assert.equal(registry.commandName(page.id, id), name);
        assert.equal(registry.commandNumber(page.id, mixedCase(name)), id);
        assert.ok(registry.isKnownCommand(page.id, id));
        const valueTypeNumber = valueType === null ? null : registry.valueTypeNumber(valueType);
        assert.equal(registry.valueTypeOf(page.id, id), valueTypeNumber);

        for (const component of page.components) {
          assert.deepEqual(
            registry.describe(STATUS, page.id, component.id, id, valueTypeNumber ?? 9),
            {
              messageType: 'STATUS',
              componentType: page.name,
              componentId: component.name,
              commandId: name,
              valueType: valueType ?? 'VALUE_TYPE_9',
              unit,
              scale,
              valueNames: valuesOf(page.values[`${name} of ${component.name}`] ?? page.values[name]),
            },
            `${page.name}/${component.name}/${name}`,
          );
        }
      }
    });

    it(`has the value names of ${page.name}, both ways, in COMMAND, STATUS and ACK`, () => {
      for (const [key, text] of Object.entries(page.values)) {
        const [commandName, componentName] = key.split(' of ');
        const commandId = registry.commandNumber(page.id, commandName!)!;
        const componentId = registry.componentNumber(page.id, componentName ?? 'ALL')!;
        for (const { id, name } of entriesOf(text!)) {
          for (const messageType of [0, 1, 2]) {
            const place = [messageType, page.id, componentId, commandId] as const;
            assert.equal(registry.describe(...place, 2).valueNames?.[id], name);
            assert.equal(registry.valueNumber(...place, mixedCase(name)), id);
          }
        }
      }
    });
  }

  it('has nothing that the page has not', () => {
    const expected = {
      message_types: entriesOf(PAGE.messageTypes),
      value_types: entriesOf(PAGE.valueTypes),
      component_types: Object.fromEntries(
        pageTypes.map(({ id, name, components, commands, values, errorValues }) => [
          name,
          {
            id,
            name,
            components,
            commands: commands.map((command) => ({
              id: command.id,
              name: command.name,
              unit: command.unit,
              scale: command.scale,
              value_type: command.valueType,
              values: valuesOf(values[command.name]),
              values_by_component: Object.fromEntries(
                components.flatMap((component) => {
                  const own = valuesOf(values[`${command.name} of ${component.name}`]);
                  return own === null ? [] : [[component.name, own]];
                }),
              ),
            })),
            error_values: errorValues,
          },
        ]),
      ),
    };
    assert.deepEqual(registry.catalog(), expected);
    for (const { id, name } of pageTypes) {
      assert.deepEqual(registry.catalog(id), expected.component_types[name]);
    }
    assert.equal(registry.catalog(6), null);
  });

  it('goes through JSON unchanged', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(registry.catalog())), registry.catalog());
  });
});

describe('ProtocolRegistry', () => {
  it('names the value of a motor ERROR by the motor status, whatever the command', () => {
    const motors = registry.componentTypeNumber('MOTORS')!;
    const statuses = valuesOf(PAGE.componentTypes.MOTORS.errors);
    for (const commandName of ['RPM', 'TORQUE', 'MODE', 'COMMAND_99']) {
      const commandId = registry.commandNumber(motors, commandName)!;
      const { unit, scale, valueNames, commandId: name } = registry.describe(ERROR, motors, 0, commandId, 2);
      assert.deepEqual(
        { unit, scale, valueNames, name },
        { unit: null, scale: 1, valueNames: statuses, name: commandName },
      );
      assert.equal(registry.valueNumber(ERROR, motors, 0, commandId, 'error_overtemp'), 4);
      assert.equal(registry.valueNumber(ERROR, motors, 0, commandId, 'SPORT'), null);
    }
  });

  it('reads an ERROR of a type without error values as its command says', () => {
    const batteries = registry.componentTypeNumber('BATTERIES')!;
    const { unit, scale } = registry.describe(ERROR, batteries, 0, 2, 3);
    assert.deepEqual({ unit, scale }, { unit: '°C', scale: 0.1 });
  });

  it('knows a value name only where it belongs', () => {
    assert.equal(registry.valueNumber(STATUS, 3, 6, 3, 'LIGHTS_MODE_LOW'), 2);
    assert.equal(registry.valueNumber(STATUS, 3, 0, 3, 'LIGHTS_MODE_LOW'), null);
    assert.equal(registry.valueNumber(STATUS, 3, 6, 3, 'SPORT'), null);
    assert.equal(registry.valueNumber(STATUS, 3, 255, 11, 'HAZARD_ON'), null);
    assert.equal(registry.valueNumber(STATUS, 6, 0, 0, 'ON'), null);
    assert.equal(registry.valueNumber(STATUS, 0, 0, 99, 'ON'), null);
  });

  it('keeps the number of what has no name', () => {
    assert.deepEqual(registry.describe(2, 6, 42, 99, 9), {
      messageType: 'ACK',
      componentType: 'TYPE_6',
      componentId: 'COMPONENT_42',
      commandId: 'COMMAND_99',
      valueType: 'VALUE_TYPE_9',
      unit: null,
      scale: 1,
      valueNames: null,
    });
    assert.equal(registry.messageTypeName(9), 'MESSAGE_TYPE_9');
    assert.equal(registry.commandName(1, 1000), 'COMMAND_1000');
    assert.equal(registry.valueTypeOf(1, 99), null);
    assert.equal(registry.valueTypeOf(7, 0), null);
    assert.equal(registry.isKnownComponentType(6), false);
    assert.equal(registry.isKnownComponent(0, 2), false);
    assert.equal(registry.isKnownCommand(3, 5), false);
    assert.equal(registry.isKnownCommand(6, 0), false);
  });

  it('calls component 255 ALL, also of an unassigned type', () => {
    for (let componentType = 0; componentType < 8; componentType++) {
      assert.equal(registry.componentName(componentType, 255), 'ALL');
      assert.equal(registry.componentNumber(componentType, 'all'), 255);
      assert.ok(registry.isKnownComponent(componentType, 255));
    }
  });

  const numbers: [what: string, found: number | null, expected: number | null][] = [
    ['a fallback name', registry.componentTypeNumber('type_6'), 6],
    ['a fallback name of what has a name', registry.commandNumber(1, 'COMMAND_1'), 1],
    ['a number', registry.componentNumber(0, 42), 42],
    ['a decimal string', registry.componentNumber(0, '42'), 42],
    ['a value type without a name', registry.valueTypeNumber('VALUE_TYPE_15'), 15],
    ['a message type as a string', registry.messageTypeNumber('1'), 1],
    ['a number too big for the field', registry.componentTypeNumber(8), null],
    ['a fallback name too big for the field', registry.componentNumber(0, 'COMPONENT_256'), null],
    ['a negative number', registry.commandNumber(0, -1), null],
    ['a fraction', registry.commandNumber(0, 1.5), null],
    ['another field of the frame', registry.commandNumber(0, 'COMPONENT_1'), null],
    ['digits that no number is written with', registry.commandNumber(0, '007'), null],
    ['a name of another type', registry.commandNumber(0, 'RPM'), null],
    ['a name of every object', registry.commandNumber(0, 'constructor'), null],
    ['nothing', registry.commandNumber(0, ''), null],
  ];
  for (const [what, found, expected] of numbers) {
    it(`gives ${expected} for ${what}`, () => assert.equal(found, expected));
  }

  it('finds the number of every name it gives', () => {
    const byte = fc.nat({ max: 255 });
    fc.assert(
      fc.property(
        fc.nat({ max: 7 }),
        byte,
        fc.nat({ max: 15 }),
        fc.nat({ max: 3 }),
        (type, id, valueType, messageType) => {
          assert.equal(registry.componentTypeNumber(mixedCase(registry.componentTypeName(type))), type);
          assert.equal(registry.componentNumber(type, mixedCase(registry.componentName(type, id))), id);
          assert.equal(registry.commandNumber(type, mixedCase(registry.commandName(type, id))), id);
          assert.equal(registry.valueTypeNumber(mixedCase(registry.valueTypeName(valueType))), valueType);
          assert.equal(
            registry.messageTypeNumber(mixedCase(registry.messageTypeName(messageType))),
            messageType,
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('describes in plain data that a thread can be sent', () => {
    const definition = registry.describe(STATUS, 0, 0, 0, 2);
    assert.deepEqual(structuredClone(definition), definition);
  });
});

describe('ProtocolRegistry.load', () => {
  const temporaryDirectory = mkdtempSync(join(tmpdir(), 'protocol-registry-'));
  after(() => rmSync(temporaryDirectory, { recursive: true }));

  let directoryCount = 0;
  /** The kart's files in a directory of their own, with `from` replaced in one of them. */
  function kartFilesWith(file: string, from: string, to: string): string {
    const directory = join(temporaryDirectory, String(directoryCount++));
    cpSync(KART_DIRECTORY, directory, { recursive: true });
    const source = readFileSync(join(directory, file), 'utf8');
    assert.ok(source.includes(from), `${file} has ${from}`);
    writeFileSync(join(directory, file), source.replace(from, to));
    return directory;
  }

  function lineIn(directory: string, file: string, text: string): number {
    return (
      readFileSync(join(directory, file), 'utf8')
        .split('\n')
        .findIndex((line) => line.includes(text)) + 1
    );
  }

  it('takes an enum for several commands and components', () => {
    const directory = kartFilesWith(
      'controls.proto',
      'option (of_component) = "HAZARD_SWITCH";',
      'option (of_component) = "HAZARD_SWITCH"; option (of_component) = "BRAKE"; option (values_of) = "PARAMETER";',
    );
    const loaded = ProtocolRegistry.load(directory);
    for (const componentId of [5, 2]) {
      for (const commandId of [11, 4]) {
        assert.deepEqual(loaded.describe(STATUS, 3, componentId, commandId, 2).valueNames, {
          0: 'HAZARD_OFF',
          1: 'HAZARD_ON',
        });
      }
    }
    assert.equal(loaded.describe(STATUS, 3, 0, 4, 2).valueNames, null);
  });

  it('shows the (name) of a value instead of its name in the file', () => {
    const directory = kartFilesWith('lights.proto', 'NONE = 0;', 'SIGNAL_OFF = 0 [(name) = "OFF"];');
    const loaded = ProtocolRegistry.load(directory);
    assert.equal(loaded.describe(STATUS, 0, 0, 1, 2).valueNames?.[0], 'OFF');
    assert.equal(loaded.valueNumber(STATUS, 0, 0, 1, 'off'), 0);
    assert.equal(loaded.valueNumber(STATUS, 0, 0, 1, 'SIGNAL_OFF'), null);
  });

  it('takes a component type more', () => {
    const directory = kartFilesWith('kart.proto', 'SYSTEM_MONITOR = 5;', 'SYSTEM_MONITOR = 5; WINCHES = 6;');
    writeFileSync(
      join(directory, 'winches.proto'),
      `package kart; message Winches { option (component_type) = WINCHES;
         enum Component { FRONT = 0; ALL = 255; } enum Command { LOAD = 0 [(unit) = "kg", (scale) = 0.5]; } }`,
    );
    const definition = ProtocolRegistry.load(directory).describe(STATUS, 6, 0, 0, 4);
    assert.deepEqual(
      [
        definition.componentType,
        definition.componentId,
        definition.commandId,
        definition.unit,
        definition.scale,
      ],
      ['WINCHES', 'FRONT', 'LOAD', 'kg', 0.5],
    );
  });

  const broken: { title: string; file: string; from: string; to: string; at?: string; message: RegExp }[] = [
    {
      title: 'a syntax error',
      file: 'motors.proto',
      from: 'RPM = 1 [',
      to: 'RPM = one [',
      at: 'RPM = one',
      message: /illegal id 'one'/,
    },
    {
      title: 'a duplicate number',
      file: 'motors.proto',
      from: 'RPM = 1 [',
      to: 'RPM = 0 [',
      at: 'enum Command',
      message: /duplicate id 0/,
    },
    {
      title: 'a duplicate name',
      file: 'lights.proto',
      from: 'REAR = 1;',
      to: 'REAR = 1; REAR = 2;',
      at: 'enum Component',
      message: /duplicate name 'REAR'/,
    },
    {
      title: 'a duplicate (name)',
      file: 'lights.proto',
      from: 'RIGHT = 2;',
      to: 'RIGHT = 2 [(name) = "LEFT"];',
      at: 'RIGHT = 2',
      message: /duplicate name LEFT/,
    },
    {
      title: 'an unknown option of a command',
      file: 'motors.proto',
      from: '(unit) = "rpm"',
      to: '(units) = "rpm"',
      at: 'RPM = 1',
      message: /RPM: unknown option \(units\); expected \(name\), \(unit\), \(scale\), \(value_type\)$/,
    },
    {
      title: 'a unit where there is no quantity',
      file: 'motors.proto',
      from: 'FORWARD = 0',
      to: 'FORWARD = 0 [(unit) = "m"]',
      at: 'FORWARD = 0',
      message: /FORWARD: unknown option \(unit\); expected \(name\)$/,
    },
    {
      title: 'an unknown option of an enum',
      file: 'motors.proto',
      from: 'option (values_of_errors) = true;',
      to: 'option (errors) = true;',
      at: 'enum Status',
      message: /enum Status: unknown option \(errors\)/,
    },
    {
      title: 'an option on the commands',
      file: 'motors.proto',
      from: 'enum Command {',
      to: 'enum Command { option allow_alias = true;',
      at: 'enum Command',
      message: /unknown option allow_alias; expected no options/,
    },
    {
      title: 'a scale of 0',
      file: 'motors.proto',
      from: '(scale) = 0.01',
      to: '(scale) = 0',
      at: 'TORQUE = 7',
      message: /TORQUE: \(scale\) must be a finite number other than 0; found 0/,
    },
    {
      title: 'an infinite scale',
      file: 'motors.proto',
      from: '(scale) = 0.01',
      to: '(scale) = inf',
      at: 'TORQUE = 7',
      message: /TORQUE: \(scale\) must be a finite number other than 0; found inf/i,
    },
    {
      title: 'an empty unit',
      file: 'motors.proto',
      from: '(unit) = "rpm"',
      to: '(unit) = ""',
      at: 'RPM = 1',
      message: /RPM: \(unit\) must be a string that is not empty/,
    },
    {
      title: 'an unknown value type',
      file: 'motors.proto',
      from: '(unit) = "rpm", (value_type) = UINT16',
      to: '(unit) = "rpm", (value_type) = UINT32',
      at: 'RPM = 1',
      message: /RPM: \(value_type\) must be one of BOOLEAN, .*UINT24; found UINT32/,
    },
    {
      title: 'values of an unknown command',
      file: 'motors.proto',
      from: '(values_of) = "DIRECTION"',
      to: '(values_of) = "DIRECTIONS"',
      at: 'enum Direction',
      message: /enum Direction: \(values_of\) must name a command of its message; found DIRECTIONS/,
    },
    {
      title: 'values of an unknown component',
      file: 'controls.proto',
      from: '(of_component) = "LIGHTS_SWITCH"',
      to: '(of_component) = "LIGHT"',
      at: 'enum LightsSwitchMode',
      message: /\(of_component\) must name a component of its message; found LIGHT/,
    },
    {
      title: 'an enum of nothing',
      file: 'motors.proto',
      from: 'option (values_of) = "DIRECTION";',
      to: '',
      at: 'enum Direction',
      message: /expected option \(values_of\) or \(values_of_errors\), found neither/,
    },
    {
      title: 'a component without a command',
      file: 'motors.proto',
      from: 'option (values_of_errors) = true;',
      to: 'option (values_of_errors) = true; option (of_component) = "ALL";',
      at: 'enum Status',
      message: /\(of_component\) narrows \(values_of\), which is missing/,
    },
    {
      title: 'two enums for the same values',
      file: 'motors.proto',
      from: '(values_of) = "BRAKE"',
      to: '(values_of) = "DIRECTION"',
      at: 'enum Brake',
      message: /enum Brake: enum Direction already names the same values/,
    },
    {
      title: 'a number too big for its field',
      file: 'lights.proto',
      from: 'UNDERGLOW = 9;',
      to: 'UNDERGLOW = 256;',
      at: 'UNDERGLOW = 256',
      message: /UNDERGLOW must be from 0 to 255; found 256/,
    },
    {
      title: 'a component type too big for its field',
      file: 'kart.proto',
      from: 'SYSTEM_MONITOR = 5',
      to: 'SYSTEM_MONITOR = 8',
      at: 'SYSTEM_MONITOR = 8',
      message: /SYSTEM_MONITOR must be from 0 to 7; found 8/,
    },
    {
      title: 'a value of more than 24 bits',
      file: 'lights.proto',
      from: 'SOS = 6',
      to: 'SOS = 16777216',
      at: 'SOS = 16777216',
      message: /SOS must be from -8388608 to 16777215/,
    },
    {
      title: 'a name with small letters',
      file: 'lights.proto',
      from: 'SOS = 6',
      to: 'Sos = 6',
      at: 'Sos = 6',
      message: /expected a name in capitals .*found Sos/,
    },
    {
      title: 'a name that looks like a number without one',
      file: 'lights.proto',
      from: 'LOCATION = 9',
      to: 'COMMAND_9 = 9',
      at: 'COMMAND_9 = 9',
      message: /not of the form COMMAND_99; found COMMAND_9/,
    },
    {
      title: 'a type without a message',
      file: 'kart.proto',
      from: 'SYSTEM_MONITOR = 5;',
      to: 'SYSTEM_MONITOR = 5; WINCHES = 6;',
      message: /expected a message with option \(component_type\) = WINCHES, found none/,
    },
    {
      title: 'a message without a type',
      file: 'lights.proto',
      from: 'option (component_type) = LIGHTS;',
      to: '',
      at: 'message Lights',
      message: /message Lights: \(component_type\) must be one of LIGHTS, .*; found none/,
    },
    {
      title: 'two messages for a type',
      file: 'motors.proto',
      from: '(component_type) = MOTORS',
      to: '(component_type) = LIGHTS',
      at: 'message Motors',
      message: /message Motors: Lights already defines LIGHTS/,
    },
    {
      title: 'a type without commands',
      file: 'batteries.proto',
      from: 'enum Command {',
      to: 'enum Commands {',
      at: 'message Batteries',
      message: /message Batteries: expected an enum Command, found none/,
    },
    {
      title: 'components without ALL',
      file: 'batteries.proto',
      from: 'ALL = 255;',
      to: '',
      at: 'enum Component',
      message: /enum Component must have ALL = 255/,
    },
    {
      title: 'a field in a message',
      file: 'batteries.proto',
      from: 'enum Command {',
      to: 'optional int32 charge = 1; enum Command {',
      at: 'message Batteries',
      message: /expected enums only; found charge/,
    },
    {
      title: 'a missing enum',
      file: 'kart.proto',
      from: 'enum ValueType',
      to: 'enum ValueTypes',
      message: /No file in .* defines enum ValueType/,
    },
    {
      title: 'an enum outside of a message',
      file: 'lights.proto',
      from: 'message Lights {',
      to: 'enum Extra { A = 0; }\nmessage Lights {',
      at: 'enum Extra',
      message: /enum Extra means nothing here/,
    },
    {
      title: 'an enum in two files',
      file: 'lights.proto',
      from: 'message Lights {',
      to: 'enum ValueType { A = 0; }\nmessage Lights {',
      at: 'enum ValueType',
      message: /enum ValueType is already in .*kart\.proto/,
    },
    {
      title: 'another package',
      file: 'lights.proto',
      from: 'package kart;',
      to: 'package boat;',
      message: /expected package kart, found boat/,
    },
  ];
  for (const { title, file, from, to, at, message } of broken) {
    it(`refuses ${title}, and says where`, () => {
      const directory = kartFilesWith(file, from, to);
      assert.throws(
        () => ProtocolRegistry.load(directory),
        (error) => {
          assert.ok(error instanceof ProtocolError);
          assert.equal(error.code, 'PROTOCOL_INVALID');
          assert.match(error.message, message);
          const place =
            at === undefined ? directory : `${join(directory, file)}:${lineIn(directory, file, at)}: `;
          assert.ok(error.message.includes(place), `${error.message}\nnames ${place}`);
          return true;
        },
      );
    });
  }

  it('refuses a directory that is missing or empty', () => {
    const empty = mkdtempSync(join(temporaryDirectory, 'empty-'));
    for (const directory of [empty, join(temporaryDirectory, 'missing')]) {
      assert.throws(() => ProtocolRegistry.load(directory), {
        name: 'ProtocolError',
        code: 'PROTOCOL_NOT_FOUND',
        message: /expected a directory with the protocol's \.proto files/,
      });
    }
  });
});
