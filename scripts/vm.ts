/**
 * A small Linux machine with a CAN bus, for tests on hosts whose kernel has none.
 *
 *     node scripts/vm.ts [--timeout SECONDS] [--writable DIR] [--disk FILE] -- COMMAND [ARGS...]
 *
 * boots user-mode Linux (Debian: `apt-get install user-mode-linux kmod iproute2 can-utils`), runs COMMAND in it
 * as root, in the directory this was called from, and ends with its exit status. No privilege is needed on the
 * host. (With an older Node: `node scripts/bootstrap.mjs scripts/vm.ts -- ...`.) For example
 *
 *     node scripts/vm.ts -- sh -c 'candump -n 1 vcan0 & sleep 0.2; cansend vcan0 123#1122; wait'
 *     node scripts/vm.ts -- node --test test/vm/vcan.test.ts
 *
 * What the command finds:
 * - `lo` and `vcan0` are up; more interfaces can be added (`ip link add vcan1 type vcan`). CAN FD works.
 * - `node` is the checkout's; the other programs are the host's, from the standard directories.
 * - The whole file system is the host's, but read-only. /tmp, /var/tmp, /run and /dev/shm are fresh and vanish;
 *   a checkout below one of them is still seen. `--writable DIR` (repeatable) opens a directory of the host.
 * - A clean environment: HOME, LANG, PATH, TMPDIR, and of the caller's CI, TERM, NO_COLOR, FORCE_COLOR. Pass
 *   others as `-- env NAME=value COMMAND`. stdin is empty; stdout and stderr come out apart.
 * - One processor and slow system calls: Node needs most of a second to start. Compare figures taken inside
 *   only with each other.
 * - `--disk FILE` is /dev/ubda inside. Kill the process group of linux.uml and it is a disk after a power cut.
 *
 * Exit status 125 means that the VM itself failed or that the time (300 s by default) was up; the last lines
 * of its console say more.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { C_COMPILERS, needsWideXstate, WIDE_XSTATE_PACKAGES, wideXstateLibrary } from './wide-xstate.ts';

const PROJECT_DIR = resolve(import.meta.dirname, '..');
const INIT_SCRIPT = join(PROJECT_DIR, 'test/vm/init.sh');
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MODULES_DIR = '/usr/lib/uml/modules';
const MEMORY_BYTES = 1024 ** 3;
const TIMEOUT_MS = 300_000;
const CONSOLE_TAIL_CHARS = 4_000;
/** Of `timeout`, `env` and `docker run`: the runner failed, not what it ran. */
const EXIT_VM_FAILED = 125;

/** Where init.sh puts a fresh tmpfs, so that directories of the host below it have to be mounted again. */
const TMPFS_DIRS = ['/tmp', '/var/tmp', '/run', '/dev/shm'];

/** What of the caller's environment the command sees: how to print, and whether this is CI. */
const PASSED_ENVIRONMENT = ['CI', 'TERM', 'NO_COLOR', 'FORCE_COLOR'];

export interface VmOptions {
  readonly command: readonly string[];
  /** The working directory inside: a directory of the host. Default: this process's. */
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Directories of the host that the command may write to, seen at the same path. */
  readonly writableDirs?: readonly string[];
  /** A disk image, /dev/ubda inside. */
  readonly diskPath?: string;
  readonly timeoutMs?: number;
  readonly onStdout?: (chunk: Buffer) => void;
  readonly onStderr?: (chunk: Buffer) => void;
}

export type VmResult =
  | { readonly outcome: 'exited'; readonly exitCode: number }
  | {
      readonly outcome: 'died' | 'timed-out' | 'power-cut';
      /** The last lines of the kernel's console. */
      readonly consoleTail: string;
    };

export interface VirtualMachine {
  readonly result: Promise<VmResult>;
  /** Ends the VM between two instructions; resolves when none of its processes is left. */
  powerCut(): Promise<void>;
}

/** Why no VM can be started here, with what to install; undefined where one can. */
export function vmUnavailableReason(): string | undefined {
  if (process.platform !== 'linux') return 'user-mode Linux needs a Linux host';
  const missing: string[] = [];
  if (findProgram('linux.uml') === undefined || !existsSync(MODULES_DIR)) missing.push('user-mode-linux');
  if (findProgram('insmod') === undefined) missing.push('kmod');
  if (findProgram('ip') === undefined) missing.push('iproute2');
  if (findProgram('candump') === undefined) missing.push('can-utils');
  if (needsWideXstate() && cCompiler() === undefined) missing.push(...WIDE_XSTATE_PACKAGES);
  return missing.length === 0 ? undefined : `missing: apt-get install ${missing.join(' ')}`;
}

