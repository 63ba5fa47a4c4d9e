import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BusFigures } from '../bus/bus.ts';
import { BusFigureRecorder, BusFigureSignals, type FigureSample } from './bus-figures.ts';
import { BusSeries, busComponentIds, busSignalDefinitions } from './bus-signals.ts';
import { ProtocolRegistry } from './protocol-registry.ts';
import { SeriesTable } from './series-table.ts';

const INTERVAL_MS = 5000;
const registry = ProtocolRegistry.load(undefined, [busSignalDefinitions(['can0'])]);

function figureSignals() {
  const table = new SeriesTable(registry);
  const signals = new BusFigureSignals(new BusSeries('can0', busComponentIds(['can0']).get('can0')!, table));
  const text = ({ series, rawValue, ageMs }: FigureSample) => {
    const { definition, conversion } = table.at(series);
    const at = ageMs === 0 ? '' : ` ${ageMs} ms ago`;
    return `${definition.commandId} ${conversion.toPhysical(rawValue)} ${definition.unit}${at}`;
  };
  let nowMs = 0;
  return {
    table,
    signals,
    /** What is told an interval later. */
    next: (figures: Partial<BusFigures> | null) => {
      nowMs += INTERVAL_MS;
      const whole = { framesPerS: 0, load: 0, isFirst: false, framesLost: 0 };
      return [...signals.samplesAt(nowMs, figures === null ? null : { ...whole, ...figures })].map(text);
    },
    end: (afterMs: number) => [...signals.end(nowMs + afterMs)].map(text),
  };
}

const BUSY = { framesPerS: 660.14, load: 0.158_04 };

test('a bus that carries frames is told of each time, the frames that were lost when there are more', () => {
  const { next } = figureSignals();
  const told = ['LOAD 15.8 %', 'FRAME_RATE 660.1 frames/s'];
  assert.deepEqual(next({ ...BUSY, isFirst: true }), [...told, 'FRAMES_LOST 0 frames']);
  assert.deepEqual(next(BUSY), told);
  assert.deepEqual(next({ ...BUSY, framesLost: 12 }), [
    ...told,
    'FRAMES_LOST 0 frames 5000 ms ago',
    'FRAMES_LOST 12 frames',
  ]);
  assert.deepEqual(next({ ...BUSY, framesLost: 12 }), told);
});

test('one on which nothing comes is told of once, and again when that ends', () => {
  const { next, end } = figureSignals();
  next(BUSY);
  assert.deepEqual(next({}), ['LOAD 0 %', 'FRAME_RATE 0 frames/s']);
  for (let tick = 0; tick < 10_000; tick++) assert.deepEqual(next({}), []);
  assert.deepEqual(next(BUSY), [
    'LOAD 0 % 5000 ms ago',
    'LOAD 15.8 %',
    'FRAME_RATE 0 frames/s 5000 ms ago',
    'FRAME_RATE 660.1 frames/s',
  ]);
  assert.deepEqual(next({}), ['LOAD 0 %', 'FRAME_RATE 0 frames/s']);
  assert.deepEqual(next(BUSY), ['LOAD 15.8 %', 'FRAME_RATE 660.1 frames/s'], 'nothing was left out');
  next({});
  next({});
  assert.deepEqual(end(300), [
    'LOAD 0 % 300 ms ago',
    'FRAME_RATE 0 frames/s 300 ms ago',
    'FRAMES_LOST 0 frames 300 ms ago',
  ]);
  assert.deepEqual(end(300), []);
});

test('while it is not heard nothing is told, and then all of it anew', () => {
  const { next } = figureSignals();
  next({});
  next({});
  const ended = (ms: number) => [
    `LOAD 0 % ${ms} ms ago`,
    `FRAME_RATE 0 frames/s ${ms} ms ago`,
    `FRAMES_LOST 0 frames ${ms} ms ago`,
  ];
  const anew = ['LOAD 0 %', 'FRAME_RATE 0 frames/s', 'FRAMES_LOST 0 frames'];
  assert.deepEqual(next(null), ended(INTERVAL_MS));
  assert.deepEqual(next(null), []);
  assert.deepEqual(next({ isFirst: true }), anew);
  next({});
  // It was lost and came back between two looks.
  assert.deepEqual(next({ isFirst: true }), [...ended(INTERVAL_MS), ...anew]);
});

