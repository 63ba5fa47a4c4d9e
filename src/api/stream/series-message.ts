import type { FeedSeries } from '../sources.ts';
import type { SeriesMessage } from './schemas.ts';

/** Says what the samples of series have in common, ahead of the binary messages that name them by their numbers. */
export function seriesMessage(all: readonly FeedSeries[]): SeriesMessage {
  return {
    type: 'series',
    series: all.map(({ index, bus, nodeId, definition }) => ({
      series: index,
      bus,
      node_id: nodeId,
      message_type: definition.messageType,
      component_type: definition.componentType,
      component_id: definition.componentId,
      command_id: definition.commandId,
      value_type: definition.valueType,
      unit: definition.unit,
      scale: definition.scale,
      value_names: definition.valueNames,
    })),
  };
}
