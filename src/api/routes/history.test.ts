import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Static, Type } from 'typebox';
import { logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import type { HistoryPage, HistoryQuery } from '../../history/history-query.ts';
import { CSV_HEADER } from '../../history/reader/sample-writer.ts';
import { HistoryError, QueryError } from '../../shared/errors.ts';
import { HISTORY_STREAM_PAGE_SAMPLES } from '../../shared/limits.ts';
import { SampleSchema } from '../schemas.ts';
import { createServer } from '../server.ts';

const SamplesSchema = Type.Array(SampleSchema);
type Sample = Static<typeof SampleSchema>;

const HISTORY = '/api/state/history';
const FIRST_US = 1_764_000_000_000_001;
/** More than a page may have, and not a multiple of anything. */
const SAMPLES = 12_347;
/** Sample i is the i-th of these again and again, a millisecond apart. */
const FRAMES: readonly [canId: number, data: string][] = [
  [2, '48 00 00 01 40 00 04 B0'],
  [3, '50 00 01 01 30 FF FC 18'],
  [16, '00 00 00 00 20 00 00 01'],
  [5, '68 00 04 05 60 00 00 2A'],
  [7, '70 00 2A 63 90 00 00 07'],
];

const log = Array.from({ length: SAMPLES }, (_, index) =>
  logLine(FIRST_US + index * 1000, ...FRAMES[index % FRAMES.length]!),
).join('');
const served = await servePipeline({ after }, log);
const busName = served.pipeline.sources[0]!.bus.name;

const samplesOf = (query = '') => served.getAs(SamplesSchema, `${HISTORY}${query}`);
const seqsOf = (samples: readonly Sample[]) => samples.map(({ seq }) => seq);

function range(from: number, to: number): number[] {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => from + index * step);
}

describe('a page', () => {
  test('is a bare array of the 100 newest samples unless asked otherwise', async () => {
    const response = await served.get(HISTORY);
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.equal(response.headers.get('vary'), 'accept, accept-encoding');
    assert.deepEqual(seqsOf(await samplesOf()), range(SAMPLES, SAMPLES - 99));
  });

  test('has the worked examples of the protocol', async () => {
    const [rpm, current, mode, pong, unknown] = await samplesOf('?order=asc&limit=5');
    assert.deepEqual(rpm, {
      seq: 1,
      timestamp: FIRST_US / 1e6,
      bus: busName,
      node_id: 2,
      message_type: 'STATUS',
      component_type: 'MOTORS',
      component_id: 'MOTOR_LEFT_REAR',
      command_id: 'RPM',
      value_type: 'UINT16',
      value: 1200,
      raw_value: 1200,
      value_name: null,
      unit: 'rpm',
    });
    assert.deepEqual([current?.value, current?.unit], [-1000, 'mA']);
    assert.deepEqual([mode?.message_type, mode?.value_name], ['COMMAND', 'ON']);
    assert.deepEqual([pong?.command_id, pong?.value], ['PONG', 42]);
    assert.deepEqual(
      [unknown?.component_type, unknown?.component_id, unknown?.command_id, unknown?.value_type],
      ['TYPE_6', 'COMPONENT_42', 'COMMAND_99', 'VALUE_TYPE_9'],
    );
  });

  test('is reached by limit and offset', async () => {
    assert.deepEqual(seqsOf(await samplesOf('?limit=3&offset=2')), range(SAMPLES - 2, SAMPLES - 4));
    assert.deepEqual(seqsOf(await samplesOf(`?limit=10&offset=${SAMPLES - 2}`)), [2, 1]);
    assert.deepEqual(await samplesOf(`?offset=${Number.MAX_SAFE_INTEGER}`), []);
    assert.equal((await samplesOf('?limit=10000')).length, 10_000);
  });

  const filters: [query: string, index: number][] = [
    ['component_type=MOTORS', 0],
    ['component_type=motors&component_id=motor_left_rear&command_id=rpm', 0],
    ['component_type=1&component_id=0&command_id=1', 0],
    ['component_type=BATTERIES', 1],
    ['message_type=COMMAND', 2],
    ['message_type=0', 2],
    ['component_type=SYSTEM_MONITOR&command_id=PONG', 3],
    ['component_type=TYPE_6&component_id=COMPONENT_42&command_id=COMMAND_99', 4],
    ['component_type=6&component_id=42&command_id=99', 4],
  ];
  for (const [query, index] of filters) {
    test(`has only what passes ${query}`, async () => {
      const seqs = seqsOf(await samplesOf(`?order=asc&limit=3&${query}`));
      assert.deepEqual(seqs, [index + 1, index + 6, index + 11]);
    });
  }

  test('has only what passes the bus', async () => {
    assert.equal((await samplesOf(`?bus=${busName}&limit=3`)).length, 3);
    assert.deepEqual(await samplesOf('?bus=nowhere'), []);
    assert.deepEqual(await samplesOf('?bus=__proto__'), []);
  });

  test('has what lies from one time to another, both included, in seconds or ISO 8601', async () => {
    const iso = (timestampUs: number) =>
      `${new Date(Math.floor(timestampUs / 1000)).toISOString().slice(0, -1)}${String(timestampUs % 1000).padStart(3, '0')}Z`;
    const seconds = (timestampUs: number) =>
      `${String(timestampUs).slice(0, -6)}.${String(timestampUs).slice(-6)}`;
    const timeOf = (seq: number) => FIRST_US + (seq - 1) * 1000;
    for (const write of [iso, seconds]) {
      const between = (fromUs: number, toUs: number) => samplesOf(`?from=${write(fromUs)}&to=${write(toUs)}`);
      assert.deepEqual(seqsOf(await between(timeOf(5), timeOf(7))), [7, 6, 5]);
      assert.deepEqual(seqsOf(await between(timeOf(5) + 1, timeOf(7) - 1)), [6]);
      assert.deepEqual(seqsOf(await between(timeOf(5), timeOf(5))), [5]);
    }
    assert.deepEqual(await samplesOf('?from=9999-12-31'), []);
    assert.deepEqual(await samplesOf('?to=1999-12-31'), []);
  });
});

