import { QueryError } from '../shared/errors.ts';
import type { SeriesRecord } from './series-table.ts';

/** Says whether a series is of the signals that a pattern stands for. */
export type SignalPattern = (series: SeriesRecord) => boolean;

const PARTS = 3;

// Reads a pattern of signals, component type/component id/command id: MOTORS/*/RPM. Each part is a number, or a
// name in any letter case in which `*` stands for any characters; a part `**` stands for as many parts as are
// missing, so that MOTORS/** is all of the motors and ** everything. Throws QueryError 400 SIGNAL_INVALID.
export function parseSignalPattern(text: string): SignalPattern {
  const parts = text.split('/');
  const rest = parts.indexOf('**');
  if (rest >= 0 && parts.length < PARTS) {
    parts.splice(rest, 1, ...new Array<string>(PARTS + 1 - parts.length).fill('*'));
  }
  if (parts.length !== PARTS || parts.includes('')) {
    throw new QueryError(
      400,
      'SIGNAL_INVALID',
      `Expected a signal as component type/component id/command id, such as MOTORS/MOTOR_LEFT_REAR/RPM, MOTORS/*/RPM or MOTORS/**, found "${text.slice(0, 60)}".`,
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
  const pieces = part.toLowerCase().split('*');
  return (name) => isMadeOf(name.toLowerCase(), pieces);
}

/**
 * Whether a name has these pieces in their order with anything between them. Each is taken where it is found first, which
 * is right for `*` alone; a regular expression would try all places, and patterns come from the network.
 */
function isMadeOf(name: string, pieces: readonly string[]): boolean {
  const [first = '', ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
