import { type Logger, pino } from 'pino';
import { Bus, type BusStatus } from '../bus/bus.ts';
import { parseBusUrl } from '../bus/bus-url.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { rateLimited } from '../shared/log.ts';
import {
  ALL_COMPONENTS,
  decodeKartPayload,
  encodeKartPayload,
  KART_PAYLOAD_BYTES,
  type KartMessage,
} from './kart-codec.ts';
import { type MessageToSend, type NameOrNumber, resolveMessage, resolveQuantity } from './message-encoder.ts';
import { toPhysical } from './physical-value.ts';
import { ProtocolRegistry, type SignalDefinition } from './protocol-registry.ts';

export type { MessageToSend, NameOrNumber };

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
    const ids = resolveQuantity(this.#registry, { messageType, componentType, componentId, commandId });
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
    const payload = encodeKartPayload(resolveMessage(this.#registry, message));
    await this.#bus.send({ canId: this.#nodeId, isExtended: false, payload });
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
