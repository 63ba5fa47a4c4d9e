import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CHROMIUM, CHROMIUM_ARGS, DESKTOP } from '../../test/support/browser.ts';
import { eventually } from '../../test/support/service.ts';
import type { Cleanup } from '../../test/support/temporary-directory.ts';

/**
 * Chromium, by its DevTools protocol and nothing else. Playwright has every request told, and what Chromium remembers
 * of each for that grows within the page: half a megabyte in ten minutes that would be taken for ours.
 */
export interface DevTools {
  send<T>(method: string, params?: object): Promise<T>;
  /** Opens a page in a window of its own, so that none is hidden. */
  open(url: string): Promise<DevToolsPage>;
}

export interface DevToolsPage {
  send<T>(method: string, params?: object): Promise<T>;
  /** What an expression comes to. */
  evaluate<T>(expression: string): Promise<T>;
  /** Resolves when an expression is true. */
  until(expression: string): Promise<void>;
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Starts it with a profile in `folder`. */
export async function startDevTools(folder: string, atEnd: Cleanup): Promise<DevTools> {
  const child = spawn(
    CHROMIUM,
    [
      ...CHROMIUM_ARGS,
      '--headless=new',
      '--remote-debugging-port=0',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
      `--user-data-dir=${folder}`,
      `--window-size=${DESKTOP.width},${DESKTOP.height}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = once(child, 'close');
  atEnd.after(async () => {
    child.kill();
    await ended;
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const url = await eventually(
    async () => /DevTools listening on (ws:\S+)/.exec(said)?.[1],
    (found) => found !== undefined,
  );
  const socket = new WebSocket(url!);
  await once(socket, 'open');
  return devToolsOn(socket);
}

function devToolsOn(socket: WebSocket): DevTools {
  const waiting = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    // What has no id is an event, and nobody asked for any.
    if (answer.id === undefined) return;
    waiting.get(answer.id)!(answer);
    waiting.delete(answer.id);
  });
  async function send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = ++lastId;
    const { result, error } = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result as T;
  }
  return {
    send,
    async open(url) {
      const { targetId } = await send<{ targetId: string }>('Target.createTarget', { url, newWindow: true });
      const { sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', {
        targetId,
        flatten: true,
      });
      return pageOf((method, params) => send(method, params, sessionId));
    },
  };
}

function pageOf(send: DevTools['send']): DevToolsPage {
  async function evaluate<T>(expression: string): Promise<T> {
    const { result } = await send<{ result: { value: T } }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
    });
    return result.value;
  }
  return {
    send,
    evaluate,
    async until(expression) {
      // At first there is nothing yet in which it could be evaluated.
      const ask = () => evaluate<unknown>(expression).catch(() => false);
      await eventually(ask, Boolean);
    },
  };
}
