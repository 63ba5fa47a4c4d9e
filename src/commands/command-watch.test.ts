import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { type KartMessage, MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import { KartDecoder } from '../protocol/kart-decoder.ts';
import { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { SampleBatch } from '../protocol/sample-batch.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { CommandWatch, type WatchResult } from './command-watch.ts';

const registry = ProtocolRegistry.load();
const OUR_ID = 0x10;
const LONG_MS = 60_000;
const FIRST_SEQ = 1000;

/** A frame as `CANID#DATA`, `own:` where it is ours. Frames are a millisecond apart. */
type Frame = string;

const OWN_ON: Frame = 'own:010#0000000020000001';
const ON_ECHO: Frame = '004#4000000020000001';
const OFF_STATUS: Frame = '004#4000000020000000';
const RPM: Frame = '002#48000001400004B0';

const LIGHT_ON: KartMessage = {
  messageType: MESSAGE_TYPE.COMMAND,
  componentType: 0,
  componentId: 0,
  commandId: 0,
  valueType: 2,
  rawValue: 1,
};
const STOP_ALL: KartMessage = { ...LIGHT_ON, componentType: 1, componentId: 255, commandId: 6 };

interface Watched {
  readonly watch: CommandWatch;
  /** Plays frames as one batch; gives how many samples they became. */
  play(...frames: readonly Frame[]): number;
}

function watched(t: TestContext, isOwnHeard = true): Watched {
  const table = new SeriesTable(registry);
  const decoder = new KartDecoder('can0', registry, table);
  const watch = new CommandWatch({ nodeId: OUR_ID, isOwnHeard, table });
  t.after(() => watch.stop());
  let timestampUs = 1_764_000_000_000_000;
  let seq = FIRST_SEQ;
  return {
    watch,
    play(...frames) {
      const batch = FrameBatch.allocate(64);
      for (const frame of frames) {
        const [, own, canId, data] = /^(own:)?([0-9A-F]{3})#([0-9A-F]*)$/.exec(frame)!;
        const flags = own === undefined ? 0 : FRAME_FLAG.OWN;
        batch.push(timestampUs, Number.parseInt(canId!, 16), flags, Buffer.from(data!, 'hex'));
        timestampUs += 1000;
      }
      const isAnswered = watch.observe(batch);
      const samples = SampleBatch.allocate(64);
      samples.begin(seq);
      // In two pieces, as where the samples of a batch go to two.
      for (let at = 0; at < batch.count; ) {
        const first = samples.count;
        const piece = new FrameBatch(batch.buffer, Math.min(batch.count, at + 3));
        const end = decoder.decode(piece, at, samples);
        if (isAnswered) watch.find(batch, { start: at, end }, samples, first);
        at = end;
      }
      seq += samples.count;
      if (isAnswered) watch.settle();
      return samples.count;
    },
  };
}

/** What a wait has come to by now; null while it lasts. */
async function now(result: Promise<WatchResult>): Promise<WatchResult | null> {
  return Promise.race([result, new Promise<null>((resolve) => setImmediate(() => resolve(null)))]);
}

describe('a command is answered', () => {
  test('when a node echoes it after our own frame, by which the round trip is told', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch(LIGHT_ON, null);
    command.sent(LONG_MS);
    play(RPM, OWN_ON, RPM);
    assert.equal(await now(command.result), null);
    play(RPM, OFF_STATUS, RPM, '004#48', ON_ECHO, RPM);
    const { answer, ownUs, echoedBy, ackedBy, isStopped } = (await now(command.result))!;
    assert.equal(answer?.kind, 'echo');
    assert.equal(answer.timestampUs - ownUs!, 6000);
    assert.deepEqual([answer.nodeId, echoedBy, ackedBy, isStopped], [4, [4], [], false]);
    // Three samples of the first batch, three of this one: what is no kart message has become none.
    assert.equal(answer.sample?.seq, FIRST_SEQ + 3 + 3);
    assert.equal(answer.sample.timestampUs, answer.timestampUs);
    assert.deepEqual([answer.sample.rawValue, answer.sample.series.nodeId], [1, 4]);
  });

  const ignored: [what: string, frames: readonly Frame[]][] = [
    ['a STATUS ahead of our own frame', [ON_ECHO, OWN_ON]],
    ['another value', [OWN_ON, OFF_STATUS]],
    ['another component', [OWN_ON, '004#4000010020000001']],
    ['another command', [OWN_ON, '004#4000000120000001']],
    ['another component type', [OWN_ON, '004#4800000020000001']],
    ['a STATUS of our own', [OWN_ON, 'own:010#4000000020000001']],
    ['our own frame alone', [OWN_ON, OWN_ON]],
    ["another's COMMAND", [OWN_ON, '001#0000000020000001']],
    ['an ACK alone', [OWN_ON, '004#8000000020000001']],
    ['a frame that is too short', [OWN_ON, '004#40000000200000']],
    ['our own frame with another value', ['own:010#0000000020000002', ON_ECHO]],
    ['the same frame of another program here', ['own:011#0000000020000001', ON_ECHO]],
  ];
  for (const [what, frames] of ignored) {
    test(`not by ${what}`, async (t) => {
      const { watch, play } = watched(t);
      const command = watch.watch(LIGHT_ON, null);
      command.sent(LONG_MS);
      play(...frames);
      assert.equal(await now(command.result), null);
    });
  }

  test('where a filter keeps our own frames away, by what comes after the bus has taken it', async (t) => {
    const { watch, play } = watched(t, false);
    const command = watch.watch(LIGHT_ON, null);
    play(ON_ECHO);
    assert.equal(await now(command.result), null);
    command.sent(LONG_MS);
    play(ON_ECHO);
    const { answer, ownUs } = (await now(command.result))!;
    assert.deepEqual([answer?.kind, answer?.sample?.seq, ownUs], ['echo', FIRST_SEQ + 1, null]);
  });

  test('whichever value type the node echoes it with', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch({ ...LIGHT_ON, valueType: 6 }, null);
    play('own:010#0000000060000001', '004#4000000000000001');
    assert.equal((await now(command.result))?.answer?.sample?.series.valueType, 0);
  });

  test('by any component where all are addressed, and it is told by how many until then', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch(STOP_ALL, 0);
    const ONE: Frame = '002#4800010620000001';
    const ALL: Frame = '003#4800FF0620000001';
    const ACK: Frame = '003#8800FF0620000001';
    play('own:010#0800FF0620000001', RPM, ONE, ALL, ACK, ALL);
    const { answer, echoedBy, ackedBy } = (await now(command.result))!;
    assert.deepEqual([answer?.message.componentId, echoedBy, ackedBy], [1, [2, 3], [3]]);
  });

  test('of two that are the same, each after its own frame', async (t) => {
    const { watch, play } = watched(t);
    const [first, second] = [watch.watch(LIGHT_ON, null), watch.watch(LIGHT_ON, null)];
    play(OWN_ON, ON_ECHO);
    assert.equal((await now(first.result))?.answer?.kind, 'echo');
    assert.equal(await now(second.result), null);
    play(OWN_ON, ON_ECHO);
    assert.equal((await now(second.result))?.answer?.kind, 'echo');
  });

  test('with a component and command of the highest numbers', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch({ ...LIGHT_ON, componentType: 7, componentId: 254, commandId: 255 }, null);
    play('own:010#3800FEFF20000001', '004#7800FEFE20000001');
    assert.equal(await now(command.result), null);
    play('004#7800FEFF20000001');
    assert.equal((await now(command.result))?.answer?.sample?.series.commandId, 255);
  });
});

