import { physicalConversion } from '../protocol/physical-value.ts';
import type { SeriesRecord } from '../protocol/series-table.ts';
import type { SampleFormat } from './history-query.ts';

/** The columns of a CSV answer, in their order. */
export const CSV_HEADER =
  'seq,timestamp,bus,node_id,message_type,component_type,component_id,command_id,value_type,value,raw_value,value_name,unit\n';

/** Writes samples of one series in one format. */
export type WriteSample = (seq: number, timestampUs: number, rawValue: number) => string;

/**
 * Makes the writer of a series: what all its samples have in common is turned into text once, so that a
 * sample costs the formatting of its numbers.
 */
export function sampleWriter(series: SeriesRecord, format: SampleFormat): WriteSample {
  return format === 'csv' ? csvWriter(series) : jsonWriter(series);
}

function jsonWriter({ bus, nodeId, definition }: SeriesRecord): WriteSample {
  const { toPhysical } = physicalConversion(definition.scale);
  const common =
    `,"bus":${JSON.stringify(bus)},"node_id":${nodeId}` +
    `,"message_type":${JSON.stringify(definition.messageType)}` +
    `,"component_type":${JSON.stringify(definition.componentType)}` +
    `,"component_id":${JSON.stringify(definition.componentId)}` +
    `,"command_id":${JSON.stringify(definition.commandId)}` +
    `,"value_type":${JSON.stringify(definition.valueType)},"value":`;
  const end = `,"unit":${JSON.stringify(definition.unit)}}`;
  const names = definition.valueNames;
  return (seq, timestampUs, rawValue) => {
    const name = JSON.stringify(names?.[rawValue] ?? null);
    const values = `${toPhysical(rawValue)},"raw_value":${rawValue},"value_name":${name}`;
    return `{"seq":${seq},"timestamp":${secondsText(timestampUs)}${common}${values}${end}`;
  };
}

function csvWriter({ bus, nodeId, definition }: SeriesRecord): WriteSample {
  const { toPhysical } = physicalConversion(definition.scale);
  const common = [
    bus,
    String(nodeId),
    definition.messageType,
    definition.componentType,
    definition.componentId,
    definition.commandId,
    definition.valueType,
  ]
    .map(csvField)
    .join(',');
  const unit = csvField(definition.unit ?? '');
  const names = definition.valueNames;
  return (seq, timestampUs, rawValue) => {
    const name = csvField(names?.[rawValue] ?? '');
    return `${seq},${secondsText(timestampUs)},${common},${toPhysical(rawValue)},${rawValue},${name},${unit}`;
  };
}

/** Quotes a field where RFC 4180 asks for it. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Seconds with six decimals, from the digits: dividing would round the last of them now and then. */
function secondsText(timestampUs: number): string {
  const seconds = Math.floor(timestampUs / 1_000_000);
  const microseconds = timestampUs - seconds * 1_000_000;
  return `${seconds}.${String(microseconds).padStart(6, '0')}`;
}
