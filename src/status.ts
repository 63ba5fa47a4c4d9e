import { statfs } from 'node:fs/promises';
import os from 'node:os';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { ServiceStatus, StatusReply } from './api/schemas.ts';
import type { ControllerStatus } from './bus/controller-monitor.ts';
import type { IdTraffic } from './bus/traffic-meter.ts';
import type { CommandService } from './commands/command-service.ts';
import type { CollectorConfig } from './config/schema.ts';
import { readTemperatureC } from './host/temperature.ts';
import type { Pipeline } from './pipeline/pipeline.ts';
import type { Source } from './pipeline/source.ts';
import { NO_PONGS_PASSED_OVER } from './protocol/time-master.ts';
import type { TimeSyncStatus } from './protocol/time-sync.ts';
import {
  AUDIT_LINES_WAITING_MAX,
  COMMANDS_WAITING_MAX,
  EMERGENCY_STOPS_WAITING_MAX,
  GAPS_MAX,
  SEND_QUEUE_FRAMES_MAX,
  SERIES_MAX,
  TIME_SYNC_NODES_MAX,
} from './shared/limits.ts';
import { VERSION } from './version.ts';

/** Makes the report behind /api/status from what each stage says of itself. */
export function statusReporter(
  config: CollectorConfig,
  pipeline: Pipeline,
  commands: CommandService | null = null,
): () => Promise<ServiceStatus> {
  const startedMs = Date.now();
  const startedMonotonicMs = performance.now();

  return async () => ({
    version: VERSION,
    timestamp: Date.now() / 1000,
    started: startedMs / 1000,
    uptime_s: (performance.now() - startedMonotonicMs) / 1000,
    simulated: pipeline.sources.some(({ bus }) => bus.isSimulated),
    clock: clockReport(pipeline),
    buses: pipeline.sources.map(busReport),
    state: {
      signals: pipeline.state.signalCount,
      series: pipeline.seriesCount,
      series_max: SERIES_MAX,
    },
    history: historyReport(config, pipeline),
    recording: recordingReport(config, pipeline),
    commands: commandsReport(commands),
    process: processReport(pipeline),
    host: await hostReport(config.history.path, pipeline),
  });
}

function clockReport({ clock, history }: Pipeline): StatusReply['clock'] {
  const { isSynchronized, stepCount, steps } = clock.status();
  const { samplesCorrected, corrections, corrected } = history.status();
  const last = corrections.at(-1);
  return {
    synchronised: isSynchronized,
    step_count: stepCount,
    steps: steps.map(({ atUs, stepUs, isCorrection }) => ({
      timestamp: atUs / 1_000_000,
      step_s: stepUs / 1_000_000,
      corrects: isCorrection,
    })),
    samples_corrected: samplesCorrected,
    last_correction: last === undefined ? null : last.atUs / 1_000_000,
    corrections: corrections.map(({ atUs, fromSeq, toSeq, shiftUs, samples }) => ({
      timestamp: atUs / 1_000_000,
      from_seq: fromSeq,
      to_seq: toSeq - 1,
      moved_by_s: shiftUs / 1_000_000,
      samples,
    })),
    corrected: corrected.map(({ fromSeq, toSeq, shiftUs }) => ({
      from_seq: fromSeq,
      to_seq: toSeq === null ? null : toSeq - 1,
      moved_by_s: shiftUs / 1_000_000,
    })),
  };
}

