import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONTROLLER_STATES, ERROR_KINDS, type ErrorReport, readErrorFrame } from './error-frame.ts';

const NOTHING = { kinds: [], state: null, txErrors: null, rxErrors: null };

const cases: readonly [
  name: string,
  errorClass: number,
  payload: readonly number[],
  expected: Partial<ErrorReport>,
][] = [
  ['bus-off', 0x40, [], { kinds: ['bus_off'], state: 'bus_off', message: 'bus-off' }],
  [
    'a restart',
    0x100,
    [],
    { kinds: ['restarted'], state: 'error_active', message: 'the controller was restarted' },
  ],
  [
    'too many errors of what it sends',
    0x204,
    [0, 0x08, 0, 0, 0, 0, 96, 3],
    {
      kinds: ['controller_state'],
      state: 'error_warning',
      txErrors: 96,
      rxErrors: 3,
      message: 'error-warning',
    },
  ],
  [
    'far too many, from a driver that has no class bit for the counters',
    0x04,
    [0, 0x10, 0, 0, 0, 0, 0, 130],
    { kinds: ['controller_state'], state: 'error_passive', txErrors: 0, rxErrors: 130 },
  ],
  ['both at once', 0x04, [0, 0x04 | 0x20], { kinds: ['controller_state'], state: 'error_passive' }],
  ['recovery', 0x04, [0, 0x40], { kinds: ['controller_state'], state: 'error_active' }],
  [
    'overflows',
    0x04,
    [0, 0x03],
    {
      kinds: ['rx_overflow', 'tx_overflow'],
      message: "the controller's receive buffer overflowed, the controller's send buffer overflowed",
    },
  ],
  ['lost arbitration', 0x02, [11], { kinds: ['lost_arbitration'], message: 'lost arbitration at bit 11' }],
  ['lost arbitration somewhere', 0x02, [0], { kinds: ['lost_arbitration'], message: 'lost arbitration' }],
  [
    'a protocol violation',
    0x08,
    [0, 0, 0x84, 0x0a],
    { kinds: ['protocol_violation'], message: 'bit stuffing error while sending in the data' },
  ],
  [
    'two of them somewhere',
    0x08,
    [0, 0, 0x03, 0x00],
    { kinds: ['protocol_violation'], message: 'single bit error and frame format error' },
  ],
  [
    'a cut wire',
    0x10,
    [0, 0, 0, 0, 0x74],
    { kinds: ['transceiver'], message: 'transceiver: CANH: no wire, CANL: short to GND' },
  ],
  [
    'wires that touch',
    0x10,
    [0, 0, 0, 0, 0x80],
    { kinds: ['transceiver'], message: 'transceiver: CANL: short to CANH' },
  ],
  ['a lonely node', 0x20, [], { kinds: ['no_ack'], message: 'no node acknowledged a frame' }],
  ['a frame that waits', 0x01, [], { kinds: ['tx_timeout'], message: 'a frame could not be sent in time' }],
  [
    'several at once',
    0xa8,
    [0, 0, 0x40, 0x19],
    {
      kinds: ['protocol_violation', 'no_ack', 'bus_error'],
      message: 'active error announcement in the ACK slot, no node acknowledged a frame, bus error',
    },
  ],
  [
    'counters alone',
    0x200,
    [0, 0, 0, 0, 0, 0, 0, 0],
    { txErrors: 0, rxErrors: 0, message: 'error class 0x200' },
  ],
  ['what has no meaning yet', 0x1000, [255], { message: 'error class 0x1000' }],
];

for (const [name, errorClass, payload, expected] of cases) {
  test(`an error frame tells of ${name}`, () => {
    const report = readErrorFrame(errorClass, Uint8Array.from(payload));
    assert.deepEqual(report, { ...NOTHING, message: report.message, ...expected });
  });
}

test('any error frame is read', () => {
  fc.assert(
    fc.property(fc.nat({ max: 0x1fff_ffff }), fc.uint8Array({ maxLength: 64 }), (errorClass, payload) => {
      const { kinds, state, message, txErrors, rxErrors } = readErrorFrame(errorClass, payload);
      assert.ok(message.length > 0);
      assert.equal(new Set(kinds).size, kinds.length);
      for (const kind of kinds) assert.ok(ERROR_KINDS.includes(kind));
      assert.ok(state === null || CONTROLLER_STATES.includes(state));
      assert.equal(txErrors === null, rxErrors === null);
    }),
  );
});
