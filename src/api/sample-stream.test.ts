import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import fc from 'fast-check';
import type { HistoryPage, HistoryQuery } from '../history/history-query.ts';
import { CSV_HEADER } from '../history/reader/sample-writer.ts';
import { QueryError } from '../shared/errors.ts';
import { HISTORY_STREAM_WORK_MS } from '../shared/limits.ts';
import { SampleStream } from './sample-stream.ts';
import type { HistorySource } from './sources.ts';

const QUERY: HistoryQuery = { limit: 0, offset: 0, order: 'asc', format: 'ndjson' };
const ALL = Number.POSITIVE_INFINITY;

/** A history of so many pages, of these lengths in turn, that writes into memory that it is given as the reader does. */
class FakeHistory {
  readonly #lengths: readonly number[];
  readonly #pages: number;
  readonly memories = new Set<ArrayBuffer>();
  asked = 0;
  busyTimes = 0;

  constructor(pages: number, lengths: readonly number[]) {
    this.#pages = pages;
    this.#lengths = lengths;
  }

  /** What the stream is to come to. */
  get expected(): Buffer {
    return Buffer.concat(Array.from({ length: this.#pages }, (_, page) => Buffer.from(this.#textOf(page))));
  }

  #textOf(page: number): Uint8Array {
    const length = this.#lengths[page % this.#lengths.length]!;
    return new Uint8Array(length).map((_, at) => (page * 7 + at) & 0x7f);
  }

  readonly source = {
    query: async ({ cursor = 0 }: HistoryQuery, memory?: ArrayBuffer): Promise<HistoryPage> => {
      this.asked++;
      await nextTurn();
      if (this.busyTimes > 0) {
        this.busyTimes--;
        throw new QueryError(503, 'HISTORY_BUSY', 'try again');
      }
      // Taken from the caller, as what goes to another thread is.
      const taken = memory === undefined ? undefined : structuredClone(memory, { transfer: [memory] });
      const text = this.#textOf(cursor);
      const isRoom = taken !== undefined && taken.byteLength >= text.length;
      const page = new Uint8Array(isRoom ? taken : new ArrayBuffer(text.length), 0, text.length);
      page.set(text);
      if (!isRoom) this.memories.add(page.buffer);
      return { text: page, count: 1, nextCursor: cursor + 1 < this.#pages ? cursor + 1 : null };
    },
  } as HistorySource;
}

/** Looks at what it is given only when it takes it: a while later. */
class SlowWritable extends Writable {
  readonly taken: Buffer[] = [];
  readonly #waits: readonly number[];
  #count = 0;

  constructor(highWaterMark: number, waits: readonly number[]) {
    super({ highWaterMark });
    this.#waits = waits;
  }

  override async _write(chunk: Buffer, _encoding: string, done: () => void): Promise<void> {
    for (let wait = this.#waits[this.#count++ % this.#waits.length]!; wait > 0; wait--) await nextTurn();
    this.taken.push(Buffer.from(chunk));
    done();
  }
}

async function streamOf(history: FakeHistory, query = QUERY, limit = ALL): Promise<Readable> {
  return await SampleStream.begin(history.source, query, limit);
}

describe('a stream of samples', () => {
  test('is all pages as they were, however slowly and in what portions they are taken', async () => {
    const anyLengths = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 });
    const anyWaits = fc.array(fc.nat(6), { minLength: 1, maxLength: 7 });
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      anyLengths,
      fc.constantFrom(1, 1000, 5000, 1_000_000),
      anyWaits,
      async (pages, lengths, highWaterMark, waits) => {
        const history = new FakeHistory(pages, lengths);
        const destination = (await streamOf(history)).pipe(new SlowWritable(highWaterMark, waits));
        await once(destination, 'finish');
        assert.deepEqual(Buffer.concat(destination.taken), history.expected);
        assert.equal(history.asked, pages);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  for (const waits of [[0], [1], [6], [0, 9], [0, 0, 0, 9]]) {
    test(`uses the memory of pages that were sent again, where these take ${waits} turns`, async () => {
      const history = new FakeHistory(100, [20_000]);
      const destination = (await streamOf(history)).pipe(new SlowWritable(4096, waits));
      await once(destination, 'finish');
      assert.ok(history.memories.size <= 4, `${history.memories.size} memories`);
    });
  }

  for (const length of [50_000, 300_000]) {
    test(`of pages of ${length} bytes is the same over HTTP, whoever is slow`, async (t) => {
      const history = new FakeHistory(30, [length]);
      const server = createServer(async (_request, response) => {
        (await streamOf(history)).pipe(response);
      });
      t.after(() => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
      const taken: Buffer[] = [];
      for await (const chunk of response) {
        taken.push(chunk);
        if (taken.length % 16 === 0) await sleep(1);
      }
      assert.ok(Buffer.concat(taken).equals(history.expected));
      assert.ok(history.memories.size <= 6, `${history.memories.size} memories`);
    });
  }

  test('is the same where it is compressed on the way', async () => {
    const history = new FakeHistory(60, [100_000, 20_000]);
    const compressed = await buffer((await streamOf(history)).pipe(zlib.createGzip({ level: 1 })));
    assert.ok(zlib.gunzipSync(compressed).equals(history.expected));
  });

  test('asks for no page before the one ahead of it is wanted', async () => {
    const history = new FakeHistory(60, [100_000]);
    const stream = await streamOf(history);
    const destination = new Writable({ highWaterMark: 1, write() {} });
    stream.pipe(destination);
    await sleep(20);
    // One that isn't taken, and one that waits.
    assert.equal(history.asked, 2);
    stream.destroy();
  });

  test('rests as long as its pages take', async () => {
    const tookMs: number[] = [];
    const restedMs: number[] = [];
    let answeredMs = performance.now();
    const slow = {
      query: async ({ cursor = 0 }: HistoryQuery) => {
        const askedMs = performance.now();
        restedMs.push(askedMs - answeredMs);
        await sleep(HISTORY_STREAM_WORK_MS + 1);
        answeredMs = performance.now();
        tookMs.push(answeredMs - askedMs);
        return { text: new Uint8Array(10), count: 1, nextCursor: cursor < 5 ? cursor + 1 : null };
      },
    } as HistorySource;
    await buffer(await SampleStream.begin(slow, QUERY, ALL));
    assert.equal(tookMs.length, 6);
    // Not after the first page, which the answer waits for. Timers count in milliseconds.
    for (const at of [2, 3, 4, 5]) assert.ok(restedMs[at]! > tookMs[at - 1]! - 2, `${restedMs} of ${tookMs}`);
  });

  test('waits for a reader that is busy', async () => {
    const history = new FakeHistory(3, [10]);
    const stream = await streamOf(history);
    history.busyTimes = 2;
    assert.deepEqual(await buffer(stream), history.expected);
  });

  test('breaks off where the reader fails', async () => {
    const failing = {
      query: async ({ cursor }: HistoryQuery) => {
        if (cursor !== undefined) throw new Error('damaged');
        return { text: new Uint8Array(10), count: 1, nextCursor: 1 };
      },
    } as HistorySource;
    await assert.rejects(buffer(await SampleStream.begin(failing, QUERY, ALL)), /damaged/);
  });

  test('ends at its limit, and has a header where it is CSV', async () => {
    const history = new FakeHistory(9, [10]);
    const text = await buffer(await streamOf(history, { ...QUERY, format: 'csv' }, 2));
    const expected = Buffer.concat([Buffer.from(CSV_HEADER), history.expected.subarray(0, 20)]);
    assert.deepEqual(text, expected);
    assert.equal(history.asked, 2);
  });
});
