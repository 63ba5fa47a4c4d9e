import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { FRAME_FLAG } from '../can-frame.ts';
import { FrameBatch } from '../frame-batch.ts';
import { AscParser } from './asc-parser.ts';

const { EXTENDED, REMOTE, ERROR, FD, BRS, ESI } = FRAME_FLAG;

function parse(text: string | Uint8Array, capacity = 1000) {
  const bytes = Buffer.from(text);
  const parser = new AscParser();
  const batch = FrameBatch.allocate(capacity);
  const end = parser.parse(bytes, 0, bytes.length, batch);
  if (!batch.isFull) parser.parseLastLine(bytes, end, bytes.length, batch);
  return { parser, batch };
}

/** Each frame as `time id flags bytes payload`. */
function framesOf(text: string): string[] {
  const { batch } = parse(text);
  return Array.from({ length: batch.count }, (_, index) =>
    [
      batch.timestampUs[index]!,
      batch.canId[index]!.toString(16),
      batch.flags[index]!,
      batch.payloadBytes[index]!,
      Buffer.from(batch.payloadOf(index)).toString('hex'),
    ]
      .join(' ')
      .trim(),
  );
}

const ERROR_FRAME = `80 ${ERROR} 8 0000000000000000`;

// biome-ignore format: a table
const lines: readonly [what: string, line: string, expected: string | 'other' | 'broken'][] = [
  ['a frame', '   0.001000 1  123             Rx   d 4 DE AD BE EF', '1000 123 0 4 deadbeef'],
  ['what follows the payload', '2.501000 1  64  Rx   d 2 01 02  Length = 240000 BitCount = 124 ID = 100', '2501000 64 0 2 0102'],
  ['a 29-bit id', '0.1 2 1F334455x Tx d 1 00', `100000 1f334455 ${EXTENDED} 1 00`],
  ['no payload', '0.1 1 7FF Rx d 0', '100000 7ff 0 0'],
  ['a DLC above 8', '0.1 1 7FF Rx d f 1 2 3 4 5 6 7 8', '100000 7ff 0 8 0102030405060708'],
  ['a remote frame', '0.1 1 123 Rx r', `100000 123 ${REMOTE} 0`],
  ['a remote frame with its length', '0.1 1 123x Rx r 8 Length = 0', `100000 123 ${REMOTE | EXTENDED} 8`],
  ['an error frame', '17.876976 2  ErrorFrame', `17876976 ${ERROR_FRAME}`],
  ['an error frame with flags', '17.876976 2  ErrorFrame Flags = 0xe', `17876976 ${ERROR_FRAME}`],
  ['nanoseconds', '0.123456789 1 1 Rx d 0', '123456 1 0 0'],
  ['other letter cases', '0.1 1 1ab rX D 1 aB', '100000 1ab 0 1 ab'],
  ['tabs', '\t0.1\t1\t1\tRx\td\t1\t01\r', '100000 1 0 1 01'],
  ['CAN FD', '30.005021 CANFD   3 Rx        300                Generic_Name_12  1 0 8 8 01 02 03 04 05 06 07 08   102203  133   303000 e0006659 46500250 4b140250 20011736 2001040d', `30005021 300 ${FD | BRS} 8 0102030405060708`],
  ['CAN FD without a name', '0.1 CANFD 1 Tx 1F334455x 0 1 9 12 00 01 02 03 04 05 06 07 08 09 0A 0B 0 0 5000 0 0 0 0 0', `100000 1f334455 ${FD | ESI | EXTENDED} 12 000102030405060708090a0b`],
  ['CAN FD that ends with its payload', '0.1 CANFD 1 Rx 1 0 0 1 1 FF', `100000 1 ${FD} 1 ff`],
  ['a classic frame in a line of CAN FD', '0.1 CANFD 1 Rx 1 0 0 1 1 FF 0 0 0 0', '100000 1 0 1 ff'],
  ['a remote frame in a line of CAN FD', '0.1 CANFD 1 Rx 1 0 0 4 0 0 0 10 0', `100000 1 ${REMOTE} 4`],
  ['an error frame in a line of CAN FD', '0.1 CANFD 1 Rx ErrorFrame Not Acknowledge error', `100000 ${ERROR_FRAME}`],
  ['64 bytes', `0.1 CANFD 1 Rx 1 0 0 f 64 ${'5A '.repeat(64)}`, `100000 1 ${FD} 64 ${'5a'.repeat(64)}`],
  ['the wish to send', '0.1 1 123 TxRq d 1 00', 'other'],
  ['statistics', '1.000000 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.00%', 'other'],
  ['the start', '0.000000 Start of measurement', 'other'],
  ['a chip status', '0.1 CAN 1 Status:chip status error active', 'other'],
  ['a comment', '// version 9.0.0', 'other'],
  ['nothing', '  \t', 'other'],
  ['the end', 'End TriggerBlock', 'other'],
  ['a torn payload', '0.1 1 123 Rx d 4 DE AD', 'broken'],
  ['a torn byte', '0.1 1 123 Rx d 1 D?', 'broken'],
  ['a byte too large', '0.1 1 123 Rx d 1 100', 'broken'],
  ['a DLC too large', '0.1 1 123 Rx d 10 00', 'broken'],
  ['an 11-bit id too large', '0.1 1 800 Rx d 0', 'broken'],
  ['a 29-bit id too large', '0.1 1 20000000x Rx d 0', 'broken'],
  ['a name in place of an id', '0.1 1 EngineData Rx d 0', 'broken'],
  ['no direction', '0.1 1 123 d 0', 'broken'],
  ['a torn line', '0.1 1', 'broken'],
  ['a length that CAN FD has not', '0.1 CANFD 1 Rx 1 0 0 9 9 1 2 3 4 5 6 7 8 9', 'broken'],
  ['text', 'hello', 'broken'],
  ['a time beyond all', '9999999999.0 1 1 Rx d 0', 'broken'],
  ['a date that is none', 'date today', 'broken'],
];

