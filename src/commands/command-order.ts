import type { CanFrame } from '../bus/can-frame.ts';
import { MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import { type KnownMessage, resolveKnownMessage } from '../protocol/message-encoder.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { QueryError } from '../shared/errors.ts';
import { type CommandRecord, type CommandRequest, shortened } from './command-record.ts';
import type { CommandWatch } from './command-watch.ts';

/** A bus as commands need it. */
export interface CommandBus {
  readonly name: string;
  /** Whether it is a vehicle, or a simulated one; a log can't be sent on. */
  readonly isLive: boolean;
  isOpen(): boolean;
  /** Why it isn't, for people. */
  problem(): string | null;
  /** Rejects with BusError. */
  send(frame: CanFrame): Promise<void>;
  readonly watch: Pick<CommandWatch, 'nodeId' | 'watch' | 'stop'>;
}

/** A command that is understood. */
export interface Order extends KnownMessage {
  readonly bus: CommandBus;
  readonly isEmergencyStop: boolean;
}

/** The values of a command called EMERGENCY that stop. */
const EMERGENCY_COMMAND = 'EMERGENCY';
const STOPPING_VALUES: readonly (string | null)[] = ['STOP', 'SHUTDOWN'];

const NO_LIVE_BUS =
  'None of the buses can be sent on: logs that are replayed have nobody who listens. Configure a CAN interface, or sim:kart.';

/**
 * Understands a request. Throws ProtocolError (see resolveKnownMessage) and QueryError 400 BUS_NEEDED, BUS_UNKNOWN or
 * BUS_READ_ONLY.
 */
export function resolveOrder(
  request: CommandRequest,
  registry: ProtocolRegistry,
  buses: readonly CommandBus[],
): Order {
  const known = resolveKnownMessage(registry, { ...request, messageType: MESSAGE_TYPE.COMMAND });
  const isEmergencyStop =
    known.definition.commandId === EMERGENCY_COMMAND && STOPPING_VALUES.includes(known.valueName);
  return { ...known, bus: busOf(request.bus, buses), isEmergencyStop };
}

/** What an order says, as the audit log has it. */
export function partsOf({
  bus,
  definition,
  value,
  valueName,
  message,
  isEmergencyStop,
}: Order): Partial<CommandRecord> {
  return {
    bus: bus.name,
    component_type: definition.componentType,
    component_id: definition.componentId,
    command_id: definition.commandId,
    value,
    value_name: valueName,
    unit: definition.unit,
    value_type: definition.valueType,
    raw_value: message.rawValue,
    emergency_stop: isEmergencyStop,
  };
}

/** The bus of that name, or the only one that can be sent on. */
function busOf(name: string | undefined, buses: readonly CommandBus[]): CommandBus {
  const live = buses.filter(({ isLive }) => isLive);
  const names = live.map((bus) => bus.name).join(', ') || 'none';
  if (name === undefined) {
    const [only] = live;
    if (only !== undefined && live.length === 1) return only;
    const which = `Commands can be sent on these buses: ${names}. Say which, as "bus".`;
    throw new QueryError(400, 'BUS_NEEDED', only === undefined ? NO_LIVE_BUS : which);
  }
  const bus = buses.find((candidate) => candidate.name === name);
  if (bus?.isLive) return bus;
  const found = JSON.stringify(shortened(name, 60));
  const [code, what] =
    bus === undefined
      ? ['BUS_UNKNOWN', `There is no bus ${found}.`]
      : ['BUS_READ_ONLY', `The bus ${found} is a log that is replayed.`];
  throw new QueryError(400, code, `${what} Commands can be sent on: ${names}.`);
}
