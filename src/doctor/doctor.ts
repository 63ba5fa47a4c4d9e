import { networkRights } from '../bus/socketcan/network-rights.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { checkApi } from './api.ts';
import { checkBus } from './buses.ts';
import { type Check, ok, type Section } from './check.ts';
import { checkClock } from './clock.ts';
import { checkDisk } from './disk.ts';
import { checkHistory } from './history.ts';
import { checkHost } from './host.ts';
import { checkKernel } from './kernel.ts';
import { checkPermissions } from './permissions.ts';
import { checkRecording } from './recording.ts';
import { findCollector } from './running-collector.ts';

export interface ExamineOptions {
  /** For a collector that tells its status to nobody without one. */
  readonly token?: string | undefined;
  /** Who may use the API, by what knows of it. */
  readonly accessChecks?: readonly Check[];
}

/**
 * Looks at everything between the bus and the API, in that order. It changes nothing: no interface, no file, and
 * a collector that is running goes on.
 */
export async function examine(
  { config, file }: LoadedConfig,
  { token, accessChecks = [] }: ExamineOptions = {},
): Promise<Section[]> {
  const { buses, history, recording, api } = config;
  const found = await findCollector(api, token);
  const running = typeof found === 'string' ? null : found;
  const isRunning = running !== null || found === 'guarded';
  // One that doesn't tell its database's place is taken to have that of the configuration.
  const isHistoryOurs = isRunning && (running?.historyPath ?? history.path) === history.path;

  const sections: Section[] = [
    {
      title: 'Configuration',
      checks: [ok('file', file ?? 'none: flags, environment and defaults')],
    },
  ];
  if (buses.some(({ spec }) => spec.kind === 'socketcan')) {
    const rights = networkRights(running?.pid ?? 'self');
    const whose = isRunning ? 'the running collector' : 'this user';
    const checks: Check[] = [checkKernel(), ...checkPermissions(buses, rights, whose)];
    sections.push({ title: 'Kernel', checks });
  }
  // Side by side, as each is listened to for a while.
  const ofBuses = await Promise.all(
    buses.map(async (bus) => ({
      title: `Bus ${bus.name} (${bus.url})`,
      checks: await checkBus(bus, isRunning),
    })),
  );
  sections.push(
    ...ofBuses,
    { title: 'Clock', checks: checkClock() },
    { title: 'Machine', checks: checkHost(isRunning) },
    {
      title: 'History',
      checks: [...checkDisk(history, isHistoryOurs), ...checkHistory(history.path, isHistoryOurs)],
    },
  );
  if (recording.path !== null) {
    const { path, maxBytes } = recording;
    const isRecordingOurs = isRunning && (running?.recording?.path ?? path) === path;
    sections.push({
      title: 'Recording',
      checks: checkRecording({ path, maxBytes }, history, isRecordingOurs),
    });
  }
  sections.push({
    title: 'API',
    checks: [...accessChecks, ...(await checkApi(api, found, history.path, recording.path))],
  });
  return sections;
}
