import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promtoolCheck, promtoolMissing } from '../../../test/support/prometheus.ts';
import type { CompressionStatus } from '../compression.ts';
import { type AccessStats, accessMetrics } from './access-metrics.ts';
import { type CommandStats, commandMetrics } from './command-metrics.ts';
import { compressionMetrics } from './compression-metrics.ts';
import { type MetricsSource, metricsText } from './metric-family.ts';
import { type StreamStats, streamMetrics } from './stream-metrics.ts';

/** Each figure is another one, so that none can stand for another. */
const STREAM: StreamStats = {
  clients: 10,
  clients_max: 11,
  clients_behind: 12,
  subscriptions: 13,
  selections: { used: 14, max: 15 },
  bytes_waiting: 16,
  clients_accepted: 17,
  clients_refused: 18,
  clients_stalled: 19,
  clients_silent: 20,
  clients_abusive: 21,
  messages_sent: 22,
  bytes_sent: 23,
  samples_sent: 24,
  samples_resumed: 25,
  samples_missed: 26,
  gaps: 27,
};

const ACCESS: AccessStats = {
  clients: { used: 10, max: 11 },
  requests: 12,
  refused: { token: 13, rate: 14 },
  sockets: { used: 15, max: 16, refused: 17, displaced: 18, stalled: 19, revoked: 20 },
  exports: { used: 21, max: 22 },
  unsent_bytes: { used: 23, max: 24 },
  tokens: 25,
  tls: { expires: 26 },
  problem: null,
};

const COMPRESSION: CompressionStatus = {
  answers: { used: 10, max: 11 },
  streams: { used: 12, max: 13 },
  passedOver: 14,
};

const COMMANDS: CommandStats = {
  enabled: true,
  sent: 10,
  acknowledged: 11,
  timed_out: 12,
  refused_by_node: 13,
  refused: 14,
  failed: 15,
  stops_joined: 16,
  waiting: 17,
  waiting_max: 18,
  audit: { failures: 19, lines_waiting: 20, lines_waiting_max: 21, lines_lost: 22, refusals_left_out: 23 },
};

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

async function textOf(source: MetricsSource): Promise<string> {
  const { text } = await metricsText(source());
  return text;
}

const PARTS: readonly [name: string, source: MetricsSource, stats: object, flags: readonly number[]][] = [
  ['the live stream', streamMetrics(() => STREAM), STREAM, []],
  ['who is let in', accessMetrics(() => ACCESS), ACCESS, [0]],
  ['what is compressed', compressionMetrics(() => COMPRESSION), COMPRESSION, []],
  ['commands', commandMetrics(() => COMMANDS), COMMANDS, [1]],
];

for (const [name, source, stats, flags] of PARTS) {
  test(`every figure of ${name} is shown once`, async () => {
    const shown = [...(await textOf(source)).matchAll(/^collector_\S+ (\d+)$/gm)].map(([, value]) =>
      Number(value),
    );
    assert.deepEqual(shown.sort(), [...numbersIn(stats), ...flags].sort());
  });
}

test('promtool finds nothing wrong with them', { skip: promtoolMissing }, async () => {
  promtoolCheck(['metrics'], await textOf(() => PARTS.flatMap(([, source]) => source())));
});

test('without a certificate there is no time at which it expires, and what cannot be read is told', async () => {
  const text = await textOf(
    accessMetrics(() => ({ ...ACCESS, tls: null, problem: { code: 'TOKENS_INVALID' } })),
  );
  assert.doesNotMatch(text, /^collector_api_certificate_expiry_timestamp_seconds /m);
  assert.match(text, /^collector_api_credentials_unreadable 1$/m);
});
