import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CAN_FILTERS_MAX } from '../shared/limits.ts';
import {
  CanFilterError,
  canFilterWords,
  formatCanFilters,
  parseCanFilters,
  passesCanFilters,
} from './can-filter.ts';

test('filters are read as can-utils write them', () => {
  assert.deepEqual(parseCanFilters('123:7FF'), {
    terms: [{ idWord: 0x123, mask: 0x7ff, isInverted: false }],
    isJoined: false,
  });
  assert.deepEqual(parseCanFilters('1~0,j,00000123:dfffffff'), {
    terms: [
      { idWord: 1, mask: 0, isInverted: true },
      // An id of 8 digits has 29 bits; the flag of error frames means nothing in a mask.
      { idWord: 0x8000_0123, mask: 0xdfff_ffff, isInverted: false },
    ],
    isJoined: true,
  });
  assert.equal(parseCanFilters('123:ffffffff').terms[0]!.mask, 0xdfff_ffff);
  assert.equal(parseCanFilters(Array(CAN_FILTERS_MAX).fill('0:0').join()).terms.length, CAN_FILTERS_MAX);
});

test('the kernel is given pairs of id and mask, with its flag for inverted ones', () => {
  assert.deepEqual(
    [...new Uint32Array(canFilterWords(parseCanFilters('123:7FF,200~700,1FFFFFFF~C0000001')).buffer)],
    [0x123, 0x7ff, 0x2000_0200, 0x700, 0xbfff_ffff, 0xc000_0001],
  );
});

const passing: [text: string, passes: readonly number[], keeps: readonly number[]][] = [
  ['123:7FF', [0x123], [0x122, 0x124, 0x723]],
  ['123:C00007FF', [0x123], [0x122]],
  ['000:600,700:7F0', [0, 0x1ff, 0x700, 0x70f], [0x200, 0x6ff, 0x710]],
  ['200~700', [0x1ff, 0x300], [0x200, 0x2ff]],
  ['200~700,300~700,j', [0x1ff, 0x400], [0x200, 0x3ff]],
  ['200~700,300~700', [0x1ff, 0x200, 0x3ff], []],
  ['0:0', [0, 0x7ff], []],
  ['0~0', [], [0, 0x7ff]],
  // Of 29 bits alone.
  ['00000123:DFFFFFFF', [], [0x123]],
  // Remote frames alone.
  ['40000000:40000000', [], [0]],
];
for (const [text, passes, keeps] of passing) {
  test(`which data frames ${text} lets pass is known as the kernel knows it`, () => {
    const filters = parseCanFilters(text);
    for (const canId of passes) assert.ok(passesCanFilters(filters, canId), String(canId));
    for (const canId of keeps) assert.ok(!passesCanFilters(filters, canId), String(canId));
  });
}

const bad: [text: string, expected: RegExp, found: string][] = [
  ['', /expected 123:7FF, .*perhaps with j/, ''],
  ['j', /expected a filter at least/, 'j'],
  ['123', /expected 123:7FF/, '123'],
  ['123:7FF,', /expected 123:7FF/, ''],
  ['123:7FF, 124:7FF', /expected 123:7FF/, ' 124:7FF'],
  ['#FF', /expected 123:7FF/, '#FF'],
  ['0x1:7FF', /expected 123:7FF/, '0x1:7FF'],
  ['123:123456789', /expected 123:7FF/, '123:123456789'],
  ['800:7FF', /expected an id of 000 to 7FF, or of 8 digits/, '800:7FF'],
  ['1234:7FF', /expected an id of 000 to 7FF/, '1234:7FF'],
  ['012345678:7FF', /expected an id of 000 to 7FF/, '012345678:7FF'],
  ['20000000:7FF', /expected an id of 29 bits, 00000000 to 1FFFFFFF/, '20000000:7FF'],
  [
    Array(CAN_FILTERS_MAX + 1)
      .fill('0:0')
      .join(),
    /expected 512 filters at most/,
    '513 filters',
  ],
];

test('says what was expected and found where a filter is wrong', () => {
  for (const [text, expected, found] of bad) {
    assert.throws(
      () => parseCanFilters(text),
      (error) => {
        assert.ok(error instanceof CanFilterError);
        assert.match(error.message, expected);
        assert.equal(error.found, found);
        return true;
      },
    );
  }
});

test('any text gives filters, which are written as they are read, or a CanFilterError', () => {
  const pieces = fc.constantFrom('123', '12345678', ':', '~', ',', 'j', '7FF', 'F', '0', '#');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (texts) => {
      try {
        const filters = parseCanFilters(texts.join(''));
        assert.deepEqual(parseCanFilters(formatCanFilters(filters)), filters);
      } catch (error) {
        assert.ok(error instanceof CanFilterError);
      }
    }),
  );
});
