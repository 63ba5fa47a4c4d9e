/**
 * Reads the .proto files that define the kart's language and checks what protoc doesn't know about:
 * that numbers fit their field of the frame, that every option means something here, and that every
 * value enum names the values of something that exists. protocol/README.md describes the options.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import protobuf from 'protobufjs';
import { errorMessage, ProtocolError } from '../shared/errors.ts';

/** A number on the bus and what it is called. */
export interface NamedNumber {
  readonly id: number;
  readonly name: string;
}

/** A command, or for a STATUS the quantity it reports. */
export interface CommandDefinition extends NamedNumber {
  readonly unit: string | null;
  /** Physical units per raw count; finite and not 0. */
  readonly scale: number;
  /** The type the value is sent with; null where the definition names none. */
  readonly valueType: number | null;
}

/** Names for the values of some commands, or of the type's ERROR messages. */
export interface ValueEnumDefinition {
  readonly values: readonly NamedNumber[];
  readonly commandIds: readonly number[];
  /** The components it is for; for all of them where empty. */
  readonly componentIds: readonly number[];
  readonly isOfErrors: boolean;
}

export interface ComponentTypeDefinition extends NamedNumber {
  readonly components: readonly NamedNumber[];
  readonly commands: readonly CommandDefinition[];
  readonly valueEnums: readonly ValueEnumDefinition[];
}

export interface ProtocolDefinition {
  /** The text of each file, by its name. */
  readonly files: Readonly<Record<string, string>>;
  readonly messageTypes: readonly NamedNumber[];
  readonly valueTypes: readonly NamedNumber[];
  readonly componentTypes: readonly ComponentTypeDefinition[];
}

/** In every component type: addresses each of its components. */
export const ALL_COMPONENTS: NamedNumber = { id: 255, name: 'ALL' };

/** How many numbers each field of the frame can hold: 2, 3, 8, 8 and 4 bits. */
export const ID_COUNT = {
  messageType: 4,
  componentType: 8,
  component: 256,
  command: 256,
  valueType: 16,
} as const;

/** A value has 24 bits on the wire, signed or not. */
const VALUE_RANGE: Range = { min: -(2 ** 23), max: 2 ** 24 - 1 };

const PACKAGE = 'kart';

/** Upper case alone, so that a name is found in letters of any case. */
const NAME_PATTERN = /^[A-Z][A-Z0-9_]*$/;
/** What the registry calls numbers without a name; as a definition it would be ambiguous. */
const FALLBACK_NAME_PATTERN = /^(?:MESSAGE_TYPE|TYPE|COMPONENT|COMMAND|VALUE_TYPE)_\d+$/;

interface Range {
  readonly min: number;
  readonly max: number;
}

interface ProtoFile {
  readonly path: string;
  readonly source: string;
}

/** A parsed enum or message and the file to name when something is wrong with it. */
interface InFile<T> {
  readonly file: ProtoFile;
  readonly node: T;
}

type OptionValue = string | number | boolean;

/** One value of an enum with its options, such as {'(unit)': 'rpm'}. */
interface EnumValue extends NamedNumber {
  readonly options: Readonly<Record<string, unknown>>;
  /** As it stands in the file, where `name` is what people see. */
  readonly protoName: string;
}

/**
 * The protocol that all .proto files of `directory` define together.
 * @throws ProtocolError PROTOCOL_NOT_FOUND, PROTOCOL_INVALID
 */
