import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { GapReply, GapsReply, SampleReply, StateReply, StatusReply } from '../../src/api/schemas.ts';

export const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const ENTRY = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** How long a test waits for something that is to come. */
const PATIENCE_MS = 30_000;

/** A service in a process of its own. */
export interface Service {
  readonly child: ChildProcess;
  /** Where its API answers. */
  readonly url: string;
  /** All that it has printed so far. */
  output(): string;
  state(): Promise<StateReply>;
  status(): Promise<StatusReply>;
  history(query?: string): Promise<SampleReply[]>;
  gaps(query?: string): Promise<GapReply[]>;
  /** Ends it; gives the exit code (null for a signal's death) and how long that took. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; tookMs: number }>;
}

export interface ServiceOptions {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** By default the Node that runs the test runs the service's entry. */
  readonly command?: readonly [string, ...string[]];
  readonly cwd?: string;
}

/** Starts the service and resolves when it says where it serves; rejects when it ends before. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const { args = [], env = {}, command = [process.execPath, ENTRY], cwd } = options;
  const [file, ...fileArgs] = command;
  const child = spawn(file, [...fileArgs, ...args], {
    // So that samples are those of frames; a test of the machine's own health says otherwise, by a flag.
    env: { ...process.env, NO_COLOR: '1', HOST_INTERVAL: 'off', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  });
  let output = '';
  const ended = once(child, 'close');
  const serving = new Promise<string>((resolve) => {
    const take = (chunk: Buffer) => {
      output += chunk;
      const url = /Serving\s+(https?:\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
  });
  const endedEarly = ended.then(([code]) => {
    throw new Error(`the service ended with ${code} before it served:\n${output}`);
  });
  // Once it serves, its end is no longer an error.
  endedEarly.catch(() => undefined);
  const url = await Promise.race([serving, endedEarly]);

  async function get<T>(path: string): Promise<T> {
    const response = await fetch(`${url}${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json() as Promise<T>;
  }

  return {
    child,
    url,
    output: () => output,
    state: () => get('/api/state/current'),
    status: () => get('/api/status'),
    history: (query = 'limit=100') => get(`/api/state/history?${query}`),
    gaps: async (query = '') => (await get<GapsReply>(`/api/gaps?${query}`)).gaps,
    async stop(signal = 'SIGTERM') {
      const startedMs = performance.now();
      if (child.exitCode === null) child.kill(signal);
      const [code] = await ended;
      return { code: code as number | null, tookMs: performance.now() - startedMs };
    },
  };
}

/** Asks until `isThere` says so, and gives what it saw; fails with the last answer after PATIENCE_MS. */
export async function eventually<T>(ask: () => Promise<T>, isThere: (answer: T) => boolean): Promise<T> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (isThere(answer)) return answer;
    if (performance.now() > deadlineMs) {
      throw new Error(`still not there after ${PATIENCE_MS} ms: ${JSON.stringify(answer)?.slice(0, 2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
