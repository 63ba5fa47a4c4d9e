/** The span of time that all plots show: either the last seconds, which move along, or a span that stands. */

export type ViewRange =
  | { readonly isLive: true; readonly windowS: number }
  | { readonly isLive: false; readonly fromS: number; readonly toS: number };

export const WINDOW_DEFAULT_S = 60;
/** What was recorded last so long ago was so just now. */
const PRESENT_S = 60;
const SPAN_LEAST_S = 0.05;
const SPAN_GREATEST_S = 10 * 365 * 86_400;

export function spanOf(range: ViewRange, nowS: number): readonly [fromS: number, toS: number] {
  return range.isLive ? [nowS - range.windowS, nowS] : [range.fromS, range.toS];
}

/** Nearer by a factor below 1, farther by one above, where `atS` stays in its place. The present stays while it is live. */
export function zoomed(range: ViewRange, factor: number, atS: number): ViewRange {
  if (range.isLive) return { isLive: true, windowS: bounded(range.windowS * factor) };
  const span = range.toS - range.fromS;
  const wanted = bounded(span * factor);
  const share = (atS - range.fromS) / span;
  const fromS = atS - share * wanted;
  return { isLive: false, fromS, toS: fromS + wanted };
}

/** Moved by seconds; live from the present on. */
export function panned(range: ViewRange, byS: number, nowS: number): ViewRange {
  const [fromS, toS] = spanOf(range, nowS);
  if (byS > 0 && toS + byS >= nowS) return { isLive: true, windowS: toS - fromS };
  if (byS === 0) return range;
  return { isLive: false, fromS: fromS + byS, toS: toS + byS };
}

export function paused(range: ViewRange, nowS: number): ViewRange {
  const [fromS, toS] = spanOf(range, nowS);
  return { isLive: false, fromS, toS };
}

export function live(range: ViewRange): ViewRange {
  return range.isLive ? range : { isLive: true, windowS: range.toS - range.fromS };
}

/** All that there is, live where it reaches up to the present. */
export function whole(fromS: number, toS: number, nowS: number): ViewRange {
  return nowS - toS < PRESENT_S
    ? { isLive: true, windowS: bounded(nowS - fromS) }
    : { isLive: false, fromS, toS: fromS + bounded(toS - fromS) };
}

function bounded(spanS: number): number {
  return Math.max(SPAN_LEAST_S, Math.min(SPAN_GREATEST_S, spanS));
}

export interface PlotsState {
  /** Signals, pane by pane. */
  readonly panes: readonly (readonly string[])[];
  readonly range: ViewRange;
}

/** As it stands in a link: p=SIGNAL,SIGNAL|SIGNAL and w=60, or from=..&to=.. */
export function toParameters({ panes, range }: PlotsState): URLSearchParams {
  const parameters = new URLSearchParams();
  const text = panes.map((signals) => signals.join(',')).join('|');
  if (text !== '') parameters.set('p', text);
  if (range.isLive) parameters.set('w', String(Number(range.windowS.toPrecision(6))));
  else {
    parameters.set('from', range.fromS.toFixed(3));
    parameters.set('to', range.toS.toFixed(3));
  }
  return parameters;
}

/** What a link says; what isn't one of ours is left out. */
export function fromParameters(parameters: URLSearchParams): PlotsState {
  const panes = (parameters.get('p') ?? '')
    .split('|')
    .map((signals) => signals.split(',').filter((key) => key.split('/').length === 3))
    .filter(({ length }) => length > 0);
  const [fromS, toS, windowS] = ['from', 'to', 'w'].map((name) => Number(parameters.get(name) ?? Number.NaN));
  if (fromS! < toS!) return { panes, range: { isLive: false, fromS: fromS!, toS: toS! } };
  return { panes, range: { isLive: true, windowS: windowS! > 0 ? bounded(windowS!) : WINDOW_DEFAULT_S } };
}