/** Boots a VM for one command. Throws where vmUnavailableReason() gives a reason. */
export function startVm(options: VmOptions): VirtualMachine {
  const reason = vmUnavailableReason();
  if (reason !== undefined) throw new Error(`The test VM cannot be started: ${reason}.`);

  const shareDir = mkdtempSync(join(tmpdir(), 'can-vm-'));
  const cwd = resolve(options.cwd ?? process.cwd());
  // A link, so that a checkout in a directory with spaces does not break the kernel's command line.
  symlinkSync(INIT_SCRIPT, join(shareDir, 'init'));
  writeFileSync(join(shareDir, 'settings'), settingsScript(cwd, options.writableDirs ?? []));
  writeFileSync(join(shareDir, 'command'), commandScript(options, cwd));

  const preload = needsWideXstate() ? { LD_PRELOAD: wideXstateLibrary(cCompiler()!, shareDir) } : {};
  const child = spawn(
    findProgram('linux.uml')!,
    [
      `mem=${MEMORY_BYTES}`,
      'rootfstype=hostfs',
      'ro',
      `init=${join(shareDir, 'init')}`,
      'quiet',
      'loglevel=1',
      // A panic exits at once, where it would otherwise wait for somebody to read the console.
      'panic=-1',
      'noreboot',
      // No descriptor may serve two consoles: UML refuses to open the second ("already in progress").
      'con=null',
      'con0=null,fd:1',
      'con1=null,fd:3',
      'con2=null,fd:4',
      `umid=${basename(shareDir)}`,
      `uml_dir=${shareDir}/`,
      ...(options.diskPath === undefined ? [] : [`ubd0=${resolve(options.diskPath)}`]),
    ],
    {
      // A process group of its own, so that all of the VM's processes can be ended together.
      detached: true,
      env: { PATH: SYSTEM_PATH, TMPDIR: memoryDir(), ...preload },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    },
  );

  let consoleTail = '';
  const keepTail = (chunk: Buffer) => {
    consoleTail = (consoleTail + chunk.toString()).slice(-CONSOLE_TAIL_CHARS);
  };
  child.stdout?.on('data', keepTail);
  child.stderr?.on('data', keepTail);
  (child.stdio[3] as Readable).on('data', options.onStdout ?? keepTail);
  (child.stdio[4] as Readable).on('data', options.onStderr ?? keepTail);

  let ending: 'timed-out' | 'power-cut' | undefined;
  const end = (why: 'timed-out' | 'power-cut') => {
    ending ??= why;
    killGroup(child.pid);
  };
  const timer = setTimeout(end, options.timeoutMs ?? TIMEOUT_MS, 'timed-out');
  const onHostExit = () => {
    killGroup(child.pid);
    rmSync(shareDir, { recursive: true, force: true });
  };
  process.on('exit', onHostExit);

  const finish = async (): Promise<VmResult> => {
    try {
      await once(child, 'close');
      if (ending !== undefined) return { outcome: ending, consoleTail };
      const exitCode = readExitCode(join(shareDir, 'status'));
      return exitCode === undefined ? { outcome: 'died', consoleTail } : { outcome: 'exited', exitCode };
    } finally {
      clearTimeout(timer);
      killGroup(child.pid);
      await groupGone(child.pid);
      process.off('exit', onHostExit);
      rmSync(shareDir, { recursive: true, force: true });
    }
  };
  const result = finish();
  return {
    result,
    powerCut: async () => {
      end('power-cut');
      await result;
    },
  };
}

/** Says how a VM ended that did not come to its command's end; undefined where it did. */
export function describeVmFailure(result: VmResult): string | undefined {
  if (result.outcome === 'exited') return undefined;
  const what = {
    died: 'The VM stopped before its command had ended.',
    'timed-out': 'The VM was stopped: its time was up.',
    'power-cut': 'The VM was stopped.',
  }[result.outcome];
  const tail = result.consoleTail.trimEnd();
  return tail === '' ? `${what} Its console is empty.` : `${what} The end of its console:\n${tail}`;
}

function findProgram(name: string): string | undefined {
  // The system's administrative directories are not on every user's path.
  const dirs = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_PATH.split(':')];
  return dirs.map((dir) => join(dir, name)).find(isExecutable);
}

