import type { SampleColumns } from '../../../../src/client/index.ts';
import { TRACE_ROWS_MAX } from '../limits.ts';
import { readableComponent, readableName } from '../names.ts';

/** One sample as a line of the trace. */
export interface TraceRow {
  readonly seq: number;
  readonly timestampS: number;
  readonly bus: string;
  readonly nodeId: number;
  readonly messageType: string;
  /** Of the component. */
  readonly type: string;
  /** Component and command. */
  readonly name: string;
  readonly value: string;
}

/**
 * The newest samples of all buses. Columns are kept as they come, and made into lines when they are looked at: a full
 * bus brings thousands a second, of which a screen shows forty.
 */
export class Trace {
  readonly #batches: SampleColumns[] = [];
  #count = 0;
  isPaused = false;

  take(columns: SampleColumns): void {
    if (this.isPaused) return;
    this.#batches.push(columns);
    this.#count += columns.count;
    while (this.#batches.length > 1 && this.#count - this.#batches[0]!.count >= TRACE_ROWS_MAX) {
      this.#count -= this.#batches.shift()!.count;
    }
  }

  clear(): void {
    this.#batches.length = 0;
    this.#count = 0;
  }

  /** The newest first, of those that fit all words of the filter. */
  rows(filter: string, limit: number): TraceRow[] {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    const rows: TraceRow[] = [];
    for (let batch = this.#batches.length - 1; batch >= 0; batch--) {
      const columns = this.#batches[batch]!;
      for (let at = columns.count - 1; at >= 0; at--) {
        const row = rowOf(columns, at);
        if (words.length > 0 && !fits(row, words)) continue;
        rows.push(row);
        if (rows.length >= limit) return rows;
      }
    }
    return rows;
  }
}

function fits({ bus, nodeId, messageType, type, name, value }: TraceRow, words: readonly string[]): boolean {
  const text =
    `${bus} ${nodeId} 0x${nodeId.toString(16)} ${messageType} ${type} ${name} ${value}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function rowOf(
  { timestampsUs, rawValues, seqs, series, seriesByNumber }: SampleColumns,
  at: number,
): TraceRow {
  const each = seriesByNumber.get(series[at]!)!;
  const raw = rawValues[at]!;
  const name = each.value_names?.[String(raw)];
  const unit = each.unit === null ? '' : ` ${each.unit}`;
  return {
    seq: seqs[at]!,
    timestampS: timestampsUs[at]! / 1e6,
    bus: each.bus,
    nodeId: each.node_id,
    messageType: each.message_type,
    type: readableName(each.component_type),
    name: `${readableComponent(each.component_type, each.component_id)} · ${readableName(each.command_id)}`,
    value: name === undefined ? `${Number(each.toValue(raw).toPrecision(9))}${unit}` : readableName(name),
  };
}
