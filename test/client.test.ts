import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { ProtocolSchema } from '../src/api/protocol-schemas.ts';
import {
  CollectorClient,
  CollectorClientError,
  type ComponentQuery,
  type GapsQuery,
  type SampleQuery,
  type SampleReply,
  type SeriesQuery,
  type StateQuery,
} from '../src/client/index.ts';
import { snakeCase } from '../src/client/query.ts';
import { assertIs, logLine } from './support/served-pipeline.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** The client against a service in a process of its own, which has read a log. */

const FIRST_US = 1_764_000_000_123_456;
const SAMPLES = 2500;

const directory = temporaryDirectory({ after });
writeFileSync(
  join(directory, 'drive.log'),
  Array.from({ length: SAMPLES }, (_, n) =>
    logLine(FIRST_US + n * 1000, 2, `48 00 00 01 40 00 ${(n + 256).toString(16).padStart(4, '0')}`),
  ).join(''),
);
const service = await startService({
  cwd: directory,
  args: [
    '--db',
    'collector.db',
    '--port',
    '0',
    '--bus',
    'candump:drive.log?speed=max',
    '--max-age',
    'unlimited',
  ],
});
after(() => service.stop());
await eventually(service.history, (samples) => samples[0]?.seq === SAMPLES);
const client = new CollectorClient({ url: service.url });

async function seqsOf(samples: AsyncIterable<SampleReply>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of samples) seqs.push(seq);
  return seqs;
}

const ascending = Array.from({ length: SAMPLES }, (_, n) => n + 1);

/** An HTTP server that isn't the collector. */
async function listening(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the client gives', () => {
  test('the state, of all, of a type, and of a component by names and numbers', async () => {
    for (const state of [
      await client.state(),
      await client.state({ componentType: 'motors', messageType: 'STATUS' }),
      await client.component('MOTORS', 'MOTOR_LEFT_REAR'),
      await client.component(1, 0, { messageType: 1 }),
    ]) {
      const rpm = state.components.MOTORS?.MOTOR_LEFT_REAR?.RPM;
      assert.deepEqual([rpm?.value, rpm?.unit, rpm?.count], [SAMPLES + 255, 'rpm', SAMPLES]);
      assert.equal(state.simulated, false);
    }
    assert.deepEqual((await client.state({ componentType: 'LIGHTS' })).components, {});
  });

  test('a page of the history, and what the next one is asked for with', async () => {
    const first = await client.historyPage({ limit: 2000 });
    assert.deepEqual([first.samples.length, first.samples[0]?.seq], [2000, SAMPLES]);
    const second = await client.historyPage({ limit: 2000, cursor: first.cursor! });
    assert.deepEqual([second.samples.length, second.samples.at(-1)?.seq, second.cursor], [500, 1, null]);
  });

  test('the history page by page, each sample once, either way, up to a limit', async () => {
    assert.deepEqual(await seqsOf(client.history({ order: 'asc', pageSamples: 999 })), ascending);
    assert.deepEqual(await seqsOf(client.history()), ascending.toReversed());
    const middle = client.history({ order: 'asc', offset: 100, limit: 1500, pageSamples: 1000 });
    assert.deepEqual(await seqsOf(middle), ascending.slice(100, 1600));
    const command = { componentType: 'MOTORS', componentId: 0, commandId: 'rpm', bus: 'drive' };
    assert.equal((await seqsOf(client.history({ ...command, order: 'asc', limit: 7 }))).length, 7);
    assert.deepEqual(await seqsOf(client.history({ componentType: 'LIGHTS' })), []);
  });

  test('the history of a span of time, told as number, text or Date', async () => {
    const fromMs = 1_764_000_001_000;
    for (const from of [fromMs / 1000, new Date(fromMs).toISOString(), new Date(fromMs)]) {
      const samples = await seqsOf(client.history({ from, to: 1_764_000_002, order: 'asc' }));
      assert.deepEqual([samples[0], samples.length], [878, 1000]);
    }
  });

  test('the history in one stream, of which a reader may take a part', async () => {
    assert.deepEqual(await seqsOf(client.export({ order: 'asc' })), ascending);
    const some = client.export({ order: 'asc', offset: 10, limit: 1234 });
    assert.deepEqual(await seqsOf(some), ascending.slice(10, 1244));
    assert.equal((await seqsOf(client.export({ limit: 10_001 }))).length, SAMPLES);
    for await (const sample of client.export()) {
      assert.deepEqual(sample, (await client.historyPage({ limit: 1 })).samples[0]);
      break;
    }
  });

  test('series, gaps, the status and the protocol', async () => {
    const signals = ['MOTORS/MOTOR_LEFT_REAR/RPM', 'MOTORS/0/TORQUE'];
    const from = 1_764_000_000;
    const series = await client.series({ signals, from, to: new Date((from + 10) * 1000), points: 10 });
    assert.deepEqual(
      series.signals.map(({ unit, count }) => [unit, count.slice(0, 4)]),
      [
        ['rpm', [877, 1000, 623, 0]],
        [null, [0, 0, 0, 0]],
      ],
    );
    assert.deepEqual(await client.gaps({ from, bus: 'drive', limit: 3 }), []);
    const status = await client.status();
    assert.deepEqual([status.history.state, status.buses[0]?.frames], ['open', SAMPLES]);
    const protocol = await client.protocol();
    assertIs(ProtocolSchema, protocol);
    const motors = await client.protocolOf('MOTORS');
    assert.deepEqual(motors, protocol.component_types.MOTORS);
    assert.equal(motors.commands.find(({ name }) => name === 'RPM')?.unit, 'rpm');
  });
});

