import assert from 'node:assert/strict';
import { once } from 'node:events';
import os from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

const isLinux = process.platform === 'linux';

test('one thread yields, the others stay as they are', { skip: !isLinux }, async () => {
  const before = os.getPriority();
  const program = `
    const { parentPort } = require('node:worker_threads');
    const { readlinkSync } = require('node:fs');
    import(${JSON.stringify(new URL('./thread-priority.ts', import.meta.url).href)}).then((module) => {
      module.yieldToOtherThreads();
      const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
      parentPort.postMessage(require('node:os').getPriority(threadId));
    });`;
  const worker = new Worker(program, { eval: true });
  const [priority] = await once(worker, 'message');
  assert.equal(priority, Math.min(before + 10, 19));
  assert.equal(os.getPriority(), before);
});