function busReport({ bus, decoder, timeSync, figuresIntervalMs }: Source): StatusReply['buses'][number] {
  const status = bus.status();
  return {
    name: status.name,
    url: status.url,
    kind: status.kind,
    simulated: status.simulated,
    state: status.state,
    since: status.sinceMs / 1000,
    problem: status.problem,
    silent_since: status.silentSinceMs === null ? null : status.silentSinceMs / 1000,
    frames: status.frames,
    frames_per_s: status.traffic.framesPerS,
    bytes: status.traffic.bytes,
    bytes_per_s: status.traffic.bytesPerS,
    bus_load_percent: status.traffic.load === null ? null : status.traffic.load * 100,
    figures_interval_s: figuresIntervalMs === null ? null : figuresIntervalMs / 1000,
    frames_lost: status.framesLost,
    frames_sent: status.framesSent,
    send_failures: status.sendFailures,
    send_queue: { used: status.sendsWaiting, max: SEND_QUEUE_FRAMES_MAX },
    reopened: status.reopened,
    outcomes: decoder.counters.totals(),
    can_ids: decoder.counters.perCanId().map(({ canId, isExtended, frames, outcomes }) => ({
      can_id: canId,
      extended: isExtended,
      frames,
      outcomes,
      ...idReport(bus.trafficOf(canId, isExtended)),
    })),
    frames_of_other_ids: decoder.counters.framesOfOtherIds,
    time_sync: timeSyncReport(timeSync.status()),
    controller: controllerReport(status.controller),
    driver: status.driver,
  };
}

function idReport(traffic: IdTraffic | null) {
  return {
    rate_hz: traffic === null ? null : traffic.rateHz,
    last_seen: traffic === null ? null : traffic.lastUs / 1_000_000,
    last_payload: traffic === null ? null : Buffer.from(traffic.lastPayload).toString('hex'),
  };
}

function timeSyncReport({
  master,
  nodesDated,
  framesRedated,
}: TimeSyncStatus): StatusReply['buses'][number]['time_sync'] {
  return {
    enabled: master !== null,
    interval_s: master === null ? null : master.intervalMs / 1000,
    pings: master?.pings ?? 0,
    send_failures: master?.sendFailures ?? 0,
    pongs_passed_over: { ...(master?.pongsPassedOver ?? NO_PONGS_PASSED_OVER) },
    nodes: (master?.nodes ?? []).map((node) => ({
      node_id: node.nodeId,
      round_trip_ms: {
        last: node.lastUs / 1000,
        min: node.minUs / 1000,
        mean: node.meanUs / 1000,
        max: node.maxUs / 1000,
      },
      last_pong: node.lastPongUs / 1_000_000,
      pings: node.pings,
      pongs: node.pongs,
      missed: node.missed,
    })),
    nodes_max: TIME_SYNC_NODES_MAX,
    nodes_dated: nodesDated,
    frames_redated: framesRedated,
  };
}

function controllerReport(status: ControllerStatus): StatusReply['buses'][number]['controller'] {
  const { state, txErrors, rxErrors, errors, lastError, changes } = status;
  return {
    state,
    tx_errors: txErrors,
    rx_errors: rxErrors,
    errors: { ...errors },
    last_error:
      lastError === null
        ? null
        : { timestamp: lastError.timestampUs / 1_000_000, message: lastError.message },
    changes: changes.map(({ timestampUs, state }) => ({ timestamp: timestampUs / 1_000_000, state })),
  };
}

function historyReport({ history: config }: CollectorConfig, { history }: Pipeline): StatusReply['history'] {
  const status = history.status();
  const { samples, firstTimestampUs, lastTimestampUs, bytes, walBytes } = status.size;
  return {
    path: status.path,
    state: status.state,
    samples,
    first_timestamp: firstTimestampUs === null ? null : firstTimestampUs / 1_000_000,
    last_timestamp: lastTimestampUs === null ? null : lastTimestampUs / 1_000_000,
    bytes,
    wal_bytes: walBytes,
    samples_stored: status.samplesStored,
    samples_lost: status.samplesLost,
    commits: status.commits,
    last_commit_ms: status.lastCommitMs,
    problem: status.problem,
    set_aside:
      status.setAside === null
        ? null
        : { path: status.setAside.path, reason: status.setAside.reason, at: status.setAside.atMs / 1000 },
    damages: status.damages,
    gaps: { count: status.size.gaps, max: GAPS_MAX },
    max_samples: config.maxSamples,
    max_age_s: config.maxAgeMs === null ? null : config.maxAgeMs / 1000,
    max_bytes: config.maxBytes,
    flush_interval_s: config.flushIntervalMs / 1000,
    durability: status.durability,
    sample_batches: { used: status.batchesInUse, max: status.batchesMax },
    queries: { used: status.queriesWaiting, max: status.queriesWaitingMax },
  };
}

