import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type PlainSample, seriesRecord } from '../../../test/support/samples.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { SampleReply, SeriesReply } from '../../api/schemas.ts';
import { toPhysical } from '../../protocol/physical-value.ts';
import { openForReading, openForWriting } from '../database/database.ts';
import type {
  ColumnsPage,
  ColumnsQuery,
  HistoryFilter,
  HistoryPage,
  HistoryQuery,
} from '../history-query.ts';
import { KEEP_EVERYTHING } from '../retention.ts';
import { SAMPLE_COLUMNS_BYTES, viewColumns } from '../sample-columns.ts';
import { HistoryWriter } from '../writer/history-writer.ts';
import { HistoryReader } from './history-reader.ts';
import { SampleTail } from './sample-tail.ts';
import { CSV_HEADER } from './sample-writer.ts';

const NOW_US = 1_764_000_000_000_000;

const SERIES = [
  seriesRecord(0),
  seriesRecord(1, { componentId: 1 }),
  seriesRecord(2, { commandId: 7, valueType: 3 }),
  seriesRecord(3, { componentType: 0, commandId: 0, valueType: 2, messageType: 0 }),
  seriesRecord(4, { bus: 'a "second", odd bus', nodeId: 9 }),
  seriesRecord(5, { componentType: 6, componentId: 42, commandId: 99, valueType: 9 }),
];

const EVERYTHING: HistoryQuery = { limit: 10_000, offset: 0, order: 'asc', format: 'json' };

interface NumberedSample extends PlainSample {
  readonly seq: number;
}

interface History {
  readonly path: string;
  readonly writer: HistoryWriter;
  readonly reader: HistoryReader;
  close(): void;
}

/** Segments are of several parts. */
const PART_SAMPLES = 7;

function openHistory(t: TestContext, maxSamples: number | null = null, segmentSamples?: number): History {
  const path = join(temporaryDirectory(t), 'collector.db');
  const forWriting: DatabaseSync = openForWriting(path);
  forWriting.exec('PRAGMA synchronous = OFF');
  const writer = new HistoryWriter(forWriting, path, { ...KEEP_EVERYTHING, maxSamples }, segmentSamples);
  writer.addSeries(SERIES);
  writer.commit(NOW_US);
  const forReading = openForReading(path);
  const close = () => {
    for (const database of [forReading, forWriting]) if (database.isOpen) database.close();
  };
  t.after(close);
  const reader = new HistoryReader(forReading, undefined, undefined, undefined, PART_SAMPLES);
  return { path, writer, reader, close };
}

/** Makes segments of all chunks that suffice for one. */
function compact(writer: HistoryWriter): void {
  do {
    while (writer.compact()) {
      // A slice of the work.
    }
    writer.commit(NOW_US);
  } while (writer.hasCompacted || writer.compact());
}

/**
 * Writes each batch as a chunk; a number among them stands for as many samples lost on the way. The first
 * `compactUpTo` are compacted as far as the writer's segments go.
 */
function write(
  writer: HistoryWriter,
  batches: readonly (readonly PlainSample[] | number)[],
  compactUpTo = 0,
): NumberedSample[] {
  const written: NumberedSample[] = [];
  let nextSeq = 1;
  for (const [place, batch] of batches.entries()) {
    if (place === compactUpTo) {
      writer.commit(NOW_US);
      compact(writer);
    }
    if (typeof batch === 'number') {
      nextSeq += batch;
      continue;
    }
    writer.append(batchOf(batch, nextSeq));
    for (const sample of batch) written.push({ seq: nextSeq++, ...sample });
  }
  writer.commit(NOW_US);
  return written;
}

