import type { ServerResponse } from 'node:http';
import { STREAM_CLOSE_MS } from '../../shared/limits.ts';
import type { Outlet, SamplesHead, SubscriptionName } from './outlet.ts';
import type { SampleBody } from './sample-body.ts';
import type { ControlMessage, Encoding } from './schemas.ts';

const SAMPLES_END = Buffer.from('}\n\n');

/** A client of Server-Sent Events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStreamOutlet implements Outlet {
  readonly encoding: Encoding = 'json';
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  /** Says how long a client is to wait before it connects again. */
  retryAfter(ms: number): void {
    this.#write(`retry: ${ms}\n\n`);
  }

  /** The only subscription needs no id, and has been asked for by the request. */
  control({ id: _, ...message }: ControlMessage & { readonly id?: unknown }): number {
    if (message.type === 'subscribed') return 0;
    return this.#write(`event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`);
  }

  samples(_: SubscriptionName, { cause, seq, missed, thinned }: SamplesHead, body: SampleBody): number {
    const head =
      `id: ${seq}\nevent: samples\ndata: {"type":"samples","cause":"${cause}","seq":${seq}` +
      `,"missed":${missed},"thinned":${thinned},"samples":`;
    return this.#write(head, body.json(), SAMPLES_END);
  }

  #write(head: string, ...rest: readonly Uint8Array[]): number {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return 0;
    response.cork();
    response.write(head);
    for (const part of rest) response.write(part);
    response.uncork();
    return rest.reduce((bytes, part) => bytes + part.byteLength, Buffer.byteLength(head));
  }

  cork(): void {
    this.#response.cork();
  }

  uncork(): void {
    this.#response.uncork();
  }

  ping(): boolean {
    return false;
  }

  /** Who takes nothing would never let it end. */
  close(): void {
    const response = this.#response;
    response.end();
    const timer = setTimeout(() => response.destroy(), STREAM_CLOSE_MS);
    response.once('close', () => clearTimeout(timer));
  }

  terminate(): void {
    this.#response.destroy();
  }
}
