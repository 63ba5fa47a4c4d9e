import assert from 'node:assert/strict';
import type { SampleReply } from '../../src/api/schemas.ts';
import type { HistoryQuery } from '../../src/history/history-query.ts';
import type { PersistentTelemetryStore } from '../../src/history/persistent-telemetry-store.ts';
import type { SeriesKey } from '../../src/protocol/series-table.ts';
import { HISTORY_PAGE_SAMPLES_MAX } from '../../src/shared/limits.ts';
import { type PlainSample, RPM } from './samples.ts';

/**
 * Samples of which everything follows from the sequence number, so that a history can be checked without
 * knowing who wrote it and how often its writer died.
 */

/** The wire's number of an unsigned value of 24 bits. */
const UINT24 = 6;
const NODES = 3;
const COMMANDS = 4;
const START_US = 1_764_000_000_000_000;

/** The series of the samples, by index; each node sends its commands in a burst. */
export const NUMBERED_SERIES: readonly SeriesKey[] = Array.from({ length: NODES * COMMANDS }, (_, index) => ({
  ...RPM,
  nodeId: 2 + Math.floor(index / COMMANDS),
  commandId: index % COMMANDS,
  valueType: UINT24,
}));

export function numberedSample(seq: number): PlainSample {
  return {
    series: seq % NUMBERED_SERIES.length,
    // Hardly ever the same step twice, and never back.
    timestampUs: START_US + 250 * seq + ((7919 * seq) % 240),
    rawValue: seq % 2 ** 24,
  };
}

/** Fails where a sample isn't what its number says. */
export function checkSample({ seq, raw_value, timestamp, node_id }: SampleReply): void {
  const expected = numberedSample(seq);
  const found = [raw_value, Math.round(timestamp * 1_000_000), node_id];
  // The usual assertion is too slow for a million.
  if (
    found[0] === expected.rawValue &&
    found[1] === expected.timestampUs &&
    found[2] === NUMBERED_SERIES[expected.series]!.nodeId
  ) {
    return;
  }
  assert.deepEqual(
    found,
    [expected.rawValue, expected.timestampUs, NUMBERED_SERIES[expected.series]!.nodeId],
    `sample ${seq}`,
  );
}

/** What is known of a writer that has died. */
export interface Life {
  /** The number of its first sample. */
  readonly firstSeq: number;
  /** The last sample that it knew to be durable; firstSeq - 1 for none. */
  readonly durableSeq: number;
  /** The last sample that it had given to the store. */
  readonly givenSeq: number;
}

/** One page of samples, oldest first unless told; fails unless they are in order and as they should be. */
export async function checkedPage(
  store: PersistentTelemetryStore,
  cursor: number | undefined,
  query: Partial<HistoryQuery> = {},
): Promise<SampleReply[]> {
  const { text } = await store.query({
    limit: HISTORY_PAGE_SAMPLES_MAX,
    offset: 0,
    order: 'asc',
    format: 'json',
    cursor,
    ...query,
  });
  const page: SampleReply[] = JSON.parse(new TextDecoder().decode(text));
  const direction = query.order === 'desc' ? -1 : 1;
  let lastSeq = cursor;
  for (const sample of page) {
    const isInOrder = lastSeq === undefined || (sample.seq - lastSeq) * direction > 0;
    if (!isInOrder) assert.fail(`sample ${sample.seq} comes after ${lastSeq}`);
    lastSeq = sample.seq;
    checkSample(sample);
  }
  return page;
}

/** What a history holds. */
export interface Kept {
  readonly count: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** What of it is unbroken, oldest first: a writer that died left numbers out. */
  readonly spans: readonly Span[];
}

/** Sequence numbers, both inclusive. */
export interface Span {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/**
 * Reads a history, after `cursor`, to its end and fails unless of every life there is all that was durable,
 * and of the rest an unbroken beginning: no gap, nothing twice, nothing that no writer has given, and no number
 * given by two of them. With `isOldestDropped` the history may begin late.
 */
export async function checkHistory(
  store: PersistentTelemetryStore,
  lives: readonly Life[],
  { cursor = 0, isOldestDropped = false } = {},
): Promise<Kept> {
  for (const [index, { firstSeq }] of lives.entries()) {
    const { givenSeq } = lives[index - 1] ?? { givenSeq: 0 };
    assert.ok(firstSeq > givenSeq, `number ${firstSeq} is given again: it had come to ${givenSeq}`);
  }
  const spans: { firstSeq: number; lastSeq: number }[] = [];
  let count = 0;
  let firstSeq = 0;
  let lastSeq = cursor;
  let life = 0;
  for (;;) {
    const page = await checkedPage(store, lastSeq);
    if (page.length === 0) break;
    if (count === 0) {
      firstSeq = page[0]!.seq;
      if (isOldestDropped) lastSeq = firstSeq - 1;
    }
    count += page.length;
    for (const { seq } of page) {
      while ((lives[life + 1]?.firstSeq ?? Number.POSITIVE_INFINITY) <= seq) {
        checkEnd(lives[life]!, lastSeq);
        life++;
      }
      const { firstSeq: begin, givenSeq } = lives[life]!;
      assert.ok(seq === lastSeq + 1 || seq === begin, `sample ${seq} comes after ${lastSeq}`);
      assert.ok(seq <= givenSeq, `sample ${seq} is there, but the writer was at ${givenSeq}`);
      lastSeq = seq;
      const span = spans.at(-1);
      if (span?.lastSeq === seq - 1) span.lastSeq = seq;
      else spans.push({ firstSeq: seq, lastSeq: seq });
    }
  }
  for (const rest of lives.slice(life)) checkEnd(rest, lastSeq);
  return { count, firstSeq, lastSeq, spans };
}

function checkEnd({ firstSeq, durableSeq }: Life, lastSeq: number): void {
  if (durableSeq < firstSeq) return;
  assert.ok(lastSeq >= durableSeq, `sample ${durableSeq} was durable, but there is nothing after ${lastSeq}`);
}

/** Reads one quantity's samples alone: every one of them that a whole history has, and no other. */
export async function checkQuantity(
  store: PersistentTelemetryStore,
  commandId: number,
  { firstSeq, spans }: Kept,
): Promise<void> {
  const { componentType, componentId } = RPM;
  const expected = seqsOfQuantity(commandId, spans);
  let cursor = firstSeq - 1;
  for (;;) {
    const page = await checkedPage(store, cursor, { componentType, componentId, commandId });
    if (page.length === 0) break;
    for (const { seq } of page) assert.equal(seq, expected.next().value);
    cursor = page.at(-1)!.seq;
  }
  const { done, value } = expected.next();
  assert.ok(done, `sample ${value} is not found among those of its signal`);
}

export function* seqsOfQuantity(commandId: number, spans: readonly Span[]): Generator<number, void> {
  for (const { firstSeq, lastSeq } of spans) {
    for (let seq = firstSeq; seq <= lastSeq; seq++) {
      if (NUMBERED_SERIES[numberedSample(seq).series]!.commandId === commandId) yield seq;
    }
  }
}
