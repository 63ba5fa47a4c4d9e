import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import { SeriesSchema } from '../schemas.ts';

const FIRST_US = 1_764_000_000_000_000;
const RPM = 'signal=MOTORS/MOTOR_LEFT_REAR/RPM';

/** For 100 s, ten times a second: the left rear motor's RPM, which counts up, and once a second a temperature. */
const log = Array.from({ length: 1000 }, (_, index) => {
  const rpm = index.toString(16).padStart(6, '0');
  const line = logLine(FIRST_US + index * 100_000, 2, `48 00 00 01 40 ${rpm}`);
  return index % 10 === 0 ? line + logLine(FIRST_US + index * 100_000, 2, '48 00 00 09 30 00 01 2C') : line;
}).join('');
const served = await servePipeline({ after }, log);

test('a signal comes as equal spans with count, min, max, mean and last, in its unit', async () => {
  const reply = await served.getAs(SeriesSchema, `/api/series?${RPM}&from=1764000000&to=1764000100&points=4`);
  assert.deepEqual(reply, {
    from: 1_764_000_000,
    to: 1_764_000_100,
    step_s: 25,
    timestamps: [1_764_000_000, 1_764_000_025, 1_764_000_050, 1_764_000_075],
    signals: [
      {
        unit: 'rpm',
        value_names: null,
        count: [250, 250, 250, 250],
        min: [0, 250, 500, 750],
        max: [249, 499, 749, 999],
        mean: [124.5, 374.5, 624.5, 874.5],
        last: [249, 499, 749, 999],
      },
    ],
    gaps: [],
  });
});

test('several signals come in the order asked for; what was not heard is empty', async () => {
  const path = `/api/series?signal=motors/0/temperature&${RPM}&signal=MOTORS/MOTOR_RIGHT_REAR/RPM`;
  const { signals } = await served.getAs(
    SeriesSchema,
    `${path}&from=1764000000&to=2025-11-24T16:00:02Z&points=2`,
  );
  assert.deepEqual(
    signals.map(({ unit, count, last }) => ({ unit, count, last })),
    [
      { unit: '°C', count: [1, 1], last: [30, 30] },
      { unit: 'rpm', count: [10, 10], last: [9, 19] },
      { unit: null, count: [0, 0], last: [null, null] },
    ],
  );
});

test('a time without samples is empty, and without a time the last hour is meant', async () => {
  const before = await served.getAs(SeriesSchema, `/api/series?${RPM}&from=0&to=1000&points=3`);
  assert.deepEqual(before.signals[0]!.mean, [null, null, null]);
  const lastHour = await served.getAs(SeriesSchema, `/api/series?${RPM}`);
  assert.equal(lastHour.timestamps.length, 500);
  assert.equal(Math.round(lastHour.to - lastHour.from), 3600);
  assert.ok(Math.abs(lastHour.to - Date.now() / 1000) < 30);
});

test('no two spans begin at the same time, however many are asked for', async () => {
  const path = `/api/series?${RPM}&from=0&to=0.000003&points=10000`;
  assert.deepEqual((await served.getAs(SeriesSchema, path)).timestamps, [0, 0.000001, 0.000002]);
});

for (const [query, expected] of [
  ['', /Expected the parameter signal, found none/],
  [
    'signal=RPM',
    /component type\/component id\/command id, such as MOTORS\/MOTOR_LEFT_REAR\/RPM, found "RPM"/,
  ],
  ['signal=WHEELS/0/RPM', /There is no component type "WHEELS"/],
  ['signal=MOTORS/SPARE/RPM', /There is no component "SPARE" of MOTORS/],
  ['signal=MOTORS/0/FLY', /There is no command "FLY" of MOTORS/],
  [`${RPM}&points=0`, /points to be an integer from 1 to 10000, found 0/],
  [`${RPM}&from=5&to=5`, /from to be before to/],
  [`${RPM}&from=never`, /from as seconds|from to be seconds/],
  [`${RPM}&to=1&width=3`, /no parameter width/],
  [Array.from({ length: 65 }, () => RPM).join('&'), /signal/],
] as const) {
  test(`refuses ?${query.slice(0, 60)} and says what is right`, async () => {
    const { statusCode, message } = await served.refusal(`/api/series?${query}`);
    assert.equal(statusCode, 400);
    assert.match(message, expected);
  });
}