export function readProtoFiles(directory: string): ProtocolDefinition {
  const enums = new Map<string, InFile<protobuf.Enum>>();
  const messages: InFile<protobuf.Type>[] = [];
  const files = readFiles(directory);
  for (const file of files) {
    for (const node of topLevelNodes(file)) {
      if (node instanceof protobuf.Type) {
        messages.push({ file, node });
      } else if (node instanceof protobuf.Enum) {
        const other = enums.get(node.name);
        if (other !== undefined)
          throw invalid(file, `enum ${node.name} is already in ${other.file.path}`, node);
        enums.set(node.name, { file, node });
      } else if (!(node instanceof protobuf.Field && node.extend !== undefined)) {
        throw invalid(file, `expected enums, messages and options only; found ${node.name}`);
      }
    }
  }

  const takeEnum = (name: string, count: number): readonly EnumValue[] => {
    const found = enums.get(name);
    if (found === undefined) {
      throw new ProtocolError('PROTOCOL_INVALID', `No file in ${resolve(directory)} defines enum ${name}`);
    }
    enums.delete(name);
    checkEnumOptions(found.file, found.node, []);
    return enumValues(found.file, found.node, idRange(count), []);
  };
  const messageTypes = takeEnum('MessageType', ID_COUNT.messageType);
  const valueTypes = takeEnum('ValueType', ID_COUNT.valueType);
  const typeNames = takeEnum('ComponentType', ID_COUNT.componentType);
  for (const { file, node } of enums.values()) {
    throw invalid(file, `enum ${node.name} means nothing here; put value enums inside their message`, node);
  }

  return {
    files: Object.fromEntries(files.map(({ path, source }) => [basename(path), source])),
    messageTypes: messageTypes.map(named),
    valueTypes: valueTypes.map(named),
    componentTypes: componentTypes(directory, typeNames, messages, valueTypes),
  };
}

function readFiles(directory: string): ProtoFile[] {
  const expected = `expected a directory with the protocol's .proto files, found`;
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name.endsWith('.proto'));
  } catch (cause) {
    const message = `${resolve(directory)}: ${expected} ${errorMessage(cause)}`;
    throw new ProtocolError('PROTOCOL_NOT_FOUND', message, { cause });
  }
  if (names.length === 0) {
    throw new ProtocolError('PROTOCOL_NOT_FOUND', `${resolve(directory)}: ${expected} none`);
  }
  return names.sort().map((name) => {
    const path = join(resolve(directory), name);
    try {
      return { path, source: readFileSync(path, 'utf8') };
    } catch (cause) {
      throw new ProtocolError('PROTOCOL_INVALID', `${path}: can't be read: ${errorMessage(cause)}`, {
        cause,
      });
    }
  });
}

function topLevelNodes(file: ProtoFile): protobuf.ReflectionObject[] {
  let parsed: protobuf.IParserResult;
  try {
    parsed = protobuf.parse(file.source, new protobuf.Root(), { keepCase: true });
  } catch (cause) {
    throw syntaxError(file, cause);
  }
  if (parsed.package !== PACKAGE) {
    throw invalid(file, `expected package ${PACKAGE}, found ${parsed.package ?? 'none'}`);
  }
  const namespace = parsed.root.get(PACKAGE);
  return namespace instanceof protobuf.Namespace ? namespace.nestedArray : [];
}

function componentTypes(
  directory: string,
  typeNames: readonly EnumValue[],
  messages: readonly InFile<protobuf.Type>[],
  valueTypes: readonly EnumValue[],
): ComponentTypeDefinition[] {
  const messageByType = new Map<string, InFile<protobuf.Type>>();
  for (const message of messages) {
    const { file, node } = message;
    checkOptionNames(file, `message ${node.name}`, node.options ?? {}, ['(component_type)'], node);
    const typeName: unknown = node.options?.['(component_type)'];
    if (typeof typeName !== 'string' || !typeNames.some(({ protoName }) => protoName === typeName)) {
      const expected = typeNames.map(({ protoName }) => protoName).join(', ');
      const what = `message ${node.name}: (component_type) must be one of ${expected}; found ${typeName ?? 'none'}`;
      throw invalid(file, what, node);
    }
    const other = messageByType.get(typeName);
    if (other !== undefined) {
      throw invalid(file, `message ${node.name}: ${other.node.name} already defines ${typeName}`, node);
    }
    messageByType.set(typeName, message);
  }
  return typeNames.map((typeName) => {
    const message = messageByType.get(typeName.protoName);
    if (message === undefined) {
      const what = `expected a message with option (component_type) = ${typeName.protoName}, found none`;
      throw new ProtocolError('PROTOCOL_INVALID', `${resolve(directory)}: ${what}`);
    }
    return { ...named(typeName), ...componentType(message, valueTypes) };
  });
}

