import { CAN_IDS_COUNTED_MAX } from '../shared/limits.ts';
import { FD_PAYLOAD_BYTES_MAX, FRAME_FLAG, STANDARD_CAN_ID_MAX } from './can-frame.ts';
import type { FrameBatch } from './frame-batch.ts';
import { frameBits } from './frame-bits.ts';

/** Figures are made of so long a time, at least. */
const WINDOW_MS = 1000;
/** The rate of a CAN id follows within about so long a time: rare ids have one too. */
const ID_RATE_SETTLES_MS = 5000;

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

/** The bitrates of a bus, in bit/s; null where they aren't known. */
export interface Bitrates {
  readonly nominal: number | null;
  /** Of the payload of CAN FD frames that switch to it. */
  readonly data: number | null;
}

class IdMeter {
  readonly canId: number;
  /** The batch that it was last in, and its last frame there. */
  batch = -1;
  at = 0;
  /** In the present window. */
  frames = 0;
  bytes = 0;
  rateHz = 0;
  lastUs = 0;
  lastFlags = 0;
  lastBytes = 0;
  readonly #payload = new Uint8Array(FD_PAYLOAD_BYTES_MAX);

  constructor(canId: number) {
    this.canId = canId;
  }

  keep(batch: FrameBatch): void {
    const payload = batch.payloadOf(this.at);
    this.#payload.set(payload);
    this.lastUs = batch.timestampUs[this.at]!;
    this.lastFlags = batch.flags[this.at]!;
    this.lastBytes = batch.payloadBytes[this.at]!;
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
  readonly #standard: (IdMeter | undefined)[] = new Array(STANDARD_CAN_ID_MAX + 1).fill(undefined);
  readonly #extended = new Map<number, IdMeter>();
  /** Those of 29-bit ids beyond the limit; their payload is that of the latest of them all. */
  readonly #others = new IdMeter(0);
  readonly #all: IdMeter[] = [this.#others];
  /** Of the present batch. */
  #touched: IdMeter[] = [];
  #batches = 0;
  #windowSinceMs: number;
  #windowFrames = 0;
  #windowBytes = 0;
  #bytes = 0;
  #framesPerS = 0;
  #bytesPerS = 0;
  #load: number | null = null;
  #bitrates: Bitrates = { nominal: null, data: null };

  /** `nowMs` is a clock that never jumps. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#windowSinceMs = nowMs();
  }

  setBitrates(bitrates: Bitrates): void {
    this.#bitrates = bitrates;
  }

  observe(batch: FrameBatch): void {
    const { canId, flags, payloadBytes, count } = batch;
    const number = this.#batches++;
    let frames = 0;
    let bytes = 0;
    for (let at = 0; at < count; at++) {
      const frameFlags = flags[at]!;
      if ((frameFlags & FRAME_FLAG.ERROR) !== 0) continue;
      const id =
        (frameFlags & FRAME_FLAG.EXTENDED) === 0
          ? (this.#standard[canId[at]!] ?? this.#addStandard(canId[at]!))
          : this.#extendedOf(canId[at]!);
      const length = (frameFlags & FRAME_FLAG.REMOTE) === 0 ? payloadBytes[at]! : 0;
      frames++;
      bytes += length;
      id.frames++;
      id.bytes += length;
      id.at = at;
      if (id.batch === number) continue;
      id.batch = number;
      this.#touched.push(id);
    }
    for (const id of this.#touched) id.keep(batch);
    this.#touched = [];
    this.#windowFrames += frames;
    this.#windowBytes += bytes;
    this.#bytes += bytes;
    this.#update();
  }

  #addStandard(canId: number): IdMeter {
    const id = new IdMeter(canId);
    this.#standard[canId] = id;
    this.#all.push(id);
    return id;
  }

  #extendedOf(canId: number): IdMeter {
    const known = this.#extended.get(canId);
    if (known !== undefined) return known;
    if (this.#extended.size >= CAN_IDS_COUNTED_MAX - this.#standard.length) return this.#others;
    const id = new IdMeter(canId);
    this.#extended.set(canId, id);
    this.#all.push(id);
    return id;
  }

  /** Ends the window when it is over. */
  #update(): void {
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#windowSinceMs;
    if (elapsedMs < WINDOW_MS) return;
    const { nominal, data } = this.#bitrates;
    const weight = 1 - Math.exp(-elapsedMs / ID_RATE_SETTLES_MS);
    let busyS = 0;
    for (const id of this.#all) {
      if (id.frames > 0 && nominal !== null) busyS += secondsOf(id, nominal, data ?? nominal);
      const rateHz = (id.frames * 1000) / elapsedMs;
      // The first window of an id says all there is.
      id.rateHz = id.rateHz === 0 ? rateHz : id.rateHz + (rateHz - id.rateHz) * weight;
      id.frames = 0;
      id.bytes = 0;
    }
    this.#framesPerS = (this.#windowFrames * 1000) / elapsedMs;
    this.#bytesPerS = (this.#windowBytes * 1000) / elapsedMs;
    this.#load = nominal === null ? null : (busyS * 1000) / elapsedMs;
    this.#windowFrames = 0;
    this.#windowBytes = 0;
    this.#windowSinceMs = nowMs;
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
    const id = isExtended ? this.#extended.get(canId) : this.#standard[canId];
    if (id === undefined) return null;
    const { rateHz, lastUs, lastFlags } = id;
    return { rateHz, lastUs, lastFlags, lastPayload: id.payload.slice() };
  }
}

/** How long the frames of an id in the present window took on the wire. */
function secondsOf(id: IdMeter, bitrate: number, dataBitrate: number): number {
  const { nominal, data } = frameBits(id.canId, id.lastFlags, id.payload, id.lastBytes);
  // Some may have been longer or shorter than the latest.
  const moreBits = 8 * (id.bytes - id.frames * id.payload.length);
  const dataBits = data > 0 ? id.frames * data + moreBits : 0;
  const nominalBits = id.frames * nominal + (data > 0 ? 0 : moreBits);
  return nominalBits / bitrate + dataBits / dataBitrate;
}
