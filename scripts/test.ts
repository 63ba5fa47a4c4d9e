/**
 * All that says whether this checkout is sound: `npm test`.
 *
 *     npm test                                   every step
 *     npm test -- src/bus/frame-batch.test.ts    these tests alone; those in test/vm/ run in the VM
 *     npm test -- --test-name-pattern=wraps      node's own test flags are passed on
 *
 * A step that fails does not keep the others from running. What cannot run here (the tests on a real CAN bus need
 * packages that only root can install) is said at the end; with CI=true it counts as a failure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join, relative, resolve } from 'node:path';
import { dashboardState } from './dashboard.mjs';
import { describeVmFailure, startVm, vmUnavailableReason } from './vm.ts';
import { needsWideXstate, WIDE_XSTATE_PACKAGES } from './wide-xstate.ts';

const PROJECT_DIR = resolve(import.meta.dirname, '..');
const ENVIRONMENT = {
  ...process.env,
  PATH: `${join(PROJECT_DIR, 'node_modules/.bin')}${delimiter}${process.env.PATH ?? ''}`,
};
const TEST_GLOBS = ['src/**/*.test.ts', 'test/*.test.ts', 'dashboard/src/**/*.test.ts'];
const VM_TEST_GLOB = 'test/vm/*.test.ts';
/** Of it promtool alone is wanted. */
const PROMETHEUS = 'prometheus';
/** For the VM, and to compare with the programs of others that speak CAN, protobuf, SQL and Prometheus' format. */
const DEBIAN_PACKAGES = [
  'user-mode-linux',
  'kmod',
  'iproute2',
  'can-utils',
  'curl',
  'python3',
  'python3-can',
  'protobuf-compiler',
  'sqlite3',
  'jq',
  PROMETHEUS,
  'chromium',
  ...(needsWideXstate() ? WIDE_XSTATE_PACKAGES : []),
];
/** One test. Nothing here should come near it; it is there so that a hang becomes a failure with a name. */
const TEST_TIMEOUT_MS = 120_000;
const STEP_TIMEOUT_MS = 900_000;
/** Of the name of a step, in the table at the end. */
const STEP_WIDTH = 25;
/** Node would leave a processor free: half of a small machine, while most tests wait for a process that they started. */
const CONCURRENCY = `--test-concurrency=${availableParallelism()}`;
/** A VM has one processor; the tests in one share its vcan0, so they run one after the other. */
const VMS = Math.min(2, availableParallelism());

type Result =
  | { readonly outcome: 'passed' | 'failed'; readonly note?: string }
  | { readonly outcome: 'could not run'; readonly note: string };

interface Step {
  readonly name: string;
  readonly run: () => Result | Promise<Result>;
}

