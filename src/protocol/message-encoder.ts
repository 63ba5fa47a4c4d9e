import { ProtocolError } from '../shared/errors.ts';
import { COMPONENT_TYPE_MAX, type KartMessage, rawValueRange, VALUE_TYPE } from './kart-codec.ts';
import { type PhysicalConversion, physicalConversion, toRaw } from './physical-value.ts';
import type { CatalogEntry, ProtocolRegistry, SignalDefinition } from './protocol-registry.ts';

/** From the names that people use to the numbers of a frame. */

/** A name in any case of the letters, or a number. */
export type NameOrNumber = string | number;

/** What a message is about. */
export interface NamedQuantity {
  readonly messageType: NameOrNumber;
  readonly componentType: NameOrNumber;
  /** ALL (255) addresses every component of the type. */
  readonly componentId: NameOrNumber;
  readonly commandId: NameOrNumber;
}

export interface MessageToSend extends NamedQuantity {
  /** A physical value in the command's unit, or the name of a value. */
  readonly value: number | string;
  /** By default the one that the protocol gives the command. */
  readonly valueType?: NameOrNumber;
}

const VALUE_TYPES: readonly number[] = Object.values(VALUE_TYPE);

export type QuantityIds = Pick<KartMessage, 'messageType' | 'componentType' | 'componentId' | 'commandId'>;

/** The numbers of a quantity, also of one that the protocol has no name for. Throws ProtocolError PROTOCOL_NAME_UNKNOWN. */
export function resolveQuantity(registry: ProtocolRegistry, names: NamedQuantity): QuantityIds {
  const messageType = found('message type', names.messageType, registry.messageTypeNumber(names.messageType));
  const componentType = found(
    'component type',
    names.componentType,
    registry.componentTypeNumber(names.componentType),
  );
  const typeName = registry.componentTypeName(componentType);
  return {
    messageType,
    componentType,
    componentId: found(
      `component of ${typeName}`,
      names.componentId,
      registry.componentNumber(componentType, names.componentId),
    ),
    commandId: found(
      `command of ${typeName}`,
      names.commandId,
      registry.commandNumber(componentType, names.commandId),
    ),
  };
}

/**
 * A message in numbers; a physical value becomes the nearest count. Whether the value type can hold it is the codec's to
 * check. Throws ProtocolError PROTOCOL_NAME_UNKNOWN.
 */
export function resolveMessage(registry: ProtocolRegistry, message: MessageToSend): KartMessage {
  const ids = resolveQuantity(registry, message);
  const { messageType, componentType, componentId, commandId } = ids;
  const valueType =
    message.valueType === undefined
      ? registry.valueTypeOf(componentType, commandId)
      : registry.valueTypeNumber(message.valueType);
  if (valueType === null) {
    const command = registry.commandName(componentType, commandId);
    throw new ProtocolError(
      'PROTOCOL_NAME_UNKNOWN',
      `The protocol gives ${command} no value type: give one, such as UINT8.`,
    );
  }
  if (typeof message.value === 'number') {
    const { scale } = registry.describe(messageType, componentType, componentId, commandId, valueType);
    return { ...ids, valueType, rawValue: toRaw(message.value, scale) };
  }
  const rawValue = registry.valueNumber(messageType, componentType, componentId, commandId, message.value);
  return { ...ids, valueType, rawValue: found('value', message.value, rawValue) };
}

/** A message that the protocol knows in all its parts, and what it says of them. */
export interface KnownMessage {
  readonly message: KartMessage;
  readonly definition: SignalDefinition;
  /** Physical, in the definition's unit. */
  readonly value: number;
  readonly valueName: string | null;
}

export interface KnownMessageToSend extends Omit<MessageToSend, 'value'> {
  /** A boolean only where the value type is BOOLEAN. */
  readonly value: number | string | boolean;
}

/**
 * The same, but strict, for what is asked by somebody who can't be asked back: each part is one that the protocol names,
 * the value is one that can be sent exactly, and the value type is that of the protocol. Throws ProtocolError:
 * COMPONENT_TYPE_UNKNOWN, COMPONENT_UNKNOWN, COMMAND_UNKNOWN, VALUE_TYPE_UNKNOWN, VALUE_TYPE_NEEDED, VALUE_TYPE_WRONG,
 * VALUE_UNKNOWN, VALUE_INVALID, VALUE_OUT_OF_RANGE or VALUE_NOT_EXACT, each with what there is instead.
 */
export function resolveKnownMessage(registry: ProtocolRegistry, names: KnownMessageToSend): KnownMessage {
  const messageType = found('message type', names.messageType, registry.messageTypeNumber(names.messageType));
  const componentType = knownComponentType(registry, names.componentType);
  const typeName = registry.componentTypeName(componentType);
  const componentId = registry.componentNumber(componentType, names.componentId);
  if (componentId === null || !registry.isKnownComponent(componentType, componentId)) {
    const { components } = registry.catalog(componentType)!;
    throw unknown('COMPONENT_UNKNOWN', `component of ${typeName}`, names.componentId, components);
  }
  const commandId = registry.commandNumber(componentType, names.commandId);
  if (commandId === null || !registry.isKnownCommand(componentType, commandId)) {
    const { commands } = registry.catalog(componentType)!;
    throw unknown('COMMAND_UNKNOWN', `command of ${typeName}`, names.commandId, commands);
  }
  const valueType = knownValueType(registry, componentType, commandId, names.valueType);
  const definition = registry.describe(messageType, componentType, componentId, commandId, valueType);
  const conversion = physicalConversion(definition.scale);
  const rawValue = exactRawValue(definition, conversion, valueType, names.value);
  return {
    message: { messageType, componentType, componentId, commandId, valueType, rawValue },
    definition,
    value: conversion.toPhysical(rawValue),
    valueName: definition.valueNames?.[rawValue] ?? null,
  };
}

