import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { SampleReply } from '../../src/api/schemas.ts';
import type { SamplesMessage, SeriesMessage, ServerMessage } from '../../src/api/stream/schemas.ts';
import { CAUSES } from '../../src/api/stream/schemas.ts';
import { physicalConversion } from '../../src/protocol/physical-value.ts';
import { eventually } from './service.ts';

type SeriesInfo = SeriesMessage['series'][number];

/** A client of /api/stream over a real connection. Binary messages are read into what they would be as JSON. */
export class StreamSocket {
  readonly webSocket: WebSocket;
  /** All that it was told, in its order. */
  readonly told: ServerMessage[] = [];
  /** The code that the connection was closed with; null while it is open. */
  closeCode: number | null = null;
  readonly #ids = new Map<number, string>();
  readonly #series = new Map<number, SeriesInfo>();

  private constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on('message', (data: Buffer, isBinary: boolean) => this.#take(data, isBinary));
    webSocket.on('close', (code) => {
      this.closeCode = code;
    });
    // What breaks is closed as well.
    webSocket.on('error', () => {});
  }

  /** `url` is the service's. Rejects when the connection is refused. */
  static async open(url: string, query = '', protocols: readonly string[] = []): Promise<StreamSocket> {
    const webSocket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/stream${query}`, [...protocols]);
    const socket = new StreamSocket(webSocket);
    await once(webSocket, 'open');
    return socket;
  }

  #take(data: Buffer, isBinary: boolean): void {
    const message = isBinary ? this.#decoded(data) : (JSON.parse(data.toString()) as ServerMessage);
    this.told.push(message);
    if (message.type === 'subscribed') this.#ids.set(message.ordinal, message.id);
    if (message.type === 'series') for (const one of message.series) this.#series.set(one.series, one);
  }

  /** By what docs/streaming.md says of binary messages, not by how they are written. */
  #decoded(data: Buffer): SamplesMessage {
    const count = data.readUInt32LE(4);
    if (data[0] !== 1 || data.length !== 24 + 28 * count) throw new Error(`no message: ${data.length} bytes`);
    const samples = Array.from({ length: count }, (_, at): SampleReply => {
      const info = this.#series.get(data.readUInt32LE(24 + 24 * count + 4 * at));
      if (info === undefined) throw new Error('a series that was not told');
      const { series: _series, scale, value_names, ...rest } = info;
      const rawValue = data.readDoubleLE(24 + 8 * count + 8 * at);
      return {
        seq: data.readDoubleLE(24 + 16 * count + 8 * at),
        timestamp: data.readDoubleLE(24 + 8 * at) / 1e6,
        ...rest,
        value: physicalConversion(scale).toPhysical(rawValue),
        raw_value: rawValue,
        value_name: value_names?.[rawValue] ?? null,
      };
    });
    return {
      type: 'samples',
      id: this.#ids.get(data.readUInt16LE(2))!,
      cause: CAUSES[data[1]!]!,
      seq: data.readDoubleLE(16),
      missed: data.readUInt32LE(8),
      thinned: data.readUInt32LE(12),
      samples,
    };
  }

  send(message: object | string): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(fields: object = {}): void {
    this.send({ type: 'subscribe', id: 'a', signals: ['**'], ...fields });
  }

  /** The first message of a type, as soon as it is there. Rejects when the connection was closed without one. */
  async first<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    const found = await eventually(
      async () => this.told.find((message) => message.type === type),
      (message) => message !== undefined || this.closeCode !== null,
    );
    if (found === undefined) throw new Error(`closed (${this.closeCode}) before a message '${type}'`);
    return found as Extract<ServerMessage, { type: T }>;
  }

  messages(id = 'a'): SamplesMessage[] {
    return this.told.filter((message) => message.type === 'samples' && message.id === id) as SamplesMessage[];
  }

  seqs(id = 'a'): number[] {
    return this.messages(id).flatMap(({ samples }) => samples.map(({ seq }) => seq));
  }

  /** Waits for what was told up to a number. */
  async toldUpTo(seq: number, id?: string): Promise<void> {
    await eventually(
      async () => this.messages(id).at(-1)?.seq ?? 0,
      (told) => told >= seq,
    );
  }

  async closed(): Promise<number> {
    return (await eventually(
      async () => this.closeCode,
      (code) => code !== null,
    ))!;
  }
}
