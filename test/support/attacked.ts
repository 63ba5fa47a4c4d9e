import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusReply } from '../../src/api/schemas.ts';
import { eventually, type Service, startService } from './service.ts';
import { type Cleanup, temporaryDirectory } from './temporary-directory.ts';

/** The address of who behaves well: to the service another client than the attacker, who comes from 127.0.0.1. */
const VISITOR_ADDRESS = '127.0.0.2';

export const HOST = 'Host: localhost\r\n';
/** What a request has besides that becomes a WebSocket. */
export const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

export interface AttackedOptions {
  readonly args?: readonly string[];
  /** Called ahead of the start with the service's folder and database. */
  readonly prepare?: (folder: string, database: string) => void;
}

/** A service that somebody attacks while it records a simulated kart and somebody else looks at the state. */
export interface Attacked {
  readonly service: Service;
  /** Its folder, which no answer is to name to who needn't know it. */
  readonly folder: string;
  /** A connection of the attacker's. */
  open(): Socket;
  /** All that comes back for these bytes (latin1) until the service closes the connection. */
  tell(bytes: string): Promise<string>;
  /** The status, as soon as it is so. */
  when(isSo: (status: StatusReply) => boolean): Promise<StatusReply>;
  /**
   * Fails unless frames still come in, none and no sample was lost, whoever behaved well was answered all the time, and
   * nothing went wrong inside.
   */
  assertUnharmed(): Promise<StatusReply>;
}

export async function attacked(test: Cleanup, options: AttackedOptions = {}): Promise<Attacked> {
  const folder = temporaryDirectory(test);
  const database = join(folder, 'collector.db');
  options.prepare?.(folder, database);
  const args = ['--db', database, '--port', '0', '--bus', 'sim:kart', ...(options.args ?? [])];
  const service = await startService({ args, cwd: folder });
  test.after(() => service.stop('SIGKILL'));
  const visitor = new Visitor(service.url);
  test.after(() => visitor.leave());
  const { hostname, port } = new URL(service.url);

  function open(): Socket {
    const socket = connect({ host: hostname, port: Number(port) });
    // What is cut off is closed as well.
    socket.on('error', () => {});
    test.after(() => socket.destroy());
    return socket;
  }

  async function when(isSo: (status: StatusReply) => boolean): Promise<StatusReply> {
    return await eventually(() => visitor.status(), isSo);
  }

  return {
    service,
    folder,
    open,
    when,
    async tell(bytes) {
      const socket = open();
      socket.write(bytes, 'latin1');
      return await allOf(socket);
    },
    async assertUnharmed() {
      const before = await visitor.status();
      const after = await when((status) => framesOf(status) > framesOf(before) + 100);
      for (const { frames_lost } of after.buses) assert.deepEqual(frames_lost, { interface: 0, kernel: 0 });
      assert.deepEqual(after.history.samples_lost, { queue: 0, write: 0 });
      assert.equal(after.history.gaps.count, 0);
      assert.ok(visitor.answers > 0);
      assert.deepEqual(visitor.troubles, []);
      assert.doesNotMatch(service.output(), /"level":"(error|fatal)"|node_modules/);
      return after;
    },
  };
}

function framesOf({ buses }: StatusReply): number {
  return buses.find(({ kind }) => kind === 'sim')!.frames;
}

/** The status codes of all answers in what was told. */
export function statusCodesOf(told: string): number[] {
  return [...told.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, code]) => Number(code));
}

/** No answer tells where anything is, nor what runs there. */
export function assertDiscreet({ folder }: Attacked, told: string): void {
  assert.ok(!told.includes(folder), told);
  assert.doesNotMatch(told, /node_modules|\.ts\b|\.js:\d|\n\s+at |node:internal|fastify/i);
}

/** All that comes until the other side ends the connection, or breaks it. */
export async function allOf(socket: Socket): Promise<string> {
  let told = '';
  socket.on('data', (chunk: Buffer) => {
    told += chunk.toString('latin1');
  });
  // Not once(): a connection that is broken off closes with an error ahead.
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return told;
}

/** Somebody who asks for the state again and again, over a connection of their own. */
class Visitor {
  /** What they were refused, or had no answer to. */
  readonly troubles: string[] = [];
  answers = 0;
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, localAddress: VISITOR_ADDRESS });
  #isHere = true;
  readonly #visit: Promise<void>;

  constructor(url: string) {
    this.#url = url;
    this.#visit = this.#stay();
  }

  async status(): Promise<StatusReply> {
    return JSON.parse(await this.#get('/api/status'));
  }

  async leave(): Promise<void> {
    this.#isHere = false;
    await this.#visit;
    this.#agent.destroy();
  }

  async #stay(): Promise<void> {
    while (this.#isHere) {
      try {
        await this.#get('/api/state/current');
        this.answers++;
      } catch (error) {
        if (this.#isHere) this.troubles.push(String(error));
      }
      await sleep(20);
    }
  }

  async #get(path: string): Promise<string> {
    const [response] = await once(get(`${this.#url}${path}`, { agent: this.#agent }), 'response');
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${body}`);
    return body;
  }
}
