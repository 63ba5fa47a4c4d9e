/**
 * What the numbers on the bus are called and what their values mean, from the .proto files.
 *
 * All tables are built once at load. After that every lookup is an array or Map access, and every
 * number has a name: one without a definition keeps its number, as COMMAND_99.
 */

import { fileURLToPath } from 'node:url';
import {
  ALL_COMPONENTS,
  type CommandDefinition,
  type ComponentTypeDefinition,
  ID_COUNT,
  type NamedNumber,
  type ProtocolDefinition,
  readProtoFiles,
  type ValueEnumDefinition,
} from './proto-files.ts';

/** What is known of one quantity. Plain data: it crosses threads and goes into the database. */
export interface SignalDefinition {
  /** Names; what has none keeps its number: TYPE_6, COMPONENT_42, COMMAND_99, VALUE_TYPE_9. */
  messageType: string;
  componentType: string;
  componentId: string;
  commandId: string;
  valueType: string;
  /** Unit of the physical value; null for a bare number, a boolean or a named value. */
  unit: string | null;
  /** Physical units per raw count: value = rawValue * scale. */
  scale: number;
  /** Names by raw value, where values have names. */
  valueNames: Record<number, string> | null;
}

/** Names by raw value. */
export type ValueNames = Readonly<Record<number, string>>;

/** A named number as it goes over the wire of the API. */
export interface CatalogEntry {
  id: number;
  name: string;
}

/** One command of a component type, as GET /api/protocol gives it. */
export interface CommandCatalog extends CatalogEntry {
  unit: string | null;
  scale: number;
  /** The type its value is sent with; null where the definition names none. */
  value_type: string | null;
  values: ValueNames | null;
  /** The components whose values have other names than `values`. */
  values_by_component: Record<string, ValueNames>;
}

/** One component type, as GET /api/protocol/{component_type} gives it. */
export interface ComponentTypeCatalog extends CatalogEntry {
  components: CatalogEntry[];
  commands: CommandCatalog[];
  /** What the value of an ERROR message means; null where it means what the command says. */
  error_values: ValueNames | null;
}

/** Everything the bus can say, as GET /api/protocol gives it. */
export interface ProtocolCatalog {
  message_types: CatalogEntry[];
  value_types: CatalogEntry[];
  component_types: Record<string, ComponentTypeCatalog>;
}

/** src/protocol and dist/protocol are equally far from protocol/kart. */
const DEFAULT_DIRECTORY = fileURLToPath(new URL('../../protocol/kart', import.meta.url));

export class ProtocolRegistry {
  /** The text of each .proto file that it was read from, by its name. */
  readonly files: Readonly<Record<string, string>>;
  readonly #messageTypes: NameTable;
  readonly #valueTypes: NameTable;
  readonly #componentTypes: NameTable;
  readonly #typeTables: (TypeTables | undefined)[] = [];
  readonly #unassignedType: TypeTables;
  /** null in a protocol whose message types have no ERROR. */
  readonly #errorMessageType: number | null;

  private constructor(definition: ProtocolDefinition, further: readonly ComponentTypeDefinition[]) {
    this.files = definition.files;
    this.#messageTypes = new NameTable('MESSAGE_TYPE', ID_COUNT.messageType, definition.messageTypes);
    this.#valueTypes = new NameTable('VALUE_TYPE', ID_COUNT.valueType, definition.valueTypes);
    const componentTypes = [...definition.componentTypes, ...further];
    this.#componentTypes = new NameTable('TYPE', ID_COUNT.componentType, componentTypes);
    for (const type of componentTypes) this.#typeTables[type.id] = typeTables(type);
    this.#unassignedType = typeTables({ components: [ALL_COMPONENTS], commands: [], valueEnums: [] });
    this.#errorMessageType = definition.messageTypes.find(({ name }) => name === 'ERROR')?.id ?? null;
  }

  /**
   * Reads every .proto file of `directory`; takes about 10 ms. `further` are component types that aren't of the wire.
   * @throws ProtocolError PROTOCOL_NOT_FOUND where there are none, PROTOCOL_INVALID with file and line
   * where they can't be used.
   */
  static load(
    directory: string = DEFAULT_DIRECTORY,
    further: readonly ComponentTypeDefinition[] = [],
  ): ProtocolRegistry {
    return new ProtocolRegistry(readProtoFiles(directory), further);
  }

  // Number to name: any number has one.

  messageTypeName(messageType: number): string {
    return this.#messageTypes.nameOf(messageType);
  }

