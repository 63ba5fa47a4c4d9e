import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import type { StatusReply } from '../../src/api/schemas.ts';
import { Bus } from '../../src/bus/bus.ts';
import { parseBusUrl } from '../../src/bus/bus-url.ts';
import { eventually, type Service, startService } from '../support/service.ts';

/** Time sync on the kernel's vcan0: candump sees what the service sends, and a peer answers as the nodes do. */

const OUR_ID = 0x10;
const NODES = [2, 5];

/** How far a PING and a SET_TIME may be from what they should say when they are on the bus, however busy the VM is. */
const TIME_TOLERANCE_MS = 250;

interface SeenFrame {
  readonly timestampMs: number;
  readonly canId: number;
  /** Bytes 0 to 4, in hexadecimal. */
  readonly head: string;
  readonly value: number;
}

const PING = '2800040460';
const PONG = '6800040560';
const SET_TIME = '2800040760';

/** Every frame on the bus, as another socket sees it; `onFrame` is called for each. */
function watch(t: TestContext, onFrame: (frame: SeenFrame) => void = () => undefined): SeenFrame[] {
  const seen: SeenFrame[] = [];
  const candump = spawn('candump', ['-L', 'vcan0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => candump.kill());
  createInterface({ input: candump.stdout }).on('line', (line) => {
    const [, seconds, id, head, value] =
      /^\((\d+\.\d+)\) vcan0 ([0-9A-F]{3})#([0-9A-F]{10})([0-9A-F]{6})/.exec(line) ?? [];
    if (seconds === undefined) return;
    const frame = {
      timestampMs: Number(seconds) * 1000,
      canId: Number.parseInt(id!, 16),
      head: head!,
      value: Number.parseInt(value!, 16),
    };
    seen.push(frame);
    onFrame(frame);
  });
  return seen;
}

/** What sends as the nodes do. A cansend for each frame would take a tenth of a second here. */
async function openPeer(t: TestContext): Promise<{ send(frame: string): Promise<void> }> {
  const url = 'socketcan:vcan0';
  const bus = new Bus({
    name: 'peer',
    url,
    spec: parseBusUrl(url),
    log: pino({ enabled: false }),
    onFrames: (_batch, release) => release(),
  });
  bus.start();
  let isStopping = false;
  t.after(() => {
    isStopping = true;
    return bus.stop();
  });
  await eventually(
    async () => bus.isOpen,
    (isOpen) => isOpen,
  );
  return {
    async send(frame) {
      // A PING that comes while the test ends is left without an answer.
      if (isStopping) return;
      const [id, data] = frame.split('#');
      await bus.send({
        canId: Number.parseInt(id!, 16),
        isExtended: false,
        payload: Uint8Array.from(Buffer.from(data!, 'hex')),
      });
    },
  };
}

function cansend(frame: string): void {
  execFileSync('cansend', ['vcan0', frame]);
}

/** STATUS ... PONG of a node. */
function pong(nodeId: number, value: number): string {
  return `${hex(nodeId, 3)}#6800040560${hex(value, 6)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

async function start(t: TestContext, ...args: string[]): Promise<Service> {
  const database = join(mkdtempSync(join(tmpdir(), 'time-sync-')), 'collector.db');
  const service = await startService({
    args: ['--bus', 'socketcan:vcan0', '--db', database, '--port', '0', '--node-id', String(OUR_ID), ...args],
  });
  t.after(() => service.stop('SIGKILL'));
  await eventually(service.status, ({ buses }) => buses[0]?.state === 'open');
  return service;
}

function timeSync({ buses }: StatusReply): StatusReply['buses'][number]['time_sync'] {
  return buses[0]!.time_sync;
}

test('each PING is answered by the nodes, and each node told its time', async (t) => {
  const peer = await openPeer(t);
  const seen = watch(t, ({ canId, head, value }) => {
    if (head === PING && canId === OUR_ID) for (const nodeId of NODES) peer.send(pong(nodeId, value));
  });
  const service = await start(t, '--time-sync', '1s');
  const { nodes, pings, interval_s } = timeSync(
    await eventually(
      service.status,
      (status) =>
        timeSync(status).nodes.length === 2 && timeSync(status).nodes.every(({ pongs }) => pongs >= 3),
    ),
  );
  assert.equal(interval_s, 1);
  assert.deepEqual(
    nodes.map(({ node_id }) => node_id),
    NODES,
  );
  for (const { round_trip_ms: ms } of nodes) assert.ok(ms.min > 0 && ms.min <= ms.mean && ms.mean <= ms.max);

  const sent = seen.filter(({ head }) => head === PING);
  assert.ok(sent.length >= pings && pings >= 3, `${sent.length} seen, ${pings} counted`);
  for (const [index, { canId, value, timestampMs }] of sent.entries()) {
    assert.equal(canId, OUR_ID);
    assert.ok(apartMs(value, timestampMs) < TIME_TOLERANCE_MS, `PING says ${value} at ${timestampMs}`);
    if (index > 0) {
      const passedMs = (value - sent[index - 1]!.value + 2 ** 24) % 2 ** 24;
      // A PING may be late on a busy machine; it is never early by more than one was late before.
      assert.ok(passedMs > 500, `PINGs ${passedMs} ms apart`);
    }
  }

  const setTimes = await eventually(
    async () => seen.filter(({ head }) => head === SET_TIME),
    ({ length }) => length >= 6,
  );
  assert.deepEqual([...new Set(setTimes.map(({ canId }) => canId))].sort(), NODES);
  for (const setTime of setTimes) {
    const before = seen.slice(0, seen.indexOf(setTime));
    const asked = before.findLast(({ head }) => head === PING)!;
    const answered = before.findLast(({ head, canId }) => head === PONG && canId === setTime.canId)!;
    assert.equal(answered.value, asked.value);
    const nodeTimeMs = setTime.timestampMs + (answered.timestampMs - asked.timestampMs) / 2;
    const apart = apartMs(setTime.value, nodeTimeMs);
    assert.ok(apart < TIME_TOLERANCE_MS, `SET_TIME says ${setTime.value} at ${nodeTimeMs}`);
  }

  const { components } = await service.state();
  assert.equal(components.SYSTEM_MONITOR?.TIME_MASTER?.ROUNDTRIPTIME_MS?.unit, 'ms');
  const told = await eventually(
    () => service.history('component_type=SYSTEM_MONITOR&component_id=TIME_MASTER&limit=1000'),
    (samples) => samples.filter(({ command_id }) => command_id === 'SET_TIME').length >= 6,
  );
  for (const nodeId of NODES) {
    const ofNode = told.filter(({ node_id }) => node_id === nodeId);
    const roundTrips = ofNode.filter(({ command_id }) => command_id === 'ROUNDTRIPTIME_MS');
    const pongs = ofNode.filter(({ command_id }) => command_id === 'PONG');
    assert.ok(roundTrips.length >= 3);
    assert.deepEqual(
      roundTrips.map(({ timestamp }) => timestamp),
      pongs.map(({ timestamp }) => timestamp),
    );
  }
  // What we sent ourselves is in the history once, with the time at which candump saw it, too.
  const kept = told.filter(({ command_id }) => command_id === 'PING').map(({ value }) => value);
  assert.equal(new Set(kept).size, kept.length);
  assert.ok(kept.length >= 3);
  const keptTimes = told.filter(({ command_id }) => command_id === 'SET_TIME');
  for (const { timestamp, node_id, value, message_type } of keptTimes) {
    assert.equal(message_type, 'COMMAND');
    const twins = keptTimes.filter((other) => other.node_id === node_id && other.timestamp === timestamp);
    assert.equal(twins.length, 1, `${value}`);
  }
  assert.equal((await service.stop()).code, 0);
});

test('a frame that waited in its node is dated by byte 1', async (t) => {
  const peer = await openPeer(t);
  const seen = watch(t, ({ canId, head, value }) => {
    if (head === PING && canId === OUR_ID) peer.send(pong(2, value));
  });
  const service = await start(t, '--time-sync', '1s');
  await eventually(service.status, (status) => timeSync(status).nodes_dated === 1);
  // The node proves its byte 1, and then says of a frame that it is 100 ms old.
  const sinceSyncMs = () => Date.now() - seen.findLast(({ head }) => head === SET_TIME)!.timestampMs;
  const rpm = (ms: number) => `002#48${hex(Math.floor(ms) & 0xff || 1, 2)}000140000001`;
  await eventually(
    async () => {
      for (let frame = 0; frame < 20; frame++) await peer.send(rpm(sinceSyncMs()));
      const waitedMs = sinceSyncMs() - 100;
      // It can't have been made before the node's time was set.
      if (waitedMs > 0) await peer.send(rpm(waitedMs));
      return service.status();
    },
    (status) => timeSync(status).frames_redated > 0,
  );
  const samples = await service.history('component_type=MOTORS&limit=10000&order=asc');
  for (const [index, { timestamp }] of samples.entries()) {
    if (index > 0) assert.ok(timestamp >= samples[index - 1]!.timestamp, 'no sample goes backwards');
  }
});

test('unless it is asked for nothing is sent, nor where it is off', async (t) => {
  for (const args of [[], ['--time-sync', 'off']]) {
    const seen = watch(t);
    const service = await start(t, ...args);
    // A PONG that nobody asked for, and traffic for longer than a PING would take to come.
    for (let second = 0; second < 3; second++) {
      cansend(pong(2, 42));
      await new Promise((resolve) => setTimeout(resolve, 600));
    }
    const status = await eventually(service.status, ({ history }) => history.samples === 3);
    assert.equal(status.buses[0]!.frames_sent, 0);
    assert.equal(timeSync(status).enabled, false);
    assert.deepEqual(
      seen.map(({ head }) => head),
      Array(3).fill(PONG),
    );
    assert.equal((await service.stop()).code, 0);
  }
});

/** Between a value of 24 bits and a time, whichever goes ahead. */
function apartMs(value: number, timestampMs: number): number {
  const ahead = (value - Math.floor(timestampMs) + 2 ** 45) % 2 ** 24;
  return Math.min(ahead, 2 ** 24 - ahead);
}
