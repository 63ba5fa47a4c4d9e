import { type Logger, pino } from 'pino';
import { Bus, type BusStatus } from '../bus/bus.ts';
import { parseBusUrl } from '../bus/bus-url.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { ProtocolError } from '../shared/errors.ts';
import { rateLimited } from '../shared/log.ts';
import {
  ALL_COMPONENTS,
  decodeKartPayload,
  encodeKartPayload,
  KART_PAYLOAD_BYTES,
  type KartMessage,
} from './kart-codec.ts';
import { toPhysical, toRaw } from './physical-value.ts';
import { ProtocolRegistry, type SignalDefinition } from './protocol-registry.ts';

/** A name in any case of the letters, or a number. */
export type NameOrNumber = string | number;

export interface CanInterfaceOptions {
  /** A bus URL, such as `socketcan:can0` or `sim:kart`. */
  readonly url: string;
  /** The CAN id that our frames are sent under; 0 to 0x7FF, 0 by default. */
  readonly nodeId?: number;
  /** What this bus is called in logs; the URL by default. */
  readonly name?: string;
  readonly registry?: ProtocolRegistry;
  readonly log?: Logger;
}

/** A message as a handler gets it: numbers, and what they mean. */
export interface ReceivedMessage extends KartMessage {
  readonly nodeId: number;
  /** Integer microseconds since the epoch. */
  readonly timestampUs: number;
  /** Physical value, in `definition.unit`. */
  readonly value: number;
  readonly valueName: string | null;
  /** The names of all the numbers, and the unit. */
  readonly definition: SignalDefinition;
}

export type MessageHandler = (message: ReceivedMessage) => void;

export interface MessageToSend {
  readonly messageType: NameOrNumber;
  readonly componentType: NameOrNumber;
  /** ALL (255) addresses every component of the type. */
  readonly componentId: NameOrNumber;
  readonly commandId: NameOrNumber;
  /** A physical value in the command's unit, or the name of a value. */
  readonly value: number | string;
  /** By default the one that the protocol gives the command. */
  readonly valueType?: NameOrNumber;
}

interface Registration {
  readonly componentId: number;
  readonly handler: MessageHandler;
}

/**
 * A kart's bus for a program of one's own: handlers for what comes in, send() for what goes out.
 *
 *   const can = new CanInterface({ url: 'socketcan:can0' });
 *   can.registerHandler('STATUS', 'MOTORS', 'ALL', 'RPM', ({ componentId, value }) => ...);
 *   can.start();
 *   await can.send({ messageType: 'COMMAND', componentType: 'LIGHTS', componentId: 'FRONT', commandId: 'MODE', value: 'ON' });
 *
 * It keeps the bus open as the service does: one that is absent or lost is tried for ever.
 */
export class CanInterface {
  readonly #registry: ProtocolRegistry;
  readonly #nodeId: number;
  readonly #bus: Bus;
  readonly #logFault: ReturnType<typeof rateLimited>;
  /** By message type, component type and command id. */
  readonly #registrations = new Map<number, Registration[]>();

