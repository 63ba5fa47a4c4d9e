import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CHECKOUT, eventually, startService } from './support/service.ts';

/** npm as it runs under the Node of this test. */
const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;

const CLIENT_PROGRAM = `
import { CollectorClient, type SampleReply } from 'telemetry-collector/client';
declare const process: { argv: string[] };
const client = new CollectorClient({ url: process.argv[2]! });
const { simulated } = await client.state();
const [sample]: SampleReply[] = (await client.historyPage({ limit: 1 })).samples;
// @ts-expect-error: not any
sample.sequence;
console.log(simulated, sample!.seq);
`;

test('the packed package runs by its command and gives other programs its classes', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'package-'));
  context.after(() => rmSync(folder, { recursive: true }));
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: CHECKOUT,
    env: { ...process.env, PATH },
  });
  execFileSync('sh', ['-c', 'tar -xzf *.tgz'], { cwd: folder });
  const unpacked = join(folder, 'package');
  symlinkSync(join(CHECKOUT, 'node_modules'), join(unpacked, 'node_modules'));

  const program = join(unpacked, 'program.mjs');
  writeFileSync(
    program,
    "import * as all from 'telemetry-collector'; console.log(Object.keys(all).join(' '));",
  );
  const names = execFileSync(process.execPath, [program], { encoding: 'utf8' });
  for (const name of ['CanInterface', 'PersistentTelemetryStore', 'ProtocolRegistry', 'TelemetryStore']) {
    assert.match(names, new RegExp(`\\b${name}\\b`));
  }

  const service = await startService({
    command: [process.execPath, join(unpacked, 'dist/cli/main.js')],
    args: ['--db', join(folder, 'collector.db'), '--port', '0'],
  });
  await eventually(service.history, (samples) => samples.length > 0);
  assert.match(await (await fetch(service.url)).text(), /<title>telemetry-collector<\/title>/);
  for (const path of ['/openapi.json', '/docs', '/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css']) {
    assert.equal((await fetch(`${service.url}${path}`)).status, 200, path);
  }

  // The client is for other machines and for browsers, too: it brings along nothing.
  for (const file of globSync('dist/client/*.js', { cwd: unpacked })) {
    const code = readFileSync(join(unpacked, file), 'utf8');
    for (const [, target] of code.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      assert.match(target!, /^\.\/[a-z-]+\.js$/, `${file} imports ${target}`);
    }
  }
  const client = join(unpacked, 'client.mts');
  writeFileSync(client, CLIENT_PROGRAM);
  const seen = execFileSync(process.execPath, [client, service.url], { encoding: 'utf8' });
  assert.match(seen, /^true \d+\n$/);
  // Its types are complete, also where there is nothing of Node and types are taken seriously.
  const flags = ['--lib', 'es2022,dom,dom.asynciterable', '--types', '', '--strict', '--noEmit'];
  const compiler = join(CHECKOUT, 'node_modules/@typescript/native/bin/tsc');
  const nodeFree = ['--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022', ...flags];
  const compiled = spawnSync(process.execPath, [compiler, ...nodeFree, 'client.mts'], {
    cwd: unpacked,
    encoding: 'utf8',
  });
  assert.equal(compiled.stdout, '');

  assert.equal((await service.stop()).code, 0);
});
