import { decimalsOf, physicalConversion } from '../../protocol/physical-value.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import type { SampleFormat } from '../history-query.ts';
import { writeDecimal, writeInteger, writeMicroseconds, writeNumber } from './number-text.ts';

/** The columns of a CSV answer, in their order. */
export const CSV_HEADER =
  'seq,timestamp,bus,node_id,message_type,component_type,component_id,command_id,value_type,value,raw_value,value_name,unit\n';

/** Room for what a sample usually takes, and for so many samples at first. */
const SAMPLE_BYTES = 280;
const SAMPLES_FIRST_MAX = 1000;

/** What a text that doesn't fit its memory is given at most, times what it had. */
const GROWTH_MAX = 4;

/** A number, timestamp and value, each of 24 characters at most, twice the value; and what stands around them. */
const NUMBERS_BYTES_MAX = 4 * 24 + 64;

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** What stands around the numbers of a sample, but for what its series says. */
interface Frame {
  readonly beforeSeq: Uint8Array;
  readonly beforeTimestamp: Uint8Array;
  readonly beforeRawValue: Uint8Array;
}

/** What all samples of a series have in common, written once. */
interface SeriesText {
  /** From the timestamp to the value. */
  readonly beforeValue: Uint8Array;
  /** From the raw value to the end: by raw value where that has a name, and for all others. */
  readonly endsOfNamed: ReadonlyMap<number, Uint8Array>;
  readonly end: Uint8Array;
  /** Of values that are raw values by a power of ten. */
  readonly decimals: number | null;
  readonly toPhysical: (rawValue: number) => number;
}

const JSON_FRAME: Frame = {
  beforeSeq: bytesOf('{"seq":'),
  beforeTimestamp: bytesOf(',"timestamp":'),
  beforeRawValue: bytesOf(',"raw_value":'),
};
const CSV_FRAME: Frame = {
  beforeSeq: bytesOf(''),
  beforeTimestamp: bytesOf(','),
  beforeRawValue: bytesOf(','),
};

/**
 * Writes samples as text in UTF-8, number by number into one piece of memory: 0.17 µs a sample. Made of strings it took
 * seven times as long, and left the strings to the collector of garbage.
 */
export class SampleWriter {
  readonly #format: SampleFormat;
  readonly #frame: Frame;
  readonly #seriesAt: (index: number) => SeriesRecord;
  readonly #texts: (SeriesText | undefined)[] = [];
  #bytes = new Uint8Array(0);
  #at = 0;
  #count = 0;
  #expected = 0;

  /** `seriesAt` gives the series that samples are of, by the index by which they name it. */
  constructor(format: SampleFormat, seriesAt: (index: number) => SeriesRecord) {
    this.#format = format;
    this.#frame = format === 'csv' ? CSV_FRAME : JSON_FRAME;
    this.#seriesAt = seriesAt;
  }

  /** How many samples were written since the beginning. */
  get count(): number {
    return this.#count;
  }