describe('the Link header', () => {
  function nextOf(response: Response): string | null {
    const link = response.headers.get('link');
    return link === null ? null : /^<(\/[^>]+)>; rel="next"$/.exec(link)![1]!;
  }

  async function followed(path: string): Promise<{ seqs: number[]; pages: number }> {
    const seqs: number[] = [];
    let next: string | null = path;
    let pages = 0;
    while (next !== null) {
      const response: Response = await served.get(next);
      assert.equal(response.status, 200);
      seqs.push(...seqsOf((await response.json()) as Sample[]));
      pages++;
      next = nextOf(response);
    }
    return { seqs, pages };
  }

  test('leads from page to page until every sample came once', async () => {
    assert.deepEqual(await followed(`${HISTORY}?limit=5000`), { seqs: range(SAMPLES, 1), pages: 3 });
    assert.deepEqual(await followed(`${HISTORY}?limit=${SAMPLES - 10_000}&order=asc`), {
      seqs: range(1, SAMPLES),
      pages: 6,
    });
  });

  test('keeps what else was asked, and takes the offset off', async () => {
    const path = `${HISTORY}?limit=900&offset=3&order=asc&component_type=MOTORS&to=2025-11-24T19:00:00%2B02:00`;
    const { seqs, pages } = await followed(path);
    assert.equal(pages, 3);
    assert.deepEqual(
      seqs,
      range(1, SAMPLES)
        .filter((seq) => seq % FRAMES.length === 1)
        .slice(3),
    );
  });

  test('is absent where everything was said', async () => {
    assert.equal(nextOf(await served.get(`${HISTORY}?order=asc&offset=${SAMPLES - 100}`)), null);
  });

  test('a cursor of the last sample ends at once', async () => {
    assert.deepEqual(await samplesOf(`?order=asc&cursor=${SAMPLES}`), []);
    assert.deepEqual(await samplesOf('?order=desc&cursor=0'), []);
  });

  test('a cursor that no sample has had is of another history: this one is told from its beginning', async () => {
    for (const cursor of [SAMPLES + 1000, Number.MAX_SAFE_INTEGER]) {
      const [first] = await samplesOf(`?order=asc&cursor=${cursor}`);
      assert.equal(first!.seq, 1);
    }
  });
});

describe('a stream', () => {
  const NDJSON = { accept: 'application/x-ndjson' };
  const CSV = { accept: 'text/csv' };

  test('of NDJSON has every sample as a line of JSON', async () => {
    const response = await served.get(`${HISTORY}?order=asc`, NDJSON);
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson; charset=utf-8');
    const text = await response.text();
    assert.ok(text.endsWith('}\n'));
    const samples: Sample[] = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(seqsOf(samples), range(1, SAMPLES));
    assert.deepEqual(samples.slice(0, 100), await samplesOf('?order=asc'));
  });

  test('of CSV has a header and every sample as a record', async () => {
    const response = await served.get(HISTORY, CSV);
    assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8');
    const lines = (await response.text()).split('\n');
    assert.equal(`${lines.shift()}\n`, CSV_HEADER);
    assert.equal(lines.pop(), '');
    assert.deepEqual(
      lines.map((line) => Number(line.split(',')[0])),
      range(SAMPLES, 1),
    );
    const rpm = `1,1764000000.000001,${busName},2,STATUS,MOTORS,MOTOR_LEFT_REAR,RPM,UINT16,1200,1200,,rpm`;
    assert.equal(lines.at(-1), rpm);
  });

  test('ends at the limit, and begins after the offset, where one is given', async () => {
    for (const limit of [1, HISTORY_STREAM_PAGE_SAMPLES, HISTORY_STREAM_PAGE_SAMPLES + 1]) {
      const text = await (await served.get(`${HISTORY}?limit=${limit}&offset=7`, CSV)).text();
      const lines = text.split('\n').slice(1, -1);
      assert.equal(lines.length, limit);
      assert.equal(Number(lines[0]?.split(',')[0]), SAMPLES - 7);
    }
  });

  test('of nothing has no line, but for the header of CSV', async () => {
    assert.equal(await (await served.get(`${HISTORY}?bus=nowhere`, NDJSON)).text(), '');
    assert.equal(await (await served.get(`${HISTORY}?bus=nowhere`, CSV)).text(), CSV_HEADER);
  });
});

