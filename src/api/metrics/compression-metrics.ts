import type { CompressionStatus } from '../compression.ts';
import { counter, gauge, type MetricsSource } from './metric-family.ts';

/** Has shown what is being compressed, and what wasn't for want of a place. */
export function compressionMetrics(stats: () => CompressionStatus): MetricsSource {
  return () => {
    const { answers, streams, passedOver } = stats();
    return [
      gauge('collector_api_compressions', 'Large answers and streams that are being compressed.', [
        [{ kind: 'answer' }, answers.used],
        [{ kind: 'stream' }, streams.used],
      ]),
      gauge('collector_api_compressions_limit', 'Such that may be.', [
        [{ kind: 'answer' }, answers.max],
        [{ kind: 'stream' }, streams.max],
      ]),
      counter(
        'collector_api_compressions_passed_over_total',
        'Answers and streams that went out as they are, for want of a place.',
        passedOver,
      ),
    ];
  };
}
