import type { SeriesRecord } from '../protocol/series-table.ts';

/** A row of the table `series`. */
export interface SeriesRow {
  id: number;
  bus: string;
  node_id: number;
  message_type: number;
  component_type: number;
  component_id: number;
  command_id: number;
  value_type: number;
  definition: string;
}

export function seriesOfRow(row: SeriesRow): SeriesRecord {
  return {
    index: row.id,
    bus: row.bus,
    nodeId: row.node_id,
    messageType: row.message_type,
    componentType: row.component_type,
    componentId: row.component_id,
    commandId: row.command_id,
    valueType: row.value_type,
    definition: JSON.parse(row.definition),
  };
}

/** The values of a row, in the order of the table's columns. */
export function rowOfSeries(series: SeriesRecord): (string | number)[] {
  const { index, bus, nodeId, messageType, componentType, componentId, commandId, valueType } = series;
  const definition = JSON.stringify(series.definition);
  return [index, bus, nodeId, messageType, componentType, componentId, commandId, valueType, definition];
}
