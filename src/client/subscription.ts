import type { SampleReply } from '../api/schemas.ts';
import { CollectorClientError, throwUncaught } from './client-error.ts';
import type { Name } from './query.ts';
import { type BinaryMessage, type SampleColumns, samplesOf, type UpdateInfo } from './sample-columns.ts';
import type {
  ErrorMessage,
  GapMessage,
  SamplesMessage,
  SubscribedMessage,
  SubscribeMessage,
} from './stream-messages.ts';

/** What a subscription asks for. */
export interface SubscribeRequest {
  // Patterns: MOTORS/MOTOR_LEFT_REAR/RPM; `*` stands for any part, as in MOTORS/*/RPM, and `**` for all that follow.
  readonly signals: readonly string[];
  /** The latest of each signal so often at most, 0.1 to 1000; without it every sample comes. */
  readonly maxHz?: number | undefined;
  /** What comes after this sequence number, from the history first. */
  readonly since?: number | undefined;
  /** Whether the latest of each signal comes first; by default it does, unless `since` is given. */
  readonly snapshot?: boolean | undefined;
  readonly messageType?: Name | undefined;
  readonly bus?: string | undefined;
  /**
   * Whether, after a lost connection, it goes on where it was; otherwise it begins anew with a snapshot.
   * By default it goes on where every sample comes, and begins anew where `maxHz` is given.
   */
  readonly resume?: boolean | undefined;
}

/** Samples that are left out of what a subscription resumes. */
export type StreamGap = Pick<GapMessage, 'from_seq' | 'to_seq' | 'reason'>;

export interface SubscribeOptions {
  /** Ends the subscription. */
  readonly signal?: AbortSignal | undefined;
  readonly onGap?: ((gap: StreamGap) => void) | undefined;
  /** The service refuses it; by default that is an uncaught error. */
  readonly onError?: ((error: CollectorClientError) => void) | undefined;
}

/** A subscription as its owner sees it. */
export interface StreamSubscription {
  /** All up to this sequence number has been considered; null before anything has been. */
  readonly seq: number | null;
  /** How many signals matched when the service accepted it; new ones join. Null until then. */
  readonly signals: number | null;
  unsubscribe(): void;
}

export type OnSamples = (samples: SampleReply[], update: UpdateInfo) => void;
export type OnColumns = (columns: SampleColumns, update: UpdateInfo) => void;

/** Who takes what comes: one of the two. */
export interface Taker {
  readonly onSamples?: OnSamples;
  readonly onColumns?: OnColumns;
}

/**
 * What one subscription asks for and how far it has come, over all connections.
 *
 * After a subscribe message everything up to its "subscribed" is of the one before it, and passed over.
 */
export class Subscription implements StreamSubscription {
  readonly id: string;
  /** By which binary messages name it; null until the service has told. */
  ordinal: number | null = null;
  /** How many signals matched when the service accepted it; null until then. */
  signals: number | null = null;
  readonly #request: SubscribeRequest;
  readonly #taker: Taker;
  readonly #options: SubscribeOptions;
  readonly #end: () => void;
  readonly #resumes: boolean;
  /** All up to this sequence number has been considered. */
  #seq: number | null;
  #isAccepted = false;

  constructor(
    id: string,
    request: SubscribeRequest,
    taker: Taker,
    options: SubscribeOptions,
    end: () => void,
  ) {
    this.id = id;
    this.#request = request;
    this.#taker = taker;
    this.#options = options;
    this.#end = end;
    this.#resumes = request.resume ?? request.maxHz === undefined;
    this.#seq = request.since ?? null;
  }

  get seq(): number | null {
    return this.#seq;
  }

  unsubscribe(): void {
    this.#end();
  }

  /** What to ask the service for, from where this is now. */
  begin(): SubscribeMessage {
    this.#isAccepted = false;
    const { signals, maxHz, snapshot, messageType, bus } = this.#request;
    return {
      type: 'subscribe',
      id: this.id,
      signals: [...signals],
      ...(maxHz !== undefined && { max_hz: maxHz }),
      ...(messageType !== undefined && { message_type: String(messageType) }),
      ...(bus !== undefined && { bus }),
      ...(this.#seq !== null ? { since: this.#seq } : snapshot !== undefined && { snapshot }),
    };
  }

  /** The connection is lost, or the subscription given up for a while. */
  interrupt(): void {
    if (this.#isAccepted && !this.#resumes) this.#seq = null;
    this.#isAccepted = false;
    this.ordinal = null;
  }

  takeSubscribed({ signals, seq, ordinal }: SubscribedMessage): void {
    this.#isAccepted = true;
    this.signals = signals;
    this.ordinal = ordinal;
    // Unless it is to be caught up with, what came before isn't asked for. A number beyond the newest is of another history,
    // of which nothing counts: kept, it would pass over samples once this one has come as far.
    this.#seq = Math.min(this.#seq ?? seq, seq);
  }

  takeSamples(message: SamplesMessage): void {
    if (!this.#isAccepted) return;
    this.#seq = message.seq;
    this.#call(() => this.#taker.onSamples?.(message.samples, infoOf(message)));
  }

  takeColumns(message: BinaryMessage): void {
    if (!this.#isAccepted) return;
    this.#seq = message.seq;
    const { columns } = message;
    this.#call(() => {
      this.#taker.onColumns?.(columns, infoOf(message));
      this.#taker.onSamples?.(samplesOf(columns), infoOf(message));
    });
  }

  takeGap({ from_seq, to_seq, reason }: GapMessage): void {
    if (!this.#isAccepted) return;
    this.#seq = Math.max(this.#seq ?? 0, to_seq);
    this.#call(() => this.#options.onGap?.({ from_seq, to_seq, reason }));
  }

  /** The service has nothing more to tell up to there: so what it is silent about isn't looked for when this resumes. */
  takeHeartbeat(seq: number): void {
    if (this.#isAccepted && this.#seq !== null) this.#seq = Math.max(this.#seq, seq);
  }

  /** Says whether this is the end of it: it was refused. */
  takeError({ code, message }: ErrorMessage): boolean {
    const error = new CollectorClientError(0, code, message);
    if (this.#options.onError === undefined) throwUncaught(error);
    else this.#call(() => this.#options.onError!(error));
    return !this.#isAccepted;
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      throwUncaught(error);
    }
  }
}

function infoOf({ cause, seq, missed, thinned }: UpdateInfo): UpdateInfo {
  return { cause, seq, missed, thinned };
}
