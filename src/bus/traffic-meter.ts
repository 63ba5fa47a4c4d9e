import { CAN_IDS_COUNTED_MAX } from '../shared/limits.ts';
import { FD_PAYLOAD_BYTES_MAX, FRAME_FLAG, STANDARD_CAN_ID_MAX } from './can-frame.ts';
import type { FrameBatch } from './frame-batch.ts';
import { frameBits } from './frame-bits.ts';

/** Figures are made of so long a time, at least. */
const WINDOW_MS = 1000;
/** The rate of a CAN id follows within about so long a time: rare ids have one too. */
const ID_RATE_SETTLES_MS = 5000;

/** Frames with one of these flags aren't counted in the short way. */
const NOT_PLAIN = FRAME_FLAG.ERROR | FRAME_FLAG.EXTENDED | FRAME_FLAG.REMOTE;

/** Places of ids: 11-bit ids, then 29-bit ids in the order in which they came, then all the others. */
const FIRST_EXTENDED_PLACE = STANDARD_CAN_ID_MAX + 1;
const OTHERS_PLACE = CAN_IDS_COUNTED_MAX;

/** What is known of one CAN id's frames. */
export interface IdTraffic {
  readonly rateHz: number;
  /** Timestamp of the latest frame. */
  readonly lastUs: number;
  readonly lastFlags: number;
  readonly lastPayload: Uint8Array;
}

export interface Traffic {
  readonly framesPerS: number;
  /** Of payload. */
  readonly bytes: number;
  readonly bytesPerS: number;
  /** Part of the time that the bus carried frames, 0 to 1; null where its bitrate isn't known. */
  readonly load: number | null;
}

/** What a bus carried in a span of time, on the average. */
export interface TrafficSpan {
  readonly framesPerS: number;
  /** As of Traffic; null also where the bitrate wasn't known all the time. */
  readonly load: number | null;
  /** Whether it is the first since the bus could be heard: what was told before is of before that. */
  readonly isFirst: boolean;
}

/** The bitrates of a bus, in bit/s; null where they aren't known. */
export interface Bitrates {
  readonly nominal: number | null;
  /** Of the payload of CAN FD frames that switch to it. */
  readonly data: number | null;
}

/** Of one CAN id, by its place in the columns of TrafficMeter. */
class IdMeter {
  readonly canId: number;
  readonly place: number;
  rateHz = 0;
  windowFrames = 0;
  lastUs = 0;
  lastFlags = 0;
  lastBytes = 0;
  readonly #payload = new Uint8Array(FD_PAYLOAD_BYTES_MAX);

  constructor(canId: number, place: number) {
    this.canId = canId;
    this.place = place;
  }

  keep(batch: FrameBatch, at: number): void {
    this.#payload.set(batch.payloadOf(at));
    this.lastUs = batch.timestampUs[at]!;
    this.lastFlags = batch.flags[at]!;
    this.lastBytes = batch.payloadBytes[at]!;
  }

  get payload(): Uint8Array {
    const isRemote = (this.lastFlags & FRAME_FLAG.REMOTE) !== 0;
    return this.#payload.subarray(0, isRemote ? 0 : this.lastBytes);
  }
}

/**
 * Measures what a bus carries: frames and bytes a second, its load, and of each CAN id the rate and the latest frame.
 * The load counts each frame's bits; how many of them are stuff bits is taken from the latest frame of its id. Error
 * frames are no traffic.
 */
export class TrafficMeter {
  readonly #nowMs: () => number;
  /** By place: an 11-bit id is its own, those of 29-bit ids come behind. */
  readonly #meters: (IdMeter | undefined)[] = new Array(CAN_IDS_COUNTED_MAX + 1).fill(undefined);
  readonly #places = new Map<number, number>();
  // By place, since they were settled last: plain columns, as an object's fields would take a third of the time again.
  readonly #frames = new Uint32Array(CAN_IDS_COUNTED_MAX + 1);
  readonly #idBytes = new Uint32Array(CAN_IDS_COUNTED_MAX + 1);
  /** The latest frame in the present batch; -1 where there is none. */
  readonly #latestAt = new Int32Array(CAN_IDS_COUNTED_MAX + 1).fill(-1);
  readonly #all: IdMeter[] = [];
  /** Places of the present batch. */
  #touched: number[] = [];
  #windowSinceMs: number;
  #windowFrames = 0;
  #windowBytes = 0;
  #windowBusyS = 0;
  // Of the present span, as far as frames are settled.
  #spanSinceMs: number;
  #spanFrames = 0;
  #spanBusyS = 0;
  #spanIsMeasured = true;
  #spanIsFirst = true;
  #bytes = 0;
  #framesPerS = 0;
  #bytesPerS = 0;
  #load: number | null = null;
  #bitrates: Bitrates = { nominal: null, data: null };

