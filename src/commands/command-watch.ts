import { FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import {
  ALL_COMPONENTS,
  decodeKartPayload,
  KART_PAYLOAD_BYTES,
  type KartMessage,
  MESSAGE_TYPE,
} from '../protocol/kart-codec.ts';
import { isKartFrame, wordOf } from '../protocol/kart-frame.ts';
import type { SampleBatch } from '../protocol/sample-batch.ts';
import type { SeriesRecord, SeriesTable } from '../protocol/series-table.ts';

const COMPONENT_TYPE_BITS = 0b0011_1000;

export interface CommandWatchOptions {
  /** The CAN id that our frames are sent under. */
  readonly nodeId: number;
  /** Whether our own frames come back; a filter may keep them away. */
  readonly isOwnHeard: boolean;
  /** Where the samples' series are found. */
  readonly table: SeriesTable;
}

/** What a node said to a command: its echo, or an ERROR. */
export interface NodeAnswer {
  readonly kind: 'echo' | 'error';
  readonly nodeId: number;
  readonly timestampUs: number;
  readonly message: KartMessage;
  /** What the history calls it; null where it has no room for such a series. */
  readonly sample: AnswerSample | null;
}

export interface AnswerSample {
  readonly seq: number;
  readonly series: SeriesRecord;
  readonly timestampUs: number;
  readonly rawValue: number;
}

/** How a wait ended. */
export interface WatchResult {
  /** The first answer; null where none came in time, or the watch was ended. */
  readonly answer: NodeAnswer | null;
  readonly isStopped: boolean;
  /** When our own frame was on the bus; null where it wasn't seen. */
  readonly ownUs: number | null;
  /** Nodes that echoed it until then; more than one where all components were addressed. */
  readonly echoedBy: readonly number[];
  /** Nodes that sent an ACK until then. */
  readonly ackedBy: readonly number[];
}

/** A command that waits. */
export interface WatchedCommand {
  readonly result: Promise<WatchResult>;
  /** The bus has taken the frame: from now on it waits for so long. */
  sent(timeoutMs: number): void;
  /** Ends the wait without an answer. */
  stop(): void;
}

interface Waiting {
  readonly message: KartMessage;
  /** What is asked of a batch's word of bytes 0 to 3: the component type, the component unless all are meant, the command. */
  readonly mask: number;
  readonly word: number;
  readonly okStatus: number | null;
  readonly echoedBy: Set<number>;
  readonly ackedBy: Set<number>;
  readonly resolve: (result: WatchResult) => void;
  isSent: boolean;
  ownUs: number | null;
  answer: NodeAnswer | null;
  /** Where the answer's frame is in the batch that is looked through. */
  answerAt: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Watches one bus for what nodes say to commands. While none waits it costs the frames nothing; else one comparison for
 * each frame and command. Those who send bound how many there are.
 *
 * What looks like an echo may be a reading that a node sends anyway, on its way since before the command. So what comes
 * ahead of our own frame, which the bus gives back in its place among the others, is no answer; where a filter keeps
 * our own away, what comes before the bus has taken it.
 */
export class CommandWatch {
  /** The CAN id that commands are to be sent under, as answers are known by that. */
  readonly nodeId: number;
  readonly #options: CommandWatchOptions;
  #waiting: Waiting[] = [];

  constructor(options: CommandWatchOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
  }

  /**
   * Begins to watch for the answers to a COMMAND that is about to be sent. `okStatus` is the value of an ERROR message
   * that says that a fault is over, which refuses nothing; null where the protocol has none.
   */
  watch(message: KartMessage, okStatus: number | null): WatchedCommand {
    const { promise, resolve } = Promise.withResolvers<WatchResult>();
    const { componentType, componentId, commandId } = message;
    const isToAll = componentId === ALL_COMPONENTS;
    const waiting: Waiting = {
      message,
      mask: wordOf(COMPONENT_TYPE_BITS, 0, isToAll ? 0 : 0xff, 0xff),
      word: wordOf(componentType << 3, 0, isToAll ? 0 : componentId, commandId),
      okStatus,
      echoedBy: new Set(),
      ackedBy: new Set(),
      resolve,
      isSent: false,
      ownUs: null,
      answer: null,
      answerAt: 0,
      timer: undefined,
    };
    this.#waiting.push(waiting);
    return {
      result: promise,
      sent: (timeoutMs) => {
        waiting.isSent = true;
        if (!this.#waiting.includes(waiting)) return;
        // What came in time while this thread was busy is looked at first.
        waiting.timer = setTimeout(() => setImmediate(() => this.#end(waiting)), timeoutMs);
      },
      stop: () => this.#end(waiting, true),
    };
  }

  /** Ends all waits without an answer. */
  stop(): void {
    for (const waiting of [...this.#waiting]) this.#end(waiting, true);
  }

  /**
   * Looks for answers in a batch, whose timestamps are still those of the bus. Where it returns true, find() is to be told
   * what samples the batch's frames become, and settle() that it is done with: who is answered then finds the samples.
   */
  observe(frames: FrameBatch): boolean {
    if (this.#waiting.length === 0) return false;
    const { payloadWords, count } = frames;
    let isAnswered = false;
    for (let at = 0; at < count; at++) {
      const word = payloadWords[2 * at]!;
      for (const waiting of this.#waiting) {
        if ((word & waiting.mask) !== waiting.word || !isKartFrame(frames, at)) continue;
        if ((frames.flags[at]! & FRAME_FLAG.OWN) === 0) this.#takeAnswer(waiting, frames, at);
        // Of the same command given twice each has a frame of its own.
        else if (this.#takeOwn(waiting, frames, at)) break;
      }
    }
    for (const { answer } of this.#waiting) isAnswered ||= answer !== null;
    return isAnswered;
  }

  /** Frames from `start` up to `end` have become samples from `first` on. */
  find(
    frames: FrameBatch,
    { start, end }: { readonly start: number; readonly end: number },
    samples: SampleBatch,
    first: number,
  ): void {
    for (const waiting of this.#waiting) {
      const { answer, answerAt } = waiting;
      if (answer === null || answerAt < start || answerAt >= end) continue;
      let at = first;
      for (let frame = start; frame < answerAt; frame++) if (isKartFrame(frames, frame)) at++;
      // Frames beyond the limit of series have become none, so it may be earlier.
      while (at >= first && !this.#isSampleOf(answer, samples, at)) at--;
      if (at < first) continue;
      const sample = {
        seq: samples.firstSeq + at,
        series: this.#options.table.at(samples.series[at]!),
        timestampUs: samples.timestampUs[at]!,
        rawValue: samples.rawValue[at]!,
      };
      waiting.answer = { ...answer, sample };
    }
  }

  /** Ends the waits that observe() has found an answer to. */
  settle(): void {
    for (const waiting of this.#waiting.filter(({ answer }) => answer !== null)) this.#end(waiting);
  }

  #takeOwn(waiting: Waiting, frames: FrameBatch, at: number): boolean {
    if (waiting.ownUs !== null || frames.canId[at] !== this.nodeId) return false;
    const message = messageAt(frames, at);
    const { messageType, componentId, valueType, rawValue } = waiting.message;
    if (
      message.messageType !== messageType ||
      message.componentId !== componentId ||
      message.valueType !== valueType ||
      message.rawValue !== rawValue
    ) {
      return false;
    }
    waiting.ownUs = frames.timestampUs[at]!;
    return true;
  }

  #takeAnswer(waiting: Waiting, frames: FrameBatch, at: number): void {
    const isAsked = this.#options.isOwnHeard ? waiting.ownUs !== null : waiting.isSent;
    if (!isAsked) return;
    const message = messageAt(frames, at);
    const nodeId = frames.canId[at]!;
    const { messageType, rawValue } = message;
    if (messageType === MESSAGE_TYPE.ACK) waiting.ackedBy.add(nodeId);
    const isEcho = messageType === MESSAGE_TYPE.STATUS && rawValue === waiting.message.rawValue;
    const isError = messageType === MESSAGE_TYPE.ERROR && rawValue !== waiting.okStatus;
    if (isEcho) waiting.echoedBy.add(nodeId);
    if (waiting.answer !== null || (!isEcho && !isError)) return;
    const timestampUs = frames.timestampUs[at]!;
    waiting.answer = { kind: isEcho ? 'echo' : 'error', nodeId, timestampUs, message, sample: null };
    waiting.answerAt = at;
  }

  #isSampleOf({ nodeId, message }: NodeAnswer, samples: SampleBatch, at: number): boolean {
    const index = samples.series[at];
    if (at >= samples.count || index === undefined) return false;
    const series = this.#options.table.at(index);
    return (
      samples.rawValue[at] === message.rawValue &&
      series.nodeId === nodeId &&
      series.messageType === message.messageType &&
      series.componentType === message.componentType &&
      series.componentId === message.componentId &&
      series.commandId === message.commandId &&
      series.valueType === message.valueType
    );
  }

  #end(waiting: Waiting, isStopped = false): void {
    clearTimeout(waiting.timer);
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    waiting.resolve({
      answer: waiting.answer,
      isStopped,
      ownUs: waiting.ownUs,
      echoedBy: [...waiting.echoedBy],
      ackedBy: [...waiting.ackedBy],
    });
  }
}

function messageAt(frames: FrameBatch, at: number): KartMessage {
  const first = at * KART_PAYLOAD_BYTES;
  return decodeKartPayload(frames.payload.subarray(first, first + KART_PAYLOAD_BYTES));
}
