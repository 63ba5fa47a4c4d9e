import type { TObject } from 'typebox';
import { Value } from 'typebox/value';
import { QueryError } from '../../shared/errors.ts';
import { STREAM_PING_BYTES_MAX } from '../../shared/limits.ts';
import { describeSchema, type Schema, shown } from '../validation.ts';
import { type ClientMessage, PingSchema, SubscribeSchema, UnsubscribeSchema } from './schemas.ts';

const SCHEMAS: ReadonlyMap<unknown, TObject> = new Map<unknown, TObject>([
  ['subscribe', SubscribeSchema],
  ['unsubscribe', UnsubscribeSchema],
  ['ping', PingSchema],
]);

/** A message that can't be used, and the subscription that it names, if it does. */
export class ClientMessageError extends QueryError {
  readonly subscriptionId: string | null;

  constructor(subscriptionId: string | null, message: string) {
    super(400, 'MESSAGE_INVALID', message);
    this.subscriptionId = subscriptionId;
  }
}

/** Reads what a client says over WebSocket. Throws ClientMessageError MESSAGE_INVALID. */
export function readClientMessage(text: string): ClientMessage {
  const message = parsed(text);
  const id = subscriptionIdOf(message);
  const schema = SCHEMAS.get(message.type);
  if (schema === undefined) {
    const known = [...SCHEMAS.keys()].join(', ');
    throw new ClientMessageError(id, `Expected type to be one of ${known}, found ${shown(message.type)}.`);
  }
  const required = schema.required as readonly string[];
  for (const [name, value] of Object.entries(message)) {
    const expected = schema.properties[name];
    if (expected === undefined || !Object.hasOwn(schema.properties, name)) {
      const known = Object.keys(schema.properties).join(', ');
      throw new ClientMessageError(id, `There is no ${shown(name)} in ${message.type}; there are: ${known}.`);
    }
    if (Value.Check(expected, value)) continue;
    throw new ClientMessageError(
      id,
      `Expected ${name} to be ${describeSchema(expected as Schema)}, found ${shown(value)}.`,
    );
  }
  const missing = required.find((name) => message[name] === undefined);
  if (missing !== undefined) {
    const expected = describeSchema(schema.properties[missing] as Schema);
    throw new ClientMessageError(id, `Expected ${missing} in ${message.type}, ${expected}; found none.`);
  }
  if (
    message.type === 'ping' &&
    Buffer.byteLength(JSON.stringify(message.data ?? null)) > STREAM_PING_BYTES_MAX
  ) {
    throw new ClientMessageError(null, `Expected data of at most ${STREAM_PING_BYTES_MAX} bytes as JSON.`);
  }
  return message as ClientMessage;
}

function parsed(text: string): Record<string, unknown> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new ClientMessageError(null, `Expected a message as JSON, found ${shown(text)}.`);
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new ClientMessageError(null, `Expected a message as a JSON object, found ${shown(message)}.`);
  }
  return message as Record<string, unknown>;
}

function subscriptionIdOf({ id }: Record<string, unknown>): string | null {
  return Value.Check(UnsubscribeSchema.properties.id, id) ? id : null;
}
