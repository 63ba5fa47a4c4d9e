import { FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { SERIES_MAX, SERIES_PER_QUANTITY_MAX } from '../shared/limits.ts';
import { OUTCOME, OUTCOME_COUNT } from './frame-outcome.ts';
import { KART_PAYLOAD_BYTES, rawValueOf } from './kart-codec.ts';
import { isKartFrame } from './kart-frame.ts';
import { OutcomeCounters } from './outcome-counters.ts';
import { ID_COUNT } from './proto-files.ts';
import type { ProtocolRegistry } from './protocol-registry.ts';
import type { SampleBatch } from './sample-batch.ts';
import type { Series, SeriesKey, SeriesTable } from './series-table.ts';

/** Message type (2 bits), component type (3), component id (8) and command id (8). */
const SLOTS = 2 ** (2 + 3 + 8 + 8);

/** Highest value type that has a meaning. */
const VALUE_TYPE_KNOWN_MAX = 6;

/**
 * Turns one bus's frames into samples. What a frame is about finds its series through one table look-up:
 * the 21 bits that name the quantity are the index, and the few series of one quantity (other nodes,
 * other value types) hang together in a chain. Names and units are looked up once per series, not here.
 *
 * Nothing that a frame holds is an error: each has an outcome, and the outcomes are counted.
 */
export class KartDecoder {
  readonly counters = new OutcomeCounters();
  readonly #bus: string;
  readonly #registry: ProtocolRegistry;
  readonly #table: SeriesTable;
  /** The first series of a quantity, as its index + 1; 0 for none, so that untouched pages cost no memory. */
  readonly #slots = new Int32Array(SLOTS);
  // By series index: the next series of the same quantity (index + 1), and what tells them apart.
  readonly #next = new Int32Array(SERIES_MAX);
  readonly #sender = new Int32Array(SERIES_MAX);
  readonly #outcome = new Uint8Array(SERIES_MAX);

  constructor(bus: string, registry: ProtocolRegistry, table: SeriesTable) {
    this.#bus = bus;
    this.#registry = registry;
    this.#table = table;
    for (const series of table.since(0)) {
      // What is beyond the wire's component types never comes in a frame.
      const isOfWire = series.componentType < ID_COUNT.componentType;
      if (series.bus === bus && series.isCurrent && isOfWire) this.#link(series);
    }
  }

  /**
   * Decodes frames from index `start` on and appends their samples, until `end` or the samples are full. Returns the
   * index of the first frame that wasn't decoded: `end`, or less when the samples are full.
   */
  decode(frames: FrameBatch, start: number, samples: SampleBatch, end = frames.count): number {
    let at = start;
    for (;;) {
      at = this.#decodeKnown(frames, at, samples, end);
      if (at === end || samples.isFull) return at;
      if (isKartFrame(frames, at)) {
        // Of a series that isn't known yet; where there is no room for it, the frame is counted and done with.
        if (!this.#addSeriesOf(frames, at)) at++;
      } else {
        this.#countForeign(frames.canId[at]!, frames.flags[at]!);
        at++;
      }
    }
  }

  /**
   * The same, but it stops ahead of the first frame that is no kart message, or of no series that is known. A loop
   * without calls, so that it is compiled early, and with fields looked up once: where memory is written to they would be for each frame.
   */
  #decodeKnown(frames: FrameBatch, start: number, samples: SampleBatch, framesEnd: number): number {
    const { canId, flags, payloadBytes, payloadWords, timestampUs: frameUs } = frames;
    const { timestampUs, rawValue, series: sampleSeries, count: firstSample } = samples;
    const slots = this.#slots;
    const sender = this.#sender;
    const next = this.#next;
    const outcome = this.#outcome;
    const counts = this.counters.standard;
    const end = Math.min(framesEnd, start + samples.capacity - firstSample);
    let at = start;
    for (; at < end; at++) {
      // What we send ourselves is on the bus like any other.
      if ((flags[at]! & ~FRAME_FLAG.OWN) !== 0 || payloadBytes[at] !== KART_PAYLOAD_BYTES) break;
      const naming = payloadWords[2 * at]!;
      const valuing = payloadWords[2 * at + 1]!;
      const nodeId = canId[at]!;
      const valueType = (valuing >>> 4) & 0xf;
      const wanted = senderOf(nodeId, valueType);
      let series = slots[slotOf(naming)]! - 1;
      while (series >= 0 && sender[series] !== wanted) series = next[series]! - 1;
      if (series < 0) break;
      counts[nodeId * OUTCOME_COUNT + outcome[series]!]!++;
      const out = firstSample + at - start;
      const bits24 = ((valuing & 0xff00) << 8) | ((valuing >>> 8) & 0xff00) | (valuing >>> 24);
      timestampUs[out] = frameUs[at]!;
      rawValue[out] = rawValueOf(valueType, bits24);
      sampleSeries[out] = series;
    }
    samples.count = firstSample + at - start;
    return at;
  }

  /**
   * The series that frames with these numbers have, for samples of our own: that and no other, should a node send such
   * frames, too. Null where there is no room for it.
   */
  seriesOf(key: Omit<SeriesKey, 'bus'>): number | null {
    const { nodeId, messageType, componentType, componentId, commandId, valueType } = key;
    const slot = (messageType << 19) | (componentType << 16) | (componentId << 8) | commandId;
    const found = this.#find(slot, nodeId, valueType);
    if (found >= 0) return found;
    const isRoom = this.#chainLength(slot) < SERIES_PER_QUANTITY_MAX;
    const series = isRoom ? this.#table.add({ ...key, bus: this.#bus }) : null;
    if (series !== null) this.#link(series);
    return series?.index ?? null;
  }

  /** Passes over a frame of ours whose sample is there already. */
  countOwnHealth(canId: number): void {
    this.counters.countStandard(canId, OUTCOME.own_health);
  }

  /** The series of a quantity that a node sends with a value type; -1 where there is none. */
  #find(slot: number, nodeId: number, valueType: number): number {
    const wanted = senderOf(nodeId, valueType);
    let series = this.#slots[slot]! - 1;
    while (series >= 0 && this.#sender[series] !== wanted) series = this.#next[series]! - 1;
    return series;
  }

  /** Counts a frame that isn't a kart message. */
  #countForeign(canId: number, flags: number): void {
    if ((flags & FRAME_FLAG.ERROR) !== 0) {
      this.counters.countErrorFrame();
      return;
    }
    const isExtended = (flags & FRAME_FLAG.EXTENDED) !== 0;
    const isRemote = (flags & FRAME_FLAG.REMOTE) !== 0;
    const isFd = (flags & FRAME_FLAG.FD) !== 0;
    const standard = isFd ? OUTCOME.can_fd : isRemote ? OUTCOME.remote_frame : OUTCOME.wrong_length;
    if (isExtended)
      this.counters.countExtended(canId, standard === OUTCOME.wrong_length ? OUTCOME.extended_id : standard);
    else this.counters.countStandard(canId, standard);
  }

  /** Adds the series of a frame's quantity, seen for the first time; false when there is no room for more. */
  #addSeriesOf(frames: FrameBatch, at: number): boolean {
    const slot = slotOf(frames.payloadWords[2 * at]!);
    const nodeId = frames.canId[at]!;
    const series = this.seriesOf({
      nodeId,
      messageType: slot >> 19,
      componentType: (slot >> 16) & 7,
      componentId: (slot >> 8) & 0xff,
      commandId: slot & 0xff,
      valueType: (frames.payloadWords[2 * at + 1]! >>> 4) & 0xf,
    });
    if (series !== null) return true;
    this.counters.countStandard(nodeId, OUTCOME.series_limit);
    return false;
  }

  #chainLength(slot: number): number {
    let length = 0;
    for (let next = this.#slots[slot]!; next > 0; next = this.#next[next - 1]!) length++;
    return length;
  }

  #link(series: Series): void {
    const { index, messageType, componentType, componentId, commandId } = series;
    const slot = (messageType << 19) | (componentType << 16) | (componentId << 8) | commandId;
    this.#sender[index] = senderOf(series.nodeId, series.valueType);
    this.#outcome[index] = this.#outcomeOf(series);
    this.#next[index] = this.#slots[slot]!;
    this.#slots[slot] = index + 1;
  }

  #outcomeOf({ componentType, componentId, commandId, valueType }: Series): number {
    if (!this.#registry.isKnownComponentType(componentType)) return OUTCOME.reserved_component_type;
    if (valueType > VALUE_TYPE_KNOWN_MAX) return OUTCOME.reserved_value_type;
    if (!this.#registry.isKnownComponent(componentType, componentId)) return OUTCOME.unknown_component;
    if (!this.#registry.isKnownCommand(componentType, commandId)) return OUTCOME.unknown_command;
    return OUTCOME.decoded;
  }
}

/** Who sends a quantity, and as what: a CAN id of 11 bits and a value type of 4. */
function senderOf(nodeId: number, valueType: number): number {
  return (nodeId << 4) | valueType;
}

/** The 21 bits that name a quantity, of a payload's first four bytes, the first one lowest. */
function slotOf(naming: number): number {
  return ((naming & 0xf8) << 13) | ((naming >>> 8) & 0xff00) | (naming >>> 24);
}
