import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queryString } from './query.ts';

test('a query string has what is given, each of a list, and times as seconds', () => {
  assert.equal(queryString({}), '');
  assert.equal(queryString({ componentType: undefined }), '');
  assert.equal(
    queryString({
      signal: ['A/*/C', 'a&b'],
      componentType: 0,
      from: new Date(1_764_000_000_123),
      to: '2026-01-01',
    }),
    '?signal=A%2F*%2FC&signal=a%26b&component_type=0&from=1764000000.123&to=2026-01-01',
  );
});
