import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { describe, test } from 'node:test';

/**
 * The rules of who may import whom in src/: one way along the data path. A folder that isn't named here may
 * import nothing but its own files, so that a new one comes with its rule.
 *
 * `*` stands for any file of a folder; `type:` before a target allows `import type` alone. Programs (cli/) and
 * what composes the stages (the files directly in src/) may import everything.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  clock: ['shared/*'],
  bus: ['shared/*'],
  protocol: ['bus/*', 'shared/*'],
  telemetry: ['protocol/*', 'shared/*'],
  history: ['protocol/*', 'shared/*'],
  recording: ['bus/*', 'shared/*'],
  host: ['bus/can-frame.ts', 'bus/frame-batch.ts', 'protocol/*', 'shared/*'],
  commands: ['bus/*', 'protocol/*', 'shared/*'],
  config: ['bus/bus-url.ts', 'bus/can-frame.ts', 'shared/*'],
  pipeline: [
    'bus/*',
    'clock/*',
    'commands/*',
    'config/*',
    'history/*',
    'host/*',
    'protocol/*',
    'recording/*',
    'shared/*',
    'telemetry/*',
  ],
  api: ['history/*', 'protocol/*', 'telemetry/*', 'shared/*', 'type:commands/*', 'type:config/*'],
  client: ['type:api/*'],
  doctor: ['bus/*', 'history/*', 'config/*', 'shared/*'],
};
const MAY_IMPORT_ALL = ['', 'cli'];

/** Of a folder that has parts: which of its other files each may import; `bus/*` are those directly in bus/. */
const PARTS_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'bus/socketcan': ['bus/*'],
  'bus/log': ['bus/*'],
  'bus/simulated-kart': ['bus/*'],
  'history/blocks': ['history/database/damage.ts'],
  'history/database': ['history/blocks/*'],
  'history/reader': ['history/*', 'history/blocks/*', 'history/database/*'],
  'history/writer': [
    'history/*',
    'history/blocks/*',
    'history/database/*',
    'history/reader/newest-samples.ts',
  ],
};

/** Only here is the environment read. */
const ENVIRONMENT_READER = 'config';

type SourceTree = Readonly<Record<string, string>>;

interface Import {
  readonly target: string;
  readonly isTypeOnly: boolean;
}

