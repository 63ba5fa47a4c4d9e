import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { type CanFrame, FRAME_FLAG } from '../bus/can-frame.ts';
import { FrameBatch } from '../bus/frame-batch.ts';
import { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { SampleBatch } from '../protocol/sample-batch.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { BusError, type QueryError } from '../shared/errors.ts';
import {
  COMMANDS_PER_SECOND_MAX,
  COMMANDS_WAITING_MAX,
  EMERGENCY_STOPS_WAITING_MAX,
} from '../shared/limits.ts';
import { AuditLog } from './audit-log.ts';
import type { CommandBus } from './command-order.ts';
import type { CommandRecord, CommandRequest } from './command-record.ts';
import { CommandService } from './command-service.ts';
import { CommandWatch } from './command-watch.ts';

const registry = ProtocolRegistry.load();
const NODE_ID = 0x10;
const ASKER = { principal: 'driver', address: '192.0.2.7' };

const LIGHT_ON: CommandRequest = {
  componentType: 'LIGHTS',
  componentId: 'FRONT',
  commandId: 'MODE',
  value: 'ON',
};
const STOP: CommandRequest = {
  componentType: 'MOTORS',
  componentId: 'ALL',
  commandId: 'EMERGENCY',
  value: 'STOP',
  timeoutMs: 30_000,
};

/** A bus whose nodes do as the test says. */
class TestBus implements CommandBus {
  readonly name: string;
  readonly isLive: boolean;
  readonly watch: CommandWatch;
  readonly sent: CanFrame[] = [];
  /** Why it isn't open; null where it is. */
  closedBy: string | null = null;
  /** What a node says to a frame: the message type of its answer, null for nothing. */
  answersWith: number | null = 1;
  /** Takes a frame that the bus was given, or not. */
  take: () => Promise<void> = async () => {};

  constructor(name: string, isLive = true) {
    this.name = name;
    this.isLive = isLive;
    this.watch = new CommandWatch({ nodeId: NODE_ID, isOwnHeard: true, table: new SeriesTable(registry) });
  }

  isOpen(): boolean {
    return this.closedBy === null;
  }

  problem(): string | null {
    return this.closedBy;
  }

  async send(frame: CanFrame): Promise<void> {
    this.sent.push(frame);
    await this.take();
    setImmediate(() => this.#hear(frame));
  }

  #hear({ canId, payload }: CanFrame): void {
    const batch = FrameBatch.allocate(2);
    batch.push(1_764_000_000_000_000, canId, FRAME_FLAG.OWN, payload);
    if (this.answersWith !== null) {
      const answer = Uint8Array.from(payload);
      answer[0] = (this.answersWith << 6) | payload[0]!;
      batch.push(1_764_000_000_002_500, 2, 0, answer);
    }
    if (!this.watch.observe(batch)) return;
    this.watch.find(batch, { start: 0, end: batch.count }, SampleBatch.allocate(1), 0);
    this.watch.settle();
  }
}

interface Opened {
  readonly service: CommandService;
  readonly bus: TestBus;
  readonly auditPath: string;
  /** Asks on behalf of ASKER. */
  send(request: CommandRequest): ReturnType<CommandService['send']>;
  /** What a refused request is told. */
  refusal(request: CommandRequest): Promise<QueryError>;
  audited(): CommandRecord[];
}

function open(
  t: TestContext,
  {
    buses = [new TestBus('can0')],
    auditPath = join(temporaryDirectory(t), 'commands.log'),
    monotonicMs = () => 0,
  }: { buses?: readonly TestBus[]; auditPath?: string; monotonicMs?: () => number } = {},
): Opened {
  const log = pino({ enabled: false });
  const service = new CommandService({
    registry,
    buses,
    audit: new AuditLog({ path: auditPath, log }),
    timeoutMs: 50,
    log,
    monotonicMs,
  });
  t.after(() => service.stop());
  return {
    service,
    bus: buses[0]!,
    auditPath,
    send: (request) => service.send(request, ASKER),
    async refusal(request) {
      try {
        await service.send(request, ASKER);
      } catch (error) {
        return error as QueryError;
      }
      assert.fail('it was not refused');
    },
    audited: () =>
      readFileSync(auditPath, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
  };
}

function hexOf({ payload }: CanFrame): string {
  return Buffer.from(payload).toString('hex');
}

describe('a command', () => {
  test('is sent under our node id and answered when a node echoes it, once both are noted down', async (t) => {
    const { bus, send, audited, service } = open(t);
    const answer = await send(LIGHT_ON);
    assert.deepEqual(bus.sent.map(hexOf), ['0000000020000001']);
    assert.deepEqual([bus.sent[0]!.canId, bus.sent[0]!.isExtended], [NODE_ID, false]);
    assert.deepEqual(
      [
        answer.bus,
        answer.sentUs,
        answer.acknowledgedUs,
        answer.roundTripMs,
        answer.echoedBy,
        answer.isAudited,
      ],
      ['can0', 1_764_000_000_000_000, 1_764_000_000_002_500, 2.5, [2], true],
    );
    const [asked, done] = audited();
    assert.deepEqual([asked?.id, asked?.outcome, asked?.sent], [answer.id, 'sending', null]);
    const { time, ...rest } = done!;
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
    assert.deepEqual(rest, {
      id: answer.id,
      principal: 'driver',
      remote_address: '192.0.2.7',
      bus: 'can0',
      component_type: 'LIGHTS',
      component_id: 'FRONT',
      command_id: 'MODE',
      value: 1,
      value_name: 'ON',
      unit: null,
      value_type: 'UINT8',
      raw_value: 1,
      emergency_stop: false,
      outcome: 'acknowledged',
      code: null,
      message: null,
      sent: 1_764_000_000,
      round_trip_ms: 2.5,
      echoed_by: [2],
      acked_by: [],
      sent_as: null,
      asked: null,
      refusals_left_out: 0,
    });
    const { sent, acknowledged, waiting } = service.status();
    assert.deepEqual([sent, acknowledged, waiting], [1, 1, 0]);
    assert.deepEqual(service.newest(10), [done]);
  });

  test('that no node echoes is told so after its time, and where an ACK came, that', async (t) => {
    const { bus, refusal, audited, service } = open(t);
    bus.answersWith = 2;
    const error = await refusal({ ...LIGHT_ON, timeoutMs: 20 });
    assert.deepEqual([error.statusCode, error.code], [504, 'COMMAND_NOT_ACKNOWLEDGED']);
    assert.equal(
      error.message,
      'LIGHTS/FRONT/MODE = ON was sent on can0 at 1764000000.000, but no node echoed it within 0.02 s: it may have been acted on or not. An ACK came from node 2.',
    );
    const { outcome, code, acked_by, sent } = audited().at(-1)!;
    assert.deepEqual(
      [outcome, code, acked_by, sent],
      ['timed_out', 'COMMAND_NOT_ACKNOWLEDGED', [2], 1_764_000_000],
    );
    assert.equal(service.status().timedOut, 1);
  });

  test('that a node answers with an ERROR is told with its status', async (t) => {
    const { bus, refusal, audited, service } = open(t);
    bus.answersWith = 3;
    const error = await refusal({
      ...LIGHT_ON,
      componentType: 'MOTORS',
      componentId: 1,
      commandId: 'MODE',
      value: 4,
    });
    assert.deepEqual([error.statusCode, error.code], [502, 'COMMAND_REFUSED']);
    assert.equal(
      error.message,
      'Node 2 answered MOTORS/MOTOR_RIGHT_REAR/MODE = SPORT with an ERROR of MOTOR_RIGHT_REAR: ERROR_OVERTEMP.',
    );
    assert.equal(audited().at(-1)!.outcome, 'refused_by_node');
    assert.equal(service.status().refusedByNode, 1);
  });

  test('that the protocol does not know is refused and noted down as it was asked', async (t) => {
    const { bus, refusal, audited, service } = open(t);
    const error = await refusal({ ...LIGHT_ON, value: 'WARP', valueType: 'UINT8' });
    assert.deepEqual([error.statusCode, error.code], [400, 'VALUE_UNKNOWN']);
    const { outcome, code, component_type, value, value_type, raw_value } = audited().at(-1)!;
    assert.deepEqual(
      [outcome, code, component_type, value, value_type, raw_value],
      ['refused', 'VALUE_UNKNOWN', 'LIGHTS', 'WARP', 'UINT8', null],
    );
    assert.deepEqual([bus.sent.length, service.status().refused], [0, 1]);
  });

  test('for a bus that is not open says why, and is not sent', async (t) => {
    const { bus, refusal, audited, service } = open(t);
    bus.closedBy = 'can0 is down: sudo ip link set can0 up';
    const error = await refusal(LIGHT_ON);
    assert.deepEqual([error.statusCode, error.code], [503, 'BUS_UNAVAILABLE']);
    assert.equal(
      error.message,
      'The bus can0 is not open, so nothing was sent. can0 is down: sudo ip link set can0 up',
    );
    assert.equal(audited().at(-1)!.outcome, 'failed');
    assert.deepEqual([bus.sent.length, service.status().failed, service.status().sent], [0, 1, 0]);
  });

  test('that the bus does not take is told why', async (t) => {
    const { bus, refusal, service } = open(t);
    bus.take = async () => {
      throw new BusError('BUS_SEND_FAILED', 'the queue had no room');
    };
    const error = await refusal(LIGHT_ON);
    assert.deepEqual(
      [error.statusCode, error.code, error.message],
      [503, 'BUS_SEND_FAILED', 'the queue had no room'],
    );
    assert.deepEqual([service.status().failed, service.status().sent], [1, 0]);
  });

  test('waits for its time from when the bus has taken it', async (t) => {
    const { bus, send } = open(t);
    const taken = Promise.withResolvers<void>();
    bus.take = () => taken.promise;
    const answer = send({ ...LIGHT_ON, timeoutMs: 10 });
    setTimeout(() => taken.resolve(), 40);
    assert.equal((await answer).roundTripMs, 2.5);
  });
});

describe('the bus of a command', () => {
  test('is the only one that can be sent on, unless it is named', async (t) => {
    const buses = [new TestBus('drive', false), new TestBus('can0')];
    const { send } = open(t, { buses });
    assert.equal((await send(LIGHT_ON)).bus, 'can0');
    assert.equal((await send({ ...LIGHT_ON, bus: 'can0' })).bus, 'can0');
  });

  const cases: [what: string, buses: TestBus[], bus: string | undefined, code: string, message: RegExp][] = [
    [
      'not named of several',
      [new TestBus('a'), new TestBus('b')],
      undefined,
      'BUS_NEEDED',
      /these buses: a, b\./,
    ],
    ['missing', [new TestBus('a'), new TestBus('b')], 'c', 'BUS_UNKNOWN', /no bus "c"\. .* on: a, b\./],
    ['a log', [new TestBus('a'), new TestBus('log', false)], 'log', 'BUS_READ_ONLY', /is a log .* on: a\./],
    ['a log alone', [new TestBus('log', false)], undefined, 'BUS_NEEDED', /None of the buses can be sent on/],
    ['a log alone, by its name', [new TestBus('log', false)], 'log', 'BUS_READ_ONLY', /on: none\./],
  ];
  for (const [what, buses, bus, code, message] of cases) {
    test(`that is ${what} is refused`, async (t) => {
      const { refusal } = open(t, { buses });
      const error = await refusal({ ...LIGHT_ON, ...(bus !== undefined && { bus }) });
      assert.deepEqual([error.statusCode, error.code], [400, code]);
      assert.match(error.message, message);
      for (const { sent } of buses) assert.equal(sent.length, 0);
    });
  }
});

describe('too many commands', () => {
  test('in a second are refused, until there is room again; an emergency stop never is', async (t) => {
    let nowMs = 0;
    const { bus, send, refusal, audited } = open(t, { monotonicMs: () => nowMs });
    for (let sent = 0; sent < COMMANDS_PER_SECOND_MAX; sent++) await send(LIGHT_ON);
    const error = await refusal(LIGHT_ON);
    assert.deepEqual([error.statusCode, error.code], [429, 'COMMANDS_TOO_MANY']);
    assert.equal(bus.sent.length, COMMANDS_PER_SECOND_MAX);
    assert.equal(audited().at(-1)!.outcome, 'refused');

    for (const value of ['STOP', 'SHUTDOWN'])
      assert.deepEqual((await send({ ...STOP, value })).echoedBy, [2]);
    await send({ ...STOP, componentType: 'CONTROLS', componentId: 'SYSTEM' });
    assert.equal(audited().at(-1)!.emergency_stop, true);
    for (const value of ['NORMAL', 'LIMP_HOME']) {
      assert.equal((await refusal({ ...STOP, value })).code, 'COMMANDS_TOO_MANY', value);
    }

    nowMs += 2 * (1000 / COMMANDS_PER_SECOND_MAX);
    await send(LIGHT_ON);
    await send(LIGHT_ON);
    assert.equal((await refusal(LIGHT_ON)).code, 'COMMANDS_TOO_MANY');
  });

  test('that wait are refused; emergency stops have places of their own, and are sent without one, too', async (t) => {
    const { bus, send, refusal, service, audited } = open(t);
    bus.answersWith = null;
    const waiting = Array.from({ length: COMMANDS_WAITING_MAX }, () =>
      send({ ...LIGHT_ON, timeoutMs: 30_000 }),
    );
    const error = await refusal(LIGHT_ON);
    assert.deepEqual([error.statusCode, error.code], [503, 'COMMANDS_WAITING']);
    assert.match(error.message, /wasn't sent/);
    while (bus.sent.length < COMMANDS_WAITING_MAX) await new Promise(setImmediate);

    const stops: Promise<unknown>[] = [];
    for (let stop = 0; stop < EMERGENCY_STOPS_WAITING_MAX; stop++) {
      stops.push(send(STOP));
      // The one before has left for the bus.
      while (bus.sent.length < COMMANDS_WAITING_MAX + stop + 1) await new Promise(setImmediate);
      await new Promise(setImmediate);
    }
    assert.equal(service.status().waiting, COMMANDS_WAITING_MAX + EMERGENCY_STOPS_WAITING_MAX);
    const beyond = await refusal(STOP);
    assert.deepEqual([beyond.statusCode, beyond.code], [503, 'COMMANDS_WAITING']);
    assert.match(beyond.message, /^MOTORS\/ALL\/EMERGENCY = STOP was sent on can0 at .* nobody watched/);
    assert.equal(bus.sent.length, COMMANDS_WAITING_MAX + EMERGENCY_STOPS_WAITING_MAX + 1);
    assert.equal(audited().at(-1)!.outcome, 'timed_out');

    const ended = Promise.allSettled([...waiting, ...stops]);
    await service.stop();
    for (const { status } of await ended) assert.equal(status, 'rejected');
    assert.deepEqual([service.status().waiting, service.status().timedOut], [0, 1]);
  });
});

describe('an emergency stop', () => {
  test('that comes while the same is on its way to the bus is that one', async (t) => {
    const { bus, send, service, audited } = open(t);
    const taken = Promise.withResolvers<void>();
    bus.take = () => taken.promise;
    const first = send(STOP);
    const others = Array.from({ length: 10 }, () => send(STOP));
    const shutdown = send({ ...STOP, value: 'SHUTDOWN' });
    await new Promise(setImmediate);
    assert.deepEqual(bus.sent.map(hexOf), ['0800ff0620000001', '0800ff0620000003']);
    taken.resolve();
    const { id } = await first;
    const answers = await Promise.all(others);
    await shutdown;
    assert.equal(new Set([id, ...answers.map((answer) => answer.id)]).size, 11);
    for (const answer of answers) {
      assert.deepEqual([answer.echoedBy, answer.roundTripMs], [[2], 2.5]);
      assert.equal(audited().findLast((entry) => entry.id === answer.id)!.sent_as, id);
    }
    const { sent, acknowledged, stopsJoined } = service.status();
    assert.deepEqual([sent, acknowledged, stopsJoined], [2, 2, 10]);
    // The next one is a frame of its own again.
    await send(STOP);
    assert.equal(bus.sent.length, 3);
  });

  test('shares the fate of the one that it is', async (t) => {
    const { bus, refusal, send, service } = open(t);
    const taken = Promise.withResolvers<void>();
    bus.take = () => taken.promise;
    const fates = [refusal(STOP), refusal(STOP)];
    taken.reject(new BusError('BUS_SEND_FAILED', 'the queue had no room'));
    for (const fate of fates) assert.equal((await fate).code, 'BUS_SEND_FAILED');
    assert.deepEqual([bus.sent.length, service.status().failed], [1, 1]);
    bus.take = async () => {};
    await send(STOP);
    assert.equal(bus.sent.length, 2);
  });

  test('is not held up by the one before that found the bus closed', async (t) => {
    const { bus, refusal, send } = open(t);
    bus.closedBy = 'gone';
    assert.equal((await refusal(STOP)).code, 'BUS_UNAVAILABLE');
    bus.closedBy = null;
    await send(STOP);
    assert.equal(bus.sent.length, 1);
  });
});

describe('where the audit log cannot be written', () => {
  test('an ordinary command is not sent', async (t) => {
    const { bus, refusal, service } = open(t, { auditPath: '/dev/full' });
    const error = await refusal(LIGHT_ON);
    assert.deepEqual([error.statusCode, error.code], [503, 'COMMAND_NOT_AUDITED']);
    assert.match(error.message, /^The command wasn't sent, as .* \/dev\/full can't be written: ENOSPC/);
    const { failed, sent, audit } = service.status();
    assert.deepEqual([bus.sent.length, failed, sent, audit.failures > 0], [0, 1, 0, true]);
    assert.deepEqual(
      service.newest(1).map(({ outcome, code }) => [outcome, code]),
      [['failed', 'COMMAND_NOT_AUDITED']],
    );
  });

  test('an emergency stop is sent, and its answer says that it is not noted down', async (t) => {
    const { bus, send, service } = open(t, { auditPath: '/dev/full' });
    const answer = await send(STOP);
    assert.deepEqual([answer.echoedBy, answer.isAudited], [[2], false]);
    assert.equal(bus.sent.length, 1);
    const { acknowledged, audit } = service.status();
    assert.deepEqual([acknowledged, audit.linesWaiting], [1, 2]);
    assert.equal(service.newest(1)[0]?.outcome, 'acknowledged');
  });

  test('commands go out again once it can, and what was missed is noted down', async (t) => {
    const auditPath = join(temporaryDirectory(t), 'commands.log');
    mkdirSync(auditPath);
    const { send, refusal, audited } = open(t, { auditPath });
    await refusal(LIGHT_ON);
    await send(STOP);
    rmdirSync(auditPath);
    await send(LIGHT_ON);
    assert.deepEqual(
      audited().map(({ outcome }) => outcome),
      ['sending', 'failed', 'sending', 'acknowledged', 'sending', 'acknowledged'],
    );
  });
});

test('a stop of the service ends all waits, and notes that down', async (t) => {
  const { bus, refusal, service, audited } = open(t);
  bus.answersWith = null;
  const waiting = refusal({ ...LIGHT_ON, timeoutMs: 30_000 });
  while (service.status().sent === 0) await new Promise(setImmediate);
  await service.stop();
  const error = await waiting;
  assert.deepEqual([error.statusCode, error.code], [503, 'SERVICE_STOPPING']);
  assert.match(error.message, /was sent .* stopped before a node echoed it/);
  const { outcome, code, sent } = audited().at(-1)!;
  assert.deepEqual([outcome, code, sent !== null], ['failed', 'SERVICE_STOPPING', true]);
  for (const request of [LIGHT_ON, STOP]) {
    assert.equal((await refusal(request)).code, 'SERVICE_STOPPING');
  }
  assert.equal(bus.sent.length, 1);
});

test('what was refused before it came here is counted and noted down', async (t) => {
  const { service, audited } = open(t);
  const asked = JSON.stringify({ value: 'x'.repeat(1000) });
  await service.refuse({ code: 'TOKEN_MISSING', message: 'This needs a token.', asked }, ASKER);
  const { outcome, code, principal, remote_address, asked: noted } = audited()[0]!;
  assert.deepEqual(
    [outcome, code, principal, remote_address],
    ['refused', 'TOKEN_MISSING', 'driver', '192.0.2.7'],
  );
  assert.ok(noted!.startsWith('{"value":"xxx') && noted!.length < 600);
  assert.equal(service.status().refused, 1);
});
