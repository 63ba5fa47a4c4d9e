import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'vite';
import { CHECKOUT } from './support/service.ts';

test('the client compiles with what Node 18 and browsers have: ES2022, the DOM, and nothing of Node', () => {
  // Types come from the API's sources, which need Node 24: what the compiler says of those is no matter of this.
  const { stdout } = spawnSync(
    process.execPath,
    [join(CHECKOUT, 'node_modules/@typescript/native/bin/tsc'), '-p', join(CHECKOUT, 'src/client')],
    { cwd: CHECKOUT, encoding: 'utf8' },
  );
  const lines = stdout.split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('src/client/')),
    [],
  );
  assert.deepEqual(
    lines.filter((line) => /cannot find|TS2307|TS5\d{3}|TS18003/i.test(line)),
    [],
  );
});

test('Vite makes one file of the client, which imports nothing', async () => {
  const results = await build({
    configFile: false,
    root: CHECKOUT,
    logLevel: 'error',
    build: {
      write: false,
      minify: true,
      lib: { entry: join(CHECKOUT, 'src/client/index.ts'), formats: ['es'], fileName: 'client' },
    },
  });
  const [result] = Array.isArray(results) ? results : [results];
  assert.ok(result !== undefined && 'output' in result);
  const [chunk, ...more] = result.output;
  assert.deepEqual(more, []);
  assert.deepEqual([chunk.imports, chunk.dynamicImports], [[], []]);
  assert.ok(chunk.exports.includes('CollectorClient'));
  assert.doesNotMatch(chunk.code, /\bnode:|\bBuffer\b|\bprocess\b|\brequire\b/);
});