/** Types beyond the frame's three bits are the service's own: no message can name them. */
function knownComponentType(registry: ProtocolRegistry, written: NameOrNumber): number {
  const number = registry.componentTypeNumber(written);
  if (number !== null && number <= COMPONENT_TYPE_MAX && registry.isKnownComponentType(number)) return number;
  const types = Object.values(registry.catalog().component_types);
  const ofWire = types.filter(({ id }) => id <= COMPONENT_TYPE_MAX);
  throw unknown('COMPONENT_TYPE_UNKNOWN', 'component type', written, ofWire);
}

function knownValueType(
  registry: ProtocolRegistry,
  componentType: number,
  commandId: number,
  written: NameOrNumber | undefined,
): number {
  const ofProtocol = registry.valueTypeOf(componentType, commandId);
  const command = `${registry.componentTypeName(componentType)}/${registry.commandName(componentType, commandId)}`;
  if (written === undefined) {
    if (ofProtocol !== null) return ofProtocol;
    throw new ProtocolError(
      'VALUE_TYPE_NEEDED',
      `The protocol gives ${command} no value type: give the value_type that the node expects, one of ${listed(registry.catalog().value_types)}.`,
    );
  }
  const valueType = registry.valueTypeNumber(written);
  if (valueType === null || !VALUE_TYPES.includes(valueType)) {
    throw unknown('VALUE_TYPE_UNKNOWN', 'value type', written, registry.catalog().value_types);
  }
  if (ofProtocol === null || valueType === ofProtocol) return valueType;
  const name = registry.valueTypeName(ofProtocol);
  throw new ProtocolError(
    'VALUE_TYPE_WRONG',
    `The value of ${command} is sent as ${name}, not as ${registry.valueTypeName(valueType)}: leave the value_type out.`,
  );
}

/** The count that a value is sent as. */
function exactRawValue(
  definition: SignalDefinition,
  conversion: PhysicalConversion,
  valueType: number,
  written: number | string | boolean,
): number {
  const what = `${definition.componentType}/${definition.commandId}`;
  const { valueNames } = definition;
  const value = numberOf(written, valueType);
  if (valueNames !== null) return namedRawValue(what, valueNames, written, value);
  const range = rangeOf(definition, conversion, valueType);
  if (value === null) {
    const truth = valueType === VALUE_TYPE.BOOLEAN ? ', or true or false' : '';
    throw new ProtocolError(
      'VALUE_INVALID',
      `Expected as value of ${what} a number ${range}${truth}, found ${shown(written)}.`,
    );
  }
  const { min, max } = rawValueRange(valueType);
  const rawValue = conversion.toRaw(value);
  if (!(rawValue >= min && rawValue <= max)) {
    throw new ProtocolError(
      'VALUE_OUT_OF_RANGE',
      `Expected as value of ${what} a number ${range}, found ${value}.`,
    );
  }
  const sent = conversion.toPhysical(rawValue);
  if (sent === value) return rawValue;
  const other = rawValue + (sent < value === definition.scale > 0 ? 1 : -1);
  const nearest = [sent, ...(other >= min && other <= max ? [conversion.toPhysical(other)] : [])];
  throw new ProtocolError(
    'VALUE_NOT_EXACT',
    `${value} can't be sent exactly: the value of ${what} is a number ${range}. Next to it ${nearest.length === 1 ? 'is' : 'are'} ${nearest.sort((left, right) => left - right).join(' and ')}.`,
  );
}

function namedRawValue(
  what: string,
  names: Readonly<Record<number, string>>,
  written: number | string | boolean,
  number: number | null,
): number {
  const entries = Object.entries(names).map(([id, name]) => ({ id: Number(id), name }));
  const entry = entries.find(({ id, name }) => id === number || name === String(written).toUpperCase());
  if (entry !== undefined) return entry.id;
  throw new ProtocolError(
    'VALUE_UNKNOWN',
    `Expected as value of ${what} one of ${listed(entries)}, found ${shown(written)}.`,
  );
}

/** A number may be written as text, as numbers of components may. */
function numberOf(written: number | string | boolean, valueType: number): number | null {
  if (typeof written === 'number') return written;
  if (typeof written === 'boolean') return valueType === VALUE_TYPE.BOOLEAN ? Number(written) : null;
  return /^-?\d{1,16}(\.\d{1,16})?$/.test(written) ? Number(written) : null;
}

/** As `of N·m from -327.68 to 327.67, in steps of 0.01`. */
function rangeOf(
  { unit, scale, valueType: name }: SignalDefinition,
  conversion: PhysicalConversion,
  valueType: number,
): string {
  const { min, max } = rawValueRange(valueType);
  const ends = [conversion.toPhysical(min), conversion.toPhysical(max)].sort((left, right) => left - right);
  const ofUnit = unit === null ? '' : `of ${unit} `;
  return `${ofUnit}from ${ends.join(' to ')}, in steps of ${Math.abs(scale)} (${name})`;
}

function unknown(
  code: string,
  what: string,
  written: NameOrNumber,
  entries: readonly CatalogEntry[],
): ProtocolError {
  return new ProtocolError(code, `There is no ${what} ${shown(written)}. There are: ${listed(entries)}.`);
}

function found(what: string, written: NameOrNumber, number: number | null): number {
  if (number !== null) return number;
  throw new ProtocolError('PROTOCOL_NAME_UNKNOWN', `There is no ${what} called ${JSON.stringify(written)}.`);
}

function listed(entries: readonly CatalogEntry[]): string {
  return entries.map(({ id, name }) => `${name} (${id})`).join(', ');
}

function shown(written: number | string | boolean): string {
  const text = JSON.stringify(written);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
