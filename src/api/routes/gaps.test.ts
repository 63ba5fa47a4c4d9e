import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import { GAPS_MAX } from '../../shared/limits.ts';
import { GapsSchema, SeriesSchema, StatusSchema } from '../schemas.ts';

const FIRST_US = 1_764_000_000_000_000;
const FIRST_S = FIRST_US / 1e6;
const RPM = 'signal=MOTORS/MOTOR_LEFT_REAR/RPM';

const served = await servePipeline({ after }, logLine(FIRST_US, 2, '48 00 00 01 40 00 04 B0'));
const { history } = served.pipeline;
const { name: bus } = served.pipeline.sources[0]!.bus;
for (const gap of [
  { bus: 'can1', cause: 'bus_down', fromUs: FIRST_US + 90_000_000, toUs: null, count: null },
  { bus, cause: 'kernel', fromUs: FIRST_US + 20_000_001, toUs: FIRST_US + 30_000_000, count: 42 },
  { bus: null, cause: 'disk', fromUs: FIRST_US + 10_000_000, toUs: FIRST_US + 40_000_000, count: 7 },
] as const) {
  history.gap(gap);
}
await history.flush();

const DISK = { bus: null, cause: 'disk', from: FIRST_S + 10, to: FIRST_S + 40, count: 7, ongoing: false };
const KERNEL = {
  bus,
  cause: 'kernel',
  from: FIRST_S + 20.000001,
  to: FIRST_S + 30,
  count: 42,
  ongoing: false,
};

test('gaps come in the order of their beginnings; one that lasts reaches to now', async () => {
  const beforeS = Date.now() / 1000;
  const { gaps } = await served.getAs(GapsSchema, '/api/gaps');
  assert.deepEqual(gaps.slice(0, 2), [DISK, KERNEL]);
  const { to, ...down } = gaps[2]!;
  assert.deepEqual(down, { bus: 'can1', cause: 'bus_down', from: FIRST_S + 90, count: null, ongoing: true });
  assert.ok(to >= Math.floor(beforeS) && to <= Date.now() / 1000);
  assert.equal(gaps.length, 3);
});

for (const [query, causes] of [
  ['limit=1', ['disk']],
  [`bus=${bus}`, ['disk', 'kernel']],
  ['bus=can1', ['disk', 'bus_down']],
  ['from=2025-11-24T16:00:40.000001Z', ['bus_down']],
  [`from=${FIRST_S + 30}&to=${FIRST_S + 89}`, ['disk', 'kernel']],
  [`to=${FIRST_S + 20}`, ['disk']],
  [`to=${FIRST_S}`, []],
] as const) {
  test(`those found by ?${query}`, async () => {
    const { gaps } = await served.getAs(GapsSchema, `/api/gaps?${query}`);
    assert.deepEqual(
      gaps.map(({ cause }) => cause),
      causes,
    );
  });
}

test('a plot gets those that touch its span, and of its bus if it has one', async () => {
  const gapsOf = async (query: string) =>
    (await served.getAs(SeriesSchema, `/api/series?${RPM}&points=2&${query}`)).gaps;
  assert.deepEqual(await gapsOf(`from=${FIRST_S}&to=${FIRST_S + 90}`), [DISK, KERNEL]);
  assert.deepEqual(await gapsOf(`from=${FIRST_S}&to=${FIRST_S + 90}&bus=can1`), [DISK]);
  // The end of its span is exclusive.
  assert.deepEqual(await gapsOf(`from=${FIRST_S}&to=${FIRST_S + 10}`), []);
  assert.equal((await gapsOf(`from=${FIRST_S + 60}&to=${FIRST_S + 90.000001}`))[0]?.ongoing, true);
});

test('the status says how many there are', async () => {
  const status = await served.getAs(StatusSchema, '/api/status');
  assert.deepEqual(status.history.gaps, { count: 3, max: GAPS_MAX });
});

for (const [query, expected] of [
  ['from=5&to=4', /from to be no later than to/],
  ['from=never', /from as seconds/],
  ['limit=0', /limit to be an integer from 1 to 10000, found 0/],
  ['limit=10001', /limit to be an integer from 1 to 10000, found 10001/],
  ['cause=disk', /no parameter cause; the parameters are: from, to, bus, limit/],
] as const) {
  test(`refuses ?${query} and says what is right`, async () => {
    const { statusCode, message } = await served.refusal(`/api/gaps?${query}`);
    assert.equal(statusCode, 400);
    assert.match(message, expected);
  });
}
