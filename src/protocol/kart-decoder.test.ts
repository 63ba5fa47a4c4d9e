import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { CAN_IDS_COUNTED_MAX, SERIES_MAX, SERIES_PER_QUANTITY_MAX } from '../shared/limits.ts';
import { FRAME_OUTCOMES, type FrameOutcome } from './frame-outcome.ts';
import { decodeKartPayload } from './kart-codec.ts';
import { KartDecoder } from './kart-decoder.ts';
import { ProtocolRegistry } from './protocol-registry.ts';
import { SampleBatch } from './sample-batch.ts';
import { type SeriesRecord, SeriesTable } from './series-table.ts';

const { EXTENDED, REMOTE, ERROR, FD } = FRAME_FLAG;
const registry = ProtocolRegistry.load();

interface Frame {
  readonly timestampUs: number;
  readonly canId: number;
  readonly flags: number;
  readonly payload: ArrayLike<number>;
}

function batchOf(frames: readonly Frame[]): FrameBatch {
  const batch = FrameBatch.allocate(Math.max(1, frames.length));
  for (const { timestampUs, canId, flags, payload } of frames) {
    batch.push(timestampUs, canId, flags, payload);
  }
  return batch;
}

function frame(hex: string, canId = 2, flags = 0): Frame {
  return { timestampUs: 1_000_000, canId, flags, payload: Buffer.from(hex.replaceAll(' ', ''), 'hex') };
}

function newDecoder(bus = 'can0'): { table: SeriesTable; decoder: KartDecoder } {
  const table = new SeriesTable(registry);
  return { table, decoder: new KartDecoder(bus, registry, table) };
}

interface Sample {
  readonly timestampUs: number;
  readonly series: number;
  readonly rawValue: number;
}

function samplesOf(batch: SampleBatch): Sample[] {
  return Array.from({ length: batch.count }, (_, index) => ({
    timestampUs: batch.timestampUs[index]!,
    series: batch.series[index]!,
    rawValue: batch.rawValue[index]!,
  }));
}

/** Decodes all of the frames, with samples in batches of `capacity`. */
function decodeAll(decoder: KartDecoder, frames: FrameBatch, capacity = 8192): Sample[] {
  const samples: Sample[] = [];
  const batch = SampleBatch.allocate(capacity);
  for (let at = 0; at < frames.count; ) {
    batch.count = 0;
    at = decoder.decode(frames, at, batch);
    samples.push(...samplesOf(batch));
  }
  return samples;
}

/** The outcomes that came, with their counts. */
function outcomesOf(decoder: KartDecoder): Partial<Record<FrameOutcome, number>> {
  return Object.fromEntries(Object.entries(decoder.counters.totals()).filter(([, count]) => count > 0));
}

describe('each frame has its outcome', () => {
  const cases: [what: string, Frame, FrameOutcome, sample: number | null][] = [
    ['a STATUS', frame('48 00 00 01 40 00 04 B0'), 'decoded', 1200],
    ['a negative value', frame('50 00 01 01 30 FF FC 18'), 'decoded', -1000],
    ['a COMMAND to all', frame('00 00 FF 00 20 00 00 01'), 'decoded', 1],
    ['an ERROR', frame('C8 00 00 09 20 00 00 04'), 'decoded', 4],
    ['reserved bits that are set', frame('4F 55 00 01 4F FF 04 B0'), 'decoded', 1200],
    ['a node id of 0', frame('48 00 00 01 40 00 04 B0', 0), 'decoded', 1200],
    ['the highest node id', frame('48 00 00 01 40 00 04 B0', 0x7ff), 'decoded', 1200],
    ['an unknown component', frame('48 00 2A 01 40 00 04 B0'), 'unknown_component', 1200],
    ['an unknown command', frame('48 00 00 63 40 00 04 B0'), 'unknown_command', 1200],
    ['both unknown', frame('48 00 2A 63 40 00 04 B0'), 'unknown_component', 1200],
    ['component type 6', frame('70 00 00 01 40 00 04 B0'), 'reserved_component_type', 1200],
    ['component type 7', frame('78 00 00 01 70 00 04 B0'), 'reserved_component_type', 1200],
    ['value type 7', frame('48 00 00 01 70 FF 04 B0'), 'reserved_value_type', 0xff04b0],
    ['value type 15', frame('48 00 00 01 F0 FF 04 B0'), 'reserved_value_type', 0xff04b0],
    ['no byte', frame(''), 'wrong_length', null],
    ['7 bytes', frame('48 00 00 01 40 00 04'), 'wrong_length', null],
    ['a 29-bit id', frame('48 00 00 01 40 00 04 B0', 0x18ff1234, EXTENDED), 'extended_id', null],
    ['a 29-bit id without data', frame('', 2, EXTENDED), 'extended_id', null],
    ['a remote frame', frame('', 2, REMOTE), 'remote_frame', null],
    ['a remote frame of a 29-bit id', frame('', 2, EXTENDED | REMOTE), 'remote_frame', null],
    ['a CAN FD frame', frame('48 00 00 01 40 00 04 B0', 2, FD), 'can_fd', null],
    ['a long one of a 29-bit id', frame('00 '.repeat(12).trim(), 2, FD | EXTENDED), 'can_fd', null],
    ['an error frame', frame('00 00 00 00 00 00 00 00', 0x1000_0080, ERROR), 'error_frame', null],
  ];
  for (const [what, input, outcome, value] of cases) {
    test(`${what}: ${outcome}`, () => {
      const { table, decoder } = newDecoder();
      const samples = decodeAll(decoder, batchOf([input, input]));
      assert.deepEqual(outcomesOf(decoder), { [outcome]: 2 });
      if (value === null) {
        assert.deepEqual(samples, []);
        assert.equal(table.count, 0);
      } else {
        assert.deepEqual(samples, Array(2).fill({ timestampUs: 1_000_000, series: 0, rawValue: value }));
        assert.equal(table.count, 1);
        assert.equal(table.at(0).nodeId, input.canId);
      }
      const ids = outcome === 'error_frame' ? [] : [input.canId];
      assert.deepEqual(
        decoder.counters.perCanId().map(({ canId }) => canId),
        ids,
      );
    });
  }
});

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      timestampUs: fc.maxSafeNat(),
      canId: fc.oneof(fc.nat(3), fc.nat(0x7ff)),
      flags: fc.constant(0),
      // Few numbers, so that quantities and their series meet again.
      payload: fc
        .tuple(
          fc.nat(255),
          fc.nat(255),
          fc.nat(2),
          fc.nat(2),
          fc.nat(255),
          fc.nat(255),
          fc.nat(255),
          fc.nat(255),
        )
        .map((bytes) => Uint8Array.from(bytes)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      timestampUs: fc.maxSafeNat(),
      canId: fc.nat(0x7ff),
      flags: fc.nat(7),
      payload: fc.uint8Array({ maxLength: 8 }),
    }),
  },
);
const anyFrames = fc.array(anyFrame, { maxLength: 200 });

