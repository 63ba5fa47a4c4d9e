import { QueryError } from '../shared/errors.ts';
import type { SeriesRecord } from './series-table.ts';

/** Says whether a series is of the signals that a pattern stands for. */
export type SignalPattern = (series: SeriesRecord) => boolean;

// Reads a pattern of signals, component type/component id/command id: MOTORS/*/RPM. Each part is a number, or a
// name in any letter case in which `*` stands for any characters. Throws QueryError 400 SIGNAL_INVALID.
export function parseSignalPattern(text: string): SignalPattern {
  const parts = text.split('/');
  if (parts.length !== 3 || parts.includes('')) {
    throw new QueryError(
      400,
      'SIGNAL_INVALID',
      `Expected a signal as component type/component id/command id, such as MOTORS/MOTOR_LEFT_REAR/RPM or MOTORS/*/RPM, found "${text.slice(0, 60)}".`,
    );
  }
  const [isType, isId, isCommand] = parts.map(partPattern);
  return ({ componentType, componentId, commandId, definition }) =>
    isType!(definition.componentType, componentType) &&
    isId!(definition.componentId, componentId) &&
    isCommand!(definition.commandId, commandId);
}

function partPattern(part: string): (name: string, number: number) => boolean {
  if (/^\d+$/.test(part)) return (_, number) => number === Number(part);
  const pattern = new RegExp(`^${part.split('*').map(RegExp.escape).join('.*')}$`, 'i');
  return (name) => pattern.test(name);
}
