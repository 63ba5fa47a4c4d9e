import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dlcOfFdPayloadBytes, FRAME_FLAG, isFdPayloadBytes } from './can-frame.ts';
import { frameBits } from './frame-bits.ts';

const { EXTENDED, REMOTE, FD, BRS } = FRAME_FLAG;
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Without stuff bits: what a frame of n bytes has at least. */
const standardBits = (payloadBytes: number) => 47 + 8 * payloadBytes;
const extendedBits = (payloadBytes: number) => 67 + 8 * payloadBytes;

test('a frame without five equal bits in a row has no stuff bit', () => {
  // SOF and the id 0 10101010101, then RTR, IDE and r0 (000) and the DLC 0001: four zeros at most.
  const { nominal, data } = frameBits(0x555, 0, bytes('55'));
  assert.equal(data, 0);
  assert.ok(nominal >= standardBits(1) && nominal <= standardBits(1) + 3);
});

test('all-zero and all-one payloads have the most stuff bits', () => {
  // From the start to the CRC 0 bits only, but for the DLC: one after five, and then one after each four.
  const zeros = frameBits(0, 0, new Uint8Array(8)).nominal;
  const ones = frameBits(0x7ff, 0, new Uint8Array(8).fill(255)).nominal;
  const mixed = frameBits(0x555, 0, new Uint8Array(8).fill(0x55)).nominal;
  assert.ok(zeros > mixed + 10 && ones > mixed + 8, `${zeros} ${ones} ${mixed}`);
});

test('the length lies between that without stuff bits and the most there can be', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 0x7ff }),
      fc.uint8Array({ maxLength: 8 }),
      fc.boolean(),
      (id, payload, isExtended) => {
        const { nominal, data } = frameBits(
          isExtended ? id * 0x20003 : id,
          isExtended ? EXTENDED : 0,
          payload,
        );
        const least = isExtended ? extendedBits(payload.length) : standardBits(payload.length);
        const stuffable = least - 13;
        assert.equal(data, 0);
        assert.ok(nominal >= least && nominal <= least + Math.floor((stuffable - 1) / 4));
      },
    ),
  );
});

test('five bits in a row and those that follow are stuffed as the standard says', () => {
  const { nominal } = frameBits(0, 0, new Uint8Array(0));
  // 34 zeros, as the CRC of zeros is 0: a one after each five of them.
  assert.equal(nominal, standardBits(0) + 6);
});

test('a remote frame has the DLC that it asks for, and no payload', () => {
  assert.equal(frameBits(0x555, REMOTE, new Uint8Array(0), 5).nominal >= standardBits(0), true);
  assert.ok(frameBits(0x555, REMOTE, new Uint8Array(0), 5).nominal < standardBits(1));
});

test('a CAN FD frame that switches its bitrate has its payload at the other', () => {
  const payload = new Uint8Array(64).fill(0x55);
  const plain = frameBits(0x555, FD, payload);
  const switched = frameBits(0x555, FD | BRS, payload);
  assert.equal(plain.data, 0);
  // ESI, DLC, payload, CRC field of 32 bits and its delimiter.
  assert.ok(switched.data >= 1 + 4 + 512 + 32 + 1 && switched.data <= 1 + 4 + 512 + 32 + 1 + 4);
  assert.ok(switched.nominal >= 17 + 12 && switched.nominal <= 17 + 12 + 3);
  assert.ok(Math.abs(plain.nominal - switched.nominal - switched.data) <= 2);
  const short = frameBits(0x555, FD | BRS, payload.subarray(0, 16));
  assert.equal(switched.data - short.data >= 8 * 48 + 5, true);
  assert.ok(frameBits(0x155_5555, FD | EXTENDED, payload).nominal > plain.nominal + 18);
});

test('a DLC stands for each length that CAN FD has', () => {
  const lengths = Array.from({ length: 65 }, (_, length) => length).filter(isFdPayloadBytes);
  assert.deepEqual(lengths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64]);
  assert.deepEqual(
    lengths.map(dlcOfFdPayloadBytes),
    lengths.map((_, dlc) => dlc),
  );
  assert.equal(dlcOfFdPayloadBytes(9), -1);
});
