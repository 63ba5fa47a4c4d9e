import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ClientMessage, ServerMessage } from '../../src/client/stream-messages.ts';
import type { Cleanup } from './temporary-directory.ts';

/** The wire of /api/stream, for what the service can't be brought to say: silence, nonsense, refusals. */
export interface FakeStream {
  readonly url: string;
  /** With what is refused from now on, or null. */
  refusal: { readonly statusCode: number; readonly code: string } | null;
  /** WebSockets that were asked for, refused ones too. */
  readonly attempts: readonly IncomingMessage[];
  /** The next connection that is made, or that was and hasn't been taken. */
  connection(): Promise<FakeConnection>;
}

export interface FakeConnection {
  /** The next message that the client sends, or has sent. */
  message(): Promise<ClientMessage>;
  send(...messages: (ServerMessage | string | Uint8Array)[]): void;
  hello(seq?: number, heartbeatS?: number): void;
  /** Ends it as a power cut would. */
  cut(): void;
  close(code: number, reason: string): void;
  readonly closed: Promise<unknown>;
}

export async function fakeStream(test: Cleanup): Promise<FakeStream> {
  const attempts: IncomingMessage[] = [];
  const connections = waitable<FakeConnection>();
  const answerPlainly = () => {
    const { statusCode = 404, code = 'ROUTE_NOT_FOUND' } = fake.refusal ?? {};
    return { statusCode, text: JSON.stringify({ statusCode, code, error: '', message: `It is ${code}.` }) };
  };
  const server = createServer((_, response) => {
    const { statusCode, text } = answerPlainly();
    response.writeHead(statusCode).end(text);
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    attempts.push(request);
    if (fake.refusal === null) {
      sockets.handleUpgrade(request, socket, head, (webSocket) => connections.add(connection(webSocket)));
    } else {
      const { statusCode, text } = answerPlainly();
      socket.end(`HTTP/1.1 ${statusCode} No\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    for (const webSocket of sockets.clients) webSocket.terminate();
    server.close();
    server.closeAllConnections();
  });
  const fake: FakeStream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refusal: null,
    attempts,
    connection: connections.next,
  };
  return fake;
}

function connection(webSocket: WebSocket): FakeConnection {
  const messages = waitable<ClientMessage>();
  webSocket.on('message', (data) => messages.add(JSON.parse(String(data))));
  const send: FakeConnection['send'] = (...all) => {
    for (const message of all) {
      const isRaw = typeof message === 'string' || message instanceof Uint8Array;
      webSocket.send(isRaw ? message : JSON.stringify(message));
    }
  };
  return {
    message: messages.next,
    send,
    hello: (seq = 0, heartbeatS = 5) =>
      send({
        type: 'hello',
        version: '0.1.0',
        encoding: 'json',
        simulated: false,
        run: '1',
        seq,
        heartbeat_s: heartbeatS,
      }),
    cut: () => webSocket.terminate(),
    close: (code, reason) => webSocket.close(code, reason),
    closed: once(webSocket, 'close'),
  };
}

/** What comes in its order, for one who waits for it. */
function waitable<T>(): { add(value: T): void; next(): Promise<T> } {
  const values: T[] = [];
  const waiting: ((value: T) => void)[] = [];
  return {
    add(value) {
      const take = waiting.shift();
      if (take === undefined) values.push(value);
      else take(value);
    },
    next: () =>
      values.length > 0 ? Promise.resolve(values.shift()!) : new Promise((resolve) => waiting.push(resolve)),
  };
}

export interface BinarySample {
  readonly timestampUs: number;
  readonly rawValue: number;
  readonly seq: number;
  readonly series: number;
}

/** A binary message as docs/streaming.md has it. */
export function encodeBinaryMessage(
  header: {
    readonly version?: number;
    readonly cause: number;
    readonly ordinal: number;
    readonly missed?: number;
    readonly thinned?: number;
    readonly seq: number;
  },
  samples: readonly BinarySample[],
): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(24 + 28 * samples.length));
  view.setUint8(0, header.version ?? 1);
  view.setUint8(1, header.cause);
  view.setUint16(2, header.ordinal, true);
  view.setUint32(4, samples.length, true);
  view.setUint32(8, header.missed ?? 0, true);
  view.setUint32(12, header.thinned ?? 0, true);
  view.setFloat64(16, header.seq, true);
  for (const [place, { timestampUs, rawValue, seq, series }] of samples.entries()) {
    const column = (number: number) => 24 + 8 * (number * samples.length + place);
    view.setFloat64(column(0), timestampUs, true);
    view.setFloat64(column(1), rawValue, true);
    view.setFloat64(column(2), seq, true);
    view.setUint32(24 + 24 * samples.length + 4 * place, series, true);
  }
  return new Uint8Array(view.buffer);
}
