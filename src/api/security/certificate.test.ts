import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { selfSigned, type TestCertificate } from '../../../test/support/certificate.ts';
import { securedServer } from '../../../test/support/secured-server.ts';
import { servePipeline } from '../../../test/support/served-pipeline.ts';
import { eventually } from '../../../test/support/service.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';

const served = await servePipeline({ after }, '');

const FIRST = selfSigned('first');
const SECOND = selfSigned('second');

async function serve(t: TestContext, certificate = FIRST) {
  const folder = temporaryDirectory(t);
  const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const write = ({ cert, key }: TestCertificate) => {
    writeFileSync(paths.cert, cert);
    writeFileSync(paths.key, key);
  };
  write(certificate);
  const server = securedServer(t, served.sources, {
    config: { tlsCertPath: paths.cert, tlsKeyPath: paths.key },
    limits: { headTimeoutMs: 500, timeoutCheckMs: 50 },
  });
  const url = await server.listen();
  return { ...server, url, paths, write };
}

async function handshake(url: string, ca: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ca });
  await once(socket, 'secureConnect');
  return socket;
}

/** Whom the server says to be. */
async function nameOf(url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

async function bodyOf(url: string, ca: string): Promise<string> {
  const [response] = await once(get(url, { ca, agent: false }), 'response');
  return await text(response);
}

test('with a certificate the API is served by HTTPS, and tells until when it is good', async (t) => {
  const { url, security } = await serve(t);
  assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(await bodyOf(`${url}/healthz`, FIRST.cert), '{"status":"ok"}');
  const { tls, sockets } = security.status();
  assert.ok(tls!.expires > Date.now() / 1000);
  assert.ok(sockets.used <= 1);
});

test('a new certificate is taken without a restart, and connections that are open go on', async (t) => {
  const { url, write } = await serve(t);
  const open = await handshake(url, FIRST.cert);
  const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n';
  open.write(`${request}\r\n`);
  assert.match(String((await once(open, 'data'))[0]), /^HTTP\/1\.1 200/);
  write(SECOND);
  await eventually(
    () => nameOf(url),
    (name) => name === 'second',
  );
  open.write(`${request}Connection: close\r\n\r\n`);
  assert.match(await text(open), /HTTP\/1\.1 200/);
});

test('a pair that cannot be used changes nothing and is told, until it is mended', async (t) => {
  const { url, paths, security, write } = await serve(t);
  // As when a renewal has written one file and not yet the other.
  writeFileSync(paths.cert, SECOND.cert);
  const problem = await eventually(
    async () => security.status().problem,
    (told) => told !== null,
  );
  assert.equal(problem?.code, 'TLS_INVALID');
  assert.equal(await nameOf(url), 'first');
  write(SECOND);
  await eventually(
    async () => security.status().problem,
    (told) => told === null,
  );
  assert.equal(await nameOf(url), 'second');
});

test('files that cannot be used at the start are an error that says what was expected', (t) => {
  const folder = temporaryDirectory(t);
  const path = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const cert = path('cert.pem', FIRST.cert);
  const cases: [cert: string, key: string, message: RegExp][] = [
    [
      cert,
      path('other.pem', SECOND.key),
      /expected a certificate in \S+cert\.pem and its key in \S+other\.pem.*mismatch/,
    ],
    [path('notes', 'notes'), path('key.pem', FIRST.key), /expected a certificate in \S+notes/],
    [cert, join(folder, 'missing.pem'), /ENOENT.*missing\.pem/],
  ];
  for (const [tlsCertPath, tlsKeyPath, message] of cases) {
    assert.throws(() => securedServer(t, served.sources, { config: { tlsCertPath, tlsKeyPath } }), {
      code: 'TLS_INVALID',
      message,
    });
  }
});

test('who speaks no TLS, or does not get to its end, is cut off and counted', async (t) => {
  const { url, security } = await serve(t);
  const { port } = new URL(url);
  const plain = connectPlain({ host: '127.0.0.1', port: Number(port) });
  plain.write('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  await eventually(
    async () => security.status().refused.malformed,
    (count) => count === 1,
  );
  const silent = connectPlain({ host: '127.0.0.1', port: Number(port) });
  silent.resume();
  await once(silent, 'close');
  await eventually(
    async () => security.status().sockets.used,
    (used) => used === 0,
  );
});
