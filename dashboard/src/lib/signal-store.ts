import type { SampleColumns, SignalStateReply, StateReply, StreamSeries } from '../../../src/client/index.ts';
import {
  SPARK_INTERVAL_S,
  SPARK_VALUES,
  STALE_INTERVALS,
  STALE_LEAST_S,
  TRACK_SAMPLES_MAX,
} from './limits.ts';
import { TimeRing } from './time-ring.ts';

/**
 * One signal and the latest that is known of it. Plain fields that are written for every sample: nothing here is
 * reactive. Views read them when ticks.svelte.ts tells them to, once a frame at most.
 */
export class Signal {
  readonly key: string;
  readonly type: string;
  readonly component: string;
  readonly command: string;
  unit: string | null = null;
  value = Number.NaN;
  rawValue = Number.NaN;
  valueName: string | null = null;
  valueType = '';
  messageType = '';
  bus = '';
  nodeId = 0;
  /** Seconds since the epoch, by the collector's clock. */
  timestampS = 0;
  /** When it arrived, by this page's monotonic clock. */
  arrivedMs = Number.NEGATIVE_INFINITY;
  /** When its value was last another than before. */
  changedMs = Number.NEGATIVE_INFINITY;
  rateHz = 0;
  /** Whether it came at a rate since the page is there: when it doesn't any more it has become silent. */
  hasRate = false;
  count = 0;
  /** What the collector says; see isStale(). */
  staleAtSource = false;
  /** The newest values, oldest first from sparkAt on. */
  readonly spark = new Float32Array(SPARK_VALUES).fill(Number.NaN);
  sparkAt = 0;
  hasPast = false;
  #sparkedS = 0;
  /** Every sample, for as long as somebody plots it. */
  track: TimeRing | null = null;
  #trackers = 0;

  constructor(type: string, component: string, command: string) {
    this.key = `${type}/${component}/${command}`;
    this.type = type;
    this.component = component;
    this.command = command;
  }