describe('a command is refused', () => {
  const OWN: Frame = 'own:010#0800000420000002';
  const message: KartMessage = { ...LIGHT_ON, componentType: 1, commandId: 4, rawValue: 2 };

  test('by an ERROR of the node, whatever its value', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch(message, 0);
    play(OWN, '002#C800000420000004', '002#4800000420000002');
    const { answer, ownUs } = (await now(command.result))!;
    assert.deepEqual([answer?.kind, answer?.message.rawValue], ['error', 4]);
    assert.equal(answer?.sample?.series.messageType, MESSAGE_TYPE.ERROR);
    assert.equal(answer.timestampUs - ownUs!, 1000);
  });

  test('but not by one that says that a fault is over, nor of another command', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch(message, 0);
    play(OWN, '002#C800000420000000', '002#C800000920000004');
    assert.equal(await now(command.result), null);
  });

  test('with value 0, too, where the protocol has no such status', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch({ ...LIGHT_ON, rawValue: 0 }, null);
    play('own:010#0000000020000000', '004#C000000020000000');
    assert.equal((await now(command.result))?.answer?.kind, 'error');
  });
});

describe('a wait ends', () => {
  test('after its time, with what was seen until then', async (t) => {
    const { watch, play } = watched(t);
    const command = watch.watch(LIGHT_ON, null);
    play(OWN_ON, '004#8000000020000001');
    command.sent(10);
    const result = await command.result;
    assert.equal(result.answer, null);
    assert.deepEqual([result.ackedBy, result.isStopped, result.ownUs !== null], [[4], false, true]);
    // Nothing comes of what is late.
    assert.equal(play(ON_ECHO), 1);
  });

  test('when it is stopped, alone or with all others', async (t) => {
    const { watch } = watched(t);
    const [first, second, third] = [LIGHT_ON, STOP_ALL, LIGHT_ON].map((message) =>
      watch.watch(message, null),
    );
    first!.stop();
    assert.equal((await first!.result).isStopped, true);
    assert.equal(await now(second!.result), null);
    watch.stop();
    for (const { result } of [second!, third!]) assert.equal((await result).isStopped, true);
    // Too late for it, and no timer is left behind.
    third!.sent(LONG_MS);
  });
});

test('while none waits no frame is looked at', (t) => {
  const { watch } = watched(t);
  const batch = new Proxy(FrameBatch.allocate(1), {
    get: (_target, property) => assert.fail(`${String(property)} was read`),
  });
  assert.equal(watch.observe(batch), false);
});

test('an echo that the limit of series keeps out of the history is an echo all the same', async (t) => {
  const { watch } = watched(t);
  const command = watch.watch(LIGHT_ON, null);
  const batch = FrameBatch.allocate(4);
  batch.push(1, OUR_ID, FRAME_FLAG.OWN, Buffer.from('0000000020000001', 'hex'));
  batch.push(2, 4, 0, Buffer.from('4000000020000001', 'hex'));
  assert.equal(watch.observe(batch), true);
  // As if the decoder had no room for its series.
  watch.find(batch, { start: 0, end: 2 }, SampleBatch.allocate(4), 0);
  watch.settle();
  const { answer } = await command.result;
  assert.deepEqual([answer?.kind, answer?.sample], ['echo', null]);
});
