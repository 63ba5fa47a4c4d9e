import { DurationHistogram } from '../../shared/duration-histogram.ts';
import type { ApiInstance } from '../instance.ts';
import { counter, histogram, type Labels, type MetricsSource } from './metric-family.ts';

/** What is asked for where there is nothing. */
const NO_ROUTE = 'none';

interface RequestCount {
  readonly labels: Labels;
  count: number;
}

/**
 * Counts the API's requests, from now on. By the route as it is registered, never by the path that was asked for: of
 * those a client can make any number.
 */
export function requestMetrics(api: ApiInstance): MetricsSource {
  const durations = new Map<string, DurationHistogram>();
  const counts = new Map<string, RequestCount>();
  api.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? NO_ROUTE;
    const ofRoute = durations.get(route) ?? new DurationHistogram();
    durations.set(route, ofRoute);
    ofRoute.observe(reply.elapsedTime);
    const { method } = request;
    const { statusCode } = reply;
    const key = `${route} ${method} ${statusCode}`;
    const counted = counts.get(key);
    if (counted !== undefined) counted.count++;
    else counts.set(key, { labels: { route, method, code: statusCode }, count: 1 });
  });
  return () => [
    counter(
      'collector_http_requests_total',
      'Requests answered, by route, method and status code.',
      [...counts.values()].map(({ labels, count }) => [labels, count]),
    ),
    histogram(
      'collector_http_request_duration_seconds',
      'How long requests took until the last byte was handed to the network, by route.',
      [...durations].map(([route, ofRoute]) => [{ route }, ofRoute.counts()]),
    ),
  ];
}
