import {
  CollectorClientError,
  type CollectorStream,
  type OnColumns,
  type StreamSubscription,
  type SubscribeOptions,
  type SubscribeRequest,
} from '../../../src/client/index.ts';
import type { Api } from './api.ts';
import { connection } from './connection.svelte.ts';
import {
  LIVE_HZ_MAX,
  POLL_BUSY_SHARE,
  POLL_INTERVAL_MS,
  RETRY_FIRST_MS,
  RETRY_LONGEST_MS,
  RETRY_REFUSED_MS,
  STATE_INTERVAL_MS,
} from './limits.ts';
import type { SignalStore } from './signal-store.ts';
import { ticks } from './ticks.svelte.ts';

/** Who follows signals beside the store. */
interface Follower {
  readonly request: SubscribeRequest;
  readonly onColumns: OnColumns;
  readonly options: SubscribeOptions;
}

/**
 * Keeps the store up to date for as long as the page is there, whatever happens to the collector. Values come by the
 * stream; the state is asked for beside it each second, for rates, counts and what is stale, and more often where
 * there is no stream: an older collector, or a proxy that passes none on.
 */
export class Live {
  readonly #api: Api;
  readonly #store: SignalStore;
  #stream: CollectorStream | null = null;
  /** Once there was one, samples come from nowhere else into the tracks: what was missed comes when it is back. */
  #hasStreamed = false;
  #tracked: readonly string[] = [];
  #track: StreamSubscription | null = null;
  readonly #followers = new Map<Follower, StreamSubscription | null>();
  #timer = 0;
  #retryMs = RETRY_FIRST_MS;
  #isAsking = false;

  constructor(api: Api, store: SignalStore) {
    this.#api = api;
    this.#store = store;
    void this.#ask();
  }

  /** Tries at once instead of waiting. */
  retry(): void {
    clearTimeout(this.#timer);
    this.#retryMs = RETRY_FIRST_MS;
    void this.#ask();
  }

  /** Begins anew, for somebody else. */
  restart(): void {
    this.#stream?.close();
    this.#stream = null;
    this.retry();
  }

  /** Has every sample of these signals in their tracks, instead of those of before. */
  track(keys: readonly string[]): void {
    if (keys.join() === this.#tracked.join()) return;
    this.#tracked = keys;
    this.#subscribeTrack();
  }

  /** Has what of these signals comes by the stream passed on, over every stream that there will be; gives what ends that. */
  follow(request: SubscribeRequest, onColumns: OnColumns, options: SubscribeOptions = {}): () => void {
    const follower = { request, onColumns, options };
    this.#followers.set(follower, null);
    this.#subscribe(follower);
    return () => {
      this.#followers.get(follower)?.unsubscribe();
      this.#followers.delete(follower);
    };
  }

  /** Has every sample of every bus passed on; gives what ends that. */
  trace(onColumns: OnColumns): () => void {
    return this.follow({ signals: ['**'], snapshot: false, resume: false }, onColumns);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const askedMs = performance.now();
    const { client } = this.#api;
    let waitMs: number;
    try {
      const state = await client.state();
      const nowMs = performance.now();
      this.#store.takeState(state, nowMs, !this.#hasStreamed);
      if (connection.phase !== 'live' && !this.#hasStreamed) this.#store.breakTracks();
      connection.phase = 'live';
      connection.message = '';
      connection.isSimulated = state.simulated;
      ticks.invalidate();
      this.#retryMs = RETRY_FIRST_MS;
      if (this.#stream === null) this.#startStream();
      const intervalMs = connection.transport === 'stream' ? STATE_INTERVAL_MS : POLL_INTERVAL_MS;
      waitMs = Math.max(intervalMs, (nowMs - askedMs) / POLL_BUSY_SHARE);
    } catch (error) {
      waitMs = this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_LONGEST_MS);
      // Of a token that has been replaced meanwhile it says nothing any more.
      if (client !== this.#api.client) waitMs = 0;
      else this.#tellLost(error);
      if (connection.phase === 'unauthorised') waitMs = RETRY_REFUSED_MS;
    }
    this.#isAsking = false;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#ask(), waitMs);
  }

  #tellLost(error: unknown): void {
    const isRefused = error instanceof CollectorClientError && [401, 403].includes(error.statusCode);
    // Values come all the same, by a connection that knows itself when it is lost.
    if (!isRefused && connection.transport === 'stream') return;
    if (isRefused && connection.phase !== 'unauthorised') connection.isTokenAsked = true;
    connection.phase = isRefused ? 'unauthorised' : 'lost';
    connection.message = error instanceof Error ? error.message : String(error);
    if (!isRefused) return;
    this.#stream?.close();
    this.#stream = null;
  }

  #startStream(): void {
    const stream = this.#api.client.stream({ encoding: 'binary' });
    this.#stream = stream;
    stream.onState((state) => {
      connection.transport = state === 'open' ? 'stream' : 'polling';
      if (state === 'open') this.#hasStreamed = true;
      // Known sooner than the next time that the state is asked for.
      if (state === 'waiting' && this.#hasStreamed) this.retry();
    });
    stream.subscribeColumns({ signals: ['**'], maxHz: LIVE_HZ_MAX }, (columns, { cause }) => {
      this.#store.takeColumns(columns, performance.now(), { isLive: cause === 'live', isTrack: false });
      ticks.invalidate();
    });
    this.#subscribeTrack();
    for (const follower of this.#followers.keys()) this.#subscribe(follower);
  }

  #subscribeTrack(): void {
    this.#track?.unsubscribe();
    this.#track = null;
    if (this.#stream === null || this.#tracked.length === 0) return;
    const breakTracks = () => this.#store.breakTracks();
    this.#track = this.#stream.subscribeColumns(
      { signals: this.#tracked, messageType: 'STATUS', snapshot: false },
      (columns, { cause, missed }) => {
        if (missed > 0) breakTracks();
        this.#store.takeColumns(columns, performance.now(), { isLive: cause === 'live', isTrack: true });
        ticks.invalidate();
      },
      // What the tracks lack is asked of the history; so it is where a signal isn't known any more.
      { onGap: breakTracks, onError: breakTracks },
    );
  }

  #subscribe(follower: Follower): void {
    if (this.#stream === null) return;
    const { request, onColumns, options } = follower;
    this.#followers.set(follower, this.#stream.subscribeColumns(request, onColumns, options));
  }
}
