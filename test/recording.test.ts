import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { writeKartLog } from '../bench/kart-log.ts';
import { FrameBatch } from '../src/bus/frame-batch.ts';
import { LogDriver } from '../src/bus/log/log-driver.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** Recordings as whole processes make them, and as the programs of others read them. */

const ENTRY = resolve(import.meta.dirname, '../src/cli/main.ts');
const FRAMES = 50_000;

/** What `record` says and how it ends. */
function record(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [ENTRY, 'record', '--log-file', 'none', '--log-level', 'warn', ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

interface Replay {
  readonly timestampsUs: number[];
  readonly lines: string[];
  readonly damages: number;
  readonly linesBroken: number;
}

function replay(path: string): Replay {
  const driver = new LogDriver({
    kind: 'candump',
    path,
    speed: 'max',
    loop: false,
    time: 'log',
    wait: () => {},
    nowUs: () => 0,
  });
  driver.open();
  const timestampsUs: number[] = [];
  const lines: string[] = [];
  for (let isEnded = false; !isEnded; ) {
    const batch = FrameBatch.allocate(4096);
    isEnded = driver.read(batch) === 'ended';
    for (let index = 0; index < batch.count; index++) {
      timestampsUs.push(batch.timestampUs[index]!);
      const payload = Buffer.from(batch.payloadOf(index)).toString('hex');
      lines.push(`${batch.timestampUs[index]} ${batch.canId[index]} ${batch.flags[index]} ${payload}`);
    }
  }
  const { damages, lines_broken } = driver.status();
  driver.close();
  return { timestampsUs, lines, damages: Number(damages), linesBroken: Number(lines_broken) };
}

test('a log that is recorded is the same log, byte for byte', (context) => {
  const directory = temporaryDirectory(context);
  const log = join(directory, 'can0.log');
  const recording = join(directory, 'recording');
  writeKartLog(log, FRAMES, 1);
  const args = [
    '--bus',
    `candump:${log}?speed=max`,
    '--recording',
    recording,
    '--recording-compress',
    'none',
  ];
  const { status, stdout, stderr } = record(...args);
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`^${FRAMES} frames recorded; 1 files of`, 'm'));
  const [file] = readdirSync(recording);
  assert.match(file!, /^20260101T000000Z-000001\.log$/);
  assert.deepEqual(readFileSync(join(recording, file!)), readFileSync(log));
});

test('a recording in several compressed files replays as the log that it was made of', (context) => {
  const directory = temporaryDirectory(context);
  const log = join(directory, 'can0.log');
  const [recording, again] = [join(directory, 'recording'), join(directory, 'again')];
  writeKartLog(log, 20 * FRAMES, 1);
  assert.equal(
    record(
      '--bus',
      `candump:${log}?speed=max`,
      '--recording',
      recording,
      '--recording-max-file-bytes',
      '4MiB',
    ).status,
    0,
  );
  assert.ok(readdirSync(recording).length > 1);
  for (const name of readdirSync(recording)) assert.ok(statSync(join(recording, name)).size <= 4 * 1024 ** 2);
  assert.equal(record('--bus', `candump:${recording}?speed=max`, '--recording', again).status, 0);
  const expected = replay(log);
  assert.equal(expected.lines.length, 20 * FRAMES);
  for (const path of [recording, again]) assert.deepEqual(replay(path), expected);
});

test('log2asc reads what was recorded', (context) => {
  if (spawnSync('log2asc', ['-h']).error !== undefined) {
    context.skip('can-utils are not installed');
    return;
  }
  const directory = temporaryDirectory(context);
  const log = join(directory, 'can0.log');
  const recording = join(directory, 'recording');
  const frames = [
    '(1767225600.000000) can0 123#DEADBEEF',
    '(1767225600.000100) can0 1F334455#1122334455667788',
    '(1767225600.000200) can0 123#R',
    '(1767225600.000300) can0 123##1112233445566778899AABBCC',
    '(1767225600.000400) can0 20000080#0000000000000000',
    '',
  ];
  writeFileSync(log, frames.join('\n'));
  assert.equal(record('--bus', `candump:${log}?speed=max`, '--recording', recording).status, 0);
  const file = join(recording, readdirSync(recording)[0]!);
  const text = zstdDecompressSync(readFileSync(file)).toString();
  assert.equal(text, frames.join('\n'));
  const plain = join(directory, 'plain.log');
  writeFileSync(plain, text);
  const asc = execFileSync('log2asc', ['-I', plain, 'can0'], { encoding: 'utf8' });
  assert.match(asc, /1 +123 +Rx +d 4 DE AD BE EF/);
  assert.match(asc, /1 +1F334455x +Rx +d 8 11 22 33 44 55 66 77 88/);
  assert.match(asc, /1 +123 +Rx +r/);
  assert.match(asc, /CANFD +1 Rx +123 +1 0 9 12 11 22 33/);
  assert.match(asc, /ErrorFrame/);
});