function recordingReport({ recording }: CollectorConfig, { recorder }: Pipeline): StatusReply['recording'] {
  if (recorder === null) return null;
  const status = recorder.status();
  return {
    path: status.path,
    state: status.state,
    problem: status.problem,
    file: status.file,
    frames: status.frames,
    frames_lost: status.framesLost,
    bytes_written: status.bytesWritten,
    files: status.files,
    bytes: status.bytes,
    files_deleted: status.filesDeleted,
    bytes_deleted: status.bytesDeleted,
    max_bytes: recording.maxBytes,
    max_file_bytes: recording.maxFileBytes,
    max_file_age_s: recording.maxFileAgeMs / 1000,
    compress: recording.compress,
    queue_bytes: { used: status.queueBytes, max: status.queueBytesMax },
  };
}

/** Where commands are off all counts are 0. */
function commandsReport(commands: CommandService | null): StatusReply['commands'] {
  const status = commands?.status();
  return {
    enabled: commands !== null,
    sent: status?.sent ?? 0,
    acknowledged: status?.acknowledged ?? 0,
    timed_out: status?.timedOut ?? 0,
    refused_by_node: status?.refusedByNode ?? 0,
    refused: status?.refused ?? 0,
    failed: status?.failed ?? 0,
    stops_joined: status?.stopsJoined ?? 0,
    waiting: status?.waiting ?? 0,
    waiting_max: COMMANDS_WAITING_MAX + EMERGENCY_STOPS_WAITING_MAX,
    audit: {
      path: status?.audit.path ?? null,
      failures: status?.audit.failures ?? 0,
      lines_waiting: status?.audit.linesWaiting ?? 0,
      lines_waiting_max: AUDIT_LINES_WAITING_MAX,
      lines_lost: status?.audit.linesLost ?? 0,
      refusals_left_out: status?.audit.refusalsLeftOut ?? 0,
      problem: status?.audit.problem ?? null,
    },
  };
}

function processReport({ sources, recorder }: Pipeline): StatusReply['process'] {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    pid: process.pid,
    node: process.version,
    cpu_s: (user + system) / 1_000_000,
    memory_bytes: rss,
    heap_bytes: heapUsed,
    event_loop_busy: performance.eventLoopUtilization().utilization,
    threads: [
      'main',
      'history writer',
      'history reader',
      ...(recorder === null ? [] : ['recorder']),
      ...sources.map(({ bus }) => `bus ${bus.name}`),
    ],
  };
}

async function hostReport(databasePath: string, { hostHealth }: Pipeline): Promise<StatusReply['host']> {
  const [disk, temperatureC] = await Promise.all([
    statfs(dirname(databasePath)).catch(() => null),
    readTemperatureC('/'),
  ]);
  const health = hostHealth?.status();
  return {
    name: os.hostname(),
    platform: `${os.platform()} ${os.arch()}`,
    cpus: os.availableParallelism(),
    load_1min: os.loadavg()[0]!,
    memory_total_bytes: os.totalmem(),
    memory_free_bytes: os.freemem(),
    disk_total_bytes: disk === null ? null : disk.blocks * disk.bsize,
    disk_free_bytes: disk === null ? null : disk.bavail * disk.bsize,
    temperature_c: temperatureC,
    uptime_s: os.uptime(),
    health: {
      interval_s: health === undefined ? null : health.intervalMs / 1000,
      samples: health?.samples ?? 0,
      frames_sent: health?.framesSent ?? 0,
      send_failures: health?.sendFailures ?? 0,
    },
  };
}
