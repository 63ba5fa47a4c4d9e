import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { SampleReply, SeriesReply } from '../src/api/schemas.ts';
import { commandHeaders } from './support/commands.ts';
import { CHECKOUT, eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** docs/examples/, as somebody would use them who has nothing but these, against a service of its own. */

const directory = temporaryDirectory({ after });
cpSync(join(CHECKOUT, 'docs/examples'), directory, { recursive: true });
// What `npm install telemetry-collector` would put there.
const installed = join(directory, 'node_modules/telemetry-collector');
mkdirSync(installed, { recursive: true });
symlinkSync(join(CHECKOUT, 'src/client'), join(installed, 'client'));
writeFileSync(
  join(installed, 'package.json'),
  JSON.stringify({ exports: { './client': './client/index.ts' } }),
);
writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));

const database = join(directory, 'collector.db');
const { authorization } = commandHeaders(database);
const token = authorization!.split(' ')[1]!;
const service = await startService({
  cwd: directory,
  args: ['--db', database, '--port', '0', '--flush-interval', '200ms', '--commands', 'on'],
});
after(() => service.stop());
const RPM = 'MOTORS/MOTOR_LEFT_REAR/RPM';
const SPEED = 'NAVIGATION/GPS_PRIMARY/SPEED';
await eventually(service.state, ({ components }) => components.NAVIGATION?.GPS_PRIMARY?.SPEED !== undefined);

const PROGRAMS: Readonly<Record<string, string>> = { ts: process.execPath, py: 'python3', sh: 'sh' };

function start(
  example: string,
  args: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
): ChildProcess {
  const program = PROGRAMS[example.split('.').at(-1)!]!;
  return spawn(program, [example, ...args], {
    cwd: directory,
    env: { ...process.env, COLLECTOR_URL: service.url, PYTHONIOENCODING: 'utf-8', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What an example prints until its end. */
async function printed(child: ChildProcess): Promise<{ code: number; output: string; errors: string }> {
  let output = '';
  let errors = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr!.setEncoding('utf8').on('data', (text) => (errors += text));
  const [code] = await once(child, 'close');
  return { code, output, errors };
}

/** What an example prints that comes to its end; it has to be a good one. */
async function run(example: string, ...args: string[]): Promise<string> {
  const { code, output, errors } = await printed(start(example, args));
  assert.deepEqual([code, errors], [0, '']);
  return output;
}

const exampleOf = (name: string) => globSync(name, { cwd: directory }).toSorted();

describe('the example', { concurrency: 2 }, () => {
  for (const example of exampleOf('export[-_]drive.*')) {
    test(`${example} writes each sample of a time once`, async () => {
      // Not the newest: while an example runs no more samples of that time come.
      const newestFirst = await eventually(
        () => service.history('limit=600'),
        ({ length }) => length === 600,
      );
      const [from, to] = [newestFirst[500]!.timestamp, newestFirst[100]!.timestamp];
      const lines = (await run(example, String(from), String(to))).trimEnd().split('\n').slice(1);
      const samples: SampleReply[] = await service.history(`limit=10000&order=asc&from=${from}&to=${to}`);
      assert.ok(samples.length > 300);
      assert.equal(lines.length, samples.length);
      for (const [place, { timestamp, value }] of samples.entries()) {
        const line = lines[place]!;
        assert.ok(line.includes(String(timestamp)) && line.includes(`,${value},`), line);
      }
    });
  }

  for (const example of exampleOf('plot[-_]columns.*')) {
    test(`${example} tells signals over a minute`, async () => {
      const output = await run(example, RPM, SPEED);
      if (example.endsWith('.sh')) {
        const { signals } = JSON.parse(output) as SeriesReply;
        assert.deepEqual(
          signals.map(({ unit, mean }) => [unit, mean.length]),
          [
            ['rpm', 60],
            ['km/h', 60],
          ],
        );
        return;
      }
      const [rpm, rpmLine, speed, speedLine] = output.split('\n');
      assert.match(rpm!, /^MOTORS\/MOTOR_LEFT_REAR\/RPM {2}\d+ to \d+ rpm$/);
      assert.match(speed!, /^NAVIGATION\/GPS_PRIMARY\/SPEED {2}[\d.]+ to [\d.]+ km\/h$/);
      for (const line of [rpmLine!, speedLine!]) assert.match(line, /^(?=.*[▁-█])[ ▁-█]{60}$/);
    });
  }

  for (const example of exampleOf('live[-_]rpm.*')) {
    test(`${example} tells what comes, until it is interrupted`, async (t) => {
      const child = start(example);
      t.after(() => child.kill('SIGKILL'));
      let output = '';
      let errors = '';
      child.stdout!.setEncoding('utf8').on('data', (text) => (output += text));
      child.stderr!.setEncoding('utf8').on('data', (text) => (errors += text));
      const ended = once(child, 'close');
      const told = example.endsWith('.sh')
        ? /^data: \{.*"samples":\[\{.*"command_id":"RPM",/gm
        : /^MOTOR_LEFT_REAR \d+ rpm$/gm;
      const count = await eventually(
        async () => (child.exitCode === null ? (output.match(told)?.length ?? 0) : null),
        (lines) => lines === null || lines >= 3,
      );
      child.kill('SIGINT');
      await ended;
      assert.notEqual(count, null, errors);
    });
  }

  for (const example of exampleOf('lights[-_]on.*')) {
    test(`${example} switches the lights on, and tells it; without a token it tells why not`, async () => {
      const acted = await printed(start(example, [], { COLLECTOR_TOKEN: token }));
      assert.deepEqual([acted.code, acted.errors], [0, '']);
      const told = example.endsWith('.sh')
        ? /"status":"acknowledged".*"value_name":"ON"/
        : /^The lights are on: acknowledged on sim after [\d.]+ ms\.$/m;
      assert.match(acted.output, told);

      const refused = await printed(start(example));
      assert.notEqual(refused.code, 0);
      assert.match(refused.output + refused.errors, /This needs a token with the scope command/);
    });
  }

  test('current_state.py tells of each signal', async () => {
    const output = await run('current_state.py');
    assert.match(output, /^SIMULATED: not a real vehicle\n/);
    assert.match(output, /^MOTORS\/MOTOR_LEFT_REAR\/RPM: \d+ rpm$/m);
    assert.match(output, /^MOTORS\/MOTOR_LEFT_REAR\/DIRECTION: [A-Z]+ /m);
  });
});