function installDebianPackages(): Result {
  const missing = missingDebianPackages();
  if (missing === undefined) return { outcome: 'could not run', note: 'this is not Debian' };
  if (missing.length === 0) return { outcome: 'passed' };
  const command = `apt-get install ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) return { outcome: 'could not run', note: `as root: ${command}` };

  console.log(`installing Debian packages: ${missing.join(' ')}`);
  const environment = { ...ENVIRONMENT, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = (...args: string[]) =>
    spawnSync('apt-get', ['-q', '-y', ...args], { env: environment, encoding: 'utf8' });
  const install = () => aptGet('install', '--no-install-recommends', ...missing);
  let installed = install();
  if (installed.status !== 0) {
    // A fresh image has no package lists, an old one has lists of versions that are gone.
    aptGet('update');
    installed = install();
  }
  if (installed.status === 0) {
    if (missing.includes(PROMETHEUS)) stopService(PROMETHEUS);
    return { outcome: 'passed', note: `installed ${missing.length}` };
  }
  console.log(installed.stdout + installed.stderr);
  return { outcome: 'could not run', note: `failed: ${command}` };
}

/** Debian starts what it installs, now and at each boot. Where nothing runs services, as in a container, it doesn't. */
function stopService(name: string): void {
  spawnSync('systemctl', ['disable', '--now', name], { stdio: 'ignore' });
}

/** Undefined where Debian's package manager is not there. */
function missingDebianPackages(): string[] | undefined {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills these in.
  const query = spawnSync('dpkg-query', ['-W', '-f=${Package} ${db:Status-Status}\n', ...DEBIAN_PACKAGES], {
    encoding: 'utf8',
  });
  if (query.error !== undefined) return undefined;
  const present = query.stdout.split('\n');
  return DEBIAN_PACKAGES.filter((name) => !present.includes(`${name} installed`));
}

/** A program whose output matters only when it fails. */
function check(command: string, ...args: string[]): Result {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: PROJECT_DIR,
    env: ENVIRONMENT,
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
  });
  if (status === 0) return { outcome: 'passed' };
  console.log(stdout + stderr);
  return error === undefined ? { outcome: 'failed' } : { outcome: 'failed', note: error.message };
}

async function runTests(files: readonly string[], flags: readonly string[]): Promise<Result> {
  if (files.length === 0) return { outcome: 'could not run', note: 'there are no tests' };
  return await withReport(async (report, reportDir) => {
    const child = spawn(process.execPath, testArgs(files, [CONCURRENCY, ...flags], reportDir), {
      cwd: PROJECT_DIR,
      env: ENVIRONMENT,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: STEP_TIMEOUT_MS,
    });
    const stop = () => child.kill();
    process.on('exit', stop);
    const [code, signal] = await once(child, 'exit');
    process.off('exit', stop);
    if (signal !== null) return { outcome: 'failed', note: `ended by ${signal}` };
    return { outcome: code === 0 ? 'passed' : 'failed', note: report() };
  });
}

async function runVmTests(files: readonly string[], flags: readonly string[]): Promise<Result> {
  if (files.length === 0) return { outcome: 'could not run', note: 'there are no tests' };
  const reason = vmUnavailableReason();
  if (reason !== undefined) return { outcome: 'could not run', note: reason };
  const results = await Promise.all(shared(files, VMS).map((share) => runInVm(share, flags)));
  return {
    outcome: results.every(({ outcome }) => outcome === 'passed') ? 'passed' : 'failed',
    note: results.map(({ note }) => note).join(' + '),
  };
}

/** Deals the files out, the longest first, as that tells best how long they take. */
function shared(files: readonly string[], shares: number): string[][] {
  const dealt = Array.from({ length: shares }, () => ({ paths: [] as string[], bytes: 0 }));
  const bytesOf = new Map(files.map((path) => [path, statSync(join(PROJECT_DIR, path)).size]));
  for (const path of files.toSorted((left, right) => bytesOf.get(right)! - bytesOf.get(left)!)) {
    const least = dealt.reduce((best, each) => (each.bytes < best.bytes ? each : best));
    least.paths.push(path);
    least.bytes += bytesOf.get(path)!;
  }
  return dealt.map(({ paths }) => paths).filter(({ length }) => length > 0);
}

async function runInVm(files: readonly string[], flags: readonly string[]): Promise<Result> {
  return await withReport(async (report, reportDir) => {
    const vm = startVm({
      command: ['node', ...testArgs(files, ['--test-concurrency=1', ...flags], reportDir)],
      cwd: PROJECT_DIR,
      writableDirs: [reportDir],
      timeoutMs: STEP_TIMEOUT_MS,
      onStdout: (chunk) => process.stdout.write(chunk),
      onStderr: (chunk) => process.stderr.write(chunk),
    });
    const result = await vm.result;
    const failure = describeVmFailure(result);
    if (failure !== undefined) {
      console.log(failure);
      return { outcome: 'failed', note: `the VM: ${result.outcome}` };
    }
    const isPassed = result.outcome === 'exited' && result.exitCode === 0;
    return { outcome: isPassed ? 'passed' : 'failed', note: report() };
  });
}

/** For people on stdout, for the summary in a file. */
function testArgs(files: readonly string[], flags: readonly string[], reportDir: string): string[] {
  return [
    '--test',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${join(reportDir, 'report.tap')}`,
    ...flags,
    ...files,
  ];
}