test('after kill -9 all is there but the last seconds, and the next run leaves it as it is', async (context) => {
  const directory = temporaryDirectory(context);
  const recording = join(directory, 'recording');
  const args = [
    '--bus',
    'sim:kart',
    '--db',
    join(directory, 'a.db'),
    '--port',
    '0',
    '--recording',
    recording,
  ];
  const first = await startService({ args });
  const { recording: seen } = await eventually(
    first.status,
    (status) => (status.recording?.frames ?? 0) > 500,
  );
  assert.equal(seen!.state, 'recording');
  assert.deepEqual(seen!.frames_lost, { queue: 0, write: 0, failed: 0 });
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const left = replay(recording);
  assert.ok(left.lines.length >= seen!.frames);
  assert.deepEqual([left.damages, left.linesBroken], [0, 0]);
  const files = readdirSync(recording).map((name) => readFileSync(join(recording, name)));

  const second = await startService({ args });
  await eventually(second.status, (status) => (status.recording?.frames ?? 0) > 0);
  const { buses } = await second.status();
  await second.stop();
  const names = readdirSync(recording).toSorted();
  assert.deepEqual(
    names.map((name) => /-(\d+)\.log\.zst$/.exec(name)?.[1]),
    ['000001', '000002'],
  );
  assert.deepEqual(readFileSync(join(recording, names[0]!)), files[0]);
  // A clean stop leaves out nothing.
  assert.ok(replay(join(recording, names[1]!)).lines.length >= buses[0]!.frames);
});

test('an ASC file becomes a candump log', (context) => {
  const directory = temporaryDirectory(context);
  const asc = join(directory, 'drive.asc');
  writeFileSync(
    asc,
    'base hex timestamps absolute\n5.000001 1 123 Rx d 2 DE AD\n5.5 CANFD 1 Rx 1 1 0 1 1 FF\n',
  );
  const recording = join(directory, 'recording');
  const args = ['--bus', `asc:${asc}?speed=max`, '--recording', recording, '--recording-compress', 'none'];
  assert.equal(record(...args).status, 0);
  assert.equal(
    readFileSync(join(recording, readdirSync(recording)[0]!), 'utf8'),
    '(0000000005.000001) drive 123#DEAD\n(0000000005.500000) drive 001##1FF\n',
  );
});

test('a log that can not be read ends record at once, and a simulation is told as one', (context) => {
  const directory = temporaryDirectory(context);
  const { status, stdout } = record(
    ...['--bus', `candump:${join(directory, 'gone.log')}?speed=max`, '--bus', 'sim:kart'],
    ...['--recording', join(directory, 'recording')],
  );
  assert.equal(status, 1, stdout);
  assert.match(stdout, /gone\.log can't be replayed: ENOENT/);
  assert.match(stdout, /Reading +sim \(sim:kart\) +SIMULATED: not a real vehicle$/m);
  assert.match(stdout, /^\d+ frames recorded; /m);
});

test('record needs a folder, and says so', () => {
  const { status, stderr } = record('--bus', 'sim:kart');
  assert.equal(status, 2);
  assert.match(stderr, /--recording FOLDER/);
});

test('Ctrl+C ends a recording of a live bus with all that was read', async (context) => {
  const recording = join(temporaryDirectory(context), 'recording');
  const child = spawn(
    process.execPath,
    [ENTRY, 'record', '--bus', 'sim:kart', '--recording', recording, '--log-file', 'none'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  await eventually(
    async () => existsSync(recording) && readdirSync(recording).length > 0,
    (isThere) => isThere,
  );
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
  const frames = Number(/^(\d+) frames recorded;/m.exec(output)?.[1]);
  assert.ok(frames > 0, output);
  assert.equal(replay(recording).lines.length, frames);
});

test('that nobody reads what it says is no reason for record to fail', async (context) => {
  const recording = join(temporaryDirectory(context), 'recording');
  const child = spawn(
    process.execPath,
    [ENTRY, 'record', '--bus', 'sim:kart', '--recording', recording, '--log-file', 'none'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [first] = await once(child.stdout, 'data');
  assert.match(String(first), /Reading/);
  child.stdout.destroy();
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  await eventually(
    async () => existsSync(recording) && readdirSync(recording).length > 0,
    (isThere) => isThere,
  );
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 0, errors);
});
