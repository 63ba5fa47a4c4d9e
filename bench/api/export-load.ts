import { connect, type Socket } from 'node:net';
import { answerLoads } from './load-process.ts';

/**
 * Takes the whole history as NDJSON, again and again, for as long as it is told to: a load process of api.ts. It counts
 * bytes and looks into none, as it shares the machine with the service.
 */

export interface ExportLoad {
  readonly url: string;
  /** What is broken off when another question comes; null to break off alone. */
  readonly path: string | null;
}

export interface ExportLoadResult {
  /** Of the export that was broken off; 0 where there was none. */
  readonly mbPerS: number;
}

const READ_BYTES = 256 * 1024;

let stop: () => ExportLoadResult = () => ({ mbPerS: 0 });

/** Answers once the export flows. */
answerLoads<ExportLoad, ExportLoadResult>(async ({ url, path }) => {
  const stopped = stop();
  stop = path === null ? () => ({ mbPerS: 0 }) : await start(url, path);
  return stopped;
});

async function start(url: string, path: string): Promise<() => ExportLoadResult> {
  const startedMs = performance.now();
  let bytes = 0;
  let isStopped = false;
  let socket: Socket;

  async function take(): Promise<void> {
    const taking = exportOnce(url, path, (count) => {
      bytes += count;
    });
    socket = taking.socket;
    socket.once('end', () => {
      if (!isStopped) void take();
    });
    await taking.begun;
  }

  await take();
  return () => {
    isStopped = true;
    socket.destroy();
    return { mbPerS: bytes / 1000 / (performance.now() - startedMs) };
  };
}

function exportOnce(url: string, path: string, onBytes: (count: number) => void) {
  const { host, hostname, port } = new URL(url);
  const begun = Promise.withResolvers<void>();
  let isBegun = false;

  function take(count: number, buffer: Uint8Array): boolean {
    if (!isBegun) {
      const answer = Buffer.from(buffer.buffer, buffer.byteOffset, count).toString('latin1');
      if (!answer.startsWith('HTTP/1.1 200 ')) throw new Error(`expected an export, found:\n${answer}`);
      isBegun = true;
      begun.resolve();
    }
    onBytes(count);
    return true;
  }

  const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: take };
  const socket = connect({ host: hostname, port: Number(port), onread });
  socket.once('connect', () => {
    const headers = [`Host: ${host}`, 'Accept: application/x-ndjson', 'Connection: close'];
    socket.write(`GET ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
  });
  socket.once('error', begun.reject);
  return { socket, begun: begun.promise };
}
