import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ControlMessages } from './control-messages.ts';
import { SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPING, SOL_CAN_RAW, SOL_SOCKET } from './linux.ts';

/** A control message as the kernel lays it out, up to where the next may begin. */
function message(level: number, type: number, ...words: number[]): number[] {
  const padding = words.length % 2 === 0 ? [] : [0xdead_beef];
  return [16 + words.length * 4, 0, level, type, ...words, ...padding];
}

/** Seconds (64 bits) and their fraction (64 bits). */
function time(seconds: number, fraction: number): number[] {
  return [seconds % 2 ** 32, Math.floor(seconds / 2 ** 32), fraction, 0];
}

const NONE = time(0, 0);

function read(...messages: number[][]): [softwareUs: number, hardwareUs: number, drops: number] {
  const control = new ControlMessages();
  const words = Uint32Array.from([7, 7, ...messages.flat(), 7, 7]);
  control.read(words, 2, words.length - 2);
  return [control.softwareUs, control.hardwareUs, control.drops];
}

test('both timestamps and the drop count are read, in any order', () => {
  const software = message(SOL_SOCKET, SO_TIMESTAMP, ...time(1_800_000_000, 123_456));
  const hardware = message(SOL_SOCKET, SO_TIMESTAMPING, ...NONE, ...NONE, ...time(5000, 678_901_500));
  const drops = message(SOL_SOCKET, SO_RXQ_OVFL, 4_000_000_000);
  const expected = [1_800_000_000_123_456, 5_000_678_901.5, 4_000_000_000];
  assert.deepEqual(read(software, hardware, drops), expected);
  assert.deepEqual(read(drops, hardware, software), expected);
  // After 2038, and after 2106.
  assert.equal(read(message(SOL_SOCKET, SO_TIMESTAMP, ...time(2 ** 32 + 5, 6)))[0], (2 ** 32 + 5) * 1e6 + 6);
});

test('a controller without a clock of its own has no hardware timestamp', () => {
  const software = message(SOL_SOCKET, SO_TIMESTAMP, ...time(1000, 1));
  assert.deepEqual(read(software), [1_000_000_001, 0, 0]);
  // Nor has a frame whose message tells the software's alone.
  const without = message(SOL_SOCKET, SO_TIMESTAMPING, ...time(1000, 1), ...NONE, ...NONE);
  assert.deepEqual(read(without, software), [1_000_000_001, 0, 0]);
});

test('what is unknown or cut off is passed over', () => {
  const software = message(SOL_SOCKET, SO_TIMESTAMP, ...time(1000, 1));
  const hardware = message(SOL_SOCKET, SO_TIMESTAMPING, ...NONE, ...NONE, ...time(5, 6000));
  assert.deepEqual(read(message(SOL_CAN_RAW, SO_TIMESTAMP, 1, 2, 3, 4), software), [1_000_000_001, 0, 0]);
  assert.deepEqual(read(message(SOL_SOCKET, 99, 1, 2, 3), software), [1_000_000_001, 0, 0]);
  assert.deepEqual(read(software, hardware.slice(0, 12)), [1_000_000_001, 0, 0]);
  assert.deepEqual(read([0, 0, SOL_SOCKET, SO_TIMESTAMP, 1, 0, 1, 0]), [0, 0, 0]);
  assert.deepEqual(read(software, [0xffff_ffff, 0, SOL_SOCKET, SO_TIMESTAMP, 1, 0]), [1_000_000_001, 0, 0]);
  assert.deepEqual(read(), [0, 0, 0]);
});

test('the drop count stands until it is told anew, timestamps are of the frame alone', () => {
  const control = new ControlMessages();
  const words = Uint32Array.from([
    ...message(SOL_SOCKET, SO_TIMESTAMP, ...time(1000, 1)),
    ...message(SOL_SOCKET, SO_RXQ_OVFL, 3),
  ]);
  control.read(words, 0, words.length);
  control.read(words, 0, 0);
  assert.deepEqual([control.softwareUs, control.hardwareUs, control.drops], [0, 0, 3]);
});

test('whatever the words are, reading ends', () => {
  const word = fc.oneof(fc.nat(64), fc.constantFrom(SO_TIMESTAMP, SO_TIMESTAMPING), fc.nat(2 ** 32 - 1));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 32 }), (words) => {
      const control = new ControlMessages();
      control.read(Uint32Array.from(words), 0, words.length);
      assert.ok(Number.isSafeInteger(control.drops));
      assert.ok(!Number.isNaN(control.softwareUs) && !Number.isNaN(control.hardwareUs));
    }),
  );
});