  componentTypeName(componentType: number): string {
    return this.#componentTypes.nameOf(componentType);
  }

  componentName(componentType: number, componentId: number): string {
    return this.#tablesOf(componentType).components.nameOf(componentId);
  }

  commandName(componentType: number, commandId: number): string {
    return this.#tablesOf(componentType).commands.nameOf(commandId);
  }

  valueTypeName(valueType: number): string {
    return this.#valueTypes.nameOf(valueType);
  }

  // Name to number: a name in letters of any case, a fallback name (COMMAND_99), or the number
  // itself, also as a decimal string. null where there is no such name or the field can't hold it.

  messageTypeNumber(nameOrNumber: string | number): number | null {
    return this.#messageTypes.numberOf(nameOrNumber);
  }

  componentTypeNumber(nameOrNumber: string | number): number | null {
    return this.#componentTypes.numberOf(nameOrNumber);
  }

  componentNumber(componentType: number, nameOrNumber: string | number): number | null {
    return this.#tablesOf(componentType).components.numberOf(nameOrNumber);
  }

  commandNumber(componentType: number, nameOrNumber: string | number): number | null {
    return this.#tablesOf(componentType).commands.numberOf(nameOrNumber);
  }

  valueTypeNumber(nameOrNumber: string | number): number | null {
    return this.#valueTypes.numberOf(nameOrNumber);
  }

  /** The raw value of a value's name, in letters of any case; null where the quantity has no such name. */
  valueNumber(
    messageType: number,
    componentType: number,
    componentId: number,
    commandId: number,
    name: string,
  ): number | null {
    const values = this.#valuesOf(messageType, componentType, componentId, commandId);
    return values?.numbers.get(name.toUpperCase()) ?? null;
  }

  isKnownComponentType(componentType: number): boolean {
    return this.#componentTypes.has(componentType);
  }

  /** 255 (ALL) is a component of every type, also of an unassigned one. */
  isKnownComponent(componentType: number, componentId: number): boolean {
    return this.#tablesOf(componentType).components.has(componentId);
  }

  isKnownCommand(componentType: number, commandId: number): boolean {
    return this.#tablesOf(componentType).commands.has(commandId);
  }

  /** The type to send a command's value with; null where none is defined. */
  valueTypeOf(componentType: number, commandId: number): number | null {
    return this.#tablesOf(componentType).commandTables[commandId]?.definition.valueType ?? null;
  }

  /**
   * Everything known of one quantity, from the numbers of its frame. An ERROR message of a type with
   * error values carries one of those whatever its command, so it has no unit.
   */
  describe(
    messageType: number,
    componentType: number,
    componentId: number,
    commandId: number,
    valueType: number,
  ): SignalDefinition {
    const tables = this.#tablesOf(componentType);
    const carriesErrorValue = this.#carriesErrorValue(messageType, tables);
    const command = carriesErrorValue ? undefined : tables.commandTables[commandId]?.definition;
    return {
      messageType: this.messageTypeName(messageType),
      componentType: this.componentTypeName(componentType),
      componentId: tables.components.nameOf(componentId),
      commandId: tables.commands.nameOf(commandId),
      valueType: this.valueTypeName(valueType),
      unit: command?.unit ?? null,
      scale: command?.scale ?? 1,
      valueNames: this.#valuesOf(messageType, componentType, componentId, commandId)?.names ?? null,
    };
  }

  /** All definitions as plain JSON data. */
  catalog(): ProtocolCatalog;
  /** One component type's definitions; null where the type is unassigned. */
  catalog(componentType: number): ComponentTypeCatalog | null;
  catalog(componentType?: number): ProtocolCatalog | ComponentTypeCatalog | null {
    if (componentType !== undefined) return this.#typeCatalog(componentType);
    return {
      message_types: this.#messageTypes.entries(),
      value_types: this.#valueTypes.entries(),
      component_types: Object.fromEntries(
        this.#componentTypes.entries().map(({ id, name }) => [name, this.#typeCatalog(id)!]),
      ),
    };
  }

