import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { Bus } from './bus/bus.ts';
import { type BusUrl, isLive, isLog } from './bus/bus-url.ts';
import { passesCanFilters } from './bus/can-filter.ts';
import type { ControllerReading } from './bus/controller-monitor.ts';
import type { FrameBatch } from './bus/frame-batch.ts';
import { ClockWatch, SYSTEM_CLOCK, type SystemClock } from './clock/clock-watch.ts';
import { CommandWatch } from './commands/command-watch.ts';
import {
  type BusConfig,
  type HistoryConfig,
  type HostConfig,
  type RecordingConfig,
  TIME_SYNC_SIMULATED,
  TIME_SYNC_SIMULATED_MS,
  type TimeSyncConfig,
} from './config/schema.ts';
import type { Gap } from './history/gap.ts';
import { PersistentTelemetryStore } from './history/persistent-telemetry-store.ts';
import { HostHealth } from './host/host-health.ts';
import { HostReader } from './host/host-reader.ts';
import { type HostSample, HostSignals } from './host/host-signals.ts';
import { BusFigureRecorder, BusFigureSignals, type FigureSample } from './protocol/bus-figures.ts';
import {
  BusSeries,
  BusSignals,
  busComponentIds,
  busSignalDefinitions,
  isBusFigure,
} from './protocol/bus-signals.ts';
import { KartDecoder } from './protocol/kart-decoder.ts';
import { ProtocolRegistry } from './protocol/protocol-registry.ts';
import type { SampleBatch } from './protocol/sample-batch.ts';
import { SeriesTable } from './protocol/series-table.ts';
import type { RoundTrip } from './protocol/time-master.ts';
import { roundTripSample, TimeSync } from './protocol/time-sync.ts';
import { Recorder } from './recording/recorder.ts';
import { type ClockChange, wallClockUs } from './shared/clock.ts';
import { errorMessage } from './shared/errors.ts';
import { HOST_BUS_NAME } from './shared/host-bus.ts';
import { rateLimited } from './shared/log.ts';
import { Turns } from './shared/turns.ts';
import { LiveFeed } from './telemetry/live-feed.ts';
import { TelemetryStore } from './telemetry/telemetry-store.ts';

/** A bus, what decodes its frames, what keeps the time of its nodes, and what looks for their answers to commands. */
export interface Source {
  readonly bus: Bus;
  readonly commands: CommandWatch;
  readonly timeSync: TimeSync;
  readonly decoder: KartDecoder;
  /** Of the bus's own signals. */
  readonly series: BusSeries;
  /** How often its load and so on are recorded; null for never. */
  readonly figuresIntervalMs: number | null;
}

/** The data path without the API: buses, decoding, state and history. */
export interface Pipeline {
  readonly registry: ProtocolRegistry;
  readonly sources: readonly Source[];
  readonly state: TelemetryStore;
  /** The newest samples, for those who follow them as they come. */
  readonly feed: LiveFeed;
  readonly history: PersistentTelemetryStore;
  readonly clock: ClockWatch;
  /** Null where no recording is wanted. */
  readonly recorder: Recorder | null;
  /** Null where this machine's health isn't recorded. */
  readonly hostHealth: HostHealth | null;
  /** Series known so far, those of earlier runs included. */
  readonly seriesCount: number;
  /** Resolves when every bus that can end (a log that is replayed once) has ended. */
  readonly ended: Promise<void>;
  /** Stops reading, makes everything durable and ends the threads. */
  stop(): Promise<void>;
}

export interface PipelineConfig {
  readonly buses: readonly BusConfig[];
  /** The CAN id that our own frames are sent under; 0 unless told. */
  readonly nodeId?: number;
  /** None unless told: then nothing is sent. */
  readonly timeSync?: TimeSyncConfig;
  /** This machine's health isn't recorded unless told. */
  readonly host?: HostConfig;
  readonly history: HistoryConfig;
  /** None unless told. */
  readonly recording?: RecordingConfig;
}

/**
 * Starts the data path, stage by stage:
 *
 *   bus worker ─ frame batch ─▶ decoder ─ sample batch ─▶ state
 *              │                                     ├──▶ live feed
 *              │                                     └──▶ history writer
 *              └ copied, if wanted ─▶ recorder
 *
 * With a time sync PINGs go out to the buses, and their round trips are samples, too. So is how this machine is, and how
 * loaded its buses are.
 *
 * Throws HistoryError and ProtocolError; a bus that can't be opened is no error but a state of the bus.
 */