/** Every import, export-from, import() and thread of a file. It relies on Biome's form of the code. */
function importsOf(source: string): Import[] {
  const code = withoutComments(source);
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(type\s+(?!from\b))?(?:[^'";]*?\bfrom\s+)?['"]([^'"\n]+)['"]/gm;
  for (const [, typeWord, target] of code.matchAll(statement)) {
    found.push({ target: target!, isTypeOnly: typeWord !== undefined });
  }
  for (const [, target] of code.matchAll(/\bimport\(\s*['"`]([^'"`\n]+)/g)) {
    found.push({ target: target!, isTypeOnly: false });
  }
  // A thread's module is named without its ending: threadModule(import.meta.url, 'bus-worker').
  for (const [, target] of code.matchAll(/\bthreadModule\(import\.meta\.url,\s*'([^']+)'/g)) {
    found.push({ target: `./${target}.ts`, isTypeOnly: false });
  }
  return found;
}

/** Without the lines that are comments only; a comment beside code stays. */
function withoutComments(source: string): string {
  return source.replace(/^\s*(?:\/\/|\/\*|\*).*$/gm, '');
}

function folderOf(path: string): string {
  const [first = '', ...rest] = path.split('/');
  return rest.length === 0 ? '' : first;
}

function isAllowed(path: string, target: string, isTypeOnly: boolean): boolean {
  const folder = folderOf(path);
  const ofPart = PARTS_MAY_IMPORT[posix.dirname(path)];
  if (ofPart !== undefined && folderOf(target) === folder) {
    const part = posix.dirname(target);
    return part === posix.dirname(path) || ofPart.includes(target) || ofPart.includes(`${part}/*`);
  }
  if (MAY_IMPORT_ALL.includes(folder) || folderOf(target) === folder) return true;
  const allowed = MAY_IMPORT[folder] ?? [];
  const forms = [target, `${folderOf(target)}/*`];
  return forms.some((form) => allowed.includes(form) || (isTypeOnly && allowed.includes(`type:${form}`)));
}

/** What breaks the rules, one line each; `tree` holds the sources by their path below src/. */
function violationsOf(tree: SourceTree): string[] {
  const violations: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, source] of Object.entries(tree)) {
    const targets: string[] = [];
    for (const { target, isTypeOnly } of importsOf(source)) {
      if (target === 'node:process' && folderOf(path) !== ENVIRONMENT_READER) {
        violations.push(`${path} must not import node:process: it holds the environment`);
      }
      if (!target.startsWith('.')) continue;
      const file = posix.join(posix.dirname(path), target);
      if (tree[file] === undefined) {
        violations.push(`${path} imports ${target}, which is not a file of src/`);
        continue;
      }
      targets.push(file);
      if (!isAllowed(path, file, isTypeOnly)) {
        violations.push(`${path} must not import ${file}${isTypeOnly ? ' (type only)' : ''}`);
      }
    }
    graph.set(path, targets);
    if (
      folderOf(path) !== ENVIRONMENT_READER &&
      /\bprocess\s*(\?\.|\.|\[\s*['"])\s*env\b/.test(withoutComments(source))
    ) {
      violations.push(`${path} must not read process.env: only ${ENVIRONMENT_READER}/ does`);
    }
  }
  for (const cycle of cyclesOf(graph)) violations.push(`a cycle: ${cycle.join(' -> ')}`);
  return violations;
}

/** One cycle through each group of files that import each other. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  function visit(file: string): void {
    if (finished.has(file)) return;
    const at = path.indexOf(file);
    if (at >= 0) {
      cycles.push([...path.slice(at), file]);
      return;
    }
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    finished.add(file);
  }
  for (const file of graph.keys()) visit(file);
  return cycles;
}

function readTree(directory: string): SourceTree {
  const paths = globSync('**/*.ts', { cwd: directory }).filter((path) => !path.endsWith('.test.ts'));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(directory, path), 'utf8')]));
}

test('src/ keeps the import rules', () => {
  const tree = readTree(resolve(import.meta.dirname, '../src'));
  assert.ok(Object.keys(tree).length > 30, 'the sources are found');
  for (const folder of [...Object.keys(MAY_IMPORT), ...Object.keys(PARTS_MAY_IMPORT)]) {
    assert.ok(
      Object.keys(tree).some((path) => path.startsWith(`${folder}/`)),
      `there is a folder ${folder}`,
    );
  }
  // Whatever looks like another file's name is known as an import: none is written in a way that slips through.
  for (const [path, source] of Object.entries(tree)) {
    const named = withoutComments(source).match(/(['"`])\.\.?\/[^'"`\n]*\.ts\1/g) ?? [];
    const targets = importsOf(source).map(({ target }) => target);
    for (const name of named) assert.ok(targets.includes(name.slice(1, -1)), `${path} names ${name}`);
  }
  assert.deepEqual(violationsOf(tree), []);
});

/** What the dashboard may import from src/: the client, and of the API the types of what goes over the wire. */
const DASHBOARD_IMPORTS = [
  /^client\/index\.ts$/,
  /^type:client\/index\.ts$/,
  /^type:api\/(.+\/)?schemas\.ts$/,
];

test("the dashboard knows of src/ the client and the API's schemas alone", () => {
  const root = resolve(import.meta.dirname, '..');
  const paths = globSync('dashboard/src/**/*.{ts,svelte}', { cwd: root }).filter(
    (path) => !path.endsWith('.test.ts'),
  );
  assert.ok(paths.length > 30, 'the sources are found');
  let count = 0;
  for (const path of paths) {
    for (const { target, isTypeOnly } of importsOf(readFileSync(join(root, path), 'utf8'))) {
      if (!target.startsWith('.')) continue;
      const file = posix.join(posix.dirname(path), target);
      if (file.startsWith('dashboard/')) continue;
      count++;
      const imported = `${isTypeOnly ? 'type:' : ''}${file.replace(/^src\//, '')}`;
      assert.ok(
        DASHBOARD_IMPORTS.some((allowed) => allowed.test(imported)),
        `${path} must not import ${imported}`,
      );
    }
  }
  assert.ok(count > 5, 'its imports are found');
});

describe('the check of the import rules', () => {
  /** A tree that keeps them, with the ways an import can be written. */
  const sound: SourceTree = {
    'main.ts': "import { a } from './api/server.ts';\nimport './cli/run.ts';\n",
    'cli/run.ts': "import { startCollector } from '../pipeline.ts';\n",
    'pipeline.ts': "import { Bus } from './bus/bus.ts';\nexport * from './config/schema.ts';\n",
    'version.ts': "export const VERSION = '1.0.0';\n",
    'shared/limits.ts': 'export const LIMIT = 1;\n',
    'bus/bus.ts':
      "import { LIMIT } from '../shared/limits.ts';\nnew Worker(threadModule(import.meta.url, 'bus-worker'));\n",
    'bus/bus-worker.ts': "const { a } = await import('./bus-url.ts');\n",
    'bus/bus-url.ts': "import { readFileSync } from 'node:fs';\n",
    'protocol/decoder.ts': "import {\n  type A,\n  B,\n} from '../bus/bus-url.ts';\n",
    'telemetry/store.ts': "import type { B } from '../protocol/decoder.ts';\n",
    'history/writer.ts': 'import type { B } from "../protocol/decoder.ts";\n',
    'history/query.ts': 'export interface HistoryQuery {}\n',
    'history/reader/pager.ts': "import type { HistoryQuery } from '../query.ts';\n",
    'history/writer/compactor.ts': "import { c } from '../blocks/codec.ts';\n",
    'history/blocks/codec.ts': "import { d } from './bytes.ts';\n",
    'history/blocks/bytes.ts': 'export const d = 1;\n',
    'config/schema.ts': "export type { Url } from '../bus/bus-url.ts';\nconst env = process.env;\n",
    'api/server.ts':
      "import type { Config } from '../config/schema.ts';\nimport fastify, { type B } from 'fastify';\nimport * as store from '../telemetry/store.ts';\n",
  };

  test('finds nothing where they are kept', () => {
    assert.deepEqual(violationsOf(sound), []);
  });

  // biome-ignore format: a table
  const planted: [what: string, path: string, source: string, violation: string][] = [
    ['shared importing a stage', 'shared/limits.ts', "import { b } from '../bus/bus-url.ts';",
      'shared/limits.ts must not import bus/bus-url.ts'],
    ['a bus importing what is behind it', 'bus/bus-url.ts', "import type { b } from '../history/query.ts';",
      'bus/bus-url.ts must not import history/query.ts (type only)'],
    ['telemetry importing a bus', 'telemetry/store.ts', "import { b } from '../bus/bus-url.ts';",
      'telemetry/store.ts must not import bus/bus-url.ts'],
    ['telemetry importing history', 'telemetry/store.ts', "import type { b } from '../history/writer.ts';",
      'telemetry/store.ts must not import history/writer.ts (type only)'],
    ['history importing telemetry', 'history/writer.ts', "export { b } from '../telemetry/store.ts';",
      'history/writer.ts must not import telemetry/store.ts'],
    ['the API importing a bus', 'api/server.ts', "import type { b } from '../bus/bus-url.ts';",
      'api/server.ts must not import bus/bus-url.ts (type only)'],
    ['the API importing a bus as it runs', 'api/server.ts', "  const a = await import('../bus/bus-url.ts');",
      'api/server.ts must not import bus/bus-url.ts'],
    ['the API importing the code of config', 'api/server.ts', "import { type A, b } from '../config/schema.ts';",
      'api/server.ts must not import config/schema.ts'],
    ['the API importing what composes it', 'api/server.ts', "import type { b } from '../version.ts';",
      'api/server.ts must not import version.ts (type only)'],
    ['config importing a driver', 'config/schema.ts', "import { b } from '../bus/bus.ts';",
      'config/schema.ts must not import bus/bus.ts'],
    ['the reader importing the writer', 'history/reader/pager.ts', "import { b } from '../writer/compactor.ts';",
      'history/reader/pager.ts must not import history/writer/compactor.ts'],
    ['a part importing what is over it', 'history/blocks/codec.ts', "import type { b } from '../query.ts';",
      'history/blocks/codec.ts must not import history/query.ts (type only)'],
    ['a part importing an outer stage', 'history/blocks/codec.ts', "import { b } from '../../telemetry/store.ts';",
      'history/blocks/codec.ts must not import telemetry/store.ts'],
    ['a folder without a rule', 'extra/new.ts', "import { b } from '../shared/limits.ts';",
      'extra/new.ts must not import shared/limits.ts'],
    ['an import over several lines', 'telemetry/store.ts', "import {\n  a, // why\n  b,\n} from '../bus/bus-url.ts';",
      'telemetry/store.ts must not import bus/bus-url.ts'],
    ['an import for its effect', 'telemetry/store.ts', "import '../bus/bus-url.ts';",
      'telemetry/store.ts must not import bus/bus-url.ts'],
    ['an export of everything', 'telemetry/store.ts', "export * as bus from '../bus/bus-url.ts';",
      'telemetry/store.ts must not import bus/bus-url.ts'],
    ['a default import called type', 'api/server.ts', "import type from '../config/schema.ts';",
      'api/server.ts must not import config/schema.ts'],
    ['a file that is not there', 'bus/bus-url.ts', "import { b } from './gone.ts';",
      'bus/bus-url.ts imports ./gone.ts, which is not a file of src/'],
    ['the environment read elsewhere', 'api/server.ts', 'const port = process.env.PORT;',
      'api/server.ts must not read process.env: only config/ does'],
    ['the environment read by name', 'cli/run.ts', "const { PORT } = process['env'];",
      'cli/run.ts must not read process.env: only config/ does'],
    ['the environment imported', 'cli/run.ts', "import { env } from 'node:process';",
      'cli/run.ts must not import node:process: it holds the environment'],
    ['a cycle', 'bus/bus-url.ts', "import { b } from './bus.ts';",
      'a cycle: bus/bus-url.ts -> bus/bus.ts -> bus/bus-worker.ts -> bus/bus-url.ts'],
    ['a cycle of types', 'bus/bus-url.ts', "import type { b } from './bus-worker.ts';",
      'a cycle: bus/bus-url.ts -> bus/bus-worker.ts -> bus/bus-url.ts'],
    ['a file that imports itself', 'bus/bus-url.ts', "import type { b } from './bus-url.ts';",
      'a cycle: bus/bus-url.ts -> bus/bus-url.ts'],
  ];
  for (const [what, path, source, violation] of planted) {
    test(`finds ${what}`, () => {
      assert.deepEqual(violationsOf({ ...sound, [path]: source }), [violation]);
    });
  }

  test('passes over comments', () => {
    const source = [
      "// import { b } from '../bus/bus-url.ts'; process.env",
      '/*',
      " * import { b } from '../bus/bus-url.ts';",
      ' */',
      "import { c } from '../history/writer.ts'; // and nothing of '../bus/bus-url.ts'",
    ];
    const violations = violationsOf({ ...sound, 'telemetry/store.ts': source.join('\n') });
    assert.deepEqual(violations, ['telemetry/store.ts must not import history/writer.ts']);
  });
});
