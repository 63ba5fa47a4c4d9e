import {
  API_EXPORTS_MAX,
  API_PATH_PART_CHARS_MAX,
  COMMAND_BODY_BYTES_MAX,
  COMMANDS_PER_SECOND_MAX,
  COMMANDS_WAITING_MAX,
  HISTORY_QUERIES_WAITING_MAX,
  SEND_QUEUE_FRAMES_MAX,
  STREAM_CLIENTS_MAX,
} from '../../shared/limits.ts';

export interface Problem {
  /** When it is, for the document. */
  readonly when: string;
  /** A message as it is given. */
  readonly message: string;
}

/**
 * The codes of what the API refuses, which programs go by. A code has one meaning, and may come with several status codes: a
 * component that is unknown is 404 in a path and 400 in a parameter.
 */
export const PROBLEMS = {
  QUERY_INVALID: {
    when: 'a parameter is missing, unknown, or not as its schema says',
    message: 'Expected limit to be an integer from 1 to 10000, found 0.',
  },
  TIME_INVALID: {
    when: 'a time is neither epoch seconds nor ISO 8601, or `from` is later than `to`',
    message:
      'Expected from as seconds since the epoch (1764000000.5) or ISO 8601 (2025-11-24T16:00:00.5Z), found "yesterday".',
  },
  SIGNAL_INVALID: {
    when: 'a signal is not component type/component id/command id',
    message:
      'Expected signal to be component type/component id/command id, such as MOTORS/MOTOR_LEFT_REAR/RPM, found "RPM".',
  },
  COMPONENT_TYPE_UNKNOWN: {
    when: 'the protocol has no such component type',
    message:
      'There is no component type "ENGINES". There are: LIGHTS, MOTORS, BATTERIES, CONTROLS, NAVIGATION, SYSTEM_MONITOR, CAN_BUS, or a number from 0 to 7.',
  },
  COMPONENT_UNKNOWN: {
    when: 'the component type has no such component',
    message:
      'There is no component "FRONT" of MOTORS. There are: MOTOR_LEFT_REAR, MOTOR_RIGHT_REAR, MOTOR_LEFT_FRONT, MOTOR_RIGHT_FRONT, ALL, or a number from 0 to 255.',
  },
  COMMAND_UNKNOWN: {
    when: 'the component type has no such command',
    message:
      'There is no command "FLY" of MOTORS. There are: THROTTLE, RPM, DIRECTION, BRAKE, MODE, ENABLE, EMERGENCY, TORQUE, CALIBRATE, TEMPERATURE, VOLTAGE, CURRENT, PRESSURE, or a number from 0 to 255.',
  },
  MESSAGE_TYPE_UNKNOWN: {
    when: 'there is no such message type',
    message: 'There is no message type "REPLY". There are: COMMAND, STATUS, ACK, ERROR.',
  },
  COMPONENT_NOT_HEARD: {
    when: 'the component exists, but nothing has been heard of it',
    message: 'BATTERIES/ACCESSORY has not been heard. Heard so far: MOTORS/MOTOR_LEFT_REAR.',
  },
  URL_INVALID: {
    when: 'the path has a % that two hexadecimal digits of UTF-8 do not follow',
    message: 'Expected each % in the path to be followed by two hexadecimal digits, of UTF-8.',
  },
  URL_TOO_LONG: {
    when: `a part of the path has more than ${API_PATH_PART_CHARS_MAX} characters`,
    message: `Expected each part of the path to have at most ${API_PATH_PART_CHARS_MAX} characters.`,
  },
  HISTORY_READ_FAILED: {
    when: 'the history could not be read; the log of the service says why',
    message: "The history's reader ended before it answered.",
  },
  HISTORY_BUSY: {
    when: 'too many queries wait for the history',
    message: `${HISTORY_QUERIES_WAITING_MAX} queries already wait for the history: try again in a second.`,
  },
  EXPORTS_BUSY: {
    when: 'as many exports are under way as there may be',
    message: `${API_EXPORTS_MAX} exports are under way, and no more at once: try again when one has ended.`,
  },
  HISTORY_CLOSED: {
    when: 'the service is stopping, or has found the disk full or failing at its start',
    message: 'The history is closed: the service is stopping.',
  },
  UPGRADE_REQUIRED: {
    when: 'the request asks for no WebSocket',
    message:
      'This is for WebSocket clients: connect with ws:// instead of http://. Plain HTTP has GET /api/events.',
  },
  STREAM_FULL: {
    when: 'as many clients follow the live stream as there may be, or have subscribed to as many different sets of signals',
    message: `${STREAM_CLIENTS_MAX} clients already follow the live stream, which is all there may be: try again later.`,
  },
  COMMAND_INVALID: {
    when: 'the body is not of the form of a command',
    message:
      'Expected component_id, command_id, value, found none. It has component_type, component_id, command_id, value and may have value_type, bus, timeout_s.',
  },
  BODY_INVALID: {
    when: 'the body is empty, or no JSON',
    message: 'Expected a body of JSON, found none.',
  },
  BODY_TOO_LARGE: {
    when: 'the body has too many bytes',
    message: `Expected a body of at most ${COMMAND_BODY_BYTES_MAX} bytes.`,
  },
  BODY_NOT_JSON: {
    when: 'the body is not said to be JSON',
    message: 'Expected a body of JSON, with the header Content-Type: application/json, found "text/plain".',
  },
  VALUE_TYPE_NEEDED: {
    when: 'the protocol gives the command no value type, and neither does the request',
    message:
      'The protocol gives CONTROLS/PARAMETER no value type: give the value_type that the node expects, one of BOOLEAN, INT8, UINT8, INT16, UINT16, INT24, UINT24.',
  },
  VALUE_TYPE_UNKNOWN: {
    when: 'there is no such value type',
    message: 'There is no value type "FLOAT". There are: BOOLEAN, INT8, UINT8, INT16, UINT16, INT24, UINT24.',
  },
  VALUE_TYPE_WRONG: {
    when: 'the protocol gives the command another value type',
    message: 'The value of LIGHTS/MODE is sent as UINT8, not as UINT16: leave the value_type out.',
  },
  VALUE_UNKNOWN: {
    when: 'the command has named values, and this is none of them',
    message: 'Expected as value of LIGHTS/SIGNAL one of NONE (0), LEFT (1), RIGHT (2), found "UP".',
  },
  VALUE_INVALID: {
    when: 'the value is no number, and the command has no named values',
    message: 'Expected as value of MOTORS/THROTTLE a number from 0 to 255 %, found "full".',
  },
  VALUE_OUT_OF_RANGE: {
    when: 'the value does not fit its type',
    message: 'Expected as value of MOTORS/THROTTLE a number from 0 to 255 %, found 256.',
  },
  VALUE_NOT_EXACT: {
    when: 'the wire has no number for the value',
    message:
      "0.5 can't be sent exactly: the value of MOTORS/THROTTLE is a number from 0 to 255 %. Next to it are 0 and 1.",
  },
  BUS_NEEDED: {
    when: 'several buses can be sent on, or none',
    message: 'Commands can be sent on these buses: can0, can1. Say which, as "bus".',
  },
  BUS_UNKNOWN: {
    when: 'there is no such bus',
    message: 'There is no bus "can9". Commands can be sent on: can0.',
  },
  BUS_READ_ONLY: {
    when: 'the bus is a log that is replayed',
    message: 'The bus "drive" is a log that is replayed. Commands can be sent on: can0.',
  },
  COMMANDS_DISABLED: {
    when: 'commands are off',
    message: 'Commands are off: to allow them start the service with --commands on.',
  },
  COMMANDS_TOO_MANY: {
    when: 'more commands a second than go out to the vehicle',
    message: `At most ${COMMANDS_PER_SECOND_MAX} commands a second go out to the vehicle, so this one wasn't sent. Send it again in a moment.`,
  },
  COMMAND_REFUSED: {
    when: 'a node answered with an ERROR',
    message:
      'Node 2 answered MOTORS/MOTOR_LEFT_REAR/ENABLE = 1 with an ERROR of MOTOR_LEFT_REAR: ERROR_OVERTEMP.',
  },
  BUS_UNAVAILABLE: {
    when: 'the bus is not open',
    message: 'The bus can0 is not open, so nothing was sent. The interface can0 is down.',
  },
  BUS_SEND_FAILED: {
    when: 'the interface did not take the frame',
    message: "For 1000 ms the interface's queue had no room for the frame.",
  },
  BUS_SEND_QUEUE_FULL: {
    when: 'too many frames wait to be sent',
    message: `${SEND_QUEUE_FRAMES_MAX} frames already wait to be sent on can0.`,
  },
  COMMANDS_WAITING: {
    when: 'too many commands wait for their echoes',
    message: `${COMMANDS_WAITING_MAX} commands already wait for their echoes, so this one wasn't sent. Send it again when one of them has ended.`,
  },
  COMMAND_NOT_AUDITED: {
    when: 'the audit log could not be written, so nothing was sent; an emergency stop is sent all the same',
    message: "The command wasn't sent, as it couldn't be noted down.",
  },
  SERVICE_STOPPING: {
    when: 'the service is stopping',
    message: 'The service is stopping: nothing is sent any more.',
  },
  COMMAND_NOT_ACKNOWLEDGED: {
    when: 'it was sent, but no node echoed it in time',
    message:
      'LIGHTS/FRONT/MODE = ON was sent on can0 at 1764000000.120, but no node echoed it within 1 s: it may have been acted on or not.',
  },
  LOG_FILE_NONE: {
    when: 'the log is not written to a file',
    message: 'The log is not written to a file: log.file is none.',
  },
  TOKEN_MISSING: {
    when: 'this needs a token, and the request has none',
    message: 'This needs a token with the scope read: send it as Authorization: Bearer TOKEN.',
  },
  TOKEN_INVALID: {
    when: 'the token is not, or no longer, one of the service',
    message: 'The token is not one of this service. Ask whoever runs it for another.',
  },
  SCOPE_MISSING: {
    when: 'the token is good, but not for this',
    message: 'This needs a token with the scope export; the one given has read.',
  },
  RATE_LIMITED: {
    when: 'the client has asked more often than it may',
    message: 'More than 500 requests in a second: try again in a second.',
  },
} as const satisfies Readonly<Record<string, Problem>>;

export type ProblemCode = keyof typeof PROBLEMS;
