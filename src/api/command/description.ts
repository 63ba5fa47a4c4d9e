import { SAMPLES_EXAMPLE } from '../openapi/examples.ts';
import { json, problems } from '../openapi/responses.ts';
import { type CommandEntry, type CommandReply, CommandReplySchema, CommandsSchema } from './schemas.ts';

/** What the document says of the routes of commands. */

const COMMAND_REPLY_EXAMPLE: CommandReply = {
  id: '0b9f6f0e-5a53-4d5c-8f3e-6c1f2a7d9b10',
  status: 'acknowledged',
  bus: 'can0',
  sent: 1764000000.120356,
  acknowledged: 1764000000.123456,
  round_trip_ms: 3.1,
  echoed_by: [2],
  acked_by: [],
  echo: SAMPLES_EXAMPLE[0]!,
  audited: true,
};

const ENTRY_EXAMPLE: CommandEntry = {
  id: COMMAND_REPLY_EXAMPLE.id,
  timestamp: 1764000000.119,
  principal: 'driver',
  remote_address: '127.0.0.1',
  bus: 'can0',
  component_type: 'LIGHTS',
  component_id: 'FRONT',
  command_id: 'MODE',
  value: 1,
  value_name: 'ON',
  unit: null,
  value_type: 'UINT8',
  raw_value: 1,
  emergency_stop: false,
  outcome: 'acknowledged',
  code: null,
  message: null,
  sent: 1764000000.120356,
  round_trip_ms: 3.1,
  echoed_by: [2],
  acked_by: [],
  sent_as: null,
  asked: null,
  refusals_left_out: 0,
};

export const COMMAND_DESCRIPTION = {
  operationId: 'sendCommand',
  summary: 'Send a command to the vehicle',
  description:
    'Sends a COMMAND frame, and answers when a node has echoed it as a STATUS. Off unless `commands.enabled` is on. Every attempt goes into the audit log, ahead of the frame; an emergency stop goes out whatever else waits, and even where the log cannot be written.',
  tags: ['Commands'],
  response: {
    200: json('A node acts on it', CommandReplySchema, COMMAND_REPLY_EXAMPLE),
    ...problems({
      400: [
        'COMMAND_INVALID',
        'BODY_INVALID',
        'COMPONENT_TYPE_UNKNOWN',
        'COMPONENT_UNKNOWN',
        'COMMAND_UNKNOWN',
        'VALUE_TYPE_NEEDED',
        'VALUE_TYPE_UNKNOWN',
        'VALUE_TYPE_WRONG',
        'VALUE_UNKNOWN',
        'VALUE_INVALID',
        'VALUE_OUT_OF_RANGE',
        'VALUE_NOT_EXACT',
        'BUS_NEEDED',
        'BUS_UNKNOWN',
        'BUS_READ_ONLY',
      ],
      404: ['COMMANDS_DISABLED'],
      413: ['BODY_TOO_LARGE'],
      415: ['BODY_NOT_JSON'],
      429: ['COMMANDS_TOO_MANY', 'RATE_LIMITED'],
      502: ['COMMAND_REFUSED'],
      503: [
        'BUS_UNAVAILABLE',
        'BUS_SEND_FAILED',
        'BUS_SEND_QUEUE_FULL',
        'COMMANDS_WAITING',
        'COMMAND_NOT_AUDITED',
        'SERVICE_STOPPING',
      ],
      504: ['COMMAND_NOT_ACKNOWLEDGED'],
    }),
  },
};

export const COMMANDS_DESCRIPTION = {
  operationId: 'getCommands',
  summary: 'The newest entries of the audit log',
  description: 'Who asked for which command, when, and what became of it: refused attempts, too.',
  tags: ['Commands'],
  response: {
    200: json('The entries, the newest first', CommandsSchema, { commands: [ENTRY_EXAMPLE] }),
    ...problems({ 400: ['QUERY_INVALID'], 404: ['COMMANDS_DISABLED'] }),
  },
};
