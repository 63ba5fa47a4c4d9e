import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { API_CLIENT_FORGET_MS } from '../../shared/limits.ts';
import { RateLimiter } from './rate-limiter.ts';

/** A limiter with a clock that the test sets. */
function limiter(ratePerS: number | null, clientsMax?: number) {
  const clock = { ms: 1000 };
  return { clock, rates: new RateLimiter(ratePerS, clientsMax, () => clock.ms) };
}

test('a client may make a second of requests at once, then as many as the time that passes is worth', () => {
  const { clock, rates } = limiter(10);
  for (let request = 0; request < 10; request++) assert.equal(rates.take('a'), 0);
  assert.equal(rates.take('a'), 100);
  clock.ms += 50;
  assert.equal(Math.round(rates.take('a')), 50);
  clock.ms += 50;
  assert.equal(rates.take('a'), 0);
  assert.equal(rates.take('b'), 0, 'another client has its own');
});

test('in no span of time does a client make more requests than the limit and one second allow', () => {
  const gapsMs = fc.array(fc.nat(300), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), gapsMs, (ratePerS, gaps) => {
      const { clock, rates } = limiter(ratePerS);
      const allowedMs: number[] = [];
      for (const gapMs of gaps) {
        clock.ms += gapMs;
        if (rates.take('a') === 0) allowedMs.push(clock.ms);
      }
      for (const [first, fromMs] of allowedMs.entries()) {
        for (let last = first; last < allowedMs.length; last++) {
          const allowance = ratePerS + ((allowedMs[last]! - fromMs) / 1000) * ratePerS;
          assert.ok(last - first + 1 <= allowance + 1e-6);
        }
      }
    }),
  );
});

test('who has waited as long as it was told may ask', () => {
  const { clock, rates } = limiter(3);
  for (let request = 0; request < 100; request++) {
    const waitMs = rates.take('a');
    if (waitMs === 0) continue;
    clock.ms += waitMs + 1e-6;
    assert.equal(rates.take('a'), 0);
  }
});

test('without a limit clients are counted and none has to wait', () => {
  const { rates } = limiter(null);
  for (let request = 0; request < 10_000; request++) assert.equal(rates.take('a'), 0);
  assert.equal(rates.clientCount, 1);
});

test('no more clients are remembered than there may be: the one that was silent longest is forgotten', () => {
  const { clock, rates } = limiter(1, 3);
  for (const client of ['a', 'b', 'c', 'a']) {
    clock.ms += 1;
    rates.take(client);
  }
  rates.take('d');
  assert.equal(rates.clientCount, 3);
  assert.ok(rates.take('a') > 0, 'a is remembered');
  assert.equal(rates.take('b'), 0, 'b is not');
  assert.equal(rates.clientCount, 3);
});

test('clients that have been silent for long are forgotten', () => {
  const { clock, rates } = limiter(1);
  rates.take('a');
  clock.ms += API_CLIENT_FORGET_MS / 2;
  rates.take('b');
  assert.equal(rates.clientCount, 2);
  clock.ms += API_CLIENT_FORGET_MS / 2;
  assert.equal(rates.clientCount, 1);
});
