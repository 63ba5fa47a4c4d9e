import type { ControllerReading } from '../bus/controller-monitor.ts';
import { CONTROLLER_STATES, type ControllerState } from '../bus/error-frame.ts';
import { MESSAGE_TYPE, VALUE_TYPE } from './kart-codec.ts';
import { ownSeries } from './own-series.ts';
import { ALL_COMPONENTS, type ComponentTypeDefinition, ID_COUNT } from './proto-files.ts';
import type { Series, SeriesKey, SeriesTable } from './series-table.ts';

/**
 * What the collector itself knows of a bus, as signals beside those of the vehicle: CAN_BUS/can0/STATE and so on, as its
 * controller tells of itself, and CAN_BUS/can0/LOAD and so on, as it is measured (bus-figures.ts). The component type is
 * beyond what a frame can say, so nothing that comes over a bus is taken for one.
 */
export const CAN_BUS_TYPE = ID_COUNT.componentType;

/** Their numbers stand in databases. */
export const BUS_QUANTITY = {
  STATE: 0,
  TX_ERRORS: 1,
  RX_ERRORS: 2,
  LOAD: 3,
  FRAME_RATE: 4,
  FRAMES_LOST: 5,
} as const;

export type BusQuantity = keyof typeof BUS_QUANTITY;

const COUNTER = { unit: null, scale: 1, valueType: VALUE_TYPE.UINT8 };

/** A hundredth of a percent of a 500 kbit/s bus is half a frame a second. */
export const BUS_SIGNALS: Readonly<
  Record<BusQuantity, { readonly unit: string | null; readonly scale: number; readonly valueType: number }>
> = {
  STATE: COUNTER,
  TX_ERRORS: COUNTER,
  RX_ERRORS: COUNTER,
  LOAD: { unit: '%', scale: 0.01, valueType: VALUE_TYPE.UINT16 },
  FRAME_RATE: { unit: 'frames/s', scale: 0.1, valueType: VALUE_TYPE.UINT24 },
  FRAMES_LOST: { unit: 'frames', scale: 1, valueType: VALUE_TYPE.UINT24 },
};

const QUANTITIES = Object.keys(BUS_QUANTITY) as BusQuantity[];

/** The states by the numbers that Linux has for them (enum can_state), and one that isn't known any more. */
const STATE_UNKNOWN = CONTROLLER_STATES.length;

/** Under no node's id, as its component type says. */
const NODE_ID = 0;

/** Names and meanings of the signals of these buses. */
export function busSignalDefinitions(busNames: readonly string[]): ComponentTypeDefinition {
  const ids = busComponentIds(busNames);
  return {
    id: CAN_BUS_TYPE,
    name: 'CAN_BUS',
    components: [...busNames.map((name) => ({ id: ids.get(name)!, name })), ALL_COMPONENTS],
    commands: QUANTITIES.map((name) => ({ id: BUS_QUANTITY[name], name, ...BUS_SIGNALS[name] })),
    valueEnums: [
      {
        values: [...CONTROLLER_STATES, 'unknown'].map((name, id) => ({ id, name: name.toUpperCase() })),
        commandIds: [BUS_QUANTITY.STATE],
        componentIds: [],
        isOfErrors: false,
      },
    ],
  };
}

/**
 * The component ids of buses. They are made of the names, so that a bus keeps its own whatever other buses come and
 * go beside it, but where two names give the same.
 */
export function busComponentIds(busNames: readonly string[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of busNames) {
    let id = hash(name) % ALL_COMPONENTS.id;
    while (taken.has(id)) id = (id + 1) % ALL_COMPONENTS.id;
    taken.add(id);
    ids.set(name, id);
  }
  return ids;
}

/** FNV-1a, of 32 bits. */
function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x0100_0193) >>> 0;
  return value;
}

/** Whether it is one of those that are measured, not told by a controller. */
export function isBusFigure({ componentType, commandId }: SeriesKey): boolean {
  return componentType === CAN_BUS_TYPE && commandId >= BUS_QUANTITY.LOAD;
}

/** The series of a bus's own signals, which it gives their places when they are first asked for. */
export class BusSeries {
  readonly #bus: string;
  readonly #componentId: number;
  readonly #table: SeriesTable;
  /** Null where there was no room for one. */
  readonly #series = new Map<BusQuantity, Series | null>();

  constructor(bus: string, componentId: number, table: SeriesTable) {
    this.#bus = bus;
    this.#componentId = componentId;
    this.#table = table;
  }

  of(quantity: BusQuantity): Series | null {
    let series = this.#series.get(quantity);
    if (series === undefined) {
      series = ownSeries(this.#table, {
        bus: this.#bus,
        nodeId: NODE_ID,
        messageType: MESSAGE_TYPE.STATUS,
        componentType: CAN_BUS_TYPE,
        componentId: this.#componentId,
        commandId: BUS_QUANTITY[quantity],
        valueType: BUS_SIGNALS[quantity].valueType,
      });
      this.#series.set(quantity, series);
    }
    return series;
  }
}

/** Makes samples of what a bus's controller tells. */
export class BusSignals {
  readonly #series: BusSeries;
  /** What was told last. */
  readonly #values = new Map<BusQuantity, number>();

  constructor(series: BusSeries) {
    this.#series = series;
  }

  /** What has changed since the last reading: the index of a series, and its new value. */
  *changes(reading: ControllerReading): Generator<readonly [series: number, rawValue: number]> {
    const values: [quantity: BusQuantity, value: number | null][] = [
      ['STATE', this.#stateValue(reading.state)],
      ['TX_ERRORS', reading.txErrors],
      ['RX_ERRORS', reading.rxErrors],
    ];
    for (const [quantity, value] of values) {
      if (value === null || value === this.#values.get(quantity)) continue;
      this.#values.set(quantity, value);
      const series = this.#series.of(quantity);
      if (series !== null) yield [series.index, value];
    }
  }

  /** A state that was never known isn't told. */
  #stateValue(state: ControllerState | null): number | null {
    if (state !== null) return CONTROLLER_STATES.indexOf(state);
    return this.#values.has('STATE') ? STATE_UNKNOWN : null;
  }
}
