import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, type TestContext, test } from 'node:test';

const BOOTSTRAP = resolve(import.meta.dirname, '../scripts/bootstrap.mjs');
/** No such process: above the largest pid_max. */
const DEAD_PID = 4_194_305;

/** What the real npm would leave: a node that works, its own list of what is installed; and a log of the calls. */
const NPM_STUB = `
  import { appendFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
  appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
  console.log('a line of npm');
  if (process.env.NPM_STUB === 'fails') process.exit(1);
  await new Promise((done) => setTimeout(done, 300));
  rmSync('node_modules', { recursive: true, force: true });
  mkdirSync('node_modules/.bin', { recursive: true });
  mkdirSync('node_modules/node');
  writeFileSync('node_modules/node/package.json', '{"version": "24.0.0"}');
  if (process.env.NPM_STUB === 'ignores-scripts') {
    writeFileSync(
      'node_modules/node/installArchSpecificPackage.js',
      'require("fs").mkdirSync("bin"); require("fs").symlinkSync(process.execPath, "bin/node")',
    );
  } else if (process.env.NPM_STUB !== 'has-no-node') {
    symlinkSync(process.execPath, 'node_modules/.bin/node');
  }
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const withDev = process.argv.includes('--include=dev') || process.env.NPM_STUB !== 'omits-dev';
  const installed = Object.entries(packages).filter(([path, { dev }]) => path !== '' && (withDev || !dev));
  writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages: Object.fromEntries(installed) }));
`;

const PROGRAM = `
  process.on('SIGTERM', () => { console.log('got SIGTERM'); process.exit(3); });
  const [action, value] = process.argv.slice(2);
  if (action === 'exit') process.exit(Number(value));
  else if (action === 'die') process.kill(process.pid, value);
  else if (action === 'wait') { console.log('ready'); setInterval(() => {}, 1000); }
  else console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd() }));
`;

/** Beside the service stands what builds its dashboard. */
const DASHBOARD_STUB = `
  import { appendFileSync } from 'node:fs';
  export const dashboardState = () => process.env.DASHBOARD;
  export const canBuildDashboard = () => process.env.VITE !== 'none';
  if (process.argv[1].endsWith('dashboard.mjs')) {
    appendFileSync('dashboard.log', 'built\\n');
    if (process.env.VITE === 'fails') {
      console.log('a line of Vite');
      process.exit(1);
    }
  }
`;

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly cwd?: string;
  readonly environment?: Record<string, string>;
  readonly nodeFlags?: readonly string[];
  readonly entry?: string;
  readonly onStdout?: (child: ChildProcess) => void;
}

class Project {
  readonly dir: string;

  constructor(t: TestContext) {
    this.dir = realpathSync(mkdtempSync(join(tmpdir(), 'bootstrap-')));
    t.after(() => rmSync(this.dir, { recursive: true, force: true }));
    for (const dir of ['scripts', 'src', 'elsewhere']) mkdirSync(join(this.dir, dir));
    cpSync(BOOTSTRAP, join(this.dir, 'scripts/bootstrap.mjs'));
    this.write('package.json', '{"type": "module", "dependencies": {"a": "^1.0.0"}}');
    this.writeLock('1.0.0');
    mkdirSync(join(this.dir, 'npm'));
    this.write('npm/package.json', '{"type": "module"}');
    this.write('npm/npm-cli.js', NPM_STUB);
    this.write('src/program.js', PROGRAM);
    this.write('scripts/program.js', PROGRAM);
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.dir, path), text);
  }

  writeLock(version: string): void {
    const packages = {
      '': {},
      'node_modules/a': { version },
      'node_modules/only-elsewhere': { version, optional: true },
      'node_modules/tool': { version, dev: true },
    };
    this.write('package-lock.json', JSON.stringify({ packages }));
  }

  npmCalls(): string[] {
    const path = join(this.dir, 'npm.log');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }

  async run(args: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> {
    const child = spawn(
      process.execPath,
      [
        ...(options.nodeFlags ?? []),
        join(this.dir, 'scripts/bootstrap.mjs'),
        options.entry ?? 'src/program.js',
        ...args,
      ],
      {
        cwd: options.cwd ?? this.dir,
        env: {
          PATH: process.env.PATH,
          npm_execpath: join(this.dir, 'npm/npm-cli.js'),
          ...options.environment,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
      options.onStdout?.(child);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const [code, signal] = await once(child, 'close');
    return { code, signal, stdout, stderr };
  }
}

test('the first start installs, and says so in one line', async (t) => {
  const project = new Project(t);
  const { code, stderr, stdout } = await project.run(['a', 'b c']);
  assert.equal(stderr, 'first start: installing dependencies, about a minute\n');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout).args, ['a', 'b c']);
  assert.deepEqual(project.npmCalls(), ['ci --no-audit --no-fund']);
});

test('npm runs again only when package-lock.json asks for something else', async (t) => {
  const project = new Project(t);
  await project.run();
  assert.equal((await project.run()).stderr, '');
  assert.equal(project.npmCalls().length, 1);

  project.write('package.json', '{"type": "module", "dependencies": {"a": "^1"}}');
  assert.equal((await project.run()).stderr, '');
  assert.equal(project.npmCalls().length, 1, 'another range, the same packages');

  project.writeLock('1.0.1');
  assert.equal(
    (await project.run()).stderr,
    'dependencies have changed: installing dependencies, about a minute\n',
  );
  assert.equal((await project.run()).stderr, '');
  assert.equal(project.npmCalls().length, 2);
});

test("somebody's own npm ci counts", async (t) => {
  const project = new Project(t);
  await project.run();
  rmSync(join(project.dir, 'node_modules/.telemetry-collector-lock'));
  assert.equal((await project.run()).stderr, '');
  assert.equal(project.npmCalls().length, 1);
});

test('programs in src/ do without the devDependencies, others bring them', async (t) => {
  const project = new Project(t);
  const environment = { NPM_STUB: 'omits-dev' };
  await project.run([], { environment });
  await project.run([], { environment });
  assert.deepEqual(project.npmCalls(), ['ci --no-audit --no-fund']);
  await project.run([], { environment, entry: 'scripts/program.js' });
  await project.run([], { environment });
  assert.deepEqual(project.npmCalls().slice(1), ['ci --no-audit --no-fund --include=dev']);
});

test("npm's output is shown when it fails, and the program is not started", async (t) => {
  const project = new Project(t);
  const { code, stderr, stdout } = await project.run([], { environment: { NPM_STUB: 'fails' } });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^first start.*\na line of npm\nnpm ci failed\n$/);
  assert.equal((await project.run()).code, 0, 'and the next start tries again');
});