/** Every key of a query, which the compiler sees to. */
type Names<Query> = Record<keyof Query, true>;

const TIME = { from: true, to: true } as const;
const ASKED: Readonly<Record<string, object>> = {
  '/api/state/current': { componentType: true, messageType: true } satisfies Names<StateQuery>,
  '/api/state/component/MOTORS/0': { messageType: true } satisfies Names<ComponentQuery>,
  '/api/state/history': {
    ...TIME,
    componentType: true,
    componentId: true,
    commandId: true,
    messageType: true,
    bus: true,
    order: true,
    limit: true,
    offset: true,
    cursor: true,
  } satisfies Names<SampleQuery>,
  '/api/series': {
    ...TIME,
    signals: true,
    points: true,
    messageType: true,
    bus: true,
  } satisfies Names<SeriesQuery>,
  '/api/gaps': { ...TIME, bus: true, limit: true } satisfies Names<GapsQuery>,
};

for (const [path, query] of Object.entries(ASKED)) {
  test(`what can be asked of ${path} is what the API knows, in camel case`, async () => {
    const response = await fetch(`${service.url}${path}?nothing=1&signal=a`);
    const { message } = (await response.json()) as { message: string };
    const [, known] = /^There is no parameter \w+; the parameters are: (.*)\.$/.exec(message) ?? [];
    // The one name that is another: the parameter is given once for each signal.
    const parameters = known?.split(', ').map((name) => (name === 'signal' ? 'signals' : name));
    assert.deepEqual(Object.keys(query).map(snakeCase).toSorted(), parameters?.toSorted(), message);
  });
}

