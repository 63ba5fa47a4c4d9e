import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenError } from '../../shared/errors.ts';
import { API_TOKENS_FILE_BYTES_MAX, API_TOKENS_MAX } from '../../shared/limits.ts';
import { SCOPES } from './scopes.ts';
import { newToken, type StoredToken, storedToken, TOKEN_NAME_PATTERN } from './token.ts';
import { formatTokens, parseTokens } from './token-text.ts';

const PATH = '/var/lib/kart/tokens.json';
const ROW = {
  name: 'dashboard',
  scopes: ['read'],
  hash: 'ab'.repeat(32),
  last4: 'x-5g',
  created: '2026-01-01T00:00:00.000Z',
  expires: null,
};
const file = (...rows: unknown[]) => JSON.stringify({ version: 1, tokens: rows });

const times = fc.integer({ min: 0, max: 4e12 });
const tokens: fc.Arbitrary<StoredToken[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.stringMatching(TOKEN_NAME_PATTERN),
      scopes: fc.uniqueArray(fc.constantFrom(...SCOPES), { minLength: 1 }),
      createdMs: times,
      expiresMs: fc.option(times),
    })
    .map((token) => storedToken(newToken(), token)),
  { selector: ({ name }) => name, maxLength: API_TOKENS_MAX },
);

test('what is written is read back as the same, and never has a token in it', () => {
  fc.assert(
    fc.property(tokens, (list) => {
      const text = formatTokens(list);
      assert.deepEqual(parseTokens(text, PATH), list);
      assert.doesNotMatch(text, /tc_/);
    }),
  );
});

test('as many tokens as there may be fit the file', () => {
  const longest = Array.from({ length: API_TOKENS_MAX }, (_, index) =>
    storedToken(newToken(), {
      name: String(index).padEnd(64, 'x'),
      scopes: [...SCOPES],
      createdMs: 4e12,
      expiresMs: 4e12,
    }),
  );
  assert.ok(Buffer.byteLength(formatTokens(longest)) < API_TOKENS_FILE_BYTES_MAX);
});

const MISTAKES: [text: string, message: RegExp][] = [
  ['', /the file: expected JSON, found ""/],
  ['{', /the file: expected JSON/],
  ['[]', /the file: expected an object, found \[\]/],
  ['{"tokens": []}', /version: expected 1, found nothing/],
  ['{"version": 2, "tokens": []}', /version: expected 1, found 2/],
  ['{"version": 1}', /tokens: expected a list, found nothing/],
  [file(...Array(65).fill(ROW)), /tokens: expected at most 64, found 65/],
  [file('a'), /tokens\[0\]: expected an object, found "a"/],
  [file({ ...ROW, token: 'x' }), /tokens\[0\]: expected the keys name, .*, found "token"/],
  [file(ROW, { ...ROW, name: 'a b' }), /tokens\[1\]\.name: expected 1 to 64 letters.*, found "a b"/],
  [file(ROW, ROW), /tokens\[1\]\.name: expected a name of its own, found "dashboard"/],
  [file({ ...ROW, scopes: [] }), /tokens\[0\]\.scopes: expected a list of read, export, command, admin/],
  [file({ ...ROW, scopes: ['write'] }), /found \["write"\]/],
  [file({ ...ROW, scopes: 'read' }), /found "read"/],
  [file({ ...ROW, hash: 'AB'.repeat(32) }), /hash: expected a SHA-256 in hexadecimal/],
  [file({ ...ROW, last4: 'abcde' }), /last4: expected 4 characters/],
  [file({ ...ROW, created: 'today' }), /created: expected a time in ISO 8601, found "today"/],
  [file({ ...ROW, created: 1764000000 }), /created: expected a time/],
  [file({ ...ROW, expires: '2026-13-01T00:00:00Z' }), /expires: expected a time in ISO 8601, or null/],
  [file({ name: 'a' }), /scopes: .*found nothing/],
];

test('a file that says something else is refused with the place, what was expected and what was found', () => {
  for (const [text, message] of MISTAKES) {
    assert.throws(
      () => parseTokens(text, PATH),
      (error) => {
        assert.ok(error instanceof TokenError, String(error));
        assert.equal(error.code, 'TOKENS_INVALID');
        assert.ok(error.message.startsWith(`The tokens file ${PATH} can't be used: `), error.message);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test('any text is read, or refused with a TokenError', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.anything().map((value) => file(value)),
  );
  fc.assert(
    fc.property(text, (content) => {
      try {
        parseTokens(content, PATH);
      } catch (error) {
        assert.ok(error instanceof TokenError, String(error));
      }
    }),
  );
});
