import type { GapReply, StateReply, StatusReply } from '../../../src/client/index.ts';
import {
  DISK_FREE_SHARE_LEAST,
  ERROR_SHOWN_S,
  GAP_SHOWN_S,
  HOST_TEMPERATURE_WARN_C,
  TEMPERATURES_C,
} from './limits.ts';
import { CAN_BUS_TYPE, readableComponent, readableName, readablePart } from './names.ts';
import type { Signal } from './signal-store.ts';
import { formatAge, formatCount, formatDuration, formatValue, shownUnit, type UnitChoice } from './units.ts';

export interface Warning {
  readonly level: 'fault' | 'warning';
  readonly title: string;
  readonly detail: string;
  /** The view that tells more. */
  readonly view: 'signals' | 'bus' | 'system';
}

export interface WarningSources {
  readonly status: StatusReply | null;
  readonly gaps: readonly GapReply[];
  readonly errors: StateReply['components'];
  readonly signals: readonly Signal[];
  /** performance.now(), and the collector's time. */
  readonly nowMs: number;
  readonly nowS: number;
  /** In which temperatures are told. */
  readonly units: UnitChoice;
  /** Whether the collector answers: what doesn't come otherwise isn't silent. */
  readonly isConnected: boolean;
}

const CAUSES: Readonly<Record<string, string>> = {
  interface: "the CAN controller's buffer was full",
  kernel: 'the machine was too busy to take all frames',
  queue: 'the disk was too slow',
  disk: 'the disk refused what was to be stored',
  bus_down: 'the bus could not be read',
  bus_off: 'the controller had left the bus',
  service_down: 'the collector was not running',
};

/** All that somebody should know now, faults first. */
export function findWarnings(sources: WarningSources): Warning[] {
  const warnings = [
    ...ofSignals(sources),
    ...ofErrors(sources),
    ...(sources.status === null
      ? []
      : [...ofBuses(sources.status, sources.nowS), ...ofHistory(sources.status)]),
    ...ofGaps(sources),
    ...(sources.status === null ? [] : ofHost(sources.status, sources.units)),
  ];
  return warnings.sort((left, right) => Number(right.level === 'fault') - Number(left.level === 'fault'));
}

function ofSignals(sources: WarningSources): Warning[] {
  const { nowMs, units } = sources;
  // Of a bus its status tells; its figures come no more when it stands still.
  const signals = sources.signals.filter(({ type }) => type !== CAN_BUS_TYPE);
  const warnings: Warning[] = [];
  for (const signal of signals) {
    if (signal.isStale(nowMs)) continue;
    const name = `${readableName(signal.type)}: ${readableComponent(signal.type, signal.component)}`;
    if (signal.unit !== '°C') continue;
    const { warn, fault } = TEMPERATURES_C.find(({ what }) => what.test(signal.key))!;
    if (signal.value < warn) continue;
    warnings.push({
      level: signal.value >= fault ? 'fault' : 'warning',
      title: `${name} is hot: ${temperature(signal.value, units)}`,
      detail: `${readableName(signal.command)}, from ${temperature(warn, units)} on`,
      view: 'signals',
    });
  }
  return [...ofEmergencies(signals, nowMs), ...warnings, ...ofSilence({ ...sources, signals })];
}

function temperature(celsius: number, units: UnitChoice): string {
  const shown = shownUnit('°C', units);
  return `${formatValue(celsius, { ...shown, digits: 0 })} ${shown.unit}`;
}

/** Those of one type together: a stop stops all motors. */
function ofEmergencies(signals: readonly Signal[], nowMs: number): Warning[] {
  const groups = new Map<string, { title: string; components: string[] }>();
  for (const signal of signals) {
    if (signal.command !== 'EMERGENCY' || signal.rawValue === 0 || signal.isStale(nowMs)) continue;
    const title = `${readableName(signal.type)}: ${readableName(signal.valueName ?? 'EMERGENCY')}`;
    const group = groups.get(title) ?? { title, components: [] };
    group.components.push(readableComponent(signal.type, signal.component));
    groups.set(title, group);
  }
  return [...groups.values()].map(({ title, components }) => ({
    level: 'fault',
    title,
    detail: `emergency, told by ${components.join(', ').toLowerCase()}`,
    view: 'signals',
  }));
}