describe('the client throws', () => {
  test("what the service refuses, in the service's words", async () => {
    const isRefusal = { name: 'CollectorClientError', statusCode: 404, code: 'COMPONENT_NOT_HEARD' };
    await assert.rejects(client.component('LIGHTS', 'FRONT'), {
      ...isRefusal,
      message: /^LIGHTS\/FRONT has not been heard/,
    });
    const isInvalid = { name: 'CollectorClientError', statusCode: 400, code: 'QUERY_INVALID' };
    await assert.rejects(client.historyPage({ limit: 0 }), isInvalid);
    await assert.rejects(seqsOf(client.history({ componentId: 1 })), isInvalid);
    await assert.rejects(seqsOf(client.export({ order: 'up' as 'asc' })), isInvalid);
    await assert.rejects(client.state({ colour: 'red' } as object), isInvalid);
  });

  test('UNREACHABLE where nobody answers, saying where it asked', async (t) => {
    const server = createServer();
    const url = await listening(t, server);
    server.close();
    const nobody = new CollectorClient({ url });
    await assert.rejects(nobody.status(), {
      statusCode: 0,
      code: 'UNREACHABLE',
      message: /^No answer from http:\/\/127\.0\.0\.1:\d+\/api\/status: .*ECONNREFUSED/,
    });
  });

  test('TIMEOUT where the answer takes too long, also one that has begun', async (t) => {
    const silent = createServer(() => undefined);
    const slow = createServer((_, response) => response.writeHead(200).write('{'));
    for (const server of [silent, slow]) {
      const url = await listening(t, server);
      await assert.rejects(new CollectorClient({ url }).status({ timeoutMs: 50 }), { code: 'TIMEOUT' });
    }
  });

  test('nothing for the whitespace around a token, and takes an empty one for none', async (t) => {
    const told: (string | undefined)[] = [];
    const url = await listening(
      t,
      createServer(({ headers }, response) => {
        told.push(headers.authorization);
        response.end('{}');
      }),
    );
    for (const token of [' tc_1\n', '', '\n']) await new CollectorClient({ url, token }).status();
    assert.deepEqual(told, ['Bearer tc_1', undefined, undefined]);
    const stream = new CollectorClient({ url, token: 'tc_1\n' }).stream();
    stream.close();
  });

  test('TypeError where the URL is none of HTTP, as without its scheme', () => {
    for (const url of ['localhost:5001', '127.0.0.1:5001', 'ws://127.0.0.1:5001', '/collector', '']) {
      const message = `Expected a URL such as http://127.0.0.1:5001, found ${JSON.stringify(url)}.`;
      assert.throws(() => new CollectorClient({ url }), { name: 'TypeError', message });
    }
  });

  test('REPLY_INVALID where something else answers', async (t) => {
    const web = createServer((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    );
    await assert.rejects(new CollectorClient({ url: await listening(t, web) }).status(), {
      code: 'REPLY_INVALID',
      message: /^Expected JSON from \S+, found text\/html/,
    });
    const proxy = createServer((_, response) => response.writeHead(502).end('<h1>Bad Gateway</h1>'));
    await assert.rejects(new CollectorClient({ url: await listening(t, proxy) }).status(), {
      statusCode: 502,
      code: 'REPLY_INVALID',
    });
  });

  test('REPLY_INVALID where what answers has JSON of its own, or nothing to say', async (t) => {
    for (const [statusCode, body] of [
      [200, '{"status": "fine"}'],
      [200, 'null'],
      [200, '7'],
      [200, ''],
      [204, ''],
    ] as const) {
      const other = createServer((_, response) =>
        response.writeHead(statusCode, { 'content-type': 'application/json' }).end(body),
      );
      const client = new CollectorClient({ url: await listening(t, other) });
      for (const samples of [client.history(), client.export()]) {
        const isRefused = { name: 'CollectorClientError', statusCode, code: 'REPLY_INVALID' };
        await assert.rejects(samples.next(), isRefused, `${statusCode} ${body}`);
      }
      if (body.startsWith('{')) continue;
      await assert.rejects(client.state(), { name: 'CollectorClientError', code: 'REPLY_INVALID' });
    }
  });

  test('where an export breaks off, after what came before', async (t) => {
    const line = JSON.stringify({ seq: 7 });
    const head = { 'content-type': 'application/x-ndjson; charset=utf-8' };
    const broken = createServer((_, response) => {
      response.writeHead(200, head).write(`${line}\n{"seq":`, () => response.destroy());
    });
    const cut = createServer((_, response) => response.writeHead(200, head).end(`${line}\n{"seq":`));
    const endless = createServer((_, response) => response.writeHead(200, head).end('x'.repeat(100_000)));
    for (const [server, code, seqs] of [
      [broken, 'UNREACHABLE', [7]],
      [cut, 'REPLY_INVALID', [7]],
      [endless, 'REPLY_INVALID', []],
    ] as const) {
      const samples = new CollectorClient({ url: await listening(t, server) }).export();
      const seen: number[] = [];
      await assert.rejects(
        async () => {
          for await (const { seq } of samples) seen.push(seq);
        },
        { name: 'CollectorClientError', code },
      );
      assert.deepEqual(seen, seqs);
    }
  });

  test("the signal's reason where that ends a call, at any time of it", async (t) => {
    const reason = new Error('enough');
    const ended = AbortSignal.abort(reason);
    await assert.rejects(client.status({ signal: ended }), reason);
    await assert.rejects(seqsOf(client.history({}, { signal: ended })), reason);

    const asked = new AbortController();
    const silent = createServer(() => asked.abort(reason));
    const waiting = new CollectorClient({ url: await listening(t, silent) });
    await assert.rejects(waiting.status({ signal: asked.signal }), reason);

    const begun = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of client.export({}, { signal: begun.signal })) begun.abort(reason);
    }, reason);
    const paging = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of client.history({ pageSamples: 10 }, { signal: paging.signal }))
        paging.abort(reason);
    }, reason);
  });
});

