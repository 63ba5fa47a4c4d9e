import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { logLine } from '../../test/support/served-pipeline.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { SampleReply } from '../api/schemas.ts';
import { loadConfig } from '../config/load-config.ts';
import { SAMPLE_BATCH_SAMPLES_MAX, SAMPLE_BATCHES_MAX } from '../shared/limits.ts';
import { type Pipeline, startPipeline } from './pipeline.ts';

const FIRST_US = 1_764_000_000_123_456;
const RPM = '48 00 00 01 40 00 04 B0';
const TIMESTAMPS_US = [FIRST_US, FIRST_US + 43, FIRST_US + 44, FIRST_US + 1_000, FIRST_US + 999_999];
const LOG = TIMESTAMPS_US.map((timestampUs) => logLine(timestampUs, 2, RPM)).join('');

/** The data path, which has read the LOG to its end. */
async function ranPipeline(t: TestContext, flags: Record<string, string>): Promise<Pipeline> {
  const cwd = temporaryDirectory(t);
  writeFileSync(join(cwd, 'drive.log'), LOG);
  const bus = ['candump:drive.log?speed=max'];
  const common = { bus, db: 'collector.db', 'max-age': 'unlimited', 'flush-interval': '1min' };
  const { config } = loadConfig({ flags: { ...common, ...flags }, env: {}, cwd });
  const pipeline = await startPipeline(config, pino({ enabled: false }));
  t.after(() => pipeline.stop());
  await pipeline.ended;
  return pipeline;
}

async function timestampsUs({ history }: Pipeline): Promise<number[]> {
  const { text } = await history.query({ limit: 100, offset: 0, order: 'asc', format: 'json' });
  const samples: SampleReply[] = JSON.parse(new TextDecoder().decode(text));
  return samples.map(({ timestamp }) => Math.round(timestamp * 1_000_000));
}

const cases: [resolution: string | null, expected: number[]][] = [
  [null, TIMESTAMPS_US],
  ['1us', TIMESTAMPS_US],
  ['100us', [123_500, 123_500, 123_500, 124_500, 1_123_500].map((us) => 1_764_000_000_000_000 + us)],
  ['1ms', [123_000, 123_000, 124_000, 124_000, 1_123_000].map((us) => 1_764_000_000_000_000 + us)],
  ['1s', [0, 0, 0, 0, 1_000_000].map((us) => 1_764_000_000_000_000 + us)],
];
for (const [resolution, expected] of cases) {
  test(`at a resolution of ${resolution ?? 'nothing said'} timestamps are the same before and after they are stored`, async (t) => {
    const pipeline = await ranPipeline(t, resolution === null ? {} : { 'timestamp-resolution': resolution });
    assert.equal(pipeline.history.status().commits, 0);
    assert.deepEqual(await timestampsUs(pipeline), expected);
    await pipeline.history.flush();
    assert.equal(pipeline.history.status().size.samples, TIMESTAMPS_US.length);
    assert.deepEqual(await timestampsUs(pipeline), expected);
  });
}

test('what a controller tells of itself is a signal, in the state and in the history', async (t) => {
  const cwd = temporaryDirectory(t);
  const lines = [
    logLine(FIRST_US, 2, RPM),
    // Error-passive with 135 errors of sending, bus-off, and a restart.
    '(1764000001.000000) can0 20000204#0020000000008700\n',
    '(1764000002.000000) can0 20000040#0000000000000000\n',
    '(1764000003.000000) can0 20000100#0000000000000000\n',
  ];
  writeFileSync(join(cwd, 'drive.log'), lines.join(''));
  const flags = { bus: ['candump:drive.log?speed=max'], db: 'collector.db', 'max-age': 'unlimited' };
  const { config } = loadConfig({ flags, env: {}, cwd });
  const pipeline = await startPipeline(config, pino({ enabled: false }));
  t.after(() => pipeline.stop());
  await pipeline.ended;

  const { registry, history, state } = pipeline;
  const componentType = registry.componentTypeNumber('CAN_BUS')!;
  const query = { componentType, limit: 100, offset: 0, order: 'asc', format: 'json' } as const;
  const samples: SampleReply[] = JSON.parse(new TextDecoder().decode((await history.query(query)).text));
  assert.deepEqual(
    samples.map(({ timestamp, bus, component_id, command_id, value, value_name }) => [
      timestamp - 1_764_000_000,
      bus,
      component_id,
      command_id,
      value_name ?? value,
    ]),
    [
      [1, 'drive', 'drive', 'STATE', 'ERROR_PASSIVE'],
      [1, 'drive', 'drive', 'TX_ERRORS', 135],
      [1, 'drive', 'drive', 'RX_ERRORS', 0],
      [2, 'drive', 'drive', 'STATE', 'BUS_OFF'],
      [3, 'drive', 'drive', 'STATE', 'ERROR_ACTIVE'],
    ],
  );
  assert.deepEqual(
    [...state.current({ componentType })].map(({ series, value }) => [series.definition.commandId, value]),
    [
      ['STATE', 0],
      ['TX_ERRORS', 135],
      ['RX_ERRORS', 0],
    ],
  );
});

/** STATUS MOTORS RPM of node 2, so many milliseconds after the first moment; byte 1 says when it was made. */
function rpmLine(sentMs: number, madeMs: number): string {
  const byte1 = (madeMs & 0xff).toString(16).padStart(2, '0').toUpperCase();
  return logLine(FIRST_US + sentMs * 1000, 2, RPM.replace(' 00 ', ` ${byte1} `));
}

