import { connect } from 'node:net';
import { answerLoads, quantile } from './load-process.ts';

/** Asks the service the same again and again: a load process of api.ts. */

export interface HttpLoad {
  /** Where the service answers. */
  readonly url: string;
  readonly path: string;
  /** They are kept; on each the next request goes when the answer to the last is complete. */
  readonly connections: number;
  readonly ms: number;
}

export interface HttpLoadResult {
  readonly requestsPerS: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** More than an answer, which then takes as few reads as it can. */
const READ_BYTES = 256 * 1024;
const HEADERS_END = Buffer.from('\r\n\r\n');

answerLoads<HttpLoad, HttpLoadResult>(async (load) => {
  const tookMs: number[] = [];
  const startedMs = performance.now();
  const connections = Array.from({ length: load.connections }, () => {
    return askAgain(load, startedMs + load.ms, tookMs);
  });
  await Promise.all(connections);
  const seconds = (performance.now() - startedMs) / 1000;
  tookMs.sort((left, right) => left - right);
  return {
    requestsPerS: tookMs.length / seconds,
    medianMs: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
  };
});

/** One connection, until the time is over; a client that costs little, as it shares the machine with the service. */
function askAgain({ url, path }: HttpLoad, untilMs: number, tookMs: number[]): Promise<void> {
  const { host, hostname, port } = new URL(url);
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    let askedMs = 0;
    /** Of the answer that is coming in; null before its headers are there. */
    let bytesLeft: number | null = null;

    function ask(): void {
      askedMs = performance.now();
      socket.write(request);
    }
    function take(bytes: number, buffer: Uint8Array): boolean {
      bytesLeft = bytesLeft === null ? bytesAfter(buffer.subarray(0, bytes)) : bytesLeft - bytes;
      if (bytesLeft > 0) return true;
      bytesLeft = null;
      const nowMs = performance.now();
      tookMs.push(nowMs - askedMs);
      if (nowMs < untilMs) ask();
      else socket.end();
      return true;
    }
    const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: take };
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    socket.once('connect', ask);
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/** Of an answer's first bytes, among which its headers are: how many are still to come. */
function bytesAfter(first: Uint8Array): number {
  const bytes = Buffer.from(first.buffer, first.byteOffset, first.byteLength);
  const bodyAt = bytes.indexOf(HEADERS_END) + HEADERS_END.length;
  const headers = bytes.toString('latin1', 0, bodyAt);
  const length = /^HTTP\/1\.1 200 .*\r\ncontent-length: (\d+)\r\n/is.exec(headers)?.[1];
  if (length === undefined) throw new Error(`expected 200 with a content-length, found:\n${headers}`);
  return Number(length) - (bytes.length - bodyAt);
}
