import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STREAM_MESSAGES_AT_ONCE_MAX, STREAM_MESSAGES_PER_S_MAX } from '../../shared/limits.ts';
import { MessageAllowance } from './message-allowance.ts';

/** How many messages may be sent at a time until one is too many. */
function allowedAt(allowance: MessageAllowance, nowMs: number): number {
  let count = 0;
  while (allowance.take(1, nowMs)) count++;
  return count;
}

test('so many messages may come at once, and so many a second after that', () => {
  const allowance = new MessageAllowance(5000);
  assert.equal(allowedAt(allowance, 5000), STREAM_MESSAGES_AT_ONCE_MAX);
  // The one that was too many counts as well.
  assert.equal(allowedAt(allowance, 6000), STREAM_MESSAGES_PER_S_MAX - 1);
});

test('what is saved up in a long silence is no more than there was at first', () => {
  const allowance = new MessageAllowance(0);
  assert.equal(allowedAt(allowance, 1e9), STREAM_MESSAGES_AT_ONCE_MAX);
});

test('a message that costs more takes more', () => {
  const allowance = new MessageAllowance(0);
  assert.equal(allowance.take(STREAM_MESSAGES_AT_ONCE_MAX - 1, 0), true);
  assert.equal(allowance.take(2, 0), false);
});
