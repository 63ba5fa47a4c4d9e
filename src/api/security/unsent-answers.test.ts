import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { UnsentAnswers } from './unsent-answers.ts';

function setup(bytesMax: number) {
  const state = { givenUp: 0, destroyed: [] as string[] };
  const unsent = new UnsentAnswers(bytesMax, () => {
    state.givenUp++;
  });
  const add = (client: string, name: string, bytes: number) =>
    unsent.add(client, { destroy: () => state.destroyed.push(name) } as unknown as Socket, bytes);
  return { state, unsent, add };
}

test('what was taken makes room', () => {
  const { unsent, add, state } = setup(100);
  const taken = add('a', 'a1', 60);
  assert.equal(unsent.bytes, 60);
  taken?.();
  taken?.();
  assert.equal(unsent.bytes, 0);
  assert.ok(add('a', 'a2', 100) !== null);
  assert.deepEqual(state.destroyed, []);
});

test('when there is no room the client with most of it loses its oldest answers', () => {
  const { unsent, add, state } = setup(100);
  add('a', 'a1', 30);
  add('a', 'a2', 30);
  add('b', 'b1', 20);
  assert.ok(add('b', 'b2', 30) !== null);
  assert.deepEqual(state.destroyed, ['a1']);
  assert.equal(unsent.bytes, 80);
  assert.ok(add('b', 'b3', 30) !== null);
  assert.deepEqual(state.destroyed, ['a1', 'b1']);
  assert.equal(state.givenUp, 2);
});

test('a client gets no answer at the cost of one that has less', () => {
  const { add, state } = setup(100);
  add('a', 'a1', 40);
  assert.equal(add('b', 'b1', 80), null);
  assert.deepEqual(state.destroyed, []);
});

test('an answer that is larger than all there is room for goes alone', () => {
  const { unsent, add } = setup(100);
  assert.ok(add('a', 'a1', 150) !== null);
  assert.equal(add('b', 'b1', 10) !== null, true, 'the larger one is given up for it');
  assert.equal(unsent.bytes, 10);
});

test('whatever is asked and taken, no more waits than there may, or a single answer', () => {
  const step = fc.record({
    client: fc.constantFrom('a', 'b', 'c'),
    bytes: fc.integer({ min: 1, max: 150 }),
    takes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { unsent, add, state } = setup(100);
      const waiting: (() => void)[] = [];
      for (const [index, { client, bytes, takes }] of steps.entries()) {
        const taken = add(client, String(index), bytes);
        if (taken !== null) waiting.push(taken);
        if (takes) waiting.shift()?.();
        assert.ok(unsent.bytes <= Math.max(100, bytes), `${unsent.bytes}`);
      }
      for (const taken of waiting) taken();
      assert.equal(unsent.bytes, 0);
      assert.equal(state.givenUp, state.destroyed.length);
    }),
  );
});