  /** Throws BusError BUS_URL_INVALID and ProtocolError. */
  constructor({ url, nodeId = 0, name = url, registry, log }: CanInterfaceOptions) {
    this.#registry = registry ?? ProtocolRegistry.load();
    this.#nodeId = nodeId;
    const logger = log ?? pino({ level: 'silent' });
    this.#logFault = rateLimited(logger);
    this.#bus = new Bus({
      name,
      url,
      spec: parseBusUrl(url),
      log: logger,
      onFrames: (frames, release) => {
        if (this.#registrations.size > 0) this.#dispatch(frames);
        release();
      },
    });
  }

  start(): void {
    this.#bus.start();
  }

  /** Stops reading and ends the bus's thread. */
  stop(): Promise<void> {
    return this.#bus.stop();
  }

  status(): BusStatus {
    return this.#bus.status();
  }

  /**
   * Calls `handler` for each message of this kind. Component id ALL (255) takes those of every component;
   * a message that is itself addressed to all reaches the handlers of each. Returns a function that ends
   * it. Throws ProtocolError PROTOCOL_NAME_UNKNOWN.
   */
  registerHandler(
    messageType: NameOrNumber,
    componentType: NameOrNumber,
    componentId: NameOrNumber,
    commandId: NameOrNumber,
    handler: MessageHandler,
  ): () => void {
    const ids = this.#resolve({ messageType, componentType, componentId, commandId });
    const key = keyOf(ids);
    const registration: Registration = { componentId: ids.componentId, handler };
    this.#registrations.set(key, [...(this.#registrations.get(key) ?? []), registration]);
    return () => {
      const left = (this.#registrations.get(key) ?? []).filter((other) => other !== registration);
      if (left.length > 0) this.#registrations.set(key, left);
      else this.#registrations.delete(key);
    };
  }

  /**
   * Sends one message under our node id; resolves when the bus has taken it. Rejects with ProtocolError
   * (a name or value that can't be sent) or BusError (see Bus.send).
   */
  async send(message: MessageToSend): Promise<void> {
    const payload = encodeKartPayload(this.#messageOf(message));
    await this.#bus.send({ canId: this.#nodeId, isExtended: false, payload });
  }

  #messageOf(message: MessageToSend): KartMessage {
    const ids = this.#resolve(message);
    const { messageType, componentType, componentId, commandId } = ids;
    const valueType =
      message.valueType === undefined
        ? this.#registry.valueTypeOf(componentType, commandId)
        : this.#registry.valueTypeNumber(message.valueType);
    if (valueType === null) {
      const command = this.#registry.commandName(componentType, commandId);
      throw new ProtocolError(
        'PROTOCOL_NAME_UNKNOWN',
        `The protocol gives ${command} no value type: give one, such as UINT8.`,
      );
    }
    if (typeof message.value === 'number') {
      const { scale } = this.#registry.describe(
        messageType,
        componentType,
        componentId,
        commandId,
        valueType,
      );
      return { ...ids, valueType, rawValue: toRaw(message.value, scale) };
    }
    const rawValue = this.#registry.valueNumber(
      messageType,
      componentType,
      componentId,
      commandId,
      message.value,
    );
    return { ...ids, valueType, rawValue: known('value', message.value, rawValue) };
  }

  #resolve(names: Pick<MessageToSend, 'messageType' | 'componentType' | 'componentId' | 'commandId'>) {
    const registry = this.#registry;
    const messageType = known(
      'message type',
      names.messageType,
      registry.messageTypeNumber(names.messageType),
    );
    const componentType = known(
      'component type',
      names.componentType,
      registry.componentTypeNumber(names.componentType),
    );
    const typeName = registry.componentTypeName(componentType);
    return {
      messageType,
      componentType,
      componentId: known(
        `component of ${typeName}`,
        names.componentId,
        registry.componentNumber(componentType, names.componentId),
      ),
      commandId: known(
        `command of ${typeName}`,
        names.commandId,
        registry.commandNumber(componentType, names.commandId),
      ),
    };
  }

  #dispatch(frames: FrameBatch): void {
    for (let index = 0; index < frames.count; index++) {
      // Nor do handlers hear what we send ourselves, which is marked.
      if (frames.flags[index] !== 0 || frames.payloadBytes[index] !== KART_PAYLOAD_BYTES) continue;
      const message = decodeKartPayload(frames.payloadOf(index));
      const registrations = this.#registrations.get(keyOf(message));
      if (registrations === undefined) continue;
      const received = this.#received(message, frames.canId[index]!, frames.timestampUs[index]!);
      for (const { componentId, handler } of registrations) {
        const isMeant =
          componentId === message.componentId ||
          componentId === ALL_COMPONENTS ||
          message.componentId === ALL_COMPONENTS;
        if (isMeant) this.#call(handler, received);
      }
    }
  }

  #received(message: KartMessage, nodeId: number, timestampUs: number): ReceivedMessage {
    const { messageType, componentType, componentId, commandId, valueType, rawValue } = message;
    const definition = this.#registry.describe(messageType, componentType, componentId, commandId, valueType);
    return {
      ...message,
      nodeId,
      timestampUs,
      value: toPhysical(rawValue, definition.scale),
      valueName: definition.valueNames?.[rawValue] ?? null,
      definition,
    };
  }

  /** A handler's error is its own: it is logged, and the others are called all the same. */
  #call(handler: MessageHandler, message: ReceivedMessage): void {
    try {
      handler(message);
    } catch (error) {
      this.#logFault('error', 'handler', { err: error }, 'message handler failed');
    }
  }
}

function keyOf({
  messageType,
  componentType,
  commandId,
}: Omit<KartMessage, 'componentId' | 'valueType' | 'rawValue'>): number {
  return (messageType << 11) | (componentType << 8) | commandId;
}

function known(what: string, written: NameOrNumber, number: number | null): number {
  if (number !== null) return number;
  throw new ProtocolError('PROTOCOL_NAME_UNKNOWN', `There is no ${what} called ${JSON.stringify(written)}.`);
}