export async function startPipeline(
  config: PipelineConfig,
  log: Logger,
  systemClock: SystemClock = SYSTEM_CLOCK,
): Promise<Pipeline> {
  const { timestampResolutionUs } = config.history;
  const busNames = config.buses.map(({ name }) => name);
  const registry = ProtocolRegistry.load(undefined, [busSignalDefinitions(busNames)]);
  const busIds = busComponentIds(busNames);
  const table = new SeriesTable(registry);
  const state = new TelemetryStore(table);
  const feed = new LiveFeed(table);
  // Only what an interface brings is stamped by the system's clock: logs bear their own times.
  const isSystemTime = config.buses.every(({ spec }) => spec.kind === 'socketcan');
  const clock = new ClockWatch(takeClockChange, isSystemTime, systemClock);
  const history = new PersistentTelemetryStore(
    {
      ...config.history,
      isLive: config.buses.some(({ spec }) => isLive(spec)),
      clock: clock.state,
      readClock: () => clock.check(),
      log: log.child({ stage: 'history' }),
    },
    table,
  );

  const stored = await history.open();
  for (const series of stored.series) table.restore(series);
  // A bus that isn't configured any more has a history but no state: what a simulation said last must not
  // stand beside what a vehicle says now.
  const hostIntervalMs = hostInterval(config);
  const configured = new Set(hostIntervalMs === null ? busNames : [...busNames, HOST_BUS_NAME]);
  const figuresIntervals = new Map(
    config.buses.map(({ name, spec }) => [name, figuresInterval(spec, hostIntervalMs)]),
  );
  const states = stored.states.filter(({ series: index }) => {
    const series = table.at(index);
    return configured.has(series.bus) && !(isBusFigure(series) && figuresIntervals.get(series.bus) === null);
  });
  state.restore(states, wallClockUs());
  feed.begin(history.samples.firstSeq);

  const recorder = createRecorder(config, log);
  recorder?.start();
  const turns = new Turns([history, recorder]);

  function takeClockChange(change: ClockChange): void {
    const { stepUs, correctionUs } = change;
    if (correctionUs !== 0 && history.uncertainFromSeq !== null) {
      state.correct(history.uncertainFromSeq, correctionUs);
      feed.correct(history.uncertainFromSeq, correctionUs);
    }
    history.changeClock(change, wallClockUs());
    tellStep(log, stepUs, correctionUs);
  }

  /** What was appended to a batch from `first` on; `settled` is called when the samples are as they stay. */
  function takeSamples(samples: SampleBatch, first: number, settled?: () => void): void {
    if (clock.isSettling) correctTimestamps(samples, first, clock);
    state.apply(samples, first);
    if (timestampResolutionUs > 1) roundTimestamps(samples, first, timestampResolutionUs);
    settled?.();
    feed.take(samples, first);
    if (samples.isFull) history.handOver();
  }

  /** Ahead of whoever follows the feed, the history: it has what they are told of. */
  function publish(): void {
    history.publish();
    feed.publish();
  }

  /** A sample of our own, that no frame has brought. */
  function takeSample(series: number, timestampUs: number, rawValue: number): void {
    const { samples } = history;
    const at = samples.count++;
    samples.timestampUs[at] = timestampUs;
    samples.rawValue[at] = rawValue;
    samples.series[at] = series;
    takeSamples(samples, at);
  }

  function takeReading(signals: BusSignals, reading: ControllerReading): void {
    clock.check();
    for (const [series, rawValue] of signals.changes(reading)) {
      takeSample(series, reading.timestampUs, rawValue);
    }
    publish();
  }

  function takeRoundTrip({ decoder }: Source, roundTrip: RoundTrip): void {
    const { key, rawValue } = roundTripSample(roundTrip);
    const series = decoder.seriesOf(key);
    if (series !== null) takeSample(series, roundTrip.timestampUs, rawValue);
  }

  function takeHealth(healthSamples: readonly HostSample[]): void {
    const { wallClockUs } = clock.check();
    for (const { series, rawValue } of healthSamples) takeSample(series, wallClockUs, rawValue);
    publish();
  }

  function takeFigures(figureSamples: readonly FigureSample[]): void {
    const { wallClockUs } = clock.check();
    for (const { series, rawValue, ageMs } of figureSamples) {
      takeSample(series, wallClockUs - Math.round(ageMs * 1000), rawValue);
    }
    publish();
  }

  /** `isCommandAnswered`: whether the samples are to be found of what the frames answer. */
  function decode(
    source: Source,
    frames: FrameBatch,
    start: number,
    end: number,
    isCommandAnswered: boolean,
  ): void {
    let at = start;
    while (at < end) {
      const { samples } = history;
      const first = samples.count;
      const span = { start: at, end: source.decoder.decode(frames, at, samples, end) };
      const find = isCommandAnswered ? () => source.commands.find(frames, span, samples, first) : undefined;
      takeSamples(samples, first, find);
      at = span.end;
    }
  }

  /** Our own health comes back from a bus that it is sent on, and is a sample already. */
  function decodeWithoutHealth(
    source: Source,
    frames: FrameBatch,
    signals: HostSignals,
    isCommandAnswered: boolean,
  ): void {
    let start = 0;
    for (let at = 0; at < frames.count; at++) {
      if (!signals.isOwn(frames, at)) continue;
      decode(source, frames, start, at, isCommandAnswered);
      source.decoder.countOwnHealth(frames.canId[at]!);
      start = at + 1;
    }
    decode(source, frames, start, frames.count, isCommandAnswered);
  }

  function takeFrames(source: Source, busIndex: number, frames: FrameBatch, release: () => void): void {
    clock.check();
    recorder?.record(frames, busIndex);
    const isCommandAnswered = source.commands.observe(frames);
    // After those that want the timestamps as they came.
    const roundTrips = source.timeSync.observe(frames);
    const isOfHealth = hostSignals !== null && healthBuses.includes(source.bus.name);
    if (isOfHealth) decodeWithoutHealth(source, frames, hostSignals, isCommandAnswered);
    else decode(source, frames, 0, frames.count, isCommandAnswered);
    for (const roundTrip of roundTrips) takeRoundTrip(source, roundTrip);
    publish();
    if (isCommandAnswered) source.commands.settle();
    release();
  }

  /** A span that bus has seen is told after a step: its beginning may be from before. */
  function tellGap(gap: Gap): void {
    clock.check();
    const toUs = gap.toUs === null ? null : clock.corrected(gap.toUs);
    history.gap({ ...gap, fromUs: clock.corrected(gap.fromUs), toUs });
  }

  const hostSignals = hostIntervalMs === null ? null : new HostSignals(registry, table, config.nodeId ?? 0);
  const healthBuses = config.host?.send ?? [];

  const endings: Promise<void>[] = [];
  const sources = config.buses.map(({ name, url, spec }, index): Source => {
    const decoder = new KartDecoder(name, registry, table);
    const series = new BusSeries(name, busIds.get(name)!, table);
    const signals = new BusSignals(series);
    const end = Promise.withResolvers<void>();
    const inTurn = (take: () => void) => (bus.canWait ? turns.add(take) : take());
    const bus = new Bus({
      name,
      url,
      spec,
      log: log.child({ stage: 'bus' }),
      onFrames: (frames, release) => inTurn(() => takeFrames(source, index, frames, release)),
      onEnded: () => inTurn(() => end.resolve()),
      onDown(fromUs, toUs) {
        if (isLive(spec)) tellGap({ bus: name, cause: 'bus_down', fromUs, toUs, count: null });
      },
      onBusOff(fromUs, toUs) {
        if (isLive(spec)) tellGap({ bus: name, cause: 'bus_off', fromUs, toUs, count: null });
      },
      onController(reading) {
        // The end of a log says nothing of the controller that it was recorded by.
        if (reading.state !== null || isLive(spec)) inTurn(() => takeReading(signals, reading));
      },
      onDrops: (count, fromUs, toUs) => tellGap({ bus: name, cause: 'kernel', fromUs, toUs, count }),
    });
    const commands = commandWatchOf(spec, config, table);
    const timeSync = timeSyncOf(bus, config, log);
    const figuresIntervalMs = figuresIntervals.get(name)!;
    const source = { bus, decoder, commands, timeSync, series, figuresIntervalMs };
    endings.push(end.promise);
    return source;
  });
  const hostHealth =
    hostSignals === null || hostIntervalMs === null
      ? null
      : new HostHealth({
          intervalMs: hostIntervalMs,
          reader: new HostReader({ diskFolder: dirname(config.history.path) }),
          signals: hostSignals,
          sendOn: sources.map(({ bus }) => bus).filter(({ name }) => healthBuses.includes(name)),
          onSamples: takeHealth,
          log: log.child({ stage: 'host' }),
        });
  const figures = figureRecorderOf(sources, hostIntervalMs, takeFigures);
  for (const { bus, timeSync } of sources) {
    bus.start();
    timeSync.start();
  }
  hostHealth?.start();
  figures?.start();

  return {
    registry,
    sources,
    state,
    feed,
    history,
    clock,
    recorder,
    hostHealth,
    get seriesCount() {
      return table.count;
    },
    ended: Promise.all(endings).then(() => undefined),
    async stop() {
      hostHealth?.stop();
      figures?.stop();
      for (const { timeSync } of sources) timeSync.stop();
      await Promise.all(sources.map(({ bus }) => bus.stop()));
      turns.takeAll();
      await Promise.all([history.close(), recorder?.stop()]);
    },
  };
}