function componentType(
  { file, node: message }: InFile<protobuf.Type>,
  valueTypes: readonly EnumValue[],
): Omit<ComponentTypeDefinition, 'id' | 'name'> {
  const enums = new Map<string, protobuf.Enum>();
  for (const node of [...message.fieldsArray, ...message.nestedArray]) {
    if (!(node instanceof protobuf.Enum)) {
      throw invalid(file, `message ${message.name}: expected enums only; found ${node.name}`, message);
    }
    enums.set(node.name, node);
  }

  const takeEnum = (name: string): protobuf.Enum => {
    const found = enums.get(name);
    if (found === undefined)
      throw invalid(file, `message ${message.name}: expected an enum ${name}, found none`, message);
    enums.delete(name);
    checkEnumOptions(file, found, []);
    return found;
  };
  const componentEnum = takeEnum('Component');
  const components = enumValues(file, componentEnum, idRange(ID_COUNT.component), []);
  if (!components.some(({ id, name }) => id === ALL_COMPONENTS.id && name === ALL_COMPONENTS.name)) {
    throw invalid(
      file,
      `message ${message.name}: enum Component must have ${ALL_COMPONENTS.name} = ${ALL_COMPONENTS.id}`,
      componentEnum,
    );
  }
  const commandEnum = takeEnum('Command');
  const commandOptions = ['(unit)', '(scale)', '(value_type)'];
  const commands = enumValues(file, commandEnum, idRange(ID_COUNT.command), commandOptions);

  return {
    components: components.map(named),
    commands: commands.map((value) => command(file, commandEnum, value, valueTypes)),
    valueEnums: valueEnums(file, [...enums.values()], components, commands),
  };
}

function command(
  file: ProtoFile,
  commandEnum: protobuf.Enum,
  value: EnumValue,
  valueTypes: readonly EnumValue[],
): CommandDefinition {
  const fail = (option: string, expected: string, found: unknown): ProtocolError =>
    invalid(
      file,
      `${value.protoName}: (${option}) must be ${expected}; found ${found}`,
      commandEnum,
      value.protoName,
    );

  const unit = value.options['(unit)'] ?? null;
  if (unit !== null && (typeof unit !== 'string' || unit.trim() === '')) {
    throw fail('unit', 'a string that is not empty', unit);
  }
  const scale = value.options['(scale)'] ?? 1;
  if (typeof scale !== 'number' || !Number.isFinite(scale) || scale === 0) {
    throw fail('scale', 'a finite number other than 0', scale);
  }
  const valueTypeName = value.options['(value_type)'];
  const valueType = valueTypes.find(({ protoName }) => protoName === valueTypeName);
  if (valueTypeName !== undefined && valueType === undefined) {
    throw fail(
      'value_type',
      `one of ${valueTypes.map(({ protoName }) => protoName).join(', ')}`,
      valueTypeName,
    );
  }
  return { ...named(value), unit, scale, valueType: valueType?.id ?? null };
}

function valueEnums(
  file: ProtoFile,
  enums: readonly protobuf.Enum[],
  components: readonly EnumValue[],
  commands: readonly EnumValue[],
): ValueEnumDefinition[] {
  /** What each enum is for, to find two for the same. */
  const takenBy = new Map<string, string>();
  return enums.map((node) => {
    checkEnumOptions(file, node, ['(values_of)', '(of_component)', '(values_of_errors)']);
    const idsOf = (option: string, definitions: readonly EnumValue[], what: string): number[] =>
      repeatedOption(node, option).map((name) => {
        const definition = definitions.find(({ protoName }) => protoName === name);
        if (definition === undefined) {
          throw invalid(
            file,
            `enum ${node.name}: ${option} must name a ${what} of its message; found ${name}`,
            node,
          );
        }
        return definition.id;
      });
    const commandIds = idsOf('(values_of)', commands, 'command');
    const componentIds = idsOf('(of_component)', components, 'component');
    const isOfErrors = repeatedOption(node, '(values_of_errors)').at(-1) === true;
    if (commandIds.length === 0 && !isOfErrors) {
      throw invalid(
        file,
        `enum ${node.name}: expected option (values_of) or (values_of_errors), found neither`,
        node,
      );
    }
    if (componentIds.length > 0 && commandIds.length === 0) {
      throw invalid(file, `enum ${node.name}: (of_component) narrows (values_of), which is missing`, node);
    }

    const uses = commandIds.flatMap((commandId) =>
      (componentIds.length === 0 ? ['every component'] : componentIds).map(
        (id) => `command ${commandId} of ${id}`,
      ),
    );
    if (isOfErrors) uses.push('errors');
    for (const use of uses) {
      const other = takenBy.get(use);
      if (other !== undefined) {
        throw invalid(file, `enum ${node.name}: enum ${other} already names the same values`, node);
      }
      takenBy.set(use, node.name);
    }
    return {
      values: enumValues(file, node, VALUE_RANGE, []).map(named),
      commandIds,
      componentIds,
      isOfErrors,
    };
  });
}

