import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { candumpLog } from '../../../test/support/candump-log.ts';
import { LOG_BROKEN_LINES_KEPT, LOG_LINE_BYTES_MAX } from '../../shared/limits.ts';
import { EXTENDED_CAN_ID_MAX, FRAME_FLAG, STANDARD_CAN_ID_MAX } from '../can-frame.ts';
import { FrameBatch } from '../frame-batch.ts';
import { CandumpParser } from './candump-parser.ts';

const { EXTENDED, REMOTE, ERROR } = FRAME_FLAG;

interface Frame {
  readonly timestampUs: number;
  readonly canId: number;
  readonly flags: number;
  readonly payload: readonly number[];
}

interface Parsed {
  readonly frames: Frame[];
  readonly parser: CandumpParser;
}

function framesOf(batch: FrameBatch): Frame[] {
  return Array.from({ length: batch.count }, (_, index) => ({
    timestampUs: batch.timestampUs[index]!,
    canId: batch.canId[index]!,
    flags: batch.flags[index]!,
    payload: [...batch.payloadOf(index)],
  }));
}

/**
 * Parses as a driver does: bytes come in chunks of the given sizes (the last one repeats), a begun line
 * is kept, and a batch that is full is emptied.
 */
function parse(text: string | Uint8Array, chunkBytes: readonly number[] = [1e9], capacity = 64): Parsed {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const parser = new CandumpParser();
  const frames: Frame[] = [];
  const batch = FrameBatch.allocate(capacity);
  // What lies beyond the end of the data must not matter: here it looks like data.
  const buffer = new Uint8Array(bytes.length + 64);
  let start = 0;
  let end = 0;
  for (let index = 0; end < bytes.length; index++) {
    const chunkEnd = Math.min(bytes.length, end + chunkBytes[Math.min(index, chunkBytes.length - 1)]!);
    buffer.fill(0x41);
    buffer.set(bytes.subarray(0, chunkEnd));
    end = chunkEnd;
    do {
      batch.clear();
      start = parser.parse(buffer, start, end, batch);
      frames.push(...framesOf(batch));
    } while (batch.isFull);
  }
  batch.clear();
  parser.parseLastLine(buffer, start, end, batch);
  frames.push(...framesOf(batch));
  return { frames, parser };
}

function frame(canId: number, flags: number, payload: readonly number[], timestampUs = 1_500_000): Frame {
  return { timestampUs, canId, flags, payload };
}

