import type { Logger } from 'pino';
import { Bus } from '../bus/bus.ts';
import { type BusUrl, isLive, isLog } from '../bus/bus-url.ts';
import { passesCanFilters } from '../bus/can-filter.ts';
import type { ClockWatch } from '../clock/clock-watch.ts';
import { CommandWatch } from '../commands/command-watch.ts';
import {
  type BusConfig,
  TIME_SYNC_SIMULATED,
  TIME_SYNC_SIMULATED_MS,
  type TimeSyncConfig,
} from '../config/schema.ts';
import { BusSeries, BusSignals } from '../protocol/bus-signals.ts';
import { KartDecoder } from '../protocol/kart-decoder.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import type { SeriesTable } from '../protocol/series-table.ts';
import { TimeSync } from '../protocol/time-sync.ts';
import type { Recorder } from '../recording/recorder.ts';
import { wallClockUs } from '../shared/clock.ts';
import { errorMessage } from '../shared/errors.ts';
import { rateLimited } from '../shared/log.ts';
import type { Turns } from '../shared/turns.ts';
import { FrameIntake, type IsOwnHealth } from './frame-intake.ts';
import type { SampleIntake } from './sample-intake.ts';

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
  /** Resolves when a bus that can end (a log that is replayed once) has ended. */
  readonly ended: Promise<void>;
}

/** What all sources have in common. */
export interface SourceContext {
  readonly registry: ProtocolRegistry;
  readonly table: SeriesTable;
  /** The CAN id that our own frames are sent under. */
  readonly nodeId: number;
  readonly timeSync: TimeSyncConfig | undefined;
  readonly clock: ClockWatch;
  readonly intake: SampleIntake;
  readonly turns: Turns;
  readonly recorder: Recorder | null;
  readonly log: Logger;
}

/** What one has of its own. */
export interface SourceOptions extends BusConfig {
  /** The place of the bus in the recording. */
  readonly index: number;
  readonly componentId: number;
  readonly figuresIntervalMs: number | null;
  readonly isOwnHealth: IsOwnHealth | null;
}

export function createSource(options: SourceOptions, context: SourceContext): Source {
  const { name, url, spec, index, componentId, figuresIntervalMs, isOwnHealth } = options;
  const { registry, table, clock, intake, turns, recorder, log } = context;
  const series = new BusSeries(name, componentId, table);
  const signals = new BusSignals(series);
  const end = Promise.withResolvers<void>();
  const inTurn = (take: () => void): void => (bus.canWait ? turns.add(take) : take());

  const bus = new Bus({
    name,
    url,
    spec,
    log: log.child({ stage: 'bus' }),
    onFrames: (batch, release) =>
      inTurn(() => {
        frames.take(batch);
        release();
      }),
    onEnded: () => inTurn(() => end.resolve()),
    onDown(fromUs, toUs) {
      if (isLive(spec)) intake.tellGap({ bus: name, cause: 'bus_down', fromUs, toUs, count: null });
    },
    onBusOff(fromUs, toUs) {
      if (isLive(spec)) intake.tellGap({ bus: name, cause: 'bus_off', fromUs, toUs, count: null });
    },
    onController(reading) {
      // The end of a log says nothing of the controller that it was recorded by.
      if (reading.state === null && !isLive(spec)) return;
      inTurn(() => {
        clock.check();
        for (const [ownSeries, rawValue] of signals.changes(reading)) {
          intake.takeOwn(ownSeries, reading.timestampUs, rawValue);
        }
        intake.publish();
      });
    },
    onDrops: (cause, count, fromUs, toUs) => intake.tellGap({ bus: name, cause, fromUs, toUs, count }),
  });

  const decoder = new KartDecoder(name, registry, table);
  const commands = commandWatchOf(spec, context);
  const timeSync = timeSyncOf(bus, context);
  const frames = new FrameIntake({
    intake,
    clock,
    decoder,
    commands,
    timeSync,
    recorder,
    busIndex: index,
    isOwnHealth,
  });
  return { bus, decoder, commands, timeSync, series, figuresIntervalMs, ended: end.promise };
}

function timeSyncOf(bus: Bus, { timeSync, nodeId, log }: SourceContext): TimeSync {
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

/** How often a bus's nodes are asked; null for never: to send on a vehicle's bus has to be asked for. */
function timeSyncIntervalMs(spec: BusUrl, timeSync: TimeSyncConfig | undefined): number | null {
  if (timeSync === undefined || !isLive(spec)) return null;
  if (spec.kind === 'socketcan' && spec.timeSync === 'off') return null;
  if (timeSync.interval !== TIME_SYNC_SIMULATED) return timeSync.interval;
  return spec.kind === 'sim' ? TIME_SYNC_SIMULATED_MS : null;
}

/** Whether a millisecond of the log is one of its timestamps. */
function hasTimeOfItsLog(spec: BusUrl): boolean {
  return isLog(spec) && (spec.time === 'log' || spec.speed === 1);
}

function commandWatchOf(spec: BusUrl, { nodeId, table }: SourceContext): CommandWatch {
  const filters = spec.kind === 'socketcan' ? spec.filters : undefined;
  return new CommandWatch({
    nodeId,
    isOwnHeard: filters === undefined || passesCanFilters(filters, nodeId),
    table,
  });
}
