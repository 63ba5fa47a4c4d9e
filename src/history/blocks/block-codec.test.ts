import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { FrameBatch } from '../../bus/frame-batch.ts';
import { SimulatedKart } from '../../bus/simulated-kart/simulated-kart.ts';
import { KartDecoder } from '../../protocol/kart-decoder.ts';
import { ProtocolRegistry } from '../../protocol/protocol-registry.ts';
import { SampleBatch } from '../../protocol/sample-batch.ts';
import { SeriesTable } from '../../protocol/series-table.ts';
import { HistoryError } from '../../shared/errors.ts';
import {
  type BlockClock,
  type BlockColumns,
  decodeBlock,
  decodeClock,
  decodeValues,
  encodeBlock,
  estimateClockBytes,
} from './block-codec.ts';

const START_US = 1_764_000_000_000_000;

const anyTimestamp = fc.oneof(
  fc.integer({ min: START_US, max: START_US + 1000 }),
  fc.maxSafeNat(),
  fc.constantFrom(0, START_US, START_US + 3_600_000_000),
);
const anyValue = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.integer({ min: -0x80_0000, max: 0xff_ffff }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE, 0.1),
);
const anyColumns = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2000 }), anyTimestamp, anyValue), {
    minLength: 1,
    maxLength: 200,
  })
  .map(columnsOf);

function columnsOf(
  samples: readonly (readonly [gap: number, timestampUs: number, rawValue: number])[],
): BlockColumns {
  let seq = 0;
  return {
    seq: Float64Array.from(samples, ([gap]) => {
      seq += gap;
      return seq;
    }),
    timestampUs: Float64Array.from(samples, ([, timestampUs]) => timestampUs),
    rawValue: Float64Array.from(samples, ([, , rawValue]) => rawValue),
  };
}

/** Equal bit for bit: -0 is not 0. */
function assertSame(found: BlockColumns, expected: BlockColumns): void {
  for (const name of ['seq', 'timestampUs', 'rawValue'] as const) {
    assert.deepEqual(
      new BigUint64Array(found[name].slice().buffer),
      new BigUint64Array(expected[name].slice().buffer),
    );
  }
}

test('what was encoded is decoded exactly, alone and with a leader', () => {
  fc.assert(
    fc.property(anyColumns, fc.option(anyColumns), (columns, leader) => {
      const usable = leader !== null && leader.seq.length >= columns.seq.length ? leader : undefined;
      const block = encodeBlock(columns, usable);
      assertSame(decodeBlock(block, columns.seq.length, usable), columns);
      const { seq, timestampUs } = decodeClock(block, columns.seq.length, usable);
      assert.deepEqual([seq, timestampUs], [columns.seq, columns.timestampUs]);
    }),
    { numRuns: 500 },
  );
});

test('a block at any place in a buffer is decoded', () => {
  const columns = columnsOf([
    [1, START_US, 1.5],
    [2, START_US + 20_000, -0],
    [1, START_US + 10_000, 7],
  ]);
  const block = encodeBlock(columns);
  for (let offset = 0; offset < 9; offset++) {
    const padded = new Uint8Array(block.byteLength + offset);
    padded.set(block, offset);
    assertSame(decodeBlock(padded.subarray(offset), 3), columns);
  }
});

test('a burst that follows its leader costs next to nothing', () => {
  const count = 5000;
  let noise = 1;
  const jitter = Array.from({ length: count }, () => {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0;
    return noise % 1000;
  });
  const leader = columnsOf(jitter.map((us, index) => [1 + (us % 40), START_US + index * 20_000 + us, 0]));
  const follower = {
    seq: leader.seq.map((seq) => seq + 1),
    timestampUs: leader.timestampUs.map((timestampUs) => timestampUs + 230),
    rawValue: leader.rawValue,
  };
  const alone = encodeBlock(follower).byteLength;
  const following = encodeBlock(follower, leader).byteLength;
  assert.ok(following < 400, `${following} bytes`);
  assert.ok(alone > 5000, `${alone} bytes`);
  assertSame(decodeBlock(encodeBlock(follower, leader), count, leader), follower);
});

