import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { collectGarbage } from './garbage.ts';
import { GARBAGE_BYTES_MAX } from './limits.ts';

test('what was decompressed and thrown away never comes to much more than the limit', () => {
  const plane = zstdCompressSync(new Uint8Array(8192).map((_, at) => (at * at) >> 7));
  const external = () => getHeapStatistics().external_memory;
  const beganWith = external();
  let most = 0;
  for (let count = 0; count < 5000; count++) {
    zstdDecompressSync(plane, { maxOutputLength: 8192, chunkSize: 8192 });
    collectGarbage();
    most = Math.max(most, external() - beganWith);
  }
  // What is collected is given back in the background, and without it 32 MiB and more lie about.
  assert.ok(most < 4 * GARBAGE_BYTES_MAX, `${most} bytes`);
});