/** The values of an enum, each in range, well named and with known options: (name) or `optionNames`. */
function enumValues(
  file: ProtoFile,
  node: protobuf.Enum,
  range: Range,
  optionNames: readonly string[],
): EnumValue[] {
  const seen = new Set<string>();
  return Object.entries(node.values).map(([protoName, id]) => {
    const options: Record<string, unknown> = node.valuesOptions?.[protoName] ?? {};
    checkOptionNames(file, protoName, options, ['(name)', ...optionNames], node, protoName);
    const name = options['(name)'] ?? protoName;
    if (typeof name !== 'string' || !NAME_PATTERN.test(name) || FALLBACK_NAME_PATTERN.test(name)) {
      const expected = 'a name in capitals that is not of the form COMMAND_99';
      throw invalid(file, `enum ${node.name}: expected ${expected}; found ${name}`, node, protoName);
    }
    if (seen.has(name)) throw invalid(file, `enum ${node.name}: duplicate name ${name}`, node, protoName);
    seen.add(name);
    if (id < range.min || id > range.max) {
      const what = `${name} must be from ${range.min} to ${range.max}; found ${id}`;
      throw invalid(file, `enum ${node.name}: ${what}`, node, protoName);
    }
    return { id, name, protoName, options };
  });
}

function checkEnumOptions(file: ProtoFile, node: protobuf.Enum, known: readonly string[]): void {
  checkOptionNames(file, `enum ${node.name}`, node.options ?? {}, known, node);
}

function checkOptionNames(
  file: ProtoFile,
  subject: string,
  options: Readonly<Record<string, unknown>>,
  known: readonly string[],
  node: protobuf.ReflectionObject,
  valueName?: string,
): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const expected = known.length === 0 ? 'no options' : known.join(', ');
  throw invalid(file, `${subject}: unknown option ${unknown}; expected ${expected}`, node, valueName);
}

/** All values of an option that may be repeated; `options` of protobufjs has the last one alone. */
function repeatedOption(node: protobuf.ReflectionObject, name: string): OptionValue[] {
  const options: Record<string, OptionValue>[] = node.parsedOptions ?? [];
  return options.flatMap((option) => option[name] ?? []);
}

function idRange(count: number): Range {
  return { min: 0, max: count - 1 };
}

function named({ id, name }: EnumValue): NamedNumber {
  return { id, name };
}

/** protobufjs says the line or, for duplicates, the enum. */
function syntaxError(file: ProtoFile, cause: unknown): ProtocolError {
  const message = errorMessage(cause);
  const line = /\(line (\d+)\)/.exec(message)?.[1] ?? lineOf(file, /in Enum (\w+)/.exec(message)?.[1]);
  return new ProtocolError('PROTOCOL_INVALID', `${at(file, line)}: ${message}`, { cause });
}

function invalid(
  file: ProtoFile,
  what: string,
  node?: protobuf.ReflectionObject,
  valueName?: string,
): ProtocolError {
  return new ProtocolError('PROTOCOL_INVALID', `${at(file, lineOf(file, node?.name, valueName))}: ${what}`);
}

function at(file: ProtoFile, line: string | number | null): string {
  return line === null ? file.path : `${file.path}:${line}`;
}

/** The line of an enum, message or enum value. Sought in the text, for protobufjs keeps no lines. */
function lineOf(file: ProtoFile, nodeName?: string, valueName?: string): number | null {
  if (nodeName === undefined) return null;
  const nodeAt = file.source.search(new RegExp(`\\b(?:enum|message)[ \\t]+${nodeName}\\b`));
  if (nodeAt < 0) return null;
  const valueAt =
    valueName === undefined ? 0 : file.source.slice(nodeAt).search(new RegExp(`\\b${valueName}\\s*=`));
  return file.source.slice(0, nodeAt + Math.max(valueAt, 0)).split('\n').length;
}
