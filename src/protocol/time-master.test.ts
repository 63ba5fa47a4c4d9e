import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TIME_SYNC_NODES_MAX, TIME_SYNC_PINGS_KEPT, TIME_SYNC_ROUND_TRIP_MAX_MS } from '../shared/limits.ts';
import { TimeMaster, type TimeMasterOptions } from './time-master.ts';

const START_US = 1_764_000_000_000_000;
const OUR_ID = 0x10;

/** A master with a clock that stands still, and what it sends. */
function master(options: Partial<TimeMasterOptions> = {}) {
  const clock = { nowUs: START_US };
  const pings: number[] = [];
  const setTimes: [nodeId: number, value: number][] = [];
  const failures: unknown[] = [];
  const time = new TimeMaster({
    nodeId: OUR_ID,
    intervalMs: 1000,
    nowUs: () => clock.nowUs,
    isOpen: () => true,
    async sendPing(value) {
      pings.push(value);
    },
    async sendSetTime(nodeId, value) {
      setTimes.push([nodeId, value]);
    },
    onSendFailed: (error) => failures.push(error),
    ...options,
  });
  return { time, clock, pings, setTimes, failures };
}

function value(us: number): number {
  return Math.round(us / 1000) % 2 ** 24;
}

test('an answer in time gives the round trip, and the node its time: ours and half of it', async () => {
  const { time, clock, pings, setTimes } = master();
  await time.ping();
  assert.deepEqual(pings, [value(START_US)]);
  time.ownPing(pings[0]!, START_US + 3_000);
  clock.nowUs = START_US + 20_000;
  const roundTrip = time.pong(2, pings[0]!, START_US + 13_000);
  assert.deepEqual(roundTrip, { nodeId: 2, timestampUs: START_US + 13_000, roundTripUs: 10_000 });
  assert.deepEqual(setTimes, [[2, value(START_US + 25_000)]]);
});

test("where our own PING doesn't come back the round trip begins when it was sent", async () => {
  const { time, pings } = master();
  await time.ping();
  assert.equal(time.pong(2, pings[0]!, START_US + 4_000)?.roundTripUs, 4_000);
});

test('values go round at 24 bits', async () => {
  const { time, clock, pings, setTimes } = master();
  // The last millisecond before the round, and half a round trip over it.
  clock.nowUs = (Math.ceil(START_US / 1000 / 2 ** 24) * 2 ** 24 - 1) * 1000;
  await time.ping();
  assert.deepEqual(pings, [2 ** 24 - 1]);
  time.pong(2, pings[0]!, clock.nowUs + 2_000);
  assert.deepEqual(setTimes, [[2, 0]]);
});

test('round trips are told per node: last, least, mean, greatest', async () => {
  const { time, clock, pings } = master();
  for (const roundTripUs of [4_000, 1_000, 7_000]) {
    clock.nowUs += 1_000_000;
    await time.ping();
    time.pong(3, pings.at(-1)!, clock.nowUs + roundTripUs);
    time.pong(2, pings.at(-1)!, clock.nowUs + 2 * roundTripUs);
  }
  const { nodes, ...rest } = time.status();
  assert.deepEqual(
    nodes.map(({ nodeId, lastUs, minUs, meanUs, maxUs }) => [nodeId, lastUs, minUs, meanUs, maxUs]),
    [
      [2, 14_000, 2_000, 8_000, 14_000],
      [3, 7_000, 1_000, 4_000, 7_000],
    ],
  );
  assert.deepEqual(
    nodes.map(({ lastPongUs, pings, pongs, missed }) => [lastPongUs - clock.nowUs, pings, pongs, missed]),
    [
      [14_000, 3, 3, 0],
      [7_000, 3, 3, 0],
    ],
  );
  assert.equal(rest.pings, 3);
  assert.deepEqual(Object.values(rest.pongsPassedOver), [0, 0, 0, 0, 0]);
});

test('a node that does not answer has missed the PING once the next is sent', async () => {
  const { time, clock, pings } = master();
  const counts = () => {
    const [node] = time.status().nodes;
    return [node!.pings, node!.pongs, node!.missed];
  };
  await time.ping();
  time.pong(2, pings[0]!, START_US + 1_000);
  assert.deepEqual(counts(), [1, 1, 0]);
  clock.nowUs += 1_000_000;
  await time.ping();
  assert.deepEqual(counts(), [2, 1, 0]);
  clock.nowUs += 1_000_000;
  await time.ping();
  assert.deepEqual(counts(), [3, 1, 1]);
  time.pong(2, pings[2]!, clock.nowUs + 1_000);
  assert.deepEqual(counts(), [3, 2, 1]);
});

