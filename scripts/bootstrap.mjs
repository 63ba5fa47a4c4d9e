/**
 * Runs one of the project's programs under the Node version that the project pins, whatever Node started this:
 *
 *     node scripts/bootstrap.mjs ENTRY [ARGS...]
 *
 * ENTRY is relative to the project. The pinned Node is a dependency like any other, so where the dependencies
 * are missing or older than package-lock.json, `npm ci` comes first. Plain JavaScript without dependencies: it
 * has to run on Node 18, from a checkout that has nothing else yet.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants as osConstants } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT_DIR = resolve(fileURLToPath(import.meta.url), '../..');
const MODULES_DIR = join(PROJECT_DIR, 'node_modules');
const NODE = join(MODULES_DIR, '.bin/node');
/** Says for which package-lock.json the dependencies were installed; goes when node_modules goes. */
const STAMP = join(MODULES_DIR, '.telemetry-collector-lock');
/** Ends a stamp of runtime dependencies alone, which are enough for the programs in src/. */
const WITHOUT_DEV = '-without-dev';
/** Outside node_modules, which `npm ci` deletes. */
const INSTALL_LOCK = join(PROJECT_DIR, '.cache/install.lock');
const INSTALL_LOCK_WAIT_MS = 15 * 60_000;
const POLL_MS = 200;
/** A lock without a process id is one being taken at this moment, or by a process that died right then. */
const UNSIGNED_LOCK_MS = 5_000;
/** npm, a service manager and a terminal may all pass on the same signal; the child should see it once. */
const SAME_SIGNAL_MS = 500;
/** Starts the service, if no subcommand stands behind it. */
const SERVICE_ENTRY = 'src/cli/main.ts';
const DASHBOARD_SCRIPT = 'scripts/dashboard.mjs';
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * A hash of all that decides what belongs in node_modules.
 * @returns {string}
 */
function wantedDependencies() {
  const manifest = JSON.parse(readFileSync(join(PROJECT_DIR, 'package.json'), 'utf8'));
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  return createHash('sha256')
    .update(readFileSync(join(PROJECT_DIR, 'package-lock.json')))
    .update(JSON.stringify([dependencies, devDependencies, optionalDependencies]))
    .digest('hex');
}

/**
 * @param {string} wanted
 * @param {boolean} withDev
 * @returns {boolean}
 */
function isInstalled(wanted, withDev) {
  try {
    accessSync(NODE, constants.X_OK);
    const stamp = readFileSync(STAMP, 'utf8');
    return stamp === wanted || (!withDev && stamp === wanted + WITHOUT_DEV);
  } catch {
    return false;
  }
}

/**
 * What node_modules holds of what package-lock.json asks for. npm keeps the list of what it installed there, in
 * the lock file's own form: so somebody's own `npm install` or `npm ci --omit=dev` counts like ours.
 * @returns {'everything' | 'runtime' | 'something else'}
 */
