import type { SamplesHead } from './outlet.ts';
import type { SampleBody } from './sample-body.ts';
import { messageEnds, type SeqSpan } from './sample-gatherer.ts';
import type { Selection } from './selection.ts';
import type { StreamContext } from './stream-context.ts';

/** How far somebody is: a number up to which samples have been considered, and what was counted until then. */
export interface Position {
  readonly seq: number;
  /** Samples of the selection. */
  readonly total: number;
  /** Samples of it that were told to those who could take them. */
  readonly offered: number;
}

/** A subscription as its channel sees it. */
export interface ChannelMember {
  /** Whether it is told what comes. */
  readonly isLive: boolean;
  position: Position;
  canTake(): boolean;
  tell(head: SamplesHead, body: SampleBody): void;
  /** What comes is missed until it can be taken. */
  fallBehind(): void;
}

/**
 * What subscriptions of one selection and rate have in common. Its messages are made once, of what came since the last
 * ones, and written to all members that are as far as it is: nearly always all of them.
 */
export class Channel {
  readonly key: string;
  readonly selection: Selection;
  /** The least between two messages; 0 for every sample as it comes. */
  readonly periodMs: number;
  readonly members = new Set<ChannelMember>();
  readonly #context: StreamContext;
  #position: Position;
  #dueMs = Number.NEGATIVE_INFINITY;
  #isExpected = false;

  constructor(key: string, selection: Selection, periodMs: number, context: StreamContext) {
    this.key = key;
    this.selection = selection;
    this.periodMs = periodMs;
    this.#context = context;
    this.#position = { seq: context.feed.seq, ...this.countsNow(0) };
  }

  /** Whether each sample is told, not just the latest of each signal now and then. */
  get isOfEverySample(): boolean {
    return this.periodMs === 0;
  }

  /** Where one is who has been told all that there is by now. */
  get positionNow(): Position {
    return { seq: this.#context.feed.seq, ...this.countsNow() };
  }

  countsNow(offered: number = this.#position.offered): Omit<Position, 'seq'> {
    if (!this.isOfEverySample) return { total: this.selection.speakingSampleCount(), offered };
    const total = this.selection.sampleCount();
    return { total, offered: total };
  }

  /** When the next message may go, by the context's clock; null where there is nothing to tell. */
  get dueMs(): number | null {
    return this.#position.seq === this.#context.feed.seq && !this.#isExpected ? null : this.#dueMs;
  }

  /** A member isn't as far as the others, and is to be told what it lacks even if nothing more comes. */
  expect(): void {
    this.#isExpected = true;
    this.#context.wake();
  }

  /** Tells the members what came since the last time. To be called when it is due. */
  flush(nowMs: number): void {
    const { feed } = this.#context;
    const from = this.#position;
    this.#isExpected = false;
    const canTell = !this.isOfEverySample || from.seq + 1 >= feed.heldFromSeq;
    const inStep: ChannelMember[] = [];
    const outOfStep: ChannelMember[] = [];
    for (const member of this.members) {
      if (!member.isLive) continue;
      if (member.position.seq !== from.seq) outOfStep.push(member);
      else if (canTell) inStep.push(member);
      // It was so long until its turn that the feed has lost some.
      else member.fallBehind();
    }
    const span = { afterSeq: from.seq, upToSeq: feed.seq };
    const count = canTell ? this.#gather(span) : 0;
    this.#position =
      canTell && this.isOfEverySample
        ? // Counted one by one, so that what was told and what there was agree at any time.
          { seq: feed.seq, total: from.total + count, offered: from.offered + count }
        : { seq: feed.seq, ...this.countsNow(from.offered + count) };
    if (count > 0 || outOfStep.length > 0) {
      const lateMs = nowMs - this.#dueMs;
      this.#dueMs = lateMs < this.periodMs ? this.#dueMs + this.periodMs : nowMs + this.periodMs;
    }
    this.#tell(inStep, span, count);
    for (const member of outOfStep) this.#flushAlone(member);
  }

  /** One that has come in between, or was behind. */
  #flushAlone(member: ChannelMember): void {
    const { feed } = this.#context;
    const span = { afterSeq: member.position.seq, upToSeq: feed.seq };
    if (this.isOfEverySample && span.afterSeq + 1 < feed.heldFromSeq) {
      member.fallBehind();
      return;
    }
    this.#tell([member], span, this.#gather(span));
  }

  /** Returns how many there are. */
  #gather(span: SeqSpan): number {
    const { gatherer } = this.#context;
    if (this.isOfEverySample) gatherer.every(this.selection.isSelected, span);
    else gatherer.latest(this.selection, 'signals', span);
    return gatherer.count;
  }

  /** Writes what was gathered to members, which are as far as the channel then; those that can't take it fall behind. */
  #tell(members: readonly ChannelMember[], { afterSeq }: SeqSpan, count: number): void {
    const { gatherer } = this.#context;
    const to = this.#position;
    let start = 0;
    for (const end of messageEnds(count)) {
      const body = gatherer.body(start, end);
      const isLast = end === count;
      const seq = isLast ? to.seq : this.isOfEverySample ? gatherer.seqAt(end - 1) : afterSeq;
      for (const member of members) {
        if (!member.isLive) continue;
        if (!member.canTake()) {
          member.fallBehind();
          continue;
        }
        const { total, offered } = member.position;
        const thinned = isLast && !this.isOfEverySample ? Math.max(0, to.total - total - count) : 0;
        member.tell({ cause: 'live', seq, missed: 0, thinned }, body);
        const told = this.isOfEverySample ? body.count : 0;
        member.position = isLast ? to : { seq, total: total + told, offered: offered + body.count };
      }
      start = end;
    }
    if (count > 0) return;
    for (const member of members) if (member.isLive) member.position = to;
  }
}
