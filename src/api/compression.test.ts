import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import fc from 'fast-check';
import { decoded, rawRequest, rawStream } from '../../test/support/raw-request.ts';
import { openSecurity } from '../../test/support/secured-server.ts';
import { logLine, servePipeline } from '../../test/support/served-pipeline.ts';
import type { HistoryPage } from '../history/history-query.ts';
import { HistoryError } from '../shared/errors.ts';
import {
  COMPRESSED_ANSWERS_MAX,
  COMPRESSED_STREAMS_MAX,
  COMPRESSION_BYTES_MIN,
  COMPRESSION_INLINE_BYTES_MAX,
} from '../shared/limits.ts';
import { ENCODINGS } from './accept-encoding.ts';
import { Compression } from './compression.ts';
import { createInstance } from './instance.ts';
import type { StatusReply } from './schemas.ts';
import { StatusSchema } from './schemas.ts';
import { createServer } from './server.ts';

const security = openSecurity({ after });

const HISTORY = '/api/state/history';
const SAMPLES = 12_000;

const log = Array.from({ length: SAMPLES }, (_, index) =>
  logLine(1_764_000_000_000_000 + index * 1000, 2, '48 00 00 01 40 00 04 B0'),
).join('');
const served = await servePipeline({ after }, log);

describe('an answer to a client that takes it', () => {
  const answers: readonly [what: string, path: string, accept: string][] = [
    ['small', HISTORY, 'application/json'],
    ['large', `${HISTORY}?limit=10000`, 'application/json'],
    ['text that is made once', '/api/protocol', '*/*'],
    ['from the reader', '/api/series?signal=MOTORS/0/RPM&from=1764000000&to=1764000010', '*/*'],
    ['streamed as NDJSON', HISTORY, 'application/x-ndjson'],
    ['streamed as CSV', HISTORY, 'text/csv'],
    ['a page', '/', 'text/html'],
    ['a script', '/docs/swagger-ui-bundle.js', '*/*'],
  ];
  for (const [what, path, accept] of answers) {
    for (const encoding of ENCODINGS) {
      test(`is compressed: ${what}, ${encoding}`, async () => {
        const url = `${served.url}${path}`;
        const plain = await rawRequest(url, { headers: { accept } });
        const compressed = await rawRequest(url, { headers: { accept, 'accept-encoding': encoding } });
        assert.equal(plain.headers['content-encoding'], undefined);
        assert.equal(compressed.headers['content-encoding'], encoding);
        assert.equal(compressed.status, plain.status);
        assert.equal(compressed.headers['content-type'], plain.headers['content-type']);
        assert.ok(compressed.body.length < plain.body.length / 2, `${compressed.body.length} bytes`);
        assert.deepEqual(decoded(compressed), plain.body);
        // Whether it was compressed or not, a cache has to know.
        for (const { headers } of [plain, compressed]) assert.match(headers.vary ?? '', /accept-encoding/);
        const length = compressed.headers['content-length'];
        if (!what.startsWith('streamed')) assert.equal(Number(length), compressed.body.length);
      });
    }
  }

  test('is as it was where it is tiny', async () => {
    const { headers, body } = await rawRequest(`${served.url}/healthz`, {
      headers: { 'accept-encoding': 'gzip' },
    });
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(body.toString(), '{"status":"ok"}');
  });

  test('has the same head for HEAD, and no body', async () => {
    for (const accept of ['application/json', 'application/x-ndjson']) {
      const headers = { accept, 'accept-encoding': 'zstd' };
      const get = await rawRequest(`${served.url}${HISTORY}`, { headers });
      const head = await rawRequest(`${served.url}${HISTORY}`, { method: 'HEAD', headers });
      assert.equal(head.body.length, 0);
      for (const name of ['content-encoding', 'content-type', 'content-length', 'vary']) {
        assert.equal(head.headers[name], get.headers[name], `${accept}: ${name}`);
      }
    }
  });
});

/** An API of one route that sends what is wanted. */
function serveAnswer(answer: () => string | Buffer | Readable, headers: Readonly<Record<string, string>>) {
  const api = createInstance(security);
  const compression = new Compression();
  compression.addTo(api);
  api.get('/', (_request, reply) => reply.headers(headers).send(answer()));
  return { api, compression };
}

