import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { clientKey } from './client-key.ts';
import type { ApiCounters } from './counters.ts';

/** A connection of a client. */
interface ClientSocket {
  /** That of TCP, also where TLS is spoken over it. */
  readonly socket: Socket;
  readonly client: Client;
  /** Requests that aren't answered yet. */
  requests: number;
  /** The tokens that requests have brought, as a proxy may send those of several over one socket. */
  readonly tokenIds: Set<string>;
}

interface Client {
  readonly key: string;
  /** Those over which nothing is asked, the one that is so longest first. */
  readonly idle: Set<ClientSocket>;
  count: number;
}

/**
 * The sockets that clients have open. When there are many, each new one costs the client that has most of them the one that
 * it has left idle longest, so that a client that only opens sockets displaces nothing but its own, and others are
 * still answered. Nor may one client have them all: one that keeps each of its sockets busy leaves room for others.
 */
export class ClientSockets {
  readonly #busyFrom: number;
  readonly #perClientMax: number;
  readonly #counters: ApiCounters;
  readonly #clients = new Map<string, Client>();
  readonly #all = new Set<ClientSocket>();
  /** By the socket that requests come over: that of TLS where it is spoken. */
  readonly #bySocket = new WeakMap<Socket, ClientSocket>();
  /** Until TLS is agreed on, by address and port: Node doesn't tell which socket is below which. */
  readonly #withoutTls = new Map<string, ClientSocket>();

  /** Room is made from `busyFrom` open sockets on; one client may have `perClientMax` of them. */
  constructor(busyFrom: number, perClientMax: number, counters: ApiCounters) {
    this.#busyFrom = busyFrom;
    this.#perClientMax = perClientMax;
    this.#counters = counters;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Follows the sockets of a server. */
  follow(server: HttpServer | HttpsServer): void {
    server.on('drop', () => {
      this.#counters.socketsRefused++;
    });
    server.on('connection', (socket: Socket) => this.#add(socket));
    server.on('secureConnection', (secured: Socket) => {
      const below = this.#withoutTls.get(endpoint(secured));
      if (below !== undefined) this.#bySocket.set(secured, below);
    });
  }

  /** Which client a request is of. */
  clientOf(socket: Socket): string {
    return this.#bySocket.get(socket)?.client.key ?? clientKey(socket.remoteAddress);
  }

  /** Whether a request is being answered over the socket. */
  isBusy(socket: Socket): boolean {
    return this.unanswered(socket) > 0;
  }

  /** Requests over the socket that aren't answered yet. */
  unanswered(socket: Socket): number {
    return this.#bySocket.get(socket)?.requests ?? 0;
  }

  /** From now until the reply is over, which that to an upgrade is when the socket is closed, the socket isn't idle. */
  begin(socket: Socket, reply: ServerResponse): void {
    const entry = this.#bySocket.get(socket);
    if (entry === undefined) return;
    entry.requests++;
    entry.client.idle.delete(entry);
    reply.once('close', () => {
      entry.requests--;
      if (entry.requests === 0 && this.#all.has(entry)) entry.client.idle.add(entry);
    });
  }

  /** Notes which token was brought. They are as many as there are good ones: the socket is closed when one isn't any more. */
  addToken(socket: Socket, tokenId: string): void {
    this.#bySocket.get(socket)?.tokenIds.add(tokenId);
  }

  /** Closes those that a token was brought over that isn't good any more: streams, too. */
  closeRevoked(isGood: (tokenId: string) => boolean): void {
    for (const { socket, tokenIds } of this.#all) {
      if ([...tokenIds].every(isGood)) continue;
      this.#counters.socketsRevoked++;
      socket.destroy();
    }
  }

  closeAll(): void {
    for (const { socket } of this.#all) socket.destroy();
  }

  #add(socket: Socket): void {
    const key = clientKey(socket.remoteAddress);
    const client = this.#clients.get(key) ?? { key, idle: new Set<ClientSocket>(), count: 0 };
    if (client.count >= this.#perClientMax) {
      if (!this.#displaceIdle(client)) {
        this.#counters.socketsRefused++;
        socket.destroy();
        return;
      }
    } else if (this.#all.size >= this.#busyFrom) this.#displaceOne();
    this.#clients.set(key, client);
    const entry: ClientSocket = { socket, client, requests: 0, tokenIds: new Set() };
    client.count++;
    client.idle.add(entry);
    this.#all.add(entry);
    this.#bySocket.set(socket, entry);
    const end = endpoint(socket);
    this.#withoutTls.set(end, entry);
    socket.once('close', () => {
      this.#all.delete(entry);
      client.idle.delete(entry);
      client.count--;
      if (client.count === 0) this.#clients.delete(key);
      if (this.#withoutTls.get(end) === entry) this.#withoutTls.delete(end);
    });
  }

  #displaceOne(): void {
    let most: Client | undefined;
    for (const client of this.#clients.values()) {
      if (client.idle.size > 0 && client.count > (most?.count ?? 0)) most = client;
    }
    if (most !== undefined) this.#displaceIdle(most);
  }

  /** Closes the socket that the client has left idle longest; false where it has none. */
  #displaceIdle({ idle }: Client): boolean {
    const [entry] = idle;
    if (entry === undefined) return false;
    // Gone at once, so that what comes in the same moment displaces another.
    idle.delete(entry);
    entry.socket.destroy();
    this.#counters.socketsDisplaced++;
    return true;
  }
}

function endpoint({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
