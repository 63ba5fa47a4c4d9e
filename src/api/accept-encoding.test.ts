import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ENCODINGS, encodingOf } from './accept-encoding.ts';

describe('the encoding of an answer', () => {
  const cases: readonly [acceptEncoding: string | undefined, encoding: string | null][] = [
    [undefined, null],
    ['', null],
    ['identity', null],
    ['br', null],
    ['gzip', 'gzip'],
    ['zstd', 'zstd'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['*', 'zstd'],
    ['gzip, deflate', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['deflate, gzip, br, zstd', 'zstd'],
    ['zstd;q=0.5, gzip;q=1.0', 'gzip'],
    ['gzip;q=0.8,zstd;q=0.8', 'zstd'],
    ['gzip;q=0, *', 'zstd'],
    ['zstd;q=0, *;q=0.1', 'gzip'],
    ['gzip;q=0', null],
    ['gzip;q=0.000', null],
    ['identity, gzip', 'gzip'],
    ['identity;q=1, gzip;q=0.5', null],
    ['identity;q=0, gzip;q=0.001', 'gzip'],
    ['identity;q=0', null],
    ['*;q=0', null],
    ['gzip;q=high', null],
    ['gzip;q=2', null],
    ['gzip ; q=0.3 , zstd ; q=0.2', 'gzip'],
    ['gzip;level=9', 'gzip'],
    ['notgzip', null],
  ];
  for (const [acceptEncoding, encoding] of cases) {
    test(`for ${JSON.stringify(acceptEncoding)} is ${encoding}`, () => {
      assert.equal(encodingOf(acceptEncoding), encoding);
    });
  }

  test('is one that the client has named, or means by *, with a weight above 0', () => {
    const coding = fc.constantFrom('gzip', 'zstd', 'br', 'identity', '*', 'deflate');
    const weight = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(coding, weight), { selector: ([name]) => name }), (accepted) => {
        const header = accepted.map(([name, q]) => `${name};q=${q / 1000}`).join(', ');
        const weights = new Map<string, number>(accepted);
        const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0;
        const identity = weights.get('identity') ?? 0;
        const ours = ENCODINGS.map(weightOf);
        const best = Math.max(...ours);
        const encoding = encodingOf(header);
        if (best === 0 || best < identity) assert.equal(encoding, null);
        else assert.equal(encoding, ENCODINGS[ours.indexOf(best)]);
      }),
    );
  });

  test('is told of any header, however broken', () => {
    fc.assert(fc.property(fc.string(), (header) => [null, ...ENCODINGS].includes(encodingOf(header))));
  });
});
