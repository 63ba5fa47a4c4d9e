import { parentPort, workerData } from 'node:worker_threads';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { RECORDING_QUEUE_BUSY_BYTES, RECORDING_SYNC_MS } from '../shared/limits.ts';
import { FrameRing } from './frame-ring.ts';
import type { FromRecorder, RecorderThreadData } from './recording-messages.ts';
import { RecordingWriter } from './recording-writer.ts';

/**
 * The thread of the recorder: one plain loop that sleeps until it is time to write, or until the main thread says
 * that the ring fills or that it is to end. It alone waits for the recording's disk.
 */
function run({ shared, ...options }: RecorderThreadData): void {
  const ring = new FrameRing(shared);
  const writer = new RecordingWriter({
    ...options,
    onDeleted: (file, bytes) => post({ kind: 'deleted', file, bytes }),
    onUndeletable: (file, error) => {
      post({ kind: 'undeletable', file, problem: { code: errorCode(error), message: errorMessage(error) } });
    },
    onVanished: (file, frames) => post({ kind: 'vanished', file, frames }),
  });
  let told = '';
  const tell = () => {
    const { progress } = writer;
    const text = JSON.stringify(progress);
    if (text !== told) post({ kind: 'progress', progress });
    told = text;
  };
  writer.open();
  tell();
  let syncAtMs = performance.now() + RECORDING_SYNC_MS;
  for (;;) {
    const { wakeCount, isStopping } = ring;
    const isTime = performance.now() >= syncAtMs;
    // A wish of the main thread's alone is no reason to write little at a time.
    if (isStopping || isTime || ring.usedBytes >= RECORDING_QUEUE_BUSY_BYTES) writer.drain(ring);
    if (ring.isRoomWanted && ring.usedBytes < RECORDING_QUEUE_BUSY_BYTES) {
      ring.isRoomWanted = false;
      post({ kind: 'room' });
    }
    if (isStopping) writer.close();
    else if (isTime) writer.sync();
    if (isTime || isStopping) {
      syncAtMs = performance.now() + RECORDING_SYNC_MS;
      tell();
    }
    if (isStopping) return;
    ring.waitForWake(wakeCount, Math.max(0, syncAtMs - performance.now()));
  }
}

function post(message: FromRecorder): void {
  parentPort!.postMessage(message);
}

run(workerData as RecorderThreadData);