function isKartMessage({ flags, payload }: Frame): boolean {
  return flags === 0 && payload.length === 8;
}

test('samples say what decodeKartPayload says of their frames, each under a series of its own kind', () => {
  fc.assert(
    fc.property(anyFrames, (frames) => {
      const { table, decoder } = newDecoder();
      const samples = decodeAll(decoder, batchOf(frames));
      const expected = frames.filter(isKartMessage).map(({ timestampUs, canId, payload }) => {
        return { bus: 'can0', timestampUs, nodeId: canId, ...decodeKartPayload(Uint8Array.from(payload)) };
      });
      const found = samples.map(({ timestampUs, series, rawValue }) => {
        const { index, definition, conversion, isCurrent, ...key } = table.at(series);
        assert.equal(index, series);
        return { timestampUs, rawValue, ...key };
      });
      assert.deepEqual(found, expected);
      const keys = table.since(0).map(({ index, definition, conversion, isCurrent, ...key }) => key);
      assert.equal(new Set(keys.map((key) => JSON.stringify(Object.entries(key).sort()))).size, table.count);
    }),
  );
});

test('a batch of samples that is full half-way is gone on from, without a loss', () => {
  fc.assert(
    fc.property(anyFrames, fc.integer({ min: 1, max: 20 }), (frames, capacity) => {
      const batch = batchOf(frames);
      const { decoder } = newDecoder();
      const other = newDecoder().decoder;
      assert.deepEqual(decodeAll(decoder, batch, capacity), decodeAll(other, batch));
      assert.deepEqual(decoder.counters.perCanId(), other.counters.perCanId());
    }),
  );
});

test('decoded piece by piece, up to any ends, frames come to the same', () => {
  const whole = newDecoder();
  const pieces = newDecoder();
  const ends = fc.array(fc.nat(200)).map((each) => each.toSorted((left, right) => left - right));
  fc.assert(
    fc.property(anyFrames, ends, (frames, cuts) => {
      const batch = batchOf(frames);
      const samples = SampleBatch.allocate(200);
      let at = 0;
      for (const end of [...cuts.filter((cut) => cut <= batch.count), batch.count]) {
        at = pieces.decoder.decode(batch, at, samples, end);
        assert.equal(at, end);
      }
      assert.deepEqual(samplesOf(samples), decodeAll(whole.decoder, batch));
      assert.deepEqual(pieces.decoder.counters.totals(), whole.decoder.counters.totals());
    }),
  );
});

test('samples are appended, and a full batch takes none', () => {
  const { decoder } = newDecoder();
  const frames = batchOf([frame('48 00 00 01 40 00 00 01'), frame('48 00 00 01 40 00 00 02')]);
  const samples = SampleBatch.allocate(3);
  assert.equal(decoder.decode(frames, 0, samples), 2);
  assert.equal(decoder.decode(frames, 0, samples), 1);
  assert.equal(decoder.decode(frames, 1, samples), 1);
  assert.deepEqual([...samples.rawValue], [1, 2, 1]);
  assert.equal(decoder.counters.totals().decoded, 3);
});