  /** `nowMs` is a clock that never jumps. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#windowSinceMs = nowMs();
    this.#spanSinceMs = this.#windowSinceMs;
  }

  setBitrates(bitrates: Bitrates): void {
    const { nominal, data } = this.#bitrates;
    if (bitrates.nominal === nominal && bitrates.data === data) return;
    // What came at bitrates that are known took its time at those.
    if (nominal !== null) this.#settle();
    this.#bitrates = bitrates;
  }

  /** Returns how many error frames there are among them. */
  observe(batch: FrameBatch): number {
    const { count, flags } = batch;
    const bytesBefore = this.#windowBytes;
    let errorFrames = 0;
    for (let at = 0; at < count; at++) {
      at = this.#countPlain(batch, at);
      if (at === count) break;
      if ((flags[at]! & FRAME_FLAG.ERROR) !== 0) errorFrames++;
      else this.#countOther(batch, at);
    }
    this.#bytes += this.#windowBytes - bytesBefore;
    for (const place of this.#touched) {
      this.#meterAt(place, batch).keep(batch, this.#latestAt[place]!);
      this.#latestAt[place] = -1;
    }
    this.#touched.length = 0;
    this.#update();
    return errorFrames;
  }

  /**
   * Counts frames with 11-bit ids that carry data, up to the first of another kind, whose index it returns. A loop without
   * calls, so that it is compiled early, and with fields looked up once.
   */
  #countPlain({ canId, flags, payloadBytes, count }: FrameBatch, start: number): number {
    const frames = this.#frames;
    const idBytes = this.#idBytes;
    const latestAt = this.#latestAt;
    let bytes = 0;
    let at = start;
    for (; at < count && (flags[at]! & NOT_PLAIN) === 0; at++) {
      const place = canId[at]!;
      const length = payloadBytes[at]!;
      bytes += length;
      frames[place]!++;
      idBytes[place]! += length;
      if (latestAt[place]! < 0) this.#touched.push(place);
      latestAt[place] = at;
    }
    this.#windowFrames += at - start;
    this.#windowBytes += bytes;
    return at;
  }

  #countOther({ canId, flags, payloadBytes }: FrameBatch, at: number): void {
    const frameFlags = flags[at]!;
    const isExtended = (frameFlags & FRAME_FLAG.EXTENDED) !== 0;
    const place = isExtended ? this.#placeOf(canId[at]!) : canId[at]!;
    const length = (frameFlags & FRAME_FLAG.REMOTE) === 0 ? payloadBytes[at]! : 0;
    this.#windowFrames++;
    this.#windowBytes += length;
    this.#frames[place]!++;
    this.#idBytes[place]! += length;
    if (this.#latestAt[place]! < 0) this.#touched.push(place);
    this.#latestAt[place] = at;
  }

  /** Of a 29-bit id; those beyond the limit have one together, and the payload of the latest of them all. */
  #placeOf(canId: number): number {
    const known = this.#places.get(canId);
    if (known !== undefined) return known;
    const place = FIRST_EXTENDED_PLACE + this.#places.size;
    if (place === OTHERS_PLACE) return OTHERS_PLACE;
    this.#places.set(canId, place);
    return place;
  }

  #meterAt(place: number, { canId }: FrameBatch): IdMeter {
    const known = this.#meters[place];
    if (known !== undefined) return known;
    const id = new IdMeter(place === OTHERS_PLACE ? 0 : canId[this.#latestAt[place]!]!, place);
    this.#meters[place] = id;
    this.#all.push(id);
    return id;
  }

  /** Ends the window when it is over. */
  #update(): void {
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#windowSinceMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#settle();
    const weight = 1 - Math.exp(-elapsedMs / ID_RATE_SETTLES_MS);
    for (const id of this.#all) {
      const rateHz = (id.windowFrames * 1000) / elapsedMs;
      // The first window of an id says all there is.
      id.rateHz = id.rateHz === 0 ? rateHz : id.rateHz + (rateHz - id.rateHz) * weight;
      id.windowFrames = 0;
    }
    this.#framesPerS = (this.#windowFrames * 1000) / elapsedMs;
    this.#bytesPerS = (this.#windowBytes * 1000) / elapsedMs;
    this.#load = this.#bitrates.nominal === null ? null : (this.#windowBusyS * 1000) / elapsedMs;
    this.#windowFrames = 0;
    this.#windowBytes = 0;
    this.#windowBusyS = 0;
    this.#windowSinceMs = nowMs;
  }

  /** Takes what has come since the last time from the columns into the window and the span. */
  #settle(): void {
    const { nominal, data } = this.#bitrates;
    let busyS = 0;
    let allFrames = 0;
    for (const id of this.#all) {
      const frames = this.#frames[id.place]!;
      if (frames === 0) continue;
      if (nominal !== null)
        busyS += secondsOf(id, frames, this.#idBytes[id.place]!, nominal, data ?? nominal);
      allFrames += frames;
      id.windowFrames += frames;
      this.#frames[id.place] = 0;
      this.#idBytes[id.place] = 0;
    }
    if (nominal === null && allFrames > 0) this.#spanIsMeasured = false;
    this.#windowBusyS += busyS;
    this.#spanBusyS += busyS;
    this.#spanFrames += allFrames;
  }

  /** From now on the bus can be heard: a first span begins. */
  beginSpan(): void {
    this.#settle();
    this.#nextSpan(this.#nowMs(), true);
  }

  /** What the bus carried since the last span, or the first one's beginning; null, and it goes on, while that is less than `leastMs`. */
  endSpan(leastMs: number): TrafficSpan | null {
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#spanSinceMs;
    if (elapsedMs <= 0 || elapsedMs < leastMs) return null;
    this.#settle();
    const isMeasured = this.#bitrates.nominal !== null && this.#spanIsMeasured;
    const span = {
      framesPerS: (this.#spanFrames * 1000) / elapsedMs,
      load: isMeasured ? (this.#spanBusyS * 1000) / elapsedMs : null,
      isFirst: this.#spanIsFirst,
    };
    this.#nextSpan(nowMs, false);
    return span;
  }

  #nextSpan(nowMs: number, isFirst: boolean): void {
    this.#spanSinceMs = nowMs;
    this.#spanFrames = 0;
    this.#spanBusyS = 0;
    this.#spanIsMeasured = true;
    this.#spanIsFirst = isFirst;
  }

  traffic(): Traffic {
    this.#update();
    return {
      framesPerS: this.#framesPerS,
      bytes: this.#bytes,
      bytesPerS: this.#bytesPerS,
      load: this.#load,
    };
  }

  /** Null where the id was never heard, or is one beyond those that are looked at one by one. */
  ofId(canId: number, isExtended: boolean): IdTraffic | null {
    const place = isExtended ? this.#places.get(canId) : canId;
    const id = place === undefined ? undefined : this.#meters[place];
    if (id === undefined) return null;
    const { rateHz, lastUs, lastFlags } = id;
    return { rateHz, lastUs, lastFlags, lastPayload: id.payload.slice() };
  }
}

/** How long so many frames of an id, of so many bytes together, took on the wire. */
function secondsOf(id: IdMeter, frames: number, bytes: number, bitrate: number, dataBitrate: number): number {
  const { nominal, data } = frameBits(id.canId, id.lastFlags, id.payload, id.lastBytes);
  // Some may have been longer or shorter than the latest.
  const moreBits = 8 * (bytes - frames * id.payload.length);
  const dataBits = data > 0 ? frames * data + moreBits : 0;
  const nominalBits = frames * nominal + (data > 0 ? 0 : moreBits);
  return nominalBits / bitrate + dataBits / dataBitrate;
}
