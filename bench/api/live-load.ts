import type { SampleReply } from '../../src/api/schemas.ts';
import { answerLoads, quantile } from './load-process.ts';

/** One client that is told every sample as it comes, with the WebSocket of the platform: a load process of api.ts. */

export interface LiveLoad {
  /** As the service has it, http:// */
  readonly url: string;
  readonly ms: number;
}

export interface LiveLoadResult {
  /** From a sample's timestamp to the call that brings it, by this machine's clock. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly samplesPerS: number;
}

let delaysMs: number[] = [];
let following: Promise<void> | null = null;

answerLoads<LiveLoad, LiveLoadResult>(async ({ url, ms }) => {
  following ??= follow(url);
  await following;
  delaysMs = [];
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const seconds = (performance.now() - startedMs) / 1000;
  const sorted = Float64Array.from(delaysMs).sort();
  return {
    medianMs: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    samplesPerS: sorted.length / seconds,
  };
});

/** Resolves when the subscription is confirmed. A connection that ends is an error. */
function follow(url: string): Promise<void> {
  const opened = new WebSocket(`${url.replace(/^http/, 'ws')}/api/stream`);
  return new Promise((resolve, reject) => {
    opened.addEventListener('open', () => {
      opened.send(JSON.stringify({ type: 'subscribe', id: 'live', signals: ['**'] }));
    });
    opened.addEventListener('message', ({ data }) => {
      const nowMs = Date.now();
      const message = JSON.parse(data) as { type: string; cause?: string; samples: SampleReply[] };
      if (message.type === 'subscribed') resolve();
      if (message.type !== 'samples' || message.cause !== 'live') return;
      for (const { timestamp } of message.samples) delaysMs.push(nowMs - timestamp * 1000);
    });
    opened.addEventListener('error', () => reject(new Error(`${opened.url} can't be opened`)));
    opened.addEventListener('close', () => {
      throw new Error('the service has closed the connection of the live client');
    });
  });
}
