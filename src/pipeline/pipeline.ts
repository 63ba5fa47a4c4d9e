import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { type BusUrl, isLive } from '../bus/bus-url.ts';
import { ClockWatch, SYSTEM_CLOCK, type SystemClock } from '../clock/clock-watch.ts';
import type {
  BusConfig,
  HistoryConfig,
  HostConfig,
  RecordingConfig,
  TimeSyncConfig,
} from '../config/schema.ts';
import { PersistentTelemetryStore } from '../history/persistent-telemetry-store.ts';
import { HostHealth } from '../host/host-health.ts';
import { HostReader } from '../host/host-reader.ts';
import { HostSignals } from '../host/host-signals.ts';
import { BusFigureRecorder, BusFigureSignals } from '../protocol/bus-figures.ts';
import { busComponentIds, busSignalDefinitions, isBusFigure } from '../protocol/bus-signals.ts';
import { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { SeriesTable } from '../protocol/series-table.ts';
import { Recorder } from '../recording/recorder.ts';
import { wallClockUs } from '../shared/clock.ts';
import { HOST_BUS_NAME } from '../shared/host-bus.ts';
import { Turns } from '../shared/turns.ts';
import { LiveFeed } from '../telemetry/live-feed.ts';
import { TelemetryStore } from '../telemetry/telemetry-store.ts';
import type { IsOwnHealth } from './frame-intake.ts';
import { SampleIntake } from './sample-intake.ts';
import { createSource, type Source } from './source.ts';

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
  const busNames = config.buses.map(({ name }) => name);
  const registry = ProtocolRegistry.load(undefined, [busSignalDefinitions(busNames)]);
  const table = new SeriesTable(registry);
  const state = new TelemetryStore(table);
  const feed = new LiveFeed(table);
  // Only what an interface brings is stamped by the system's clock: logs bear their own times.
  const isSystemTime = config.buses.every(({ spec }) => spec.kind === 'socketcan');
  const clock = new ClockWatch((change) => intake.changeClock(change), isSystemTime, systemClock);
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
  const { timestampResolutionUs } = config.history;
  const intake = new SampleIntake({ state, feed, history, clock, timestampResolutionUs, log });

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

  const nodeId = config.nodeId ?? 0;
  const hostSignals = hostIntervalMs === null ? null : new HostSignals(registry, table, nodeId);
  const sendHealthOn = config.host?.send ?? [];
  const componentIds = busComponentIds(busNames);
  const context = {
    registry,
    table,
    nodeId,
    timeSync: config.timeSync,
    clock,
    intake,
    turns,
    recorder,
    log,
  };
  /** What is sent comes back; and the simulated kart's computer is this machine, of which two would tell two things. */
  function isOwnHealthOn({ name, spec }: BusConfig): IsOwnHealth | null {
    if (hostSignals === null) return null;
    if (spec.kind === 'sim') return (frames, at) => hostSignals.isTold(frames, at);
    return sendHealthOn.includes(name) ? (frames, at) => hostSignals.isOwn(frames, at) : null;
  }
  const sources = config.buses.map((bus, index) => {
    const options = {
      ...bus,
      index,
      componentId: componentIds.get(bus.name)!,
      figuresIntervalMs: figuresIntervals.get(bus.name)!,
      isOwnHealth: isOwnHealthOn(bus),
    };
    return createSource(options, context);
  });

  /** Samples that no frame has brought; the clock is looked at first. */
  function takeOwn(
    samples: readonly { readonly series: number; readonly rawValue: number; readonly ageMs?: number }[],
  ): void {
    const nowUs = clock.check().wallClockUs;
    for (const { series, rawValue, ageMs = 0 } of samples) {
      intake.takeOwn(series, nowUs - Math.round(ageMs * 1000), rawValue);
    }
    intake.publish();
  }

  const hostHealth =
    hostSignals === null || hostIntervalMs === null
      ? null
      : new HostHealth({
          intervalMs: hostIntervalMs,
          reader: new HostReader({ diskFolder: dirname(config.history.path) }),
          signals: hostSignals,
          sendOn: sources.map(({ bus }) => bus).filter(({ name }) => sendHealthOn.includes(name)),
          onSamples: takeOwn,
          log: log.child({ stage: 'host' }),
        });
  const figures =
    hostIntervalMs === null
      ? null
      : new BusFigureRecorder({
          intervalMs: hostIntervalMs,
          buses: sources
            .filter(({ figuresIntervalMs }) => figuresIntervalMs !== null)
            .map(({ bus, series }) => ({ bus, signals: new BusFigureSignals(series) })),
          onSamples: takeOwn,
        });

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
    ended: Promise.all(sources.map((source) => source.ended)).then(() => undefined),
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

/** How often a bus's figures are recorded; a log's are those of another time, at whatever pace it is replayed now. */
function figuresInterval(spec: BusUrl, hostIntervalMs: number | null): number | null {
  return isLive(spec) ? hostIntervalMs : null;
}

/**
 * How often this machine's health is recorded, and its buses' figures; null for never: what comes from logs alone is of
 * another machine and time.
 */
function hostInterval({ buses, host }: PipelineConfig): number | null {
  return buses.some(({ spec }) => isLive(spec)) ? (host?.intervalMs ?? null) : null;
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
