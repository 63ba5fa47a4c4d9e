import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { examined, runDoctor } from './support/doctor.ts';
import { startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

/** The whole command, as one types it. What needs a CAN bus is in test/vm/. */
describe('doctor', { concurrency: 2 }, () => {
  test('finds no problem where all is well, and changes nothing', async (t) => {
    const cwd = temporaryDirectory(t);
    writeFileSync(join(cwd, 'drive.log'), '(1764000000.000000) can0 002#48000001400004B0\n');
    writeFileSync(join(cwd, 'collector.yaml'), 'buses: [{url: "candump:drive.log"}]\napi: {port: 0}\n');
    const before = readdirSync(cwd);
    const { code, stdout, stderr } = await runDoctor(['--db', 'collector.db'], { cwd });
    assert.equal(code, 0, stdout);
    assert.equal(stderr, '');
    assert.match(stdout, /^ {2}✓ file +collector\.yaml$/m);
    assert.match(stdout, /^Bus drive \(candump:drive\.log\)\n {2}✓ log file +\S+drive\.log, 46 bytes$/m);
    assert.match(stdout, /^ {2}✓ database +none yet/m);
    assert.match(stdout, /\n(All is well\.|0 problems, \d+ warnings?\.)\n$/);
    assert.doesNotMatch(stdout, /\p{Cc}\[/u);
    assert.deepEqual(readdirSync(cwd), before);
  });

  test('looks for logs in a folder', async (t) => {
    const cwd = temporaryDirectory(t);
    mkdirSync(join(cwd, 'logs'));
    writeFileSync(join(cwd, 'logs/drive.log'), '(1764000000.000000) can0 002#48000001400004B0\n');
    const logs = await examined(['--bus', 'candump:logs', '--db', 'collector.db', '--port', '0'], { cwd });
    assert.match(String(logs.checks.find(({ name }) => name === 'log files')?.found), /^1 in \S+logs$/);
    const none = await examined(['--bus', 'asc:logs', '--db', 'collector.db', '--port', '0'], { cwd });
    assert.equal(none.checks.find(({ name }) => name === 'log files')?.outcome, 'problem');
  });

  test('looks into a log, and at the folder of a recording', async (t) => {
    const cwd = temporaryDirectory(t);
    writeFileSync(join(cwd, 'screen.log'), '  can0  123   [2]  11 22\n'.repeat(3));
    writeFileSync(join(cwd, 'drive.log'), Buffer.from('fd377a585a00', 'hex'));
    writeFileSync(join(cwd, 'can'), '');
    const buses = ['--bus', 'candump:screen.log', '--bus', 'candump:drive.log'];
    const args = [...buses, '--recording', 'can', '--db', 'collector.db', '--port', '0'];
    const { code, stdout } = await runDoctor(args, { cwd });
    assert.equal(code, 1);
    assert.match(
      stdout,
      /✗ log file +\S+screen\.log has no frame in its first 3 lines, such as " {2}can0 .*"; expected: what candump -l or -L writes/,
    );
    assert.match(stdout, /✗ log file +it is compressed with xz \(unpack it: xz -dk FILE\)/);
    assert.match(stdout, /^Recording\n {2}✗ folder +\S+can is no folder/m);
  });

  test('tells of a service that runs, also while it writes', async (t) => {
    const cwd = temporaryDirectory(t);
    const service = await startService({ cwd, args: ['--db', 'collector.db', '--port', '0'] });
    t.after(() => service.child.kill('SIGKILL'));
    const { port } = new URL(service.url);
    const { code, checks } = await examined(['--db', 'collector.db', '--port', port], { cwd });
    assert.equal(code, 0);
    const found = (name: string) => checks.find((check) => check.name === name)?.found;
    assert.match(
      String(found('service')),
      new RegExp(`answers at ${service.url} \\(process ${service.child.pid}\\)`),
    );
    assert.equal(found('bus sim'), 'open');
    assert.equal(found('lock'), 'held by the collector that answers');
    assert.equal(found('history'), 'open, no sample lost since the start');

    // Asked at another address, the same database is somebody else's.
    const { code: otherCode, checks: otherChecks } = await examined(['--db', 'collector.db', '--port', '0'], {
      cwd,
    });
    assert.equal(otherCode, 1);
    const problems = otherChecks.filter(({ outcome }) => outcome === 'problem');
    assert.deepEqual(
      problems.map(({ name }) => name),
      ['lock'],
    );
    assert.equal((await service.stop()).code, 0);
  });

  test('tells all that is wrong at once, each with what mends it', async (t) => {
    const cwd = temporaryDirectory(t);
    const server = createServer((socket) => socket.end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    writeFileSync(join(cwd, 'notes.txt'), 'not a database');

    const args = ['--bus', 'candump:gone.log', '--db', 'notes.txt', '--port', String(port)];
    const { code, stdout } = await runDoctor(args, { cwd });
    assert.equal(code, 1);
    assert.match(stdout, /✗ log file +there is no \S+gone\.log; expected: a log of candump -l\n {6}- /);
    assert.match(
      stdout,
      /✗ database +\S+notes\.txt can't be the history: it is not an SQLite database.*\n {6}- Give another one with --db FILE/,
    );
    assert.match(
      stdout,
      new RegExp(`✗ address +port ${port} is taken: .*\\n {6}- .*sudo ss -ltnp 'sport = :${port}'`),
    );
    assert.match(stdout, /\n3 problems, \d+ warnings?\.\n$/);
  });

  test('where the configuration is wrong there is nothing to look at', async (t) => {
    const { code, stdout, stderr } = await runDoctor(['--port', 'many'], { cwd: temporaryDirectory(t) });
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /flag --port/);
  });
});