test('a command is posted once by the names of the API, whatever becomes of it', async (t) => {
  const acknowledged = { id: '1', status: 'acknowledged', bus: 'can0', round_trip_ms: 3.1 };
  const refused = {
    statusCode: 504,
    code: 'COMMAND_NOT_ACKNOWLEDGED',
    error: '',
    message: 'No node answered.',
  };
  const asked: unknown[] = [];
  const vehicle = createServer(async (request, response) => {
    const body = JSON.parse((await request.toArray()).join(''));
    asked.push([request.method, request.url, request.headers['content-type'], body]);
    if (asked.length === 1) response.writeHead(200).end(JSON.stringify(acknowledged));
    else response.writeHead(504, { 'retry-after': '0' }).end(JSON.stringify(refused));
  });
  const driver = new CollectorClient({ url: await listening(t, vehicle) });
  const light = { componentType: 'LIGHTS', componentId: 0, commandId: 'MODE', value: 'ON' };
  assert.deepEqual(await driver.command(light), acknowledged);
  await assert.rejects(
    driver.command({ ...light, value: 1, valueType: 'UINT8', bus: 'can0', timeoutS: 0.5 }),
    {
      name: 'CollectorClientError',
      statusCode: 504,
      code: 'COMMAND_NOT_ACKNOWLEDGED',
      message: 'No node answered.',
    },
  );
  const body = { component_type: 'LIGHTS', component_id: 0, command_id: 'MODE', value: 'ON' };
  const posted = ['POST', '/api/command', 'application/json'];
  assert.deepEqual(asked, [
    [...posted, body],
    [...posted, { ...body, value: 1, value_type: 'UINT8', bus: 'can0', timeout_s: 0.5 }],
  ]);
});

test('a history goes on where the service was too busy for a page', async (t) => {
  let requests = 0;
  const busy = createServer((request, response) => {
    requests++;
    if (requests % 2 === 1) {
      const reply = { statusCode: 503, code: 'HISTORY_BUSY', error: '', message: 'Too many queries wait.' };
      response.writeHead(503, { 'retry-after': '0' }).end(JSON.stringify(reply));
      return;
    }
    fetch(service.url + request.url).then(async (reply) => {
      response.writeHead(200, { link: reply.headers.get('link') ?? '' }).end(await reply.text());
    });
  });
  const behind = new CollectorClient({ url: await listening(t, busy) });
  assert.deepEqual(
    await seqsOf(behind.history({ order: 'asc', limit: 250, pageSamples: 100 })),
    ascending.slice(0, 250),
  );
  assert.equal(requests, 6);
  await assert.rejects(
    new CollectorClient({
      url: await listening(
        t,
        createServer((_, response) => {
          response.writeHead(503, { 'retry-after': '0' }).end();
        }),
      ),
    }).historyPage(),
    (error) => error instanceof CollectorClientError && error.retryAfterS === 0,
  );
});

test('a client asks below the path that it is given, with its token, by the fetch() that it is given', async () => {
  const asked: [string, string | null][] = [];
  const standIn: typeof fetch = async (url, init) => {
    asked.push([String(url), new Headers(init?.headers).get('authorization')]);
    return Response.json({ gaps: [] });
  };
  for (const url of ['https://kart.example/collector', 'https://kart.example/collector/?x#y']) {
    await new CollectorClient({ url, token: 'secret', fetch: standIn }).gaps();
  }
  await new CollectorClient({ url: 'http://[::1]:5001', fetch: standIn }).gaps();
  assert.deepEqual(asked, [
    ['https://kart.example/collector/api/gaps', 'Bearer secret'],
    ['https://kart.example/collector/api/gaps', 'Bearer secret'],
    ['http://[::1]:5001/api/gaps', null],
  ]);
});
