import { STREAM_MESSAGE_SAMPLES_MAX } from '../../shared/limits.ts';
import type { Channel, ChannelMember, Position } from './channel.ts';
import type { SamplesHead, SubscriptionName } from './outlet.ts';
import { Resume, type Resumed, type ResumingClient } from './resume.ts';
import type { SampleBody } from './sample-body.ts';
import { BEFORE_ALL, type SeqSpan } from './sample-gatherer.ts';
import type { Cause, ControlMessage, GapReason } from './schemas.ts';
import type { StreamContext } from './stream-context.ts';

/** A client as its subscriptions see it. */
export interface SubscriptionClient extends ResumingClient {
  /** Whether it isn't behind. */
  canTake(): boolean;
  control(message: ControlMessage): void;
  samples(of: SubscriptionName, head: SamplesHead, body: SampleBody): void;
}

/** Where a subscription is to begin. */
export interface Beginning {
  /** The number up to which all has been seen; null for now. */
  readonly since: number | null;
  /** Unless told, without `since`. */
  readonly snapshot: boolean | undefined;
}

/**
 * live      told by its channel, as samples come
 * behind    its client can't take more; what comes is missed
 * walking   the latest of each signal is being told, in as many messages as it takes
 * resuming  what came since a number is being told, from the history and then from the feed
 */
type Phase = 'live' | 'behind' | 'walking' | 'resuming';

/** A walk through the signals, or series, of the selection. */
interface Walk {
  /** The latest is told where it is of this span; what is newer is told afterwards. */
  span: SeqSpan;
  readonly of: 'signals' | 'series';
  readonly cause: Cause;
  /** What to resume from after one of its messages but the last. */
  seqBefore: number;
  /** Where the subscription is after the last. */
  end: Position;
  readonly next: 'live' | 'resuming';
  /** Whether samples that it doesn't tell are missed. */
  readonly isCatchUp: boolean;
  at: number;
  told: number;
}

/** What one client has subscribed to under one id. */
export class Subscription implements ChannelMember, Resumed, SubscriptionName {
  readonly client: SubscriptionClient;
  readonly channel: Channel;
  readonly id: string;
  readonly ordinal: number;
  /** What has been told, or passed over. */
  position: Position;
  readonly #context: StreamContext;
  #phase: Phase = 'live';
  #walk: Walk | null = null;
  #resume: Resume | null = null;

  constructor(
    client: SubscriptionClient,
    channel: Channel,
    id: string,
    ordinal: number,
    context: StreamContext,
  ) {
    this.client = client;
    this.channel = channel;
    this.id = id;
    this.ordinal = ordinal;
    this.#context = context;
    this.position = channel.positionNow;
    channel.members.add(this);
  }

  get isLive(): boolean {
    return this.#phase === 'live';
  }

  get seq(): number {
    return this.position.seq;
  }

  /** Those that may speak for their signals, where only these are told of live. */
  get wanted(): Uint8Array {
    const { selection, isOfEverySample } = this.channel;
    return isOfEverySample ? selection.isSelected : selection.speaking();
  }

  canTake(): boolean {
    return this.client.canTake();
  }

  tell(head: SamplesHead, body: SampleBody): void {
    this.client.samples(this, head, body);
  }

  advance(seq: number): void {
    this.position = { ...this.position, seq };
  }

  begin({ since, snapshot }: Beginning): void {
    const { seq } = this.#context.feed;
    // A number from the future is one of another history: then nothing of what has been seen counts.
    const isResumed = since !== null && since <= seq;
    if (isResumed) {
      this.advance(since);
      this.#resume = new Resume(this, this.#context);
    }
    if (snapshot ?? !isResumed) {
      const next = isResumed ? 'resuming' : 'live';
      this.#startWalk({ cause: 'snapshot', afterSeq: BEFORE_ALL, upToSeq: seq, end: this.position, next });
    } else if (isResumed) {
      this.#enter('resuming');
    }
  }

  /** What comes is missed until the client can take it. */
  fallBehind(): void {
    this.#enter('behind');
  }