test('the outcomes add up to the frames, over the bus and over its ids', () => {
  fc.assert(
    fc.property(anyFrames, (frames) => {
      const { decoder } = newDecoder();
      const samples = decodeAll(decoder, batchOf(frames));
      const { counters } = decoder;
      const totals = counters.totals();
      const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
      assert.equal(sum(Object.values(totals)), frames.length);
      assert.deepEqual(Object.keys(totals), [...FRAME_OUTCOMES]);
      const ofSamples = FRAME_OUTCOMES.slice(0, 5).map((outcome) => totals[outcome]);
      assert.equal(sum(ofSamples), samples.length);

      const ids = counters.perCanId();
      assert.equal(sum(ids.map((id) => id.frames)) + totals.error_frame, frames.length);
      for (const id of ids) assert.equal(sum(Object.values(id.outcomes)), id.frames);
      assert.equal(counters.framesOfOtherIds, 0);
    }),
  );
});

test('29-bit ids beyond the limit are counted together', () => {
  const { decoder } = newDecoder();
  const counted = CAN_IDS_COUNTED_MAX - 0x800;
  const frames = FrameBatch.allocate(counted + 10);
  for (let index = 0; index < frames.capacity; index++) frames.push(0, 0x1000_0000 + index, EXTENDED, []);
  for (let round = 0; round < 2; round++) decodeAll(decoder, frames);
  assert.equal(decoder.counters.perCanId().length, counted);
  assert.equal(decoder.counters.framesOfOtherIds, 20);
  assert.equal(decoder.counters.totals().extended_id, 2 * (counted + 10));
});

test('when there is no room for more series, new ones are counted and known ones go on', () => {
  const { table, decoder } = newDecoder();
  const noise = FrameBatch.allocate(SERIES_MAX + 10);
  for (let index = 0; index < noise.capacity; index++) {
    // 128 nodes for each quantity: fewer than one may have.
    const quantity = index >> 7;
    noise.push(index, index & 0x7f, 0, [0x48, 0, quantity & 0xff, quantity >> 8, 0x60, 0, 0, index & 0xff]);
  }
  assert.equal(decodeAll(decoder, noise).length, SERIES_MAX);
  assert.equal(table.count, SERIES_MAX);
  assert.equal(decoder.counters.totals().series_limit, 10);

  const again = decodeAll(decoder, noise);
  assert.equal(again.length, SERIES_MAX);
  assert.ok(again.every(({ series }, index) => series === index));
  assert.equal(decoder.counters.totals().series_limit, 20);

  // Frames without a sample, however many, take no room and don't stop the decoder.
  const full = SampleBatch.allocate(1);
  assert.equal(decoder.decode(noise, SERIES_MAX, full), noise.count);
  assert.equal(full.count, 0);
});

test('one quantity has a bounded number of series, and other quantities go on', () => {
  const { table, decoder } = newDecoder();
  const noise = FrameBatch.allocate(SERIES_PER_QUANTITY_MAX + 10);
  for (let index = 0; index < noise.capacity; index++)
    noise.push(index, index, 0, [0x48, 0, 0, 1, 0x40, 0, 0, 1]);
  assert.equal(decodeAll(decoder, noise).length, SERIES_PER_QUANTITY_MAX);
  assert.equal(decoder.counters.totals().series_limit, 10);
  decodeAll(decoder, batchOf([frame('48 00 01 01 40 00 04 B0')]));
  assert.equal(table.count, SERIES_PER_QUANTITY_MAX + 1);
});

test('two buses share a table, and each has its own series', () => {
  const table = new SeriesTable(registry);
  const status = batchOf([frame('48 00 00 01 40 00 04 B0')]);
  const series = ['can0', 'can1', 'can0'].map((bus) => {
    const [sample] = decodeAll(new KartDecoder(bus, registry, table), status);
    return sample!.series;
  });
  assert.deepEqual(series, [0, 1, 0]);
  assert.deepEqual(
    table.since(0).map(({ bus }) => bus),
    ['can0', 'can1'],
  );
});

test('series of an earlier run are used again, unless the protocol says otherwise of them now', () => {
  const frames = batchOf([
    frame('48 00 00 01 40 00 04 B0'),
    frame('48 00 01 01 40 00 04 B0'),
    frame('48 00 01 01 40 00 04 B0', 3),
  ]);
  const earlier = newDecoder();
  decodeAll(earlier.decoder, frames);
  // As from the database: plain data, of which the second tells of other times.
  const records = earlier.table.since(0).map(({ conversion, isCurrent, ...record }) => {
    return JSON.parse(JSON.stringify(record)) as SeriesRecord;
  });
  records[1]!.definition.scale = 0.5;

  const table = new SeriesTable(registry);
  for (const record of records) table.restore(record);
  assert.deepEqual(
    table.since(0).map(({ isCurrent }) => isCurrent),
    [true, false, true],
  );
  const samples = decodeAll(new KartDecoder('can0', registry, table), frames);
  assert.deepEqual(
    samples.map(({ series }) => series),
    [0, 3, 2],
  );
  // What is stored keeps its meaning.
  assert.equal(table.at(1).conversion.toPhysical(10), 5);
  assert.equal(table.at(3).conversion.toPhysical(10), 10);
  assert.equal(outcomesOf(earlier.decoder).decoded, 3);
});