/** Components of which nothing comes any more that used to come regularly; or that nothing at all does. */
function ofSilence({ signals, status, nowMs, isConnected }: WarningSources): Warning[] {
  if (!isConnected) return [];
  const detailOf = (silent: readonly Signal[]) =>
    `last heard ${formatAge(Math.min(...silent.map((signal) => signal.ageS(nowMs))))} ago`;
  if (signals.length > 0 && signals.every((signal) => signal.isStale(nowMs))) {
    const buses = status?.buses ?? [];
    // A log that has been read to its end is no fault.
    if (buses.length > 0 && buses.every(({ state }) => state === 'ended'))
      return [{ level: 'warning', title: 'The log has ended', detail: detailOf(signals), view: 'bus' }];
    return [{ level: 'fault', title: 'Nothing comes any more', detail: detailOf(signals), view: 'bus' }];
  }
  const components = new Map<string, Signal[]>();
  for (const signal of signals) {
    // What is sent to all of a type is said by others, when there is something to say.
    if (signal.component === 'ALL') continue;
    const key = `${signal.type}/${signal.component}`;
    const own = components.get(key);
    if (own === undefined) components.set(key, [signal]);
    else own.push(signal);
  }
  const silent = [...components.values()].filter(
    (own) => own.some(({ hasRate }) => hasRate) && own.every((signal) => signal.isStale(nowMs)),
  );
  if (silent.length === 0) return [];
  const names = silent.map(([signal]) => readablePart(signal!.type, signal!.component));
  const title = `Silent: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
  return [{ level: 'warning', title, detail: detailOf(silent.flat()), view: 'signals' }];
}

function ofErrors({ errors, nowS }: WarningSources): Warning[] {
  const warnings: Warning[] = [];
  for (const [type, components] of Object.entries(errors)) {
    for (const [component, commands] of Object.entries(components)) {
      for (const state of Object.values(commands)) {
        const ageS = nowS - state.timestamp;
        if (state.message_type !== 'ERROR' || ageS > ERROR_SHOWN_S || state.value_name === 'STATUS_OK')
          continue;
        const what = state.value_name === null ? String(state.raw_value) : readableError(state.value_name);
        warnings.push({
          level: 'fault',
          title: `${readableName(type)}: ${readableComponent(type, component)} reports ${what}`,
          detail: `${formatAge(Math.max(0, ageS))} ago`,
          view: 'signals',
        });
      }
    }
  }
  return warnings;
}

function readableError(name: string): string {
  return readableName(name.replace(/^ERROR_/, '')).toLowerCase();
}

function ofBuses({ buses }: StatusReply, nowS: number): Warning[] {
  return buses.flatMap((bus): Warning[] => {
    const warnings: Warning[] = [];
    if (bus.problem !== null) {
      warnings.push({
        level: 'fault',
        title: `Bus ${bus.name} is ${bus.state}`,
        detail: bus.problem.message,
        view: 'bus',
      });
    } else if (bus.silent_since !== null) {
      const detail = `for ${formatDuration(nowS - bus.silent_since)}; it used to be busier`;
      warnings.push({ level: 'warning', title: `Bus ${bus.name} is silent`, detail, view: 'bus' });
    }
    const { state, last_error } = bus.controller;
    if (state !== null && state !== 'error_active') {
      warnings.push({
        level: state === 'bus_off' ? 'fault' : 'warning',
        title: `Bus ${bus.name}: controller is ${state.replaceAll('_', ' ')}`,
        detail: last_error?.message ?? 'it meets errors: look at wiring, termination, bitrate',
        view: 'bus',
      });
    }
    return warnings;
  });
}

function ofHistory({ history, recording }: StatusReply): Warning[] {
  const warnings: Warning[] = [];
  if (history.problem !== null || history.state === 'failed') {
    const detail = history.problem?.message ?? `it is ${history.state}`;
    warnings.push({ level: 'fault', title: 'The history is not written', detail, view: 'system' });
  }
  const lost = history.samples_lost.queue + history.samples_lost.write;
  if (lost > 0) {
    const detail = 'since the start; the disk is full or too slow';
    warnings.push({ level: 'warning', title: `${formatCount(lost)} samples lost`, detail, view: 'system' });
  }
  if (recording !== null && recording.state !== 'recording') {
    const detail = recording.problem?.message ?? 'frames are not recorded';
    warnings.push({ level: 'fault', title: `The recording is ${recording.state}`, detail, view: 'system' });
  }
  return warnings;
}

function ofGaps({ gaps, nowS }: WarningSources): Warning[] {
  // A bus that is down now is told as that.
  const shown = gaps.filter(
    ({ ongoing, to, cause }) => !(cause === 'bus_down' && ongoing) && nowS - to < GAP_SHOWN_S,
  );
  const last = shown.toSorted((left, right) => left.to - right.to).at(-1);
  if (last === undefined) return [];
  const { bus, cause, from, to, count } = last;
  const others = shown.length === 1 ? '' : `; ${shown.length} gaps in ${formatDuration(GAP_SHOWN_S)}`;
  return [
    {
      level: 'warning',
      title: count === null ? `Gap of ${formatDuration(to - from)}` : `Gap: ${formatCount(count)} missing`,
      detail: `${bus === null ? '' : `bus ${bus}, `}${formatAge(Math.max(0, nowS - to))} ago: ${CAUSES[cause] ?? cause}${others}`,
      view: bus === null ? 'system' : 'bus',
    },
  ];
}

function ofHost({ host }: StatusReply, units: UnitChoice): Warning[] {
  const warnings: Warning[] = [];
  const { disk_free_bytes: free, disk_total_bytes: total, temperature_c: celsius } = host;
  if (free !== null && total !== null && free / total < DISK_FREE_SHARE_LEAST) {
    const detail = `${((100 * free) / total).toFixed(1)} % is free`;
    warnings.push({ level: 'warning', title: "The collector's disk is nearly full", detail, view: 'system' });
  }
  if (celsius !== null && celsius >= HOST_TEMPERATURE_WARN_C) {
    const title = `The collector's computer is hot: ${temperature(celsius, units)}`;
    warnings.push({
      level: 'warning',
      title,
      detail: `it slows down from ${temperature(HOST_TEMPERATURE_WARN_C, units)} on`,
      view: 'system',
    });
  }
  return warnings;
}
