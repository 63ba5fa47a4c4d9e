import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GARBAGE_BYTES_MAX } from './limits.ts';

/** V8 hands its collector out to those contexts alone that are made with this flag. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let keptBytes = externalBytes();

/**
 * Has this thread's buffers collected that nobody holds any more, when its buffers have grown by GARBAGE_BYTES_MAX since
 * the last time. V8 itself lets them come to 32 MiB and more, as it looks at how full its own heap is, where a
 * buffer is some bytes. A small collection wouldn't do: what zstd decompressed is held until a whole one. For threads that
 * throw many buffers away and hold little, between two pieces of work: a look takes a microsecond.
 */
export function collectGarbage(): void {
  const bytes = externalBytes();
  if (bytes - keptBytes < GARBAGE_BYTES_MAX) {
    // V8 has collected by itself.
    keptBytes = Math.min(keptBytes, bytes);
    return;
  }
  collect();
  keptBytes = externalBytes();
}

function externalBytes(): number {
  return getHeapStatistics().external_memory;
}