test('where the bitrate is not known there is no load', () => {
  const { next } = figureSignals();
  const rate = 'FRAME_RATE 660.1 frames/s';
  assert.deepEqual(next({ ...BUSY, load: null }), [rate, 'FRAMES_LOST 0 frames']);
  assert.deepEqual(next(BUSY), ['LOAD 15.8 %', rate]);
  assert.deepEqual(next({ ...BUSY, load: 0 }), ['LOAD 0 %', rate]);
  assert.deepEqual(next({ ...BUSY, load: 0 }), [rate]);
  assert.deepEqual(next({ ...BUSY, load: null }), ['LOAD 0 % 5000 ms ago', rate]);
  assert.deepEqual(next({ ...BUSY, load: 0 }), ['LOAD 0 %', rate]);
});

test('what a sample cannot carry is the most that it can', () => {
  const { next } = figureSignals();
  assert.deepEqual(next({ framesPerS: 1e9, load: 100, framesLost: 1e9 }), [
    'LOAD 655.35 %',
    'FRAME_RATE 1677721.5 frames/s',
    'FRAMES_LOST 16777215 frames',
  ]);
});

test('lines between the samples pass through all that was measured', () => {
  const value = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 3 }));
  const tick = fc.option(
    fc.record({ load: value, lost: value, isFirst: fc.boolean(), isLoadKnown: fc.boolean() }),
    { freq: 8 },
  );
  const law = fc.property(fc.array(tick, { maxLength: 60 }), (ticks) => {
    const { table, signals } = figureSignals();
    const lines = new Map<string, { atMs: number; value: number }[]>();
    const measured = new Map<string, { atMs: number; value: number }[]>();
    const add = (to: typeof lines, quantity: string, point: { atMs: number; value: number }) =>
      to.set(quantity, [...(to.get(quantity) ?? []), point]);
    const take = (nowMs: number, { series, rawValue, ageMs }: FigureSample) =>
      add(lines, table.at(series).definition.commandId, { atMs: nowMs - ageMs, value: rawValue });
    let framesLost = 0;
    for (const [index, tick] of ticks.entries()) {
      const nowMs = (index + 1) * INTERVAL_MS;
      if (tick !== null) {
        framesLost += tick.lost;
        add(measured, 'FRAMES_LOST', { atMs: nowMs, value: framesLost });
        if (tick.isLoadKnown) add(measured, 'LOAD', { atMs: nowMs, value: tick.load });
      }
      const figures = tick && {
        load: tick.isLoadKnown ? tick.load / 10_000 : null,
        framesPerS: 0,
        framesLost,
        isFirst: tick.isFirst,
      };
      for (const sample of signals.samplesAt(nowMs, figures)) take(nowMs, sample);
    }
    const endMs = (ticks.length + 0.3) * INTERVAL_MS;
    for (const sample of signals.end(endMs)) take(endMs, sample);

    for (const [quantity, points] of measured) {
      const line = lines.get(quantity)!;
      for (const [at, point] of line.entries()) assert.ok(at === 0 || point.atMs > line[at - 1]!.atMs);
      for (const { atMs, value } of points) {
        const after = line.findIndex((point) => point.atMs >= atMs);
        assert.ok(after >= 0);
        const { atMs: toMs, value: to } = line[after]!;
        const from = toMs === atMs ? to : line[after - 1]!.value;
        assert.deepEqual([from, to], [value, value]);
      }
      // No sample for what wasn't measured.
      const times = new Set(points.map(({ atMs }) => atMs));
      assert.ok(line.every(({ atMs }) => times.has(atMs)));
    }
  });
  fc.assert(law);
});

test('buses are asked once an interval, and told of together', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const asked: number[] = [];
  const passed: string[][] = [];
  const { signals, table } = figureSignals();
  const of = ({ series }: FigureSample) => table.at(series).definition.commandId;
  let figures: BusFigures | null = { ...BUSY, isFirst: true, framesLost: 0 };
  const bus = {
    takeFigures(leastMs: number) {
      asked.push(leastMs);
      return figures;
    },
  };
  const recorder = new BusFigureRecorder({
    intervalMs: INTERVAL_MS,
    buses: [{ bus, signals }],
    onSamples: (samples) => void passed.push(samples.map(of)),
  });
  recorder.start();
  t.mock.timers.tick(INTERVAL_MS - 1);
  assert.deepEqual([asked, passed], [[], []]);
  t.mock.timers.tick(1);
  figures = null;
  t.mock.timers.tick(INTERVAL_MS);
  assert.deepEqual(asked, [INTERVAL_MS / 2, INTERVAL_MS / 2]);
  assert.deepEqual(passed, [['LOAD', 'FRAME_RATE', 'FRAMES_LOST']], 'nothing is not passed on');
  recorder.stop();
  t.mock.timers.tick(10 * INTERVAL_MS);
  assert.equal(asked.length, 2);
});
