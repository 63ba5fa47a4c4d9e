import { randomUUID } from 'node:crypto';
import type { NameOrNumber } from '../protocol/message-encoder.ts';
import type { AnswerSample } from './command-watch.ts';

/** Characters of a message that a line of the audit log has. */
const TEXT_CHARS_MAX = 500;

/** What a client asks for, in names or numbers. */
export interface CommandRequest {
  readonly componentType: NameOrNumber;
  readonly componentId: NameOrNumber;
  readonly commandId: NameOrNumber;
  readonly value: number | string | boolean;
  readonly valueType?: NameOrNumber;
  /** The only one that can be sent on, unless told. */
  readonly bus?: string;
  /** How long to wait for the echo; that of the configuration unless told. */
  readonly timeoutMs?: number;
}

/** Who asks. */
export interface Asker {
  readonly principal: string;
  readonly address: string;
}

/** An attempt that was refused before it was looked at. */
export interface CommandRefusal {
  readonly code: string;
  readonly message: string;
  /** What was sent, where it is known. */
  readonly asked: string | null;
}

/** That a node acts on a command. */
export interface CommandAnswer {
  readonly id: string;
  readonly bus: string;
  /** When our frame was on the bus, or, where it can't be seen there, was given to it; microseconds since the epoch. */
  readonly sentUs: number;
  readonly acknowledgedUs: number;
  readonly roundTripMs: number;
  /** The CAN ids of the nodes that echoed it until then, and of those that sent an ACK. */
  readonly echoedBy: readonly number[];
  readonly ackedBy: readonly number[];
  /** The echo as a sample; null where the limit of series keeps it out of the history. */
  readonly echo: AnswerSample | null;
  /** Whether the audit log has it on the disk. */
  readonly isAudited: boolean;
}

/**
 * What became of a command:
 *
 *   sending          about to be sent; a line of it without another after it means that the service ended meanwhile
 *   acknowledged     a node echoed it
 *   refused_by_node  a node answered with an ERROR
 *   timed_out        it was sent, and no node answered in time
 *   refused          it wasn't sent: not allowed, not understood, or too many at once
 *   failed           it couldn't be sent, or the service was stopped while it waited
 */
export const COMMAND_OUTCOMES = [
  'sending',
  'acknowledged',
  'refused_by_node',
  'timed_out',
  'refused',
  'failed',
] as const;
export type CommandOutcome = (typeof COMMAND_OUTCOMES)[number];

/** A line of the audit log. Of one id the last counts. */
export interface CommandRecord {
  readonly id: string;
  /** When it was asked, in ISO 8601. */
  readonly time: string;
  readonly principal: string;
  readonly remote_address: string;
  readonly bus: string | null;
  /** Names; or what was asked, where that was refused. */
  readonly component_type: NameOrNumber | null;
  readonly component_id: NameOrNumber | null;
  readonly command_id: NameOrNumber | null;
  /** Physical, in `unit`; or what was asked. */
  readonly value: number | string | boolean | null;
  readonly value_name: string | null;
  readonly unit: string | null;
  readonly value_type: NameOrNumber | null;
  readonly raw_value: number | null;
  readonly emergency_stop: boolean;
  readonly outcome: CommandOutcome;
  /** Of a command that came to nothing: the error's code, and its message. */
  readonly code: string | null;
  readonly message: string | null;
  /** Seconds since the epoch: when it was on the bus. */
  readonly sent: number | null;
  readonly round_trip_ms: number | null;
  readonly echoed_by: readonly number[];
  readonly acked_by: readonly number[];
  /** The emergency stop whose frame stood for this one, too. */
  readonly sent_as: string | null;
  /** What a client sent that is no command, shortened. */
  readonly asked: string | null;
  /** Refused attempts before it that have no line of their own, as they were too many. */
  readonly refusals_left_out: number;
}

/** What is known of an attempt before it is understood. */
export function draftOf(request: CommandRequest | null, { principal, address }: Asker): CommandRecord {
  return {
    id: randomUUID(),
    time: new Date().toISOString(),
    principal,
    remote_address: address,
    bus: request?.bus ?? null,
    component_type: request?.componentType ?? null,
    component_id: request?.componentId ?? null,
    command_id: request?.commandId ?? null,
    value: request?.value ?? null,
    value_name: null,
    unit: null,
    value_type: request?.valueType ?? null,
    raw_value: null,
    emergency_stop: false,
    outcome: 'refused',
    code: null,
    message: null,
    sent: null,
    round_trip_ms: null,
    echoed_by: [],
    acked_by: [],
    sent_as: null,
    asked: null,
    refusals_left_out: 0,
  };
}

/** What is told of a text of any length. */
export function shortened(text: string, chars = TEXT_CHARS_MAX): string {
  return text.length > chars ? `${text.slice(0, chars)}…` : text;
}
