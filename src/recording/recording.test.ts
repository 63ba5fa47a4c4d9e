import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { channelNames } from '../bus/log/candump-format.ts';
import { LogDriver } from '../bus/log/log-driver.ts';
import { recordingFileName, recordingFileNumber } from '../bus/log/recording-file.ts';
import { FrameRing } from './frame-ring.ts';
import { Recorder } from './recorder.ts';
import { RecordingFiles } from './recording-files.ts';
import type { RecordingFormat } from './recording-messages.ts';
import { RecordingWriter } from './recording-writer.ts';

/** 2026-11-24T03:46:47Z. */
const FIRST_US = 1_795_492_007_000_000;

interface Frame {
  readonly timestampUs: number;
  readonly canId: number;
  readonly flags: number;
  readonly payloadBytes: number;
  readonly payload: string;
}

function framesOf(batch: FrameBatch): Frame[] {
  return Array.from({ length: batch.count }, (_, index) => ({
    timestampUs: batch.timestampUs[index]!,
    canId: batch.canId[index]!,
    flags: batch.flags[index]!,
    payloadBytes: batch.payloadBytes[index]!,
    payload: Buffer.from(batch.payloadOf(index)).toString('hex'),
  }));
}

/** What the driver replays of a file or a folder. */
function replayed(path: string): Frame[] {
  const driver = new LogDriver({
    kind: 'candump',
    path,
    speed: 'max',
    loop: false,
    time: 'log',
    wait: () => {},
    nowUs: () => 0,
  });
  driver.open();
  const frames: Frame[] = [];
  for (let isEnded = false; !isEnded; ) {
    const batch = FrameBatch.allocate(1000);
    isEnded = driver.read(batch) === 'ended';
    frames.push(...framesOf(batch));
  }
  driver.close();
  return frames;
}

const FORMAT: Omit<RecordingFormat, 'path'> = {
  maxFileBytes: 64 * 1024 * 1024,
  maxFileAgeMs: 3_600_000,
  maxBytes: null,
  compress: 'zstd',
};

function record(path: string, batches: readonly FrameBatch[], options: Partial<RecordingFormat> = {}) {
  const ring = FrameRing.allocate(1024 * 1024);
  const writer = new RecordingWriter({ ...FORMAT, path, channels: ['can0', 'can1'], ...options });
  for (const [index, batch] of batches.entries()) {
    assert.equal(ring.append(batch, index % 2), batch.count);
    writer.drain(ring);
  }
  writer.close();
  return writer.progress;
}

const { EXTENDED, REMOTE, ERROR, FD, BRS, ESI } = FRAME_FLAG;
const standardId = fc.integer({ min: 0, max: 0x7ff });
const extendedId = fc.integer({ min: 0, max: 0x1fff_ffff });
const identity = fc.oneof(
  fc.tuple(standardId, fc.constant(0)),
  fc.tuple(extendedId, fc.constant(EXTENDED as number)),
);
const classicPayload = fc.uint8Array({ maxLength: 8 });
const fdPayload = fc
  .constantFrom(0, 1, 7, 8, 12, 16, 20, 24, 32, 48, 64)
  .chain((bytes) => fc.uint8Array({ minLength: bytes, maxLength: bytes }));
