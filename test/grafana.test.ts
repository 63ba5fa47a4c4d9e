import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { CSV_HEADER } from '../src/history/reader/sample-writer.ts';
import { parseScrape, promtoolCheck, promtoolMissing, type Scrape } from './support/prometheus.ts';
import { logLine, servePipeline } from './support/served-pipeline.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** What the documents for Grafana and Prometheus say, against a pipeline that serves. */

const DOCS = join(import.meta.dirname, '../docs');
const FIRST_US = 1_764_000_000_000_000;
const LAST_US = FIRST_US + 9_000_000;

const served = await servePipeline(
  { after },
  Array.from({ length: 10 }, (_, second) =>
    [
      logLine(FIRST_US + second * 1_000_000, 2, `48 00 00 01 40 00 04 ${hex(second)}`),
      logLine(FIRST_US + second * 1_000_000 + 1, 4, `60 00 01 0D 60 00 10 ${hex(second)}`),
      logLine(FIRST_US + second * 1_000_000 + 2, 0x10, '08 00 00 04 20 00 00 04'),
    ].join(''),
  ).join(''),
);

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly panels?: readonly Panel[];
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat?: string;
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const dashboard: Dashboard = JSON.parse(readFileSync(join(DOCS, 'grafana/telemetry-collector.json'), 'utf8'));
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const expressions = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat = '' }) => ({ where: title, expr, legend: legendFormat })),
);
const rules = readFileSync(join(DOCS, 'prometheus/telemetry-collector.rules.yml'), 'utf8');
const ruleExpressions = [...rules.matchAll(/^ +- alert: (\S+)\n +expr: (.*)$/gm)].map(([, where, expr]) => ({
  where: where!,
  expr: expr!,
  legend: '',
}));

interface MetricRead {
  readonly metric: string;
  /** The names of the labels that it is selected by. */
  readonly labels: readonly string[];
  /** The values that labels are to have, as `state="open"`. */
  readonly selected: readonly string[];
}

