import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { registry } from '../../test/support/samples.ts';
import { eventually } from '../../test/support/service.ts';
import { systemRoot } from '../../test/support/system-root.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { HostHealth } from './host-health.ts';
import { HostReader, type HostReading } from './host-reader.ts';
import { type HostSample, HostSignals } from './host-signals.ts';

const INTERVAL_MS = 20;
const FILES = { 'proc/uptime': '100.5 1\n', 'sys/class/thermal/thermal_zone0/temp': '50000\n' };

/** A bus that takes frames, refuses them, or isn't there. */
function busOf(does: 'take' | 'refuse' | 'be away') {
  const sent: CanFrame[] = [];
  return {
    sent,
    name: does,
    isOpen: does !== 'be away',
    async send(frame: CanFrame): Promise<void> {
      if (does === 'refuse') throw new Error('the queue is full');
      sent.push(frame);
    },
  };
}

function start(t: TestContext, reader: HostReader, sendOn: ReturnType<typeof busOf>[] = []) {
  const told: (readonly HostSample[])[] = [];
  const health = new HostHealth({
    intervalMs: INTERVAL_MS,
    reader,
    signals: new HostSignals(registry, new SeriesTable(registry), 0x10),
    sendOn,
    onSamples: (samples) => told.push(samples),
    log: pino({ enabled: false }),
  });
  t.after(() => health.stop());
  health.start();
  return { health, told };
}

const whenTold = (told: readonly unknown[], times: number) =>
  eventually(
    async () => told.length,
    (count) => count >= times,
  );

test('is told once an interval, and goes out on the buses that are there', async (t) => {
  const root = systemRoot(t, FILES);
  const buses = [busOf('take'), busOf('refuse'), busOf('be away')];
  const { health, told } = start(
    t,
    new HostReader({ root: root.path, diskFolder: '/no/such/folder' }),
    buses,
  );
  assert.equal(told.length, 0);
  await whenTold(told, 3);
  health.stop();
  await turn();
  assert.deepEqual(
    told[0]!.map(({ rawValue }) => rawValue),
    [101, 50],
  );
  const samples = told.length * 2;
  assert.deepEqual(
    buses[0]!.sent,
    told.flat().map(({ frame }) => frame),
  );
  assert.deepEqual(health.status(), {
    intervalMs: INTERVAL_MS,
    samples,
    framesSent: samples,
    sendFailures: samples,
  });
});

test('a reading that is held up is waited for, and one that ends after the stop is not told', async (t) => {
  const root = systemRoot(t, FILES);
  let readings = 0;
  let held = Promise.withResolvers<void>();
  class SlowReader extends HostReader {
    override async read(): Promise<HostReading> {
      readings++;
      await held.promise;
      return super.read();
    }
  }
  const { health, told } = start(t, new SlowReader({ root: root.path, diskFolder: root.path }));
  await new Promise((resolve) => setTimeout(resolve, 5 * INTERVAL_MS));
  assert.deepEqual([readings, told.length], [1, 0]);
  held.resolve();
  await whenTold(told, 1);
  held = Promise.withResolvers();
  const before = readings;
  await eventually(
    async () => readings,
    (count) => count > before,
  );
  health.stop();
  const toldBefore = told.length;
  held.resolve();
  await new Promise((resolve) => setTimeout(resolve, 3 * INTERVAL_MS));
  assert.equal(told.length, toldBefore);
});