const fdFlags = fc.constantFrom(FD, FD | BRS, FD | ESI, FD | BRS | ESI);
const timestamp = fc.oneof(
  fc.integer({ min: FIRST_US, max: FIRST_US + 10_000_000 }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
);
const anyFrame = fc.oneof(
  fc.record({ at: timestamp, id: identity, flags: fc.constant(0), payload: classicPayload }),
  fc.record({ at: timestamp, id: identity, flags: fc.constant(REMOTE as number), payload: classicPayload }),
  fc.record({ at: timestamp, id: identity, flags: fdFlags, payload: fdPayload }),
  fc.record({
    at: timestamp,
    id: fc.tuple(extendedId, fc.constant(ERROR as number)),
    flags: fc.constant(0),
    payload: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  }),
);

test('frames of every kind come back from a recording as they were', (context) => {
  const directory = temporaryDirectory(context);
  let runs = 0;
  const batches = fc.array(fc.array(anyFrame, { minLength: 1, maxLength: 50 }), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(batches, fc.constantFrom('zstd' as const, 'none' as const), (all, compress) => {
      const written = all.map((frames) => {
        const batch = FrameBatch.allocate(frames.length);
        for (const { at, id, flags, payload } of frames) batch.push(at, id[0], id[1] | flags, payload);
        return batch;
      });
      const path = join(directory, String(runs++));
      const { frames, files } = record(path, written, { compress });
      assert.equal(files, 1);
      const expected = written.flatMap(framesOf);
      assert.equal(frames, expected.length);
      assert.deepEqual(replayed(path), expected);
    }),
    { numRuns: 60 },
  );
});

describe('the ring', () => {
  test('gives what it was given, in order, however often it wraps', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.array(fdPayload, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 10 })),
          {
            maxLength: 60,
          },
        ),
        (steps) => {
          const ring = FrameRing.allocate(1024);
          const expected: string[] = [];
          const seen: string[] = [];
          let number = 0;
          const readSome = (framesMax: number) =>
            ring.read(framesMax, (bus, timestampUs, canId, flags, payload, at, bytes) => {
              const text = Buffer.from(payload.slice(at, at + bytes)).toString('hex');
              seen.push([bus, timestampUs, canId, flags, text].join(' '));
            });
          for (const [payloads, reads] of steps) {
            const batch = FrameBatch.allocate(payloads.length);
            for (const payload of payloads) batch.push(FIRST_US + number++, number % 0x800, FD, payload);
            const taken = ring.append(batch, 3);
            for (const frame of framesOf(batch).slice(0, taken)) {
              expected.push([3, frame.timestampUs, frame.canId, FD, frame.payload].join(' '));
            }
            assert.ok(ring.usedBytes <= ring.capacityBytes);
            readSome(reads);
          }
          readSome(Number.POSITIVE_INFINITY);
          assert.equal(ring.usedBytes, 0);
          assert.deepEqual(seen, expected);
        },
      ),
    );
  });

  test('takes what there is room for and says how much', () => {
    const ring = FrameRing.allocate(1024);
    const batch = FrameBatch.allocate(100);
    for (let frame = 0; frame < 100; frame++) batch.push(FIRST_US, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal(ring.append(batch, 0), 42);
    assert.equal(ring.append(batch, 0), 0);
    assert.equal(
      ring.read(10, () => {}),
      10,
    );
    assert.equal(ring.append(batch, 0), 10);
  });
});

test('channels are the names of the buses, short enough for an interface, and each once', () => {
  assert.deepEqual(channelNames(['can0', 'a-name-that-is-too-long', 'a-name-that-is-too-short', 'can1']), [
    'can0',
    'a-name-that-is-',
    'a-name-that-i-2',
    'can1',
  ]);
});

test("a file's name has the time of its first frame and its number", () => {
  const name = recordingFileName(FIRST_US + 999_999, 42, true);
  assert.equal(name, '20261124T034647Z-000042.log.zst');
  assert.equal(recordingFileNumber(name), 42);
  assert.equal(recordingFileNumber(recordingFileName(0, 1_234_567, false)), 1_234_567);
  assert.equal(recordingFileNumber('candump-2026-11-24_034647.log'), null);
});

