import { TokenError } from '../../shared/errors.ts';
import { API_TOKENS_MAX } from '../../shared/limits.ts';
import { SCOPES, type Scope } from './scopes.ts';
import { type StoredToken, TOKEN_NAME_PATTERN } from './token.ts';

/** The file of tokens as text: JSON, with times in ISO 8601, for people to read; `token` of the command line writes it. */

const VERSION = 1;
const FOUND_CHARS_MAX = 60;

export function formatTokens(tokens: readonly StoredToken[]): string {
  const rows = tokens.map(({ createdMs, expiresMs, ...token }) => ({
    ...token,
    created: new Date(createdMs).toISOString(),
    expires: expiresMs === null ? null : new Date(expiresMs).toISOString(),
  }));
  return `${JSON.stringify({ version: VERSION, tokens: rows }, null, 2)}\n`;
}

/** Throws TokenError TOKENS_INVALID, which says the place; `path` is what messages call the file. */
export function parseTokens(text: string, path: string): StoredToken[] {
  const invalid = (where: string, expected: string, value: unknown) =>
    new TokenError(
      'TOKENS_INVALID',
      `The tokens file ${path} can't be used: ${where}: expected ${expected}, found ${shown(value)}. Mend it, or remove it and make new tokens.`,
    );

  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    throw invalid('the file', 'JSON', text);
  }
  if (!isObject(root)) throw invalid('the file', 'an object', root);
  if (root.version !== VERSION) throw invalid('version', `${VERSION}`, root.version);
  if (!Array.isArray(root.tokens)) throw invalid('tokens', 'a list', root.tokens);
  if (root.tokens.length > API_TOKENS_MAX) {
    throw invalid('tokens', `at most ${API_TOKENS_MAX}`, root.tokens.length);
  }

  const names = new Set<string>();
  return root.tokens.map((row: unknown, index): StoredToken => {
    const where = `tokens[${index}]`;
    if (!isObject(row)) throw invalid(where, 'an object', row);
    const unknownKey = Object.keys(row).find((key) => !KEYS.includes(key));
    if (unknownKey !== undefined) throw invalid(where, `the keys ${KEYS.join(', ')}`, unknownKey);
    const { name, scopes, hash, last4, created, expires } = row;
    if (typeof name !== 'string' || !TOKEN_NAME_PATTERN.test(name)) {
      throw invalid(`${where}.name`, '1 to 64 letters, digits, dots, dashes or underscores', name);
    }
    if (names.has(name)) throw invalid(`${where}.name`, 'a name of its own', name);
    names.add(name);
    if (!Array.isArray(scopes) || scopes.length === 0 || !scopes.every(isScope)) {
      throw invalid(`${where}.scopes`, `a list of ${SCOPES.join(', ')}`, scopes);
    }
    if (typeof hash !== 'string' || !/^[\da-f]{64}$/.test(hash)) {
      throw invalid(`${where}.hash`, 'a SHA-256 in hexadecimal', hash);
    }
    if (typeof last4 !== 'string' || last4.length !== 4)
      throw invalid(`${where}.last4`, '4 characters', last4);
    const createdMs = timeOf(created);
    if (createdMs === null) throw invalid(`${where}.created`, 'a time in ISO 8601', created);
    const expiresMs = expires === null ? null : timeOf(expires);
    if (expires !== null && expiresMs === null) {
      throw invalid(`${where}.expires`, 'a time in ISO 8601, or null', expires);
    }
    return { name, scopes, hash, last4, createdMs, expiresMs };
  });
}

const KEYS = ['name', 'scopes', 'hash', 'last4', 'created', 'expires'];

export function isScope(value: unknown): value is Scope {
  return SCOPES.some((scope) => scope === value);
}

function timeOf(value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT/.test(value)) return null;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? null : ms;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > FOUND_CHARS_MAX ? `${text.slice(0, FOUND_CHARS_MAX)}…` : text;
}
