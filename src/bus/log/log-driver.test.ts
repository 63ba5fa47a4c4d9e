import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { candumpLog } from '../../../test/support/candump-log.ts';
import { BusError } from '../../shared/errors.ts';
import { BUS_WAIT_MAX_MS, FRAME_BATCH_AGE_MAX_MS } from '../../shared/limits.ts';
import { FrameBatch } from '../frame-batch.ts';
import { LogDriver, type LogDriverOptions } from './log-driver.ts';
import { ZstdFrames } from './zstd-frames.ts';

const folder = mkdtempSync(join(tmpdir(), 'log-driver-'));
after(() => rmSync(folder, { recursive: true }));

/** 2025-01-01, when the logs of these tests were recorded, and a year later, when they are replayed. */
const LOG_START_US = 1_735_689_600_000_000;
const NOW_US = 1_767_225_600_000_000;

let files = 0;
function logFile(text: string): string {
  const path = join(folder, `${++files}.log`);
  writeFileSync(path, text);
  return path;
}

/** A log of frames at these milliseconds after the log's start; the CAN ids count them. */
function logOf(...atMs: readonly number[]): string {
  const batch = FrameBatch.allocate(Math.max(1, atMs.length));
  for (const [index, ms] of atMs.entries()) {
    batch.push(LOG_START_US + ms * 1000, index % 0x800, 0, [index & 0xff, 1, 2, 3, 4, 5, 6, 7]);
  }
  return candumpLog(batch);
}

interface Replayed {
  readonly canId: number;
  readonly timestampUs: number;
  /** On the fake clock. */
  readonly atMs: number;
}

/** A driver on a clock that moves only while the driver waits. */
class Replay {
  readonly driver: LogDriver;
  readonly frames: Replayed[] = [];
  readonly waitsMs: number[] = [];
  nowMs = 0;
  isEnded = false;

  constructor(path: string, options: Partial<LogDriverOptions> = {}) {
    this.driver = new LogDriver({
      kind: 'candump',
      path,
      speed: 1,
      loop: false,
      time: 'now',
      wait: (timeoutMs) => {
        this.waitsMs.push(timeoutMs);
        this.nowMs += timeoutMs;
      },
      nowUs: () => NOW_US + Math.floor(this.nowMs) * 1000,
      monotonicMs: () => 77 + this.nowMs,
      ...options,
    });
    this.driver.open();
  }

  /** Reads until the log has ended or so many frames have come. */
  run(framesMax = Number.POSITIVE_INFINITY, capacity = 4096): this {
    for (let reads = 0; !this.isEnded && this.frames.length < framesMax; reads++) {
      assert.ok(reads < 100_000, 'the replay comes to an end');
      const batch = FrameBatch.allocate(capacity);
      this.isEnded = this.driver.read(batch) === 'ended';
      for (let index = 0; index < batch.count; index++) {
        const timestampUs = batch.timestampUs[index]!;
        this.frames.push({ canId: batch.canId[index]!, timestampUs, atMs: this.nowMs });
      }
    }
    return this;
  }

