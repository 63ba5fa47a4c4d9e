import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fuzzFrames } from './frames.ts';
import { fuzzLines } from './lines.ts';

/**
 * npm run fuzz: ten million random frames and as many lines of logs, without a crash, a leak or a loss that nobody
 * counted. `npm run fuzz -- COUNT SEED` does fewer, or others.
 */

const count = Number(process.argv[2] ?? 10_000_000);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('Usage: npm run fuzz -- [COUNT] [SEED], whole numbers, COUNT at least 1\n');
  process.exit(2);
}
/** What may be held more after all of it than after half, when there are as many series and ids as there may be. */
const GROWTH_MAX_BYTES = 8 * 1024 * 1024;
/** Fewer don't come to that by half. */
const COUNT_JUDGED_MIN = 5_000_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** Looks at the memory after half and at the end; throws if it has grown. */
function watchingMemory<T>(what: string, run: (onProgress: (done: number) => void) => T): T {
  const startedMs = performance.now();
  let early: number | null = null;
  let last = 0;
  const result = run((done) => {
    if (done < count / 2 || (early !== null && done < count * 0.99)) return;
    last = heldBytes();
    early ??= last;
  });
  const grownBytes = last - (early ?? last);
  const seconds = (performance.now() - startedMs) / 1000;
  const grown = (grownBytes / 1024 / 1024).toFixed(1);
  process.stdout.write(
    `${what}: ${JSON.stringify(result)} in ${seconds.toFixed(0)} s, memory grown by ${grown} MiB\n`,
  );
  if (count >= COUNT_JUDGED_MIN && grownBytes > GROWTH_MAX_BYTES)
    throw new Error(`${what} leak: ${grownBytes} bytes`);
  return result;
}

process.stdout.write(`seed ${seed}\n`);
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
try {
  watchingMemory('frames', (onProgress) => fuzzFrames(count, seed, join(folder, 'fuzz.db'), onProgress));
  watchingMemory('lines', (onProgress) => fuzzLines(count, seed, onProgress));
} finally {
  rmSync(folder, { recursive: true });
}
