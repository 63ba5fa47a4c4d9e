import { connect } from 'node:net';
import { answerLoads } from './load-process.ts';
import { clientFrame, FrameFinder, type FrameSeen, OPCODE } from './web-socket-frames.ts';

/** Many clients of the live stream: a load process of api.ts. */

export interface StreamLoad {
  readonly url: string;
  /** Connected by the first question; the next ones tell of those that there are. */
  readonly clients: number;
  readonly signals: readonly string[];
  readonly maxHz: number;
  readonly ms: number;
}

export interface StreamLoadResult {
  /** Of samples, a second, of the client that got fewest. */
  readonly messagesPerS: number;
  readonly mbPerS: number;
  /** Of all clients. */
  readonly samplesMissed: number;
}

const HEADERS_END = '\r\n\r\n';
const READ_BYTES = 256 * 1024;

interface Client {
  messages: number;
  missed: number;
  bytes: number;
}

let clients: readonly Client[] = [];

answerLoads<StreamLoad, StreamLoadResult>(async (load) => {
  if (clients.length === 0) {
    clients = await Promise.all(Array.from({ length: load.clients }, () => follow(load)));
  }
  for (const client of clients) Object.assign(client, { messages: 0, missed: 0, bytes: 0 });
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, load.ms));
  const seconds = (performance.now() - startedMs) / 1000;
  const sum = (of: (client: Client) => number) => clients.reduce((total, client) => total + of(client), 0);
  return {
    messagesPerS: Math.min(...clients.map(({ messages }) => messages)) / seconds,
    mbPerS: sum(({ bytes }) => bytes) / seconds / 1e6,
    samplesMissed: sum(({ missed }) => missed),
  };
});

/** Resolves when the subscription is confirmed. A connection that ends is an error. */
function follow({ url, signals, maxHz }: StreamLoad): Promise<Client> {
  const { host, hostname, port } = new URL(url);
  const client: Client = { messages: 0, missed: 0, bytes: 0 };
  return new Promise((resolve, reject) => {
    let headers: string | null = '';
    const finder = new FrameFinder(takeFrame);

    function take(bytes: number, buffer: Uint8Array): boolean {
      const chunk = buffer.subarray(0, bytes);
      client.bytes += bytes;
      if (headers === null) finder.take(chunk);
      else takeHeaders(chunk);
      return true;
    }
    function takeHeaders(chunk: Uint8Array): void {
      const text: string = headers + Buffer.from(chunk).toString('latin1');
      const end = text.indexOf(HEADERS_END);
      headers = end < 0 ? text : null;
      if (end < 0) return;
      if (!text.startsWith('HTTP/1.1 101 ')) throw new Error(`expected 101, found:\n${text}`);
      const subscribe = { type: 'subscribe', id: 'bench', signals, max_hz: maxHz };
      socket.write(clientFrame(OPCODE.TEXT, Buffer.from(JSON.stringify(subscribe))));
      finder.take(Buffer.from(text.slice(end + HEADERS_END.length), 'latin1'));
    }
    function takeFrame({ opcode, start }: FrameSeen): void {
      if (opcode === OPCODE.PING) socket.write(clientFrame(OPCODE.PONG, start));
      if (opcode !== OPCODE.TEXT) return;
      const text = start.toString('latin1');
      if (text.startsWith('{"type":"subscribed"')) resolve(client);
      if (text.startsWith('{"type":"error"')) throw new Error(text);
      const missed = /^\{"type":"samples",.*"cause":"live",.*"missed":(\d+)/.exec(text)?.[1];
      if (missed === undefined) return;
      client.messages++;
      client.missed += Number(missed);
    }

    const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: take };
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    socket.once('connect', () => {
      socket.write(
        `GET /api/stream HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}${HEADERS_END}`,
      );
    });
    socket.once('error', reject);
    socket.once('close', () => {
      throw new Error('the service has closed the connection of a client of its stream');
    });
  });
}