  #typeCatalog(componentType: number): ComponentTypeCatalog | null {
    const tables = this.#typeTables[componentType];
    if (tables === undefined) return null;
    return {
      id: componentType,
      name: this.componentTypeName(componentType),
      components: tables.components.entries(),
      commands: tables.commands.entries().map(({ id, name }) => {
        const { definition, values, valuesByComponent } = tables.commandTables[id]!;
        return {
          id,
          name,
          unit: definition.unit,
          scale: definition.scale,
          value_type: definition.valueType === null ? null : this.valueTypeName(definition.valueType),
          values: values?.names ?? null,
          values_by_component: Object.fromEntries(
            Array.from(valuesByComponent, ([id, { names }]) => [tables.components.nameOf(id), names]),
          ),
        };
      }),
      error_values: tables.errorValues?.names ?? null,
    };
  }

  #tablesOf(componentType: number): TypeTables {
    return this.#typeTables[componentType] ?? this.#unassignedType;
  }

  #carriesErrorValue(messageType: number, tables: TypeTables): boolean {
    return messageType === this.#errorMessageType && tables.errorValues !== null;
  }

  #valuesOf(
    messageType: number,
    componentType: number,
    componentId: number,
    commandId: number,
  ): ValueTable | null {
    const tables = this.#tablesOf(componentType);
    if (this.#carriesErrorValue(messageType, tables)) return tables.errorValues;
    const command = tables.commandTables[commandId];
    return command?.valuesByComponent.get(componentId) ?? command?.values ?? null;
  }
}

/** The names of one field of the frame, both ways. */
class NameTable {
  readonly #prefix: string;
  readonly #known: readonly NamedNumber[];
  readonly #numbers: ReadonlyMap<string, number>;
  /** A name for each number the field can hold. */
  readonly #names: readonly string[];
  readonly #numberPattern: RegExp;

  constructor(prefix: string, count: number, known: readonly NamedNumber[]) {
    this.#prefix = prefix;
    this.#known = known;
    this.#numbers = new Map(known.map(({ name, id }) => [name.toUpperCase(), id]));
    const names = Array.from({ length: count }, (_, number) => `${prefix}_${number}`);
    for (const { id, name } of known) names[id] = name;
    this.#names = names;
    this.#numberPattern = new RegExp(`^(?:${prefix}_)?(0|[1-9]\\d*)$`);
  }

  nameOf(number: number): string {
    return this.#names[number] ?? `${this.#prefix}_${number}`;
  }

  numberOf(nameOrNumber: string | number): number | null {
    if (typeof nameOrNumber === 'number')
      return this.#names[nameOrNumber] === undefined ? null : nameOrNumber;
    const name = nameOrNumber.toUpperCase();
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const digits = this.#numberPattern.exec(name)?.[1];
    return digits === undefined ? null : this.numberOf(Number(digits));
  }

  has(number: number): boolean {
    const name = this.#names[number];
    return name !== undefined && this.#numbers.has(name.toUpperCase());
  }

  entries(): CatalogEntry[] {
    return this.#known.map(({ id, name }) => ({ id, name }));
  }
}

interface ValueTable {
  readonly names: Record<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

interface CommandTables {
  readonly definition: CommandDefinition;
  values: ValueTable | null;
  readonly valuesByComponent: Map<number, ValueTable>;
}

interface TypeTables {
  readonly components: NameTable;
  readonly commands: NameTable;
  /** By command id, with holes where an id has no definition. */
  readonly commandTables: (CommandTables | undefined)[];
  errorValues: ValueTable | null;
}

function typeTables(type: Omit<ComponentTypeDefinition, 'id' | 'name'>): TypeTables {
  const tables: TypeTables = {
    components: new NameTable('COMPONENT', ID_COUNT.component, type.components),
    commands: new NameTable('COMMAND', ID_COUNT.command, type.commands),
    commandTables: [],
    errorValues: null,
  };
  for (const definition of type.commands) {
    tables.commandTables[definition.id] = { definition, values: null, valuesByComponent: new Map() };
  }
  for (const valueEnum of type.valueEnums) addValueEnum(tables, valueEnum);
  return tables;
}

function addValueEnum(tables: TypeTables, valueEnum: ValueEnumDefinition): void {
  const values: ValueTable = {
    // Frozen, because every SignalDefinition of the quantity shares it.
    names: Object.freeze(Object.fromEntries(valueEnum.values.map(({ id, name }) => [id, name]))),
    numbers: new Map(valueEnum.values.map(({ id, name }) => [name, id])),
  };
  if (valueEnum.isOfErrors) tables.errorValues = values;
  for (const commandId of valueEnum.commandIds) {
    const command = tables.commandTables[commandId]!;
    if (valueEnum.componentIds.length === 0) command.values = values;
    for (const componentId of valueEnum.componentIds) command.valuesByComponent.set(componentId, values);
  }
}
