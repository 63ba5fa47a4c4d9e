import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { EventStreamOutlet } from './event-stream-outlet.ts';
import type { SampleBody } from './sample-body.ts';

/** An outlet over a real connection, whose client has not read anything yet. */
async function open(t: TestContext) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
  client.pause();
  t.after(() => {
    client.destroy();
    server.close();
  });
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  response.writeHead(200);
  return { client, response, outlet: new EventStreamOutlet(response) };
}

/** A body of so many bytes. */
function bodyOf(bytes: number): SampleBody {
  const text = `["${'x'.repeat(bytes - 4)}"]`;
  return { count: 1, json: () => Buffer.from(text), columns: () => Buffer.of(), series: () => [] };
}

const NAME = { id: 'a', ordinal: 0 };
const HEAD = { cause: 'live', seq: 7, missed: 1, thinned: 2 } as const;

test('events are written as the standard has them, and the bytes are told', async (t) => {
  const { client, outlet, response } = await open(t);
  outlet.retryAfter(2000);
  assert.equal(outlet.control({ type: 'subscribed', id: 'a', ordinal: 0, signals: 1, seq: 1 }), 0);
  const gap = { type: 'gap', id: 'a', from_seq: 1, to_seq: 2, reason: 'too_many' } as const;
  const gapText = 'event: gap\ndata: {"type":"gap","from_seq":1,"to_seq":2,"reason":"too_many"}\n\n';
  assert.equal(outlet.control(gap), gapText.length);
  const samplesText =
    'id: 7\nevent: samples\ndata: {"type":"samples","cause":"live","seq":7,"missed":1,"thinned":2,"samples":["xx"]}\n\n';
  assert.equal(outlet.samples(NAME, HEAD, bodyOf(6)), samplesText.length);
  assert.equal(outlet.ping(), false);
  outlet.close();
  const text = Buffer.concat(await client.toArray())
    .toString()
    .split('\r\n\r\n')
    .slice(1)
    .join('')
    // Of the chunks, what says how long they are.
    .replaceAll(/\r\n[\da-f]+\r\n|^[\da-f]+\r\n|\r\n0$|\r\n$/g, '');
  assert.equal(text, `retry: 2000\n\n${gapText}${samplesText}`);
  assert.equal(response.closed, true);
  assert.equal(outlet.samples(NAME, HEAD, bodyOf(6)), 0);
});

test('who takes nothing is cut off when the connection is to end', async (t) => {
  const { outlet, response } = await open(t);
  while (outlet.unsentBytes < 1024 * 1024) outlet.samples(NAME, HEAD, bodyOf(100_000));
  const closed = once(response, 'close');
  outlet.close();
  assert.equal(response.writableFinished, false);
  await closed;
  assert.equal(response.writableFinished, false);
});
