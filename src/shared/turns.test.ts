import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Taker, Turns } from './turns.ts';

/** Has room for so many, and more when it is told. */
class SlowTaker implements Taker {
  room = 0;
  readonly #waiting: (() => void)[] = [];

  get hasRoom(): boolean {
    return this.room > 0;
  }

  whenRoom(callback: () => void): void {
    this.#waiting.push(callback);
  }

  make(room: number): void {
    this.room += room;
    for (const callback of this.#waiting.splice(0)) callback();
  }
}

test('what is brought is taken in its order, as far as all takers have room, and the rest at the end', () => {
  const takers = [new SlowTaker(), new SlowTaker()] as const;
  const turns = new Turns([takers[0], null, takers[1]]);
  const taken: number[] = [];
  const bring = (number: number) =>
    turns.add(() => {
      for (const taker of takers) taker.room--;
      taken.push(number);
    });
  takers[0].make(3);
  bring(1);
  assert.deepEqual(taken, []);
  takers[1].make(2);
  assert.deepEqual(taken, [1]);
  bring(2);
  bring(3);
  bring(4);
  assert.deepEqual(taken, [1, 2]);
  takers[1].make(5);
  assert.deepEqual(taken, [1, 2, 3]);
  bring(5);
  takers[0].make(1);
  assert.deepEqual(taken, [1, 2, 3, 4]);
  turns.takeAll();
  assert.deepEqual(taken, [1, 2, 3, 4, 5]);
});

test('what is brought while another is taken waits for its turn', () => {
  const turns = new Turns([]);
  const taken: number[] = [];
  turns.add(() => {
    turns.add(() => taken.push(2));
    taken.push(1);
  });
  assert.deepEqual(taken, [1, 2]);
});
