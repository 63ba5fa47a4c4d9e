import type { SampleBody } from './sample-body.ts';
import type { Cause, ControlMessage, Encoding } from './schemas.ts';

/** What a message of samples says besides them, and of whose subscription it is. */
export interface SamplesHead {
  readonly cause: Cause;
  readonly seq: number;
  readonly missed: number;
  readonly thinned: number;
}

/** How messages name a subscription. */
export interface SubscriptionName {
  readonly id: string;
  /** In binary messages. */
  readonly ordinal: number;
}

/** A client's connection. What is written waits in memory until the kernel takes it: who writes looks at unsentBytes. */
export interface Outlet {
  readonly encoding: Encoding;
  /** Bytes that were written and that the kernel hasn't taken. */
  readonly unsentBytes: number;
  /** Both return the bytes that they wrote. */
  control(message: ControlMessage): number;
  samples(of: SubscriptionName, head: SamplesHead, body: SampleBody): number;
  /** From cork() to uncork() messages gather, and go to the kernel at once. */
  cork(): void;
  uncork(): void;
  /** Asks for a sign of life; false where the protocol has none. */
  ping(): boolean;
  /** Ends the connection in the protocol's way, with a code of WebSocket's. */
  close(code: number, reason: string): void;
  /** Ends it at once. */
  terminate(): void;
}