describe('each form of a line is read', () => {
  const lines: [line: string, frame: Frame][] = [
    ['(1.500000) can0 123#', frame(0x123, 0, [])],
    ['(1.500000) can0 7FF#00', frame(0x7ff, 0, [0])],
    ['(1.500000) can0 123#DEADBEEF', frame(0x123, 0, [0xde, 0xad, 0xbe, 0xef])],
    ['(1.500000) can0 0ab#deadBEEF', frame(0x0ab, 0, [0xde, 0xad, 0xbe, 0xef])],
    ['(1.500000) can0 123#1122334455667788', frame(0x123, 0, [17, 34, 51, 68, 85, 102, 119, 136])],
    ['(1.500000) can0 00000123#01', frame(0x123, EXTENDED, [1])],
    ['(1.500000) can0 1FFFFFFF#01', frame(EXTENDED_CAN_ID_MAX, EXTENDED, [1])],
    ['(1.500000) can0 123#R', frame(0x123, REMOTE, [])],
    ['(1.500000) can0 123#R8', frame(0x123, REMOTE, [])],
    ['(1.500000) can0 123#R8_9', frame(0x123, REMOTE, [])],
    ['(1.500000) can0 18FF1234#R', frame(0x18ff1234, EXTENDED | REMOTE, [])],
    ['(1.500000) can0 20000080#0000000000000000', frame(0x80, ERROR, [0, 0, 0, 0, 0, 0, 0, 0])],
    ['(1.500000) can0 2000108C#0001', frame(0x108c, ERROR, [0, 1])],
    ['(1.500000) can0 123#11 R', frame(0x123, 0, [0x11])],
    ['(1.500000) can0 123#1122334455667788 T', frame(0x123, 0, [17, 34, 51, 68, 85, 102, 119, 136])],
    ['(1.500000) can0 123#1122334455667788_F', frame(0x123, 0, [17, 34, 51, 68, 85, 102, 119, 136])],
    ['(1.500000) can0 123#11\r', frame(0x123, 0, [0x11])],
    ['(1.5) slcan-with-a-long-name 123#11', frame(0x123, 0, [0x11])],
    ['(1.500000999) can0 123#11', frame(0x123, 0, [0x11])],
    ['(0000000001.500000) can0 123#11', frame(0x123, 0, [0x11])],
    ['  (1.500000) \t can0   123#11  ', frame(0x123, 0, [0x11])],
    ['(1.500000)\tcan0\t123#R8\t', frame(0x123, REMOTE, [])],
    [
      '(1436509052.249713) can0 123#1122334455667788',
      frame(0x123, 0, [17, 34, 51, 68, 85, 102, 119, 136], 1_436_509_052_249_713),
    ],
    [
      '(9007199254.740991) can0 123#1122334455667788',
      frame(0x123, 0, [17, 34, 51, 68, 85, 102, 119, 136], Number.MAX_SAFE_INTEGER),
    ],
  ];
  for (const [line, expected] of lines) {
    test(JSON.stringify(line), () => {
      // The padding makes room for the fast path, which looks only where a whole common line could be.
      for (const text of [line, `${line}\n`, `${line}\n${'\n'.repeat(80)}`]) {
        const { frames, parser } = parse(text);
        assert.deepEqual(frames, [expected]);
        assert.equal(parser.linesBroken, 0);
      }
    });
  }
});

describe('a line that is none of the forms is counted as broken', () => {
  const lines = [
    'x',
    '//',
    '(1.5) can0 123#1',
    '(1.5) can0 123#112',
    '(1.5) can0 123#11223344556677889',
    '(1.5) can0 123#112233445566778899',
    '(1.5) can0 123#1G',
    '(1.5) can0 123#G1',
    '(1.5) can0 123#11x',
    '(1.5) can0 123#R9',
    '(1.5) can0 123#R88',
    '(1.5) can0 123#Rx',
    '(1.5) can0 800#11',
    '(1.5) can0 12#11',
    '(1.5) can0 1234#11',
    '(1.5) can0 123456789#11',
    '(1.5) can0 #11',
    '(1.5) can0 123',
    '(1.5) can0 123 11',
    '(1.5) can0 ',
    '(1.5) can0',
    '(1.5)  123#11',
    '(1.5)can0 123#11',
    '(1.5 can0 123#11',
    '(1.) can0 123#11',
    '(.5) can0 123#11',
    '(15) can0 123#11',
    '(-1.5) can0 123#11',
    '(1.5e3) can0 123#11',
    '1.5) can0 123#11',
    '(1.5) \t 123#11',
    '(1.5)\tcan0 123',
    '(1436509052.249713) can0 80A#1122334455667788',
    '(1436509052.24971x) can0 123#1122334455667788',
    '(143650905x.249713) can0 123#1122334455667788',
    '(1436509052.249713) can0 123#112233445566778x',
    // A timestamp that isn't exact in a double could be stored, but not be read again.
    '(9007199254.740992) can0 123#1122334455667788',
    '(9999999999.000000) can0 123#1122334455667788',
    '(10000000000.000000) can0 123#1122334455667788',
  ];
  for (const line of lines) {
    test(JSON.stringify(line), () => {
      for (const text of [line, `${line}\n`, `${line}\r\n`, `${line}\n${'\n'.repeat(80)}`]) {
        const { frames, parser } = parse(text);
        assert.deepEqual(frames, []);
        assert.equal(parser.linesBroken, 1);
        assert.deepEqual(parser.firstBrokenLines, [1]);
      }
    });
  }
});

