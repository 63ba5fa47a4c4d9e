import type { GapReply, SampleReply, SeriesReply, StatusReply } from '../../../../src/client/index.ts';
import type { Api } from '../api.ts';
import { readableComponent, readableName } from '../names.ts';

/** Something that happened at a time, or from one to another. */
export interface PlotEvent {
  readonly kind: 'gap' | 'bus' | 'change' | 'command';
  readonly fromS: number;
  readonly toS: number;
  readonly text: string;
}

/** Of each kind; more than that is no mark but a pattern. */
const EVENTS_MAX = 60;
const COMMANDS_ASKED = 200;
/** Spans among which changes of named values are looked for. */
const CHANGE_POINTS = 400;

const CAUSES: Readonly<Record<string, string>> = {
  interface: 'frames lost by the interface',
  kernel: 'frames dropped',
  queue: 'samples lost, slow disk',
  disk: 'samples lost, disk full',
  bus_down: 'bus down',
  bus_off: 'bus off',
  service_down: 'collector not running',
};

export function gapEvents(gaps: readonly GapReply[]): PlotEvent[] {
  return gaps.slice(-EVENTS_MAX).map(({ bus, cause, from, to }) => ({
    kind: 'gap',
    fromS: from,
    toS: to,
    text: `${CAUSES[cause] ?? cause}${bus === null ? '' : ` (${bus})`}`,
  }));
}

/** Times at which a bus's controller changed its state. */
export function busEvents(status: StatusReply | null, fromS: number, toS: number): PlotEvent[] {
  if (status === null) return [];
  return status.buses.flatMap(({ name, controller }) =>
    controller.changes
      .filter(({ timestamp }) => timestamp >= fromS && timestamp <= toS)
      .slice(-EVENTS_MAX)
      .map(({ timestamp, state }) => ({
        kind: 'bus' as const,
        fromS: timestamp,
        toS: timestamp,
        text: `${name}: ${state.replaceAll('_', ' ')}`,
      })),
  );
}

/** Commands that were said on a bus; those that keep the time come every second and tell nothing. */
export async function commandEvents(
  api: Api,
  fromS: number,
  toS: number,
  signal: AbortSignal,
): Promise<PlotEvent[]> {
  const { samples } = await api.client.historyPage(
    { messageType: 'COMMAND', from: fromS.toFixed(6), to: toS.toFixed(6), limit: COMMANDS_ASKED },
    { signal },
  );
  return samples
    .filter(({ component_id }) => component_id !== 'TIME_MASTER')
    .slice(0, EVENTS_MAX)
    .map((sample) => ({
      kind: 'command',
      fromS: sample.timestamp,
      toS: sample.timestamp,
      text: said(sample),
    }));
}

function said({ component_type, component_id, command_id, value, value_name, unit }: SampleReply): string {
  const shown = value_name === null ? `${value}${unit === null ? '' : ` ${unit}`}` : readableName(value_name);
  return `${readableName(component_type)} ${readableComponent(component_type, component_id)}: ${readableName(command_id)} ${shown}`;
}

/** Changes of named values: the first span whose last value is another than that of the span before. */
export async function changeEvents(
  api: Api,
  keys: readonly string[],
  fromS: number,
  toS: number,
  signal: AbortSignal,
): Promise<PlotEvent[]> {
  if (keys.length === 0) return [];
  const query = { signals: keys, from: fromS.toFixed(6), to: toS.toFixed(6), points: CHANGE_POINTS };
  const series = await api.client.series(query, { signal });
  return keys.flatMap((key, index) => changesIn(key, series, index)).slice(-EVENTS_MAX);
}

export function changesIn(key: string, series: SeriesReply, index: number): PlotEvent[] {
  const { last, value_names: names } = series.signals[index]!;
  if (names === null) return [];
  const [type, component, command] = key.split('/') as [string, string, string];
  const events: PlotEvent[] = [];
  let before: number | null = null;
  for (const [at, value] of last.entries()) {
    if (value === null) continue;
    if (before !== null && value !== before) {
      const timeS = series.timestamps[at]! + series.step_s / 2;
      const name = readableName(names[String(value)] ?? String(value));
      const text = `${readableComponent(type, component)}: ${readableName(command)} ${name}`;
      events.push({ kind: 'change', fromS: timeS, toS: timeS, text });
    }
    before = value;
  }
  return events;
}