test('damage is found: any bytes changed, cut or added, the wrong count, and no leader', () => {
  const leader = columnsOf(
    Array.from({ length: 64 }, (_, index) => [1 + (index % 3), START_US + index * 977, index]),
  );
  const columns = { ...leader, timestampUs: leader.timestampUs.map((timestampUs) => timestampUs + 5) };
  const block = encodeBlock(columns, leader);
  const isCorrupt = (error: unknown) =>
    error instanceof HistoryError && error.code === 'HISTORY_BLOCK_CORRUPT';
  fc.assert(
    fc.property(fc.nat({ max: block.byteLength - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const damaged = block.slice();
      damaged[at]! ^= change;
      assert.throws(() => decodeBlock(damaged, 64, leader), isCorrupt);
      assert.throws(() => decodeBlock(block.subarray(0, at), 64, leader), isCorrupt);
    }),
  );
  assert.throws(() => decodeBlock(Uint8Array.of(...block, 0), 64, leader), isCorrupt);
  for (const count of [0, 63, 65, 2 ** 20 + 1])
    assert.throws(() => decodeBlock(block, count, leader), isCorrupt);
  assert.throws(() => decodeBlock(block, 64), isCorrupt);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => decodeBlock(bytes, 3), isCorrupt);
    }),
  );
});

test('the clock alone and the values alone are those of the block', () => {
  fc.assert(
    fc.property(anyColumns, (columns) => {
      const count = columns.seq.length;
      // A leader's samples are the follower's and up to three more.
      const leader = {
        seq: Float64Array.from({ length: count + 3 }, (_, index) => 1 + index),
        timestampUs: Float64Array.from({ length: count + 3 }, (_, index) => START_US - index),
      };
      const block = encodeBlock(columns, leader);
      assertSame({ ...decodeClock(block, count, leader), rawValue: decodeValues(block, count) }, columns);
    }),
  );
});

test('another leader than the one that a block follows is told from it', () => {
  const leader = columnsOf(Array.from({ length: 20 }, (_, index) => [1, START_US + index * 20_000, index]));
  const block = encodeBlock(leader, leader);
  const others: BlockClock[] = [
    { seq: leader.seq.map((seq) => seq + 1), timestampUs: leader.timestampUs },
    { seq: leader.seq, timestampUs: leader.timestampUs.map((timestampUs) => timestampUs + 1) },
    { seq: leader.seq.subarray(1), timestampUs: leader.timestampUs.subarray(1) },
  ];
  for (const other of others) {
    assert.throws(() => decodeBlock(block, 20, other), { code: 'HISTORY_BLOCK_CORRUPT' });
    assert.throws(() => decodeClock(block, 20, other), { code: 'HISTORY_BLOCK_CORRUPT' });
  }
});