const SET_TIME = logLine(FIRST_US, 2, '28 00 04 07 60 00 00 01');
/** Frames that go at once, by which byte 1 proves itself, and one that waited for 50 ms. */
const ON_TIME_MS = Array.from({ length: 90 }, (_, index) => index + 1);
const LATE = `${ON_TIME_MS.map((ms) => rpmLine(ms, ms)).join('')}${rpmLine(400, 350)}`;

const replays: [what: string, log: string, options: string, expectedMs: number[] | null, redated: number][] =
  [
    ['in which nodes were synced', SET_TIME + LATE, 'speed=max', [0, ...ON_TIME_MS, 350.5], 1],
    ['without a sync', LATE, 'speed=max', [...ON_TIME_MS, 400], 0],
    // Its timestamps are those of the replay.
    ['at another pace', SET_TIME + LATE, 'speed=50&time=now', null, 0],
  ];
for (const [what, log, options, expectedMs, redated] of replays) {
  test(`of a log ${what}, ${redated} frames are dated by byte 1`, async (t) => {
    const cwd = temporaryDirectory(t);
    writeFileSync(join(cwd, 'drive.log'), log);
    const bus = [`candump:drive.log?${options}`];
    const flags = { bus, db: 'collector.db', 'max-age': 'unlimited', 'time-sync': '1s' };
    const { config } = loadConfig({ flags, env: {}, cwd });
    const pipeline = await startPipeline(config, pino({ enabled: false }));
    t.after(() => pipeline.stop());
    await pipeline.ended;
    const { framesRedated, master } = pipeline.sources[0]!.timeSync.status();
    assert.equal(framesRedated, redated);
    assert.equal(master, null, 'a log is never sent to');
    const timestamps = await timestampsUs(pipeline);
    if (expectedMs === null) assert.equal(timestamps.length, ON_TIME_MS.length + 2);
    else
      assert.deepEqual(
        timestamps,
        expectedMs.map((ms) => FIRST_US + ms * 1000),
      );
  });
}

test('a recording has the timestamps as they came', async (t) => {
  const cwd = temporaryDirectory(t);
  writeFileSync(join(cwd, 'drive.log'), SET_TIME + LATE);
  const flags = { bus: ['candump:drive.log?speed=max'], db: 'collector.db', recording: 'recording' };
  const more = { 'recording-compress': 'none', 'max-age': 'unlimited' };
  const { config } = loadConfig({ flags: { ...flags, ...more }, env: {}, cwd });
  const pipeline = await startPipeline(config, pino({ enabled: false }));
  await pipeline.ended;
  assert.equal(pipeline.sources[0]!.timeSync.status().framesRedated, 1);
  await pipeline.stop();
  const [file] = readdirSync(join(cwd, 'recording')).filter((name) => name.endsWith('.log'));
  const recorded = readFileSync(join(cwd, 'recording', file!), 'utf8').replaceAll(' drive ', ' can0 ');
  assert.equal(recorded, SET_TIME + LATE);
});

const intervals: [setting: string | null, expectedMs: (number | null)[]][] = [
  [null, [null, null, 1000, null]],
  ['simulated', [null, null, 1000, null]],
  ['off', [null, null, null, null]],
  ['250ms', [250, null, 250, null]],
];
for (const [setting, expectedMs] of intervals) {
  test(`with a time sync of ${setting ?? 'nothing said'}, CAN interfaces are sent to only if that was asked for`, async (t) => {
    const cwd = temporaryDirectory(t);
    const bus = [
      'socketcan:nosuchcan0',
      'socketcan:nosuchcan1?time_sync=off',
      'sim:kart',
      'candump:absent.log',
    ];
    const flags = { bus, db: 'collector.db', ...(setting !== null && { 'time-sync': setting }) };
    const { config } = loadConfig({ flags, env: {}, cwd });
    const pipeline = await startPipeline(config, pino({ enabled: false }));
    t.after(() => pipeline.stop());
    assert.deepEqual(
      pipeline.sources.map(({ timeSync }) => timeSync.status().master?.intervalMs ?? null),
      expectedMs,
    );
  });
}

test('of several logs at full speed nothing is lost, however far behind the writer is', async (t) => {
  const cwd = temporaryDirectory(t);
  const framesPerLog = 80_000;
  const lines = Array.from({ length: framesPerLog }, (_, at) => logLine(FIRST_US + at * 200, 2, RPM));
  const names = Array.from({ length: 8 }, (_, bus) => `drive-${bus}.log`);
  for (const name of names) writeFileSync(join(cwd, name), lines.join(''));
  const frames = names.length * framesPerLog;
  assert.ok(frames > SAMPLE_BATCHES_MAX * SAMPLE_BATCH_SAMPLES_MAX);
  const flags = {
    bus: names.map((name) => `candump:${name}?speed=max`),
    db: 'collector.db',
    'max-age': 'unlimited',
    'max-samples': 'unlimited',
  };
  const { config } = loadConfig({ flags, env: {}, cwd });
  const pipeline = await startPipeline(config, pino({ enabled: false }));
  t.after(() => pipeline.stop());
  // Nobody else can write meanwhile.
  const other = new DatabaseSync(join(cwd, 'collector.db'));
  other.exec('BEGIN IMMEDIATE');
  while (pipeline.history.hasRoom) await sleep(5);
  await sleep(300);
  other.close();
  await pipeline.ended;
  await pipeline.history.flush();
  const { samplesLost, size } = pipeline.history.status();
  assert.deepEqual([samplesLost, size.samples], [{ queue: 0, write: 0 }, frames]);
});