/** Serves a history that answers as the test wants; gives the queries it was asked. */
async function serveHistory(
  t: TestContext,
  answer: (query: HistoryQuery, count: number) => HistoryPage | Error,
): Promise<{ url: string; queries: HistoryQuery[] }> {
  const queries: HistoryQuery[] = [];
  const history = {
    firstSeq: null,
    series: () => Promise.reject(new Error('not asked for here')),
    gaps: () => Promise.reject(new Error('not asked for here')),
    timings: () => served.sources.history.timings(),
    async query(query: HistoryQuery): Promise<HistoryPage> {
      queries.push(query);
      const answered = answer(query, queries.length);
      if (answered instanceof Error) throw answered;
      return answered;
    },
  };
  const server = createServer({ ...served.sources, history });
  t.after(() => server.close());
  return { url: `${await server.listen({ host: '127.0.0.1', port: 0 })}${HISTORY}`, queries };
}

const page: HistoryPage = { text: new Uint8Array(100_000).fill(10), count: 1, nextCursor: 1 };
const ACCEPTED = ['application/json', 'application/x-ndjson', 'text/csv'];

describe('a history that fails', () => {
  for (const accept of ACCEPTED) {
    test(`answers 503 while it is busy, to ${accept}`, async (t) => {
      const busy = new QueryError(503, 'HISTORY_BUSY', 'too many queries: try again');
      const { url } = await serveHistory(t, () => busy);
      const response = await fetch(url, { headers: { accept } });
      assert.equal(response.status, 503);
      assert.equal(response.headers.get('retry-after'), '1');
      assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
      assert.deepEqual(await response.json(), {
        statusCode: 503,
        code: 'HISTORY_BUSY',
        error: 'Service Unavailable',
        message: 'too many queries: try again',
      });
    });

    test(`answers 500 when it can't be read, to ${accept}`, async (t) => {
      const { url } = await serveHistory(t, () => new HistoryError('HISTORY_READ_FAILED', 'it ended'));
      const response = await fetch(url, { headers: { accept } });
      assert.equal(response.status, 500);
      assert.deepEqual(await response.json(), {
        statusCode: 500,
        code: 'HISTORY_READ_FAILED',
        error: 'Internal Server Error',
        message: 'it ended',
      });
    });
  }

  test('keeps to itself what was not meant for clients', async (t) => {
    const { url } = await serveHistory(t, () => new Error('secret path /home/me'));
    const reply = (await (await fetch(url)).json()) as { code: string; message: string };
    assert.equal(reply.code, 'INTERNAL');
    assert.doesNotMatch(reply.message, /secret/);
  });

  test('in mid-stream because it is busy holds the reply up, and no sample is missing', async (t) => {
    const busy = new QueryError(503, 'HISTORY_BUSY', 'too many queries: try again');
    const last: HistoryPage = { ...page, nextCursor: null };
    const { url, queries } = await serveHistory(t, (_query, count) =>
      count === 2 ? busy : count < 4 ? page : last,
    );
    const response = await fetch(url, { headers: { accept: 'application/x-ndjson' } });
    assert.equal((await response.arrayBuffer()).byteLength, 3 * page.text.byteLength);
    assert.equal(queries.length, 4);
  });

  test('in mid-stream breaks the reply off, so that nobody takes it for whole', async (t) => {
    const failure = new HistoryError('HISTORY_READ_FAILED', 'it ended');
    const { url, queries } = await serveHistory(t, (_query, count) => (count < 3 ? page : failure));
    const response = await fetch(url, { headers: { accept: 'text/csv' } });
    assert.equal(response.status, 200);
    await assert.rejects(response.text());
    assert.equal(queries.length, 3);
    // And the service goes on.
    assert.equal((await fetch(url.replace(HISTORY, '/healthz'))).status, 200);
  });
});

