import assert from 'node:assert/strict';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { AscParser } from '../../src/bus/log/asc-parser.ts';
import { CandumpParser } from '../../src/bus/log/candump-parser.ts';
import type { LogParser } from '../../src/bus/log/log-parser.ts';
import { FRAME_BATCH_FRAMES_MAX } from '../../src/shared/limits.ts';
import { randomNumbers } from '../support/random.ts';

const CANDUMP_LINES = [
  '(1436509052.249713) can0 123#1122334455667788',
  '(1436509052.249713) vcan12 7FF#DEADBEEFDEADBEEF',
  '(1436509053.000000) can0 123#DEADBEEF',
  '(1436509052.449847) can0 1F334455#1122 R',
  '(1436509052.650111) can0 123#R8',
  '(1436509052.650111) can0 20000080#0000000000000000',
  '(1436509052.850004) can0 123##3112233',
  '',
  '# a remark',
];
const ASC_LINES = [
  '   0.002000 1  123             Rx   d 8 11 22 33 44 55 66 77 88',
  '   0.003000 1  1F334455x       Rx   d 2 11 22',
  '   0.004000 1  123             Rx   r',
  '  17.876976 2  ErrorFrame',
  '  30.005021 CANFD   1 Rx   123  1 0 8 8 11 22 33 44 55 66 77 88',
  '// a remark',
  '',
];

/** What became of random lines. */
export interface FuzzedLines {
  readonly lines: number;
  readonly frames: number;
  readonly broken: number;
}

/**
 * Reads random lines, most of which begin as good ones, in pieces of random lengths: each is a frame, or counted as
 * broken, or one that says nothing; and lines by themselves give what they give among others.
 */
export function fuzzLines(
  lines: number,
  seed: number,
  onProgress: (lines: number) => void = () => {},
): FuzzedLines {
  const random = randomNumbers(seed);
  const total = { lines: 0, frames: 0, broken: 0 };
  for (const [create, samples] of [
    [() => new CandumpParser(), CANDUMP_LINES],
    [() => new AscParser(), ASC_LINES],
  ] as const) {
    const wanted = total.lines + Math.ceil(lines / 2);
    while (total.lines < wanted) {
      const count = Math.min(2000, wanted - total.lines);
      const text = Array.from({ length: count }, () => mutated(samples[random(samples.length)]!, random));
      const bytes = Buffer.from(`${text.join('\n')}\n`, 'latin1');
      const inPieces = create();
      const pieces = parseInPieces(inPieces, bytes, random);
      assert.equal(inPieces.linesRead, count, 'each line is read once');
      const byLine = create();
      const alone = parseLineByLine(byLine, text);
      assert.deepEqual(pieces, alone);
      assert.equal(inPieces.linesBroken, byLine.linesBroken);
      assert.ok(pieces.length + inPieces.linesBroken <= count);
      total.lines += count;
      total.frames += pieces.length;
      total.broken += inPieces.linesBroken;
      onProgress(total.lines);
    }
  }
  return total;
}

/** A line with some bytes that are others, more or fewer; none of them ends it. */
function mutated(line: string, random: (below: number) => number): string {
  let text = line;
  for (let changes = random(4); changes > 0; changes--) {
    const at = random(text.length + 1);
    const removed = random(3);
    const added = Array.from({ length: random(3) }, () => anyByte(random)).join('');
    text = text.slice(0, at) + added + text.slice(at + removed);
  }
  return text;
}

function anyByte(random: (below: number) => number): string {
  const byte = random(4) === 0 ? random(256) : '0123456789ABCDEFabcdefR#_.() x'.charCodeAt(random(30));
  return byte === 10 || byte === 13 ? ' ' : String.fromCharCode(byte);
}

/** As a driver does: a buffer that is filled behind what is left of it, and a batch that is full at times. */
function parseInPieces(parser: LogParser, bytes: Buffer, random: (below: number) => number): string[] {
  const batch = FrameBatch.allocate(1 + random(FRAME_BATCH_FRAMES_MAX));
  const frames: string[] = [];
  let start = 0;
  let end = 0;
  while (start < bytes.length) {
    const next = parser.parse(bytes, start, end, batch);
    if (batch.isFull || next === start) end = Math.min(bytes.length, end + 1 + random(5000));
    start = next;
    if (batch.isFull) {
      frames.push(...texts(batch));
      batch.clear();
    }
  }
  frames.push(...texts(batch));
  return frames;
}

/** Each in a buffer of its own, so that none is looked at together with what follows. */
function parseLineByLine(parser: LogParser, lines: readonly string[]): string[] {
  const batch = FrameBatch.allocate(FRAME_BATCH_FRAMES_MAX);
  const frames: string[] = [];
  for (const line of lines) {
    const bytes = Buffer.from(`${line}\n`, 'latin1');
    parser.parse(bytes, 0, bytes.length, batch);
    if (batch.count === 0) continue;
    frames.push(...texts(batch));
    batch.clear();
  }
  return frames;
}

function texts(batch: FrameBatch): string[] {
  return Array.from({ length: batch.count }, (_, at) => {
    const payload = Buffer.from(batch.payloadOf(at)).toString('hex');
    return `${batch.timestampUs[at]} ${batch.canId[at]} ${batch.flags[at]} ${batch.payloadBytes[at]} ${payload}`;
  });
}