async function withReport(
  body: (report: () => string, reportDir: string) => Promise<Result>,
): Promise<Result> {
  const reportDir = mkdtempSync(join(tmpdir(), 'test-report-'));
  process.on('exit', () => rmSync(reportDir, { recursive: true, force: true }));
  return await body(() => countTests(join(reportDir, 'report.tap')), reportDir);
}

/** "12 passed, 1 skipped", from the lines that end a TAP report. */
function countTests(reportPath: string): string {
  const text = existsSync(reportPath) ? readFileSync(reportPath, 'utf8') : '';
  const counts = [
    ['pass', 'passed'],
    ['fail', 'failed'],
    ['cancelled', 'cancelled'],
    ['skipped', 'skipped'],
    ['todo', 'to do'],
  ].flatMap(([name, label]) => {
    const count = Number(text.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0);
    return count === 0 ? [] : [`${count} ${label}`];
  });
  return counts.join(', ') || 'no test ran';
}

async function main(args: readonly string[]): Promise<void> {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const chosen = args
    .filter((arg) => !arg.startsWith('-'))
    .map((path) => relative(PROJECT_DIR, resolve(path)));
  const vmFiles = globSync(VM_TEST_GLOB, { cwd: PROJECT_DIR }).toSorted();
  const files = globSync(TEST_GLOBS, { cwd: PROJECT_DIR }).toSorted();
  const isInVm = (path: string) => path.startsWith('test/vm/');

  const packages: Step = { name: 'packages', run: installDebianPackages };
  // Services that tests start serve what is built then.
  const dashboard: Step = { name: 'dashboard', run: () => check('node', 'scripts/dashboard.mjs') };
  const tests = (paths: readonly string[]): Step => ({ name: 'tests', run: () => runTests(paths, flags) });
  const vmTests = (paths: readonly string[]): Step => ({
    name: 'tests on a CAN bus',
    run: () => runVmTests(paths, flags),
  });
  const steps: Step[] =
    chosen.length === 0
      ? [
          packages,
          { name: 'types', run: () => check('tsc', '-p', '.') },
          { name: 'types of the dashboard', run: () => check('npm', 'run', 'check:dashboard') },
          { name: 'lint', run: () => check('biome', 'check', '--error-on-warnings') },
          dashboard,
          tests(files),
          vmTests(vmFiles),
        ]
      : [
          ...(dashboardState() === 'built' ? [] : [dashboard]),
          ...(chosen.every(isInVm) ? [] : [tests(chosen.filter((path) => !isInVm(path)))]),
          ...(chosen.some(isInVm) ? [packages, vmTests(chosen.filter(isInVm))] : []),
        ];

  // By way of exit(), which ends the VM and the tests too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

  const isCi = !['', 'false', '0', undefined].includes(process.env.CI);
  const rows: { name: string; result: Result; seconds: string }[] = [];
  for (const { name, run } of steps) {
    const startMs = performance.now();
    const result = await run();
    rows.push({ name, result, seconds: ((performance.now() - startMs) / 1000).toFixed(1) });
  }

  console.log(`\n${'step'.padEnd(STEP_WIDTH)}result         seconds`);
  for (const { name, result, seconds } of rows) {
    console.log(
      `${name.padEnd(STEP_WIDTH)}${result.outcome.padEnd(15)}${seconds.padStart(7)}  ${result.note ?? ''}`.trimEnd(),
    );
  }
  const isFailed = ({ result }: { result: Result }) =>
    result.outcome === 'failed' || (isCi && result.outcome === 'could not run');
  process.exitCode = rows.some(isFailed) ? 1 : 0;
}

await main(process.argv.slice(2));
