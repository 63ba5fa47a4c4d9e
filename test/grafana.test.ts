import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { CSV_HEADER } from '../src/history/sample-writer.ts';
import { parseScrape, promtoolCheck, promtoolMissing } from './support/prometheus.ts';
import { logLine, servePipeline } from './support/served-pipeline.ts';
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
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const dashboard: Dashboard = JSON.parse(readFileSync(join(DOCS, 'grafana/telemetry-collector.json'), 'utf8'));
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const expressions = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ where: title, expr })),
);
const rules = readFileSync(join(DOCS, 'prometheus/telemetry-collector.rules.yml'), 'utf8');
const ruleExpressions = [...rules.matchAll(/^ +- alert: (\S+)\n +expr: (.*)$/gm)].map(([, where, expr]) => ({
  where: where!,
  expr: expr!,
}));

/** The metrics that an expression reads, with the names of the labels that it selects by. */
function metricsIn(expr: string): { metric: string; labels: string[] }[] {
  return [...expr.matchAll(/\b((?:collector|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(
    ([, metric, selectors]) => ({
      metric: metric!,
      labels: [...(selectors ?? '').matchAll(/(\w+) *[=!]~?/g)].map(([, label]) => label!),
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

test('every metric that the dashboard and the rules read is there, with the labels that they select by', async () => {
  const { types, values } = parseScrape(await (await served.get('/metrics')).text());
  const families = new Set<string>(types.keys());
  for (const [name, type] of types) {
    if (type === 'histogram') for (const suffix of ['_bucket', '_sum', '_count']) families.add(name + suffix);
  }
  const labelsOf = (metric: string) =>
    [...values.keys()]
      .filter((sample) => sample.startsWith(`${metric}{`))
      .flatMap((sample) => [...sample.matchAll(/[{,](\w+)="/g)].map(([, label]) => label));
  const variables = dashboard.templating.list.map(({ name, definition = '' }) => ({
    where: name,
    expr: definition,
  }));
  for (const { where, expr } of [...expressions, ...ruleExpressions, ...variables]) {
    for (const { metric, labels } of metricsIn(expr)) {
      assert.ok(families.has(metric), `${where}: ${metric}`);
      const known = labelsOf(metric);
      for (const label of labels) {
        // Prometheus itself says which instance it has scraped.
        if (label !== 'instance' && known.length > 0)
          assert.ok(known.includes(label), `${where}: ${metric} ${label}`);
      }
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
      if (!path!.includes('bus=host')) {
        const numbers = rows
          .flatMap((row) => Object.values(row))
          .filter((value) => typeof value === 'number');
        assert.ok(numbers.includes(0x0409), 'the last value of the log');
      }
    });
  }
});
