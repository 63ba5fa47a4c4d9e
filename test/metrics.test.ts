import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { growing, parseScrape, promtoolCheck, promtoolMissing, type Scrape } from './support/prometheus.ts';
import { logLine } from './support/served-pipeline.ts';
import { eventually, type Service, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

async function start(t: TestContext, cwd: string, ...args: string[]): Promise<Service> {
  const service = await startService({
    cwd,
    args: ['--db', 'collector.db', '--port', '0', '--flush-interval', '100ms', ...args],
  });
  t.after(() => service.child.kill('SIGKILL'));
  return service;
}

async function scrape({ url }: Service): Promise<Scrape & { readonly text: string }> {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4; charset=utf-8/);
  const text = await response.text();
  return { ...parseScrape(text), text };
}

test('promtool finds nothing wrong with the metrics of a service', { skip: promtoolMissing }, async (t) => {
  const service = await start(
    t,
    temporaryDirectory(t),
    ...['--bus', 'sim:kart', '--bus', 'socketcan:nosuchcan0', '--recording', 'can'],
    ...['--host-interval', '100ms', '--host-send', 'sim'],
  );
  await eventually(service.status, ({ history, host }) => history.commits > 0 && host.health.frames_sent > 0);
  const { text } = await scrape(service);
  promtoolCheck(['metrics'], text);
});

test('they say what the status says', async (t) => {
  const service = await start(t, temporaryDirectory(t), '--recording', 'can', '--host-interval', '100ms');
  await eventually(service.status, ({ history, recording }) => history.commits > 2 && recording!.frames > 0);
  await service.history('limit=10');
  await fetch(`${service.url}/api/series?signal=MOTORS/MOTOR_LEFT_REAR/RPM`);
  // Of addresses at which there is nothing a client can make any number: they count as one.
  for (const path of ['nowhere/at/all', 'nor/here']) await fetch(`${service.url}/${path}`);
  const before = await service.status();
  const { values } = await scrape(service);
  const after = await service.status();
  const between: [sample: string, of: (status: typeof before) => number][] = [
    ['collector_bus_frames_total{bus="sim"}', ({ buses }) => buses[0]!.frames],
    ['collector_bus_payload_bytes_total{bus="sim"}', ({ buses }) => buses[0]!.bytes],
    [
      'collector_bus_frame_outcomes_total{bus="sim",outcome="decoded"}',
      ({ buses }) => buses[0]!.outcomes.decoded!,
    ],
    ['collector_bus_frames_sent_total{bus="sim"}', ({ buses }) => buses[0]!.frames_sent],
    ['collector_history_samples', ({ history }) => history.samples],
    ['collector_history_samples_stored_total', ({ history }) => history.samples_stored],
    ['collector_history_commit_duration_seconds_count', ({ history }) => history.commits],
    ['collector_recording_frames_total', ({ recording }) => recording!.frames],
    ['collector_host_health_samples_total', ({ host }) => host.health.samples],
    ['collector_host_uptime_seconds', ({ host }) => host.uptime_s],
    ['process_cpu_seconds_total', ({ process }) => process.cpu_s],
  ];
  for (const [sample, of] of between) {
    const value = values.get(sample);
    assert.ok(value !== undefined && value > 0, sample);
    assert.ok(
      value >= of(before) && value <= of(after),
      `${of(before)} to ${value} to ${of(after)}: ${sample}`,
    );
  }
  // biome-ignore format: a table
  const exact: [sample: string, value: number | undefined][] = [
    [`collector_build_info{version="${before.version}",node="${before.process.node}"}`, 1],
    ['collector_simulated', 1],
    ['collector_bus_info{bus="sim",kind="sim"}', 1],
    ['collector_bus_state{bus="sim",state="open"}', 1],
    ['collector_bus_state{bus="sim",state="unavailable"}', 0],
    ['collector_bus_frames_lost_total{bus="sim",reason="interface"}', 0],
    ['collector_bus_frames_lost_total{bus="sim",reason="kernel"}', 0],
    ['collector_bus_send_queue_limit_frames{bus="sim"}', 256],
    ['collector_bus_controller_state{bus="sim",state="unknown"}', 1],
    ['collector_history_state{state="open"}', 1],
    ['collector_history_samples_lost_total{reason="queue"}', 0],
    ['collector_history_queries_limit', before.history.queries.max],
    ['collector_history_size_limit_bytes', before.history.max_bytes ?? undefined],
    // There is no limit, so there is no such sample.
    ['collector_history_samples_limit', undefined],
    ['collector_recording_state{state="recording"}', 1],
    ['collector_history_query_duration_seconds_count{kind="series"}', 1],
    ['collector_http_requests_total{route="none",method="GET",code="404"}', 2],
    ['collector_http_requests_total{route="/api/series",method="GET",code="200"}', 1],
  ];
  for (const [sample, value] of exact) assert.equal(values.get(sample), value, sample);
});

test('a busy service is scraped at any time, and no counter ever goes back', async (t) => {
  const service = await start(
    t,
    temporaryDirectory(t),
    ...['--bus', 'sim:kart?rate=10', '--bus', 'sim:kart?seed=2&rate=10', '--recording', 'can'],
    ...['--host-interval', '100ms'],
  );
  let last = growing(await scrape(service));
  const first = last;
  for (let round = 0; round < 5; round++) {
    // Several at once, as two Prometheus servers and a person may come together; and other requests beside them.
    const answers = await Promise.all([
      scrape(service),
      scrape(service),
      scrape(service),
      service.history('limit=1000'),
      service.state(),
    ]);
    for (const answer of answers.slice(0, 3)) {
      const now = growing(answer as Scrape);
      for (const [sample, value] of last) {
        assert.ok((now.get(sample) ?? -1) >= value, `${sample} was ${value}, is ${now.get(sample)}`);
      }
    }
    last = growing(await scrape(service));
  }
  const frames = 'collector_bus_frames_total{bus="sim"}';
  assert.ok(last.get(frames)! > first.get(frames)!, 'the bus was busy meanwhile');
  assert.equal(last.get('collector_history_samples_lost_total{reason="queue"}'), 0);
});

test('whatever comes over a bus, there are no more of them', async (t) => {
  const cwd = temporaryDirectory(t);
  const firstUs = 1_764_000_000_000_000;
  writeFileSync(join(cwd, 'quiet.log'), logLine(firstUs, 2, '48 00 00 01 40 00 04 B0'));
  const quiet = await start(t, cwd, '--bus', 'candump:quiet.log?speed=max');
  await eventually(quiet.status, ({ history }) => history.samples === 1);
  await scrape(quiet);
  const expected = samplesOfStages(await scrape(quiet));
  await quiet.stop();

  // Every CAN id, and every quantity that 8 bits can name.
  const noise = Array.from({ length: 2048 }, (_, id) =>
    logLine(firstUs + id, id, `48 00 ${hex(id & 0xff)} ${hex(id >> 3)} 40 00 04 B0`),
  );
  writeFileSync(join(cwd, 'quiet.log'), noise.join(''));
  const noisy = await start(t, cwd, '--bus', 'candump:quiet.log?speed=max');
  await eventually(noisy.status, ({ history }) => history.samples === 1 + noise.length);
  await scrape(noisy);
  assert.deepEqual(samplesOfStages(await scrape(noisy)), expected);
});

/** But for those of Node.js, whose threads come and go. */
function samplesOfStages({ values }: Scrape): string[] {
  return [...values.keys()].filter((sample) => !/^(process|nodejs|collector_thread)_/.test(sample)).sort();
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