function timeSyncOf(bus: Bus, { timeSync, nodeId = 0 }: PipelineConfig, log: Logger): TimeSync {
  const { name, spec } = bus;
  const timeLog = log.child({ stage: 'time sync' });
  const logFault = rateLimited(timeLog);
  const intervalMs = timeSyncIntervalMs(spec, timeSync);
  if (intervalMs !== null) timeLog.info({ bus: name, interval_ms: intervalMs }, 'sending PING and SET_TIME');
  return new TimeSync({
    nodeId,
    intervalMs,
    datedBy: isLive(spec) ? 'own' : hasTimeOfItsLog(spec) ? 'any' : 'none',
    isOpen: () => bus.isOpen,
    send: (frame) => bus.send(frame),
    onSendFailed: (error) =>
      logFault('warn', name, { bus: name, reason: errorMessage(error) }, 'time sync frame not sent'),
    nowUs: wallClockUs,
    monotonicMs: () => performance.now(),
  });
}

function commandWatchOf(spec: BusUrl, { nodeId = 0 }: PipelineConfig, table: SeriesTable): CommandWatch {
  const filters = spec.kind === 'socketcan' ? spec.filters : undefined;
  return new CommandWatch({
    nodeId,
    isOwnHeard: filters === undefined || passesCanFilters(filters, nodeId),
    table,
  });
}

