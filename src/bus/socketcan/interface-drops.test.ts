import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { InterfaceDrops } from './interface-drops.ts';

test('what an interface loses is counted while it is read, over its returns', (t) => {
  const root = `${temporaryDirectory(t)}/`;
  const folder = join(root, 'sys/class/net/can0/statistics');
  const set = (over: number, fifo: number, missed: number, dropped: number) => {
    mkdirSync(folder, { recursive: true });
    const counters = { rx_over_errors: over, rx_fifo_errors: fifo, rx_missed_errors: missed };
    for (const [name, value] of Object.entries({ ...counters, rx_dropped: dropped })) {
      writeFileSync(join(folder, name), `${value}\n`);
    }
  };
  const drops = new InterfaceDrops('can0', root);
  assert.equal(drops.count(), 0);
  // Lost before it was read.
  set(100, 0, 0, 7);
  drops.begin();
  assert.equal(drops.count(), 0);
  set(101, 2, 3, 11);
  assert.equal(drops.count(), 10);
  assert.equal(drops.count(), 10);
  // Unplugged, and plugged in again.
  rmSync(folder, { recursive: true });
  assert.equal(drops.count(), 10);
  set(50, 0, 0, 0);
  drops.begin();
  set(51, 0, 0, 0);
  assert.equal(drops.count(), 11);
  // The same, without anybody having noticed.
  set(1, 0, 0, 0);
  assert.equal(drops.count(), 11);
  set(2, 0, 0, 0);
  assert.equal(drops.count(), 12);
  // What it loses at its end counts, and afterwards nothing.
  set(4, 0, 0, 0);
  drops.end();
  set(9, 0, 0, 0);
  assert.equal(drops.count(), 14);
});
