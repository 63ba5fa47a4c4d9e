import { type CanFrame, FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import {
  decodeKartPayload,
  encodeKartPayload,
  KART_PAYLOAD_BYTES,
  MESSAGE_TYPE,
  rawValueRange,
} from '../protocol/kart-codec.ts';
import { ownSeries } from '../protocol/own-series.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import type { Series, SeriesKey, SeriesTable } from '../protocol/series-table.ts';
import { HOST_BUS_NAME } from '../shared/host-bus.ts';
import type { HostReading } from './host-reader.ts';

/** What the protocol calls this machine. */
const COMPONENT_TYPE = 'SYSTEM_MONITOR';
const COMPONENT = 'RASPBERRY_PI';

/** The protocol's quantities, and what each is of a reading, in the protocol's unit. */
const QUANTITIES: readonly [command: string, toValue: (reading: HostReading) => number | null][] = [
  ['COMPONENT_UPTIME_S', ({ uptimeS }) => uptimeS],
  ['INTERNAL_TEMP_C', ({ temperatureC }) => temperatureC],
  ['CPU_LOAD_PERCENT', ({ cpuLoad }) => times(cpuLoad, 100)],
  ['MEMORY_FREE_BYTES', ({ memoryFreeBytes }) => memoryFreeBytes],
  ['DISK_USAGE_PERCENT', ({ diskUsage }) => times(diskUsage, 100)],
  ['NETWORK_SENT_KBPS', ({ sentBitPerS }) => times(sentBitPerS, 1 / 1000)],
  ['NETWORK_RECV_KBPS', ({ receivedBitPerS }) => times(receivedBitPerS, 1 / 1000)],
  ['WIFI_RSSI_DBM', ({ wifiRssiDbm }) => wifiRssiDbm],
];

/** One quantity of this machine as a sample and as a frame. */
export interface HostSample {
  /** Its index. */
  readonly series: number;
  readonly rawValue: number;
  /** The STATUS that says the same on a bus. */
  readonly frame: CanFrame;
}

interface Quantity {
  readonly key: SeriesKey;
  readonly scale: number;
  readonly toValue: (reading: HostReading) => number | null;
  /** Undefined before there was a value, null where there was no room for it. */
  series?: Series | null;
}

/** This machine's health in the protocol's words: STATUS, SYSTEM_MONITOR, RASPBERRY_PI, of a pseudo-bus by its own. */
export class HostSignals {
  readonly #table: SeriesTable;
  readonly #nodeId: number;
  readonly #quantities: readonly Quantity[];

  /** `nodeId`: the CAN id that our own frames are sent under. */
  constructor(registry: ProtocolRegistry, table: SeriesTable, nodeId: number) {
    this.#table = table;
    this.#nodeId = nodeId;
    this.#quantities = QUANTITIES.flatMap(([command, toValue]) =>
      quantityOf(registry, nodeId, command, toValue),
    );
  }

  /** What the machine tells, clipped to what the wire can carry. */
  samplesOf(reading: HostReading): HostSample[] {
    return this.#quantities.flatMap((quantity) => {
      const { key, scale, toValue } = quantity;
      const value = toValue(reading);
      if (value === null) return [];
      quantity.series ??= ownSeries(this.#table, key);
      if (quantity.series === null) return [];
      const { min, max } = rawValueRange(key.valueType);
      // What is a little below zero rounds to -0, which no wire has.
      const rawValue = Math.min(max, Math.max(min, Math.round(value / scale))) + 0;
      const payload = encodeKartPayload({ ...key, rawValue });
      const frame = { canId: this.#nodeId, isExtended: false, payload };
      return [{ series: quantity.series.index, rawValue, frame }];
    });
  }

  /** Whether a frame is one of ours that came back from the bus: what it says is a sample already. */
  isOwn(frames: FrameBatch, at: number): boolean {
    return (
      (frames.flags[at]! & FRAME_FLAG.OWN) !== 0 &&
      frames.canId[at] === this.#nodeId &&
      this.isTold(frames, at)
    );
  }

  /** Whether a frame says, whoever sent it, what this machine tells of itself. */
  isTold(frames: FrameBatch, at: number): boolean {
    if ((frames.flags[at]! & ~FRAME_FLAG.OWN) !== 0) return false;
    const payload = frames.payloadOf(at);
    if (payload.length !== KART_PAYLOAD_BYTES) return false;
    const { messageType, componentType, componentId, commandId } = decodeKartPayload(payload);
    return this.#quantities.some(
      ({ key }) =>
        messageType === key.messageType &&
        componentType === key.componentType &&
        componentId === key.componentId &&
        commandId === key.commandId,
    );
  }
}

/** None where the protocol has no such quantity, or says not how it is sent. */
function quantityOf(
  registry: ProtocolRegistry,
  nodeId: number,
  command: string,
  toValue: Quantity['toValue'],
): Quantity[] {
  const componentType = registry.componentTypeNumber(COMPONENT_TYPE);
  if (componentType === null) return [];
  const componentId = registry.componentNumber(componentType, COMPONENT);
  const commandId = registry.commandNumber(componentType, command);
  if (componentId === null || commandId === null) return [];
  const valueType = registry.valueTypeOf(componentType, commandId);
  if (valueType === null) return [];
  const messageType = MESSAGE_TYPE.STATUS;
  const { scale } = registry.describe(messageType, componentType, componentId, commandId, valueType);
  const key = { bus: HOST_BUS_NAME, nodeId, messageType, componentType, componentId, commandId, valueType };
  return [{ key, scale, toValue }];
}

function times(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}
