import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { newToken, type StoredToken, storedToken } from './token.ts';
import { changeTokenFile, readTokenFile } from './token-file.ts';

function token(name: string): StoredToken {
  return storedToken(newToken(), { name, scopes: ['read'], createdMs: 1_764_000_000_000, expiresMs: null });
}

function tokensPath(t: TestContext): string {
  return join(temporaryDirectory(t), 'tokens.json');
}

const add = (path: string, name: string) => changeTokenFile(path, (tokens) => [...tokens, token(name)]);
const namesIn = (path: string) => readTokenFile(path).map(({ name }) => name);

test('where there is no file there are no tokens', (t) => {
  assert.deepEqual(readTokenFile(tokensPath(t)), []);
});

test('a change is added to what is there; only the owner may read the file, and nothing is left beside it', (t) => {
  const path = tokensPath(t);
  add(path, 'a');
  add(path, 'b');
  assert.deepEqual(namesIn(path), ['a', 'b']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  changeTokenFile(path, (tokens) => tokens.filter(({ name }) => name !== 'a'));
  assert.deepEqual(namesIn(path), ['b']);
  assert.deepEqual(readdirSync(join(path, '..')), ['tokens.json']);
});

test('the folder is made where it is missing', (t) => {
  const path = join(temporaryDirectory(t), 'state/kart/tokens.json');
  add(path, 'a');
  assert.deepEqual(namesIn(path), ['a']);
});

test('a file that others have had the right to read is theirs no more once it is written', (t) => {
  const path = tokensPath(t);
  add(path, 'a');
  chmodSync(path, 0o644);
  assert.deepEqual(namesIn(path), ['a']);
  add(path, 'b');
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('what a link leads to is written, and the link stays', (t) => {
  const folder = temporaryDirectory(t);
  mkdirSync(join(folder, 'real'));
  const real = join(folder, 'real/tokens.json');
  const path = join(folder, 'link.json');
  add(real, 'a');
  symlinkSync(real, path);
  add(path, 'b');
  assert.ok(lstatSync(path).isSymbolicLink());
  assert.deepEqual(namesIn(real), ['a', 'b']);
});

test('a change that fails leaves the file as it was', (t) => {
  const path = tokensPath(t);
  add(path, 'a');
  const before = readFileSync(path, 'utf8');
  assert.throws(
    () =>
      changeTokenFile(path, () => {
        throw new Error('no');
      }),
    /no/,
  );
  assert.equal(readFileSync(path, 'utf8'), before);
  assert.deepEqual(readdirSync(join(path, '..')), ['tokens.json']);
});

test('a file that cannot be used is not written over', (t) => {
  const path = tokensPath(t);
  writeFileSync(path, 'notes', { mode: 0o600 });
  assert.throws(() => add(path, 'a'), { code: 'TOKENS_INVALID' });
  assert.equal(readFileSync(path, 'utf8'), 'notes');
});

test('while another command writes, a change is refused; what a killed one has left is in nobody’s way', (t) => {
  const path = tokensPath(t);
  changeTokenFile(path, () => {
    assert.throws(() => add(path, 'b'), { code: 'TOKENS_BUSY', message: /tokens\.json\.new/ });
    return [token('a')];
  });
  assert.deepEqual(namesIn(path), ['a']);

  writeFileSync(`${path}.new`, 'half');
  const longAgo = Date.now() / 1000 - 60;
  utimesSync(`${path}.new`, longAgo, longAgo);
  add(path, 'c');
  assert.deepEqual(namesIn(path), ['a', 'c']);
  assert.ok(!existsSync(`${path}.new`));
});

test('a file that is no file, too long, or open to others to write, is refused', (t) => {
  const folder = temporaryDirectory(t);
  const long = join(folder, 'long');
  writeFileSync(long, '', { mode: 0o600 });
  truncateSync(long, 64 * 1024 + 1);
  const open = join(folder, 'open');
  add(open, 'a');
  const cases: [path: string, message: RegExp][] = [
    [folder, /it is no file/],
    ['/dev/null', /it is no file/],
    [long, /it has 65537 bytes, and 65536 are the most/],
    [join(long, 'below'), /ENOTDIR/],
  ];
  for (const mode of [0o620, 0o602, 0o666]) {
    chmodSync(open, mode);
    assert.throws(() => readTokenFile(open), { code: 'TOKENS_UNREADABLE', message: /Do: chmod 600 \S+open/ });
  }
  for (const [path, message] of cases) {
    assert.throws(() => readTokenFile(path), { code: 'TOKENS_UNREADABLE', message });
  }
});