describe('the files', () => {
  const KIB = new Uint8Array(1024);

  function open(path: string, options: Partial<ConstructorParameters<typeof RecordingFiles>[0]> = {}) {
    return new RecordingFiles({ ...FORMAT, compress: 'none', path, ...options });
  }

  function bytesIn(path: string): number {
    return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
  }

  test('stay within their bound, to the byte, and the oldest go first', (context) => {
    const path = temporaryDirectory(context);
    const deleted: string[] = [];
    const files = open(path, {
      maxFileBytes: 4096,
      maxBytes: 16_384,
      onDeleted: (name) => deleted.push(name),
    });
    for (let step = 0; step < 100; step++) {
      files.append(KIB, FIRST_US + step * 1_000_000);
      assert.ok(bytesIn(path) <= 16_384);
      assert.equal(files.bytes, bytesIn(path));
      if (step >= 16) assert.ok(bytesIn(path) > 16_384 - 4096);
    }
    files.finish();
    const left = readdirSync(path).toSorted();
    assert.deepEqual(left.map(recordingFileNumber), [22, 23, 24, 25]);
    assert.deepEqual(
      deleted.map(recordingFileNumber),
      Array.from({ length: 21 }, (_, index) => index + 1),
    );
    assert.equal(files.filesDeleted, 21);
    assert.equal(files.bytesDeleted, 21 * 4096);
  });

  test('of earlier runs count, whatever the clock says now', (context) => {
    const path = temporaryDirectory(context);
    const first = open(path);
    first.append(KIB, FIRST_US);
    first.finish();
    const other = join(path, 'notes.txt');
    writeFileSync(other, KIB);
    // A clock that has begun in 1970 again.
    const second = open(path, { maxBytes: 2048 });
    second.append(KIB, 5_000_000);
    second.finish();
    second.append(KIB, 6_000_000);
    second.finish();
    assert.deepEqual(readdirSync(path).toSorted(), [
      '19700101T000005Z-000002.log',
      '19700101T000006Z-000003.log',
      'notes.txt',
    ]);
  });

  test('are never written over', (context) => {
    const path = temporaryDirectory(context);
    const name = recordingFileName(FIRST_US, 1, false);
    const files = open(path);
    files.append(KIB, FIRST_US);
    files.finish();
    assert.deepEqual(readFileSync(join(path, name)), Buffer.from(KIB));
    const others = open(path);
    others.append(KIB, FIRST_US);
    others.finish();
    assert.deepEqual(readdirSync(path).toSorted(), [name, recordingFileName(FIRST_US, 2, false)]);
  });

  test('are ended by their age', (context) => {
    const path = temporaryDirectory(context);
    let nowMs = 0;
    const files = open(path, { maxFileAgeMs: 1000, monotonicMs: () => nowMs });
    files.append(KIB, FIRST_US);
    nowMs = 999;
    files.finishIfOld();
    assert.notEqual(files.file, null);
    nowMs = 1000;
    files.finishIfOld();
    assert.equal(files.file, null);
    files.append(KIB, FIRST_US);
    assert.equal(files.files, 2);
    files.finish();
  });
});

test('a folder that cannot be written to pauses the recording, and counts', (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'recording');
  writeFileSync(path, 'a file where the folder should be');
  let nowMs = 0;
  const ring = FrameRing.allocate(1024 * 1024);
  const writer = new RecordingWriter({ ...FORMAT, path, channels: ['can0'], monotonicMs: () => nowMs });
  const batch = FrameBatch.allocate(1);
  batch.push(FIRST_US, 1, 0, [1]);
  const recordOne = () => {
    ring.append(batch, 0);
    writer.drain(ring);
    writer.sync();
    const { state, frames, framesRefused } = writer.progress;
    return [state, frames, framesRefused];
  };
  assert.deepEqual(recordOne(), ['paused', 0, 1]);
  assert.match(writer.progress.problem!.message, /ENOTDIR/);
  assert.deepEqual(recordOne(), ['paused', 0, 2]);
  nowMs = 4999;
  assert.deepEqual(recordOne(), ['paused', 0, 3]);
  nowMs = 5000;
  rmSync(path);
  assert.deepEqual(recordOne(), ['recording', 1, 3]);
  assert.equal(writer.progress.problem, null);
  writer.close();
  assert.equal(replayed(path).length, 1);
});

test('a folder that cannot be written to is told of before a frame comes, and when it can be', (context) => {
  const path = join(temporaryDirectory(context), 'recording');
  writeFileSync(path, 'a file where the folder should be');
  let nowMs = 0;
  const writer = new RecordingWriter({ ...FORMAT, path, channels: ['can0'], monotonicMs: () => nowMs });
  writer.open();
  assert.equal(writer.progress.state, 'paused');
  assert.match(
    writer.progress.problem!.message,
    /folder \S+recording can't be written to: ENOTDIR.*A file is where a folder is to be/,
  );
  rmSync(path);
  writer.sync();
  assert.equal(writer.progress.state, 'paused');
  nowMs = 5000;
  writer.sync();
  assert.deepEqual([writer.progress.state, writer.progress.problem], ['recording', null]);
});