for (const [what, line, expected] of lines) {
  test(`${what}: ${line.trim().slice(0, 50)}`, () => {
    const { parser, batch } = parse(`${line}\n`);
    if (expected === 'other' || expected === 'broken') {
      assert.equal(batch.count, 0);
      assert.equal(parser.linesBroken, expected === 'broken' ? 1 : 0);
      assert.deepEqual(parser.firstBrokenLines, expected === 'broken' ? [1] : []);
    } else {
      assert.deepEqual(framesOf(line), [expected]);
      assert.equal(parser.linesBroken, 0);
    }
  });
}

describe('the header', () => {
  const frame = '1.500000 1 123 Rx d 1 10';

  for (const [date, expected] of [
    ['Thu Jan 1 12:00:00.123 am 2026', new Date(2026, 0, 1, 0, 0, 0, 123)],
    ['Thu Jan 1 12:00:00 pm 2026', new Date(2026, 0, 1, 12)],
    ['Don Dez 31 23:59:59.999 2026', new Date(2026, 11, 31, 23, 59, 59, 999)],
    ['Mit Mär 4 01:02:03.456 PM 2026', new Date(2026, 2, 4, 13, 2, 3, 456)],
  ] as const) {
    test(`${date} is where the times begin`, () => {
      const startUs = expected.getTime() * 1000;
      assert.deepEqual(framesOf(`date ${date}\n${frame}`), [`${startUs + 1_500_000} 123 0 1 10`]);
      assert.deepEqual(framesOf(`date Mon Jan 5 00:00:00 2025\nBegin Triggerblock ${date}\n${frame}`), [
        `${startUs + 1_500_000} 123 0 1 10`,
      ]);
    });
  }

  test('says whether numbers are decimal', () => {
    const text = `base dec timestamps absolute\n${frame}\n1.6 1 2047 Rx d 2 255 0\n1.7 1 7FF Rx d 0\n`;
    assert.deepEqual(framesOf(text), ['1500000 7b 0 1 0a', '1600000 7ff 0 2 ff00']);
    assert.deepEqual(parse(text).parser.firstBrokenLines, [4]);
  });

  test('says whether times are those since the line before', () => {
    const text = `base hex timestamps relative\n0.5 Start of measurement\n${frame}\n${frame}\n`;
    assert.deepEqual(framesOf(text), ['2000000 123 0 1 10', '3500000 123 0 1 10']);
  });
});

test('it goes on where a batch was full', () => {
  const text = Buffer.from('0.1 1 1 Rx d 0\n0.2 1 2 Rx d 0\n0.3 1 3 Rx d 0');
  const parser = new AscParser();
  const batch = FrameBatch.allocate(2);
  const end = parser.parse(text, 0, text.length, batch);
  assert.equal(batch.count, 2);
  batch.clear();
  assert.equal(parser.parse(text, end, text.length, batch), end);
  parser.parseLastLine(text, end, text.length, batch);
  assert.deepEqual([batch.count, batch.canId[0], parser.linesRead], [1, 3, 3]);
});

