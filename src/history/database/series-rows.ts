import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { SignalDefinition } from '../../protocol/protocol-registry.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { errorMessage, HistoryError } from '../../shared/errors.ts';

/** A row of the table `series`, with the definition's text in place of its hash. */
export interface SeriesRow {
  id: number;
  bus: string;
  node_id: number;
  message_type: number;
  component_type: number;
  component_id: number;
  command_id: number;
  value_type: number;
  /** Null where the hash names none. */
  definition: string | null;
}

/** Gives rows of SeriesRow; a WHERE may follow. */
export const SELECT_SERIES = `
  SELECT id, bus, node_id, message_type, component_type, component_id, command_id, value_type,
    (SELECT definition FROM definitions WHERE hash = series.definition) AS definition
  FROM series`;

/** 64 bits: there are a few hundred definitions, and protocols, over the life of a database. */
const HASH_DIGITS = 16;

/** Throws HistoryError HISTORY_DAMAGED where the definition can't be read. */
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
    definition: parsedDefinition(row.definition) as SignalDefinition,
  };
}

/** The values of a row of `series`, in the order of the table's columns. */
export function rowOfSeries(series: SeriesRecord, definitionHash: string): (string | number)[] {
  const { index, bus, nodeId, messageType, componentType, componentId, commandId, valueType } = series;
  return [index, bus, nodeId, messageType, componentType, componentId, commandId, valueType, definitionHash];
}

/** JSON with the keys of every object in order, so that what is equal has one text and one hash. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  );
}

/** What the tables `definitions` and `protocols` call a text: the first digits of its SHA-256. */
export function textHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS);
}

/** What a migration needs to hash the definitions of version 1. */
export function addDefinitionFunctions(database: DatabaseSync): void {
  const isPure = { deterministic: true, directOnly: true };
  database.function('canonical_definition', isPure, (text) => canonicalJson(parsedDefinition(String(text))));
  database.function('text_hash', isPure, (text) => textHash(String(text)));
}

function parsedDefinition(text: string | null): unknown {
  if (text === null) throw new HistoryError('HISTORY_DAMAGED', 'a series has no definition');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HistoryError('HISTORY_DAMAGED', `a definition can't be read: ${errorMessage(cause)}`, {
      cause,
    });
  }
}
