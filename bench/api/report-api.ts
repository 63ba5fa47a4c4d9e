import { type Figure, median, report } from '../report.ts';
import type { HttpLoadResult } from './http-load.ts';
import type { LiveLoadResult } from './live-load.ts';
import type { StreamLoadResult } from './stream-load.ts';

export interface HttpRound {
  readonly fixed: HttpLoadResult;
  readonly state: HttpLoadResult;
  readonly live: LiveLoadResult;
}

export interface StreamRound {
  readonly stream: StreamLoadResult;
  readonly live: LiveLoadResult;
}

/** The same rounds, without and with an export of the history. */
export interface Compared<Round> {
  readonly alone: readonly Round[];
  readonly exporting: readonly Round[];
  /** What went to the client that exports, round by round. */
  readonly exportMbPerS: readonly number[];
}

export interface Measured {
  readonly http: Compared<HttpRound>;
  readonly stream: Compared<StreamRound>;
  /** What programs that have no part in this took of the processors: with much of it no figure says anything. */
  readonly othersPercent: number;
  /** Over all of it. */
  readonly framesPerS: number;
  readonly framesLost: number;
  readonly samplesLost: number;
  readonly samplesNotStored: number;
}

export interface Conditions {
  readonly signals: number;
  readonly connections: number;
  readonly framesPerS: number;
  readonly clients: number;
  readonly clientsHz: number;
}

const LIVE_P99_MS_WANTED = 20;
const P99_BY_MEDIAN_WANTED = 10;
/** An export may take half of what is answered, and add half to what it takes. */
const RATE_CHANGE_WANTED = 1 / 2;
const TIME_CHANGE_WANTED = 1.5;

type Of<Round> = (round: Round) => number;

export function reportApi(measured: Measured, conditions: Conditions): void {
  const { signals, connections, framesPerS } = conditions;
  const rounds = measured.http.alone;
  report(
    `api: ${signals} signals, a bus of ${framesPerS} frames/s, ${connections} connections; median of ${rounds.length} rounds`,
    'fixed string',
    [
      {
        ...figure('state/current, requests/s', 0, rounds, requestsPerS, ({ fixed }) => fixed.requestsPerS),
        wanted: { ratioAtLeast: 1 / 2 },
      },
      figure(
        'state/current, median ms',
        3,
        rounds,
        ({ state }) => state.medianMs,
        ({ fixed }) => fixed.medianMs,
      ),
    ],
  );
  report('api: how even the answers are', 'median', [
    {
      ...figure(
        'state/current, p99 ms',
        3,
        rounds,
        ({ state }) => state.p99Ms,
        ({ state }) => state.medianMs,
      ),
      wanted: { ratioAtMost: P99_BY_MEDIAN_WANTED },
    },
    figure(
      'fixed string, p99 ms',
      3,
      rounds,
      ({ fixed }) => fixed.p99Ms,
      ({ fixed }) => fixed.medianMs,
    ),
    {
      ...figure('bus to a callback, p99 ms', 1, rounds, liveP99Ms, ({ live }) => live.medianMs),
      wanted: { oursAtMost: LIVE_P99_MS_WANTED },
    },
    { what: 'other programs, % of CPU', ours: measured.othersPercent, reference: null, digits: 0 },
  ]);
  reportClients(measured, conditions);
  reportExport(measured, conditions);
}

function reportClients(
  { stream, ...measured }: Measured,
  { clients, clientsHz, framesPerS }: Conditions,
): void {
  const rounds = stream.alone;
  const all = [...rounds, ...stream.exporting];
  const none = { reference: null, digits: 0, wanted: { oursAtMost: 0 } };
  report(
    `api: ${clients} clients that are told ${clientsHz} times a second; median of ${rounds.length} rounds`,
    'asked for',
    [
      {
        ...figure('messages/s of the slowest', 1, rounds, messagesPerS, () => clientsHz),
        wanted: { oursAtLeast: clientsHz * 0.95 },
      },
      figure('MB/s to all', 0, rounds, ({ stream }) => stream.mbPerS),
      {
        ...figure('bus to a callback, p99 ms', 1, rounds, liveP99Ms),
        wanted: { oursAtMost: LIVE_P99_MS_WANTED },
      },
      {
        what: 'frames/s of the bus',
        ours: measured.framesPerS,
        reference: framesPerS,
        digits: 0,
        wanted: { ratioAtLeast: 0.99 },
      },
      {
        ...none,
        what: 'samples missed by clients',
        ours: all.reduce((sum, { stream }) => sum + stream.samplesMissed, 0),
      },
      { ...none, what: 'frames lost by the kernel', ours: measured.framesLost },
      { ...none, what: 'samples lost on the way', ours: measured.samplesLost },
      { ...none, what: 'samples not stored', ours: measured.samplesNotStored },
    ],
  );
}

/** The same rounds while the history is exported, in turn with those without. */
function reportExport({ http, stream }: Measured, { clients }: Conditions): void {
  const faster = { wanted: { ratioAtLeast: RATE_CHANGE_WANTED } };
  const sooner = { wanted: { ratioAtMost: TIME_CHANGE_WANTED } };
  const p99ByMedian = ({ state }: HttpRound) => state.p99Ms / state.medianMs;
  report('api: while a client takes the whole history, 10 million samples', 'without', [
    { ...change('state/current, requests/s', 0, http, requestsPerS), ...faster },
    change('fixed string, requests/s', 0, http, ({ fixed }) => fixed.requestsPerS),
    {
      ...change(
        'state/current by fixed string',
        2,
        http,
        ({ state, fixed }) => state.requestsPerS / fixed.requestsPerS,
      ),
      ...faster,
    },
    { ...change('state/current, p99 by median', 1, http, p99ByMedian), ...sooner },
    { ...change('bus to a callback, p99 ms', 1, http, liveP99Ms), ...sooner },
    { ...change(`the same with ${clients} clients`, 1, stream, liveP99Ms), ...sooner },
    { ...change('messages/s of the slowest', 1, stream, messagesPerS), ...faster },
    exported('exported beside requests, MB/s', http),
    exported('exported beside the clients, MB/s', stream),
  ]);
}

const requestsPerS: Of<HttpRound> = ({ state }) => state.requestsPerS;
const liveP99Ms: Of<{ readonly live: LiveLoadResult }> = ({ live }) => live.p99Ms;
const messagesPerS: Of<StreamRound> = ({ stream }) => stream.messagesPerS;

/** Medians, and that of the ratios round by round. */
function figure<Round>(
  what: string,
  digits: number,
  rounds: readonly Round[],
  ours: Of<Round>,
  reference?: Of<Round>,
): Figure {
  const medianOf = (of: Of<Round>) => median(rounds.map(of));
  if (reference === undefined) return { what, digits, ours: medianOf(ours), reference: null };
  const ratio = medianOf((round) => ours(round) / reference(round));
  return { what, digits, ours: medianOf(ours), reference: medianOf(reference), ratio };
}

function exported(what: string, { exportMbPerS }: Compared<unknown>): Figure {
  return { what, digits: 0, ours: median(exportMbPerS), reference: null };
}

function change<Round>(
  what: string,
  digits: number,
  { alone, exporting }: Compared<Round>,
  of: Of<Round>,
): Figure {
  const pairs = exporting.map((round, index) => ({ ours: of(round), reference: of(alone[index]!) }));
  return figure(
    what,
    digits,
    pairs,
    ({ ours }) => ours,
    ({ reference }) => reference,
  );
}
