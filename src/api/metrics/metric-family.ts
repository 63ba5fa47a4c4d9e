import type { Metric } from 'prom-client';
import { DURATION_BOUNDS_S, type DurationCounts } from '../../shared/duration-histogram.ts';

/**
 * What Prometheus reads, as plain data. A stage counts by itself, in its own words; when somebody scrapes, what it has
 * counted becomes families here, and prom-client writes them (the text format is at
 * https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows. A label's values
 * are few and known: buses, reasons, states, routes; never CAN ids or signals.
 */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** Of a histogram or a summary, what stands behind the family's name; nothing else has one. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels: Labels;
  readonly value: number;
}

export type Labels = Readonly<Record<string, string | number>>;

/** Gives families when somebody scrapes: how parts of the API with figures of their own have them shown. */
export type MetricsSource = () => readonly MetricFamily[];

/** One value, or one for each set of labels; what isn't known is null, and left out. */
export type Values = number | null | readonly (readonly [labels: Labels, value: number | null])[];

/** What only grows, over the life of the process. */
export function counter(name: string, help: string, values: Values): MetricFamily {
  return { name, help, type: 'counter', samples: samplesOf(values) };
}

export function gauge(name: string, help: string, values: Values): MetricFamily {
  return { name, help, type: 'gauge', samples: samplesOf(values) };
}

/** One sample for each state that there can be, 1 for the one that is. */
export function stateSet(
  name: string,
  help: string,
  states: readonly string[],
  values: readonly (readonly [labels: Labels, state: string])[],
): MetricFamily {
  const samples = values.flatMap(([labels, present]) =>
    states.map((state) => ({ labels: { ...labels, state }, value: state === present ? 1 : 0 })),
  );
  return { name, help, type: 'gauge', samples };
}

export function histogram(
  name: string,
  help: string,
  values: readonly (readonly [labels: Labels, counts: DurationCounts])[],
): MetricFamily {
  const samples = values.flatMap(([labels, { atMost, count, sumS }]): MetricSample[] => [
    ...DURATION_BOUNDS_S.map((boundS, index) => ({
      suffix: '_bucket' as const,
      labels: { ...labels, le: boundS },
      value: atMost[index]!,
    })),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_sum', labels, value: sumS },
    { suffix: '_count', labels, value: count },
  ]);
  return { name, help, type: 'histogram', samples };
}

function samplesOf(values: Values): MetricSample[] {
  const list = typeof values === 'number' || values === null ? [[{}, values] as const] : values;
  return list.flatMap(([labels, value]) => (value === null ? [] : [{ labels, value }]));
}

/**
 * The text that Prometheus reads, and its content type. Throws where two families have one name. prom-client is loaded when
 * somebody scrapes first: 20 ms of a start and 2 MB that nobody else has use for.
 */
export async function metricsText(
  families: readonly MetricFamily[],
): Promise<{ readonly text: string; readonly contentType: string }> {
  const { Registry } = await import('prom-client');
  const registry = new Registry();
  for (const family of families) registry.registerMetric(metricOf(family));
  return { text: await registry.metrics(), contentType: registry.contentType };
}

/**
 * A registry asks its metrics for their values when it is asked itself. prom-client's own classes do the counting, too,
 * which is done here; so it is given what answers like one of them.
 */
function metricOf({ name, help, type, samples }: MetricFamily): Metric {
  const values = samples.map(({ suffix = '', labels, value }) => ({
    metricName: name + suffix,
    labels,
    value,
  }));
  return { name, get: async () => ({ name, help, type, values }) } as unknown as Metric;
}