/** The metrics that an expression reads. */
function metricsIn(expr: string): MetricRead[] {
  return [...expr.matchAll(/\b((?:collector|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(
    ([, metric, selectors = '']) => ({
      metric: metric!,
      labels: [...selectors.matchAll(/(\w+) *[=!]~?/g)].map(([, label]) => label!),
      selected: [...selectors.matchAll(/\w+="[^"$]*"/g)].map(([text]) => text),
    }),
  );
}

describe('the dashboard', () => {
  test('has panels, each with an id, a title and a place of its own', () => {
    assert.ok(expressions.length > 40);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos, targets = [] } of panels) {
      const { x, y, w, h } = gridPos;
      assert.ok(x >= 0 && x + w <= 24, title);
      for (let cell = 0; cell < w * h; cell++) {
        const place = `${x + (cell % w)} ${y + Math.floor(cell / w)}`;
        assert.ok(!taken.has(place), `${title} lies over another at ${place}`);
        taken.add(place);
      }
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
  });

  test('is of the instance and the buses that are chosen', () => {
    const variables = dashboard.templating.list.map(({ name }) => name);
    assert.deepEqual(variables, ['datasource', 'instance', 'bus']);
    for (const { where, expr } of expressions) {
      for (const { metric, labels } of metricsIn(expr)) {
        assert.ok(labels.includes('instance'), `${where}: ${metric}`);
        const isOfBuses = metric.startsWith('collector_bus_') || metric.startsWith('collector_time_sync_');
        if (isOfBuses && where !== 'Lost') assert.ok(labels.includes('bus'), `${where}: ${metric}`);
      }
      for (const [, variable] of expr.matchAll(/\$(?!__)(\w+)/g))
        assert.ok(variables.includes(variable!), expr);
    }
  });
});

/** What a machine without CAN, sensors or a certificate lacks; of all else a simulated kart has values. */
const NOT_EVERYWHERE: readonly string[] = [
  'collector_bus_controller_errors',
  'collector_host_temperature_celsius',
  'collector_api_certificate_expiry_timestamp_seconds',
];

test('every metric that the dashboard and the rules read is told by a running service, with the labels that they go by', async (t) => {
  const service = await startService({
    cwd: temporaryDirectory(t),
    args: ['--db', 'collector.db', '--port', '0', '--commands', 'on', '--recording', 'can'],
  });
  t.after(() => service.stop('SIGKILL'));
  // What takes time has been timed only once it was asked for.
  await service.history('message_type=STATUS&limit=10000');
  await eventually(service.status, ({ history }) => history.commits > 0);
  const scrape = async () => parseScrape(await (await fetch(`${service.url}/metrics`)).text());
  const isCollected = ({ values }: Scrape) =>
    [...values.keys()].some((sample) => sample.startsWith('nodejs_gc_duration_seconds_count'));
  const { types, values } = await eventually(scrape, isCollected);
  const samples = [...values.keys()];
  const nameOf = (sample: string) => sample.replace(/\{.*/, '');
  const labelsOf = (sample: string) => [...sample.matchAll(/[{,](\w+)="/g)].map(([, label]) => label!);
  const variables = dashboard.templating.list.map(({ name, definition = '' }) => ({
    where: name,
    expr: definition,
    legend: '',
  }));
  for (const { where, expr, legend } of [...expressions, ...ruleExpressions, ...variables]) {
    // Prometheus itself says which instance it has scraped.
    const known = new Set(['instance']);
    const metrics = metricsIn(expr);
    for (const { metric, labels, selected } of metrics) {
      if (NOT_EVERYWHERE.includes(metric)) {
        assert.ok(types.has(metric), `${where}: ${metric}`);
        continue;
      }
      const ofMetric = samples.filter((sample) => nameOf(sample) === metric);
      assert.ok(ofMetric.length > 0, `${where}: ${metric}`);
      for (const label of ofMetric.flatMap(labelsOf)) known.add(label);
      for (const label of labels) assert.ok(known.has(label), `${where}: ${metric} has no ${label}`);
      for (const label of selected)
        assert.ok(
          ofMetric.some((sample) => sample.includes(label)),
          `${where}: ${metric} is never ${label}`,
        );
    }
    if (metrics.some(({ metric }) => NOT_EVERYWHERE.includes(metric))) continue;
    for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
      assert.ok(known.has(label!), `${where}: the legend shows ${label}, which its metric has not`);
    }
  }
  assert.ok(ruleExpressions.length >= 10);
});

test('Prometheus understands every query, the rules and the configuration', {
  skip: promtoolMissing,
}, (t) => {
  const asRules = expressions.map(({ expr }, index) => ({
    record: `expression:${index}`,
    expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$__range', '1h').replaceAll(/\$\w+/g, '.*'),
  }));
  // JSON is YAML.
  const path = join(temporaryDirectory(t), 'dashboard.rules.yml');
  writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules: asRules }] }));
  promtoolCheck(['rules', path]);
  promtoolCheck(['config', join(DOCS, 'prometheus/prometheus.yml')]);
});

/** The queries of docs/grafana.md: a URL, and what makes rows of its answer: a selector for jq or the names of columns. */
function documentedQueries(): { url: string; kind: 'jq' | 'csv'; text: string }[] {
  const page = readFileSync(join(DOCS, 'grafana.md'), 'utf8');
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)\n```$/gms)].map(([, kind, text]) => ({
    kind,
    text: text!,
  }));
  const queries: ReturnType<typeof documentedQueries> = [];
  for (let at = 0; at < blocks.length; at += 2) {
    const [url, rows] = [blocks[at]!, blocks[at + 1]];
    assert.equal(url.kind, 'url');
    assert.ok(rows?.kind === 'jq' || rows?.kind === 'csv', url.text);
    queries.push({ url: url.text, kind: rows.kind, text: rows.text });
  }
  return queries;
}

const jqMissing = spawnSync('jq', ['--version']).error !== undefined && 'missing: apt-get install jq';

describe('what docs/grafana.md asks of the history', () => {
  const isoOf = (timestampUs: number) => new Date(timestampUs / 1000).toISOString();
  const queries = documentedQueries();
  assert.ok(queries.length >= 6);

  const shown: Readonly<Record<string, string>> = { from: isoOf(FIRST_US), to: isoOf(LAST_US + 1_000_000) };

  /** Asks as Grafana does, which shows the time of the log. */
  const ask = (url: string, accept: string) =>
    served.get(
      url.replaceAll(/\$\{__(from|to):date:iso\}/g, (_, name: string) => shown[name]!),
      { accept },
    );

  for (const { url, kind, text } of queries) {
    const [path] = url.split('&from=');
    if (kind === 'csv') {
      test(`${path} has the columns, as CSV`, async () => {
        const response = await ask(url, 'text/csv');
        assert.match(response.headers.get('content-type') ?? '', /^text\/csv/);
        const [header, ...lines] = (await response.text()).trim().split('\n');
        assert.equal(header, text);
        assert.equal(`${header}\n`, CSV_HEADER.replace('\r', ''));
        assert.equal(lines.length, 10);
      });
      continue;
    }
    test(`${path} gives rows with times and numbers`, { skip: jqMissing }, async () => {
      const response = await ask(url, 'application/json');
      assert.equal(response.status, 200);
      const { stdout, stderr, status } = spawnSync('jq', ['-c', text], {
        input: await response.text(),
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      const rows: Record<string, unknown>[] = stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
      // With a log alone there are no gaps, and no machine is recorded.
      if (path!.startsWith('/api/gaps')) return;
      assert.ok(rows.length >= 10, String(rows.length));
      for (const { time } of rows) {
        assert.ok(Number(time) >= FIRST_US / 1000 && Number(time) <= LAST_US / 1000 + 1000, `${time}`);
      }
      if (path!.includes('message_type=COMMAND')) {
        assert.equal(rows[0]!.title, 'MOTORS/MOTOR_LEFT_REAR/MODE');
        assert.equal(rows[0]!.text, 'SPORT, asked by node 16 on drive');
      } else if (!path!.includes('bus=host')) {
        const numbers = rows
          .flatMap((row) => Object.values(row))
          .filter((value) => typeof value === 'number');
        assert.ok(numbers.includes(0x0409), 'the last value of the log');
      }
    });
  }
});
