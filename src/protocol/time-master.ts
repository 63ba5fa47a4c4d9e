import { TIME_SYNC_NODES_MAX, TIME_SYNC_PINGS_KEPT, TIME_SYNC_ROUND_TRIP_MAX_MS } from '../shared/limits.ts';

/** What PING, PONG and SET_TIME count to: 24 bits of milliseconds, four and a half hours. */
const TIME_MODULUS = 2 ** 24;

export interface TimeMasterOptions {
  /** The CAN id that our frames are sent under. */
  readonly nodeId: number;
  readonly intervalMs: number;
  /** Wall clock, microseconds since the epoch. */
  readonly nowUs: () => number;
  /** Whether the bus is there to be sent on. */
  readonly isOpen: () => boolean;
  /** Sends PING; rejects where it couldn't. */
  readonly sendPing: (value: number) => Promise<void>;
  /** Sends SET_TIME under a node's CAN id; rejects where it couldn't. */
  readonly sendSetTime: (nodeId: number, value: number) => Promise<void>;
  readonly onSendFailed: (error: unknown) => void;
}

/** How long a PING and a node's answer were on their way. */
export interface RoundTrip {
  readonly nodeId: number;
  /** Of the PONG. */
  readonly timestampUs: number;
  readonly roundTripUs: number;
}

/** PONGs that nothing came of, by the reason. */
export interface PongsPassedOver {
  /** To a PING that others have followed, too long after it, or with a clock that was set between. */
  late: number;
  /** A node's second answer to a PING. */
  doubled: number;
  /** To a PING of somebody else. */
  foreign: number;
  /** Nobody had been asked, or the answer came under our own CAN id. */
  unasked: number;
  /** Of nodes beyond TIME_SYNC_NODES_MAX. */
  untracked: number;
}

export const NO_PONGS_PASSED_OVER: Readonly<PongsPassedOver> = {
  late: 0,
  doubled: 0,
  foreign: 0,
  unasked: 0,
  untracked: 0,
};

export interface NodeTime {
  readonly nodeId: number;
  readonly lastUs: number;
  readonly minUs: number;
  readonly meanUs: number;
  readonly maxUs: number;
  /** Timestamp of the last PONG. */
  readonly lastPongUs: number;
  /** Since the node was first heard: PINGs sent, those it answered in time, and those it didn't. */
  readonly pings: number;
  readonly pongs: number;
  readonly missed: number;
}

export interface TimeMasterStatus {
  readonly intervalMs: number;
  readonly pings: number;
  readonly sendFailures: number;
  readonly pongsPassedOver: Readonly<PongsPassedOver>;
  /** By CAN id. */
  readonly nodes: readonly NodeTime[];
}

interface Ping {
  /** Counts up. */
  readonly id: number;
  readonly value: number;
  /** When it was on the bus; when it was given to the driver, while that isn't known. */
  sentUs: number;
}

interface TrackedNode {
  readonly nodeId: number;
  answeredId: number;
  lastUs: number;
  minUs: number;
  maxUs: number;
  sumUs: number;
  lastPongUs: number;
  pings: number;
  pongs: number;
  missed: number;
}

/**
 * Keeps the time of one bus's nodes: PING once an interval, and SET_TIME to each node that answers it.
 *
 *   ping() ─ PING, our time ─▶ all nodes ─ PONG, the same ─▶ pong() ─ SET_TIME, our time + half the round trip ─▶ node
 *
 * Times are those of the frames' timestamps, of our own PING, too, where the driver gives it back (ownPing).
 */
export class TimeMaster {
  readonly #options: TimeMasterOptions;
  /** The newest last. */
  readonly #recent: Ping[] = [];
  readonly #nodes = new Map<number, TrackedNode>();
  /** The PING that nodes may still answer in time. */
  #asked: Ping | null = null;
  readonly #passedOver: PongsPassedOver = { ...NO_PONGS_PASSED_OVER };
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #nextId = 1;
  #pings = 0;
  #sendFailures = 0;