test('a client that goes away in mid-stream ends the queries', async (t) => {
  const { url, queries } = await serveHistory(t, () => page);
  const abort = new AbortController();
  const response = await fetch(url, { headers: { accept: 'text/csv' }, signal: abort.signal });
  await response.body!.getReader().read();
  abort.abort();
  let asked: number;
  do {
    asked = queries.length;
    await sleep(50);
  } while (queries.length > asked);
  assert.equal((await fetch(url.replace(HISTORY, '/healthz'))).status, 200);
});

test('a client that reads slowly is given no more than it takes', async (t) => {
  const { url, queries } = await serveHistory(t, () => page);
  const abort = new AbortController();
  const response = await fetch(url, { headers: { accept: 'application/x-ndjson' }, signal: abort.signal });
  let asked: number;
  do {
    asked = queries.length;
    await sleep(100);
  } while (queries.length > asked);
  // An endless history, but no more of it is read than the buffers of the connection hold.
  assert.equal(response.status, 200);
  abort.abort();
});

test('HEAD says what GET would, and reads no more than a page', async (t) => {
  const { url, queries } = await serveHistory(t, () => page);
  for (const accept of ACCEPTED) {
    const response = await fetch(url, { method: 'HEAD', headers: { accept } });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', new RegExp(`^${accept}`));
    assert.equal(await response.text(), '');
  }
  assert.equal(queries.length, ACCEPTED.length);
});

const REFUSALS: readonly [query: string, code: string, message: RegExp][] = [
  ['limit=0', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found 0\.$/],
  ['limit=-1', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found -1\.$/],
  ['limit=10001', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found 10001\.$/],
  ['limit=abc', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found "abc"\.$/],
  ['limit=1.5', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found "1\.5"\.$/],
  ['limit=', 'QUERY_INVALID', /^Expected limit to be an integer from 1 to 10000, found ""\.$/],
  ['limit=1&limit=2', 'QUERY_INVALID', /^Expected limit to be an integer .*, found \["1","2"\]\.$/],
  ['offset=-1', 'QUERY_INVALID', /^Expected offset to be an integer from 0 to 9007199254740991, found -1\.$/],
  ['offset=1e300', 'QUERY_INVALID', /^Expected offset to be an integer from 0/],
  ['cursor=x', 'QUERY_INVALID', /^Expected cursor to be an integer from 0 to 9007199254740991, found "x"\.$/],
  ['cursor=-1', 'QUERY_INVALID', /^Expected cursor to be an integer/],
  ['order=random', 'QUERY_INVALID', /^Expected order to be one of asc, desc, found "random"\.$/],
  [
    'from=yesterday',
    'TIME_INVALID',
    /^Expected from as seconds since the epoch .* or ISO 8601 .*, found "yesterday"\.$/,
  ],
  ['to=2025-02-30', 'TIME_INVALID', /^Expected to as seconds .*, found "2025-02-30"\.$/],
  ['from=2&to=1', 'TIME_INVALID', /^Expected from to be no later than to, found 2 and 1\.$/],
  [
    'since=1',
    'QUERY_INVALID',
    /^There is no parameter since; the parameters are: limit, offset, .*, from, to\.$/,
  ],
  ['__proto__=1', 'QUERY_INVALID', /no parameter __proto__/],
  ['component_id=0', 'QUERY_INVALID', /^component_id means nothing without component_type: give both\.$/],
  ['command_id=RPM', 'QUERY_INVALID', /^command_id means nothing without component_type: give both\.$/],
  ['component_type=ENGINES', 'COMPONENT_TYPE_UNKNOWN', /There are: LIGHTS, .* or a number from 0 to 7\.$/],
  [
    'component_type=MOTORS&component_id=FRONT',
    'COMPONENT_UNKNOWN',
    /no component "FRONT" of MOTORS\. There are: /,
  ],
  [
    'component_type=LIGHTS&command_id=RPM',
    'COMMAND_UNKNOWN',
    /^There is no command "RPM" of LIGHTS\. There are: MODE, .*, or a number from 0 to 255\.$/,
  ],
  ['component_type=LIGHTS&command_id=constructor', 'COMMAND_UNKNOWN', /"constructor"/],
  [
    'message_type=4',
    'MESSAGE_TYPE_UNKNOWN',
    /^There is no message type "4"\. There are: COMMAND, STATUS, ACK, ERROR\.$/,
  ],
];

describe('a mistake is answered 400 with what would be right:', () => {
  for (const [query, code, message] of REFUSALS) {
    test(query, async () => {
      const refusal = await served.refusal(`${HISTORY}?${query}`);
      assert.deepEqual([refusal.statusCode, refusal.code, refusal.error], [400, code, 'Bad Request']);
      assert.match(refusal.message, message);
    });
  }

  test('to a stream, too', async () => {
    const response = await served.get(`${HISTORY}?limit=0`, { accept: 'text/csv' });
    assert.equal(response.status, 400);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  });
});
