import { type CanFrame, FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { SOURCE_CLOCK_STEP_MS } from '../shared/limits.ts';
import {
  decodeKartPayload,
  encodeKartPayload,
  KART_PAYLOAD_BYTES,
  MESSAGE_TYPE,
  VALUE_TYPE,
} from './kart-codec.ts';
import { isKartFrame, wordOf } from './kart-frame.ts';
import type { SeriesKey } from './series-table.ts';
import { SourceClock } from './source-clock.ts';
import { type RoundTrip, TimeMaster, type TimeMasterOptions, type TimeMasterStatus } from './time-master.ts';

/** The numbers of protocol/kart/system_monitor.proto that time is told with. */
export const TIME_COMPONENT = { SYSTEM_MONITOR: 5, TIME_MASTER: 4 } as const;
export const TIME_COMMAND = { PING: 4, PONG: 5, ROUNDTRIPTIME_MS: 6, SET_TIME: 7 } as const;

/** What is asked of a batch's word of bytes 0 to 3: the component type and the component id, those of time. */
const TIME_MASK = wordOf(0b0011_1000, 0, 0xff, 0);
const TIME_WORD = wordOf(TIME_COMPONENT.SYSTEM_MONITOR << 3, 0, TIME_COMPONENT.TIME_MASTER, 0);

const NO_ROUND_TRIPS: readonly RoundTrip[] = [];

export interface TimeSyncOptions {
  /** The CAN id that our frames are sent under. */
  readonly nodeId: number;
  /** Between two PINGs; null where no time is kept, and nothing is sent. */
  readonly intervalMs: number | null;
  /**
   * Whose SET_TIME starts a node's byte 1, so that frames are dated by it: `own` on a bus that we keep the time of,
   * `any` in a log, which doesn't say who sent what; `none` where time isn't what it was (a log replayed at another pace).
   */
  readonly datedBy: 'own' | 'any' | 'none';
  readonly isOpen: () => boolean;
  readonly send: (frame: CanFrame) => Promise<void>;
  readonly onSendFailed: (error: unknown) => void;
  /** Wall clock, microseconds since the epoch. */
  readonly nowUs: () => number;
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number;
}

export interface TimeSyncStatus {
  /** Null where no time is kept. */
  readonly master: TimeMasterStatus | null;
  /** Nodes whose frames are dated by byte 1 where they are late. */
  readonly nodesDated: number;
  readonly framesRedated: number;
}

/** The time of one bus's nodes: keeps it (TimeMaster), and dates their late frames by it (SourceClock). */
export class TimeSync {
  readonly #options: TimeSyncOptions;
  readonly #master: TimeMaster | null;
  readonly #sourceClock = new SourceClock();
  /** The wall clock less the monotonic one, when a node's time was last set. */
  #clockOffsetMs = 0;
  #roundTrips: RoundTrip[] = [];

  constructor(options: TimeSyncOptions) {
    this.#options = options;
    this.#master =
      options.intervalMs === null ? null : new TimeMaster(this.#masterOptions(options.intervalMs));
  }

  start(): void {
    this.#master?.start();
  }

  stop(): void {
    this.#master?.stop();
  }

  /** Sends one PING now, where time is kept. */
  async ping(): Promise<void> {
    await this.#master?.ping();
  }

  /**
   * Looks for PINGs, PONGs and SET_TIMEs in a batch, answers them, and gives frames that waited with their sender the
   * time at which it made them. Returns the round trips that ended in it.
   */
  observe(frames: FrameBatch): readonly RoundTrip[] {
    const { datedBy } = this.#options;
    // Nothing is sent, and nothing dated: it isn't looked for.
    if (this.#master === null && datedBy !== 'any') return NO_ROUND_TRIPS;
    if (datedBy === 'own' && this.#sourceClock.nodes > 0) this.#mindClock();
    const { payloadWords, count } = frames;
    let isDated = this.#sourceClock.nodes > 0;
    for (let at = 0; at < count; at++) {
      if (!isDated) at = nextTimeFrame(frames, at);
      if (at === count) break;
      if ((payloadWords[2 * at]! & TIME_MASK) === TIME_WORD) {
        this.#take(frames, at);
        isDated = this.#sourceClock.nodes > 0;
      }
      if (isDated) this.#date(frames, at);
    }
    if (this.#roundTrips.length === 0) return NO_ROUND_TRIPS;
    const roundTrips = this.#roundTrips;
    this.#roundTrips = [];
    return roundTrips;
  }

  status(): TimeSyncStatus {
    return {
      master: this.#master?.status() ?? null,
      nodesDated: this.#sourceClock.nodes,
      framesRedated: this.#sourceClock.framesRedated,
    };
  }

  #masterOptions(intervalMs: number): TimeMasterOptions {
    const { nodeId, nowUs, isOpen, send, onSendFailed } = this.#options;
    return {
      nodeId,
      intervalMs,
      nowUs,
      isOpen,
      onSendFailed,
      sendPing: (value) => send(timeFrame(nodeId, TIME_COMMAND.PING, value)),
      sendSetTime: (toNodeId, value) => send(timeFrame(toNodeId, TIME_COMMAND.SET_TIME, value)),
    };
  }

  /** A clock that is set takes all timestamps along; what a node counts stays. */
  #mindClock(): void {
    const stepMs = this.#offsetMs() - this.#clockOffsetMs;
    if (Math.abs(stepMs) > SOURCE_CLOCK_STEP_MS) this.#sourceClock.forgetAll();
  }

  #offsetMs(): number {
    return this.#options.nowUs() / 1000 - this.#options.monotonicMs();
  }

  #take(frames: FrameBatch, at: number): void {
    if (!isKartFrame(frames, at)) return;
    const isOwn = (frames.flags[at]! & FRAME_FLAG.OWN) !== 0;
    const first = at * KART_PAYLOAD_BYTES;
    const { messageType, commandId, rawValue } = decodeKartPayload(
      frames.payload.subarray(first, first + KART_PAYLOAD_BYTES),
    );
    const nodeId = frames.canId[at]!;
    const timestampUs = frames.timestampUs[at]!;
    if (messageType === MESSAGE_TYPE.COMMAND && commandId === TIME_COMMAND.PING) {
      if (isOwn && nodeId === this.#options.nodeId) this.#master?.ownPing(rawValue, timestampUs);
    } else if (messageType === MESSAGE_TYPE.STATUS && commandId === TIME_COMMAND.PONG) {
      const roundTrip = isOwn ? null : (this.#master?.pong(nodeId, rawValue, timestampUs) ?? null);
      if (roundTrip !== null) this.#roundTrips.push(roundTrip);
    } else if (messageType === MESSAGE_TYPE.COMMAND && commandId === TIME_COMMAND.SET_TIME) {
      this.#setTime(nodeId, timestampUs, isOwn);
    }
  }

  /** Whoever sets a node's time starts its byte 1 anew; what another master does isn't ours to go by. */
  #setTime(nodeId: number, timestampUs: number, isOwn: boolean): void {
    const { datedBy } = this.#options;
    if (datedBy === 'any' || (datedBy === 'own' && isOwn)) {
      if (datedBy === 'own') this.#clockOffsetMs = this.#offsetMs();
      this.#sourceClock.sync(nodeId, timestampUs);
    } else {
      this.#sourceClock.forget(nodeId);
    }
  }

  #date(frames: FrameBatch, at: number): void {
    if (!isKartFrame(frames, at) || (frames.flags[at]! & FRAME_FLAG.OWN) !== 0) return;
    const byte1 = frames.payload[at * KART_PAYLOAD_BYTES + 1]!;
    frames.timestampUs[at] = this.#sourceClock.dated(frames.canId[at]!, byte1, frames.timestampUs[at]!);
  }
}

/**
 * The sample that records a round trip: as if the node had said it, so that each node's are a series of their own.
 * The protocol's unit is the whole millisecond.
 */
export function roundTripSample({ nodeId, roundTripUs }: RoundTrip): {
  key: Omit<SeriesKey, 'bus'>;
  rawValue: number;
} {
  const key = {
    nodeId,
    messageType: MESSAGE_TYPE.STATUS,
    componentType: TIME_COMPONENT.SYSTEM_MONITOR,
    componentId: TIME_COMPONENT.TIME_MASTER,
    commandId: TIME_COMMAND.ROUNDTRIPTIME_MS,
    valueType: VALUE_TYPE.UINT24,
  };
  return { key, rawValue: Math.round(roundTripUs / 1000) };
}

/** The index of the first time frame from `start` on; the count where there is none. A loop by itself: it runs for every frame of a log. */
function nextTimeFrame({ payloadWords, count }: FrameBatch, start: number): number {
  let at = start;
  while (at < count && (payloadWords[2 * at]! & TIME_MASK) !== TIME_WORD) at++;
  return at;
}

function timeFrame(canId: number, commandId: number, value: number): CanFrame {
  const payload = encodeKartPayload({
    messageType: MESSAGE_TYPE.COMMAND,
    componentType: TIME_COMPONENT.SYSTEM_MONITOR,
    componentId: TIME_COMPONENT.TIME_MASTER,
    commandId,
    valueType: VALUE_TYPE.UINT24,
    rawValue: value,
  });
  return { canId, isExtended: false, payload };
}
