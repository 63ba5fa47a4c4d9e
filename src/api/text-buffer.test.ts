import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TextBuffer } from './text-buffer.ts';

test('pieces come out one after the other, however long and whatever is in them', () => {
  const anyPiece = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 100, maxLength: 1000 }));
  fc.assert(
    fc.property(fc.nat(100), fc.array(anyPiece), (bytes, pieces) => {
      const out = new TextBuffer(bytes);
      for (const piece of pieces) {
        out.append(piece);
        out.appendAscii(0x2c);
      }
      const expected = pieces.map((piece) => `${piece},`).join('');
      assert.deepEqual(out.text, Buffer.from(expected, 'utf8'));
    }),
  );
});

test('milliseconds come out as the seconds that they are', () => {
  const anyMs = fc.oneof(fc.nat(20_000), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.nat(40), fc.array(anyMs), (bytes, all) => {
      const out = new TextBuffer(bytes);
      for (const ms of all) {
        out.appendSeconds(ms);
        out.appendAscii(0x2c);
      }
      const read = JSON.parse(`[${out.text}0]`) as number[];
      assert.deepEqual(
        read.slice(0, -1),
        all.map((ms) => ms / 1000),
      );
    }),
  );
});