  /** Begins a text of so many samples or fewer, in memory of the caller's if that is given; more is taken where it is needed. */
  begin(samples: number, memory?: ArrayBuffer): void {
    const bytes = Math.min(samples, SAMPLES_FIRST_MAX) * SAMPLE_BYTES;
    this.#bytes = new Uint8Array(memory ?? new ArrayBuffer(bytes));
    this.#at = 0;
    this.#count = 0;
    this.#expected = samples;
    this.#makeRoom(2);
    if (this.#format === 'json') this.#bytes[this.#at++] = OPENING_BRACKET;
  }

  add(series: number, seq: number, timestampUs: number, rawValue: number): void {
    const text = this.#textOf(series);
    const end = text.endsOfNamed.get(rawValue) ?? text.end;
    this.#makeRoom(NUMBERS_BYTES_MAX + text.beforeValue.length + end.length);
    const frame = this.#frame;
    const bytes = this.#bytes;
    let at = this.#at;
    if (this.#format === 'json' && this.#count > 0) bytes[at++] = COMMA;
    at = append(bytes, at, frame.beforeSeq);
    at = writeInteger(bytes, at, seq);
    at = append(bytes, at, frame.beforeTimestamp);
    at = writeMicroseconds(bytes, at, timestampUs);
    at = append(bytes, at, text.beforeValue);
    at =
      text.decimals === null
        ? writeNumber(bytes, at, text.toPhysical(rawValue))
        : writeDecimal(bytes, at, rawValue, text.decimals);
    at = append(bytes, at, frame.beforeRawValue);
    at = writeNumber(bytes, at, rawValue);
    at = append(bytes, at, end);
    if (this.#format !== 'json') bytes[at++] = NEWLINE;
    this.#at = at;
    this.#count++;
  }

  /** What was written, alone in its memory; to be asked for once. */
  end(): Uint8Array<ArrayBuffer> {
    if (this.#format === 'json') {
      this.#makeRoom(1);
      this.#bytes[this.#at++] = CLOSING_BRACKET;
    }
    const written = this.#bytes.subarray(0, this.#at);
    // What was expected in vain is given back.
    const isWasteful = this.#at < this.#bytes.length / 2 && this.#count < this.#expected;
    this.#bytes = new Uint8Array(0);
    return isWasteful ? written.slice() : written;
  }

  #textOf(series: number): SeriesText {
    this.#texts[series] ??=
      this.#format === 'csv' ? csvText(this.#seriesAt(series)) : jsonText(this.#seriesAt(series));
    return this.#texts[series];
  }

  #makeRoom(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    // As if all that are still expected took as much as those that are there; but many may be expected in vain.
    const expected = this.#count === 0 ? 0 : 1.05 * (this.#at / this.#count) * this.#expected;
    const most = GROWTH_MAX * this.#bytes.length;
    const larger = new Uint8Array(Math.ceil(Math.max(needed, Math.min(expected, most))) + SAMPLE_BYTES);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

/** Makes what writes one sample of a series at a time, as JSON. */
export function sampleWriter(series: SeriesRecord): WriteSample {
  const writer = new SampleWriter('json', () => series);
  return (seq, timestampUs, rawValue) => {
    writer.begin(1);
    writer.add(0, seq, timestampUs, rawValue);
    const { buffer, length } = writer.end();
    return Buffer.from(buffer).toString('utf8', 1, length - 1);
  };
}

export type WriteSample = (seq: number, timestampUs: number, rawValue: number) => string;

function jsonText({ bus, nodeId, definition }: SeriesRecord): SeriesText {
  const { messageType, componentType, componentId, commandId, valueType, unit } = definition;
  return seriesText(
    definition,
    `,"bus":${JSON.stringify(bus)},"node_id":${nodeId}` +
      `,"message_type":${JSON.stringify(messageType)}` +
      `,"component_type":${JSON.stringify(componentType)}` +
      `,"component_id":${JSON.stringify(componentId)}` +
      `,"command_id":${JSON.stringify(commandId)}` +
      `,"value_type":${JSON.stringify(valueType)},"value":`,
    (name) => `,"value_name":${JSON.stringify(name)},"unit":${JSON.stringify(unit)}}`,
  );
}

function csvText({ bus, nodeId, definition }: SeriesRecord): SeriesText {
  const { messageType, componentType, componentId, commandId, valueType, unit } = definition;
  const fields = [bus, String(nodeId), messageType, componentType, componentId, commandId, valueType];
  return seriesText(
    definition,
    `,${fields.map(csvField).join(',')},`,
    (name) => `,${csvField(name ?? '')},${csvField(unit ?? '')}`,
  );
}

function seriesText(
  { scale, valueNames }: SeriesRecord['definition'],
  beforeValue: string,
  endOf: (valueName: string | null) => string,
): SeriesText {
  const names = Object.entries(valueNames ?? {});
  const endsOfNamed = new Map(names.map(([rawValue, name]) => [Number(rawValue), bytesOf(endOf(name))]));
  return {
    beforeValue: bytesOf(beforeValue),
    endsOfNamed,
    end: bytesOf(endOf(null)),
    decimals: decimalsOf(scale),
    toPhysical: physicalConversion(scale).toPhysical,
  };
}

/** Quotes a field where RFC 4180 asks for it. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function append(bytes: Uint8Array, at: number, part: Uint8Array): number {
  bytes.set(part, at);
  return at + part.length;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