test('text of any length comes out as it went in', async () => {
  let text = '';
  const { api } = serveAnswer(() => text, { 'content-type': 'text/plain' });
  const lengths = fc.oneof(
    fc.integer({ min: 0, max: 3000 }),
    fc.integer({ min: COMPRESSION_BYTES_MIN - 2, max: COMPRESSION_BYTES_MIN + 2 }),
    fc.integer({ min: COMPRESSION_INLINE_BYTES_MAX - 2, max: COMPRESSION_INLINE_BYTES_MAX + 2 }),
  );
  const property = fc.asyncProperty(
    lengths,
    fc.constantFrom(...ENCODINGS),
    fc.constantFrom('x', 'ü', '🏎'),
    async (length, encoding, letter) => {
      text = letter.repeat(length);
      const { headers, rawPayload } = await api.inject({
        url: '/',
        headers: { 'accept-encoding': encoding },
      });
      const isLong = Buffer.byteLength(text) >= COMPRESSION_BYTES_MIN;
      assert.equal(headers['content-encoding'], isLong ? encoding : undefined);
      const raw = { status: 200, headers: headers as IncomingMessage['headers'], body: rawPayload };
      assert.equal(decoded(raw).toString(), text);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

describe('never compressed is', () => {
  const body = 'x'.repeat(100_000);
  const cases: readonly [what: string, headers: Readonly<Record<string, string>>][] = [
    ['an event stream', { 'content-type': 'text/event-stream' }],
    ['an image', { 'content-type': 'image/png' }],
    ['a font', { 'content-type': 'font/woff2' }],
    ['what nobody says the type of', { 'content-type': 'application/octet-stream' }],
    ['what is compressed already', { 'content-type': 'text/csv', 'content-encoding': 'br' }],
    ['a part of a file', { 'content-type': 'text/css', 'content-range': 'bytes 0-9/10' }],
  ];
  for (const [what, headers] of cases) {
    for (const answer of [() => body, () => Readable.from([body])]) {
      test(`${what}, as ${typeof answer() === 'string' ? 'an answer' : 'a stream'}`, async () => {
        const { api } = serveAnswer(answer, headers);
        const response = await api.inject({ url: '/', headers: { 'accept-encoding': 'gzip, zstd' } });
        assert.equal(response.headers['content-encoding'], headers['content-encoding']);
        assert.equal(response.payload, body);
      });
    }
  }
});

test('Vary keeps what it said', async () => {
  for (const [said, says] of [
    ['origin', 'origin, accept-encoding'],
    ['Accept-Encoding', 'Accept-Encoding'],
    ['*', '*'],
  ] as const) {
    const { api } = serveAnswer(() => 'x', { 'content-type': 'text/plain', vary: said });
    assert.equal((await api.inject('/')).headers.vary, says);
  }
});

/** Serves a history whose pages the test makes; gives how many were asked for. */
async function serveHistory(t: TestContext, page: (count: number) => Promise<HistoryPage>) {
  let asked = 0;
  const history = {
    ...served.sources.history,
    query: () => page(++asked),
  };
  const server = createServer({ ...served.sources, history });
  t.after(() => server.close());
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    url: `${url}${HISTORY}`,
    asked: () => asked,
    async streams() {
      const status = await (await fetch(`${url}/api/status`)).json();
      return (status as { api: { compression: { streams: { used: number } } } }).api.compression.streams.used;
    },
  };
}

const endless = { count: 1, nextCursor: 1 };

describe('a stream that is compressed', () => {
  for (const encoding of ENCODINGS) {
    const headers = { accept: 'application/x-ndjson', 'accept-encoding': encoding };
    const decoder = () => (encoding === 'gzip' ? createGunzip() : createZstdDecompress());

    test(`brings a page as soon as it is there: ${encoding}`, async (t) => {
      const second = Promise.withResolvers<HistoryPage>();
      const { url } = await serveHistory(t, (count) =>
        count === 1 ? Promise.resolve({ ...endless, text: Buffer.from('first\n') }) : second.promise,
      );
      const response = await rawStream(url, { headers });
      const lines = response.pipe(decoder());
      assert.equal(String((await once(lines, 'data'))[0]), 'first\n');
      second.resolve({ text: Buffer.from('second\n'), count: 1, nextCursor: null });
      assert.equal(String((await once(lines, 'data'))[0]), 'second\n');
      await once(lines, 'end');
    });

    test(`reads no more than a slow client takes: ${encoding}`, async (t) => {
      const text = randomBytes(100_000);
      const { url, asked } = await serveHistory(t, async () => ({ ...endless, text }));
      const response = await rawStream(url, { headers });
      await settled(asked);
      response.destroy();
    });

    test(`ends with its client: ${encoding}`, async (t) => {
      const text = randomBytes(100_000);
      const { url, asked, streams } = await serveHistory(t, async () => ({ ...endless, text }));
      const response = await rawStream(url, { headers });
      await once(response, 'data');
      assert.equal(await streams(), 1);
      response.destroy();
      await settled(asked);
      while ((await streams()) > 0) await sleep(10);
    });

    test(`that fails breaks off, so that nobody takes it for whole: ${encoding}`, async (t) => {
      const failure = new HistoryError('HISTORY_READ_FAILED', 'it ended');
      const { url, streams } = await serveHistory(t, async (count) => {
        if (count === 1) return { ...endless, text: Buffer.from('first\n') };
        // Once what came before has been sent.
        await sleep(100);
        throw failure;
      });
      const response = await rawStream(url, { headers });
      response.resume();
      await assert.rejects(once(response, 'end'), { code: 'ECONNRESET' });
      assert.equal(await streams(), 0);
    });

    test(`that fails before anything was sent is a refusal: ${encoding}`, async (t) => {
      const api = createInstance(security);
      new Compression().addTo(api);
      t.after(() => api.close());
      api.get('/', (_request, reply) => {
        const source = new Readable({ read: () => source.destroy(new Error('it ended')) });
        return reply.type('text/csv').send(source);
      });
      const url = await api.listen({ host: '127.0.0.1', port: 0 });
      const answer = await rawRequest(url, { headers });
      assert.deepEqual([answer.status, answer.headers['content-encoding']], [500, undefined]);
      assert.equal(JSON.parse(answer.body.toString()).statusCode, 500);
    });
  }
});

/** Waits until a count no longer grows. */
async function settled(count: () => number): Promise<void> {
  let last: number;
  do {
    last = count();
    await sleep(100);
  } while (count() > last);
}

describe('past the limit', () => {
  const headers = { 'accept-encoding': 'zstd' };

  test(`of ${COMPRESSED_ANSWERS_MAX} answers at once the next goes out as it is, and is counted`, async () => {
    const large = randomBytes(4_000_000).toString('base64');
    const { api, compression } = serveAnswer(() => large, { 'content-type': 'text/plain' });
    await api.ready();
    const answers = await Promise.all(
      Array.from({ length: COMPRESSED_ANSWERS_MAX + 2 }, () => api.inject({ url: '/', headers })),
    );
    const compressed = answers.filter((answer) => answer.headers['content-encoding'] === 'zstd');
    assert.equal(compressed.length, COMPRESSED_ANSWERS_MAX);
    assert.equal(answers.find((answer) => !compressed.includes(answer))?.payload, large);
    assert.deepEqual(compression.status(), {
      answers: { used: 0, max: COMPRESSED_ANSWERS_MAX },
      streams: { used: 0, max: COMPRESSED_STREAMS_MAX },
      passedOver: 2,
    });
  });

  test(`of ${COMPRESSED_STREAMS_MAX} streams at once the next goes out as it is, and is counted`, async (t) => {
    const waiting = Promise.withResolvers<HistoryPage>();
    const server = createServer({
      ...served.sources,
      history: {
        ...served.sources.history,
        query: async ({ cursor }) =>
          cursor === undefined ? { ...endless, text: Buffer.from('first\n') } : waiting.promise,
      },
    });
    t.after(() => server.close());
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    const open = () => rawStream(`${url}${HISTORY}`, { headers: { accept: 'text/csv', ...headers } });
    const streams = await Promise.all(Array.from({ length: COMPRESSED_STREAMS_MAX }, open));
    assert.ok(streams.every((stream) => stream.headers['content-encoding'] === 'zstd'));
    const next = await open();
    assert.equal(next.headers['content-encoding'], undefined);

    const status = await (await fetch(`${url}/api/status`)).json();
    assert.deepEqual((status as StatusReply).api.compression, {
      answers: { used: 0, max: COMPRESSED_ANSWERS_MAX },
      streams: { used: COMPRESSED_STREAMS_MAX, max: COMPRESSED_STREAMS_MAX },
      passed_over: 1,
    });
    waiting.resolve({ text: Buffer.from('last\n'), count: 1, nextCursor: null });
    for (const stream of [...streams, next]) await once(stream.resume(), 'end');
    assert.equal((await served.getAs(StatusSchema, '/api/status')).api.compression.streams.used, 0);
  });
});
