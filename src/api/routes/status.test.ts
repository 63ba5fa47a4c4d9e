import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { assertIs, logLine, servePipeline } from '../../../test/support/served-pipeline.ts';
import { FRAME_OUTCOMES } from '../../protocol/frame-outcome.ts';
import { VERSION } from '../../version.ts';
import { HealthSchema, ReadinessSchema, StatusSchema } from '../schemas.ts';
import { createServer } from '../server.ts';

const FIRST_US = 1_764_000_000_123_456;
const RPM = '48 00 00 01 40 00 04 B0';

const LOG = [
  logLine(FIRST_US, 2, RPM),
  logLine(FIRST_US + 1, 2, RPM),
  logLine(FIRST_US + 2, 3, '70 00 2A 63 90 00 00 07'),
  logLine(FIRST_US + 3, 2, '48 00'),
].join('');

const served = await servePipeline({ after }, LOG);

describe('the status', () => {
  test('tells of buses, state, history, process and host, each in full', async () => {
    const status = await served.getAs(StatusSchema, '/api/status');
    assert.equal(status.version, VERSION);
    assert.equal(status.simulated, false);
    assert.deepEqual([status.state.signals, status.state.series], [2, 2]);

    const [bus] = status.buses;
    assert.ok(bus !== undefined && status.buses.length === 1);
    assert.deepEqual([bus.kind, bus.state, bus.problem, bus.frames], ['candump', 'ended', null, 4]);
    const outcomes = Object.fromEntries(FRAME_OUTCOMES.map((outcome) => [outcome, 0]));
    assert.deepEqual(bus.outcomes, { ...outcomes, decoded: 2, reserved_component_type: 1, wrong_length: 1 });
    assert.deepEqual(
      bus.can_ids.map(({ can_id, last_payload }) => [can_id, last_payload]),
      [
        [2, '4800'],
        [3, '70002a6390000007'],
      ],
    );
    assert.ok(bus.can_ids.every(({ last_seen }) => Math.floor(last_seen!) === 1_764_000_000));
    assert.equal(bus.bytes, 3 * 8 + 2);
    const counts = bus.can_ids.map(({ can_id, extended, frames, outcomes }) => ({
      can_id,
      extended,
      frames,
      outcomes,
    }));
    assert.deepEqual(counts, [
      { can_id: 2, extended: false, frames: 3, outcomes: { decoded: 2, wrong_length: 1 } },
      { can_id: 3, extended: false, frames: 1, outcomes: { reserved_component_type: 1 } },
    ]);

    const { history } = status;
    assert.deepEqual(
      [history.state, history.samples, history.samples_stored, history.problem],
      ['open', 3, 3, null],
    );
    assert.deepEqual(history.samples_lost, { queue: 0, write: 0 });
    assert.deepEqual(
      [history.first_timestamp, history.last_timestamp],
      [FIRST_US / 1e6, (FIRST_US + 2) / 1e6],
    );
    assert.deepEqual([history.max_age_s, history.max_samples], [null, null]);
    assert.ok(history.bytes > 0 && history.commits > 0 && history.last_commit_ms !== null);

    assert.equal(status.process.pid, process.pid);
    assert.ok(status.process.event_loop_busy >= 0 && status.process.event_loop_busy <= 1);
    assert.ok(status.host.disk_free_bytes !== null && status.host.disk_free_bytes > 0);
    assert.ok(status.uptime_s >= 0 && status.started <= status.timestamp);
  });

  test('of a bus that is unavailable says why', async (t) => {
    const unavailable = await servePipeline(t, '', ['candump:nowhere.log']);
    let bus: { state: string; problem: { code: string; message: string } | null } | undefined;
    do bus = (await unavailable.getAs(StatusSchema, '/api/status')).buses[1];
    while (bus?.state === 'starting');
    assert.equal(bus?.state, 'unavailable');
    assert.match(bus.problem?.message ?? '', /nowhere\.log/);
    assert.notEqual(bus.problem?.code, undefined);
  });
});

describe('readiness', () => {
  test('is given while the history is open and every bus is open or at its end', async () => {
    const reply = await served.getAs(ReadinessSchema, '/readyz');
    assert.deepEqual(reply, {
      ready: true,
      history: 'open',
      buses: { [served.pipeline.sources[0]!.bus.name]: 'ended' },
    });
  });

  test('is 503 while a bus is unavailable, and says which', async (t) => {
    const unavailable = await servePipeline(t, '', ['candump:nowhere.log']);
    let response: Response;
    let reply: unknown;
    do {
      response = await unavailable.get('/readyz');
      reply = await response.json();
      assertIs(ReadinessSchema, reply);
    } while (reply.buses.nowhere === 'starting');
    assert.equal(response.status, 503);
    assert.deepEqual([reply.ready, reply.buses.nowhere], [false, 'unavailable']);
    // Health is another matter.
    assert.deepEqual(await unavailable.getAs(HealthSchema, '/healthz'), { status: 'ok' });
  });

  test('is 503 when the history has failed', async () => {
    const status = await served.sources.status();
    const { instance } = createServer({
      ...served.sources,
      status: async () => ({ ...status, history: { ...status.history, state: 'failed' } }),
    });
    const response = await instance.inject('/readyz');
    assert.equal(response.statusCode, 503);
    assert.equal(response.json().history, 'failed');
  });
});

test('a problem and what is not known are null, not left out', async () => {
  const status = await served.sources.status();
  const problem = { code: 'HISTORY_WRITER_DIED', message: 'it died' };
  const setAside = { path: '/data/collector.db.damaged-20261123T040506Z', reason: 'malformed', at: 1 };
  const host = { ...status.host, temperature_c: null, disk_free_bytes: null };
  const { instance } = createServer({
    ...served.sources,
    status: async () => ({ ...status, host, history: { ...status.history, problem, set_aside: setAside } }),
  });
  const reply = (await instance.inject('/api/status')).json();
  assertIs(StatusSchema, reply);
  assert.deepEqual(reply.history.problem, problem);
  assert.equal(status.history.set_aside, null);
  assert.deepEqual(reply.history.set_aside, setAside);
  assert.equal(reply.host.temperature_c, null);
});