test('nonsense with a checksum that fits is decoded or said to be corrupt', () => {
  const columns = columnsOf(
    Array.from({ length: 90 }, (_, index) => [1 + (index % 7), START_US, index ** 3]),
  );
  const block = encodeBlock(columns, columns);
  fc.assert(
    fc.property(fc.integer({ min: 4, max: block.byteLength - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const changed = block.with(at, byte);
      new DataView(changed.buffer).setUint32(0, crc32(changed.subarray(4), 90), true);
      for (const decode of [decodeBlock, decodeClock, decodeValues]) {
        try {
          decode(changed, 90, columns);
        } catch (error) {
          assert.ok(error instanceof HistoryError && error.code === 'HISTORY_BLOCK_CORRUPT', String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('few samples take little room', () => {
  const sizeOf = (samples: readonly (readonly [number, number, number])[]) =>
    encodeBlock(columnsOf(samples)).byteLength;
  assert.ok(sizeOf([]) <= 10);
  assert.ok(sizeOf([[123_456_789, START_US + 123_457, 42]]) <= 40);
  // A signal that comes every 5 s, 80 times, within 2 ms of its time.
  const slow = Array.from(
    { length: 80 },
    (_, i) => [3300 + ((i * 37) % 11), START_US + i * 5_000_000 + ((i * 797) % 2000), 21] as const,
  );
  const bytes = sizeOf(slow);
  assert.ok(bytes < 80 * 3, `${bytes} bytes`);
});

/** A block with a leader or without, and how many bytes its clock was said to take. */
interface Attempt {
  readonly block: Uint8Array;
  readonly estimate: number;
  readonly leader?: BlockClock;
}

interface DriveSeries {
  readonly nodeId: number;
  readonly columns: BlockColumns;
}

/** What so many minutes of the simulated kart's drive give, series by series; of a node, the longest first. */
function drive(minutes: number, resolutionUs: number): DriveSeries[] {
  const registry = ProtocolRegistry.load();
  const table = new SeriesTable(registry);
  const decoder = new KartDecoder('can0', registry, table);
  const kart = new SimulatedKart({ seed: 1 });
  const frames = FrameBatch.allocate(4096);
  const samples = SampleBatch.allocate(4096);
  const gathered: { seq: number[]; timestampUs: number[]; rawValue: number[] }[] = [];
  let nextSeq = 1;
  for (let second = 1; second <= minutes * 60; second++) {
    frames.count = 0;
    samples.count = 0;
    kart.emit(frames, second * 1e6, START_US);
    decoder.decode(frames, 0, samples);
    for (let index = 0; index < samples.count; index++) {
      gathered[samples.series[index]!] ??= { seq: [], timestampUs: [], rawValue: [] };
      const { seq, timestampUs, rawValue } = gathered[samples.series[index]!]!;
      seq.push(nextSeq++);
      timestampUs.push(Math.floor(samples.timestampUs[index]! / resolutionUs) * resolutionUs);
      rawValue.push(samples.rawValue[index]!);
    }
  }
  return gathered
    .map(({ seq, timestampUs, rawValue }, series) => ({
      nodeId: table.at(series).nodeId,
      columns: {
        seq: Float64Array.from(seq),
        timestampUs: Float64Array.from(timestampUs),
        rawValue: Float64Array.from(rawValue),
      },
    }))
    .sort((a, b) => a.nodeId - b.nodeId || b.columns.seq.length - a.columns.seq.length);
}

/** Earlier blocks of the same node and about as many samples that follow nobody themselves, three at most. */
function leadersFor({ nodeId, columns }: DriveSeries, leaders: readonly DriveSeries[]): DriveSeries[] {
  return leaders
    .filter((leader) => leader.nodeId === nodeId && leader.columns.seq.length <= columns.seq.length + 3)
    .slice(-3);
}

for (const [resolutionUs, bytesPerSampleMax] of [
  [1, 1.85],
  [1000, 1.2],
] as const) {
  test(`a drive of 13 minutes takes under ${bytesPerSampleMax} bytes a sample at ${resolutionUs} µs`, () => {
    const leaders: DriveSeries[] = [];
    let count = 0;
    let bytes = 0;
    let bytesByEstimate = 0;
    for (const series of drive(13, resolutionUs)) {
      const { columns } = series;
      let best: Attempt = { block: encodeBlock(columns), estimate: estimateClockBytes(columns) };
      let bestByEstimate = best;
      for (const { columns: leader } of leadersFor(series, leaders)) {
        const attempt = {
          block: encodeBlock(columns, leader),
          estimate: estimateClockBytes(columns, leader),
          leader,
        };
        if (attempt.block.byteLength < best.block.byteLength) best = attempt;
        if (attempt.estimate < bestByEstimate.estimate) bestByEstimate = attempt;
      }
      if (best.leader === undefined) leaders.push(series);
      assertSame(decodeBlock(best.block, columns.seq.length, best.leader), columns);
      count += columns.seq.length;
      bytes += best.block.byteLength;
      bytesByEstimate += bestByEstimate.block.byteLength;
    }
    assert.ok(count > 500_000, `${count} samples`);
    assert.ok(bytes / count < bytesPerSampleMax, `${bytes / count} bytes a sample`);
    // To choose the leader by the estimates costs next to nothing.
    assert.ok(bytesByEstimate < 1.01 * bytes, `${bytesByEstimate} bytes by estimates, else ${bytes}`);
  });
}
