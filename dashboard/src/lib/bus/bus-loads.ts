import { CollectorClientError, type StatusReply } from '../../../../src/client/index.ts';
import type { Api } from '../api.ts';
import { connection } from '../connection.svelte.ts';
import { LOAD_INTERVAL_MAX_S, LOAD_PAST_POINTS, LOAD_SPAN_S, SERIES_SIGNALS_MAX } from '../limits.ts';
import type { Live } from '../live.ts';
import { CAN_BUS_TYPE } from '../names.ts';
import type { SignalStore } from '../signal-store.ts';
import { ticks } from '../ticks.svelte.ts';
import type { TimeRing } from '../time-ring.ts';
import { LoadLine } from './load-line.ts';

type Bus = StatusReply['buses'][number];

/**
 * How loaded each bus was, in percent, or in frames a second where its bitrate isn't known. What the collector records comes
 * from the history and then from the stream, while somebody looks; a bus of which it doesn't (a log that is replayed) is
 * known since the page was opened.
 */
export class BusLoads {
  readonly #api: Api;
  readonly #live: Live;
  readonly #store: SignalStore;
  readonly #lines = new Map<string, LoadLine>();
  #lookers = 0;
  #status: StatusReply | null = null;
  /** What is followed: of which run, and by bus which signal. */
  #followed = '';
  #unfollow: () => void = () => undefined;

  constructor(api: Api, live: Live, store: SignalStore) {
    this.#api = api;
    this.#live = live;
    this.#store = store;
  }

  get(bus: string): LoadLine {
    let line = this.#lines.get(bus);
    if (line === undefined) {
      line = new LoadLine();
      this.#lines.set(bus, line);
    }
    return line;
  }

  /** Where the line of a bus ends by now: of one that stays at zero, or can't be heard, nothing comes. */
  untilS(bus: Bus): number {
    const { ring, isEnded } = this.get(bus.name);
    const isAwaited = !isRecorded(bus) || !(isEnded || isStill(bus, ring));
    return isAwaited ? ring.lastTime : Math.max(ring.lastTime, Math.floor(this.#store.nowS()));
  }

  take(status: StatusReply): void {
    this.#status = status;
    for (const bus of status.buses) {
      const line = this.get(bus.name);
      if (!isRecorded(bus)) {
        line.take(status.timestamp, bus.bus_load_percent ?? bus.frames_per_s);
        continue;
      }
      // Where there is no stream the state has the latest.
      const signal = connection.transport === 'stream' ? undefined : this.#store.get(keyOf(bus));
      if (signal !== undefined) line.take(signal.timestampS, signal.value);
      if (bus.state !== 'open') line.end(status.timestamp);
    }
    if (this.#lookers > 0) this.#follow(status);
  }

  /** Somebody looks; gives what ends that. */
  look(): () => void {
    this.#lookers++;
    if (this.#status !== null) this.#follow(this.#status);
    return () => {
      this.#lookers--;
      if (this.#lookers === 0) this.#stop();
    };
  }

  #stop(): void {
    this.#unfollow();
    this.#unfollow = () => undefined;
    this.#followed = '';
  }

  /** Has all that is recorded of the buses, unless it has already. */
  #follow({ started, buses }: StatusReply): void {
    const recorded = buses.filter(isRecorded);
    const keys = recorded.map(keyOf);
    const followed = [started, ...keys].join();
    if (followed === this.#followed) return;
    this.#stop();
    this.#followed = followed;
    if (keys.length === 0) return;
    const names = new Map(recorded.map((bus) => [keyOf(bus), bus.name]));
    for (const name of names.values()) this.get(name).clear();
    const abort = new AbortController();
    // With the next status it is asked for anew.
    const again = () => {
      if (!abort.signal.aborted) this.#followed = '';
    };
    const stop = this.#live.follow(
      { signals: keys, messageType: 'STATUS', snapshot: false },
      ({ count, series, seriesByNumber, timestampsUs, rawValues }, { missed }) => {
        if (missed > 0) again();
        for (let at = 0; at < count; at++) {
          const { component_id, toValue } = seriesByNumber.get(series[at]!)!;
          this.get(component_id).take(timestampsUs[at]! / 1e6, toValue(rawValues[at]!));
        }
        ticks.invalidate();
      },
      { onGap: again, onError: again },
    );
    this.#unfollow = () => {
      abort.abort();
      stop();
    };
    this.#askPast(names, abort.signal).catch((error: unknown) => {
      again();
      if (!(error instanceof CollectorClientError) && !abort.signal.aborted) throw error;
    });
  }

  async #askPast(names: ReadonlyMap<string, string>, abort: AbortSignal): Promise<void> {
    const all = [...names];
    const toS = this.#store.nowS();
    const fromS = toS - LOAD_SPAN_S;
    for (let first = 0; first < all.length; first += SERIES_SIGNALS_MAX) {
      const part = all.slice(first, first + SERIES_SIGNALS_MAX);
      const series = await this.#api.client.series(
        {
          signals: part.map(([key]) => key),
          from: fromS.toFixed(3),
          to: toS.toFixed(3),
          points: LOAD_PAST_POINTS,
        },
        { signal: abort },
      );
      for (const [index, [key, name]] of part.entries()) {
        const line = this.get(name);
        line.takePast(name, series, index);
        // Before that it was as it is still.
        const signal = this.#store.get(key);
        if (line.ring.length === 0 && signal?.value === 0) line.take(fromS, 0);
      }
    }
    ticks.invalidate();
  }
}

/** A bus that stays at zero is told of but once. */
export function isStill({ state }: Bus, ring: TimeRing): boolean {
  return state === 'open' && ring.length > 0 && ring.valueAt(ring.length - 1) === 0;
}

/** Whether a bus's load is to be had from the history, often enough to be drawn. */
function isRecorded({ figures_interval_s: intervalS }: Bus): boolean {
  return intervalS !== null && intervalS <= LOAD_INTERVAL_MAX_S;
}

function keyOf({ name, bus_load_percent }: Bus): string {
  return `${CAN_BUS_TYPE}/${name}/${bus_load_percent === null ? 'FRAME_RATE' : 'LOAD'}`;
}