  /** Does what is owed besides what comes, one message of it; false where nothing can be done now. */
  step(): boolean {
    if (!this.canTake()) return false;
    switch (this.#phase) {
      case 'behind':
        this.#startCatchUp();
        return true;
      case 'walking':
        this.#stepWalk(this.#walk!);
        return true;
      case 'resuming':
        return this.#resume!.step();
      case 'live':
        return false;
    }
  }

  goLive(): void {
    this.#resume = null;
    this.position = this.channel.positionNow;
    this.#enter('live');
  }

  /** Of what they came to the latest is told nonetheless. */
  skip(toSeq: number, reason: GapReason): void {
    const { seq } = this;
    this.#context.counters.gaps++;
    this.client.control({ type: 'gap', id: this.id, from_seq: seq + 1, to_seq: toSeq, reason });
    const end = { ...this.position, seq: toSeq };
    this.#startWalk({ cause: 'resume', afterSeq: seq, upToSeq: toSeq, end, next: 'resuming' });
  }

  #startCatchUp(): void {
    const end = this.channel.positionNow;
    this.#startWalk({ cause: 'live', afterSeq: this.seq, upToSeq: end.seq, end, next: 'live' });
  }

  #startWalk({ cause, afterSeq, upToSeq, end, next }: SeqSpan & Pick<Walk, 'cause' | 'end' | 'next'>): void {
    const isSnapshot = cause === 'snapshot';
    this.#walk = {
      span: { afterSeq, upToSeq },
      // What each series said is of interest to those who want every sample; a snapshot is what the state shows.
      of: this.channel.isOfEverySample && !isSnapshot ? 'series' : 'signals',
      cause,
      seqBefore: isSnapshot ? end.seq : afterSeq,
      end,
      next,
      isCatchUp: cause === 'live',
      at: 0,
      told: 0,
    };
    this.#enter('walking');
  }

  #stepWalk(walk: Walk): void {
    const { gatherer } = this.#context;
    const { selection } = this.channel;
    if (walk.at === 0 && walk.cause === 'snapshot' && !this.channel.isOfEverySample) this.#beginNow(walk);
    walk.at = gatherer.latest(selection, walk.of, walk.span, walk.at, STREAM_MESSAGE_SAMPLES_MAX);
    walk.told += gatherer.count;
    const isLast = walk.at >= selection[walk.of].length;
    const { missed, thinned } = isLast ? this.#leftOut(walk) : { missed: 0, thinned: 0 };
    if (gatherer.count > 0 || missed > 0 || thinned > 0) {
      const seq = isLast ? walk.end.seq : walk.seqBefore;
      this.tell({ cause: walk.cause, seq, missed, thinned }, gatherer.body(0, gatherer.count));
    }
    if (!isLast) return;
    this.#walk = null;
    this.position = walk.end;
    this.#enter(walk.next);
    if (this.isLive && this.seq !== this.#context.feed.seq) this.channel.expect();
  }

  /** Where not every sample counts: the latest is that of the moment in which it is told, not in which it was asked for. */
  #beginNow(walk: Walk): void {
    const now = this.channel.positionNow;
    walk.span = { ...walk.span, upToSeq: now.seq };
    if (walk.next !== 'live') return;
    walk.end = now;
    walk.seqBefore = now.seq;
  }

  #leftOut({ end, told, isCatchUp }: Walk): { readonly missed: number; readonly thinned: number } {
    if (!isCatchUp) return { missed: 0, thinned: 0 };
    const { total, offered } = this.position;
    const missed = Math.max(0, end.offered - offered - told);
    return { missed, thinned: Math.max(0, end.total - total - told - missed) };
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    const { backlog, wake } = this.#context;
    if (phase === 'live') {
      backlog.delete(this);
      return;
    }
    backlog.add(this);
    wake();
  }

  /** It is told nothing any more; its channel is to be left. */
  end(): void {
    this.#resume?.end();
    this.#context.backlog.delete(this);
  }
}
