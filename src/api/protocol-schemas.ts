import { type Static, Type } from 'typebox';
import { Nullable } from './nullable.ts';

/** What the bus can say, as it goes over the wire. */

const EntrySchema = Type.Object({ id: Type.Integer(), name: Type.String() }, { title: 'NamedNumber' });

const VALUE_NAMES = { type: ['object', 'null'], additionalProperties: { type: 'string' } };

const CommandCatalogSchema = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    unit: { ...Nullable.string, description: 'of the physical value' },
    scale: Type.Number({ description: 'value = raw value × scale' }),
    value_type: { ...Nullable.string, description: 'the type that its value is sent with' },
    values: Type.Unsafe<Record<string, string> | null>({
      ...VALUE_NAMES,
      description: 'names by raw value; null where values have no names',
    }),
    values_by_component: Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), {
      description: 'the components whose values have other names',
    }),
  },
  { title: 'CommandDefinition' },
);

export const ComponentTypeSchema = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    components: Type.Array(EntrySchema),
    commands: Type.Array(CommandCatalogSchema),
    error_values: Type.Unsafe<Record<string, string> | null>({
      ...VALUE_NAMES,
      description: 'what the value of an ERROR message means; null where it means what the command says',
    }),
  },
  { title: 'ComponentType' },
);

export const ProtocolSchema = Type.Object(
  {
    message_types: Type.Array(EntrySchema),
    value_types: Type.Array(EntrySchema),
    component_types: Type.Record(Type.String(), ComponentTypeSchema, { description: 'by name' }),
  },
  { title: 'Protocol' },
);

export type ComponentTypeReply = Static<typeof ComponentTypeSchema>;
export type ProtocolReply = Static<typeof ProtocolSchema>;
