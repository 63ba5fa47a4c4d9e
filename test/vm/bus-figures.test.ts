import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { frameBits } from '../../src/bus/frame-bits.ts';
import { eventually, startService } from '../support/service.ts';

/** The figures of the kernel's vcan0 as signals. */

const BITRATE = 500_000;
const INTERVAL_S = 0.5;
const FRAMES = 200;
const ip = (...args: string[]) => execFileSync('ip', args);

test('are told while a bus is there, and of an idle one but once and at its end', async (t) => {
  const service = await startService({
    args: [
      ...['--bus', `socketcan:vcan0?bitrate=${BITRATE}`, '--host-interval', `${INTERVAL_S}s`],
      ...['--db', join(mkdtempSync(join(tmpdir(), 'bus-figures-')), 'collector.db'), '--port', '0'],
    ],
  });
  t.after(() => service.stop('SIGKILL'));
  const told = (command: string) =>
    service.history(`component_type=CAN_BUS&component_id=vcan0&command_id=${command}&order=asc&limit=10000`);
  const values = async (command: string) => (await told(command)).map(({ value }) => value);
  const healthSamples = async () => (await service.status()).host.health.samples;
  const intervals = async (count: number) => {
    const before = await healthSamples();
    await eventually(healthSamples, (samples) => samples >= before + 8 * count);
  };

  await eventually(
    () => values('LOAD'),
    ({ length }) => length > 0,
  );
  await intervals(4);
  for (const command of ['LOAD', 'FRAME_RATE', 'FRAMES_LOST']) assert.deepEqual(await values(command), [0]);

  execFileSync('cangen', [
    'vcan0',
    '-g',
    '1',
    '-I',
    '123',
    '-L',
    '8',
    '-D',
    '0000000000000000',
    '-n',
    `${FRAMES}`,
  ]);
  await eventually(
    () => told('FRAME_RATE'),
    (samples) => samples.length > 2 && samples.at(-1)!.value === 0,
  );
  // The zero of the interval before the first frame, all of the frames, and zero again.
  const rates = await told('FRAME_RATE');
  assert.deepEqual([rates[0]!.value, rates[1]!.value, rates.at(-1)!.value], [0, 0, 0]);
  assert.ok(rates[1]!.timestamp - rates[0]!.timestamp > 2 * INTERVAL_S);
  const sum = (samples: readonly { timestamp: number; value: number }[]) =>
    samples.reduce(
      (all, { timestamp, value }, at) =>
        at === 0 ? 0 : all + value * (timestamp - samples[at - 1]!.timestamp),
      0,
    );
  const frames = sum(rates.slice(1));
  assert.ok(Math.abs(frames - FRAMES) < FRAMES / 10, `${frames} frames`);
  const busyS = sum((await told('LOAD')).slice(1)) / 100;
  const { nominal } = frameBits(0x123, 0, new Uint8Array(8));
  const expectedS = (FRAMES * nominal) / BITRATE;
  assert.ok(Math.abs(busyS - expectedS) < expectedS / 10, `${busyS} s, expected ${expectedS} s`);
  assert.deepEqual(await values('FRAMES_LOST'), [0]);

  await intervals(2);
  ip('link', 'set', 'vcan0', 'down');
  await eventually(service.status, ({ buses }) => buses[0]!.state === 'unavailable');
  await intervals(3);
  const whileDown = await told('FRAME_RATE');
  assert.deepEqual(
    whileDown.slice(rates.length).map(({ value }) => value),
    [0],
    'until when it was so',
  );
  assert.deepEqual(await values('FRAMES_LOST'), [0, 0]);

  ip('link', 'set', 'vcan0', 'up');
  const again = await eventually(
    () => told('FRAME_RATE'),
    ({ length }) => length > whileDown.length,
  );
  assert.equal(again.length, whileDown.length + 1, 'and told anew');
  assert.deepEqual(await values('FRAMES_LOST'), [0, 0, 0]);
  const gaps = await eventually(
    () => service.gaps('bus=vcan0'),
    (found) => found.some(({ cause, ongoing }) => cause === 'bus_down' && !ongoing),
  );
  const { from, to } = gaps.find(({ cause }) => cause === 'bus_down')!;
  const [lastS, firstS] = [whileDown.at(-1)!.timestamp, again.at(-1)!.timestamp];
  assert.ok(lastS <= from && firstS >= to, `${lastS}, ${from} to ${to}, ${firstS}`);
});
