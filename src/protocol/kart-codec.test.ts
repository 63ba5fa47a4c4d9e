import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../shared/errors.ts';
import { decodeKartPayload, encodeKartPayload, type KartMessage, rawValueRange } from './kart-codec.ts';

const anyMessage = fc.integer({ min: 0, max: 15 }).chain((valueType) =>
  fc.record(
    {
      messageType: fc.integer({ min: 0, max: 3 }),
      componentType: fc.integer({ min: 0, max: 7 }),
      componentId: fc.integer({ min: 0, max: 255 }),
      commandId: fc.integer({ min: 0, max: 255 }),
      valueType: fc.constant(valueType),
      rawValue: fc.integer(rawValueRange(valueType)),
    },
    { noNullPrototype: true },
  ),
);

const anyPayload = fc.uint8Array({ minLength: 8, maxLength: 8 });

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

describe('the worked examples of the protocol', () => {
  const examples: [hex: string, canonical: string, KartMessage][] = [
    // biome-ignore format: a table
    ['48 00 00 01 40 00 04 B0', '48 00 00 01 40 00 04 B0',
      { messageType: 1, componentType: 1, componentId: 0, commandId: 1, valueType: 4, rawValue: 1200 }],
    // biome-ignore format: a table
    ['50 00 01 01 30 FF FC 18', '50 00 01 01 30 FF FC 18',
      { messageType: 1, componentType: 2, componentId: 1, commandId: 1, valueType: 3, rawValue: -1000 }],
    // biome-ignore format: a table
    ['50 00 01 01 30 00 FC 18', '50 00 01 01 30 FF FC 18',
      { messageType: 1, componentType: 2, componentId: 1, commandId: 1, valueType: 3, rawValue: -1000 }],
    // biome-ignore format: a table
    ['00 00 00 00 20 00 00 01', '00 00 00 00 20 00 00 01',
      { messageType: 0, componentType: 0, componentId: 0, commandId: 0, valueType: 2, rawValue: 1 }],
    // biome-ignore format: a table
    ['68 00 04 05 60 00 00 2A', '68 00 04 05 60 00 00 2A',
      { messageType: 1, componentType: 5, componentId: 4, commandId: 5, valueType: 6, rawValue: 42 }],
  ];
  for (const [hex, canonical, message] of examples) {
    test(hex, () => {
      assert.deepEqual(decodeKartPayload(bytes(hex)), message);
      assert.deepEqual(encodeKartPayload(message), bytes(canonical));
    });
  }
});

test('decoding what was encoded gives the message back, over the whole domain', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), (message, sinceSyncMs) => {
      assert.deepEqual(decodeKartPayload(encodeKartPayload(message, sinceSyncMs)), message);
    }),
    { numRuns: 2000 },
  );
});

test('any 8 bytes decode to a message that encodes, and again to the same message', () => {
  fc.assert(
    fc.property(anyPayload, (payload) => {
      const message = decodeKartPayload(payload);
      const { min, max } = rawValueRange(message.valueType);
      assert.ok(message.rawValue >= min && message.rawValue <= max);
      assert.deepEqual(decodeKartPayload(encodeKartPayload(message)), message);
    }),
    { numRuns: 2000 },
  );
});

test('what no frame can carry is refused with its name, range and value', () => {
  const message: KartMessage = {
    messageType: 1,
    componentType: 1,
    componentId: 0,
    commandId: 1,
    valueType: 4,
    rawValue: 0,
  };
  const wrong: [Partial<KartMessage>, RegExp][] = [
    [{ rawValue: 65_536 }, /raw value of value type 4 an integer from 0 to 65535, found 65536/],
    [{ rawValue: 1.5 }, /found 1\.5/],
    [{ rawValue: Number.NaN }, /found NaN/],
    [{ messageType: 4 }, /message type an integer from 0 to 3, found 4/],
    [{ componentType: -1 }, /component type .* found -1/],
    [{ componentId: 256 }, /component id .* found 256/],
    [{ commandId: 256 }, /command id .* found 256/],
    [{ valueType: 16 }, /value type .* found 16/],
  ];
  for (const [change, expected] of wrong) {
    assert.throws(
      () => encodeKartPayload({ ...message, ...change }),
      (error) => error instanceof ProtocolError && expected.test(error.message),
    );
  }
});