test('an answer that is not to be gone by is told apart, counted, and sets no time', async () => {
  const { time, clock, pings, setTimes } = master();
  const passedOver = () => time.status().pongsPassedOver;
  const none = { late: 0, doubled: 0, foreign: 0, unasked: 0, untracked: 0 };

  assert.equal(time.pong(2, 42, START_US), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 1 });

  await time.ping();
  assert.equal(time.pong(OUR_ID, pings[0]!, START_US + 1), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 2 });

  assert.equal(time.pong(2, pings[0]! + 1, START_US + 1), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 2, foreign: 1 });

  assert.notEqual(time.pong(2, pings[0]!, START_US + 1), null);
  assert.equal(time.pong(2, pings[0]!, START_US + 2), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 2, foreign: 1, doubled: 1 });

  const tooLateUs = START_US + (TIME_SYNC_ROUND_TRIP_MAX_MS + 1) * 1000;
  assert.equal(time.pong(3, pings[0]!, tooLateUs), null);
  // A clock that was set back between.
  assert.equal(time.pong(3, pings[0]!, START_US - 1), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 2, foreign: 1, doubled: 1, late: 2 });

  clock.nowUs += 100_000;
  await time.ping();
  assert.equal(time.pong(3, pings[0]!, START_US + 100_001), null);
  assert.equal(time.pong(2, pings[0]!, START_US + 100_001), null);
  assert.deepEqual(passedOver(), { ...none, unasked: 2, foreign: 1, doubled: 2, late: 3 });
  assert.deepEqual(
    setTimes.map(([nodeId]) => nodeId),
    [2],
  );

  // After so many more PINGs the first isn't known any more.
  for (let count = 0; count < TIME_SYNC_PINGS_KEPT; count++) {
    clock.nowUs += 100_000;
    await time.ping();
  }
  time.pong(3, pings[0]!, clock.nowUs);
  assert.equal(passedOver().foreign, 2);
});

test('so many nodes are followed, and no more', async () => {
  const { time, pings, setTimes } = master();
  await time.ping();
  for (let nodeId = 100; nodeId < 100 + TIME_SYNC_NODES_MAX + 5; nodeId++) {
    time.pong(nodeId, pings[0]!, START_US + 1_000);
  }
  const { nodes, pongsPassedOver } = time.status();
  assert.equal(nodes.length, TIME_SYNC_NODES_MAX);
  assert.equal(setTimes.length, TIME_SYNC_NODES_MAX);
  assert.equal(pongsPassedOver.untracked, 5);
});

test('a PING that could not be sent has asked nobody', async () => {
  let isBroken = false;
  const { time, clock, failures } = master({
    async sendPing() {
      if (isBroken) throw new Error('no room');
    },
  });
  await time.ping();
  time.pong(2, value(clock.nowUs), clock.nowUs + 1_000);
  isBroken = true;
  for (let count = 0; count < 3; count++) {
    clock.nowUs += 1_000_000;
    await time.ping();
  }
  isBroken = false;
  time.pong(2, value(clock.nowUs), clock.nowUs + 1_000);
  const { nodes, pings, sendFailures, pongsPassedOver } = time.status();
  assert.deepEqual([pings, sendFailures, failures.length, pongsPassedOver.foreign], [1, 3, 3, 1]);
  assert.deepEqual([nodes[0]!.pings, nodes[0]!.pongs, nodes[0]!.missed], [1, 1, 0]);
});

test('a SET_TIME that could not be sent is counted', async () => {
  const { time, pings, failures } = master({ sendSetTime: () => Promise.reject(new Error('no room')) });
  await time.ping();
  assert.notEqual(time.pong(2, pings[0]!, START_US + 1), null);
  await Promise.resolve();
  assert.deepEqual([time.status().sendFailures, failures.length], [1, 1]);
});

test('while a PING waits to be sent no other is', async () => {
  const sent = Promise.withResolvers<void>();
  let sends = 0;
  const { time } = master({
    sendPing() {
      sends++;
      return sent.promise;
    },
  });
  const first = time.ping();
  await time.ping();
  await time.ping();
  assert.equal(sends, 1);
  sent.resolve();
  await first;
  await time.ping();
  assert.equal(sends, 2);
});

test('a bus that is not open is not asked, and what was asked before is nobody to answer', async () => {
  let isOpen = true;
  const { time, clock, pings } = master({ isOpen: () => isOpen });
  await time.ping();
  time.pong(2, pings[0]!, START_US + 1_000);
  clock.nowUs += 1_000_000;
  await time.ping();
  isOpen = false;
  await time.ping();
  isOpen = true;
  time.pong(2, pings[1]!, clock.nowUs + 1_000);
  const { nodes, pongsPassedOver } = time.status();
  assert.equal(pings.length, 2);
  assert.equal(pongsPassedOver.unasked, 1);
  assert.deepEqual([nodes[0]!.pings, nodes[0]!.pongs, nodes[0]!.missed], [1, 1, 0]);
});

test('PINGs come once an interval between start and stop', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { time, pings } = master({ intervalMs: 250 });
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    await new Promise(setImmediate);
  };
  time.start();
  await pass(249);
  assert.equal(pings.length, 0);
  for (let count = 1; count <= 3; count++) {
    await pass(count === 1 ? 1 : 250);
    assert.equal(pings.length, count);
  }
  time.stop();
  await pass(10_000);
  assert.equal(pings.length, 3);
});
