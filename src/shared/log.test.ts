import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

import { createLog, type LogOptions, rateLimited } from './log.ts';

const folder = mkdtempSync(join(tmpdir(), 'log-'));
after(() => rmSync(folder, { recursive: true }));

let folderCount = 0;

/** A log with a fresh file and an output that keeps what it is given. */
function logged(options: Partial<LogOptions> = {}, isTTY = false, hasColors = false) {
  const file = join(folder, String(folderCount++), 'collector.log');
  const output: string[] = [];
  const opened = createLog(
    { level: 'info', file, maxBytes: 4_096, maxFiles: 3, ...options },
    { isTTY, hasColors: () => hasColors, write: (text) => output.push(text) },
  );
  return { ...opened, file: options.file ?? file, output };
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('writes JSON lines with ISO 8601 times in UTC to the output and to the file', async () => {
  const { log, close, file, output } = logged();
  log.child({ stage: 'bus', bus: 'can0' }).warn({ frames: 3 }, 'lost frames');
  log.debug('not this');
  await close();
  const [line, ...rest] = lines(output.join(''));
  assert.deepEqual(rest, []);
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(
    { ...line, time: null },
    { level: 'warn', time: null, stage: 'bus', bus: 'can0', frames: 3, msg: 'lost frames' },
  );
  assert.deepEqual(lines(readFileSync(file, 'utf8')), [line]);
});

test('writes for people on a terminal, in colour if it has any', async () => {
  for (const hasColors of [false, true]) {
    const { log, close, output } = logged({}, true, hasColors);
    log.child({ stage: 'bus', bus: 'can0' }).warn({ frames: 3 }, 'lost frames');
    const text = output.join('');
    assert.equal(text.includes('\x1b['), hasColors);
    assert.match(
      stripVTControlCharacters(text),
      /^\[\d\d:\d\d:\d\d\] WARN: bus can0: lost frames \{"frames":3\}\n$/,
    );
    await close();
  }
});

test('rotates by size, keeps the bounded number of files and loses no line within them', async () => {
  const { log, close, file } = logged({ maxFiles: 2 });
  const count = 400;
  for (let index = 0; index < count; index++) log.info({ index, padding: 'x'.repeat(50) }, 'line');
  await close();

  const names = readdirSync(join(file, '..')).sort();
  assert.deepEqual(names, ['collector.log', 'collector.log.1', 'collector.log.2']);
  for (const name of names) assert.ok(statSync(join(file, '..', name)).size < 4_096 + 200, name);
  const kept = ['.2', '.1', ''].flatMap((suffix) => lines(readFileSync(file + suffix, 'utf8')));
  const first = count - kept.length;
  assert.deepEqual(
    kept.map(({ index }) => index),
    Array.from({ length: kept.length }, (_, index) => first + index),
  );
});

test('appends to the file of the run before', async () => {
  const first = logged();
  first.log.info('one');
  await first.close();
  const second = logged({ file: first.file });
  second.log.info('two');
  await second.close();
  assert.deepEqual(
    lines(readFileSync(first.file, 'utf8')).map(({ msg }) => msg),
    ['one', 'two'],
  );
});

test('a file that cannot be opened gives one warning and the log goes on', async () => {
  mkdirSync(join(folder, 'taken'));
  writeFileSync(join(folder, 'plain'), '');
  for (const file of [
    join(folder, 'taken'),
    join(folder, 'plain/collector.log'),
    '/proc/none/collector.log',
  ]) {
    const { log, close, output } = logged({ file });
    log.info('one');
    await sleep(50);
    for (let index = 0; index < 100; index++) log.info('more');
    await sleep(50);
    await close();
    const messages = lines(output.join('')).map(({ msg }) => msg);
    assert.equal(messages.filter((message) => message === "can't write the log file").length, 1, file);
    assert.equal(messages.length, 102);
  }
});

test('a disk that is full gives one warning and the log goes on', {
  skip: !existsSync('/dev/full'),
}, async () => {
  const { log, close, file, output } = logged({ maxFiles: 1 });
  log.info('x'.repeat(3_000));
  await sleep(50);
  // A folder in the place of the rotated file makes the rotation fail.
  mkdirSync(`${file}.1/in-the-way`, { recursive: true });
  for (let index = 0; index < 10; index++) {
    log.info('x'.repeat(1_500));
    await sleep(5);
  }
  await close();
  const warnings = lines(output.join('')).filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, 1);
  assert.equal(lines(output.join('')).length, 12);
});

test('a silent log and one without a file write none', async () => {
  for (const options of [{ level: 'silent' as const }, { file: null }]) {
    const { log, close, file } = logged(options);
    log.fatal('?');
    await close();
    assert.ok(!existsSync(file));
  }
});

test('a process that ends at once has its lines on the standard output', () => {
  const script = `
    import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)};
    const { log } = createLog({ level: 'info', file: null, maxBytes: 4096, maxFiles: 1 });
    for (let index = 0; index < 1000; index++) log.info({ index }, 'line');
    process.exit(0);`;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.equal(lines(stdout).length, 1_000);
});

test('a repeated fault is logged once a second with the number that was suppressed', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, output } = logged({ file: null });
  const fault = rateLimited(log);
  const repeat = (count: number) => {
    for (let index = 1; index <= count; index++) fault('warn', 'lost', { index }, 'lost frames');
  };
  const seen = () => lines(output.splice(0).join('')).map(({ index, suppressed }) => [index, suppressed]);

  repeat(5);
  assert.deepEqual(seen(), [[1, undefined]]);
  context.mock.timers.tick(1_000);
  assert.deepEqual(seen(), [[4 + 1, 3]]);
  repeat(1);
  assert.deepEqual(seen(), []);
  context.mock.timers.tick(1_000);
  assert.deepEqual(seen(), [[1, undefined]]);
  context.mock.timers.tick(10_000);
  assert.deepEqual(seen(), []);
  repeat(1);
  assert.deepEqual(seen(), [[1, undefined]]);
});

test('lines and suppressed faults add up however many keys there are', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, output } = logged({ file: null });
  const fault = rateLimited(log);
  for (let index = 0; index < 10_000; index++) fault('warn', `key ${index}`, {}, 'noise');
  const first = lines(output.join('')).length;
  assert.ok(first <= 256, `${first} lines at once`);
  context.mock.timers.tick(5_000);
  const all = lines(output.join(''));
  assert.equal(
    all.reduce((sum, { suppressed }) => sum + 1 + Number(suppressed ?? 0), 0),
    10_000,
  );
});