  get canIds(): number[] {
    return this.frames.map(({ canId }) => canId);
  }
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

describe('as fast as it goes', () => {
  test('every frame comes once, with the time of the log, without a wait', () => {
    // More than fits one chunk of the file.
    const log = logOf(...numbers(40_000));
    for (const capacity of [1000, 4096, 100_000]) {
      const replay = new Replay(logFile(log), { speed: 'max', time: 'log' }).run(undefined, capacity);
      assert.equal(replay.frames.length, 40_000);
      for (const [index, { canId, timestampUs }] of replay.frames.entries()) {
        assert.equal(canId, index % 0x800);
        assert.equal(timestampUs, LOG_START_US + index * 1000);
      }
      assert.deepEqual(replay.waitsMs, []);
      assert.equal(replay.driver.status().lines_read, 40_000);
      assert.equal(replay.driver.status().lines_broken, 0);
    }
  });

  test('or with the time of the replay', () => {
    const replay = new Replay(logFile(logOf(0, 1000)), { speed: 'max', time: 'now' }).run();
    assert.deepEqual(
      replay.frames.map(({ timestampUs }) => timestampUs),
      [NOW_US, NOW_US],
    );
  });

  test('round and round where it is to loop', () => {
    const replay = new Replay(logFile(logOf(0, 1, 2)), { speed: 'max', loop: true }).run(9);
    assert.deepEqual(replay.canIds, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert.equal(replay.driver.status().loops, 2);
  });

  test('an appended batch keeps what it holds', () => {
    const { driver } = new Replay(logFile(logOf(0, 1)), { speed: 'max' });
    const batch = FrameBatch.allocate(10);
    batch.push(1, 0x7ff, 0, []);
    driver.read(batch);
    assert.equal(batch.count, 3);
    assert.equal(batch.timestampUs[0], 1);
    assert.equal(batch.timestampUs[1], NOW_US);
  });
});

describe('at a pace', () => {
  /** How late a frame may be: the driver lets frames gather, and milliseconds are rounded up. */
  const LATE_MS_MAX = FRAME_BATCH_AGE_MAX_MS / 2 + 1;

  for (const speed of [1, 0.5, 10]) {
    test(`of ${speed} frames are due by their distance in the log, and bear the time of the replay`, () => {
      const atMs = [0, 0.4, 20, 25, 1000, 4000, 4000, 9000.123];
      const replay = new Replay(logFile(logOf(...atMs)), { speed }).run();
      assert.deepEqual(replay.canIds, numbers(atMs.length));
      for (const [index, frame] of replay.frames.entries()) {
        const dueMs = atMs[index]! / speed;
        assert.ok(frame.atMs >= dueMs && frame.atMs <= dueMs + LATE_MS_MAX, `${frame.atMs} for ${dueMs}`);
        assert.equal(frame.timestampUs, NOW_US + Math.round(dueMs * 1000));
      }
      assert.ok(replay.waitsMs.every((ms) => ms > 0 && ms <= BUS_WAIT_MAX_MS));
    });
  }

  test('frames keep the time of the log where that is wanted', () => {
    const replay = new Replay(logFile(logOf(0, 20)), { time: 'log' }).run();
    assert.deepEqual(
      replay.frames.map(({ timestampUs }) => timestampUs),
      [LOG_START_US, LOG_START_US + 20_000],
    );
  });

  test('every pass of a loop has the pace of the first', () => {
    // Three times what the driver reads ahead, so that a pass is read in parts.
    const count = 800;
    const replay = new Replay(logFile(logOf(...numbers(count).map((index) => index * 10))), { loop: true });
    replay.run(3 * count);
    const passMs = (count - 1) * 10;
    const passStartsMs = [0, 1, 2].map((pass) => replay.frames[pass * count]!.atMs);
    for (const [pass, startMs] of passStartsMs.entries()) {
      assert.ok(Math.abs(startMs - pass * passMs) < 100, `pass ${pass} starts at ${startMs} ms`);
    }
    for (const [index, { canId, atMs, timestampUs }] of replay.frames.entries()) {
      assert.equal(canId, index % count);
      const dueMs = passStartsMs[Math.floor(index / count)]! + (index % count) * 10;
      assert.ok(Math.abs(atMs - dueMs) <= LATE_MS_MAX, `frame ${index} at ${atMs}, due at ${dueMs}`);
      const previousUs = replay.frames[index - 1]?.timestampUs ?? 0;
      assert.ok(timestampUs > previousUs, `frame ${index} is later than the one before`);
    }
  });

  test('a loop over a moment is no flood', () => {
    const replay = new Replay(logFile(logOf(0)), { loop: true }).run(100);
    assert.ok(replay.nowMs >= 500, `100 passes in ${replay.nowMs} ms`);
  });

  test('a log whose clock was set back goes on at its pace', () => {
    const dayMs = 86_400_000;
    const replay = new Replay(logFile(logOf(0, 50, 100, 50 - dayMs, 100 - dayMs, 150 - dayMs))).run();
    assert.deepEqual(
      replay.frames.map(({ timestampUs }) => Math.round((timestampUs - NOW_US) / 10_000) * 10),
      [0, 50, 100, 100, 150, 200],
    );
    assert.ok(Math.abs(replay.nowMs - 200) < 20);
  });

  test('frames a little out of order come in the order of the log', () => {
    const replay = new Replay(logFile(logOf(0, 50, 49.9, 100))).run();
    assert.deepEqual(replay.canIds, [0, 1, 2, 3]);
    assert.equal(replay.frames[2]!.timestampUs, NOW_US + 49_900);
  });

  test('a batch that is held back is no reason not to wait', () => {
    const replay = new Replay(logFile(logOf(0, 5000)));
    const batch = FrameBatch.allocate(10);
    for (let reads = 0; batch.count < 2; reads++) {
      assert.ok(reads < 20, 'reading waits for the next frame');
      replay.driver.read(batch);
    }
    assert.ok(replay.nowMs >= 5000);
  });

  test('a full batch leaves the rest for the next', () => {
    const replay = new Replay(logFile(logOf(...numbers(10).map(() => 0)))).run(undefined, 3);
    assert.deepEqual(replay.canIds, numbers(10));
  });

  test('the real clock is kept', () => {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    const driver = new LogDriver({
      kind: 'candump',
      path: logFile(logOf(0, 30, 60)),
      speed: 1,
      loop: false,
      time: 'now',
      wait: (timeoutMs) => void Atomics.wait(sleeper, 0, 0, timeoutMs),
      nowUs: () => Date.now() * 1000,
    });
    driver.open();
    const startMs = performance.now();
    const batch = FrameBatch.allocate(10);
    while (batch.count < 3) driver.read(batch);
    assert.ok(performance.now() - startMs >= 59);
    assert.equal(batch.timestampUs[2]! - batch.timestampUs[0]!, 60_000);
  });
});

for (const speed of ['max', 1] as const) {
  describe(`speed ${speed}`, () => {
    test('the last line may lack its newline', () => {
      const log = logOf(0, 1, 2);
      assert.deepEqual(new Replay(logFile(log.trimEnd()), { speed }).run().canIds, [0, 1, 2]);
      const looped = new Replay(logFile(log.trimEnd()), { speed, loop: true }).run(6);
      assert.deepEqual(looped.canIds, [0, 1, 2, 0, 1, 2]);
    });

    for (const [what, text] of [
      ['an empty log', ''],
      ['a log of blank lines', '\n\n\r\n\n'],
      ['a log of broken lines', 'one\ntwo\nthree'],
      ['a log of what are no frames', '(1.0) can0 123##\n'],
      // Longer than what is read at once.
      ['a long log of broken lines', 'no frame\n'.repeat(400_000)],
      ['a long log of one line', 'x'.repeat(3_000_000)],
    ] as const) {
      test(`${what} ends, also where it is to loop`, () => {
        for (const loop of [false, true]) {
          const replay = new Replay(logFile(text), { speed, loop }).run();
          assert.equal(replay.isEnded, true);
          assert.deepEqual(replay.frames, []);
        }
      });
    }

    test('a log that has become empty while it loops ends', () => {
      const path = logFile(logOf(0, 1, 2));
      const replay = new Replay(path, { speed, loop: true }).run(3);
      truncateSync(path);
      replay.run();
      assert.equal(replay.isEnded, true);
    });

    test('opened again, it starts at the beginning', () => {
      const replay = new Replay(logFile(logOf(...numbers(1000))), { speed, loop: false });
      replay.run(10, 10);
      replay.driver.close();
      replay.driver.open();
      replay.frames.length = 0;
      replay.run();
      assert.equal(replay.frames.length, 1000);
      assert.equal(replay.frames[0]!.canId, 0);
      assert.equal(replay.driver.status().lines_read, 1000);
    });
  });
}

/** As zstd compresses it, with its checksum. */
function zstd(text: string): Buffer {
  return zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function folderOf(files: Readonly<Record<string, Uint8Array | string>>): string {
  const path = mkdtempSync(join(folder, 'logs-'));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
  return path;
}

describe('compressed', () => {
  const count = 40_000;
  const log = logOf(...numbers(count));
  const [head, tail] = [log.slice(0, 1_000_003), log.slice(1_000_003)];

  for (const [what, bytes] of [
    ['gzip', gzipSync(log)],
    ['gzip in two members', Buffer.concat([gzipSync(head), gzipSync(tail)])],
    ['one zstd frame', zstd(log)],
    ['zstd frames that part a line', Buffer.concat([zstd(head), zstd(tail)])],
    [
      'a skippable frame between',
      Buffer.concat([zstd(head), Buffer.from('502a4d180300000001020304', 'hex').subarray(0, 11), zstd(tail)]),
    ],
  ] as const) {
    test(`${what}: every frame comes once`, () => {
      const path = file(`${what}.bin`, bytes);
      const replay = new Replay(path, { speed: 'max', time: 'log' }).run();
      assert.deepEqual(
        replay.canIds,
        numbers(count).map((index) => index % 0x800),
      );
      const { lines_read, lines_broken, damages } = replay.driver.status();
      assert.deepEqual([lines_read, lines_broken, damages], [count, 0, 0]);
      replay.driver.close();
    });
  }

  test('at a pace and in a loop it goes on as any log does', () => {
    const replay = new Replay(file('paced.zst', zstd(logOf(0, 5, 10))), { loop: true }).run(9);
    assert.deepEqual(replay.canIds, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    replay.driver.close();
  });

  test('wherever a file is cut off, whole frames of it are read and no line is made up', () => {
    const parts = [0, 1, 2].map((part) => logOf(...numbers(50).map((index) => part * 1000 + index)));
    const frames = parts.map(zstd);
    const whole = Buffer.concat(frames);
    const ends = frames.map((_, index) => Buffer.concat(frames.slice(0, index + 1)).length);
    fc.assert(
      fc.property(fc.integer({ min: 4, max: whole.length }), (bytes) => {
        const replay = new Replay(file('torn.zst', whole.subarray(0, bytes)), {
          speed: 'max',
          time: 'log',
        }).run();
        const wholeParts = ends.filter((end) => end <= bytes).length;
        const wholeFrames = 50 * wholeParts;
        assert.ok(replay.frames.length >= wholeFrames);
        const expected = parts.join('').split('\n');
        for (const [index, { timestampUs, canId }] of replay.frames.entries()) {
          assert.match(
            expected[index]!,
            new RegExp(
              `\\.${String(timestampUs % 1_000_000).padStart(6, '0')}\\) can0 ${canId.toString(16).toUpperCase().padStart(3, '0')}#`,
            ),
          );
        }
        const isCut = wholeParts === 0 || ends[wholeParts - 1] !== bytes;
        assert.equal(replay.driver.status().damages, isCut ? 1 : 0);
        replay.driver.close();
      }),
      { numRuns: 40 },
    );
  });

  test('a damaged frame costs no other', () => {
    const frames = [zstd(logOf(0, 1)), zstd(logOf(2, 3)), zstd(logOf(4, 5))];
    frames[1]![frames[1]!.length - 1]! ^= 1;
    const replay = new Replay(file('damaged.zst', Buffer.concat(frames)), {
      speed: 'max',
      time: 'log',
    }).run();
    const atMs = replay.frames.map(({ timestampUs }) => (timestampUs - LOG_START_US) / 1000);
    assert.deepEqual(
      atMs.filter((ms) => ms < 2 || ms > 3),
      [0, 1, 4, 5],
    );
    assert.equal(replay.driver.status().damages, 1);
    replay.driver.close();
  });

  test('damaged gzip ends', () => {
    const bytes = gzipSync(log);
    const replay = new Replay(file('torn.gz', bytes.subarray(0, bytes.length / 2)), { speed: 'max' }).run();
    assert.ok(replay.frames.length < count);
    assert.equal(replay.driver.status().damages, 1);
    replay.driver.close();
  });

  test('any bytes behind a magic number end', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('28b52ffd', '1f8b', '502a4d18'),
        fc.uint8Array({ maxLength: 300 }),
        (magic, rest) => {
          const bytes = Buffer.concat([Buffer.from(magic, 'hex'), rest]);
          const replay = new Replay(file('noise.bin', bytes), { speed: 'max' }).run();
          assert.deepEqual(replay.frames, []);
          replay.driver.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  test('the ends of zstd frames are found, however their bytes come', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.integer({ max: 300_000, min: 0 }).map((length) => 'x'.repeat(length)),
    );
    fc.assert(
      fc.property(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 50 }),
        (texts, hasChecksum, step) => {
          const frames = texts.map((part) =>
            zstdCompressSync(part, { params: { [constants.ZSTD_c_checksumFlag]: hasChecksum ? 1 : 0 } }),
          );
          const whole = Buffer.concat(frames);
          const splitter = new ZstdFrames();
          const lengths: number[] = [];
          let start = 0;
          for (let at = 0; at < whole.length; ) {
            const end = Math.min(whole.length, at + step);
            at = splitter.take(whole.subarray(0, end), at);
            if (!splitter.isAtEnd) continue;
            lengths.push(at - start);
            start = at;
          }
          assert.deepEqual(
            lengths,
            frames.map(({ length }) => length),
          );
        },
      ),
    );
  });
});

describe('a folder', () => {
  test("of any tools' logs is replayed in the order of their first frames", () => {
    const path = folderOf({
      'drive.log': logOf(4000, 4001),
      'drive.log.1.gz': gzipSync(logOf(3000, 3001)),
      'drive.log.2.zst': zstd(logOf(2000, 2001)),
      'a.log': logOf(5000).trimEnd(),
      'readme.txt': 'no log',
      'empty.log': '',
    });
    const replay = new Replay(path, { speed: 'max', time: 'log' }).run();
    const atMs = replay.frames.map(({ timestampUs }) => (timestampUs - LOG_START_US) / 1000);
    assert.deepEqual(atMs, [2000, 2001, 3000, 3001, 4000, 4001, 5000]);
    assert.deepEqual([replay.driver.status().files, replay.driver.status().lines_read], [5, 7]);
  });

  test('of a recording is replayed in the order of its numbers, whatever the clock said', () => {
    const path = folderOf({
      '20260101T000000Z-000001.log': logOf(1000),
      '19700101T000000Z-000002.log.zst': zstd('(0000000005.000000) can0 002#\n'),
      '20260101T000003Z-000003.log': logOf(3000),
    });
    const { canIds } = new Replay(path, { speed: 'max', time: 'log' }).run();
    assert.deepEqual(canIds, [0, 2, 0]);
  });

  test('tells of broken lines with their file, and loops over all files', () => {
    const path = folderOf({ 'a.log': logOf(0), 'b.log': `broken\n${logOf(10)}` });
    const replay = new Replay(path, { speed: 'max', loop: true }).run(4);
    assert.equal(replay.frames.length, 4);
    assert.match(String(replay.driver.status().first_broken_lines), /^b\.log:1/);
  });

  test('passes over a file that has been deleted meanwhile', () => {
    const path = folderOf({ 'a.log': logOf(0), 'b.log': logOf(10), 'c.log': logOf(20) });
    const replay = new Replay(path, { speed: 'max', time: 'log' });
    rmSync(join(path, 'b.log'));
    replay.run();
    assert.deepEqual(
      replay.frames.map(({ timestampUs }) => timestampUs - LOG_START_US),
      [0, 20_000],
    );
  });
});

test('the last line of a recording that was cut off is no frame, even if it looks like one', () => {
  const path = folderOf({
    '20260101T000000Z-000001.log': '(1.000000) can0 123#DEADBEEF\n(1.000001) can0 123#DEAD',
  });
  const replay = new Replay(path, { speed: 'max', time: 'log' }).run();
  assert.equal(replay.frames.length, 1);
  assert.equal(replay.driver.status().lines_broken, 1);
});

test('a long run of broken lines leaves room for messages in between', () => {
  const { driver } = new Replay(logFile('no frame\n'.repeat(400_000)), { speed: 'max' });
  const batch = FrameBatch.allocate(10);
  assert.equal(driver.read(batch), 'more');
  const linesRead = Number(driver.status().lines_read);
  assert.ok(linesRead > 0 && linesRead < 400_000, `${linesRead} lines at once`);
});

test('what is no log can not be opened', () => {
  const missing = join(folder, 'missing.log');
  const directory = join(folder, 'directory.log');
  mkdirSync(directory);
  for (const [path, reason] of [
    [missing, /missing\.log.*ENOENT/],
    [directory, /directory\.log.*folder has no file whose name ends with \.log/],
    ['/dev/zero', /dev\/zero.*not a regular file/],
    [
      file('drive.log.xz', Buffer.from('fd377a585a00', 'hex')),
      /it is compressed with xz \(unpack it: xz -dk/,
    ],
    [file('drive.log.bz2', 'BZh91AY&SY'), /bzip2/],
    [file('utf16.log', Buffer.from('\ufeff(1.5) can0 123#11\n', 'utf16le')), /UTF-16.*iconv/],
    [file('drive.blf', 'LOGG'), /BLF.*can_logconvert/],
  ] as const) {
    assert.throws(
      () => new Replay(path),
      (error) => {
        assert.ok(error instanceof BusError);
        assert.equal(error.code, 'BUS_UNAVAILABLE');
        assert.match(error.message, reason);
        return true;
      },
    );
  }
});

test('the byte order mark that editors write is no part of the first line', () => {
  const text = `\ufeff${logOf(0, 1)}`;
  assert.equal(new Replay(logFile(text), { speed: 'max' }).run().frames.length, 2);
  const asc = '\ufeffdate Thu Jan 1 12:00:00.000 pm 2026\n0.1 1 123 Rx d 1 FF\n';
  const replay = new Replay(file('bom.asc', asc), { kind: 'asc', speed: 'max', time: 'log' }).run();
  assert.equal(replay.frames[0]?.timestampUs, new Date(2026, 0, 1, 12).getTime() * 1000 + 100_000);
});

test('broken lines are counted with their numbers', () => {
  const [first, second] = logOf(0, 1).split('\n');
  const { driver } = new Replay(logFile(`${first}\nbroken\n\n${second}\nagain`)).run();
  assert.deepEqual(
    { ...driver.status(), path: null, size_bytes: null, warning: null },
    {
      path: null,
      size_bytes: null,
      warning: null,
      lines_read: 5,
      lines_broken: 2,
      first_broken_lines: '2, 5',
      files: 1,
      damages: 0,
      loops: 0,
    },
  );
});

test('a log takes no frames', () => {
  const { driver } = new Replay(logFile(logOf(0)));
  assert.throws(
    () => driver.send(),
    (error) => error instanceof BusError && error.code === 'BUS_READ_ONLY',
  );
});

describe('what is missing of a log is told', () => {
  const warningOf = (replay: Replay) => String(replay.driver.status().warning);

  test('lines that are no frames, by the first of them, once', () => {
    const path = logFile(`${logOf(0)}  can0  123   [8]  11 22 33 44 55 66 77 88\nno frame either\n`);
    const warning = warningOf(new Replay(path, { speed: 'max' }).run());
    assert.equal(
      warning,
      `Lines that are no frames are passed over, the first of them line 2 of ${path}: expected what candump -l or -L ` +
        'writes, such as (1436509052.249713) can0 123#DEADBEEF; found "  can0  123   [8]  11 22 33 44 55 66 77 88".',
    );
    const asc = folderOf({ 'a.asc': '0.1 1 123 Rx d 1 FF\nno frame\n' });
    assert.match(
      warningOf(new Replay(asc, { kind: 'asc', speed: 'max' }).run()),
      /line 2 of \S+a\.asc: expected what Vector's ASC format has, .*; found "no frame"\.$/,
    );
  });

  test('but nothing of a log that is whole', () => {
    assert.equal(new Replay(logFile(`${logOf(0)}\n`)).run().driver.status().warning, null);
  });

  test('a file that is torn', () => {
    const bytes = gzipSync(logOf(...numbers(1000)));
    const path = file('cut.log.gz', bytes.subarray(0, bytes.length / 2));
    assert.equal(
      warningOf(new Replay(path, { speed: 'max' }).run()),
      `${path} is torn or damaged: what can't be decompressed of it is missing.`,
    );
  });

  test('a file that a disk gives no more of; what came before comes once, and the next file is read', {
    skip: process.platform !== 'linux' && "there is no file here that can't be read",
  }, () => {
    for (const speed of ['max', 1] as const) {
      const path = folderOf({
        '20260101T000000Z-000001.log': logOf(0, 1),
        '20260101T000003Z-000003.log': logOf(3000),
      });
      // Its first page belongs to nobody: reading it is an error of the system (EIO).
      symlinkSync('/proc/self/mem', join(path, '20260101T000002Z-000002.log'));
      const replay = new Replay(path, { speed, time: 'log' }).run();
      assert.deepEqual(
        replay.frames.map(({ timestampUs }) => (timestampUs - LOG_START_US) / 1000),
        [0, 1, 3000],
      );
      assert.equal(replay.driver.status().damages, 1);
      assert.match(
        warningOf(replay),
        /^Reading \S+-000002\.log failed: EIO.*What follows in it is missing\.$/,
      );
    }
  });

  test('a file of a folder that is none of its logs costs no other', () => {
    const path = folderOf({ 'a.log': Buffer.from('fd377a585a00', 'hex'), 'b.log': logOf(1) });
    const replay = new Replay(path, { speed: 'max', time: 'log' }).run();
    assert.equal(replay.frames.length, 1);
    assert.match(warningOf(replay), /a\.log failed: it is compressed with xz/);
  });

  test('a log that is gone when it is to begin anew is lost, and read again when it is back', () => {
    const path = logFile(logOf(0, 1));
    const replay = new Replay(path, { speed: 'max', loop: true }).run(2);
    rmSync(path);
    assert.throws(
      () => replay.run(4),
      (error) => error instanceof BusError && error.code === 'BUS_LOST',
    );
    writeFileSync(path, logOf(0, 1));
    replay.driver.close();
    replay.driver.open();
    assert.deepEqual(replay.run(4).canIds, [0, 1, 0, 1]);
  });
});
