import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { QueryError } from '../../shared/errors.ts';
import { CommandSchema } from './schemas.ts';

const KEYS = Object.keys(CommandSchema.properties);
const KEYS_NEEDED: readonly string[] = CommandSchema.required;

interface FieldSchema {
  readonly type: string | readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

/**
 * Checks the body of a command as it came: unlike the parameters of a URL nothing of it is text that is to become a number,
 * and null or a list is no value. Gives a QueryError 400 COMMAND_INVALID that says what was expected.
 */
export function checkCommandBody(body: unknown): { value: Static<typeof CommandSchema> } | { error: Error } {
  if (Value.Check(CommandSchema, body)) return { value: body };
  return { error: new QueryError(400, 'COMMAND_INVALID', explain(body)) };
}

function explain(body: unknown): string {
  const keys = `It has ${KEYS_NEEDED.join(', ')} and may have ${KEYS.filter((key) => !KEYS_NEEDED.includes(key)).join(', ')}.`;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return `Expected the body to be a JSON object, found ${shown(body)}. ${keys}`;
  }
  const unknown = Object.keys(body).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return `A command has no ${shown(unknown)}. ${keys}`;
  const missing = KEYS_NEEDED.filter((key) => !Object.hasOwn(body, key));
  if (missing.length > 0) return `Expected ${missing.join(', ')}, found none. ${keys}`;
  const [error] = Value.Errors(CommandSchema, body);
  const key = error!.instancePath.slice(1) as keyof typeof CommandSchema.properties;
  const found = shown((body as Record<string, unknown>)[key]);
  return `Expected ${key} to be ${described(CommandSchema.properties[key] as FieldSchema)}, found ${found}.`;
}

function described({ type, minimum, maximum, maxLength }: FieldSchema): string {
  const types = [type].flat().join(' or ');
  const range = minimum === undefined ? '' : ` from ${minimum} to ${maximum}`;
  return `a ${types}${range}${maxLength === undefined ? '' : ` (of ${maxLength} characters at most)`}`;
}

function shown(data: unknown): string {
  const text = JSON.stringify(data) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