function installed() {
  try {
    accessSync(NODE, constants.X_OK);
    const wanted = JSON.parse(readFileSync(join(PROJECT_DIR, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(MODULES_DIR, '.package-lock.json'), 'utf8')).packages;
    const isSame = (/** @type {string} */ path) =>
      wanted[path]?.version === present[path]?.version &&
      wanted[path]?.integrity === present[path]?.integrity;
    // Optional packages for other platforms are in the lock file alone.
    const needed = Object.keys(wanted).filter(
      (path) => path !== '' && !wanted[path].optional && !wanted[path].devOptional,
    );
    const missing = needed.filter((path) => !isSame(path));
    if (!Object.keys(present).every(isSame) || missing.some((path) => !wanted[path].dev))
      return 'something else';
    return missing.length === 0 ? 'everything' : 'runtime';
  } catch {
    return 'something else';
  }
}

/**
 * @param {string} wanted
 * @param {boolean} withDev whether what is there without devDependencies is too little
 * @param {boolean} withVite whether they come along when something is installed
 * @returns {Promise<void>}
 */
async function install(wanted, withDev, withVite) {
  const isEnough = () => installed() === 'everything' || (!withDev && installed() === 'runtime');
  if (!isEnough()) {
    await takeInstallLock();
    process.on('exit', releaseInstallLock);
    // Another process may have installed while this one waited for the lock.
    if (!isEnough()) await runNpmCi(withVite);
    releaseInstallLock();
    process.off('exit', releaseInstallLock);
  }
  try {
    writeFileSync(STAMP, installed() === 'runtime' ? wanted + WITHOUT_DEV : wanted);
  } catch {
    // Installed by another user: then each start compares the lists again, in a few milliseconds.
  }
}

/**
 * @param {boolean} withDev
 * @returns {Promise<void>}
 */
async function runNpmCi(withDev) {
  const why = existsSync(MODULES_DIR) ? 'dependencies have changed' : 'first start';
  say(`${why}: installing dependencies, about a minute`);
  // Without --include, NODE_ENV=production and npm's own settings decide about devDependencies.
  const ci = await npm(['ci', '--no-audit', '--no-fund', ...(withDev ? ['--include=dev'] : [])], PROJECT_DIR);
  if (ci.code !== 0) fail('npm ci failed', ci.output);
  if (!(await nodeWorks())) await installNodeBinary();
}

function releaseInstallLock() {
  rmSync(INSTALL_LOCK, { recursive: true, force: true });
}

/**
 * The pinned Node arrives by an install script, which npm may have been told to ignore.
 * @returns {Promise<void>}
 */
async function installNodeBinary() {
  const packageDir = join(MODULES_DIR, 'node');
  const script = join(packageDir, 'installArchSpecificPackage.js');
  const built = existsSync(script)
    ? await run(process.execPath, [script], packageDir)
    : { code: 1, output: '' };
  // npm links no program that is not there yet.
  if (existsSync(join(packageDir, 'bin/node')) && !existsSync(NODE)) {
    rmSync(NODE, { force: true });
    symlinkSync('../node/bin/node', NODE);
  }
  if (await nodeWorks()) return;
  const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'));
  fail(
    `Node ${version}, which this project runs on, could not be installed for ${process.platform}-${process.arch}. ` +
      'If npm is set to ignore install scripts, allow them: npm ci --ignore-scripts=false',
    built.output,
  );
}

/** @returns {Promise<boolean>} */
async function nodeWorks() {
  return existsSync(NODE) && (await run(NODE, ['--version'], PROJECT_DIR)).code === 0;
}

/**
 * Two first starts at once: the second waits for the first.
 * @returns {Promise<void>}
 */
async function takeInstallLock() {
  const owner = join(INSTALL_LOCK, 'pid');
  mkdirSync(join(INSTALL_LOCK, '..'), { recursive: true });
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    try {
      mkdirSync(INSTALL_LOCK);
      writeFileSync(owner, String(process.pid));
      return;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    if (isInstallLockStale(owner)) {
      // Renamed first, so that of two processes that see it only one takes it away.
      const taken = `${INSTALL_LOCK}.${process.pid}`;
      try {
        renameSync(INSTALL_LOCK, taken);
        rmSync(taken, { recursive: true, force: true });
      } catch {
        // The other process was faster.
      }
      continue;
    }
    if (waitedMs === 0) say('waiting for another process that is installing the dependencies');
    if (waitedMs > INSTALL_LOCK_WAIT_MS)
      fail(`the dependencies are still being installed; if they are not, delete ${INSTALL_LOCK}`);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/**
 * @param {string} owner
 * @returns {boolean}
 */
function isInstallLockStale(owner) {
  try {
    const pid = Number(readFileSync(owner, 'utf8'));
    if (pid > 0) {
      process.kill(pid, 0);
      return false;
    }
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ESRCH') return true;
    if (code === 'EPERM') return false;
  }
  try {
    return Date.now() - statSync(INSTALL_LOCK).mtimeMs > UNSIGNED_LOCK_MS;
  } catch {
    return false;
  }
}

/**
 * Memory that each thread uses for what it soon throws away, in MiB: Node would let it grow to 16, twice, in each
 * of them. ARCHITECTURE.md has what that comes to.
 */
const NODE_FLAGS = ['--max-semi-space-size=2'];

/**
 * What Node compiled once is kept, for worker threads too: it halves a start. A folder that can't be
 * written costs nothing but that. With more arenas than that, glibc keeps what one thread has freed from the others.
 */
function environment() {
  return {
    NODE_COMPILE_CACHE: join(PROJECT_DIR, '.cache/compile'),
    MALLOC_ARENA_MAX: '4',
    MALLOC_MMAP_THRESHOLD_: '131072',
    ...process.env,
  };
}

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function npm(args, cwd) {
  // Set by npm, and by other package managers, which cannot read package-lock.json.
  const cli = process.env.npm_execpath;
  return cli !== undefined && basename(cli) === 'npm-cli.js'
    ? run(process.execPath, [cli, ...args], cwd)
    : run('npm', args, cwd);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<{code: number | null, output: string}>}
 */
function run(command, args, cwd) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      output += chunk;
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let isStopped = false;
    const stop = () => {
      isStopped = true;
      child.kill('SIGTERM');
    };
    for (const signal of SIGNALS) process.on(signal, stop);
    const finish = (/** @type {number | null} */ code) => {
      for (const signal of SIGNALS) process.off(signal, stop);
      if (isStopped) process.exit(130);
      done({ code, output });
    };
    child.on('error', (error) => {
      output += error.message;
      finish(null);
    });
    child.on('close', finish);
  });
}