  constructor(options: TimeMasterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.ping(), this.#options.intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sends one PING; resolves when it is sent or couldn't be. */
  async ping(): Promise<void> {
    if (!this.#options.isOpen()) {
      this.#takeBack();
      this.#recent.length = 0;
      return;
    }
    // A bus that takes no frames: another would only wait behind it.
    if (this.#isSending) return;
    this.#endPing();
    const sentUs = this.#options.nowUs();
    const ping = { id: this.#nextId++, value: timeValue(sentUs), sentUs };
    this.#recent.push(ping);
    if (this.#recent.length > TIME_SYNC_PINGS_KEPT) this.#recent.shift();
    this.#asked = ping;
    for (const node of this.#nodes.values()) node.pings++;
    this.#isSending = true;
    try {
      await this.#options.sendPing(ping.value);
      this.#pings++;
    } catch (error) {
      const at = this.#recent.indexOf(ping);
      if (at >= 0) this.#recent.splice(at, 1);
      if (this.#asked === ping) this.#takeBack();
      this.#sendFailed(error);
    } finally {
      this.#isSending = false;
    }
  }

  /** Our own PING is on the bus. */
  ownPing(value: number, timestampUs: number): void {
    const ping = this.#recent.findLast((recent) => recent.value === value);
    if (ping !== undefined) ping.sentUs = timestampUs;
  }

  /** A node has answered; its round trip, and SET_TIME for it, where the answer is one to go by. */
  pong(nodeId: number, value: number, timestampUs: number): RoundTrip | null {
    const ping = this.#recent.findLast((recent) => recent.value === value);
    const known = this.#nodes.get(nodeId);
    if (nodeId === this.#options.nodeId || this.#recent.length === 0) return this.#passOver('unasked');
    if (ping === undefined) return this.#passOver('foreign');
    if (known !== undefined && known.answeredId >= ping.id) return this.#passOver('doubled');
    const roundTripUs = timestampUs - ping.sentUs;
    const isInTime = roundTripUs >= 0 && roundTripUs <= TIME_SYNC_ROUND_TRIP_MAX_MS * 1000;
    if (ping !== this.#asked || !isInTime) return this.#passOver('late');
    const node = known ?? this.#track(nodeId);
    if (node === null) return this.#passOver('untracked');

    node.answeredId = ping.id;
    node.pongs++;
    node.lastPongUs = timestampUs;
    node.lastUs = roundTripUs;
    node.minUs = Math.min(node.minUs, roundTripUs);
    node.maxUs = Math.max(node.maxUs, roundTripUs);
    node.sumUs += roundTripUs;
    const nodeTimeUs = this.#options.nowUs() + roundTripUs / 2;
    this.#options
      .sendSetTime(nodeId, timeValue(nodeTimeUs))
      .catch((error: unknown) => this.#sendFailed(error));
    return { nodeId, timestampUs, roundTripUs };
  }

  status(): TimeMasterStatus {
    const nodes = [...this.#nodes.values()].sort((left, right) => left.nodeId - right.nodeId);
    return {
      intervalMs: this.#options.intervalMs,
      pings: this.#pings,
      sendFailures: this.#sendFailures,
      pongsPassedOver: { ...this.#passedOver },
      nodes: nodes.map(({ answeredId, sumUs, ...node }) => ({ ...node, meanUs: sumUs / node.pongs })),
    };
  }

  /** Whoever hasn't answered by now has missed it. */
  #endPing(): void {
    for (const node of this.#unanswering()) node.missed++;
    this.#asked = null;
  }

  /** Nobody could answer: it wasn't sent, or the bus was lost. */
  #takeBack(): void {
    for (const node of this.#unanswering()) node.pings--;
    this.#asked = null;
  }

  #unanswering(): TrackedNode[] {
    const ping = this.#asked;
    return ping === null ? [] : [...this.#nodes.values()].filter(({ answeredId }) => answeredId < ping.id);
  }

  #passOver(reason: keyof PongsPassedOver): null {
    this.#passedOver[reason]++;
    return null;
  }

  #track(nodeId: number): TrackedNode | null {
    if (this.#nodes.size >= TIME_SYNC_NODES_MAX) return null;
    const node = {
      nodeId,
      answeredId: 0,
      lastUs: 0,
      minUs: Number.POSITIVE_INFINITY,
      maxUs: 0,
      sumUs: 0,
      lastPongUs: 0,
      pings: 1,
      pongs: 0,
      missed: 0,
    };
    this.#nodes.set(nodeId, node);
    return node;
  }

  #sendFailed(error: unknown): void {
    this.#sendFailures++;
    this.#options.onSendFailed(error);
  }
}

/** A time as these messages carry it. */
function timeValue(timeUs: number): number {
  return Math.round(timeUs / 1000) % TIME_MODULUS;
}
