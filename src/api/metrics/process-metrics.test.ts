import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '../../../test/support/service.ts';
import { systemRoot } from '../../../test/support/system-root.ts';
import { THREAD_NAMES_MAX } from '../../shared/limits.ts';
import { EventLoopDelay } from './event-loop-delay.ts';
import { GarbageCollection } from './garbage-collection.ts';
import type { MetricFamily } from './metric-family.ts';
import { parseThreadStat, ThreadCpu } from './thread-cpu.ts';

/** The values of all families, by name and label. */
function valuesOf(families: readonly MetricFamily[]): Map<string, number> {
  return new Map(
    families.flatMap(({ name, samples }) =>
      samples.map(({ suffix = '', labels, value }) => [
        [name + suffix, ...Object.values(labels)].join(' '),
        value,
      ]),
    ),
  );
}

test('a main thread that stands still is told, by however many scrapes', async (t) => {
  const delay = new EventLoopDelay();
  t.after(() => delay.stop());
  assert.equal(valuesOf(delay.metrics()).get('nodejs_eventloop_delay_max_seconds'), 0);
  delay.start();
  const count = async () => valuesOf(delay.metrics()).get('nodejs_eventloop_delay_seconds_count')!;
  const before = await eventually(count, (looks) => looks > 0);
  const untilMs = performance.now() + 200;
  while (performance.now() < untilMs);
  await eventually(count, (looks) => looks > before);
  for (let scrape = 0; scrape < 2; scrape++) {
    const values = valuesOf(delay.metrics());
    assert.ok(values.get('nodejs_eventloop_delay_max_seconds')! > 0.15);
    assert.ok(values.get('nodejs_eventloop_delay_seconds_sum')! > 0.15);
    const quantiles = [0.5, 0.9, 0.99].map(
      (quantile) => values.get(`nodejs_eventloop_delay_seconds ${quantile}`)!,
    );
    assert.deepEqual(quantiles, quantiles.toSorted());
  }
});

test('collections of garbage are counted, all of them', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const garbage = new GarbageCollection();
  t.after(() => garbage.stop());
  garbage.start();
  for (let time = 0; time < 5; time++) collect();
  const values = await eventually(
    async () => valuesOf(garbage.metrics()),
    (found) => found.get('nodejs_gc_duration_seconds_count major')! >= 5,
  );
  assert.ok(values.get('nodejs_gc_duration_seconds_sum major')! > 0);
});

/** A line as the kernel writes it, of a thread that took so many ticks in user mode and in the kernel. */
function stat(id: number, name: string, user: number, system: number): string {
  return `${id} (${name}) S 1 1 1 0 -1 4194368 5 0 0 0 ${user} ${system} 0 0 20 0 11 0 12345 1 2 3\n`;
}

test('CPU time is that of all threads of a name, of those that have ended, too', async (t) => {
  const root = systemRoot(t, {
    '10/stat': stat(10, 'MainThread', 100, 50),
    '11/stat': stat(11, 'bus can0', 10, 20),
    '12/stat': stat(12, 'V8Worker', 5, 0),
    '13/stat': stat(13, 'V8Worker', 6, 0),
    '14/stat': '',
  });
  const threads = new ThreadCpu(root.path);
  const name = 'collector_thread_cpu_seconds_total';
  // Twice at once: what is read first isn't counted again.
  const [first, second] = await Promise.all([threads.metrics(), threads.metrics()]);
  for (const families of [first!, second!]) {
    assert.deepEqual(Object.fromEntries(valuesOf(families)), {
      [`${name} main`]: 1.5,
      [`${name} bus can0`]: 0.3,
      [`${name} V8Worker`]: 0.11,
    });
  }
  rmSync(join(root.path, '11'), { recursive: true });
  root.write({ '13/stat': stat(13, 'V8Worker', 9, 0), '15/stat': stat(15, 'bus can0', 1, 0) });
  assert.deepEqual(Object.fromEntries(valuesOf(await threads.metrics())), {
    [`${name} main`]: 1.5,
    [`${name} bus can0`]: 0.31,
    [`${name} V8Worker`]: 0.14,
  });
});

test('however threads are called, there are so many names and no more', async (t) => {
  const root = systemRoot(t);
  for (let id = 0; id < THREAD_NAMES_MAX + 10; id++) {
    mkdirSync(join(root.path, String(id)));
    root.write({ [`${id}/stat`]: stat(id, `thread ${id}`, 100, 0) });
  }
  const values = valuesOf(await new ThreadCpu(root.path).metrics());
  assert.equal(values.size, THREAD_NAMES_MAX + 1);
  assert.equal(values.get('collector_thread_cpu_seconds_total others'), 10);
});

test('a machine without /proc has none', async () => {
  assert.equal(valuesOf(await new ThreadCpu('/no/such/folder').metrics()).size, 0);
});

test('the name of a thread may hold anything', () => {
  for (const name of ['bus can0', 'a) S 1 (b', '', '((', 'x\ny']) {
    assert.deepEqual(parseThreadStat(stat(7, name, 3, 4)), { name, ticks: 7 });
  }
  for (const text of ['', '7 (a', '7 (a) S 1 2 3']) assert.equal(parseThreadStat(text), null);
});