test('a folder that another recorder writes to is left to it, and taken over when it is free', {
  skip: process.platform !== 'linux' && 'there are no locks of folders here',
}, (context) => {
  const path = join(temporaryDirectory(context), 'recording');
  let nowMs = 0;
  const ring = FrameRing.allocate(1024 * 1024);
  const writers = [1, 2].map(
    () => new RecordingWriter({ ...FORMAT, path, channels: ['can0'], monotonicMs: () => nowMs }),
  );
  const [first, second] = writers as [RecordingWriter, RecordingWriter];
  for (const writer of writers) writer.open();
  const recordOne = (writer: RecordingWriter, number: number) => {
    const batch = FrameBatch.allocate(1);
    batch.push(FIRST_US + number, number, 0, [number]);
    ring.append(batch, 0);
    writer.drain(ring);
    writer.sync();
  };
  recordOne(first, 1);
  recordOne(second, 2);
  assert.deepEqual([first.progress.frames, first.progress.framesRefused], [1, 0]);
  assert.equal(second.progress.problem?.code, 'RECORDING_IN_USE');
  assert.match(
    second.progress.problem.message,
    /Another telemetry-collector records to \S+recording\. Stop it/,
  );
  nowMs = 5000;
  recordOne(second, 3);
  assert.deepEqual([second.progress.frames, second.progress.framesRefused], [0, 2]);
  first.close();
  nowMs = 10_000;
  recordOne(second, 4);
  assert.deepEqual([second.progress.state, second.progress.frames], ['recording', 1]);
  second.close();
  assert.deepEqual(
    replayed(path).map(({ canId }) => canId),
    [1, 4],
  );
});

test('what an earlier run has recorded is known before a frame comes', (context) => {
  const path = join(temporaryDirectory(context), 'recording');
  const batch = FrameBatch.allocate(1);
  batch.push(FIRST_US, 1, 0, [1]);
  const { bytes } = record(path, [batch]);
  const writer = new RecordingWriter({ ...FORMAT, path, channels: ['can0'] });
  writer.open();
  assert.deepEqual([writer.progress.files, writer.progress.bytes], [1, bytes]);
});

test('a file that is deleted while it is written to costs what was not synced, and another is begun', (context) => {
  const path = join(temporaryDirectory(context), 'recording');
  const vanished: [string, number][] = [];
  const ring = FrameRing.allocate(1024 * 1024);
  const writer = new RecordingWriter({
    ...FORMAT,
    path,
    channels: ['can0'],
    onVanished: (file, frames) => vanished.push([file, frames]),
  });
  const recordOne = (number: number) => {
    const batch = FrameBatch.allocate(1);
    batch.push(FIRST_US + number, number, 0, [number]);
    ring.append(batch, 0);
    writer.drain(ring);
  };
  recordOne(1);
  writer.sync();
  const [first] = readdirSync(path);
  rmSync(path, { recursive: true });
  recordOne(2);
  writer.sync();
  assert.deepEqual(vanished, [[first, 1]]);
  recordOne(3);
  writer.close();
  const { state, frames, framesRefused, files, bytes } = writer.progress;
  assert.deepEqual([state, frames, framesRefused, files], ['recording', 2, 1, 1]);
  const [second] = readdirSync(path);
  assert.match(second!, /-000002\.log\.zst$/);
  assert.equal(bytes, statSync(join(path, second!)).size);
  assert.deepEqual(
    replayed(path).map(({ canId }) => canId),
    [3],
  );
});

test('frames that come faster than they can be written are counted, each once', async (context) => {
  const path = join(temporaryDirectory(context), 'recording');
  const recorder = new Recorder({ ...FORMAT, path, busNames: ['can0'], log: pino({ enabled: false }) });
  recorder.start();
  const batch = FrameBatch.allocate(4096);
  while (!batch.isFull) batch.push(FIRST_US + batch.count, 0x123, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
  const bytes = 4096 * 24;
  let given = 0;
  while (recorder.status().framesLost.queue === 0) {
    recorder.record(batch, 0);
    given += batch.count;
  }
  assert.ok(given * 24 >= recorder.status().queueBytesMax - bytes);
  // It tells when there is room again.
  await new Promise<void>((resolve) => recorder.whenRoom(resolve));
  assert.ok(recorder.hasRoom);
  recorder.record(batch, 0);
  given += batch.count;
  await recorder.stop();
  const { state, frames, framesLost } = recorder.status();
  assert.deepEqual([state, framesLost.write, framesLost.failed], ['stopped', 0, 0]);
  assert.equal(frames + framesLost.queue, given);
  assert.equal(replayed(path).length, frames);
});