  /** A sample that is no older than the one before. */
  take(
    timestampS: number,
    value: number,
    rawValue: number,
    valueName: string | null,
    arrivedMs: number,
  ): void {
    if (timestampS < this.timestampS) return;
    const isNew = timestampS > this.timestampS;
    if (value !== this.value) this.changedMs = arrivedMs;
    this.timestampS = timestampS;
    this.value = value;
    this.rawValue = rawValue;
    this.valueName = valueName;
    this.arrivedMs = arrivedMs;
    if (!isNew || timestampS - this.#sparkedS < SPARK_INTERVAL_S) return;
    this.#sparkedS = timestampS;
    this.spark[this.sparkAt] = value;
    this.sparkAt = (this.sparkAt + 1) % SPARK_VALUES;
  }

  /** What was before the page was there, oldest first; kept where the samples since then leave room. */
  takePast(values: readonly (number | null)[]): void {
    const since = this.sparkValues();
    const all = [...values.map((value) => value ?? Number.NaN), ...since].slice(-SPARK_VALUES);
    this.spark.fill(Number.NaN);
    this.spark.set(all, SPARK_VALUES - all.length);
    this.sparkAt = 0;
    this.hasPast = true;
  }

  /** The values that there are, oldest first. */
  sparkValues(): number[] {
    const values: number[] = [];
    for (let at = 0; at < SPARK_VALUES; at++) {
      const value = this.spark[(this.sparkAt + at) % SPARK_VALUES]!;
      if (!Number.isNaN(value)) values.push(value);
    }
    return values;
  }

  isStale(nowMs: number): boolean {
    if (this.rateHz <= 0) return this.staleAtSource;
    return (nowMs - this.arrivedMs) / 1000 > Math.max(STALE_LEAST_S, STALE_INTERVALS / this.rateHz);
  }

  ageS(nowMs: number): number {
    return Math.max(0, (nowMs - this.arrivedMs) / 1000);
  }

  /** Keeps every sample from now on; give it back with untrack(). */
  startTrack(): TimeRing {
    this.#trackers++;
    this.track ??= new TimeRing(TRACK_SAMPLES_MAX);
    return this.track;
  }

  untrack(): void {
    this.#trackers--;
    if (this.#trackers === 0) this.track = null;
  }
}

/** All signals that have been heard. */
export class SignalStore {
  /** In the order in which they were first heard. */
  readonly signals: Signal[] = [];
  readonly #byKey = new Map<string, Signal>();
  /** A connection's series are objects of its own. */
  readonly #bySeries = new WeakMap<StreamSeries, Signal>();
  /** Changes when a signal joins. */
  structure = 0;
  /** Changes when samples may be missing from the tracks: what they show has to be asked of the history. */
  discontinuities = 0;
  isSimulated = false;
  /** How far the collector's clock is ahead of this page's, in seconds. */
  clockOffsetS = 0;

  get(key: string): Signal | undefined {
    return this.#byKey.get(key);
  }

  getOrAdd(type: string, component: string, command: string): Signal {
    const key = `${type}/${component}/${command}`;
    let signal = this.#byKey.get(key);
    if (signal === undefined) {
      signal = new Signal(type, component, command);
      this.#byKey.set(key, signal);
      this.signals.push(signal);
      this.structure++;
    }
    return signal;
  }

  /** Seconds since the epoch, by the collector's clock. */
  nowS(): number {
    return Date.now() / 1000 + this.clockOffsetS;
  }

  /** With `isTrack` for the tracks, too. */
  takeState({ timestamp, simulated, components }: StateReply, nowMs: number, isTrack: boolean): void {
    this.isSimulated = simulated;
    this.clockOffsetS = timestamp - Date.now() / 1000;
    for (const type in components) {
      for (const component in components[type]) {
        const commands = components[type]![component]!;
        for (const command in commands) {
          const signal = this.getOrAdd(type, component, command);
          this.#takeSignalState(signal, commands[command]!, nowMs);
          if (isTrack) signal.track?.push(signal.timestampS, signal.value);
        }
      }
    }
  }

  #takeSignalState(signal: Signal, state: SignalStateReply, nowMs: number): void {
    signal.unit = state.unit;
    signal.valueType = state.value_type;
    signal.messageType = state.message_type;
    signal.bus = state.bus;
    signal.nodeId = state.node_id;
    signal.rateHz = state.rate_hz;
    if (state.rate_hz > 0) signal.hasRate = true;
    signal.count = state.count;
    signal.staleAtSource = state.stale;
    signal.take(state.timestamp, state.value, state.raw_value, state.value_name, nowMs - state.age_s * 1000);
  }

  /**
   * Samples as the stream brings them: `isTrack` where they are all that there are of what is plotted, `isLive` where they
   * come as they are sent.
   */
  takeColumns(columns: SampleColumns, nowMs: number, options: { isLive: boolean; isTrack: boolean }): void {
    const { count, timestampsUs, rawValues, series, seriesByNumber } = columns;
    const nowS = this.nowS();
    for (let at = 0; at < count; at++) {
      const each = seriesByNumber.get(series[at]!)!;
      const signal = this.#signalOf(each);
      // As on the API, where a STATUS goes before what others say of the signal.
      if (each.message_type !== signal.messageType) {
        if (signal.messageType === 'STATUS') continue;
        signal.messageType = each.message_type;
      }
      const timestampS = timestampsUs[at]! / 1e6;
      const rawValue = rawValues[at]!;
      const value = each.toValue(rawValue);
      if (options.isTrack) signal.track?.push(timestampS, value);
      const arrivedMs = options.isLive ? nowMs : nowMs - Math.max(0, nowS - timestampS) * 1000;
      signal.bus = each.bus;
      signal.nodeId = each.node_id;
      signal.take(timestampS, value, rawValue, each.value_names?.[String(rawValue)] ?? null, arrivedMs);
    }
  }

  #signalOf(series: StreamSeries): Signal {
    let signal = this.#bySeries.get(series);
    if (signal === undefined) {
      signal = this.getOrAdd(series.component_type, series.component_id, series.command_id);
      signal.unit = series.unit;
      signal.valueType = series.value_type;
      this.#bySeries.set(series, signal);
    }
    return signal;
  }

  /** Samples may have been missed. */
  breakTracks(): void {
    for (const { track } of this.signals) track?.clear();
    this.discontinuities++;
  }
}