test('any bytes are read, and give sound frames', () => {
  const words = [
    '0.1',
    '1',
    'CANFD',
    'Rx',
    'd',
    'r',
    '8',
    '64',
    '123',
    'FFx',
    'ErrorFrame',
    '\n',
    ' ',
    '?',
    'base dec',
    'date',
  ];
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc.array(fc.constantFrom(...words), { maxLength: 200 }).map((parts) => Buffer.from(parts.join(' '))),
    fc
      .tuple(fc.constantFrom(...lines.map(([, line]) => line)), fc.nat(), fc.nat(255))
      .map(([line, at, byte]) => {
        const bytes = Buffer.from(`${line}\n`);
        bytes[at % bytes.length] = byte;
        return bytes;
      }),
  );
  fc.assert(
    fc.property(noise, (bytes) => {
      const { batch } = parse(bytes);
      for (let index = 0; index < batch.count; index++) {
        const flags = batch.flags[index]!;
        const timestampUs = batch.timestampUs[index]!;
        assert.ok(Number.isSafeInteger(timestampUs) && timestampUs >= 0);
        assert.ok(batch.canId[index]! <= ((flags & EXTENDED) !== 0 ? 0x1fffffff : 0x7ff));
        assert.ok(batch.payloadBytes[index]! <= ((flags & FD) !== 0 ? 64 : 8));
      }
    }),
    { numRuns: 500 },
  );
});

/** Debian's own, for which python3-can is packaged. */
const PYTHON = '/usr/bin/python3';
const pythonCanMissing = !existsSync('/usr/lib/python3/dist-packages/can');

describe('what others write', () => {
  test('python-can', { skip: pythonCanMissing && 'missing: apt-get install python3-can' }, (context) => {
    const path = join(temporaryDirectory(context), 'drive.asc');
    const script = `
import can
writer = can.ASCWriter(${JSON.stringify(path)})
start = 1767225600.123
def write(ms, **facts):
    writer.on_message_received(can.Message(timestamp=start + ms / 1000, is_rx=True, channel=0, **facts))
write(0, arbitration_id=0x123, is_extended_id=False, data=bytes.fromhex('DEADBEEF'))
write(1, arbitration_id=0x1F334455, is_extended_id=True, data=bytes(range(8)))
write(2, arbitration_id=0x7FF, is_extended_id=False, is_remote_frame=True, dlc=4)
write(3, arbitration_id=0x7FF, is_extended_id=False, data=b'')
write(4, is_error_frame=True)
write(5, arbitration_id=0x321, is_extended_id=False, is_fd=True, bitrate_switch=True, data=bytes(range(64)))
write(6, arbitration_id=0x1F334455, is_extended_id=True, is_fd=True, error_state_indicator=True, data=bytes(range(12)))
writer.stop()
`;
    execFileSync(PYTHON, ['-c', script]);
    const text = readFileSync(path, 'utf8');
    const startUs = 1_767_225_600_123_000;
    const expected = [
      '123 0 4 deadbeef',
      `1f334455 ${EXTENDED} 8 0001020304050607`,
      `7ff ${REMOTE} 4`,
      '7ff 0 0',
      ERROR_FRAME,
      `321 ${FD | BRS} 64 ${Buffer.from(Array.from({ length: 64 }, (_, byte) => byte)).toString('hex')}`,
      `1f334455 ${FD | ESI | EXTENDED} 12 000102030405060708090a0b`,
    ].map((frame, index) => `${startUs + index * 1000} ${frame}`);
    assert.deepEqual(framesOf(text), expected, text);
    assert.equal(parse(text).parser.linesBroken, 0);
  });

  const isLog2ascMissing = !existsSync('/usr/bin/log2asc');
  test('log2asc of can-utils', {
    skip: isLog2ascMissing && 'missing: apt-get install can-utils',
  }, (context) => {
    const path = join(temporaryDirectory(context), 'drive.log');
    const startUs = 1_767_225_600_000_000;
    const log = [
      '(1767225600.000000) can0 123#DEAD',
      '(1767225600.001500) can0 1F334455#0102030405060708',
      '(1767225600.002500) can0 7FF#R',
      '(1767225600.003500) can0 20000080#0000000000000000',
      `(1767225600.004500) can0 321##1${'5A'.repeat(48)}`,
      '',
    ];
    writeFileSync(path, log.join('\n'));
    const text = execFileSync('log2asc', ['-I', path, 'can0'], { encoding: 'utf8' });
    assert.deepEqual(
      framesOf(text),
      [
        `${startUs} 123 0 2 dead`,
        `${startUs + 1500} 1f334455 ${EXTENDED} 8 0102030405060708`,
        `${startUs + 2500} 7ff ${REMOTE} 0`,
        `${startUs + 3500} ${ERROR_FRAME}`,
        `${startUs + 4500} 321 ${FD | BRS} 48 ${'5a'.repeat(48)}`,
      ],
      text,
    );
    assert.equal(parse(text).parser.linesBroken, 0, text);
  });
});
