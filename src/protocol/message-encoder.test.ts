import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../shared/errors.ts';
import { encodeKartPayload, MESSAGE_TYPE, rawValueRange, VALUE_TYPE } from './kart-codec.ts';
import { type KnownMessageToSend, resolveKnownMessage, resolveMessage } from './message-encoder.ts';
import { toPhysical } from './physical-value.ts';
import { ProtocolRegistry } from './protocol-registry.ts';

const registry = ProtocolRegistry.load(undefined, [
  // As the service adds one for its buses: beyond what a frame can name.
  { id: 8, name: 'CAN_BUS', components: [], commands: [], valueEnums: [] },
]);
const catalog = registry.catalog();

type Asked = Omit<KnownMessageToSend, 'messageType'>;

function resolve(asked: Asked) {
  return resolveKnownMessage(registry, { ...asked, messageType: 'COMMAND' });
}

function refusal(asked: Asked): ProtocolError {
  try {
    resolve(asked);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error;
  }
  assert.fail('it was not refused');
}

function asked(
  componentType: string | number,
  componentId: string | number,
  commandId: string | number,
  value: Asked['value'],
  valueType?: string | number,
): Asked {
  return { componentType, componentId, commandId, value, ...(valueType !== undefined && { valueType }) };
}

describe('a command', () => {
  const cases: [what: string, command: Asked, payload: string][] = [
    [
      'in names is the worked example of the protocol',
      asked('LIGHTS', 'FRONT', 'MODE', 'ON'),
      '0000000020000001',
    ],
    ['in names of any letter case', asked('lights', 'Front', 'mode', 'on'), '0000000020000001'],
    ['in numbers', asked(0, 0, 0, 1), '0000000020000001'],
    ['in numbers written as text', asked('0', '0', '0', '1'), '0000000020000001'],
    ['to all components', asked('MOTORS', 'ALL', 'EMERGENCY', 'STOP'), '0800ff0620000001'],
    ['with a physical value', asked('MOTORS', 1, 'TORQUE', -1.23), '0800010730ffff85'],
    [
      'with the value names of its component',
      asked('CONTROLS', 'LIGHTS_SWITCH', 'MODE', 'LIGHTS_MODE_HIGH'),
      '1800060320000003',
    ],
    ['of a boolean as such', asked('MOTORS', 'ALL', 'ENABLE', true), '0800ff0500000001'],
    ['of a boolean as a number', asked('MOTORS', 'ALL', 'ENABLE', 0), '0800ff0500000000'],
    ['with the value type it has anyway', asked('LIGHTS', 0, 'MODE', 1, 'uint8'), '0000000020000001'],
    [
      'with a value type that the protocol leaves open',
      asked('LIGHTS', 0, 'TOGGLE', 1, 2),
      '0000000620000001',
    ],
    ['with an angle', asked('NAVIGATION', 'GPS_PRIMARY', 'LATITUDE', 90), '2000010a50400000'],
  ];
  for (const [what, command, payload] of cases) {
    test(what, () => {
      const { message } = resolve(command);
      assert.equal(message.messageType, MESSAGE_TYPE.COMMAND);
      assert.equal(Buffer.from(encodeKartPayload(message)).toString('hex'), payload);
    });
  }

  test('says what its parts are called', () => {
    const { definition, value, valueName } = resolve(asked(1, 255, 6, 1));
    assert.deepEqual(
      [definition.componentType, definition.componentId, definition.commandId, definition.valueType],
      ['MOTORS', 'ALL', 'EMERGENCY', 'UINT8'],
    );
    assert.deepEqual([value, valueName], [1, 'STOP']);
  });

  const refusals: [command: Asked, code: string, message: RegExp][] = [
    [
      asked('WHEELS', 0, 0, 1),
      'COMPONENT_TYPE_UNKNOWN',
      /^There is no component type "WHEELS"\. There are: LIGHTS \(0\), .*, SYSTEM_MONITOR \(5\)\.$/,
    ],
    [asked(6, 0, 0, 1), 'COMPONENT_TYPE_UNKNOWN', /no component type 6/],
    [asked('TYPE_6', 0, 0, 1), 'COMPONENT_TYPE_UNKNOWN', /no component type "TYPE_6"/],
    [asked('CAN_BUS', 0, 0, 1), 'COMPONENT_TYPE_UNKNOWN', /SYSTEM_MONITOR \(5\)\.$/],
    [asked('__proto__', 0, 0, 1), 'COMPONENT_TYPE_UNKNOWN', /no component type "__proto__"/],
    [
      asked('LIGHTS', 'SPARE', 0, 1),
      'COMPONENT_UNKNOWN',
      /^There is no component of LIGHTS "SPARE"\. There are: FRONT \(0\), REAR \(1\), .*ALL \(255\)\.$/,
    ],
    [asked('LIGHTS', 42, 0, 1), 'COMPONENT_UNKNOWN', /no component of LIGHTS 42/],
    [asked('LIGHTS', -1, 0, 1), 'COMPONENT_UNKNOWN', /-1/],
    [asked('LIGHTS', 0, 'FLY', 1), 'COMMAND_UNKNOWN', /There are: MODE \(0\), /],
    [asked('LIGHTS', 0, 99, 1), 'COMMAND_UNKNOWN', /no command of LIGHTS 99/],
    [
      asked('LIGHTS', 0, 'TOGGLE', 1),
      'VALUE_TYPE_NEEDED',
      /LIGHTS\/TOGGLE no value type: give the value_type .* BOOLEAN \(0\), .*UINT24 \(6\)\.$/,
    ],
    [asked('LIGHTS', 0, 'TOGGLE', 1, 'FLOAT'), 'VALUE_TYPE_UNKNOWN', /There are: BOOLEAN \(0\)/],
    [asked('LIGHTS', 0, 'TOGGLE', 1, 9), 'VALUE_TYPE_UNKNOWN', /no value type 9/],
    [
      asked('LIGHTS', 0, 'MODE', 1, 'INT16'),
      'VALUE_TYPE_WRONG',
      /^The value of LIGHTS\/MODE is sent as UINT8, not as INT16: leave the value_type out\.$/,
    ],
    [
      asked('MOTORS', 0, 'MODE', 'WARP'),
      'VALUE_UNKNOWN',
      /^Expected as value of MOTORS\/MODE one of LOW \(0\), MEDIUM \(1\), .*, found "WARP"\.$/,
    ],
    [asked('MOTORS', 0, 'MODE', 7), 'VALUE_UNKNOWN', /OFF \(6\), found 7/],
    [asked('MOTORS', 0, 'MODE', 0.5), 'VALUE_UNKNOWN', /found 0\.5/],
    [asked('MOTORS', 0, 'MODE', true), 'VALUE_UNKNOWN', /found true/],
    [asked('NAVIGATION', 1, 'GPS_UPDATE_RATE', 2), 'VALUE_UNKNOWN', /RATE_1_HZ \(1\), RATE_5_HZ \(5\)/],
    [
      asked('LIGHTS', 0, 'INTENSITY', 256),
      'VALUE_OUT_OF_RANGE',
      /^Expected as value of LIGHTS\/INTENSITY a number of % from 0 to 255, in steps of 1 \(UINT8\), found 256\.$/,
    ],
    [asked('LIGHTS', 0, 'INTENSITY', -1), 'VALUE_OUT_OF_RANGE', /found -1/],
    [asked('LIGHTS', 0, 'INTENSITY', Number.POSITIVE_INFINITY), 'VALUE_OUT_OF_RANGE', /found Infinity/],
    [asked('LIGHTS', 0, 'INTENSITY', Number.NaN), 'VALUE_OUT_OF_RANGE', /found NaN/],
    [asked('MOTORS', 0, 'ENABLE', 2), 'VALUE_OUT_OF_RANGE', /from 0 to 1/],
    [asked('LIGHTS', 0, 'INTENSITY', 'HALF'), 'VALUE_INVALID', /a number of % .*, found "HALF"\.$/],
    [asked('LIGHTS', 0, 'INTENSITY', ''), 'VALUE_INVALID', /found ""/],
    [asked('LIGHTS', 0, 'INTENSITY', true), 'VALUE_INVALID', /found true/],
    [asked('MOTORS', 0, 'ENABLE', 'YES'), 'VALUE_INVALID', /, or true or false, found "YES"/],
    [
      asked('MOTORS', 0, 'TORQUE', 1.234),
      'VALUE_NOT_EXACT',
      /^1\.234 can't be sent exactly: .* in steps of 0\.01 \(INT16\)\. Next to it are 1\.23 and 1\.24\.$/,
    ],
    [asked('MOTORS', 0, 'TORQUE', -1.236), 'VALUE_NOT_EXACT', /Next to it are -1\.24 and -1\.23\.$/],
    [asked('MOTORS', 0, 'TORQUE', 327.674), 'VALUE_NOT_EXACT', /Next to it is 327\.67\.$/],
    [asked('LIGHTS', 0, 'INTENSITY', 0.5), 'VALUE_NOT_EXACT', /Next to it are 0 and 1\.$/],
  ];
  for (const [command, code, message] of refusals) {
    test(`that is ${Object.values(command).join(' ')} is refused: ${code}`, () => {
      const error = refusal(command);
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }

  test('as long as a body may be is told shortened', () => {
    assert.ok(refusal(asked('x'.repeat(4000), 0, 0, 1)).message.length < 300);
  });
});

/** Every quantity of the protocol that is no enum, with each value type that it can be sent as. */
const quantities = Object.values(catalog.component_types).flatMap(({ id, commands }) =>
  commands
    .filter(({ values, values_by_component }) => !values && Object.keys(values_by_component).length === 0)
    .flatMap((command) => {
      const own = registry.valueTypeOf(id, command.id);
      const valueTypes = own === null ? Object.values(VALUE_TYPE) : [own];
      return valueTypes.map((valueType) => ({ componentType: id, command, valueType }));
    }),
);

test('every value of every quantity is sent as what it came from, exactly', () => {
  const anyCount = fc.constantFrom(...quantities).chain((quantity) => {
    const { min, max } = rawValueRange(quantity.valueType);
    return fc.integer({ min, max }).map((rawValue) => ({ ...quantity, rawValue }));
  });
  fc.assert(
    fc.property(anyCount, ({ componentType, command, valueType, rawValue }) => {
      const value = toPhysical(rawValue, command.scale);
      const { message } = resolve(asked(componentType, 255, command.id, value, valueType));
      assert.equal(message.rawValue, rawValue);
      // As a client gets it through JSON.
      const again = resolve(
        asked(componentType, 255, command.id, JSON.parse(JSON.stringify(value)), valueType),
      );
      assert.deepEqual(again.message, message);
    }),
    { numRuns: 5_000 },
  );
});

test('whatever number is asked is sent exactly or refused, and what is offered instead is sent exactly', () => {
  const anyNumber = fc.oneof(
    fc.double({ min: -400, max: 400, noNaN: true }),
    fc.double(),
    fc.integer({ min: -(2 ** 24), max: 2 ** 25 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...quantities), anyNumber, ({ componentType, command, valueType }, value) => {
      const command_ = asked(componentType, 255, command.id, value, valueType);
      let error: ProtocolError | null = null;
      try {
        const { message } = resolve(command_);
        // Zero has no sign on the wire.
        assert.equal(toPhysical(message.rawValue, command.scale), value + 0);
        encodeKartPayload(message);
      } catch (thrown) {
        assert.ok(thrown instanceof ProtocolError, String(thrown));
        error = thrown;
      }
      if (error?.code !== 'VALUE_NOT_EXACT') return;
      const offered = /Next to it (?:is|are) (.*)\.$/.exec(error.message)![1]!.split(' and ').map(Number);
      for (const other of offered) {
        const { message } = resolve({ ...command_, value: other });
        assert.equal(toPhysical(message.rawValue, command.scale), other + 0);
      }
      if (offered.length === 2) assert.ok(offered[0]! < value && value < offered[1]!);
    }),
    { numRuns: 5_000 },
  );
});

test('who writes a program may send what has no name, and values between two counts', () => {
  const message = {
    messageType: 3,
    componentType: 6,
    componentId: 42,
    commandId: 99,
    valueType: 9,
    value: 7,
  };
  assert.deepEqual(resolveMessage(registry, message), {
    messageType: 3,
    componentType: 6,
    componentId: 42,
    commandId: 99,
    valueType: 9,
    rawValue: 7,
  });
  const torque = {
    messageType: 0,
    componentType: 'MOTORS',
    componentId: 0,
    commandId: 'TORQUE',
    value: 1.234,
  };
  assert.equal(resolveMessage(registry, torque).rawValue, 123);
});
