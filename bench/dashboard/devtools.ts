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
  /** All that is in its heap, as V8 writes it (.heapsnapshot). */
  heapSnapshot(): Promise<string>;
}

/** An answer, or, without an id, an event. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: { readonly chunk?: string };
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
  const waiting = new Map<number, (answer: Message) => void>();
  /** Of the snapshot that each page is writing. */
  const chunks = new Map<string, string[]>();
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) {
      waiting.get(message.id)!(message);
      waiting.delete(message.id);
    } else if (message.method === 'HeapProfiler.addHeapSnapshotChunk') {
      chunks.get(message.sessionId!)!.push(message.params!.chunk!);
    }
  });
  async function send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = ++lastId;
    const { result, error } = await new Promise<Message>((resolve) => {
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
      const sendToPage: DevTools['send'] = (method, params) => send(method, params, sessionId);
      return {
        ...pageOf(sendToPage),
        async heapSnapshot() {
          chunks.set(sessionId, []);
          await sendToPage('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
          const text = chunks.get(sessionId)!.join('');
          chunks.delete(sessionId);
          return text;
        },
      };
    },
  };
}

function pageOf(send: DevTools['send']): Omit<DevToolsPage, 'heapSnapshot'> {
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
