import { isDeepStrictEqual } from 'node:util';
import { SERIES_MAX } from '../shared/limits.ts';
import { type PhysicalConversion, physicalConversion } from './physical-value.ts';
import type { ProtocolRegistry, SignalDefinition } from './protocol-registry.ts';

/** What tells one series from another, in the numbers of the wire. */
export interface SeriesKey {
  /** The bus's name. */
  readonly bus: string;
  /** The CAN id of the sending node. */
  readonly nodeId: number;
  readonly messageType: number;
  readonly componentType: number;
  readonly componentId: number;
  readonly commandId: number;
  readonly valueType: number;
}

/**
 * A series is one signal as one node sends it: all that its samples have in common, so that a sample is
 * no more than a series, a timestamp and a value. Plain data: it crosses threads and goes into the database.
 */
export interface SeriesRecord extends SeriesKey {
  /** Its place in the table, and its id in the database. */
  readonly index: number;
  /** What the protocol said of the signal when the series began. */
  readonly definition: SignalDefinition;
}

export interface Series extends SeriesRecord {
  readonly conversion: PhysicalConversion;
  /**
   * Whether the protocol still says what it said when the series began. A series whose definition has
   * changed since is history: its samples keep their meaning, and new ones go to a series of their own.
   */
  readonly isCurrent: boolean;
}

/**
 * Every series of the database and of this run, by index. An index is given once and stays: it is what
 * samples carry and what the database calls the series.
 */
export class SeriesTable {
  readonly #registry: ProtocolRegistry;
  readonly #series: Series[] = [];

  constructor(registry: ProtocolRegistry) {
    this.#registry = registry;
  }

  /** The text of each .proto file behind the definitions, by its name. */
  get protocolFiles(): Readonly<Record<string, string>> {
    return this.#registry.files;
  }

  /** How many there are; the next index. */
  get count(): number {
    return this.#series.length;
  }

  at(index: number): Series {
    const series = this.#series[index];
    if (series === undefined) throw new RangeError(`no series ${index}: there are ${this.#series.length}`);
    return series;
  }

  /** The series from index `start` on. */
  since(start: number): readonly Series[] {
    return this.#series.slice(start);
  }

  /** Adds a series; null when SERIES_MAX exist. */
  add(key: SeriesKey): Series | null {
    if (this.#series.length >= SERIES_MAX) return null;
    const definition = this.#describe(key);
    const conversion = physicalConversion(definition.scale);
    const series = { ...key, index: this.#series.length, definition, conversion, isCurrent: true };
    this.#series.push(series);
    return series;
  }

  /** Takes back a series of an earlier run; they come in the order of their indexes, before any is added. */
  restore(record: SeriesRecord): Series {
    if (record.index !== this.#series.length) {
      throw new RangeError(`series ${record.index} restored at ${this.#series.length}`);
    }
    const conversion = physicalConversion(record.definition.scale);
    const isCurrent = isDeepStrictEqual(record.definition, this.#describe(record));
    const series = { ...record, conversion, isCurrent };
    this.#series.push(series);
    return series;
  }

  #describe(key: SeriesKey): SignalDefinition {
    const { messageType, componentType, componentId, commandId, valueType } = key;
    return this.#registry.describe(messageType, componentType, componentId, commandId, valueType);
  }
}

/** The part of a series that can go to another thread. */
export function recordOf(series: SeriesRecord): SeriesRecord {
  const { index, bus, nodeId, messageType, componentType, componentId, commandId, valueType, definition } =
    series;
  return { index, bus, nodeId, messageType, componentType, componentId, commandId, valueType, definition };
}