test('CAN FD frames are read, with their flags and up to 64 bytes', () => {
  const bytes = Array.from({ length: 64 }, (_, index) => index);
  const hex = Buffer.from(bytes).toString('hex');
  const lines = [
    '(1.5) can0 123##0112233',
    '(1.5) can0 18FF1234##1',
    `(1.5) can0 123##3${hex}`,
    '(1.5) can0 7FF##E1122334455667788',
    `(1.5) can0 123##2${hex.slice(0, 24)} R`,
    '(1.5) can0 123#11',
  ];
  const { frames, parser } = parse(`${lines.join('\n')}\n`);
  const { FD, BRS, ESI, EXTENDED } = FRAME_FLAG;
  assert.deepEqual(frames, [
    frame(0x123, FD, [0x11, 0x22, 0x33]),
    frame(0x18ff1234, FD | BRS | EXTENDED, []),
    frame(0x123, FD | BRS | ESI, bytes),
    frame(0x7ff, FD | ESI, [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]),
    frame(0x123, FD | ESI, bytes.slice(0, 12)),
    frame(0x123, 0, [0x11]),
  ]);
  assert.equal(parser.linesBroken, 0);
});

test('what is no length of a CAN FD frame, or no CAN FD frame at all, is broken', () => {
  const hex = '00'.repeat(65);
  const lines = [
    `##0${hex}`,
    `##0${hex.slice(0, 18)}`,
    '##',
    '##G',
    '##011G',
    '##01',
    `##0${hex.slice(0, 126)}`,
  ];
  const { frames, parser } = parse(lines.map((data) => `(1.5) can0 123${data}\n`).join(''));
  assert.deepEqual(frames, []);
  assert.equal(parser.linesBroken, lines.length);
});

test('blank lines and comments are read and mean nothing', () => {
  const { frames, parser } = parse('# lap 1\n\r\n \t\n(1.5) can0 123#11\n  # (1.5) can0 124#11\n');
  assert.equal(frames.length, 1);
  assert.equal(parser.linesRead, 5);
  assert.equal(parser.linesBroken, 0);
});

test('the first broken lines are kept by their numbers, all are counted', () => {
  const good = '(1436509052.249713) can0 123#1122334455667788\n';
  const { frames, parser } = parse(`${good}\nbroken\n`.repeat(20));
  assert.equal(frames.length, 20);
  assert.equal(parser.linesRead, 60);
  assert.equal(parser.linesBroken, 20);
  const numbers = Array.from({ length: LOG_BROKEN_LINES_KEPT }, (_, index) => 3 * (index + 1));
  assert.deepEqual(parser.firstBrokenLines, numbers);
});

test('a newline within a name ends the line there', () => {
  const { frames, parser } = parse(`(1436509052.249713) can0\nx 123#1122334455667788\n${'\n'.repeat(80)}`);
  assert.deepEqual(frames, []);
  assert.deepEqual(parser.firstBrokenLines, [1, 2]);
});

test('a line longer than the limit is one broken line, however it comes', () => {
  const start = '(1.5) can0 123#11 ';
  for (const [bytes, broken] of [
    [LOG_LINE_BYTES_MAX, 0],
    [LOG_LINE_BYTES_MAX + 1, 1],
    [3 * LOG_LINE_BYTES_MAX, 1],
  ] as const) {
    const line = start.padEnd(bytes, 'x');
    for (const text of [line, `${line}\n`, `${line}\n(1.5) can0 123#11\n`]) {
      const lines = text.split('\n').filter((part) => part !== '').length;
      for (const chunkBytes of [1, 100, LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MAX + 1, 1e9]) {
        const { frames, parser } = parse(text, [chunkBytes === 1 ? 4093 : chunkBytes, chunkBytes]);
        assert.equal(parser.linesBroken, broken, `${bytes} bytes in chunks of ${chunkBytes}`);
        assert.equal(parser.linesRead, lines);
        assert.equal(frames.length, lines - broken);
      }
    }
  }
});

