/**
 * Builds the dashboard:
 *
 *     node scripts/dashboard.mjs                 into .cache/dashboard, where a checkout serves it from, if it isn't
 *                                                there yet or its sources have changed
 *     node scripts/dashboard.mjs dist/dashboard  into a folder, in any case: for the package
 *
 * Plain JavaScript that needs nothing until it builds: bootstrap.mjs asks it, under Node 18 and from a checkout
 * that may have no dependencies yet, whether there is something to build.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT_DIR = resolve(fileURLToPath(import.meta.url), '../..');
const SOURCES = join(PROJECT_DIR, 'dashboard');
/** All that the bundle is made of. The API's schemas give it types alone. */
const INPUTS = [SOURCES, join(PROJECT_DIR, 'src/client'), join(PROJECT_DIR, 'package-lock.json')];
const VITE = join(PROJECT_DIR, 'node_modules/vite/package.json');
export const DASHBOARD_DIR = join(PROJECT_DIR, '.cache/dashboard');
/** Says in the folder which sources it was built from. */
const STAMP = 'sources.sha256';
/** Smaller files gain less than a request for them costs. */
const COMPRESSED_BYTES_MIN = 1024;
const COMPRESSIBLE = /\.(js|css|svg)$/;

/**
 * What there is to do before the dashboard can be served. 'none': this is no checkout with a dashboard.
 * @returns {'none' | 'built' | 'outdated' | 'missing'}
 */
export function dashboardState() {
  if (!existsSync(SOURCES)) return 'none';
  const stamp = join(DASHBOARD_DIR, STAMP);
  if (!existsSync(stamp)) return 'missing';
  return readFileSync(stamp, 'utf8') === hashOfSources() ? 'built' : 'outdated';
}

/** @returns {boolean} */
export function canBuildDashboard() {
  return existsSync(VITE);
}

/** @returns {string} */
function hashOfSources() {
  const hash = createHash('sha256');
  for (const path of INPUTS.flatMap(filesIn)) {
    hash.update(path.slice(PROJECT_DIR.length)).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesIn(path) {
  if (!existsSync(path)) return [];
  /** @type {import('node:fs').Dirent[]} */
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    return [path];
  }
  return entries
    .map((entry) => join(path, entry.name))
    .filter((entry) => !entry.endsWith('.test.ts'))
    .sort()
    .flatMap(filesIn);
}

/**
 * Builds into a folder beside the wanted one and then takes its place, so that one who serves from there sees either.
 * @param {string} folder
 * @returns {Promise<void>}
 */
export async function buildDashboard(folder = DASHBOARD_DIR) {
  const [{ build }, hash] = [await import('vite'), hashOfSources()];
  const made = `${folder}.${process.pid}`;
  mkdirSync(made, { recursive: true });
  try {
    await build({
      root: SOURCES,
      configFile: join(SOURCES, 'vite.config.ts'),
      logLevel: 'warn',
      build: { outDir: made, emptyOutDir: true },
    });
    nameAssets(made);
    await compressFiles(join(made, 'assets'));
    writeFileSync(join(made, STAMP), hash);
    rmSync(folder, { recursive: true, force: true });
    renameSync(made, folder);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/**
 * Tells the service worker which files there are.
 * @param {string} folder
 */
function nameAssets(folder) {
  const worker = join(folder, 'sw.js');
  const names = readdirSync(join(folder, 'assets')).sort();
  const source = readFileSync(worker, 'utf8');
  const named = source.replace('const ASSETS = [];', `const ASSETS = ${JSON.stringify(names)};`);
  if (named === source) throw new Error(`${worker} has no list of assets to be filled in.`);
  writeFileSync(worker, named);
}

/**
 * Once here, rather than for every client on a Pi.
 * @param {string} folder
 * @returns {Promise<void>}
 */
async function compressFiles(folder) {
  const { brotliCompressSync, gzipSync } = await import('node:zlib');
  for (const path of filesIn(folder)) {
    if (!COMPRESSIBLE.test(path)) continue;
    const bytes = readFileSync(path);
    if (bytes.length < COMPRESSED_BYTES_MIN) continue;
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    writeFileSync(`${path}.br`, brotliCompressSync(bytes));
  }
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder !== undefined) await buildDashboard(resolve(folder));
  else if (dashboardState() !== 'built') await buildDashboard();
}
