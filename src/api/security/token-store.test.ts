import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { eventually } from '../../../test/support/service.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { Scope } from './scopes.ts';
import { newToken, storedToken } from './token.ts';
import { changeTokenFile } from './token-file.ts';
import { TokenStore } from './token-store.ts';

const silent = pino({ enabled: false });

interface Setup {
  readonly path: string;
  open(everybody?: readonly Scope[]): TokenStore;
  /** Gives the token. */
  add(name: string, scopes?: readonly Scope[], expiresMs?: number | null): string;
  revoke(name: string): void;
}

function setup(t: TestContext): Setup {
  const path = join(temporaryDirectory(t), 'tokens.json');
  return {
    path,
    open(everybody = []) {
      const store = new TokenStore(path, new Set(everybody), silent, () => {});
      t.after(() => store.close());
      return store;
    },
    add(name, scopes = ['read'], expiresMs = null) {
      const text = newToken();
      const stored = storedToken(text, { name, scopes, createdMs: Date.now(), expiresMs });
      changeTokenFile(path, (tokens) => [...tokens, stored]);
      return text;
    },
    revoke: (name) => changeTokenFile(path, (tokens) => tokens.filter((token) => token.name !== name)),
  };
}

test('a token is found by what it is, with its name and what it may do', (t) => {
  const { add, open } = setup(t);
  const reader = add('reader');
  const driver = add('driver', ['command', 'admin']);
  const store = open();
  assert.equal(store.count, 2);
  assert.deepEqual(store.find(reader)?.principal, {
    name: 'reader',
    scopes: new Set(['read']),
    isAnonymous: false,
  });
  assert.deepEqual(store.find(driver)?.principal.scopes, new Set(['command', 'admin']));
});

test('what everybody may do, a token may', (t) => {
  const { add, open } = setup(t);
  const driver = add('driver', ['command']);
  assert.deepEqual(
    open(['read', 'export']).find(driver)?.principal.scopes,
    new Set(['read', 'export', 'command']),
  );
});

test('nothing else is a token: not its hash, not a part of it, not one that looks like it', (t) => {
  const { add, open } = setup(t);
  const token = add('reader');
  const store = open();
  const id = store.find(token)!.id;
  const flipped = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
  for (const text of [
    id,
    token.slice(0, -1),
    `${token}x`,
    flipped,
    token.toUpperCase(),
    newToken(),
    '',
    'tc_',
    ` ${token}`,
  ]) {
    assert.equal(store.find(text), null, text);
  }
});

test('a token is good until it expires', (t) => {
  const { add, open } = setup(t);
  const lasting = add('lasting', ['read'], Date.now() + 60_000);
  const expired = add('expired', ['read'], Date.now() - 1);
  const store = open();
  assert.equal(store.count, 1);
  assert.equal(store.find(expired), null);
  const { id } = store.find(lasting)!;
  assert.ok(store.isGood(id));
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 120_000 });
  assert.equal(store.find(lasting), null);
  assert.ok(!store.isGood(id));
  assert.equal(store.count, 0);
});

describe('while it is used', { concurrency: true }, () => {
  test('tokens that are made or revoked later are so without a restart, and a file that is gone revokes all', async (t) => {
    const { path, add, revoke, open } = setup(t);
    const store = open();
    assert.equal(store.count, 0);
    const first = add('first');
    await eventually(
      async () => store.find(first),
      (found) => found !== null,
    );
    const second = add('second');
    await eventually(
      async () => store.find(second),
      (found) => found !== null,
    );
    const { id } = store.find(first)!;
    revoke('first');
    await eventually(
      async () => store.find(first),
      (found) => found === null,
    );
    assert.ok(!store.isGood(id));
    assert.ok(store.find(second) !== null);
    rmSync(path);
    await eventually(
      async () => store.count,
      (count) => count === 0,
    );
  });

  test('a file that is spoilt while it is used changes nothing and is told, until it is mended', async (t) => {
    const { path, add, open } = setup(t);
    const token = add('reader');
    const store = open();
    writeFileSync(path, 'spoilt');
    const problem = await eventually(
      async () => store.problem,
      (told) => told !== null,
    );
    assert.equal(problem?.code, 'TOKENS_INVALID');
    assert.ok(store.find(token) !== null);
    rmSync(path);
    await eventually(
      async () => store.problem,
      (told) => told === null,
    );
    assert.equal(store.find(token), null);
  });
});

test('a file that is spoilt at the start is an error', (t) => {
  const { path, open } = setup(t);
  writeFileSync(path, 'spoilt');
  assert.throws(() => open(), { code: 'TOKENS_INVALID' });
});
