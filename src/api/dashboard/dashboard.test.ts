import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openSecurity } from '../../../test/support/secured-server.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { createInstance } from '../instance.ts';
import { dashboardRoutes } from './dashboard.ts';

const SCRIPT = `console.log(${JSON.stringify('x'.repeat(2000))});`;

const folder = temporaryDirectory({ after });
mkdirSync(join(folder, 'assets'));
writeFileSync(join(folder, 'index.html'), '<title>telemetry-collector</title>');
writeFileSync(join(folder, 'sw.js'), '// worker');
writeFileSync(join(folder, 'sources.sha256'), 'abc');
writeFileSync(join(folder, 'assets/app-1a2b.js'), SCRIPT);
writeFileSync(join(folder, 'assets/app-1a2b.js.gz'), gzipSync(SCRIPT));

const instance = createInstance(openSecurity({ after }));
dashboardRoutes(instance, folder);

describe('a dashboard that is built', () => {
  test('is the page at /, which runs its own scripts alone, and is asked for again each time', async () => {
    const { statusCode, headers, body } = await instance.inject('/');
    assert.equal(statusCode, 200);
    assert.match(body, /<title>telemetry-collector<\/title>/);
    assert.equal(headers['cache-control'], 'no-cache');
    assert.match(String(headers['content-type']), /^text\/html/);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none';.* script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe/);
  });

  test('has files with a hash in their name, which are kept for ever, and sent compressed', async () => {
    const request = { url: '/assets/app-1a2b.js', headers: { 'accept-encoding': 'gzip' } };
    const { headers, rawPayload } = await instance.inject(request);
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(headers['content-encoding'], 'gzip');
    assert.match(String(headers['content-type']), /javascript/);
    assert.ok(rawPayload.length < SCRIPT.length);
    assert.equal((await instance.inject('/assets/app-1a2b.js')).body, SCRIPT);
  });

  test('has a service worker that is never older than the page', async () => {
    const { headers } = await instance.inject('/sw.js');
    assert.equal(headers['cache-control'], 'no-cache');
    // By the answer's policy it may ask for what it keeps.
    assert.match(String(headers['content-security-policy']), /connect-src 'self'/);
  });

  test('is named by its content, so that another of the same size and time is not taken for it', async () => {
    const { etag } = (await instance.inject('/')).headers;
    const known = { url: '/', headers: { 'if-none-match': String(etag) } };
    assert.equal((await instance.inject(known)).statusCode, 304);
    const other = temporaryDirectory({ after });
    mkdirSync(join(other, 'assets'));
    writeFileSync(join(other, 'index.html'), '<title>telemetry-kollector</title>');
    const updated = createInstance(openSecurity({ after }));
    dashboardRoutes(updated, other);
    assert.equal((await updated.inject(known)).statusCode, 200);
  });

  for (const path of [
    '/sources.sha256',
    '/assets/app-1a2b.js.gz',
    '/assets/',
    '/assets/../index.html.gz',
    '/..%2f..%2fpackage.json',
  ]) {
    test(`gives nothing else: ${path}`, async () => {
      assert.ok((await instance.inject(path)).statusCode >= 400);
    });
  }
});

test('a checkout without one says how to have it', async () => {
  const bare = createInstance(openSecurity({ after }));
  dashboardRoutes(bare, join(folder, 'nowhere'));
  const { statusCode, body } = await bare.inject('/');
  assert.equal(statusCode, 503);
  assert.match(body, /npm ci --include=dev/);
});
