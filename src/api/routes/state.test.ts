import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import { type SignalStateReply, StateSchema } from '../schemas.ts';

const FIRST_US = 1_764_000_000_123_456;

const LOG = [
  logLine(FIRST_US, 2, '48 00 00 01 40 00 04 B0'),
  logLine(FIRST_US + 1, 3, '50 00 01 01 30 FF FC 18'),
  logLine(FIRST_US + 2, 0x10, '00 00 00 00 20 00 00 01'),
  logLine(FIRST_US + 3, 5, '68 00 04 05 60 00 00 2A'),
  // 0.01 N·m each.
  logLine(FIRST_US + 4, 2, '48 00 00 07 30 00 04 D2'),
  // Numbers without names: component 42 of type 6, command 99 of value type 9.
  logLine(FIRST_US + 5, 7, '70 00 2A 63 90 00 00 07'),
  // What a COMMAND asks for stands behind what a STATUS says.
  logLine(FIRST_US + 6, 2, '08 00 00 01 40 00 00 63'),
].join('');

const served = await servePipeline({ after }, LOG);

describe('the current state', () => {
  test('has the worked examples of the protocol, under their names', async () => {
    const beforeS = Date.now() / 1000;
    const { timestamp, simulated, components } = await served.getAs(StateSchema, '/api/state/current');
    assert.ok(timestamp >= beforeS && timestamp <= Date.now() / 1000);
    assert.equal(simulated, false);
    const found = (type: string, id: string, command: string): SignalStateReply => {
      const signal = components[type]?.[id]?.[command];
      assert.ok(signal !== undefined, `${type}/${id}/${command}`);
      return signal;
    };
    const { age_s, ...rpm } = found('MOTORS', 'MOTOR_LEFT_REAR', 'RPM');
    assert.ok(age_s >= 0 && age_s < 60);
    assert.deepEqual(rpm, {
      value: 1200,
      raw_value: 1200,
      value_name: null,
      unit: 'rpm',
      value_type: 'UINT16',
      message_type: 'STATUS',
      timestamp: FIRST_US / 1e6,
      stale: rpm.stale,
      count: 1,
      rate_hz: 0,
      bus: served.pipeline.sources[0]!.bus.name,
      node_id: 2,
    });
    const current = found('BATTERIES', 'MOTOR_LEFT_REAR', 'CURRENT');
    assert.deepEqual([current.value, current.unit, current.value_type], [-1000, 'mA', 'INT16']);
    const mode = found('LIGHTS', 'FRONT', 'MODE');
    assert.deepEqual([mode.value_name, mode.message_type, mode.unit], ['ON', 'COMMAND', null]);
    assert.equal(found('SYSTEM_MONITOR', 'TIME_MASTER', 'PONG').value, 42);
    const torque = found('MOTORS', 'MOTOR_LEFT_REAR', 'TORQUE');
    assert.deepEqual([torque.value, torque.raw_value, torque.unit], [12.34, 1234, 'N·m']);
    const unknown = found('TYPE_6', 'COMPONENT_42', 'COMMAND_99');
    assert.deepEqual([unknown.value, unknown.value_type, unknown.node_id], [7, 'VALUE_TYPE_9', 7]);
  });

  test('is narrowed to a component type, by its name in any case or its number', async () => {
    for (const [text, name] of [
      ['MOTORS', 'MOTORS'],
      ['motors', 'MOTORS'],
      ['mOtOrS', 'MOTORS'],
      ['1', 'MOTORS'],
      ['type_6', 'TYPE_6'],
      ['6', 'TYPE_6'],
    ]) {
      const { components } = await served.getAs(StateSchema, `/api/state/current?component_type=${text}`);
      assert.deepEqual(Object.keys(components), [name]);
    }
    // Nothing of it was heard, which is no mistake.
    const { components } = await served.getAs(StateSchema, '/api/state/current?component_type=NAVIGATION');
    assert.deepEqual(components, {});
  });

  test('is narrowed to what one type of message says', async () => {
    for (const text of ['COMMAND', 'command', '0']) {
      const { components } = await served.getAs(StateSchema, `/api/state/current?message_type=${text}`);
      assert.deepEqual(Object.keys(components), ['LIGHTS', 'MOTORS']);
      assert.equal(components.MOTORS?.MOTOR_LEFT_REAR?.RPM?.value, 0x63);
    }
  });
});

describe('one component', () => {
  test('is found by names in any case and by numbers', async () => {
    for (const path of [
      'MOTORS/MOTOR_LEFT_REAR',
      'motors/Motor_Left_Rear',
      '1/0',
      'MOTORS/0',
      '1/component_0',
    ]) {
      const { components } = await served.getAs(StateSchema, `/api/state/component/${path}`);
      assert.deepEqual(Object.keys(components), ['MOTORS']);
      assert.deepEqual(Object.keys(components.MOTORS!), ['MOTOR_LEFT_REAR']);
      assert.deepEqual(Object.keys(components.MOTORS!.MOTOR_LEFT_REAR!), ['RPM', 'TORQUE']);
    }
    for (const path of ['TYPE_6/COMPONENT_42', '6/42']) {
      const { components } = await served.getAs(StateSchema, `/api/state/component/${path}`);
      assert.equal(components.TYPE_6?.COMPONENT_42?.COMMAND_99?.value, 7);
    }
  });

  test('is narrowed to what one type of message says', async () => {
    const path = '/api/state/component/MOTORS/MOTOR_LEFT_REAR?message_type=COMMAND';
    const { components } = await served.getAs(StateSchema, path);
    assert.deepEqual(Object.keys(components.MOTORS!.MOTOR_LEFT_REAR!), ['RPM']);
  });
});

