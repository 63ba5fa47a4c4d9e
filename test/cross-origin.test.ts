import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBrowser } from './support/browser.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/**
 * A page that another server of the vehicle serves, in a real browser: with its origin in the list it reads and follows
 * as our own page does, without it the browser gives it nothing.
 */

/** Refused, the page is told no more than that it failed, and the console says why. */
const REFUSALS = /blocked by CORS policy|net::ERR_FAILED|WebSocket connection to .* failed|status of 403/;

/** What the platform's own dashboard polls. */
const POLLED = ['/api/state/current', '/api/state/history?limit=5&offset=0', '/api/status'];

async function servePage(): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><link rel="icon" href="data:,"><title>another page</title>');
  }).listen(0, '127.0.0.1');
  after(() => server.close());
  after(() => server.closeAllConnections());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const allowed = await servePage();
const stranger = await servePage();
const service = await startService({
  args: [
    ...['--db', join(temporaryDirectory({ after }), 'collector.db'), '--port', '0'],
    ...['--origin', allowed],
  ],
});
after(() => service.stop());
await eventually(service.history, (samples) => samples.length > 0);
const browser = await startBrowser({ after }, { expects: REFUSALS });

/** Runs in the page: "refused" where the browser gives it nothing. */
const asked = (path: string) =>
  `fetch(${JSON.stringify(service.url + path)}).then((reply) => reply.json(), () => 'refused')`;

const STREAMED = `new Promise((resolve) => {
  const socket = new WebSocket(${JSON.stringify(`${service.url.replace('http', 'ws')}/api/stream`)});
  socket.onopen = () => socket.send('{"type":"subscribe","id":"all","signals":["**"],"max_hz":10}');
  socket.onerror = () => resolve('refused');
  socket.onmessage = ({ data }) => {
    const { type, samples } = JSON.parse(data);
    if (type === 'samples') resolve(samples.length);
  };
})`;

const SENT_EVENTS = `new Promise((resolve) => {
  const source = new EventSource(${JSON.stringify(`${service.url}/api/events?signal=**&max_hz=10`)});
  source.onerror = () => { source.close(); resolve('refused'); };
  source.addEventListener('samples', ({ data }) => { source.close(); resolve(JSON.parse(data).samples.length); });
})`;

test('a page whose origin is in the list asks, and follows over WebSocket and EventSource', async () => {
  const page = await browser.open(allowed);
  const [state, history, status] = await Promise.all(
    POLLED.map((path) => page.evaluate<object>(asked(path))),
  );
  assert.ok(state !== undefined && 'components' in state);
  assert.ok(Array.isArray(history) && history.length === 5);
  assert.ok(status !== undefined && 'buses' in status);
  for (const script of [STREAMED, SENT_EVENTS]) {
    const samples = await page.evaluate<number>(script);
    assert.ok(samples > 0, `${samples} samples by ${script}`);
  }
  assert.deepEqual(browser.faults, []);
});

test('another page is given nothing, by none of these ways', async () => {
  const page = await browser.open(stranger);
  for (const script of [...POLLED.map(asked), STREAMED, SENT_EVENTS]) {
    assert.equal(await page.evaluate(script), 'refused', script);
  }
  assert.deepEqual(browser.faults, []);
  const { api } = await service.status();
  assert.ok(api.refused.origin > 0, JSON.stringify(api.refused));
});