/**
 * @param {string} entry
 * @param {string[]} args
 */
function start(entry, args) {
  const argv = [...NODE_FLAGS, join(PROJECT_DIR, entry), ...args];
  // npm runs its scripts in the project's directory, but relative paths mean the directory the user is in.
  const cwd = process.cwd() === PROJECT_DIR ? (process.env.INIT_CWD ?? PROJECT_DIR) : process.cwd();
  process.chdir(cwd);

  // Newer versions can become the program instead of waiting for it, which spares 40 MB and every question below.
  if (typeof process.execve === 'function') {
    process.removeAllListeners('warning'); // "process.execve is an experimental feature"
    process.execve(NODE, [NODE, ...argv], environment());
  }

  const child = spawn(NODE, argv, { stdio: 'inherit', env: environment() });
  const isTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of SIGNALS) {
    let forwardedMs = Number.NEGATIVE_INFINITY;
    process.on(signal, () => {
      // A terminal sends its signals to the child as well. To get one twice can mean "stop at once".
      if (isTerminal && signal !== 'SIGTERM') return;
      const nowMs = performance.now();
      if (nowMs - forwardedMs < SAME_SIGNAL_MS) return;
      forwardedMs = nowMs;
      child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`${NODE} could not be started`, error.message));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of SIGNALS) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // A signal whose default is not to end the process leaves us here.
    setTimeout(() => process.exit(128 + osConstants.signals[signal]), 100);
  });
}

/** @param {string} message */
function say(message) {
  process.stderr.write(`${message}\n`);
}

/**
 * @param {string} message
 * @param {string} [details]
 * @returns {never}
 */
function fail(message, details = '') {
  if (details !== '') say(details.trimEnd());
  say(message);
  process.exit(1);
}

/**
 * Whether these arguments start the service, which serves the dashboard. A subcommand comes first, as a word.
 * @param {string} entry
 * @param {string[]} args
 * @returns {boolean}
 */
function servesDashboard(entry, [first, ...rest]) {
  const isCommand = first !== undefined && !first.startsWith('-');
  const asksOnly = [first, ...rest].some((arg) => ['--help', '-h', '--version', '-V'].includes(arg));
  return entry === SERVICE_ENTRY && !isCommand && !asksOnly;
}

/**
 * Builds the dashboard if its sources have changed. Without one the service runs, too.
 * @param {typeof import('./dashboard.mjs')} dashboard
 * @returns {Promise<void>}
 */
async function buildDashboard({ canBuildDashboard, dashboardState }) {
  const state = dashboardState();
  if (state === 'none' || state === 'built') return;
  const served = state === 'outdated' ? 'it is served as it was before' : 'there is none';
  if (!canBuildDashboard()) {
    say(`the dashboard can't be built without Vite, so ${served}; to have it: npm ci --include=dev`);
    return;
  }
  say('building the dashboard, some seconds');
  const { code, output } = await run(NODE, [join(PROJECT_DIR, DASHBOARD_SCRIPT)], PROJECT_DIR);
  if (code !== 0) say(`${output.trimEnd()}\nthe dashboard could not be built, so ${served}`);
}

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) fail('usage: node scripts/bootstrap.mjs ENTRY [ARGS...]');
const wanted = wantedDependencies();
const dashboard =
  servesDashboard(entry, args) && existsSync(join(PROJECT_DIR, DASHBOARD_SCRIPT))
    ? await import('./dashboard.mjs')
    : null;
// Where it is to be built anyway, what builds it comes along; what somebody has installed without it is left so.
const withDev = !entry.startsWith('src/');
const withVite =
  withDev || (dashboard !== null && ['missing', 'outdated'].includes(dashboard.dashboardState()));
if (!isInstalled(wanted, withDev)) await install(wanted, withDev, withVite);
if (dashboard !== null) await buildDashboard(dashboard);
start(entry, args);