const REFUSALS: readonly [path: string, statusCode: number, code: string, message: RegExp][] = [
  [
    '/api/state/current?component_type=ENGINES',
    400,
    'COMPONENT_TYPE_UNKNOWN',
    /^There is no component type "ENGINES"\. There are: LIGHTS, MOTORS, BATTERIES, CONTROLS, NAVIGATION, SYSTEM_MONITOR, CAN_BUS, or a number from 0 to 7\.$/,
  ],
  ['/api/state/current?component_type=9', 400, 'COMPONENT_TYPE_UNKNOWN', /"9"/],
  ['/api/state/current?component_type=', 400, 'COMPONENT_TYPE_UNKNOWN', /""/],
  ['/api/state/current?component_type=__proto__', 400, 'COMPONENT_TYPE_UNKNOWN', /"__proto__"/],
  ['/api/state/current?component_type=constructor', 400, 'COMPONENT_TYPE_UNKNOWN', /"constructor"/],
  [
    '/api/state/current?component_type=LIGHTS&component_type=MOTORS',
    400,
    'QUERY_INVALID',
    /^Expected component_type to be a string, found \["LIGHTS","MOTORS"\]\.$/,
  ],
  [
    '/api/state/current?message_type=SHOUT',
    400,
    'MESSAGE_TYPE_UNKNOWN',
    /^There is no message type "SHOUT"\. There are: COMMAND, STATUS, ACK, ERROR\.$/,
  ],
  [
    '/api/state/current?componenttype=MOTORS',
    400,
    'QUERY_INVALID',
    /^There is no parameter componenttype; the parameters are: component_type, message_type\.$/,
  ],
  ['/api/state/current?__proto__=1', 400, 'QUERY_INVALID', /no parameter __proto__/],
  ['/api/state/current?constructor=1', 400, 'QUERY_INVALID', /no parameter constructor/],
  ['/api/state/component/ENGINES/0', 404, 'COMPONENT_TYPE_UNKNOWN', /There are: LIGHTS/],
  ['/api/state/component/__proto__/constructor', 404, 'COMPONENT_TYPE_UNKNOWN', /"__proto__"/],
  [
    '/api/state/component/MOTORS/MIDDLE',
    404,
    'COMPONENT_UNKNOWN',
    /^There is no component "MIDDLE" of MOTORS\. There are: MOTOR_LEFT_REAR, .*ALL, or a number from 0 to 255\.$/,
  ],
  ['/api/state/component/MOTORS/256', 404, 'COMPONENT_UNKNOWN', /"256"/],
  ['/api/state/component/MOTORS/__proto__', 404, 'COMPONENT_UNKNOWN', /"__proto__"/],
  [
    '/api/state/component/MOTORS/3',
    404,
    'COMPONENT_NOT_HEARD',
    /^MOTORS\/MOTOR_RIGHT_FRONT has not been heard\. Heard so far: LIGHTS\/FRONT, MOTORS\/MOTOR_LEFT_REAR, BATTERIES\/MOTOR_LEFT_REAR, SYSTEM_MONITOR\/TIME_MASTER, TYPE_6\/COMPONENT_42\.$/,
  ],
  [
    '/api/state/component/MOTORS/0?message_type=ERROR',
    404,
    'COMPONENT_NOT_HEARD',
    /^MOTORS\/MOTOR_LEFT_REAR has not been heard in messages of type ERROR\. Heard so far in messages of type ERROR: none yet\.$/,
  ],
  ['/api/state/component/7/7', 404, 'COMPONENT_NOT_HEARD', /^TYPE_7\/COMPONENT_7 has not been heard/],
  ['/api/state/component/MOTORS/0?limit=1', 400, 'QUERY_INVALID', /no parameter limit; .*: message_type/],
];

describe('a mistake is answered with what would be right:', () => {
  for (const [path, statusCode, code, message] of REFUSALS) {
    test(`GET ${path}`, async () => {
      const refusal = await served.refusal(path);
      assert.deepEqual([refusal.statusCode, refusal.code], [statusCode, code]);
      assert.match(refusal.message, message);
    });
  }

  test('a long one is not repeated at length', async () => {
    const refusal = await served.refusal(`/api/state/current?component_type=${'x'.repeat(5000)}`);
    assert.equal(refusal.statusCode, 400);
    assert.ok(refusal.message.length < 300);
  });
});

test('a service that has heard nothing has an empty state', async (t) => {
  const silent = await servePipeline(t, '');
  assert.deepEqual((await silent.getAs(StateSchema, '/api/state/current')).components, {});
  const refusal = await silent.refusal('/api/state/component/MOTORS/0');
  assert.match(refusal.message, /Heard so far: none yet\.$/);
});

test('simulated data says that it is', async (t) => {
  const simulated = await servePipeline(t, '', ['sim:kart']);
  assert.equal((await simulated.getAs(StateSchema, '/api/state/current')).simulated, true);
});