function cCompiler(): string | undefined {
  return C_COMPILERS.map(findProgram).find((path) => path !== undefined);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The words DIRECTORY:MODE for init.sh, each directory once, a parent before what is inside it. */
function settingsScript(cwd: string, writableDirs: readonly string[]): string {
  const writable = writableDirs.map((dir) => resolve(dir));
  const hidden = [
    PROJECT_DIR,
    realpathSync(join(PROJECT_DIR, 'node_modules')),
    dirname(process.execPath),
    cwd,
  ]
    .filter((dir) => TMPFS_DIRS.some((tmpfs) => isInside(dir, tmpfs)))
    .toSorted()
    .filter((dir, index, dirs) => !dirs.slice(0, index).some((parent) => isInside(dir, parent)))
    .filter((dir) => !writable.includes(dir));
  const words = [...hidden.map((dir) => `${dir}:ro`), ...writable.map((dir) => `${dir}:rw`)];
  return `set -- ${words.toSorted().map(shellQuote).join(' ')}\n`;
}

function commandScript(options: VmOptions, cwd: string): string {
  const passed = PASSED_ENVIRONMENT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  const environment: Record<string, string> = {
    HOME: '/tmp/home',
    LANG: 'C.UTF-8',
    PATH: `${dirname(process.execPath)}:${join(PROJECT_DIR, 'node_modules/.bin')}:${SYSTEM_PATH}`,
    TMPDIR: '/tmp',
    // The command's stdout is a terminal inside; where the host's is none, nobody wants colours.
    ...(process.stdout.isTTY || process.env.FORCE_COLOR !== undefined ? {} : { NO_COLOR: '1' }),
    ...Object.fromEntries(passed),
    ...options.environment,
  };
  const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    `cd ${shellQuote(cwd)} || exit ${EXIT_VM_FAILED}`,
    `exec env -i ${[...words, ...options.command].map(shellQuote).join(' ')}`,
    '',
  ].join('\n');
}

function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function isInside(path: string, dir: string): boolean {
  return path === dir || path.startsWith(dir + sep);
}

/**
 * UML's memory is a deleted file it maps executable: faster in /dev/shm, but a container's is often too small or
 * mounted noexec, and the VM would die in the middle of a test.
 */
function memoryDir(): string {
  const dir = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(dir);
    const mount = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[1] === dir);
    const mountOptions = mount?.split(' ')[3]?.split(',') ?? [];
    if (bavail * bsize > MEMORY_BYTES && !mountOptions.includes('noexec')) return dir;
  } catch {
    // A host without /dev/shm.
  }
  return tmpdir();
}

function readExitCode(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8').trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function killGroup(groupId: number | undefined): void {
  if (groupId === undefined) return;
  try {
    process.kill(-groupId, 'SIGKILL');
  } catch {
    // Every process of the group has ended.
  }
}

/**
 * Waits for the last process of a killed group. /proc is read instead of asking kill(2), which also counts the
 * dead that no init has collected yet, as in a container without one.
 */
async function groupGone(groupId: number | undefined): Promise<void> {
  for (let wait = 0; groupId !== undefined && wait < 500 && isGroupAlive(groupId); wait++) await sleep(10);
}

function isGroupAlive(groupId: number): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      // The name, in parentheses, may itself hold spaces: state, parent and group follow its last parenthesis.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(group) === groupId && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  });
}

async function main(): Promise<void> {
  const separator = process.argv.indexOf('--');
  const command = separator < 0 ? [] : process.argv.slice(separator + 1);
  const { values } = parseArgs({
    args: process.argv.slice(2, separator < 0 ? undefined : separator),
    options: {
      timeout: { type: 'string' },
      writable: { type: 'string', multiple: true },
      disk: { type: 'string' },
    },
  });
  const timeoutS = Number(values.timeout ?? TIMEOUT_MS / 1000);
  if (command.length === 0 || !(timeoutS > 0)) {
    console.error(
      'usage: node scripts/vm.ts [--timeout SECONDS] [--writable DIR] [--disk FILE] -- COMMAND [ARGS...]',
    );
    process.exit(EXIT_VM_FAILED);
  }
  const vm = startVm({
    command,
    writableDirs: values.writable ?? [],
    ...(values.disk === undefined ? {} : { diskPath: values.disk }),
    timeoutMs: timeoutS * 1000,
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => process.stderr.write(chunk),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => vm.powerCut());
  const result = await vm.result;
  const failure = describeVmFailure(result);
  if (failure !== undefined) console.error(failure);
  process.exitCode = result.outcome === 'exited' ? result.exitCode : EXIT_VM_FAILED;
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = EXIT_VM_FAILED;
  }
}
