import type { Socket } from 'node:net';

interface Answer {
  readonly socket: Socket;
  readonly bytes: number;
  readonly client: Client;
}

interface Client {
  bytes: number;
  /** The oldest first. */
  readonly answers: Set<Answer>;
}

/**
 * Answers that clients haven't taken yet, which are held in memory meanwhile. When they come to more than `bytesMax`, the client that
 * has most of them loses its oldest, and the socket with it: so who asks and doesn't read is in nobody's way but its own.
 */
export class UnsentAnswers {
  readonly bytesMax: number;
  readonly #onGivenUp: () => void;
  readonly #clients = new Map<string, Client>();
  #bytes = 0;

  constructor(bytesMax: number, onGivenUp: () => void) {
    this.bytesMax = bytesMax;
    this.#onGivenUp = onGivenUp;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Notes an answer; gives what is to be called once it was taken, or null where there is no room for it. One that is larger than
   * all that there is room for goes where nothing else waits.
   */
  add(clientKey: string, socket: Socket, bytes: number): (() => void) | null {
    const client = this.#clients.get(clientKey) ?? { bytes: 0, answers: new Set<Answer>() };
    while (this.#bytes + bytes > this.bytesMax && this.#bytes > 0) {
      const [oldest] = this.#heaviest(client, bytes).answers;
      if (oldest === undefined) return null;
      this.#remove(oldest);
      oldest.socket.destroy();
      this.#onGivenUp();
    }
    const answer: Answer = { socket, bytes, client };
    client.bytes += bytes;
    client.answers.add(answer);
    this.#clients.set(clientKey, client);
    this.#bytes += bytes;
    return () => {
      this.#remove(answer);
      if (client.answers.size === 0 && this.#clients.get(clientKey) === client)
        this.#clients.delete(clientKey);
    };
  }

  /** The client with the most bytes, once the one that asks had its answer. */
  #heaviest(asking: Client, bytes: number): Client {
    let heaviest = asking;
    let most = asking.bytes + bytes;
    for (const client of this.#clients.values()) {
      if (client === asking || client.bytes <= most) continue;
      heaviest = client;
      most = client.bytes;
    }
    return heaviest;
  }

  #remove(answer: Answer): void {
    const { client, bytes } = answer;
    if (!client.answers.delete(answer)) return;
    client.bytes -= bytes;
    this.#bytes -= bytes;
  }
}
