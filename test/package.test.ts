import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CHECKOUT, eventually, startService } from './support/service.ts';

/** npm as it runs under the Node of this test. */
const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;

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
  assert.equal((await service.stop()).code, 0);
});
