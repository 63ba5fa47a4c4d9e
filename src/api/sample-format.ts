import type { SampleFormat } from '../history/history-query.ts';

/** The form in which samples are asked for. */
export function sampleFormat(accept: string | undefined): SampleFormat {
  if (accept?.includes('application/x-ndjson')) return 'ndjson';
  if (accept?.includes('text/csv')) return 'csv';
  return 'json';
}

/** Whether they are asked for as a stream, of as many as there are, rather than as a page. */
export function isStreamAsked(accept: string | undefined): boolean {
  return sampleFormat(accept) !== 'json';
}