test('node is built where npm ignored its install script', async (t) => {
  const project = new Project(t);
  assert.equal((await project.run([], { environment: { NPM_STUB: 'ignores-scripts' } })).code, 0);
});

test('a node that cannot be had ends with what to do', async (t) => {
  const project = new Project(t);
  const { code, stderr } = await project.run([], { environment: { NPM_STUB: 'has-no-node' } });
  assert.equal(code, 1);
  assert.match(stderr, /Node 24\.0\.0.*could not be installed.*npm ci --ignore-scripts=false\n$/s);
});

test('of two first starts at once, one installs and both run', async (t) => {
  const project = new Project(t);
  const outcomes = await Promise.all([project.run(), project.run(), project.run()]);
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 0, 0],
  );
  assert.equal(project.npmCalls().length, 1);
});

test('the lock of a process that died is taken away', async (t) => {
  const project = new Project(t);
  mkdirSync(join(project.dir, '.cache/install.lock'), { recursive: true });
  project.write('.cache/install.lock/pid', String(DEAD_PID));
  assert.equal((await project.run()).code, 0);
  assert(!existsSync(join(project.dir, '.cache/install.lock')));
});

test('the program runs where the user is', async (t) => {
  const project = new Project(t);
  const elsewhere = join(project.dir, 'elsewhere');
  const cwdOf = async (options: RunOptions) => JSON.parse((await project.run([], options)).stdout).cwd;
  assert.equal(await cwdOf({ cwd: elsewhere }), elsewhere);
  assert.equal(await cwdOf({ environment: { INIT_CWD: elsewhere } }), elsewhere, 'npm changes the directory');
  assert.equal(await cwdOf({}), project.dir);
});

for (const [how, nodeFlags] of [
  ['Node becomes the program', []],
  ['an older Node waits for it', ['--import', 'data:text/javascript,process.execve=undefined']],
] as const) {
  test(`${how}: exit codes and signals pass`, async (t) => {
    const project = new Project(t);
    await project.run();
    const run = (args: string[], onStdout?: RunOptions['onStdout']) =>
      project.run(args, onStdout === undefined ? { nodeFlags } : { nodeFlags, onStdout });

    assert.equal((await run(['exit', '0'])).code, 0);
    assert.equal((await run(['exit', '7'])).code, 7);
    assert.equal((await run(['die', 'SIGKILL'])).signal, 'SIGKILL');
    assert.equal((await run(['die', 'SIGINT'])).signal, 'SIGINT');

    const stopped = await run(['wait'], (child) => child.kill('SIGTERM'));
    assert.deepEqual(stopped, { code: 3, signal: null, stdout: 'ready\ngot SIGTERM\n', stderr: '' });
  });
}

describe('the dashboard', () => {
  const SERVICE = 'src/cli/main.ts';

  async function projectWithDashboard(t: TestContext): Promise<Project> {
    const project = new Project(t);
    mkdirSync(join(project.dir, 'src/cli'));
    project.write(SERVICE, PROGRAM);
    project.write('scripts/dashboard.mjs', DASHBOARD_STUB);
    await project.run([], { environment: { NPM_STUB: 'omits-dev' } });
    return project;
  }
  const isBuilt = ({ dir }: Project) => existsSync(join(dir, 'dashboard.log'));

  const cases: readonly [what: string, args: readonly string[], state: string, isBuilt: boolean][] = [
    ['is built for the service where it is missing', [], 'missing', true],
    ['is built anew for the service where its sources have changed', ['--port', '0'], 'outdated', true],
    ['is left as it is where it is that of the sources', [], 'built', false],
    ['is not needed where the service only tells of itself', ['--help'], 'missing', false],
    ['is not needed by a subcommand', ['doctor'], 'missing', false],
    ['is not there in a package', [], 'none', false],
  ];
  for (const [what, args, state, wanted] of cases) {
    test(what, async (t) => {
      const project = await projectWithDashboard(t);
      const environment = { DASHBOARD: state };
      const { code, stderr } = await project.run(args, { entry: SERVICE, environment });
      assert.equal(code, 0);
      assert.equal(isBuilt(project), wanted);
      assert.equal(stderr.includes('building the dashboard'), wanted);
    });
  }

  test('that cannot be built does not keep the service from running', async (t) => {
    const project = await projectWithDashboard(t);
    for (const [vite, said] of [
      [
        'none',
        /can't be built without Vite, so it is served as it was before; to have it: npm ci --include=dev\n$/,
      ],
      ['fails', /a line of Vite\nthe dashboard could not be built, so it is served as it was before\n$/],
    ] as const) {
      const environment = { DASHBOARD: 'outdated', VITE: vite };
      const { code, stdout, stderr } = await project.run(['--port', '1'], { entry: SERVICE, environment });
      assert.match(stderr, said);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout).args, ['--port', '1']);
    }
  });
});
