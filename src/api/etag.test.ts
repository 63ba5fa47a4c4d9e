import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { decoded, rawRequest } from '../../test/support/raw-request.ts';
import { logLine, servePipeline } from '../../test/support/served-pipeline.ts';
import { etagOf, isKnown } from './etag.ts';

const FIRST_US = 1_764_000_000_000_000;
const served = await servePipeline({ after }, logLine(FIRST_US, 2, '48 00 00 01 40 00 04 B0'));

test('a body is named by its content', () => {
  assert.equal(etagOf('abc'), etagOf(Buffer.from('abc')));
  assert.notEqual(etagOf('abc'), etagOf('abd'));
  assert.match(etagOf(''), /^W\/"[\w-]{22}"$/);
});

describe('If-None-Match', () => {
  const cases: readonly [ifNoneMatch: string | undefined, isKnown: boolean][] = [
    [undefined, false],
    ['', false],
    ['W/"abc"', true],
    ['"abc"', true],
    ['*', true],
    [' * ', true],
    ['"x", W/"abc", "y"', true],
    ['"x","abc"', true],
    ['abc', false],
    ['"ab"', false],
    ['"abcd"', false],
    ['"ABC"', false],
    ['"x", "y"', false],
    ['"abc', false],
  ];
  for (const [ifNoneMatch, known] of cases) {
    test(`${JSON.stringify(ifNoneMatch)} ${known ? 'names' : "doesn't name"} W/"abc"`, () => {
      assert.equal(isKnown(ifNoneMatch, 'W/"abc"'), known);
    });
  }
});

describe('what rarely changes', () => {
  const paths = [
    '/',
    '/api/gaps',
    '/api/protocol',
    '/api/protocol/MOTORS',
    '/docs',
    '/docs/docs.js',
    '/docs/swagger-ui.css',
    '/docs/swagger-ui-bundle.js',
    '/openapi.json',
  ];
  for (const path of paths) {
    test(`is sent once, and then told to be the same: ${path}`, async () => {
      const url = `${served.url}${path}`;
      const first = await rawRequest(url);
      const etag = first.headers.etag!;
      assert.equal(etag, etagOf(first.body));
      assert.equal(first.headers['cache-control'], 'no-cache');

      const again = await rawRequest(url, { headers: { 'if-none-match': etag } });
      assert.deepEqual([again.status, again.body.length], [304, 0]);
      assert.equal(again.headers.etag, etag);
      assert.equal(again.headers['content-type'], first.headers['content-type']);
      assert.equal(again.headers.vary, first.headers.vary);
      assert.equal(again.headers['content-encoding'], undefined);

      const other = await rawRequest(url, { headers: { 'if-none-match': '"other"' } });
      assert.equal(other.status, 200);
      assert.deepEqual(other.body, first.body);
    });

    test(`has one name, compressed or not: ${path}`, async () => {
      const url = `${served.url}${path}`;
      const plain = await rawRequest(url);
      const compressed = await rawRequest(url, { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(compressed.headers.etag, plain.headers.etag);
      assert.deepEqual(decoded(compressed), plain.body);
      const { status } = await rawRequest(url, {
        headers: { 'accept-encoding': 'gzip', 'if-none-match': plain.headers.etag! },
      });
      assert.equal(status, 304);
    });
  }

  test('is sent again when it has changed', async () => {
    const url = `${served.url}/api/gaps`;
    const { etag } = (await rawRequest(url)).headers;
    served.pipeline.history.gap({
      bus: 'can9',
      cause: 'bus_down',
      fromUs: FIRST_US,
      toUs: FIRST_US + 1_000_000,
      count: null,
    });
    await served.pipeline.history.flush();
    const changed = await rawRequest(url, { headers: { 'if-none-match': etag! } });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.etag, etag);
    assert.match(changed.body.toString(), /can9/);
  });
});

test('what changes all the time has no name, so that nothing is spent on one', async () => {
  for (const path of ['/api/state/current', '/api/state/history', '/api/status', '/healthz']) {
    const { headers } = await rawRequest(`${served.url}${path}`);
    assert.deepEqual([headers.etag, headers['cache-control']], [undefined, 'no-store'], path);
  }
});
