import { HISTORY_QUERIES_WAITING_MAX, STREAM_CLIENTS_MAX } from '../../shared/limits.ts';

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
    message: "'/api/protocol/%E0%A4%A' is not a valid url component",
  },
  URL_TOO_LONG: {
    when: 'a part of the path has more than 200 characters',
    message: "'/api/protocol/MMM…' is exceeding the max param length",
  },
  HISTORY_READ_FAILED: {
    when: 'the history could not be read; the log of the service says why',
    message: "The history's reader ended before it answered.",
  },
  HISTORY_BUSY: {
    when: 'too many queries wait for the history',
    message: `${HISTORY_QUERIES_WAITING_MAX} queries already wait for the history: try again in a second.`,
  },
  HISTORY_CLOSED: {
    when: 'the service is stopping',
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
