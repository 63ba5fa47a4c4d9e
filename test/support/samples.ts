import { ProtocolRegistry } from '../../src/protocol/protocol-registry.ts';
import { SampleBatch } from '../../src/protocol/sample-batch.ts';
import type { SeriesKey, SeriesRecord } from '../../src/protocol/series-table.ts';

export const registry = ProtocolRegistry.load();

/** A sample without its number: that is its place. */
export interface PlainSample {
  readonly timestampUs: number;
  readonly rawValue: number;
  readonly series: number;
}

/** A series as the decoder would begin it: STATUS, MOTORS, MOTOR_LEFT_REAR, RPM, UINT16 of node 2 unless told. */
export function seriesRecord(index: number, key: Partial<SeriesKey> = {}): SeriesRecord {
  const whole: SeriesKey = { ...RPM, ...key };
  const { messageType, componentType, componentId, commandId, valueType } = whole;
  const definition = registry.describe(messageType, componentType, componentId, commandId, valueType);
  return { ...whole, index, definition };
}

export const RPM: SeriesKey = {
  bus: 'can0',
  nodeId: 2,
  messageType: 1,
  componentType: 1,
  componentId: 0,
  commandId: 1,
  valueType: 4,
};

export function batchOf(samples: readonly PlainSample[], firstSeq: number): SampleBatch {
  const batch = SampleBatch.allocate(Math.max(1, samples.length));
  batch.begin(firstSeq);
  for (const sample of samples) append(batch, sample);
  return batch;
}

export function append(batch: SampleBatch, { timestampUs, rawValue, series }: PlainSample): void {
  batch.timestampUs[batch.count] = timestampUs;
  batch.rawValue[batch.count] = rawValue;
  batch.series[batch.count] = series;
  batch.count++;
}