/** How often a bus's nodes are asked; null for never: to send on a vehicle's bus has to be asked for. */
function timeSyncIntervalMs(spec: BusUrl, timeSync: TimeSyncConfig | undefined): number | null {
  if (timeSync === undefined || !isLive(spec)) return null;
  if (spec.kind === 'socketcan' && spec.timeSync === 'off') return null;
  if (timeSync.interval !== TIME_SYNC_SIMULATED) return timeSync.interval;
  return spec.kind === 'sim' ? TIME_SYNC_SIMULATED_MS : null;
}

/** How often a bus's figures are recorded; a log's are those of another time, at whatever pace it is replayed now. */
function figuresInterval(spec: BusUrl, hostIntervalMs: number | null): number | null {
  return isLive(spec) ? hostIntervalMs : null;
}

function figureRecorderOf(
  sources: readonly Source[],
  intervalMs: number | null,
  onSamples: (samples: readonly FigureSample[]) => void,
): BusFigureRecorder | null {
  if (intervalMs === null) return null;
  const measured = sources.filter(({ figuresIntervalMs }) => figuresIntervalMs !== null);
  const buses = measured.map(({ bus, series }) => ({ bus, signals: new BusFigureSignals(series) }));
  return new BusFigureRecorder({ intervalMs, buses, onSamples });
}

/**
 * How often this machine's health is recorded, and its buses' figures; null for never: what comes from logs alone is of
 * another machine and time.
 */
function hostInterval({ buses, host }: PipelineConfig): number | null {
  return buses.some(({ spec }) => isLive(spec)) ? (host?.intervalMs ?? null) : null;
}

/** Whether a millisecond of the log is one of its timestamps. */
function hasTimeOfItsLog(spec: BusUrl): boolean {
  return isLog(spec) && (spec.time === 'log' || spec.speed === 1);
}

function createRecorder({ buses, recording }: PipelineConfig, log: Logger): Recorder | null {
  if (!recording || recording.path === null) return null;
  return new Recorder({
    ...recording,
    path: recording.path,
    busNames: buses.map(({ name }) => name),
    log: log.child({ stage: 'recording' }),
  });
}

/** Of frames that were on the way when the clock was set. */
function correctTimestamps(samples: SampleBatch, first: number, clock: ClockWatch): void {
  const { timestampUs, count } = samples;
  for (let at = first; at < count; at++) timestampUs[at] = clock.corrected(timestampUs[at]!);
}

function tellStep(log: Logger, stepUs: number, correctionUs: number): void {
  if (stepUs === 0) return;
  const isCorrected = correctionUs !== 0;
  log.warn(
    { set_by_s: stepUs / 1_000_000 },
    isCorrected
      ? "the system's clock was set; it wasn't known to be right before, so what was recorded until now is corrected"
      : "the system's clock was set; what was recorded until now keeps its timestamps",
  );
}

/** Before anybody sees them, so that a sample is found under one timestamp, stored or not. */
function roundTimestamps(samples: SampleBatch, first: number, resolutionUs: number): void {
  const { timestampUs, count } = samples;
  for (let at = first; at < count; at++) {
    timestampUs[at] = Math.round(timestampUs[at]! / resolutionUs) * resolutionUs;
  }
}