const anySample = fc.record({
  // Few enough that some are equal and that a query's bounds hit them.
  timestampUs: fc.integer({ min: NOW_US, max: NOW_US + 30 }),
  rawValue: fc.oneof(
    fc.integer({ min: 0, max: 9 }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  ),
  series: fc.nat({ max: SERIES.length - 1 }),
});
const anyBatches = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.array(anySample, { maxLength: 25, size: 'max' }) },
    fc.integer({ min: 1, max: 9 }),
  ),
  { maxLength: 8 },
);
/** Samples that make a segment, and after how many batches segments are made. */
const anyCompaction = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat({ max: 8 }));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const anyTimeUs = fc.integer({ min: NOW_US - 2, max: NOW_US + 32 });
const anyFilter: fc.Arbitrary<HistoryFilter> = fc.record({
  componentType: optional(fc.constantFrom(0, 1, 6)),
  componentId: optional(fc.constantFrom(0, 1)),
  commandId: optional(fc.constantFrom(0, 1)),
  messageType: optional(fc.constantFrom(0, 1, 2)),
  bus: optional(fc.constantFrom('can0', 'can1', SERIES[4]!.bus)),
  series: fc.option(fc.uint8Array({ max: 1, maxLength: SERIES.length + 1 }), { nil: undefined, freq: 1 }),
  fromUs: optional(anyTimeUs),
  toUs: optional(anyTimeUs),
});
const anyQuery: fc.Arbitrary<HistoryQuery> = fc
  .record({
    filter: fc.oneof(fc.constant({}), anyFilter),
    limit: fc.integer({ min: 1, max: 40 }),
    offset: fc.oneof(fc.constant(0), fc.nat({ max: 60 }), fc.constant(Number.MAX_SAFE_INTEGER)),
    order: fc.constantFrom('asc', 'desc'),
    // Any number: in a gap, before the oldest, after the newest.
    cursor: optional(fc.oneof(fc.nat({ max: 120 }), fc.constant(Number.MAX_SAFE_INTEGER))),
    lastSeq: optional(fc.oneof(fc.nat({ max: 120 }), fc.constant(Number.MAX_SAFE_INTEGER))),
    format: fc.constantFrom('json', 'ndjson', 'csv', 'columns'),
  })
  .map(({ filter, ...rest }) => ({ ...filter, ...rest }) as HistoryQuery);

/** What an array would answer. */
function modelPage(samples: readonly NumberedSample[], query: HistoryQuery): NumberedSample[] {
  const { cursor, lastSeq = Number.MAX_VALUE, fromUs, toUs, offset, limit, order } = query;
  const inOrder = order === 'asc' ? samples : samples.toReversed();
  return inOrder
    .filter(({ seq }) => cursor === undefined || (order === 'asc' ? seq > cursor : seq < cursor))
    .filter(({ seq }) => seq <= lastSeq)
    .filter(({ timestampUs }) => timestampUs >= (fromUs ?? 0) && timestampUs <= (toUs ?? Number.MAX_VALUE))
    .filter(({ series }) => {
      const { componentType, componentId, commandId, messageType, bus } = SERIES[series]!;
      return (
        [undefined, componentType].includes(query.componentType) &&
        [undefined, componentId].includes(query.componentId) &&
        [undefined, commandId].includes(query.commandId) &&
        [undefined, messageType].includes(query.messageType) &&
        [undefined, bus].includes(query.bus) &&
        (query.series === undefined || query.series[series] === 1)
      );
    })
    .slice(offset, offset + limit);
}

/** A sample as the API says it; the timestamp as its text, which a number could round. */
function expectedReply({ seq, timestampUs, rawValue, series }: NumberedSample): object {
  const { bus, nodeId, definition } = SERIES[series]!;
  const digits = String(timestampUs);
  return {
    seq,
    timestamp: `${digits.slice(0, -6)}.${digits.slice(-6)}`,
    bus,
    node_id: nodeId,
    message_type: definition.messageType,
    component_type: definition.componentType,
    component_id: definition.componentId,
    command_id: definition.commandId,
    value_type: definition.valueType,
    // No format tells -0 from 0.
    value: toPhysical(rawValue, definition.scale) + 0,
    raw_value: rawValue + 0,
    value_name: definition.valueNames?.[rawValue] ?? null,
    unit: definition.unit,
  };
}