const anyPayload = fc.array(fc.nat(255), { maxLength: 8 });
const anyFrame: fc.Arbitrary<Frame> = fc
  .record({
    timestampUs: fc.oneof(
      fc.maxSafeNat(),
      fc.integer({ min: 1_400_000_000, max: 2e9 }).map((s) => s * 1e6),
    ),
    flags: fc.constantFrom(0, 0, 0, EXTENDED, REMOTE, EXTENDED | REMOTE, ERROR),
    id: fc.nat(EXTENDED_CAN_ID_MAX),
    payload: fc.oneof(anyPayload, fc.array(fc.nat(255), { minLength: 8, maxLength: 8 })),
  })
  .map(({ timestampUs, flags, id, payload }) => ({
    timestampUs,
    flags,
    canId: (flags & (EXTENDED | ERROR)) === 0 ? id & STANDARD_CAN_ID_MAX : id,
    payload: (flags & REMOTE) === 0 ? payload : [],
  }));
const anyChunks = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });
const anyCapacity = fc.integer({ min: 1, max: 20 });

test('what is written is read back the same, in any chunks and any batches', () => {
  const anyChannel = fc.stringMatching(/^[!-~]{1,20}$/);
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 30 }),
      anyChannel,
      anyChunks,
      anyCapacity,
      (frames, channel, chunkBytes, capacity) => {
        const batch = FrameBatch.allocate(Math.max(1, frames.length));
        for (const { timestampUs, canId, flags, payload } of frames) {
          batch.push(timestampUs, canId, flags, payload);
        }
        const parsed = parse(candumpLog(batch, channel), chunkBytes, capacity);
        assert.deepEqual(parsed.frames, frames);
        assert.equal(parsed.parser.linesRead, frames.length);
        assert.equal(parsed.parser.linesBroken, 0);
      },
    ),
  );
});

test('the fast way reads a line as the careful way does', () => {
  const common = '(1436509052.249713) can0 123#1122334455667788';
  const anyCharacter = fc.constantFrom(...' \t\r().#R0189AFGafg_x\0\x7f\xff/:@`');
  const anyChange = fc.tuple(fc.nat(common.length), fc.nat(1), fc.oneof(anyCharacter, fc.constant('')));
  const anyLine = fc.array(anyChange, { maxLength: 3 }).map((changes) => {
    let line = common;
    for (const [at, removed, added] of changes) line = line.slice(0, at) + added + line.slice(at + removed);
    return line;
  });
  fc.assert(
    fc.property(anyLine, (line) => {
      const roomForFastPath = `${line}\n${'\n'.repeat(80)}`;
      const fast = parse(roomForFastPath);
      // With nothing behind it the line is too near the end for the fast way to look.
      const careful = parse(`${line}\n`);
      assert.deepEqual(fast.frames, careful.frames);
      assert.equal(fast.parser.linesBroken, careful.parser.linesBroken);
    }),
    { numRuns: 3000 },
  );
});

test('any bytes are read without an error, each line once', () => {
  const anyBytes = fc.uint8Array({ maxLength: 200 });
  const anyPiece = fc.oneof(
    anyBytes,
    fc
      .constantFrom(
        '\n',
        '\r\n',
        '(1.5) can0 123#11',
        '(1436509052.249713) can0 123#1122334455667788\n',
        '#R',
        '##',
      )
      .map((text) => Buffer.from(text)),
  );
  const anyText = fc
    .array(anyPiece, { maxLength: 30 })
    .map((pieces) => new Uint8Array(Buffer.concat(pieces)));
  fc.assert(
    fc.property(anyText, anyChunks, anyCapacity, (bytes, chunkBytes, capacity) => {
      const { frames, parser } = parse(bytes, chunkBytes, capacity);
      const newlines = bytes.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
      const isUnterminated = bytes.length > 0 && bytes.at(-1) !== 10;
      assert.equal(parser.linesRead, newlines + (isUnterminated ? 1 : 0));
      assert.ok(frames.length + parser.linesBroken <= parser.linesRead);
      // The chunks change nothing.
      const whole = parse(bytes);
      assert.deepEqual(frames, whole.frames);
      assert.deepEqual(parser.firstBrokenLines, whole.parser.firstBrokenLines);
    }),
    { numRuns: 500 },
  );
});
