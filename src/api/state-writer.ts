import type { Series } from '../protocol/series-table.ts';
import type { SignalState, StateFilter } from '../telemetry/telemetry-store.ts';
import type { StateReader } from './sources.ts';
import { TextBuffer } from './text-buffer.ts';

/** What an answer is given more room than the last one took: it is seldom much longer. */
const ROOM_BYTES = 4096;

const COMMA = 0x2c;
const CLOSING_BRACE = 0x7d;

/** The JSON text of StateSchema, and how many signals it tells of. */
export interface StateAnswer {
  /** Shared by all who ask at one time: not to be changed. */
  readonly text: Uint8Array;
  readonly signals: number;
}

/** What was asked, and of which moment the answer is. */
interface Asked {
  readonly filter: StateFilter;
  readonly nowMs: number;
  readonly revision: number;
}

/** What a signal is told as, as long as its series gets no other sample. */
interface SignalText {
  readonly count: number;
  readonly timestampUs: number;
  readonly rawValue: number;
  readonly isStale: boolean;
  /** All of it but its age, which comes last. */
  readonly upToAge: string;
}

/**
 * Writes the latest state as JSON. Every page that is open asks for it again and again, and the main thread, which
 * decodes frames meanwhile, makes it: so it is made as cheaply as can be.
 *
 * - Of what is told of a signal only its age changes without a sample. The rest is kept as text.
 * - Who asks within the millisecond of an answer, no sample having come since, is given the same bytes. Nobody can tell
 *   the difference, as the times in it are in milliseconds.
 */
export class StateWriter {
  readonly #state: StateReader;
  readonly #isSimulated: boolean;
  readonly #nowMs: () => number;
  /** By series index. */
  readonly #texts: (SignalText | undefined)[] = [];
  #answer: StateAnswer = { text: new Uint8Array(0), signals: 0 };
  #answered: Asked | null = null;

  /** `nowMs` is the wall clock, in whole milliseconds since the epoch. */
  constructor(state: StateReader, isSimulated: boolean, nowMs: () => number = Date.now) {
    this.#state = state;
    this.#isSimulated = isSimulated;
    this.#nowMs = nowMs;
  }

  /** The state of the signals that pass the filter. */
  answer(filter: StateFilter): StateAnswer {
    const asked: Asked = { filter, nowMs: this.#nowMs(), revision: this.#state.revision };
    if (this.#answered === null || !isSame(asked, this.#answered)) {
      this.#answer = this.#write(asked);
      this.#answered = asked;
    }
    return this.#answer;
  }

  #write({ filter, nowMs }: Asked): StateAnswer {
    const out = new TextBuffer(this.#answer.text.length + ROOM_BYTES);
    out.append(`{"timestamp":${nowMs / 1000},"simulated":${this.#isSimulated},"components":{`);
    let signals = 0;
    let before: Series | null = null;
    for (const signal of this.#state.current(filter)) {
      const { series } = signal;
      if (before?.componentId === series.componentId && before.componentType === series.componentType) {
        out.appendAscii(COMMA);
      } else {
        out.append(componentStart(before, series));
      }
      out.append(this.#upToAge(signal));
      out.appendSeconds(Math.round(signal.ageMs));
      out.appendAscii(CLOSING_BRACE);
      before = series;
      signals++;
    }
    out.append(before === null ? '}}' : '}}}}');
    return { text: out.text, signals };
  }

  #upToAge(signal: SignalState): string {
    const { count, timestampUs, rawValue, isStale, series } = signal;
    const kept = this.#texts[series.index];
    const isAsKept =
      kept?.count === count &&
      kept.timestampUs === timestampUs &&
      kept.rawValue === rawValue &&
      kept.isStale === isStale;
    if (isAsKept) return kept.upToAge;
    const upToAge = signalText(signal);
    this.#texts[series.index] = { count, timestampUs, rawValue, isStale, upToAge };
    return upToAge;
  }
}

function isSame(asked: Asked, before: Asked): boolean {
  return (
    asked.nowMs === before.nowMs &&
    asked.revision === before.revision &&
    asked.filter.componentType === before.filter.componentType &&
    asked.filter.componentId === before.filter.componentId &&
    asked.filter.messageType === before.filter.messageType
  );
}

/** What stands ahead of the first signal of a component: the ends of what was before, and the beginnings. */
function componentStart(before: Series | null, { componentType, definition }: Series): string {
  const component = `${JSON.stringify(definition.componentId)}:{`;
  if (before?.componentType === componentType) return `},${component}`;
  const type = `${JSON.stringify(definition.componentType)}:{${component}`;
  return before === null ? type : `}},${type}`;
}

function signalText({ series, value, rawValue, timestampUs, isStale, count, rateHz }: SignalState): string {
  const { bus, nodeId, definition } = series;
  const { commandId, valueNames, unit, valueType, messageType } = definition;
  return (
    `${JSON.stringify(commandId)}:{"value":${value},"raw_value":${rawValue}` +
    `,"value_name":${JSON.stringify(valueNames?.[rawValue] ?? null)},"unit":${JSON.stringify(unit)}` +
    `,"value_type":${JSON.stringify(valueType)},"message_type":${JSON.stringify(messageType)}` +
    `,"timestamp":${timestampUs / 1_000_000},"bus":${JSON.stringify(bus)},"node_id":${nodeId}` +
    `,"stale":${isStale},"count":${count},"rate_hz":${Math.round(rateHz * 1000) / 1000},"age_s":`
  );
}
