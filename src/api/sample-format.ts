import type { SampleFormat } from '../history/history-query.ts';
import { weightsOf } from './weights.ts';

/** What a stream of samples can be, the better first. */
const STREAM_TYPES: readonly [format: SampleFormat, mediaType: string][] = [
  ['ndjson', 'application/x-ndjson'],
  ['csv', 'text/csv'],
];

/** What means JSON, the more precise first. */
const JSON_TYPES = ['application/json', 'application/*', '*/*'];

/**
 * The form in which samples are asked for, by the Accept of a request. A stream has to be named: what accepts anything gets
 * a page. Of equal weights the stream goes first, as it was asked for besides what programs accept by themselves.
 */
export function sampleFormat(accept: string | undefined): SampleFormat {
  if (accept === undefined) return 'json';
  const weights = weightsOf(accept);
  const json = JSON_TYPES.find((mediaType) => weights.has(mediaType));
  let best: SampleFormat = 'json';
  let bestWeight = json === undefined ? 0 : weights.get(json)!;
  for (const [format, mediaType] of STREAM_TYPES) {
    const weight = weights.get(mediaType) ?? 0;
    if (weight > bestWeight || (best === 'json' && weight > 0 && weight === bestWeight)) {
      best = format;
      bestWeight = weight;
    }
  }
  return best;
}

/** Whether they are asked for as a stream, of as many as there are, rather than as a page. */
export function isStreamAsked(accept: string | undefined): boolean {
  return sampleFormat(accept) !== 'json';
}
