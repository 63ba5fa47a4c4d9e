import { type Static, Type } from 'typebox';
import { AUDIT_ENTRIES_KEPT, COMMAND_TIMEOUT_MAX_MS, COMMAND_TIMEOUT_MIN_MS } from '../../shared/limits.ts';
import { Nullable, nullable } from '../nullable.ts';
import { SampleSchema } from '../schemas.ts';

/** What commands are asked and answered with. */

const NAME_CHARS_MAX = 100;

function nameOrNumber(description: string) {
  return Type.Unsafe<string | number>({
    type: ['string', 'integer'],
    maxLength: NAME_CHARS_MAX,
    description,
  });
}

/** Parts of an entry of the audit log that are what was asked, where that was refused. */
const Asked = {
  name: Type.Unsafe<string | number | null>({ type: ['string', 'integer', 'null'] }),
  value: Type.Unsafe<number | string | boolean | null>({ type: ['number', 'string', 'boolean', 'null'] }),
};

export const CommandSchema = Type.Object(
  {
    component_type: nameOrNumber('name in any letter case, or number'),
    component_id: nameOrNumber(
      'name in any letter case, or number; ALL (255) is every component of the type',
    ),
    command_id: nameOrNumber('name in any letter case, or number'),
    value: Type.Unsafe<number | string | boolean>({
      type: ['number', 'string', 'boolean'],
      maxLength: NAME_CHARS_MAX,
      description: "a number in the command's unit, or the name of a value; true or false for a BOOLEAN",
    }),
    value_type: Type.Optional(
      nameOrNumber(
        'as UINT8; needed where the protocol gives the command none, and not allowed to be another',
      ),
    ),
    bus: Type.Optional(
      Type.String({
        maxLength: NAME_CHARS_MAX,
        description: 'its name; needed where several can be sent on',
      }),
    ),
    timeout_s: Type.Optional(
      Type.Number({
        minimum: COMMAND_TIMEOUT_MIN_MS / 1000,
        maximum: COMMAND_TIMEOUT_MAX_MS / 1000,
        description: 'how long to wait for the echo; commands.timeout of the configuration by default',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'Command',
    examples: [{ component_type: 'LIGHTS', component_id: 'FRONT', command_id: 'MODE', value: 'ON' }],
  },
);

const NodeIdsSchema = (description: string) => Type.Array(Type.Integer(), { description });

export const CommandReplySchema = Type.Object(
  {
    id: Type.String({ description: 'that of the audit log' }),
    status: Type.Literal('acknowledged'),
    bus: Type.String(),
    sent: Type.Number({ description: 'when the command was on the bus, seconds since the epoch' }),
    acknowledged: Type.Number({ description: 'when the echo was' }),
    round_trip_ms: Type.Number(),
    echoed_by: NodeIdsSchema('CAN ids of the nodes that echoed it until then'),
    acked_by: NodeIdsSchema('CAN ids of the nodes that sent an ACK until then'),
    echo: nullable(
      SampleSchema,
      'the echo, as the history has it; null where the limit of series keeps it out',
    ),
    audited: Type.Boolean({ description: 'whether the audit log has it on the disk' }),
  },
  { title: 'CommandReply' },
);

export const CommandsQuerySchema = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: AUDIT_ENTRIES_KEPT,
        description: 'entries at most; 100 by default',
        examples: [10],
      }),
    ),
  },
  { additionalProperties: false },
);

export const CommandEntrySchema = Type.Object(
  {
    id: Type.String(),
    timestamp: Type.Number({ description: 'when it was asked, seconds since the epoch' }),
    principal: Type.String({ description: 'whose token it was' }),
    remote_address: Type.String(),
    bus: Nullable.string,
    component_type: Asked.name,
    component_id: Asked.name,
    command_id: Asked.name,
    value: Asked.value,
    value_name: Nullable.string,
    unit: Nullable.string,
    value_type: Asked.name,
    raw_value: Nullable.integer,
    emergency_stop: Type.Boolean(),
    outcome: Type.String({
      description: 'acknowledged, refused_by_node, timed_out, refused, failed, or sending while it is',
    }),
    code: Nullable.string,
    message: Nullable.string,
    sent: Nullable.number,
    round_trip_ms: Nullable.number,
    echoed_by: Type.Array(Type.Integer()),
    acked_by: Type.Array(Type.Integer()),
    sent_as: { ...Nullable.string, description: 'the emergency stop whose frame stood for this one, too' },
    asked: { ...Nullable.string, description: 'what was sent that is no command, shortened' },
    refusals_left_out: Type.Integer({
      description: 'refused attempts before it that have no entry, as they were too many',
    }),
  },
  { title: 'CommandEntry' },
);

export const CommandsSchema = Type.Object(
  { commands: Type.Array(CommandEntrySchema, { description: 'the newest first' }) },
  { title: 'Commands' },
);

export type CommandBody = Static<typeof CommandSchema>;
export type CommandReply = Static<typeof CommandReplySchema>;
export type CommandEntry = Static<typeof CommandEntrySchema>;
export type CommandsReply = Static<typeof CommandsSchema>;