function parsePage({ text, count }: HistoryPage, { format }: HistoryQuery): object[] {
  if (format === 'columns') {
    assert.equal(text.byteLength, count * SAMPLE_COLUMNS_BYTES);
    const { timestampUs, rawValue, seq, series } = viewColumns(text, count);
    return Array.from({ length: count }, (_, at) =>
      expectedReply({
        seq: seq[at]!,
        timestampUs: timestampUs[at]!,
        rawValue: rawValue[at]!,
        series: series[at]!,
      }),
    );
  }
  const string = new TextDecoder().decode(text);
  if (format === 'csv') return parseCsv(string);
  const quoted = string.replaceAll(/"timestamp":(\d+\.\d{6}),/g, '"timestamp":"$1",');
  if (format === 'json') return JSON.parse(quoted);
  assert.ok(string === '' || string.endsWith('\n'));
  return quoted
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** RFC 4180, with a newline for the end of a line. */
function parseCsv(text: string): object[] {
  const names = CSV_HEADER.trimEnd().split(',');
  const records = text.match(/(?:[^"\n]|"[^"]*")*\n/g) ?? [];
  assert.equal(records.join(''), text);
  return records.map((record) => {
    const fields = record.slice(0, -1).match(/(?<=^|,)(?:"(?:[^"]|"")*"|[^,]*)/g)!;
    assert.equal(fields.length, names.length, record);
    const plain = fields.map((field) =>
      field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field,
    );
    const reply = Object.fromEntries(names.map((name, index) => [name, plain[index]!]));
    const numbers = ['seq', 'node_id', 'value', 'raw_value'].map((name) => [name, Number(reply[name])]);
    const nullables = ['value_name', 'unit'].map((name) => [name, reply[name] || null]);
    return { ...reply, ...Object.fromEntries([...numbers, ...nullables]) };
  });
}

test('a page is what an array of all samples would give, in every format', (t) => {
  fc.assert(
    fc.property(
      anyBatches,
      anyCompaction,
      fc.array(anyQuery, { minLength: 5, maxLength: 15 }),
      (batches, [segmentSamples, upTo], queries) => {
        const { writer, reader, close } = openHistory(t, null, segmentSamples);
        const samples = write(writer, batches, upTo);
        for (const query of queries) {
          const page = reader.page(query);
          const expected = modelPage(samples, query);
          assert.equal(page.count, expected.length);
          assert.deepEqual(parsePage(page, query), expected.map(expectedReply));
          const isMore = modelPage(samples, { ...query, limit: query.limit + 1 }).length > expected.length;
          assert.equal(page.nextCursor, isMore ? expected.at(-1)!.seq : null);
        }
        close();
      },
    ),
    { numRuns: 100 },
  );
});

test('following the cursor gives every sample once, in order', (t) => {
  fc.assert(
    fc.property(anyBatches, anyCompaction, anyQuery, (batches, [segmentSamples, upTo], anyOffsetQuery) => {
      const { writer, reader, close } = openHistory(t, null, segmentSamples);
      const samples = write(writer, batches, upTo);
      const query: HistoryQuery = { ...anyOffsetQuery, offset: 0 };
      const seen: object[] = [];
      let next: HistoryQuery | null = query;
      while (next !== null) {
        const page: HistoryPage = reader.page(next);
        seen.push(...parsePage(page, query));
        next = page.nextCursor === null ? null : { ...query, cursor: page.nextCursor };
      }
      const whole = modelPage(samples, { ...query, limit: Number.MAX_SAFE_INTEGER });
      assert.deepEqual(seen, whole.map(expectedReply));
      close();
    }),
    { numRuns: 60 },
  );
});

/** All pages of columns, as rows; each page has at most so many samples. */
function columnRows(reader: HistoryReader, query: ColumnsQuery, pageSamplesMax: number): NumberedSample[] {
  const rows: NumberedSample[] = [];
  let cursor: number | null = null;
  let reuse: ColumnsPage | undefined;
  do {
    const page: ColumnsPage = reader.columns({ ...query, cursor: cursor ?? undefined }, reuse);
    // Each second page is made anew.
    reuse = reuse === undefined ? page : undefined;
    const { seq, timestampUs, rawValue, series } = page;
    assert.ok(seq.length <= pageSamplesMax);
    for (let at = 0; at < seq.length; at++) {
      rows.push({
        seq: seq[at]!,
        timestampUs: timestampUs[at]!,
        rawValue: rawValue[at]!,
        series: series[at]!,
      });
    }
    assert.ok(page.nextCursor === null || page.nextCursor === seq.at(-1));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return rows;
}

/** Signals of which there are one series, two and none, and spans of time that hit the samples. */
const anyColumnsQuery: fc.Arbitrary<ColumnsQuery> = fc.record({
  signal: fc.constantFrom(
    { componentType: 1, componentId: 0, commandId: 1 },
    { componentType: 1, componentId: 1, commandId: 1 },
    { componentType: 2, componentId: 0, commandId: 0 },
  ),
  messageType: fc.constant(1),
  bus: optional(fc.constantFrom('can0', SERIES[4]!.bus)),
  fromUs: fc.oneof(fc.constant(0), anyTimeUs),
  toUs: fc.oneof(fc.constant(Number.MAX_SAFE_INTEGER), anyTimeUs),
});

test('columns are what a page gives of a signal, over segments, chunks and the tail', (t) => {
  fc.assert(
    fc.property(
      anyBatches,
      anyCompaction,
      fc.array(anySample, { maxLength: 20 }),
      fc.array(anyColumnsQuery, { minLength: 5, maxLength: 10 }),
      fc.integer({ min: 1, max: 30 }),
      (batches, [segmentSamples, upTo], inTail, queries, pageSamplesMax) => {
        const { path, writer, close } = openHistory(t, null, segmentSamples);
        const stored = write(writer, batches, upTo);
        const lost = batches.reduce<number>((sum, batch) => sum + (typeof batch === 'number' ? batch : 0), 0);
        const tail = batchOf(inTail, stored.length + lost + 1);
        tail.publish();
        const all = [...stored, ...inTail.map((sample, at) => ({ ...sample, seq: tail.firstSeq + at }))];
        const database = openForReading(path);
        const reader = new HistoryReader(database, new SampleTail([tail.buffer]), undefined, pageSamplesMax);
        for (const query of queries) {
          const { signal, messageType, bus, fromUs, toUs } = query;
          const filter = { ...signal, messageType, bus, fromUs, toUs: toUs - 1 };
          const expected = modelPage(all, { ...EVERYTHING, ...filter });
          assert.deepEqual(columnRows(reader, query, pageSamplesMax), expected);
          const page = reader.page({ ...EVERYTHING, ...filter });
          assert.deepEqual(parsePage(page, EVERYTHING), expected.map(expectedReply));
        }
        database.close();
        close();
      },
    ),
    { numRuns: 100 },
  );
});

test('a plot tells samples as their definitions meant them', (t) => {
  const path = join(temporaryDirectory(t), 'collector.db');
  const database = openForWriting(path);
  t.after(() => database.close());
  const writer = new HistoryWriter(database, path, KEEP_EVERYTHING, 8);
  // The signal came in hertz, then in tenths of a revolution a minute, then in whole ones.
  const series = [
    { unit: 'Hz', scale: 1 },
    { unit: 'rpm', scale: 0.1 },
    { unit: 'rpm', scale: 1 },
  ].map((meaning, index) => {
    const record = seriesRecord(index);
    return { ...record, definition: { ...record.definition, ...meaning } };
  });
  writer.addSeries(series);
  const rawValues = [2, 4, 100, 300, 20, 40];
  const samples = rawValues.map((rawValue, at) => ({
    timestampUs: NOW_US + at * 1_000_000,
    rawValue,
    series: Math.floor(at / 2),
  }));
  writer.append(batchOf(samples, 1));
  writer.commit(NOW_US);
  const { componentType, componentId, commandId, messageType } = series[0]!;
  const signal = { componentType, componentId, commandId };
  const plot = (fromS: number, toS: number, points: number) => {
    const span = { fromUs: NOW_US + fromS * 1_000_000, toUs: NOW_US + toS * 1_000_000, points };
    const text = new HistoryReader(database).series({ signals: [signal, signal], messageType, ...span });
    const { signals } = JSON.parse(new TextDecoder().decode(text)) as SeriesReply;
    // Asked for twice, it is told twice.
    assert.deepEqual(signals[0], signals[1]);
    const { unit, count, min, max, mean, last } = signals[0]!;
    return { unit, count, min, max, mean, last };
  };
  const twoS = { unit: 'rpm', count: [0, 2, 2], min: [null, 10, 20], max: [null, 30, 40] };
  assert.deepEqual(plot(0, 6, 3), { ...twoS, mean: [null, 20, 30], last: [null, 30, 40] });
  assert.deepEqual(plot(0, 2, 1), { unit: 'Hz', count: [2], min: [2], max: [4], mean: [3], last: [4] });
  assert.deepEqual(plot(2, 6, 1), { unit: 'rpm', count: [4], min: [10], max: [40], mean: [25], last: [40] });
  assert.equal(plot(7, 8, 1).unit, 'rpm');
});

test('columns read the blocks of their signal and span alone', (t) => {
  const { path, writer, close } = openHistory(t, null, 20);
  const second = (start: number) =>
    plain(20).map(({ rawValue }, at) => ({
      timestampUs: NOW_US + (start * 20 + at) * 1000,
      rawValue,
      series: at % 2,
    }));
  write(writer, [second(0), second(1), second(2)], 3);
  compact(writer);
  close();
  const database = openForWriting(path);
  // Every block is damaged but the first series' of the second segment.
  database.exec('UPDATE blocks SET bytes = 1 WHERE NOT (series = 0 AND id BETWEEN 3 AND 4)');
  const damages: string[] = [];
  const reader = new HistoryReader(database, undefined, (message) => damages.push(message));
  const query = {
    signal: { componentType: 1, componentId: 0, commandId: 1 },
    messageType: 1,
    fromUs: NOW_US + 20_000,
    toUs: NOW_US + 40_000,
  };
  assert.equal(reader.columns(query).seq.length, 10);
  assert.deepEqual(damages, []);
  assert.equal(reader.columns({ ...query, fromUs: 0 }).seq.length, 10);
  assert.match(damages.join(), /^block \d: A block of samples can't be read: 1 bytes are too few\.$/);
  database.close();
});

test('who pages at several places has a segment read once a part, not once a page', (t) => {
  const { path, writer, close } = openHistory(t, null, 20);
  write(writer, [plain(20), plain(20), plain(20)], 2);
  compact(writer);
  close();
  const database = openForWriting(path);
  const reader = new HistoryReader(database, undefined, undefined, undefined, 10);
  const query = { ...EVERYTHING, order: 'asc', limit: 2 } as const;
  const places = [0, 20];
  const ask = (page: number) =>
    places.map((from) => seqsOf(reader.page({ ...query, cursor: from + page * 2 })));
  const seqs = (page: number) => places.map((from) => [1, 2].map((at) => from + page * 2 + at));
  assert.deepEqual(ask(0), seqs(0));
  // What is read anew from here on is found damaged.
  database.exec('UPDATE blocks SET bytes = 1');
  for (let page = 1; page < 4; page++) assert.deepEqual(ask(page), seqs(page));
  database.close();
});

test('a page reads no segment that its cursor, filter or offset passes over', (t) => {
  const { path, writer, close } = openHistory(t, null, 20);
  write(writer, [plain(20), plain(20), plain(20)], 2);
  compact(writer);
  close();
  const database = openForWriting(path);
  const kept = database.prepare('SELECT count(*) AS segments FROM segments').get() as { segments: number };
  assert.ok(kept.segments >= 2);
  const { lastOfBlocks } = database.prepare('SELECT max(last_seq) AS lastOfBlocks FROM segments').get() as {
    lastOfBlocks: number;
  };
  database.exec('UPDATE blocks SET bytes = 1');
  const damages: string[] = [];
  const reader = new HistoryReader(database, undefined, (message) => damages.push(message));
  const query = { ...EVERYTHING, order: 'asc' } as const;
  assert.deepEqual(seqsOf(reader.page({ ...query, cursor: lastOfBlocks, limit: 1 })), [lastOfBlocks + 1]);
  assert.deepEqual(seqsOf(reader.page({ ...query, componentType: 5 })), []);
  assert.deepEqual(seqsOf(reader.page({ ...query, componentId: 1 })), []);
  assert.deepEqual(seqsOf(reader.page({ ...query, componentId: 0, offset: lastOfBlocks, limit: 1 })), [
    lastOfBlocks + 1,
  ]);
  assert.deepEqual(damages, []);
  reader.page({ ...query, cursor: lastOfBlocks - 1, limit: 1 });
  assert.equal(damages.length, 1);
  database.close();
});

function seqsOf(page: HistoryPage): number[] {
  return (parsePage(page, EVERYTHING) as SampleReply[]).map(({ seq }) => seq);
}

const plain = (count: number): PlainSample[] =>
  Array.from({ length: count }, (_, index) => ({ timestampUs: NOW_US + index, rawValue: 1, series: 0 }));

describe('a cursor', () => {
  const cases: [order: 'asc' | 'desc', cursor: number, seqs: number[]][] = [
    ['asc', 0, [1, 2, 3, 7, 8, 9]],
    ['asc', 3, [7, 8, 9]],
    ['asc', 5, [7, 8, 9]],
    ['asc', 9, []],
    ['asc', 100, []],
    ['asc', Number.MAX_SAFE_INTEGER, []],
    ['desc', 0, []],
    ['desc', 1, []],
    ['desc', 5, [3, 2, 1]],
    ['desc', 100, [9, 8, 7, 3, 2, 1]],
  ];
  for (const [order, cursor, seqs] of cases) {
    test(`${cursor} goes on, ${order}, with ${seqs.join(', ') || 'nothing'}`, (t) => {
      const { writer, reader } = openHistory(t);
      write(writer, [plain(3), 3, plain(3)]);
      assert.deepEqual(seqsOf(reader.page({ ...EVERYTHING, order, cursor })), seqs);
    });
  }

  test('neither repeats nor invents samples when retention drops some between pages', (t) => {
    for (const order of ['asc', 'desc'] as const) {
      const { writer, reader } = openHistory(t, 32);
      write(writer, [plain(32)]);
      const first = reader.page({ ...EVERYTHING, order, limit: 10 });
      // The oldest 12 go.
      writer.append(batchOf(plain(12), 33));
      writer.commit(NOW_US);
      const second = reader.page({ ...EVERYTHING, order, cursor: first.nextCursor! });
      const seqs = [...seqsOf(first), ...seqsOf(second)];
      const range = (from: number, to: number) =>
        Array.from({ length: to - from + 1 }, (_, index) => from + index);
      const expected = order === 'asc' ? [...range(1, 10), ...range(13, 44)] : range(13, 32).toReversed();
      assert.deepEqual(seqs, expected);
      assert.equal(second.nextCursor, null);
    }
  });
});

test('an offset counts what passes the filter, over chunks of which nothing is wanted', (t) => {
  const { writer, reader } = openHistory(t);
  const of = (series: number, count: number) => plain(count).map((sample) => ({ ...sample, series }));
  write(writer, [[...of(0, 3), ...of(1, 1)], of(0, 4), [...of(1, 2), ...of(0, 2)]]);
  const offsets = [0, 1, 2, 3].map((offset) =>
    seqsOf(reader.page({ ...EVERYTHING, componentId: 1, offset })),
  );
  assert.deepEqual(offsets, [[4, 9, 10], [9, 10], [10], []]);
});

test('an empty history has an empty page in every format', (t) => {
  const { reader } = openHistory(t);
  const texts = (['json', 'ndjson', 'csv'] as const).map((format) => {
    const { text, count, nextCursor } = reader.page({ ...EVERYTHING, format });
    assert.deepEqual([count, nextCursor], [0, null]);
    return new TextDecoder().decode(text);
  });
  assert.deepEqual(texts, ['[]', '', '']);
});

test('microseconds are kept to the last digit', (t) => {
  const { writer, reader } = openHistory(t);
  const timestampsUs = [
    0,
    1,
    999_999,
    1_000_000,
    NOW_US + 123_456,
    NOW_US + 999_999,
    Number.MAX_SAFE_INTEGER,
  ];
  write(writer, [timestampsUs.map((timestampUs) => ({ timestampUs, rawValue: 1, series: 0 }))]);
  const text = new TextDecoder().decode(reader.page({ ...EVERYTHING, format: 'csv' }).text);
  assert.deepEqual(
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(',')[1]),
    [
      '0.000000',
      '0.000001',
      '0.999999',
      '1.000000',
      '1764000000.123456',
      '1764000000.999999',
      '9007199254.740991',
    ],
  );
});

test('series that came after the reader did are known, and samples not committed are not seen', (t) => {
  const { writer, reader } = openHistory(t);
  writer.addSeries([seriesRecord(6, { nodeId: 77 })]);
  writer.append(batchOf([{ timestampUs: NOW_US, rawValue: 3, series: 6 }], 1));
  assert.deepEqual(seqsOf(reader.page(EVERYTHING)), []);
  writer.commit(NOW_US);
  const [sample] = parsePage(reader.page(EVERYTHING), EVERYTHING) as SampleReply[];
  assert.equal(sample?.node_id, 77);
});

test('a page holds no snapshot: the write-ahead log can be taken over after it', (t) => {
  const { path, writer, reader } = openHistory(t);
  write(writer, [plain(10), plain(10)]);
  // Broken off in the middle, by its limit.
  for (const limit of [1, 15, 20]) reader.page({ ...EVERYTHING, limit });
  const database = openForWriting(path);
  const row = { ...database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() };
  assert.equal(row.busy, 0);
  database.close();
});
