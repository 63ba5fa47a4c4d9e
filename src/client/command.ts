import type { Name } from './query.ts';

export type { CommandReply } from '../api/command/schemas.ts';

/** What to send, in names or numbers: protocol() tells which there are. */
export interface CommandRequest {
  readonly componentType: Name;
  /** ALL (255) is every component of the type. */
  readonly componentId: Name;
  readonly commandId: Name;
  /** A number in the command's unit, or the name of a value; true or false for a BOOLEAN. */
  readonly value: number | string | boolean;
  /** Needed where the protocol gives the command none. */
  readonly valueType?: Name | undefined;
  /** Needed where several can be sent on. */
  readonly bus?: string | undefined;
  /** How long to wait for the echo; as the service is configured by default. */
  readonly timeoutS?: number | undefined;
}
