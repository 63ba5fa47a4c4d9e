import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { logLine } from '../test/support/served-pipeline.ts';
import { temporaryDirectory } from '../test/support/temporary-directory.ts';
import type { SampleReply } from './api/schemas.ts';
import { loadConfig } from './config/load-config.ts';
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
