import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sampleFormat } from './sample-format.ts';

describe('the format of samples', () => {
  const cases: readonly [accept: string | undefined, format: string][] = [
    [undefined, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['text/*', 'json'],
    ['application/json, text/plain, */*', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'json'],
    ['image/png', 'json'],
    ['text/csv', 'csv'],
    ['TEXT/CSV', 'csv'],
    ['text/csv; header=present', 'csv'],
    ['text/csv, */*', 'csv'],
    ['application/x-ndjson', 'ndjson'],
    ['text/csv, application/x-ndjson', 'ndjson'],
    ['text/csv, application/x-ndjson;q=0.9', 'csv'],
    ['application/json, application/x-ndjson', 'ndjson'],
    ['application/json;q=0.5, text/csv', 'csv'],
    ['text/csv;q=0.5, application/json', 'json'],
    ['text/csv;q=0.5, */*', 'json'],
    ['text/csv;q=0.5, */*;q=0.1, application/json;q=0.2', 'csv'],
    ['text/csv;q=0', 'json'],
    ['text/csv;q=much', 'json'],
    ['text/csvs', 'json'],
  ];
  for (const [accept, format] of cases) {
    test(`for ${JSON.stringify(accept)} is ${format}`, () => {
      assert.equal(sampleFormat(accept), format);
    });
  }
});
