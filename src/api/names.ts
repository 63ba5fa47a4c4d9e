import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { QueryError } from '../shared/errors.ts';
import type { StateReader } from './sources.ts';

/** Resolves what people write for components and the like; each mistake says what would have been right. */

export function componentTypeOf(registry: ProtocolRegistry, text: string, statusCode: 400 | 404): number {
  const number = registry.componentTypeNumber(text);
  if (number !== null) return number;
  const known = Object.keys(registry.catalog().component_types).join(', ');
  throw new QueryError(
    statusCode,
    'COMPONENT_TYPE_UNKNOWN',
    `There is no component type "${shortened(text)}". There are: ${known}, or a number from 0 to 7.`,
  );
}

export function componentOf(
  registry: ProtocolRegistry,
  componentType: number,
  text: string,
  statusCode: 400 | 404,
): number {
  const number = registry.componentNumber(componentType, text);
  if (number !== null) return number;
  const typeName = registry.componentTypeName(componentType);
  const known = registry.catalog(componentType)?.components.map(({ name }) => name) ?? [];
  throw new QueryError(
    statusCode,
    'COMPONENT_UNKNOWN',
    `There is no component "${shortened(text)}" of ${typeName}. There are: ${[...known, 'or a number from 0 to 255'].join(', ')}.`,
  );
}

export function commandOf(registry: ProtocolRegistry, componentType: number, text: string): number {
  const number = registry.commandNumber(componentType, text);
  if (number !== null) return number;
  const typeName = registry.componentTypeName(componentType);
  const known = registry.catalog(componentType)?.commands.map(({ name }) => name) ?? [];
  throw new QueryError(
    400,
    'COMMAND_UNKNOWN',
    `There is no command "${shortened(text)}" of ${typeName}. There are: ${[...known, 'or a number from 0 to 255'].join(', ')}.`,
  );
}

export function messageTypeOf(registry: ProtocolRegistry, text: string): number {
  const number = registry.messageTypeNumber(text);
  if (number !== null) return number;
  const known = registry
    .catalog()
    .message_types.map(({ name }) => name)
    .join(', ');
  throw new QueryError(
    400,
    'MESSAGE_TYPE_UNKNOWN',
    `There is no message type "${shortened(text)}". There are: ${known}.`,
  );
}

/** The components that have been heard, in messages of a type or of any, as TYPE/ID. */
export function componentsHeard(state: StateReader, messageType?: number): string {
  const heard = new Set<string>();
  for (const { series } of state.current({ messageType })) {
    heard.add(`${series.definition.componentType}/${series.definition.componentId}`);
  }
  return heard.size === 0 ? 'none yet' : [...heard].join(', ');
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
