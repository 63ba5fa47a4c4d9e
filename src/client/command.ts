import type { SampleReply } from '../api/schemas.ts';
import type { Name } from './query.ts';

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

/** A command that the vehicle has acknowledged. Stands in for that of src/api/command/schemas.ts. */
export interface CommandReply {
  /** That of the audit log. */
  id: string;
  status: 'acknowledged';
  bus: string;
  /** Seconds since the epoch. */
  sent: number;
  acknowledged: number;
  round_trip_ms: number;
  echoed_by: number[];
  acked_by: number[];
  echo: SampleReply | null;
  audited: boolean;
}
